"""List experiments, profiles and the state of the queues. Takes a second.

``vrnn3d list`` is an overview, ``vrnn3d list half`` the runs of a queue, done or to do, ``vrnn3d list --todo`` all that is
left of every queue.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from vrnn3d.cli.options import filled

if TYPE_CHECKING:
    from vrnn3d.study.queue import Run
    from vrnn3d.study.records import Record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("what", nargs="?", help="a profile, a queue or a group of experiments (default: an overview)")
    parser.add_argument("--todo", action="store_true", help="only runs that are still to be done: of a queue, or of all")
    parser.add_argument("--out", type=filled, default="runs", help="root of the runs")


def run(args: argparse.Namespace) -> int:
    """Print the list that was asked for."""
    from vrnn3d.study import catalogue, profiles, queue

    groups = list(dict.fromkeys(row.group for row in catalogue.EXPERIMENTS.values()))
    what = args.what
    if what is None and args.todo:
        for name in queue.QUEUES:
            print(f"{name}: {queue.QUEUES[name].summary}")
            _queue(name, args)
    elif what is None:
        _overview(args, groups)
    elif what in queue.QUEUES:
        _queue(what, args)
    elif what in profiles.PROFILES:
        _experiments(profiles.names(what))
    elif what in groups:
        _experiments(catalogue.names(what))
    else:
        known = {"queues": list(queue.QUEUES), "profiles": list(profiles.PROFILES), "groups": groups}
        listed = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in known.items())
        raise ValueError(f"there is nothing called {what!r} to list; {listed}")
    if what in queue.QUEUES and what in profiles.PROFILES:
        print(f"\n{what} is also a profile: {profiles.PROFILES[what].summary}")
    return 0


def _overview(args: argparse.Namespace, groups: list[str]) -> None:
    from vrnn3d.study import catalogue, profiles, queue
    from vrnn3d.study.records import read_records

    print("experiments, by group (vrnn3d list GROUP)")
    for group in groups:
        names = catalogue.names(group)
        print(f"  {group:12} {len(names):3}  {', '.join(names[:4])}{', ...' if len(names) > 4 else ''}")
    print("\nprofiles (vrnn3d list PROFILE)")
    for name, profile in profiles.PROFILES.items():
        print(f"  {name:12} {profile.summary}")
    print("\nqueues (vrnn3d list QUEUE)")
    done = read_records(skip_damaged=True)
    for name in queue.QUEUES:
        left, runs = _left(name, args.out, done), queue.runs(name)
        print(f"  {name:12} {len(runs) - len(left)} of {len(runs)} runs done: {queue.QUEUES[name].summary}")


def _left(name: str, out: str, done: list[Record]) -> list[Run]:
    from vrnn3d.study import queue
    from vrnn3d.study.folders import waiting

    return list(waiting(out, queue.unfinished(name, done)))


def _queue(name: str, args: argparse.Namespace) -> None:
    from vrnn3d.study import queue
    from vrnn3d.study.records import read_records

    left = set(_left(name, args.out, read_records(skip_damaged=True)))
    if args.todo and not left:
        print("  nothing is left to do")
    for run in queue.runs(name):
        if run in left or not args.todo:
            state = "to do" if run in left else "done"
            print(f"  {state:6} {run.name:32} {run.profile:9} seed {run.seed}  {run.experiment.title}")


def _experiments(names: list[str]) -> None:
    from vrnn3d.study import catalogue

    for name in names:
        row = catalogue.EXPERIMENTS[name]
        print(f"{row.group:12} {name:32} {row.title}")
