"""E3D-LSTM against a transcription of its equations in NumPy; its size, its plain form, its memories."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils import _pytree as pytree
from torch.utils.flop_counter import FlopCounterMode

from reference import assert_same_function, frames, randomised, sigmoid
from vrnn3d.models.e3d_lstm import E3DLSTM, EideticLSTM, EndPaddedConv3d, tokens
from vrnn3d.rollout import rollout

SMALL = dict(hidden=(4, 6, 4, 4), kernel=3)


def small(seed: int = 0, **options) -> E3DLSTM:
    return randomised(E3DLSTM(**{**SMALL, **options}), seed)


# The paper in NumPy: sums over the taps of a kernel, one gate at a time.


def convolve(x, weight, bias):
    """(B, I, D, H, W), (O, I, kd, k, k), (O,) -> (B, O, D, H, W): zeros around, and behind the last frame."""
    kd, k = weight.shape[2], weight.shape[-1]
    depth, height, width = x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (0, kd - 1), (k // 2, k // 2), (k // 2, k // 2)))
    out = np.zeros((len(x), len(weight), depth, height, width)) + bias[None, :, None, None, None]
    for d in range(kd):
        for dy in range(k):
            for dx in range(k):
                part = padded[:, :, d : d + depth, dy : dy + height, dx : dx + width]
                out += np.einsum("bidhw,oi->bodhw", part, weight[:, :, d, dy, dx])
    return out


def normalise(x, norm):
    gain, shift = (p.detach().numpy().reshape(1, -1, 1, 1, 1) for p in (norm.weight, norm.bias))
    axes = (1, 2, 3, 4)
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5) * gain + shift


def gates(part, x, names: str) -> dict:
    conv, norm = part
    weight, bias = conv.weight.detach().numpy(), conv.bias.detach().numpy()
    names = names.split()
    width = len(weight) // len(names)
    out = [convolve(x, weight[k * width :][:width], bias[k * width :][:width]) for k in range(len(names))]
    if not isinstance(norm, nn.Identity):
        out = np.split(normalise(np.concatenate(out, 1), norm), len(names), axis=1)
    return dict(zip(names, out))


def recall(r, past):
    """Each position of r (B, C, D, H, W) attends to all positions of all earlier memories, a list of the same shape."""
    out = np.zeros_like(r)
    for b in range(len(r)):
        keys = np.concatenate([c[b].reshape(len(c[b]), -1) for c in past], axis=1)  # (C, positions)
        for where in np.ndindex(r.shape[2:]):
            query = r[(b, slice(None), *where)]
            scores = np.exp(query @ keys - (query @ keys).max())
            out[(b, slice(None), *where)] = keys @ (scores / scores.sum())
    return out


def eidetic_lstm(cell, x, h, c, past, m):
    a = gates(cell.from_x, x, "r i g o i' f' g'")
    b = gates(cell.from_h, h, "r i g o")
    r = sigmoid(a["r"] + b["r"])
    i = sigmoid(a["i"] + b["i"])
    g = np.tanh(a["g"] + b["g"])
    c = i * g + normalise(c + recall(r, past), cell.norm)
    d = gates(cell.from_m, m, "i' f' g' m")
    i = sigmoid(a["i'"] + d["i'"])
    g = np.tanh(a["g'"] + d["g'"])
    f = sigmoid(a["f'"] + d["f'"] + 1)
    m = i * g + f * np.tanh(d["m"])
    weight, bias = (p.detach().numpy() for p in (cell.from_new.weight, cell.from_new.bias))
    n = c.shape[1]
    o_c, o_m = convolve(c, weight[:, :n], bias), convolve(m, weight[:, n:], 0 * bias)
    o = sigmoid(a["o"] + b["o"] + o_c + o_m)
    weight, bias = (p.detach().numpy() for p in (cell.join.weight, cell.join.bias))
    return o * np.tanh(convolve(np.concatenate([c, m], 1), weight, bias)), c, m


def random_tensors(*shapes):
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(shape, generator=generator, dtype=torch.double) for shape in shapes]


def assert_close(ours: torch.Tensor, theirs: np.ndarray):
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("layer_norm", [True, False])
def test_eidetic_lstm_is_the_paper_s(layer_norm, depth):
    cell = randomised(EideticLSTM(3, 4, 5, 3, layer_norm, 1.0)).double()
    size = (depth, 4, 5)
    x, h, first, c, m = random_tensors((2, 3, *size), *[(2, 4, *size)] * 3, (2, 5, *size))
    history = torch.cat([tokens(first), tokens(c)], 1)
    new_h, new_c, grown, new_m = cell(cell.from_x(x), h, c, history, m)
    theirs = eidetic_lstm(cell, *(t.numpy() for t in (x, h, c)), [first.numpy(), c.numpy()], m.numpy())
    for a, b in zip((new_h, new_c, new_m), theirs):
        assert_close(a, b)
    assert torch.equal(grown, torch.cat([history, tokens(new_c)], 1))


def test_the_stack_is_the_paper_s():
    """Four steps: M climbs and is handed on to the next step, memories pile up from the zeros of the start."""
    model, clip = small().double(), frames(2, 5).double()
    size = (2, 4, 4)
    h = [np.zeros((2, n, *size)) for n in model.hidden]
    past = [[np.zeros((2, n, *size))] for n in model.hidden]
    m = np.zeros((2, model.hidden[-1], *size))
    state = model.initial_state(2, 16, 16, dtype=torch.double)
    weight, bias = (p.detach().numpy() for p in (model.output.weight, model.output.bias))
    for t in range(4):
        window = clip[:, t : t + 2]
        ours, state, latents = model.step(window, state)
        x = window[:, :, 0].numpy().reshape(2, 2, 4, 4, 4, 4).transpose(0, 3, 5, 1, 2, 4).reshape(2, 16, *size)
        for k, cell in enumerate(model.layers):
            h[k], c, m = eidetic_lstm(cell, x, h[k], past[k][-1], past[k], m)
            past[k].append(c)
            x = h[k]
        patches = np.einsum("bidhw,oid->bohw", x, weight[..., 0, 0]) + bias[None, :, None, None]
        patches = patches.reshape(2, 4, 4, 4, 4).transpose(0, 3, 1, 4, 2).reshape(2, 1, 16, 16)
        assert torch.equal(ours[:, 0], window[:, 1])
        assert_close(ours[:, 1], patches)
        assert latents == ()


def test_full_size_is_that_of_the_public_default():
    with torch.device("meta"):
        model = E3DLSTM()
    total = model.parameter_breakdown()["total"]
    assert total == sum(p.numel() for p in model.parameters())
    # The public code has one more bias of 64 in each of four layers; the paper prints three times as many.
    assert total + 4 * 64 == 12_898_832
    assert abs(total / 12.899e6 - 1) < 1e-3
    assert abs(3 * total / 38.7e6 - 1) < 1e-3


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_convolution_of_pairs_is_the_padded_one(depth):
    conv = randomised(EndPaddedConv3d(3, 2, 2, 3, False)).double()
    x = random_tensors((2, 3, depth, 5, 6))[0].requires_grad_()
    expected = F.conv3d(F.pad(x, (0, 0, 0, 0, 0, 1)), conv.weight, conv.bias, padding=(0, 1, 1))
    torch.testing.assert_close(conv(x), expected)
    inputs = (x, conv.weight, conv.bias)
    ours, theirs = (torch.autograd.grad(y.square().sum(), inputs) for y in (conv(x), expected))
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a, b)
    work = []
    for plain in (False, True):
        conv.plain = plain
        with FlopCounterMode(display=False) as counter:
            conv(x)
        work.append(counter.get_total_flops())
    assert work[0] * 2 * depth == work[1] * (2 * depth - 1)


@pytest.mark.parametrize("layer_norm, window", [(True, 2), (False, 2), (True, 1), (True, 3)])
def test_plain_form_is_the_same_function(layer_norm, window):
    fast = small(layer_norm=layer_norm, window=window)
    plain = E3DLSTM(**SMALL, layer_norm=layer_norm, window=window, plain=True)
    assert_same_function(fast, plain, frames(2, 4), 4, 6)


def test_the_form_may_be_switched():
    model, clip = small(), frames(1, 4)
    with torch.no_grad():
        before = rollout(model, clip, 4, 5)[0]
        model.plain = True
        assert all(part.plain for part in model.modules() if hasattr(part, "plain"))
        assert model.encode(clip[:, :2])[0].shape[1] == 16
        torch.testing.assert_close(rollout(model, clip, 4, 5)[0], before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batch, size, channels, window", [(1, (16, 16), 1, 2), (3, (8, 12), 1, 3), (5, (8, 8), 3, 1)])
def test_shapes(batch, size, channels, window):
    model = small(channels=channels, window=window)
    clip = frames(batch, 4, size, channels)
    prediction, latents = rollout(model, clip, 4, 7)
    assert prediction.shape == (batch, 7 - window, channels, *size)
    assert latents == [()] * (7 - window)
    out, _, _ = model.step(clip[:, :window], model.initial_state(batch, *size))
    assert out.shape == (batch, window, channels, *size)
    assert torch.equal(out[:, :-1], clip[:, 1:window])


def test_memories_pile_up_and_the_spatial_one_is_handed_on():
    model, clip = small(), frames(2, 6)
    state = model.initial_state(2, 16, 16)
    assert not any(leaf.any() for leaf in pytree.tree_leaves(state))
    with torch.no_grad():
        for t in range(4):
            _, after, _ = model.step(clip[:, t : t + 2], state)
            for (_, c, history), (_, _, before) in zip(after[0], state[0]):
                assert history.shape[1] == 2 * 4 * 4 * (t + 2)
                assert torch.equal(history[:, : before.shape[1]], before)
                assert torch.equal(history[:, before.shape[1] :], tokens(c))
            assert after[1].any() and not torch.equal(after[1], state[1])
            state = after


def test_state_can_be_put_away_and_each_sequence_has_its_own():
    model, clip = small(), frames(3, 4)
    with torch.no_grad():
        state = model.initial_state(3, 16, 16)
        for t in range(3):
            expected, after, _ = model.step(clip[:, t : t + 2], state)
            again, _, _ = model.step(clip[:, t : t + 2], pytree.tree_map(lambda leaf: copy.deepcopy(leaf), state))
            assert torch.equal(again, expected)
            one, _, _ = model.step(clip[1:2, t : t + 2], pytree.tree_map(lambda leaf: leaf[1:2], state))
            torch.testing.assert_close(one, expected[1:2], rtol=1e-4, atol=1e-5)
            assert all(leaf.shape[0] == 3 for leaf in pytree.tree_leaves(after))
            state = after


def test_gradient_reaches_the_first_frame_and_every_parameter():
    model = small()
    clip = frames(1, 5).requires_grad_()
    rollout(model, clip, 5, 6)[0][:, -1].square().sum().backward()
    assert (clip.grad.flatten(2).abs().sum(2) > 0).all()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


def test_starts_from_an_empty_prediction():
    assert not rollout(E3DLSTM(hidden=(8, 8), kernel=3), frames(1, 5), 2, 5)[0].any()


def test_bf16_autocast_is_close():
    model, clip = small(), frames(2, 4)
    with torch.no_grad():
        expected = rollout(model, clip, 4, 5)[0]
        with torch.autocast("cpu", torch.bfloat16):
            half = rollout(model, clip, 4, 5)[0]
    assert half.dtype == torch.float32
    assert (half - expected).norm() / expected.norm() < 3e-2


def test_step_is_one_graph_however_long_the_memory():
    model, clip = small(hidden=(4,)), frames(1, 3)
    compiled = torch.compile(model.step, backend="eager", fullgraph=True)
    state = same = model.initial_state(1, 16, 16)
    with torch.no_grad():
        for t in range(2):
            expected, state, _ = model.step(clip[:, t : t + 2], state)
            ours, same, _ = compiled(clip[:, t : t + 2], same)
            torch.testing.assert_close(ours, expected)


def test_refuses_what_it_cannot_take():
    with pytest.raises(ValueError, match="window 2 with horizon 2; it takes any window M >= 1 with horizon 1"):
        E3DLSTM(horizon=2)
    with pytest.raises(ValueError, match="window 0"):
        E3DLSTM(window=0)
    with pytest.raises(ValueError, match="at least one layer"):
        E3DLSTM(hidden=())
    with pytest.raises(ValueError, match="odd kernel"):
        E3DLSTM(kernel=4)
    with pytest.raises(ValueError, match="multiples of 4, not 18 x 16"):
        small().encode(torch.zeros(1, 2, 1, 18, 16))
    with pytest.raises(ValueError, match="multiples of 4"):
        small().initial_state(1, 16, 6)
