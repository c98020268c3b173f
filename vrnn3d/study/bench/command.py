"""Measure speed and memory of every model on this machine, the plain form against the fast one.

The record is written after every round; a table of it is printed at the end.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from vrnn3d.files import check_file
from vrnn3d.study.bench.jobs import Plan

LASTS = (
    "All models at full size take about ten minutes on two cores (batch 2, two rounds), and as long on a GPU, most of it for"
    " compiling; --sweep adds a quarter of an hour. Every measurement runs in a process of its own. What was measured is kept"
    " when the command is stopped after a round."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a parser the arguments of the command."""
    from vrnn3d.models import REGISTRY, networks

    help_of = Plan.help
    defaults = {field.name: field.default for field in dataclasses.fields(Plan)}
    parser.epilog = LASTS
    parser.add_argument("--models", nargs="*", default=networks(), choices=list(REGISTRY), help="models of the registry")
    parser.add_argument("--against", nargs="*", default=[], metavar="MODULE:FACTORY", help="outside models with our contract")
    for name in ("batch", "size", "length", "context", "samples", "repeats", "rounds"):
        parser.add_argument(f"--{name}", type=int, default=defaults[name], help=help_of(name))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help=help_of("threads"))
    parser.add_argument("--minutes", type=float, help=help_of("minutes"))
    parser.add_argument("--precision", default="auto", help=help_of("precision"))
    parser.add_argument("--options", default="{}", metavar="JSON", help='arguments per model, as {"vrnn3d": {"hidden": 32}}')
    parser.add_argument("--sweep", action="store_true", help="also how the cost of ours grows with batch, M, H, size, length")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ...; by default a GPU if there is one")
    parser.add_argument("--out", default="runs/bench.json", help="record to write")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def plan_of(args: argparse.Namespace) -> Plan:
    """The plan that a command line asks for.

    Raises:
        ValueError: in a sentence that names the setting, the value and what it may be.
    """
    from vrnn3d.device import pick_device

    try:
        options = json.loads(args.options)
    except json.JSONDecodeError as problem:
        raise ValueError(f"--options is {args.options!r}, which is not JSON ({problem})") from None
    if args.context >= args.length:
        raise ValueError(f"--context {args.context} leaves nothing to predict of sequences of --length {args.length}: lower it")
    _check_options(options)
    given = {field.name: getattr(args, field.name) for field in dataclasses.fields(Plan)}
    return Plan(**given | {"options": options, "device": str(pick_device(args.device))})


def _check_options(options: Any) -> None:
    """Refuse now what every measurement would fail of."""
    from vrnn3d.models import check_arguments

    if not (isinstance(options, dict) and all(isinstance(each, dict) for each in options.values())):
        raise ValueError(f'--options is {json.dumps(options)}; write arguments per model, as {{"vrnn3d": {{"hidden": 32}}}}')
    for name, arguments in options.items():
        check_arguments(name, arguments)


def run(args: argparse.Namespace) -> int:
    """Measure, write and print; 1 if no row could be measured. ``ValueError`` for settings that cannot be."""
    from vrnn3d.study.bench import record, report, rounds

    if args.own:
        raise ValueError("--import does not reach the processes that measure: name a model of your own with --against")
    check_file(args.out)
    bench = None
    for bench in rounds.run(plan_of(args), progress=not args.quiet):
        record.write(bench, Path(args.out))
    if bench is not None:
        print(report.as_text(bench))
        print(f"record: {args.out}, {bench.rounds_measured} of {args.rounds} rounds complete")
    if bench is None or not bench.rows:
        print("vrnn3d: nothing could be measured", file=sys.stderr)
        return 1
    return 0
