"""Train one run, or continue it; then evaluate it and write its record.

A run of the smoke profile takes about a minute, of the half profile an hour or two on a CPU core, of the paper profile from
ten minutes to hours on a GPU. A run can be stopped at any time (Ctrl-C); the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import shlex
import time
from contextlib import suppress

from vrnn3d.cli.options import (
    add_device,
    add_quiet,
    add_settings,
    filled,
    positive_number,
    refuse_source,
    settings,
    whole_number,
)
from vrnn3d.cli.own import importing
from vrnn3d.config import Experiment
from vrnn3d.files import check_writable

#: What is trained where nothing is named.
_NAME, _PROFILE = "vrnn3d_kl_ll", "smoke"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    from vrnn3d.study.profiles import PROFILES
    from vrnn3d.study.queue import QUEUES

    parser.add_argument("name", nargs="?", help=f"experiment; see: vrnn3d list (default: {_NAME})")
    parser.add_argument("--profile", choices=list(PROFILES), help=f"how large and how long (default: {_PROFILE})")
    parser.add_argument("--seed", type=whole_number(0), help="of weights, data order and noise (default: 0)")
    parser.add_argument("--out", type=filled, default="runs", help="root of the runs")
    parser.add_argument(
        "--max-minutes", type=positive_number, metavar="N", help="stop at a checkpoint after this long (default: never)"
    )
    queues = "; ".join(f"{name}: {queue.summary}" for name, queue in QUEUES.items())
    parser.add_argument(
        "--next",
        nargs="?",
        const="full",
        choices=list(QUEUES),
        metavar="QUEUE",
        help=f"take the first unfinished run of the queue that no other process trains, then the next. {queues}",
    )
    parser.add_argument("--evaluate-cut", action="store_true", help="evaluate also a training that was stopped early")
    parser.add_argument("--record", action="store_true", help="also write the record into the repository's results/")
    parser.add_argument(
        "--clips",
        type=filled,
        metavar="FOLDER",
        help="train on your own videos: a folder of clips, or one clip; grey, unless --set data.colour=true keeps colour",
    )
    add_settings(parser)
    add_device(parser)
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Train what was asked for."""
    from vrnn3d.study import records
    from vrnn3d.study.profiles import customised, get

    changes = settings(args.set)
    if args.record and (changes or args.clips):
        raise ValueError("--record is for the study's own runs; with --set or --clips the record stays in --out")
    if args.clips:
        refuse_source(args.out, args.clips)
        changes = {"data.name": "video", "data.path": os.path.abspath(os.path.expanduser(args.clips)), **changes}
    if args.record:
        check_writable(records.folder())
    started = time.monotonic()
    if not args.next:
        experiment = customised(get(args.name or _NAME, args.profile or _PROFILE), changes)
        if args.clips:
            _announce(experiment)
        if args.max_minutes is not None and time.monotonic() - started >= 60 * args.max_minutes:
            raise ValueError(
                f"the {args.max_minutes:g} minutes of --max-minutes were over before the training began: give it more"
            )
        _one(experiment, args.seed or 0, args, started)
        return 0
    if args.name or args.profile or args.seed is not None:
        raise ValueError(f"--next {args.next} names the runs itself; leave out the experiment, --profile and --seed")
    if changes:
        raise ValueError("--next takes runs of the study as they are; leave out --set and --clips, or name one experiment")
    _queue(args, started)
    return 0


def _announce(experiment: Experiment) -> None:
    """What is made of the user's own clips, and how it is changed."""
    height, width = experiment.data.height_width
    colour = "colour" if experiment.data.channels == 3 else "grey (in colour with --set data.colour=true)"
    print(f"own clips: {colour}, {height} x {width} pixels (others with --set data.size=[HEIGHT,WIDTH])")


def _queue(args: argparse.Namespace, started: float) -> None:
    """Run after run of a queue, until it or the time is at its end."""
    from vrnn3d.study import queue, records
    from vrnn3d.study.folders import Taken, commit_record, local_record, run_folder

    left = queue.unfinished(args.next, records.read_records(skip_damaged=True))
    if not left:
        print("the queue is done")
    for run in left:
        experiment, seed = run.experiment, run.seed
        done = local_record(args.out, experiment, seed)  # another process may have finished it since
        if done is None:
            with suppress(Taken):
                if not _one(experiment, seed, args, started):
                    return
        elif args.record:
            print(f"recorded: {commit_record(done, run_folder(args.out, experiment, seed))}")


def _one(experiment: Experiment, seed: int, args: argparse.Namespace, started: float) -> bool:
    """Train, evaluate and record one run; whether it came to its end."""
    from vrnn3d.study.folders import RECORD, commit_record, run_folder
    from vrnn3d.study.run import run
    from vrnn3d.training.distributed import Team
    from vrnn3d.training.state import TrainingDiverged

    minutes = None if args.max_minutes is None else args.max_minutes - (time.monotonic() - started) / 60
    if minutes is not None and minutes <= 0:
        return False
    try:
        record = run(
            experiment,
            seed,
            args.out,
            device=args.device,
            max_minutes=minutes,
            evaluate_cut=args.evaluate_cut,
            progress=not args.quiet,
        )
    except TrainingDiverged as error:
        command = _again(experiment, seed, args, error.changes)
        raise TrainingDiverged(f"{error}: {command}", error.changes) from None
    if Team.current().leads:
        folder = run_folder(args.out, experiment, seed)
        goes_on = "" if record.finished else "; the same command goes on"
        print(f"{record.status}: {record.training.sequences} sequences; {folder / RECORD}{goes_on}")
        print_scores(record.evaluation)
        if args.record:
            print(f"recorded: {commit_record(record, folder)}")
    return record.finished


def _again(experiment: Experiment, seed: int, args: argparse.Namespace, changes: dict[str, str]) -> str:
    """The command that runs an experiment again with other settings, ready to be typed."""
    name = experiment.name.partition("+")[0]  # what follows the plus sign says that --set or --clips changed it
    words = ["vrnn3d", *importing(args.own), "train", name, "--profile", experiment.profile, "--seed", str(seed)]
    words += ["--out", args.out]
    for option, value in (("--clips", args.clips), ("--device", args.device)):
        words += [option, value] if value else []
    return shlex.join([*words, "--set", *args.set, *(f"{setting}={value}" for setting, value in changes.items())])


def print_scores(evaluation: dict) -> None:
    """A line for each test set and protocol, with the scores of trivial baselines beside the model's."""
    for pool, protocols in evaluation.items():
        for protocol, entry in protocols.items():
            mse, ssim = entry.scores["mse"].average, entry.scores["ssim"].average
            count = f"{entry.sequences:,} sequence{'s' * (entry.sequences != 1)}"
            line = f"  {pool} {protocol}, {count}: MSE {mse:.2f}  SSIM {ssim:.4f}"
            if entry.baselines:
                known = ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in entry.baselines.items())
                line += f"  (MSE of {known})"
            print(line)
