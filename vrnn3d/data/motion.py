"""How a digit moves: straight on between the walls, and what a bounce makes of its velocity.

Positions are float64 whose products and sums are rounded one by one, and directions come from one table, so that every
device computes the same paths. Axes are (y, x) throughout, units are pixels and frames.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BOUNCES = ("mirror", "random")
DIRECTION_BITS = 16  # the circle in 65,536 directions


def directions() -> Tensor:
    """float64 (65536, 2): (sin, cos) of equidistant angles; from one table, as sines differ between devices."""
    angles = [2 * math.pi * k / (1 << DIRECTION_BITS) for k in range(1 << DIRECTION_BITS)]
    return torch.tensor([(math.sin(a), math.cos(a)) for a in angles], dtype=torch.float64)


def paths(start: Tensor, velocity: Tensor, free: Tensor, length: int, turns: Tensor | None = None) -> Tensor:
    """Where digits are in each of `length` frames, float64 (B, length, D, 2), within [0, free].

    The first frame is one step after the start. A digit that reaches a wall stays at it for that frame; from the next
    frame on it has its new velocity.

    Args:
        start: (B, D, 2), positions within [0, free].
        velocity: (B, D, 2), pixels a frame.
        free: (2,), how far a digit can move down and across.
        length: number of frames.
        turns: None for mirrored bounces: the velocity across the wall is reversed. Else (B, length, D, 2), the velocity
            that a digit takes up where it meets a wall in that frame; it is mirrored at the walls the digit touches, so
            that it leads away from them: a direction uniform over the circle becomes one uniform over the half circle,
            or in a corner over the quarter circle.
    """
    position, path = start, []
    zero = torch.zeros_like(free)
    for frame in range(length):
        position = position + velocity
        low, high = position <= 0, position >= free
        if turns is None:
            velocity = torch.where(low | high, -velocity, velocity)
        else:
            turn = turns[:, frame]
            turn = torch.where(low, turn.abs(), torch.where(high, -turn.abs(), turn))
            velocity = torch.where((low | high).any(-1, keepdim=True), turn, velocity)
        position = position.clamp(zero, free)
        path.append(position)
    return torch.stack(path, dim=1)
