"""What the latent losses ask for, in closed form: best widths, minima, infima, and where gradient descent leads.

All of it holds for the family ``vrnn3d.losses.Coefficients``. Values and slopes come from ``vrnn3d.losses.latent_loss`` and
autograd, so that what is analysed is what is trained. sigma_p and sigma_q are the standard deviations of prior and
posterior, and delta = mu_p - mu_q.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from vrnn3d.layers.gaussian import Gaussian
from vrnn3d.losses import VARIANTS, latent_loss

Values: TypeAlias = Any  # a number or an array; what is said of a number holds for each element of an array


def best_prior_variance(variant: str, posterior_variance: Values, delta: Values = 0.0) -> Values:
    """The sigma_p^2 that minimises a variant when q is held fixed."""
    a, b, c, w, mirrored, _ = VARIANTS[variant]
    return (c * posterior_variance + w * delta**2) / a if mirrored else b * posterior_variance / c


def best_posterior_variance(variant: str, prior_variance: Values, delta: Values = 0.0) -> Values:
    """The sigma_q^2 that minimises a variant when p is held fixed."""
    a, b, c, w, mirrored, _ = VARIANTS[variant]
    return b * prior_variance / c if mirrored else (c * prior_variance + w * delta**2) / a


def joint_minimum(variant: str, delta: float) -> tuple[float, float] | None:
    """(sigma_p, sigma_q) at which a variant is smallest for this delta, or None.

    There is none for a = b, where only the ratio of the two counts, and for delta = 0 with a > b, where the loss falls
    without limit.
    """
    a, b, c, w, mirrored, _ = VARIANTS[variant]
    if a <= b or delta == 0:
        return None
    denominator = math.sqrt(w * delta**2 / (a - b))
    numerator = math.sqrt(b / c) * denominator
    return (denominator, numerator) if mirrored else (numerator, denominator)


def infimum(variant: str) -> float:
    """The lowest value over all means and widths, in nats per dimension; minus infinity for a != b."""
    a, b, c, _, _, constant = VARIANTS[variant]
    return b * (1 - math.log(b / c)) / 2 - 0.5 + constant if a == b else -math.inf


def value_and_slopes(variant: str, mean_q, log_q, mean_p, log_p) -> tuple[np.ndarray, list[np.ndarray]]:
    """A loss and its derivatives by mu_q, log sigma_q, mu_p and log sigma_p (numbers or arrays that broadcast), in float64."""
    given = torch.broadcast_tensors(*(torch.as_tensor(x, dtype=torch.float64) for x in (mean_q, log_q, mean_p, log_p)))
    leaves = [x.clone().requires_grad_() for x in given]
    value = latent_loss(Gaussian(leaves[0], leaves[1].exp()), Gaussian(leaves[2], leaves[3].exp()), variant)
    slopes = torch.autograd.grad(value.sum(), leaves)
    return value.detach().numpy(), [s.numpy() for s in slopes]


class Pair(NamedTuple):
    """Two Gaussians: mean and log standard deviation of q, then of p."""

    mean_q: float
    log_q: float
    mean_p: float
    log_p: float


#: Where the figures of the loss chapter let descent begin: apart, one too narrow and one too wide.
START = Pair(mean_q=-1.0, log_q=math.log(0.7), mean_p=1.0, log_p=math.log(1.3))


def drift(variant: str, times: Sequence[float] | np.ndarray, start: Pair = START) -> np.ndarray:
    """Gradient flow of one variant from `start`: (len(times), 4), columns as in `Pair`.

    Raises:
        ArithmeticError: where the integration fails.
    """
    from scipy.integrate import solve_ivp

    def downhill(_, state):
        return [-float(slope) for slope in value_and_slopes(variant, *state)[1]]

    solution = solve_ivp(downhill, (0, times[-1]), start, "LSODA", times, rtol=1e-6)
    if not solution.success:
        raise ArithmeticError(f"the gradient flow of {variant} could not be followed: {solution.message}")
    return solution.y.T
