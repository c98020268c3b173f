"""The oracle: a forecaster that knows the world, for its samples are drawn by the generator of the data itself.

It knows more than any model can: where a digit is to a fraction of a pixel, and how fast it is. What it does not know are the
outcomes of the bounces after the context (and of one in its last frame, which shows in the next).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from vrnn3d.config import Experiment
from vrnn3d.data import build
from vrnn3d.data.moving_mnist import MovingMNIST

#: Futures that are looked at to learn which frame is the first that they do not share.
_COMPARED = 24


def world_of(experiment: Experiment, length: int, count: int | None = None) -> MovingMNIST:
    """The experiment's test sequences of `length` frames, of its last test set; with `count` so many of them.

    Raises:
        ValueError: for data that is no Moving MNIST with random bounces.
    """
    data = experiment.data
    if data.NAME != "moving_mnist" or data.bounce != "random":  # type: ignore[attr-defined]
        raise ValueError(
            f"{experiment.name} has no random bounces, so its futures are known; give an experiment of the group 'chance'"
        )
    if count is not None:
        train, validation, _ = data.sequences  # type: ignore[attr-defined]
        data = replace(data, sequences=(train, validation, count))  # type: ignore[call-arg]
    world = build(data, "test", pool=data.pools()[-1], length=length)
    assert isinstance(world, MovingMNIST)
    return world


class Futures(NamedTuple):
    """What the generator says of some sequences after the context; T predicted frames."""

    samples: Tensor  #: float32 in [0, 1], (B, S, T, 1, H, W)
    position: Tensor  #: int64, (B, S, T, D, 2), upper left corners of the digits


def draw_futures(world: MovingMNIST, indices: Tensor, context: int, ahead: int, count: int) -> Futures:
    """`count` futures of each sequence, drawn by the generator."""
    length = context + ahead
    frames = [world.futures(int(i), context, count, length)[:, context:] for i in indices]
    corners = [world.future_tracks(int(i), context, count, length).corner[:, context:] for i in indices]
    return Futures(torch.stack(frames).float() / 255, torch.stack(corners))


def first_unknown(world: MovingMNIST, indices: Tensor, context: int, ahead: int) -> Tensor:
    """(B,): the number, from 0, of the first predicted frame that depends on the outcome of a bounce; `ahead` for none."""
    found = []
    for index in indices:
        corner = world.future_tracks(int(index), context, _COMPARED, context + ahead).corner[:, context:]
        differs = (corner != corner[:1]).flatten(2).any(-1).any(0)
        found.append(int(differs.int().argmax()) if differs.any() else ahead)
    return torch.tensor(found)
