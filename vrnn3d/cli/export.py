"""Write a trained model in a form that other programs run: a script for web pages. Takes seconds."""

from __future__ import annotations

import argparse
from pathlib import Path

from vrnn3d.cli.options import filled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("model", type=filled, help="run folder, checkpoint or published weights")
    parser.add_argument(
        "--web", type=filled, required=True, metavar="FILE", help="a .js file for a web page, in half precision"
    )


def run(args: argparse.Namespace) -> int:
    """Export, and print the file written and its size."""
    from vrnn3d import checkpoint
    from vrnn3d.study import web

    model, experiment = checkpoint.load_any(args.model)
    rounding = web.write(model, experiment, args.web)
    size = Path(args.web).stat().st_size
    print(f"{args.web}: {size / 1e6:.2f} MB, {experiment.title} ({experiment.profile})")
    print(f"rounding its weights to half precision moves a pixel by {rounding:.0e} on average")
    return 0
