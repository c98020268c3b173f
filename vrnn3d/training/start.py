"""Where a training starts from: random weights, a finished run, published weights, or a network trained on Kinetics."""

from __future__ import annotations

from pathlib import Path

import torch

from vrnn3d import checkpoint
from vrnn3d.config import origin
from vrnn3d.models.base import VideoModel

_KINETICS_KEY = "layer2.0.conv1.0.weight"


def load_start(model: VideoModel, source: str) -> str:
    """Give a model the weights that ``train.start`` names; what the record says of them.

    Args:
        model: freshly initialised; it keeps what the source does not have.
        source: a run's folder or checkpoint, the name of published weights, or a file with the state dict of
            torchvision's ``r3d_18`` (paper, sect. 4.1: Kinetics-400 weights for encoder and decoder). Empty: nothing.

    Raises:
        FileNotFoundError: when there is no such thing.
        ValueError: when it is none of them, or its weights have other shapes.
    """
    if not source:
        return ""
    if Path(source).is_file() and (weights := _torchvision(Path(source))) is not None:
        model.load_kinetics(weights)
        return f"torchvision r3d_18 ({Path(source).name})"
    trained = checkpoint.load_any(source)
    theirs, mine = trained.model.state_dict(), model.state_dict()
    wrong = [name for name in mine if name not in theirs or theirs[name].shape != mine[name].shape]
    if wrong:
        raise ValueError(
            f"train.start names {source}, a {trained.experiment.model.name} whose {wrong[0]} does not fit this model"
            f" ({len(wrong)} of {len(mine)} weights differ); give both the same model settings"
        )
    model.load_state_dict({name: theirs[name] for name in mine})
    return origin(trained.experiment, trained.seed)


def _torchvision(path: Path) -> dict | None:
    """The state dict of torchvision's ``r3d_18`` in a file, or None where the file holds something else."""
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # what is no file of weights is told by checkpoint.load_any, with its reason
        return None
    return weights if isinstance(weights, dict) and _KINETICS_KEY in weights else None
