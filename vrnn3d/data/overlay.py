"""Drawing small moving pictures into frames, the brighter pixel in front, by copying whole machine words."""

from __future__ import annotations

import torch
from torch import Tensor

_WORD = 8  # bytes of an int64


def overlay(pictures: Tensor, corner: Tensor, frames: Tensor) -> None:
    """Draw each sequence's pictures at their places into `frames`, which is overwritten.

    Rows are copied as 64-bit words, of which an MNIST digit has 140 and not 784: each picture is first shifted to all 8
    phases within a word. Every picture has a canvas of its own, so that no word is written twice.

    Args:
        pictures: uint8 (B, D, h, w).
        corner: int64 (B, T, D, 2), pixels (y, x) of each picture's upper left corner, within the frame.
        frames: uint8 (B, T, H, W).
    """
    batch, count, side, width = pictures.shape
    length, (rows_of_frame, columns) = corner.shape[1], frames.shape[2:]
    words = -(-(width + _WORD - 1) // _WORD)  # of a picture's row, at any of its phases
    stride = (columns - width) // _WORD + words  # words of a canvas row
    phases = torch.zeros(batch * count, _WORD, side, words * _WORD, dtype=torch.uint8, device=frames.device)
    for phase in range(_WORD):
        phases[:, phase, :, phase : phase + width] = pictures.flatten(0, 1)
    y, x = corner.transpose(1, 2).flatten(0, 1).unbind(-1)  # (B * D, T)
    which = torch.arange(batch * count, device=frames.device)[:, None]
    rows = phases.view(torch.int64).view(-1, side * words)
    rows = rows.index_select(0, (which * _WORD + x % _WORD).flatten())

    frame = which * length + torch.arange(length, device=frames.device)
    first = frame * (rows_of_frame * stride) + y * stride + x // _WORD
    offsets = torch.arange(side, device=frames.device)[:, None] * stride + torch.arange(words, device=frames.device)
    canvas = torch.zeros(batch * count * length * rows_of_frame * stride, dtype=torch.int64, device=frames.device)
    canvas.scatter_(0, (first.flatten()[:, None] + offsets.flatten()).flatten(), rows.flatten())
    canvas = canvas.view(torch.uint8).view(batch, count, length, rows_of_frame, stride * _WORD)
    layers = canvas[..., :columns].unbind(1)
    if count == 1:
        frames.copy_(layers[0])
        return
    torch.maximum(layers[0], layers[1], out=frames)
    for layer in layers[2:]:
        torch.maximum(frames, layer, out=frames)
