"""3D convolutions and norms as the 2D operations of an exported model. Nothing is rounded beyond float32."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn

from vrnn3d.layers.depth_folding import BatchNorm3d, GroupNorm3d
from vrnn3d.study.web.graph import Clip, Graph


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


def _phases(band: np.ndarray, padding: int) -> tuple[np.ndarray, int]:
    """A transposed convolution of stride 2 as a plain one: (kernel, its padding).

    Pixel 2 q + r of the output meets tap k of the kernel at pixel q + (r + padding - k) / 2 of the input, where that is
    whole. The outputs of the plain kernel are those of phases (0, 0), (0, 1), (1, 0), (1, 1) one after another.
    """
    side, _, inputs, outputs = band.shape
    shifts = {(r, k): (r + padding - k) // 2 for r in range(2) for k in range(side) if (r + padding - k) % 2 == 0}
    low, high = min(shifts.values()), max(shifts.values())
    kernel = np.zeros((high - low + 1, high - low + 1, inputs, 2, 2, outputs))
    for (ry, ky), dy in shifts.items():
        for (rx, kx), dx in shifts.items():
            kernel[dy - low, dx - low, :, ry, rx] = band[ky, kx]
    return kernel.reshape(*kernel.shape[:3], 4 * outputs), -low


def _array(t: Tensor) -> np.ndarray:
    return t.detach().cpu().double().numpy()


def _scale_and_shift(norm: nn.Module) -> tuple[np.ndarray, np.ndarray]:
    """A batch norm in evaluation as y = scale * x + shift."""
    scale = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
    return scale, _array(norm.bias) - scale * _array(norm.running_mean)


def convolve(
    graph: Graph,
    conv: nn.Module,
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
    batch = norm if isinstance(norm, BatchNorm3d) else None
    up = isinstance(conv, nn.ConvTranspose3d)
    (sd, stride, _), (pd, padding, _) = conv.stride, conv.padding
    weight = _array(conv.weight)
    weight = weight.transpose(1, 0, 2, 3, 4) if up else weight
    outputs = len(weight)
    bias = np.zeros(outputs) if conv.bias is None else _array(conv.bias)
    if batch is not None:
        scale, shift = _scale_and_shift(batch)
        weight, bias = weight * scale[:, None, None, None, None], bias * scale + shift
    bands, first = [], 0
    for clip in sources:
        part = weight[:, first : first + clip.channels]
        first += clip.channels
        if up:  # transposed: the roles of input and output slices are exchanged
            part = _band(part.transpose(1, 0, 2, 3, 4), target.depth, clip.depth, sd, pd).transpose(0, 1, 3, 2)
        else:
            part = _band(part, clip.depth, target.depth, sd, pd)
        bands.append(part)
    band, bias = np.concatenate(bands, axis=2), np.tile(bias, target.depth)
    if up:
        band, padding = _phases(band, padding)
        bias = np.tile(bias, 4)
    if groups > 1:
        order = np.arange(target.folded).reshape(target.depth, groups, -1).transpose(1, 0, 2).ravel()
        band, bias = band[..., order], bias[order]
    plain = not isinstance(norm, GroupNorm3d)
    graph.add(
        "conv",
        x=sources[0].place(),
        y=target.place(),
        w=graph.keep(band),
        b=graph.keep(bias),
        stride=1 if up else stride,
        pad=padding,
        up=2 if up else 1,
        relu=relu and plain,
        plus=plus.place() if plus is not None and plain else None,
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


def after(conv: nn.Module, clip: Clip) -> tuple[int, int, int, int]:
    """(channels, depth, height, width) that a convolution makes of a clip."""
    sizes = []
    up = isinstance(conv, nn.ConvTranspose3d)
    for axis, n in enumerate((clip.depth, clip.height, clip.width)):
        k, s, p = conv.kernel_size[axis], conv.stride[axis], conv.padding[axis]
        sizes.append((n - 1) * s - 2 * p + k + conv.output_padding[axis] if up else (n + 2 * p - k) // s + 1)
    return conv.out_channels, *sizes
