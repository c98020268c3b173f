"""Depth folding is exact: outputs and every gradient equal nn.Conv3d's, whatever the sizes."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from vrnn3d.layers import depth_folding as df

SIZES = [
    (depth, kernel, stride, padding)
    for depth, kernel, stride, padding in itertools.product((1, 2, 3, 5), (1, 2, 3), (1, 2), (0, 1, 2))
    if depth + 2 * padding >= kernel and padding < kernel
]


def outputs_and_gradients(module, x, mode):
    x = x.clone().requires_grad_()
    module.zero_grad()
    with df.folding(mode):
        y = module(x)
    y.square().sum().backward()
    return [y.detach(), x.grad, *(p.grad for p in module.parameters())]


def assert_same(module, x):
    for a, b in zip(outputs_and_gradients(module, x, "never"), outputs_and_gradients(module, x, "always")):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("depth, kernel, stride, padding", SIZES)
def test_convolution(depth, kernel, stride, padding):
    torch.manual_seed(depth * 100 + kernel * 10 + stride)
    module = df.Conv3d(3, 4, (kernel, 3, 3), (stride, 1, 2), (padding, 1, 0)).double()
    assert_same(module, torch.randn(2, 3, depth, 6, 7, dtype=torch.double))


@pytest.mark.parametrize("depth, kernel, stride, padding", [s for s in SIZES if s[1] >= s[2]])
def test_transposed_convolution(depth, kernel, stride, padding):
    if (depth - 1) * stride - 2 * padding + kernel + stride - 1 < 1:
        pytest.skip("nothing would come out")
    torch.manual_seed(depth * 100 + kernel * 10 + stride)
    module = df.ConvTranspose3d(
        3, 4, (kernel, 3, 3), (stride, 2, 2), (padding, 1, 1), (stride - 1, 1, 1)
    ).double()
    assert_same(module, torch.randn(2, 3, depth, 4, 5, dtype=torch.double))


def test_parameters_are_those_of_pytorch():
    ours, theirs = df.Conv3d(3, 5, 3, padding=1), nn.Conv3d(3, 5, 3, padding=1)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 2, 8, 8)
    with df.folding("always"):
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_a_sum_of_parts_is_the_convolution_of_the_whole():
    conv, x = df.Conv3d(6, 4, 3, padding=1).double(), torch.randn(2, 6, 2, 5, 5, dtype=torch.double)
    for mode in ("never", "always"):
        with df.folding(mode):
            parts = conv(x[:, :2], slice(0, 2)) + conv(x[:, 2:], slice(2, None), bias=False)
            torch.testing.assert_close(parts, conv(x))


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_in_folded_order(training):
    ours, theirs = df.BatchNorm3d(4).train(training), nn.BatchNorm3d(4).train(training)
    conv = df.Conv3d(3, 4, 3, padding=1)
    with df.folding("always"):
        y = conv(torch.randn(2, 3, 2, 6, 6))
        normed = ours(y)
    assert df.fold(torch.relu(normed)).data_ptr() != 0 and df.fold(normed).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(normed, theirs(y), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    assert ours.num_batches_tracked == theirs.num_batches_tracked == int(training)


def test_fold_of_folded_output_is_a_view():
    with df.folding("always"):
        y = df.Conv3d(2, 4, 3, padding=1)(torch.randn(1, 2, 3, 4, 4))
    assert df.fold(y).data_ptr() == y.data_ptr()
    torch.testing.assert_close(df.unfold(df.fold(y), 3), y)


def test_concatenation_keeps_values_and_order():
    with df.folding("always"):
        y = df.Conv3d(2, 4, 3, padding=1)(torch.randn(1, 2, 2, 4, 4))
        joined = df.cat_channels(y, y + 1)
    torch.testing.assert_close(joined, torch.cat([y, y + 1], 1))
    assert joined.stride(1) == 1


def test_shared_kernels_gather_the_same_gradient():
    conv, x = df.Conv3d(3, 3, 3, padding=1).double(), torch.randn(1, 3, 2, 4, 4, dtype=torch.double)
    gradients = []
    for shared in (False, True):
        conv.zero_grad()
        with df.folding("always"):
            if shared:
                with df.shared_kernels():
                    conv(conv(conv(x))).sum().backward()
            else:
                conv(conv(conv(x))).sum().backward()
        gradients.append(conv.weight.grad.clone())
    torch.testing.assert_close(*gradients)


def test_clear_errors():
    with pytest.raises(ValueError, match="auto, always, never"):
        with df.folding("sometimes"):
            pass
    with df.folding("always"), pytest.raises(ValueError, match="too short"):
        df.Conv3d(1, 1, 3)(torch.zeros(1, 1, 1, 5, 5))
