"""``--import MODULE``: models, losses, data sets and metrics of the user's own, for every command."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path


def add_import(parser: argparse.ArgumentParser) -> None:
    """``--import``, which may stand anywhere in a command line."""
    parser.add_argument(
        "--import",
        dest="own",
        action="append",
        default=[],
        metavar="MODULE",
        help="import this first: a .py file, or a module found from here, that registers models, losses, data sets or metrics"
        " of your own; for several, several --import",
    )


def importing(modules: list[str]) -> list[str]:
    """The words of a command line that import these modules."""
    return [word for module in modules for word in ("--import", module)]


def import_own(module: str) -> None:
    """Import a module, or a .py file, of the user's own.

    Raises:
        ImportError: when there is none of that name. What goes wrong within it is raised as it is.
    """
    file = Path(module).expanduser()
    folder, name = (file.parent, file.stem) if file.suffix == ".py" else (Path(), module)
    sys.path.insert(0, str(folder.resolve()))
    try:
        import_module(name)
    except ModuleNotFoundError as error:
        if error.name and error.name in (name, name.partition(".")[0]):
            told = f"there is no {module} to import: name a .py file, or a module that is found from here"
            raise ImportError(told) from None
        raise
