"""Evaluate a run's checkpoint or published weights again. Takes from seconds to half an hour, by samples and sequences."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from vrnn3d.cli.options import add_device, add_quiet, whole_number
from vrnn3d.files import check_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("run", help="a run's folder, a checkpoint file, or the name of published weights")
    parser.add_argument("--out", help="write the metrics here as JSON (default: evaluation.json in the run's folder)")
    parser.add_argument("--samples", type=whole_number(1), help="predictions per sequence (default: as the run's settings)")
    parser.add_argument("--sequences", type=whole_number(1), help="test sequences (default: as the run's settings)")
    parser.add_argument(
        "--at-once", type=whole_number(1), default=1000, help="predictions side by side; lower it to save memory"
    )
    add_device(parser)
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the scores and write them."""
    from vrnn3d import checkpoint
    from vrnn3d.cli.train import print_scores
    from vrnn3d.device import pick_device
    from vrnn3d.evaluation.evaluate import evaluate
    from vrnn3d.study import records

    out = Path(args.out) if args.out else checkpoint.folder_of(args.run) / "evaluation.json"
    check_file(out)
    model, experiment = checkpoint.load_any(args.run, pick_device(args.device))
    changed = {k: v for k, v in (("samples", args.samples), ("sequences", args.sequences)) if v is not None}
    experiment = dataclasses.replace(experiment, eval=dataclasses.replace(experiment.eval, **changed))
    found = evaluate(model, experiment, device=args.device, progress=not args.quiet, at_once=args.at_once)
    records.write_json(records.plain({"experiment": experiment.name, "profile": experiment.profile, "evaluation": found}), out)
    print_scores(found)
    print(out)
    return 0
