"""Does a latent carry the direction that a digit takes after a bounce? A linear probe, and what it tells in nats.

The cross-entropy of any classifier on data that it was not fitted to is at least the conditional entropy of the label. So
what a probe on z takes off the cross-entropy of guessing by the wall alone is a lower bound, up to the sampling of the test
set, on the information that z has about the direction, given the wall (Barber and Agakov, NeurIPS 2003).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vrnn3d.evaluation.metrics import bootstrap

DIRECTIONS = 8  #: equal sectors of the circle; four of them lead away from each wall
CEILING = math.log(DIRECTIONS / 2)  #: nats: all there is to know of the direction, given the wall
WALLS = 4
#: Weights of the squared coefficients that are tried; the best on the second part of the data is taken.
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_FITTED, _CHOSEN = 0.6, 0.8  # the first part fits, the second chooses the penalty, the rest is held out


@dataclass(frozen=True)
class Probe:
    """What a linear probe found."""

    nats: float  #: held-out cross-entropy of the wall alone minus that with the features
    interval: tuple[float, float]  #: 95% bootstrap over held-out bounces
    accuracy: float  #: of the most probable sector, held out; a quarter by chance
    bounces: int  #: in all three parts


class Bounces(NamedTuple):
    """Bounces off a single wall whose direction the frame after shows; all tensors have one row for each."""

    sequence: Tensor  #: int64, which sequence
    frame: Tensor  #: int64, the frame in which the digit touches the wall
    corner: Tensor  #: int64 (n, 2), the digit's upper left pixel in that frame
    wall: Tensor  #: int64, 0 .. 3: top, bottom, left, right
    direction: Tensor  #: int64, 0 .. 7: sector of the new velocity


def find_bounces(position: Tensor, free: tuple[int, int]) -> Bounces:
    """The bounces of one digit whose new velocity is seen undisturbed in the frame after.

    Args:
        position: float64 (B, T, 2), unrounded (``MovingMNIST.positions``).
        free: how far a digit can move down and across.
    """
    low, high = position == 0, position == torch.tensor(free, dtype=position.dtype)
    touches = torch.stack([low[..., 0], high[..., 0], low[..., 1], high[..., 1]], -1)  # (B, T, walls)
    single = (touches[:, :-1].sum(-1) == 1) & (touches[:, 1:].sum(-1) == 0)
    sequence, frame = single.nonzero(as_tuple=True)
    velocity = position[sequence, frame + 1] - position[sequence, frame]
    angle = torch.atan2(velocity[:, 0], velocity[:, 1]) / (2 * math.pi) % 1.0
    return Bounces(
        sequence,
        frame,
        position[sequence, frame].long(),
        touches[sequence, frame].int().argmax(-1),
        (angle * DIRECTIONS).long().clamp_max(DIRECTIONS - 1),
    )


def around(maps: Tensor, corner: Tensor, digit: int, cell: int) -> Tensor:
    """The part of each map around its digit, one cell wider on each side: (n, C, h, w) -> (n, C * side * side).

    Args:
        maps: features on a grid of cells.
        corner: (n, 2), the digit's upper left pixel.
        digit: height and width of a digit in pixels.
        cell: pixels of a cell.

    What lies outside of the frame is 0.
    """
    side = -(-(digit - 1) // cell) + 3
    padded = F.pad(maps, (1, side, 1, side))
    first = corner // cell  # in the padded map this is one cell before the digit
    reach = torch.arange(side)
    rows, columns = first[:, 0, None] + reach, first[:, 1, None] + reach
    each = torch.arange(len(maps))[:, None, None]
    cut = padded.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]]
    return cut.flatten(1)


def probe(features: Tensor, wall: Tensor, direction: Tensor, seed: int = 0) -> Probe:
    """Fit a softmax regression of the direction on the wall and the features, and measure it on what is held out.

    Args:
        features: (n, K), rows of one sequence in one block, for they are split in order.
        wall: (n,), 0 .. 3.
        direction: (n,), 0 .. 7.
        seed: of the bootstrap.

    Raises:
        ValueError: for fewer than 100 bounces.
    """
    count = len(features)
    if count < 100:
        raise ValueError(f"{count} bounces are too few for a probe, which takes 100 at least; take more sequences")
    cuts = [0, int(_FITTED * count), int(_CHOSEN * count), count]
    fitted, chosen, held = (slice(a, b) for a, b in zip(cuts, cuts[1:]))
    known = F.one_hot(wall, WALLS).double()
    values = features.double()
    scale = values[fitted].std(0)
    values = (values - values[fitted].mean(0)) / torch.where(scale > 0, scale, 1.0)
    both = torch.cat([known, values], 1)

    def losses(inputs: Tensor, weight: Tensor, part: slice) -> Tensor:
        return F.cross_entropy(inputs[part] @ weight, direction[part], reduction="none")

    tried = [_fit(both[fitted], direction[fitted], penalty) for penalty in PENALTIES]
    best = min(tried, key=lambda weight: losses(both, weight, chosen).mean().item())
    alone = _fit(known[fitted], direction[fitted], 0.0)
    gain = losses(known, alone, held) - losses(both, best, held)
    low, high = bootstrap(gain.numpy(), seed=seed)
    right = (both[held] @ best).argmax(1) == direction[held]
    return Probe(gain.mean().item(), (float(low), float(high)), right.double().mean().item(), count)


def _fit(inputs: Tensor, labels: Tensor, penalty: float) -> Tensor:
    """Coefficients (K, DIRECTIONS) with the least mean cross-entropy plus penalty; those of the walls are free."""
    weight = torch.zeros(inputs.shape[1], DIRECTIONS, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight], max_iter=200, line_search_fn="strong_wolfe")
    tiny = 1e-6  # of the free ones: directions that a wall does not allow would run off to minus infinity

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(inputs @ weight, labels)
        loss = loss + penalty * weight[WALLS:].square().sum() + tiny * weight[:WALLS].square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return weight.detach()
