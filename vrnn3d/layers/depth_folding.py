"""Depth folding: exact 3D convolutions on clips of small depth, computed as 2D ones.

A 3D convolution over a clip of depth D is a 2D convolution over D x C channels whose kernel is block-banded: the block
from input slice i to output slice o is the tap k = i - (o * stride - padding) where that tap exists, else zero. At D = 1
only the middle tap of a 3 x 3 x 3 kernel ever meets data: the other two thirds multiply padding. Weights keep their 3D
shape, so checkpoints and torchvision keys stay the same, and the result is that of ``nn.Conv3d`` within rounding.

Activations stay logically (B, C, D, H, W) but lie in memory as (B, H, W, D, C): then folding, unfolding and the batch
norm's view are free.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vrnn3d.layers.threads import one_thread

Three = tuple[int, int, int]  # depth, height, width

#: "auto" folds up to this depth. On a CPU folding wins up to depth 2 and loses from 4 on (``vrnn3d bench``); on a GPU
#: half-precision Conv3d has no good kernels in recent PyTorch, while the folded form runs on the best 2D ones.
AUTO_MAX_DEPTH = {"cpu": 2, "cuda": 4}

# These three belong to the process: whoever sets one of them keeps other threads out until it is as it was.
_folding = "auto"
_shared: dict | None = None
#: What the batch norms of one forward pass saw: (module, elements per channel, mean, unbiased variance) of each call.
_seen: list | None = None


@contextmanager
def folding(mode: str):
    """Set how every convolution of this module computes inside the ``with``: "auto", "always" or "never".

    Rollouts of other threads wait until it ends, as they do for each other.
    """
    global _folding
    if mode not in ("auto", "always", "never"):
        raise ValueError(f"no folding mode {mode!r}; there are: auto, always, never")
    with one_thread():
        before, _folding = _folding, mode
        try:
            yield
        finally:
            _folding = before


@contextmanager
def shared_kernels():
    """Fold each weight once inside the ``with``, however often it is used; gradients gather in the folded form.

    Enter it around one forward pass: the weights must not change inside.
    """
    global _shared
    with one_thread():
        before, _shared = _shared, {}
        try:
            yield
        finally:
            _shared = before


@contextmanager
def joint_statistics():
    """Batch norms inside the ``with`` update their running statistics once, at its end, from all their calls together.

    Enter it around the forward pass of one training step. A network that runs over time calls each norm many times a
    step; updated at every call, the running statistics would be those of the last few calls, at momentum 0.1 to 84% of
    four late time steps where the five before them came in one call. Here every element counts alike.
    """
    global _seen
    with one_thread():
        before, _seen = _seen, []
        try:
            yield
            modules = {id(call[0]): call[0] for call in _seen}
            for key, module in modules.items():
                module.update_statistics([call[1:] for call in _seen if id(call[0]) == key])
        finally:
            _seen = before


def folds(x: Tensor) -> bool:
    """Whether a convolution over x (B, C, D, H, W) is computed in folded form now."""
    if _folding == "auto":
        return x.shape[2] <= AUTO_MAX_DEPTH.get(x.device.type, 1)
    return _folding == "always"


def fold(x: Tensor) -> Tensor:
    """(B, C, D, H, W) -> (B, D * C, H, W), slice by slice; a view where x lies as this module leaves it."""
    return x.transpose(1, 2).flatten(1, 2)


def unfold(x: Tensor, depth: int) -> Tensor:
    """(B, D * C, H, W) -> (B, C, D, H, W), a view: the inverse of :func:`fold`."""
    return x.unflatten(1, (depth, -1)).transpose(1, 2)


def is_channels_last(x: Tensor) -> bool:
    """Whether x lies as (B, D, H, W, C); at depth 1 that is the folded order too."""
    return x.is_contiguous(memory_format=torch.channels_last_3d)


def cat_channels(*tensors: Tensor) -> Tensor:
    """Concatenate (B, C_i, D, H, W) along the channels, in the dtype of the last and the memory order of the first."""
    tensors = tuple(t.to(tensors[-1].dtype) for t in tensors)
    if tensors[0].stride(1) != 1 or _folding == "never" or is_channels_last(tensors[0]):
        return torch.cat(tensors, dim=1)
    return torch.cat([t.permute(0, 3, 4, 2, 1) for t in tensors], dim=-1).permute(0, 4, 3, 1, 2)


def _unfolded_order(x: Tensor) -> Tensor:
    """The memory order a convolution that is not folded wants: channels-last pays on a CPU, where it was measured."""
    if _folding == "auto" and x.device.type == "cpu" and x.shape[1] > 1:
        return x.contiguous(memory_format=torch.channels_last_3d)
    return x


def same_size(kernel: Three) -> Three:
    """The padding under which a convolution of stride 1 with this (odd) kernel keeps the size."""
    depth, height, width = kernel
    return depth // 2, height // 2, width // 2


def _band(weight: Tensor, depth_in: int, depth_out: int, tap) -> Tensor:
    """(O, I, kd, kh, kw) -> (depth_out * O, depth_in * I, kh, kw), block (o, i) being weight[:, :, tap(o, i)] or zero."""
    kd = weight.shape[2]
    if depth_in == depth_out == 1:
        return weight[:, :, tap(0, 0)]
    zero = torch.zeros_like(weight[:, :, 0])
    taps = weight.unbind(2)
    rows = [
        torch.cat([taps[tap(o, i)] if 0 <= tap(o, i) < kd else zero for i in range(depth_in)], dim=1) for o in range(depth_out)
    ]
    return torch.cat(rows, dim=0)


def folded_kernel(module: nn.Module, key: tuple, make) -> Tensor:
    """make(), in channels-last order and in autocast's dtype; once per key inside ``shared_kernels``."""
    if _shared is not None and (id(module), *key) in _shared:
        return _shared[(id(module), *key)]
    kernel = make().contiguous(memory_format=torch.channels_last)
    if kernel.device.type != "meta" and torch.is_autocast_enabled(kernel.device.type):
        kernel = kernel.to(torch.get_autocast_dtype(kernel.device.type))
    if _shared is not None:
        _shared[(id(module), *key)] = kernel
    return kernel


