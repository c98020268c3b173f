"""Options that several commands share, and the values they take."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any


def whole_number(low: int = 0) -> Callable[[str], int]:
    """A type for argparse: a whole number of at least `low`."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {low}")
        return value

    return convert


def positive_number(text: str) -> float:
    """A type for argparse: a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def filled(text: str) -> str:
    """A type for argparse: text that is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return text


def refuse_source(out: str, *sources: str | None) -> None:
    """``ValueError`` where what is to be written would replace, or lie inside, what is read."""
    place = Path(out).expanduser().resolve()
    for source in filter(None, sources):
        read = Path(source).expanduser().resolve()
        if read.exists() and (place == read or read in place.parents):
            raise ValueError(
                f"{out} would be written {'over' if place == read else 'into'} {source}, which is read: name another place"
            )


def add_device(parser: argparse.ArgumentParser) -> None:
    """``--device``."""
    parser.add_argument("--device", type=filled, metavar="NAME", help="cpu, cuda, cuda:1, mps (default: a GPU if there is one)")


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """``--quiet``."""
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def add_settings(parser: argparse.ArgumentParser, example: str = "train.lr=3e-4") -> None:
    """``--set NAME=VALUE ...``."""
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help=f"change settings, as {example}"
    )


def settings(pairs: list[str]) -> dict[str, Any]:
    """What was given to ``--set``, values read as JSON where they are JSON.

    Raises:
        ValueError: for a word without an equals sign.
    """
    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise ValueError(f"--set takes NAME=VALUE, as in --set train.lr=3e-4, not {pair!r}")
        try:
            found[name] = json.loads(text)
        except json.JSONDecodeError:
            found[name] = text
    return found
