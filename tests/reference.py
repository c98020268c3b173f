"""What tests of models share: random parameters and frames, the sigmoid, and weights like torchvision's r3d_18."""

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


# Written from the published structure of torchvision's r3d_18, not read off our encoder.
BLOCKS = [("layer1.0", 64, 64), ("layer1.1", 64, 64), ("layer2.0", 64, 128), ("layer2.1", 128, 128)]


def r3d_18_weights() -> dict[str, torch.Tensor]:
    """Random weights under the keys and shapes of torchvision's r3d_18, its later layers and classifier included."""
    shapes = {"stem.0.weight": (64, 3, 3, 7, 7)}

    def norm(name: str, channels: int) -> None:
        for key in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{key}"] = (channels,)
        shapes[f"{name}.num_batches_tracked"] = ()

    norm("stem.1", 64)
    for name, inputs, outputs in [*BLOCKS, ("layer3.0", 128, 256), ("layer4.0", 256, 512)]:
        shapes[f"{name}.conv1.0.weight"] = (outputs, inputs, 3, 3, 3)
        norm(f"{name}.conv1.1", outputs)
        shapes[f"{name}.conv2.0.weight"] = (outputs, outputs, 3, 3, 3)
        norm(f"{name}.conv2.1", outputs)
        if inputs != outputs:
            shapes[f"{name}.downsample.0.weight"] = (outputs, inputs, 1, 1, 1)
            norm(f"{name}.downsample.1", outputs)
    shapes |= {"fc.weight": (400, 512), "fc.bias": (400,)}
    torch.manual_seed(0)
    return {k: torch.rand(s) if s else torch.zeros(s, dtype=torch.long) for k, s in shapes.items()}
