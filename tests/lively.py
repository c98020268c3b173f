"""Models in which everything matters, without a training."""

from __future__ import annotations

import torch
from torch import nn

from vrnn3d.models import build_model
from vrnn3d.models.base import VideoModel

HALF = dict(window=2, horizon=2, widths=(8, 16), hidden=32, latent=4, head=32)


def lively(name: str = "vrnn3d", seed: int = 0, **options) -> VideoModel:
    """A model at half scale with random weights of a size that keeps signals alive, and norms that do something."""
    torch.manual_seed(seed)
    model = build_model(name, **{**HALF, **options}).eval()
    for module in model.modules():
        if isinstance(module, (nn.Conv3d, nn.ConvTranspose3d)):
            nn.init.normal_(module.weight, std=1.4 / module.weight[0].numel() ** 0.5)
        elif isinstance(module, (nn.BatchNorm3d, nn.GroupNorm)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
        if isinstance(module, nn.BatchNorm3d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
    return model
