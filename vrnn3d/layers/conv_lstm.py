"""Convolutional LSTM (Shi et al. 2015), in 3D or, with a kernel of depth 1, in 2D."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vrnn3d.layers.depth_folding import Conv3d, cat_channels, same_size
from vrnn3d.layers.initial import initialise

State = tuple[Tensor, Tensor]  # (hidden h, cell c), both (B, hidden, D, H, W)


class ConvLSTMCell(nn.Module):
    """One ConvLSTM level, all four gates in one convolution, without peepholes (as all public code has it).

    The input is the concatenation of `inputs` channels and the hidden state. The part of the convolution that sees the
    first `ahead` input channels can be computed before the recurrence runs, for many steps at once: :meth:`project`.
    """

    def __init__(self, inputs: int, hidden: int, kernel: tuple[int, int, int], ahead: int = 0):
        super().__init__()
        self.hidden, self.ahead = hidden, ahead
        self.gates = Conv3d(inputs + hidden, 4 * hidden, kernel, padding=same_size(kernel))

    def initial_state(self, batch: int, size: tuple[int, int, int], device=None, dtype=None) -> State:
        """Zeros: (h, c), each ``(batch, hidden, *size)`` in the memory order of folded convolutions."""
        depth, height, width = size
        zeros = torch.zeros(batch, height, width, depth, self.hidden, device=device, dtype=dtype)
        return zeros.permute(0, 4, 3, 1, 2), zeros.clone().permute(0, 4, 3, 1, 2)

    def start_from_glorot(self) -> None:
        """Glorot's weights per gate and a forget gate that starts open, instead of PyTorch's default."""
        initialise(self.gates, gates=4)
        assert self.gates.bias is not None
        with torch.no_grad():
            self.gates.bias[self.hidden : 2 * self.hidden] = 1.0

    def project(self, x: Tensor) -> Tensor:
        """The share of the gates' pre-activation that comes from the first `ahead` channels, bias included."""
        return self.gates(x, slice(0, self.ahead))

    def forward(self, parts: tuple[Tensor, ...], state: State, projected: Tensor | None = None) -> State:
        """One step -> (h, c). `parts` are the input's channels; with `projected` the first `ahead` of them left out."""
        h, c = state
        if projected is None:
            gates = self.gates(cat_channels(*parts, h))
        else:
            gates = projected + self.gates(cat_channels(*parts, h), slice(self.ahead, None), bias=False)
        i, f, o, g = gates.chunk(4, dim=1)
        # Shi et al., eq. 3
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c