class Conv3d(nn.Conv3d):
    """``nn.Conv3d`` (same arguments, same parameters), folded where the clip is shallow.

    Groups, dilation and padding modes other than "zeros" are computed by ``nn.Conv3d``.
    """

    def _foldable(self) -> bool:
        return (
            self.groups == 1
            and self.dilation == (1, 1, 1)
            and self.padding_mode == "zeros"
            and not isinstance(self.padding, str)
        )

    def forward(self, x: Tensor, inputs: slice | None = None, bias: bool = True) -> Tensor:
        """(B, C, D, H, W) -> (B, C', D', H', W').

        `inputs` convolves with a part of the input channels only and `bias=False` leaves the bias out, so that a
        convolution of a concatenation can be computed as a sum, parts of it ahead of time.
        """
        b = self.bias if bias else None
        (kd, *_), (sd, *stride) = self.kernel_size, self.stride
        if not (self._foldable() and folds(x)):
            weight = self.weight if inputs is None else self.weight[:, inputs]
            return self._conv_forward(_unfolded_order(x), weight, b)
        pd, *padding = cast(Three, self.padding)
        depth = x.shape[2]
        depth_out = (depth + 2 * pd - kd) // sd + 1
        if depth_out < 1:
            raise ValueError(f"a clip of depth {depth} is too short for a kernel of depth {kd} with padding {pd}")

        def make() -> Tensor:
            weight = self.weight if inputs is None else self.weight[:, inputs]
            return _band(weight, depth, depth_out, lambda o, i: i - (o * sd - pd))

        key = (depth, None if inputs is None else (inputs.start, inputs.stop))
        b = b.repeat(depth_out) if b is not None and depth_out > 1 else b
        return unfold(F.conv2d(fold(x), folded_kernel(self, key, make), b, stride, padding), depth_out)


