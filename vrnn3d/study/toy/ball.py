"""The ball of the toy experiment: a world whose future is uncertain in a way that can be computed.

A point flies straight through the square [-1, 1]^2 and leaves each wall in a random direction. Lengths are half-widths of the
box; tensors of positions are (..., 2).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

SPEED = 0.25  #: of the ball, half-widths of the box per frame
SPREAD = math.radians(75)  #: a wall sends the ball off within this angle of its inward normal, uniformly
CONTEXT, HORIZON = 8, 12  #: frames seen and frames predicted in the test


def launch(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Positions and velocities (n, 2) of n balls: uniform in the box, direction uniform on the circle."""
    angle = 2 * math.pi * torch.rand(n, generator=generator)
    return 2 * torch.rand(n, 2, generator=generator) - 1, SPEED * torch.stack([angle.cos(), angle.sin()], -1)


def fly(position: Tensor, velocity: Tensor, frames: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The next `frames` positions (n, frames, 2), in [-1, 1], and the velocities (n, 2) after the last of them."""
    path = []
    for _ in range(frames):
        position = position + velocity
        for axis in (0, 1):
            side = position[:, axis].sign()
            hit = position[:, axis].abs() > 1
            angle = SPREAD * (2 * torch.rand(len(position), generator=generator) - 1)
            away, along = -side * SPEED * angle.cos(), SPEED * angle.sin()
            # In a corner the second bounce must not send the ball back through the first wall.
            along = torch.where(position[:, 1 - axis].abs() > 1, -position[:, 1 - axis].sign() * along.abs(), along)
            bounced = torch.stack([away, along] if axis == 0 else [along, away], -1)
            velocity = torch.where(hit[:, None], bounced, velocity)
        position = torch.where(position.abs() > 1, 2 * position.sign() - position, position)
        path.append(position)
    return torch.stack(path, 1), velocity


def true_futures(position: Tensor, velocity: Tensor, samples: int, generator: torch.Generator) -> Tensor:
    """The true sampler, the simulator itself: (n, samples, HORIZON, 2) futures of balls whose state is known."""
    n = len(position)
    again, onward = (t.repeat_interleave(samples, 0) for t in (position, velocity))
    return fly(again, onward, HORIZON, generator)[0].view(n, samples, HORIZON, 2)


class HeldOut(NamedTuple):
    """Sequences of CONTEXT + HORIZON positions, and the ball's true state where the context ends."""

    frames: Tensor  #: (n, CONTEXT + HORIZON, 2)
    position: Tensor  #: (n, 2)
    velocity: Tensor  #: (n, 2)


def held_out(n: int, seed: int = 10_000) -> HeldOut:
    """`n` test sequences; `seed` is far from those of the trainings."""
    generator = torch.Generator().manual_seed(seed)
    seen, velocity = fly(*launch(n, generator), CONTEXT, generator)
    future, _ = fly(seen[:, -1], velocity, HORIZON, generator)
    return HeldOut(torch.cat([seen, future], 1), seen[:, -1], velocity)
