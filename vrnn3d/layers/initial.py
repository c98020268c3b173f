"""Initial weights other than PyTorch's default."""

from __future__ import annotations

import torch
from torch import nn


def initialise(conv: nn.Conv2d | nn.Conv3d, gates: int = 1, normed: bool = False) -> None:
    """Glorot's uniform weights, each gate's convolution by itself, and no bias.

    PyTorch's default is three times smaller in variance: through layers of products of tanh the frame's signal then
    fades, and training sits on an empty prediction for long. A convolution that is `normed` keeps its default bias, for
    the norm's gradient at a state of zeros would be enormous.
    """
    with torch.no_grad():
        for weight in conv.weight.chunk(gates):
            nn.init.xavier_uniform_(weight)
        if not normed and conv.bias is not None:
            nn.init.zeros_(conv.bias)


def silence(conv: nn.Module) -> None:
    """Let the last convolution put out zeros at first, so that training need not unlearn noise."""
    for parameter in conv.parameters():
        nn.init.zeros_(parameter)
