"""Write a run's weights, and a card about them, under the package's weights/: of a checkout, where it lies. Takes seconds."""

from __future__ import annotations

import argparse

from vrnn3d.cli.options import filled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("run", type=filled, help="a run's folder")
    parser.add_argument("--name", type=filled, help="a plain name for the published weights (default: the experiment's)")
    parser.add_argument("--replace", action="store_true", help="replace the weights of another run that have this name")


def run(args: argparse.Namespace) -> int:
    """Publish, and print the files written."""
    from vrnn3d import checkpoint, published
    from vrnn3d.config import override
    from vrnn3d.data.settings import VideoData
    from vrnn3d.study import records
    from vrnn3d.study.card import model_card
    from vrnn3d.study.folders import RECORD

    state = checkpoint.load_state(args.run)
    model, experiment, _ = checkpoint.loaded(state, args.run)
    path = checkpoint.folder_of(args.run) / RECORD
    record = records.read(path) if path.exists() else None
    if record is None or record.training.updates != state["step"]:
        told = "there is no record" if record is None else "the record is not of the weights"
        raise ValueError(f"{told} in {path.parent}: the run's own train command, once more, writes it")
    about = {"seed": record.seed, "status": record.status, "sequences": record.training.sequences}
    about |= records.plain({"provenance": record.provenance})
    name = args.name or experiment.name.replace("+", "-")  # of settings of the user's own, which hubs do not take
    card = model_card(name, record)
    if not args.replace and (other := published.other_run(name, experiment, record.seed)):
        raise ValueError(f"{name} is published already, from {other}: choose a --name, or --replace it")
    if isinstance(experiment.data, VideoData):  # where the user's clips lie is nobody else's business
        experiment = override(experiment, {"data.path": ""})
    for path in published.publish(model.state_dict(), experiment, name, about, card):
        print(path)
    return 0
