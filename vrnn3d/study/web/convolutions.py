"""3D convolutions and norms as the 2D operations of an exported model. Nothing is rounded beyond float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from torch import Tensor, nn

from vrnn3d.layers.depth_folding import BatchNorm3d, GroupNorm3d
from vrnn3d.study.web.graph import Clip, Graph

#: Either direction; ``depth_folding``'s own are among them.
Convolution: TypeAlias = nn.Conv3d | nn.ConvTranspose3d


def _band(kernel: np.ndarray, depth_in: int, depth_out: int, stride: int, padding: int) -> np.ndarray:
    """(O, I, kd, kh, kw) -> (kh, kw, depth_in * I, depth_out * O): only taps that meet one of the slices are kept."""
    outputs, inputs, depth, height, width = kernel.shape
    band = np.zeros((height, width, depth_in, inputs, depth_out, outputs))
    for o in range(depth_out):
        for i in range(depth_in):
            tap = i - (o * stride - padding)
            if 0 <= tap < depth:
                band[:, :, i, :, o] = kernel[:, :, tap].transpose(2, 3, 1, 0)
    return band.reshape(height, width, depth_in * inputs, depth_out * outputs)


def _phases(band: np.ndarray, stride: int, padding: int) -> tuple[np.ndarray, int]:
    """A transposed convolution as a plain one: (kernel, its padding).

    Pixel s q + r of the output, s the stride, meets tap k of the kernel at pixel q + (r + padding - k) / s of the input,
    where that is whole. The outputs of the plain kernel are those of phases (0, 0), (0, 1), (1, 0), (1, 1) one after another
    at stride 2, and at stride 1 of the one phase that there is.
    """
    side, _, inputs, outputs = band.shape
    pairs = [(r, k) for r in range(stride) for k in range(side)]
    shifts = {(r, k): (r + padding - k) // stride for r, k in pairs if (r + padding - k) % stride == 0}
    low, high = min(shifts.values()), max(shifts.values())
    kernel = np.zeros((high - low + 1, high - low + 1, inputs, stride, stride, outputs))
    for (ry, ky), dy in shifts.items():
        for (rx, kx), dx in shifts.items():
            kernel[dy - low, dx - low, :, ry, rx] = band[ky, kx]
    return kernel.reshape(*kernel.shape[:3], stride * stride * outputs), -low


def _array(t: Tensor) -> np.ndarray:
    return t.detach().cpu().double().numpy()


def _scale_and_shift(norm: BatchNorm3d) -> tuple[np.ndarray, np.ndarray]:
    """A batch norm in evaluation as y = scale * x + shift."""
    assert norm.running_mean is not None and norm.running_var is not None  # the model's norms all keep statistics
    scale = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
    return scale, _array(norm.bias) - scale * _array(norm.running_mean)


def _folded(
    conv: Convolution, sources: Sequence[Clip], target: Clip, norm: nn.Module | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """(kernel (height, width, inputs, outputs), bias, padding) of the 2D convolution that a 3D one and its batch norm are."""
    up = isinstance(conv, nn.ConvTranspose3d)
    stride, (pad, padding, _) = conv.stride[0], map(int, conv.padding)
    bias: np.ndarray
    weight = _array(conv.weight)
    weight = weight.transpose(1, 0, 2, 3, 4) if up else weight
    bias = np.zeros(len(weight)) if conv.bias is None else _array(conv.bias)
    if isinstance(norm, BatchNorm3d):
        scale, shift = _scale_and_shift(norm)
        weight, bias = weight * scale[:, None, None, None, None], bias * scale + shift
    bands, first = [], 0
    for clip in sources:
        part = weight[:, first : first + clip.channels]
        first += clip.channels
        if up:  # transposed: the roles of input and output slices are exchanged
            band = _band(part.transpose(1, 0, 2, 3, 4), target.depth, clip.depth, stride, pad).transpose(0, 1, 3, 2)
        else:
            band = _band(part, clip.depth, target.depth, stride, pad)
        bands.append(band)
    kernel, bias = np.concatenate(bands, axis=2), np.tile(bias, target.depth)
    if up:
        kernel, padding = _phases(kernel, conv.stride[1], padding)
        bias = np.tile(bias, conv.stride[1] ** 2)
    return kernel, bias, padding


def convolve(
    graph: Graph,
    conv: Convolution,
    sources: Sequence[Clip],
    target: Clip,
    *,
    norm: nn.Module | None = None,
    relu: bool = False,
    plus: Clip | None = None,
    groups: int = 1,
) -> None:
    """Add a convolution of the concatenated `sources`, which lie side by side in one picture, into `target`.

    `plus` is added before the rectifier. With `groups` the output's channels are so many groups (the gates, or mean and
    deviation), each of which shall lie together.
    """
    up = isinstance(conv, nn.ConvTranspose3d)
    kernel, bias, padding = _folded(conv, sources, target, norm)
    if groups > 1:
        order = np.arange(target.folded).reshape(target.depth, groups, -1).transpose(1, 0, 2).ravel()
        kernel, bias = kernel[..., order], bias[order]
    last = not isinstance(norm, GroupNorm3d)  # a group norm adds and rectifies by itself
    graph.add(
        "conv",
        x=sources[0].place(),
        y=target.place(),
        w=graph.keep(kernel),
        b=graph.keep(bias),
        stride=1 if up else conv.stride[1],
        pad=padding,
        up=conv.stride[1] if up else 1,
        relu=relu and last,
        plus=plus.place() if plus is not None and last else None,
    )
    if isinstance(norm, GroupNorm3d):
        _group_norm(graph, norm, target, relu, plus)


def _group_norm(graph: Graph, norm: GroupNorm3d, clip: Clip, relu: bool, plus: Clip | None) -> None:
    graph.add(
        "norm",
        x=clip.place(),
        channels=clip.channels,
        depth=clip.depth,
        groups=norm.num_groups,
        eps=norm.eps,
        w=graph.keep(_array(norm.weight)),
        b=graph.keep(_array(norm.bias)),
        relu=relu,
        plus=plus.place() if plus is not None else None,
    )


def after(conv: Convolution, clip: Clip) -> tuple[int, int, int, int]:
    """(channels, depth, height, width) that a convolution makes of a clip."""

    def size(axis: int, n: int) -> int:
        k, s, p = conv.kernel_size[axis], conv.stride[axis], int(conv.padding[axis])
        if isinstance(conv, nn.ConvTranspose3d):
            return (n - 1) * s - 2 * p + k + conv.output_padding[axis]
        return (n + 2 * p - k) // s + 1

    return conv.out_channels, size(0, clip.depth), size(1, clip.height), size(2, clip.width)
