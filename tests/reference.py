"""What the tests of cells against NumPy share: random parameters, random frames, the sigmoid."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """Every parameter drawn at random, gains, shifts and biases too, so that none can be forgotten unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            fan = p[0].numel() if p.dim() > 1 else 4
            p.copy_(torch.randn(p.shape, generator=generator) * fan**-0.5 + (p.dim() == 1))
    return module


def frames(batch: int, length: int, size: tuple[int, int] = (16, 16), channels: int = 1) -> torch.Tensor:
    """The same random video at every call."""
    return torch.rand(batch, length, channels, *size, generator=torch.Generator().manual_seed(1))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))
