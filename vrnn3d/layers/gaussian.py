"""Diagonal Gaussians over latent tensors."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SIGMA_MIN = 0.1  # floor on the standard deviation; 0 gives the paper's unbounded form


class Gaussian(NamedTuple):
    """A diagonal Gaussian N(mean, diag(std^2)); both tensors (batch, channel, depth, height, width), std > 0."""

    mean: Tensor
    std: Tensor

    def sample(self, noise: Tensor | None = None) -> Tensor:
        """mean + std * noise: a draw through which gradients flow (eqs. 3 and 4); noise is N(0, 1) by default."""
        return self.mean + self.std * (torch.randn_like(self.mean) if noise is None else noise)


def gaussian_from_raw(raw: Tensor, sigma_min: float = SIGMA_MIN) -> Gaussian:
    """Split (batch, 2C, ...) into mean and std = sigma_min + softplus(raw std), in float32.

    Both heads are the two halves of one convolution's output.
    """
    mean, scale = raw.float().chunk(2, dim=1)
    return Gaussian(mean, sigma_min + F.softplus(scale))
