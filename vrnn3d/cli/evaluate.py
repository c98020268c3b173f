"""Evaluate a run's checkpoint or published weights again: on its own test data, on others, or under other protocols.

Takes from seconds to half an hour, by samples and sequences. The scores of trivial baselines stand beside the
model's: black frames, the last frame repeated, and the mean picture of the training data.
"""

from __future__ import annotations

import argparse
import hashlib
import warnings
from pathlib import Path
from typing import Any

from vrnn3d.cli.options import add_device, add_quiet, add_settings, filled, settings, whole_number
from vrnn3d.config import Experiment
from vrnn3d.files import check_file

_CHANGEABLE = ("data", "eval")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("run", type=filled, help="a run's folder, a checkpoint file, or the name of published weights")
    parser.add_argument(
        "--clips",
        type=filled,
        metavar="PATH",
        help="measure on your own clips: a folder of them, one clip, an array, or the public mnist_test_seq.npy (default: the"
        " test data of the run's settings)",
    )
    parser.add_argument(
        "--protocols",
        type=protocol,
        nargs="+",
        metavar="GIVEN:PREDICTED",
        help="frames given and frames predicted, as 10:20 (default: as the run's settings)",
    )
    parser.add_argument("--samples", type=whole_number(1), help="predictions per sequence (default: as the run's settings)")
    parser.add_argument("--sequences", type=whole_number(1), help="test sequences (default: as the run's settings)")
    add_settings(parser, "data.size=64 or eval.seed=1")
    parser.add_argument(
        "--out",
        type=filled,
        help="write the metrics here as JSON, and those of each frame beside it as CSV (default: evaluation.json in the run's"
        " folder; for published weights evaluation-NAME.json in this one; with --clips, and with settings of your own, the"
        " clips' name and a hash of the settings follow)",
    )
    parser.add_argument(
        "--at-once",
        type=whole_number(1),
        default=1000,
        help="predictions side by side; lower it to save memory, which may draw other noise",
    )
    add_device(parser)
    add_quiet(parser)


def _name(args: argparse.Namespace) -> str:
    """What the metrics are called by default: no two evaluations that differ share a name."""
    from vrnn3d import checkpoint, published

    parts = ["evaluation"]
    if not checkpoint.is_run(args.run):
        parts.append(published.find(args.run).name)
    clips = Path(args.clips).expanduser().resolve() if args.clips else None
    if clips:
        parts.append(clips.stem)
    asked = (args.protocols, args.samples, args.sequences, sorted(args.set), clips and str(clips))
    if any(asked):
        parts.append(hashlib.sha256(repr(asked).encode()).hexdigest()[:6])
    return f"{'-'.join(parts)}.json"


def protocol(text: str) -> tuple[int, int]:
    """A type for argparse: "10:20" or "10->20" as (10, 20)."""
    from vrnn3d.evaluation.protocols import frames_of

    try:
        given, predicted = frames_of(text.replace(":", "->"))
    except ValueError:
        given = predicted = 0
    if not (given and predicted):
        raise argparse.ArgumentTypeError(f"{text!r} is no protocol; write frames given and frames predicted as 10:20")
    return given, predicted


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the scores and write them."""
    from vrnn3d import checkpoint
    from vrnn3d.cli.train import print_scores
    from vrnn3d.device import pick_device
    from vrnn3d.evaluation.evaluate import evaluate
    from vrnn3d.evaluation.protocols import with_fitting_protocols
    from vrnn3d.evaluation.table import write_per_frame
    from vrnn3d.study import records
    from vrnn3d.training.check import check_frames

    out = Path(args.out) if args.out else checkpoint.folder_of(args.run) / _name(args)
    check_file(out)
    if out.suffix.lower() != ".json":
        raise ValueError(f"{out} does not end in .json: name the JSON file, the table of the frames is written beside it")
    check_file(out.with_suffix(".csv"))
    model, trained, _ = checkpoint.load_any(args.run, pick_device(args.device))
    changed = _changed(trained, args)
    check_frames(model, changed.data)
    experiment = with_fitting_protocols(changed)
    (usual, size) = (e.data.height_width for e in (trained, experiment))
    if size != usual:
        told = f"{usual[0]} x {usual[1]} and is measured on {size[0]} x {size[1]}"
        warnings.warn(f"the model was trained on frames of {told}, of which it saw none", stacklevel=2)
    found = evaluate(model, experiment, device=args.device, progress=not args.quiet, at_once=args.at_once)
    about = {"experiment": experiment.name, "profile": experiment.profile, "config": experiment, "evaluation": found}
    records.write_json(records.plain(about), out)
    print_scores(found)
    print(out)
    print(write_per_frame(found, out.with_suffix(".csv")))
    return 0


def _changed(experiment: Experiment, args: argparse.Namespace) -> Experiment:
    """The experiment with the data and the settings of the evaluation that were asked for."""
    from vrnn3d.config import override
    from vrnn3d.data.settings import VideoData

    changes: dict[str, Any] = {}
    if args.clips and isinstance(experiment.data, VideoData):
        changes["data.path"] = args.clips
        trained_on = experiment.name.rpartition("-")[2]  # what the clips hold, wherever they lie (profiles.customised)
        if not VideoData(path=args.clips).contents().startswith(trained_on):
            changes["data.use"] = "test"  # others than were trained on: none needs to be held out
    elif args.clips:  # none of them was trained on: all are for the test
        changes |= {"data.name": VideoData.NAME, "data.path": args.clips, "data.use": "test"}
        changes["data.colour"] = experiment.data.channels == 3
    given = {"protocols": args.protocols, "samples": args.samples, "sequences": args.sequences}
    changes |= {f"eval.{name}": value for name, value in given.items() if value is not None}
    for name, value in settings(args.set).items():
        if name.partition(".")[0] not in _CHANGEABLE:
            raise ValueError(f"--set {name} would change the trained model; here it takes settings of data and eval")
        changes[name] = value
    experiment = override(experiment, changes)
    data = experiment.data
    if isinstance(data, VideoData) and not (data.path and Path(data.path).expanduser().exists()):
        gone = f"are not at {data.path}" if data.path else "are not named in its settings"
        raise FileNotFoundError(f"the clips {gone}: say with --clips where they are")
    return experiment
