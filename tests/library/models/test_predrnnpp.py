"""PredRNN++ against a transcription of its equations in NumPy; its size, its plain form, its state."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree

from reference import assert_same_function, frames, randomised, sigmoid
from vrnn3d.models.predrnnpp import CausalLSTM, GradientHighway, PredRNNPP, SampleNorm
from vrnn3d.rollout import rollout

SMALL = dict(hidden=(6, 4, 5, 4), kernel=3, patch=4)


def small(seed: int = 0, **options) -> PredRNNPP:
    return randomised(PredRNNPP(**{**SMALL, **options}), seed)


# The paper in NumPy: sums over the taps of a kernel, one gate at a time.


def convolve(x, weight, bias):
    """(B, I, H, W), (O, I, k, k), (O,) -> (B, O, H, W), zeros around."""
    k, (height, width) = weight.shape[-1], x.shape[-2:]
    padded = np.pad(x, ((0, 0), (0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    out = np.zeros((len(x), len(weight), height, width)) + bias[None, :, None, None]
    for dy in range(k):
        for dx in range(k):
            out += np.einsum("bihw,oi->bohw", padded[:, :, dy : dy + height, dx : dx + width], weight[:, :, dy, dx])
    return out


def normalise(x, gain, shift):
    axes = tuple(range(1, x.ndim))
    per_channel = (1, -1) + (1,) * (x.ndim - 2)
    y = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    return y * gain.reshape(per_channel) + shift.reshape(per_channel)


def gates(part, x, names: str) -> dict:
    """What `x` adds to each of the named gates, through the parameters of `part`."""
    p = {key: value.detach().numpy() for key, value in part.named_parameters()}
    names = names.split()
    width = len(p["conv.weight"]) // len(names)
    whole = [
        convolve(x, p["conv.weight"][k * width : (k + 1) * width], p["conv.bias"][k * width : (k + 1) * width])
        for k in range(len(names))
    ]
    if "norm.weight" in p:
        joined = normalise(np.concatenate(whole, 1), p["norm.weight"], p["norm.bias"])
        whole = np.split(joined, len(names), axis=1)
    return dict(zip(names, whole))


def causal_lstm(cell, x, h, c, m):
    a = gates(cell.from_x, x, "i f g o i' f' g'")
    b = gates(cell.from_h, h, "i f g o")
    d = gates(cell.from_c, c, "i f g")
    i = sigmoid(a["i"] + b["i"] + d["i"])
    f = sigmoid(a["f"] + b["f"] + d["f"] + 1)
    g = np.tanh(a["g"] + b["g"] + d["g"])
    c = f * c + i * g
    d, e = gates(cell.from_new_c, c, "i' f' g' o"), gates(cell.from_m, m, "i' f' m")
    i = sigmoid(a["i'"] + d["i'"] + e["i'"])
    f = sigmoid(a["f'"] + d["f'"] + e["f'"] + 1)
    g = np.tanh(a["g'"] + d["g'"])
    m = f * np.tanh(e["m"]) + i * g
    o = np.tanh(a["o"] + b["o"] + d["o"] + gates(cell.from_new_m, m, "o")["o"])
    join = cell.join.weight.detach().numpy(), cell.join.bias.detach().numpy()
    return o * np.tanh(convolve(np.concatenate([c, m], 1), *join)), c, m


def highway(unit, x, z):
    a, b = gates(unit.from_x, x, "p s"), gates(unit.from_z, z, "p s")
    s = sigmoid(a["s"] + b["s"])
    return s * np.tanh(a["p"] + b["p"]) + (1 - s) * z


def random_tensors(*shapes):
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(shape, generator=generator, dtype=torch.double) for shape in shapes]


def assert_close(ours: torch.Tensor, theirs: np.ndarray):
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layer_norm", [False, True])
def test_causal_lstm_is_the_paper_s(layer_norm):
    cell = randomised(CausalLSTM(3, 4, 5, 3, layer_norm, 1.0)).double()
    x, h, c, m = random_tensors((2, 3, 6, 7), (2, 4, 6, 7), (2, 4, 6, 7), (2, 5, 6, 7))
    ours = cell(cell.from_x(x), h, c, m)
    for a, b in zip(ours, causal_lstm(cell, *(t.numpy() for t in (x, h, c, m)))):
        assert_close(a, b)


@pytest.mark.parametrize("layer_norm", [False, True])
def test_gradient_highway_is_the_paper_s(layer_norm):
    unit = randomised(GradientHighway(4, 5, layer_norm)).double()
    x, z = random_tensors((2, 4, 6, 7), (2, 4, 6, 7))
    assert_close(unit(x, z), highway(unit, x.numpy(), z.numpy()))


def test_the_stack_is_the_paper_s():
    """Four steps: M climbs and enters the next step at the bottom, Z sits between layers 1 and 2, patches fit."""
    model, clip = small().double(), frames(2, 4).double()
    channels = model.hidden
    h = [np.zeros((2, n, 4, 4)) for n in channels]
    c = [np.zeros((2, n, 4, 4)) for n in channels]
    m, z = np.zeros((2, channels[-1], 4, 4)), np.zeros((2, channels[0], 4, 4))
    state = model.initial_state(2, 16, 16, dtype=torch.double)
    weight, bias = model.output.weight.detach().numpy(), model.output.bias.detach().numpy()
    for t in range(4):
        ours, state, latents = model.step(clip[:, t : t + 1], state)
        x = clip[:, t, 0].numpy().reshape(2, 4, 4, 4, 4).transpose(0, 2, 4, 1, 3).reshape(2, 16, 4, 4)
        h[0], c[0], m = causal_lstm(model.layers[0], x, h[0], c[0], m)
        z = highway(model.highway, h[0], z)
        h[1], c[1], m = causal_lstm(model.layers[1], z, h[1], c[1], m)
        h[2], c[2], m = causal_lstm(model.layers[2], h[1], h[2], c[2], m)
        h[3], c[3], m = causal_lstm(model.layers[3], h[2], h[3], c[3], m)
        patches = convolve(h[3], weight, bias).reshape(2, 4, 4, 4, 4)
        assert_close(ours, patches.transpose(0, 3, 1, 4, 2).reshape(2, 1, 1, 16, 16))
        assert latents == ()


@pytest.mark.parametrize("layer_norm, total", [(False, 15_375_056), (True, 15_390_160)])
def test_full_size(layer_norm, total):
    with torch.device("meta"):
        model = PredRNNPP(layer_norm=layer_norm)
    assert model.parameter_breakdown()["total"] == sum(p.numel() for p in model.parameters()) == total
    assert abs(total / 15.4e6 - 1) < 0.02


@pytest.mark.parametrize("layer_norm", [False, True])
def test_plain_form_is_the_same_function(layer_norm):
    fast = small(layer_norm=layer_norm)
    plain = PredRNNPP(**SMALL, layer_norm=layer_norm, plain=True)
    assert_same_function(fast, plain, frames(2, 5), 3, 6)


def test_the_form_may_be_switched():
    model, clip = small(), frames(1, 4)
    with torch.no_grad():
        before = rollout(model, clip, 4, 5)[0]
        model.plain = True
        assert all(part.plain for part in model.modules() if hasattr(part, "plain"))
        assert model.encode(clip[:, :1]).shape[1] == 16
        torch.testing.assert_close(rollout(model, clip, 4, 5)[0], before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batch, size, channels", [(1, (16, 16), 1), (3, (16, 24), 1), (5, (8, 8), 3)])
def test_shapes(batch, size, channels):
    model = small(channels=channels)
    clip = frames(batch, 3, size, channels)
    prediction, latents = rollout(model, clip, 3, 5)
    assert prediction.shape == (batch, 4, channels, *size)
    assert latents == [()] * 4


def test_state_can_be_put_away_and_each_sequence_has_its_own():
    model, clip = small(), frames(3, 4)
    with torch.no_grad():
        state = model.initial_state(3, 16, 16)
        for t in range(3):
            expected, after, _ = model.step(clip[:, t : t + 1], state)
            stored = pytree.tree_map(lambda leaf: copy.deepcopy(leaf), state)
            again, _, _ = model.step(clip[:, t : t + 1], stored)
            assert torch.equal(again, expected)
            one, _, _ = model.step(clip[1:2, t : t + 1], pytree.tree_map(lambda leaf: leaf[1:2], state))
            torch.testing.assert_close(one, expected[1:2])
            assert all(leaf.shape[0] == 3 for leaf in pytree.tree_leaves(after))
            state = after


def test_gradient_reaches_the_first_frame_and_every_parameter():
    model = small()
    clip = frames(1, 5).requires_grad_()
    rollout(model, clip, 5, 6)[0][:, -1].square().sum().backward()
    assert (clip.grad.flatten(2).abs().sum(2) > 0).all()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


def test_starts_from_an_empty_prediction():
    assert not rollout(PredRNNPP(hidden=(8, 8, 8, 8), kernel=3), frames(1, 5), 2, 5)[0].any()


def test_sample_norm_is_group_norm_in_any_order_and_precision():
    norm, x = randomised(SampleNorm(6)), torch.randn(3, 6, 5, 7) * 3 + 2
    expected = nn.functional.group_norm(x, 1, norm.weight, norm.bias, 1e-5)
    torch.testing.assert_close(norm(x), expected, rtol=1e-5, atol=1e-5)
    last = x.contiguous(memory_format=torch.channels_last)
    assert norm(last).is_contiguous(memory_format=torch.channels_last)
    half = norm(x.bfloat16() + 200)  # statistics in bfloat16 would lose all of x
    assert half.dtype == torch.bfloat16
    shifted = nn.functional.group_norm((x.bfloat16() + 200).float(), 1, norm.weight, norm.bias, 1e-5)
    torch.testing.assert_close(half.float(), shifted, rtol=1e-2, atol=1e-2)


def test_bf16_autocast_is_close():
    model, clip = small(layer_norm=True), frames(2, 4)
    with torch.no_grad():
        expected = rollout(model, clip, 4, 5)[0]
        with torch.autocast("cpu", torch.bfloat16):
            half = rollout(model, clip, 4, 5)[0]
    assert (half - expected).norm() / expected.norm() < 3e-2


def test_step_is_one_graph():
    model, clip = small(hidden=(6, 4)), frames(1, 1)
    state = model.initial_state(1, 16, 16)
    expected, *_ = model.step(clip, state)
    compiled, *_ = torch.compile(model.step, backend="eager", fullgraph=True)(clip, state)
    torch.testing.assert_close(compiled, expected)


def test_refuses_what_it_cannot_take():
    with pytest.raises(ValueError, match="window 2 with horizon 1; it takes window 1 with horizon 1"):
        PredRNNPP(window=2)
    with pytest.raises(ValueError, match="two layers"):
        PredRNNPP(hidden=(8,))
    with pytest.raises(ValueError, match="odd kernel"):
        PredRNNPP(kernel=4)
    with pytest.raises(ValueError, match="multiples of 4, not 18 x 16"):
        small().encode(torch.zeros(1, 1, 1, 18, 16))
    with pytest.raises(ValueError, match="multiples of 4"):
        small().initial_state(1, 16, 6)
