"""What the tests of cells against NumPy share: random parameters, random frames, the sigmoid."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from vrnn3d.rollout import rollout


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


def assert_same_function(fast: nn.Module, plain: nn.Module, clip: torch.Tensor, context: int, length: int) -> None:
    """The plain form, after loading the fast form's weights, predicts the same with the same gradients."""
    plain.load_state_dict(fast.state_dict())
    results = []
    for model, batched in ((fast, True), (plain, False)):
        prediction, _ = rollout(model, clip, context, length, batched=batched)
        prediction.square().sum().backward()
        results.append([prediction, *(p.grad for p in model.parameters())])
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-5, atol=1e-5)
    for a, b in zip(*results):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * b.abs().max().item())


def sigmoid(x):
    return 1 / (1 + np.exp(-x))