class ConvTranspose3d(nn.ConvTranspose3d):
    """``nn.ConvTranspose3d`` (same arguments, same parameters), folded where the clip is shallow."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # no output_size: nobody asks for one
        """(B, C, D, H, W) -> (B, C', D', H', W')."""
        (kd, *_), (sd, *stride), (pd, *padding) = self.kernel_size, self.stride, cast(Three, self.padding)
        od, *output_padding = self.output_padding
        depth = x.shape[2]
        depth_out = (depth - 1) * sd - 2 * pd + kd + od
        if self.groups != 1 or self.dilation != (1, 1, 1) or depth_out < 1 or not folds(x):
            return super().forward(_unfolded_order(x))

        def make() -> Tensor:  # the weight is (I, O, ...): rows of the band are input slices here
            return _band(self.weight, depth_out, depth, lambda i, o: o - i * sd + pd)

        b = self.bias.repeat(depth_out) if self.bias is not None and depth_out > 1 else self.bias
        kernel = folded_kernel(self, (depth,), make)
        return unfold(F.conv_transpose2d(fold(x), kernel, b, stride, padding, output_padding), depth_out)


def _world() -> int:
    distributed = torch.distributed
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


class _NormaliseWholeBatch(torch.autograd.Function):
    """Batch normalisation by the mean and variance over all processes.

    Every process's loss depends on every process's input, so that sums are exchanged in both directions, once each: between
    processes of one machine a message costs more than the arithmetic. All processes hold equally many elements.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures (B, C, H, W), (C,) and (C,) -> the same shape, and the mean and the biased variance, (C,) each."""
        axes = (0, 2, 3)
        own_mean = x.mean(axes)
        own = torch.stack([own_mean, (x - own_mean.view(1, -1, 1, 1)).square().mean(axes)])
        parts = [torch.empty_like(own) for _ in range(_world())]
        torch.distributed.all_gather(parts, own)
        means, variances = torch.stack(parts).unbind(1)
        mean = means.mean(0)
        variance = (variances + (means - mean).square()).mean(0)
        ctx.eps = eps
        ctx.save_for_backward(x, weight, mean, torch.rsqrt(variance + eps))
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps), mean, variance

    @staticmethod
    def backward(ctx, grad: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, mean, inverse_std = ctx.saved_tensors
        centred = x - mean.view(1, -1, 1, 1)
        own = torch.stack([(grad * centred).sum((0, 2, 3)) * inverse_std, grad.sum((0, 2, 3))])
        total = own.clone()
        torch.distributed.all_reduce(total)
        along, offset = (total / (_world() * x.numel() // x.shape[1])).view(2, 1, -1, 1, 1)
        scale = (weight * inverse_std).view(1, -1, 1, 1)
        towards = torch.addcmul(grad - offset, centred, along * inverse_std.view(1, -1, 1, 1), value=-1)
        return towards.mul_(scale), own[0], own[1], None


class BatchNorm3d(nn.BatchNorm3d):
    """``nn.BatchNorm3d`` that reads the folded memory order without a copy.

    In a training of several processes its statistics are those of the whole batch, on any backend. Inside
    :func:`joint_statistics` the running statistics are updated once for all calls.
    """

    def update_statistics(self, calls: list[tuple[int, Tensor, Tensor]]) -> None:
        """Move the running statistics towards those of several calls together.

        `calls` holds, of each call, the elements per channel, their mean and their unbiased variance, (C,) each.
        """
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        with torch.no_grad():
            count = sum(n for n, _, _ in calls)
            mean: Tensor = sum(n * m for n, m, _ in calls) / count  # type: ignore[assignment]  # never sums nothing
            squares: Tensor = sum((n - 1) * v + n * (m - mean).square() for n, m, v in calls)  # type: ignore[assignment]
            self.num_batches_tracked.add_(1)
            share = 1.0 / self.num_batches_tracked.float() if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(squares / max(count - 1, 1), share)

    def _note(self, count: int, mean: Tensor, variance: Tensor) -> None:
        """Take the statistics of a call: at once, or with the others of the pass."""
        if _seen is None:
            self.update_statistics([(count, mean.detach(), variance.detach())])
        else:
            _seen.append((self, count, mean.detach(), variance.detach()))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) -> the same shape."""
        self._check_input_dim(x)
        flat = _as_picture(x)
        if self.training and _world() > 1:
            y, mean, variance = _NormaliseWholeBatch.apply(flat.float().flatten(3), self.weight, self.bias, self.eps)
            count = _world() * x.numel() // x.shape[1]
            self._note(count, mean, variance * (count / (count - 1)))
            y = y.to(x.dtype).view_as(flat)
        elif self.training and self.running_mean is not None and self.running_var is not None:
            # With momentum 1 the statistics of this call end up in `mean` and `variance`.
            mean, variance = torch.zeros_like(self.running_mean), torch.ones_like(self.running_var)
            y = F.batch_norm(flat, mean, variance, self.weight, self.bias, True, 1.0, self.eps)
            self._note(x.numel() // x.shape[1], mean, variance)
        else:
            train = self.running_mean is None
            y = F.batch_norm(flat, self.running_mean, self.running_var, self.weight, self.bias, train, 0.0, self.eps)
        return _as_clip(y, x)


class GroupNorm3d(nn.GroupNorm):
    """``nn.GroupNorm`` over clips (B, C, D, H, W) that reads the folded memory order without a copy."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) -> the same shape."""
        # In float32 also under autocast: as on a GPU, and on a processor four times as fast as in half precision.
        y = super().forward(_as_picture(x).to(self.weight.dtype))
        return _as_clip(y.to(x.dtype), x)


def _as_picture(x: Tensor) -> Tensor:
    """A clip in the folded order as a channels-last picture (B, C, H, W * D), a view; another clip as it is."""
    if x.stride(1) != 1 or x.shape[1] == 1 or is_channels_last(x):
        return x
    b, c, d, h, w = x.shape
    return x.permute(0, 1, 3, 4, 2).reshape(b, c, h, w * d)


def _as_clip(y: Tensor, x: Tensor) -> Tensor:
    """What was computed from :func:`_as_picture` of x, in x's shape."""
    return y if y.dim() == 5 else y.unflatten(3, (x.shape[4], x.shape[2])).permute(0, 1, 4, 2, 3)
