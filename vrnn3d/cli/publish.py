"""Write a run's weights, and a card about them, under weights/. Takes seconds."""

from __future__ import annotations

import argparse
from pathlib import Path

from vrnn3d.cli.options import filled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("run", type=filled, help="a run's folder")
    parser.add_argument("--name", type=filled, default="vrnn3d", help="name of the published weights")


def run(args: argparse.Namespace) -> int:
    """Publish, and print the files written."""
    from vrnn3d import checkpoint
    from vrnn3d.study import card, records
    from vrnn3d.study.folders import RECORD

    folder = Path(args.run)
    model, experiment = checkpoint.load_run(folder)
    record = records.read(folder / RECORD)
    about = {"seed": record.seed, "status": record.status, "sequences": record.training.sequences}
    about |= records.plain({"provenance": record.provenance})
    target = checkpoint.PUBLISHED / args.name
    for path in (*checkpoint.publish(model, experiment, target, about), card.publish_card(record, target)):
        print(path)
    return 0
