"""Improved VRNN: its size, its hierarchy of latents, and what may influence what."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vrnn3d.losses import sequence_loss
from vrnn3d.models.improved_vrnn import ConvLSTM, ImprovedVRNN, _conv3x3, dead_weights
from vrnn3d.rollout import rollout

SMALL = dict(hidden=4, levels=5, latent=3, context=2)


def small(**options) -> ImprovedVRNN:
    torch.manual_seed(0)
    return ImprovedVRNN(**{**SMALL, **options})


def frames(batch: int, length: int, size: int = 32) -> torch.Tensor:
    return torch.rand(batch, length, 1, size, size, generator=torch.Generator().manual_seed(1))


def run(model, clip, steps, targets=False):
    """Step by step: (predictions, latents of each step); the noise is seeded."""
    torch.manual_seed(2)
    state = model.initial_state(len(clip), *clip.shape[-2:])
    predictions, latents = [], []
    for t in range(steps):
        prediction, state, pairs = model.step(clip[:, t : t + 1], state, clip[:, t + 1 : t + 2] if targets else None)
        predictions.append(prediction)
        latents.append(pairs)
    return torch.stack(predictions, 1), latents


def test_full_size_is_within_six_percent_of_62_million():
    with torch.device("meta"):
        model = ImprovedVRNN()
    parts = model.parameter_breakdown()
    assert parts["total"] == sum(p.numel() for p in model.parameters())
    assert abs(parts["total"] / 62e6 - 1) < 0.06
    assert parts["prior"] == parts["posterior"]


def test_most_of_the_coarsest_weights_meet_only_padding():
    model = small()
    clip = frames(1, 3)
    before, _ = run(model, clip, 2)
    dead = 0
    with torch.no_grad():
        for cell in (model.renderer["lstm"][0], model.prior[0].lstm, model.posterior[0].lstm):
            for conv in (cell.input_gates, cell.state_gates):
                middle = conv.weight[:, :, 1, 1].clone()
                conv.weight.add_(1.0)
                conv.weight[:, :, 1, 1] = middle
                dead += conv.weight.numel() - middle.numel()
    after, _ = run(model, clip, 2)
    assert torch.equal(before, after)
    assert dead_weights(model, 32, 32) == dead
    assert dead_weights(model, 64, 64) == 0


@pytest.mark.parametrize("batch", [1, 3])
def test_one_pair_per_level_coarse_to_fine(batch):
    prediction, latents = run(small(), frames(batch, 5), 4, targets=True)
    assert prediction.shape == (batch, 4, 1, 1, 32, 32)
    assert 0 <= prediction.min() and prediction.max() <= 1
    shapes = [(3, 1, 1), (16, 8, 8), (4, 32, 32)]
    for pairs in latents:
        for (posterior, prior), shape in zip(pairs, shapes, strict=True):
            for gaussian in (posterior, prior):
                assert gaussian.mean.shape == gaussian.std.shape == (batch, *shape)
                assert (gaussian.std > 0).all()


def test_pyramid_of_six_levels_at_64_and_at_oblong_frames():
    model = small(levels=6, hidden=2)
    for height, width in ((64, 64), (64, 128)):
        state = model.initial_state(1, height, width)
        prediction, _, latents = model.step(torch.rand(1, 1, 1, height, width), state)
        assert prediction.shape == (1, 1, 1, height, width)
        assert latents[0][1].mean.shape[-2:] == (1, width // 64)
        assert latents[2][1].mean.shape[-2:] == (32, 32 * width // 64)


def test_without_a_target_there_is_no_posterior():
    _, latents = run(small(), frames(2, 4), 4)
    assert all(posterior is None for pairs in latents for posterior, _ in pairs)


def test_a_target_may_come_and_go():
    model, clip = small(), frames(2, 8)
    state = model.initial_state(2, 32, 32)
    for t in range(6):
        target = clip[:, t + 1 : t + 2] if t in (0, 3, 5) else None
        prediction, state, pairs = model.step(clip[:, t : t + 1], state, target)
        assert (pairs[0][0] is None) == (target is None)
        assert prediction.isfinite().all()


def test_a_prediction_depends_on_every_past_frame_and_on_no_other():
    model = small()
    with torch.no_grad():  # the heads start out nearly constant; here they must pass on what reaches them
        for net in model.prior:
            net.head.weight.normal_()
    clip = frames(1, 6).requires_grad_()
    predictions, _ = run(model, clip, 6)
    for t in range(6):
        (gradient,) = torch.autograd.grad(predictions[:, t].square().sum(), clip, retain_graph=True)
        reached = gradient.abs().sum((0, 2, 3, 4)) > 0
        assert reached.tolist() == [i <= t for i in range(6)]


def test_the_prior_knows_no_target():
    model, clip = small(), frames(1, 4)
    other = clip.clone()
    other[:, 3] = 1 - other[:, 3]
    (_, first), (_, second) = run(model, clip, 3, targets=True), run(model, other, 3, targets=True)
    for (q1, p1), (q2, p2) in zip(first[2][:1], second[2][:1]):  # finer priors see the posterior's sample (eq. 2)
        assert torch.equal(p1.mean, p2.mean) and torch.equal(p1.std, p2.std)
        assert not torch.equal(q1.mean, q2.mean)


def test_finer_latents_see_every_coarser_sample():
    model = small()
    for nets in (model.prior, model.posterior):
        assert [net.head.in_channels - net.lstm.state_gates.in_channels for net in nets] == [0, 3, 3 + 16]


def test_reconstruction_reaches_every_posterior_through_its_sample():
    model = small()
    clip = frames(1, 5)
    prediction, _ = run(model, clip, 4, targets=True)
    prediction.square().mean().backward()
    for net in model.posterior:
        assert net.head.weight.grad.abs().sum() > 0
        assert net.lstm.input_gates.weight.grad.abs().sum() > 0
    # the posterior's sample is decoded: no prior has a say in the picture
    assert all(p.grad is None or not p.grad.any() for p in model.prior.parameters())


def test_every_parameter_is_trained_by_the_study_s_loss():
    model = small()
    clip = frames(2, 6)
    prediction, latents = rollout(model, clip, 3, 6, forcing="teacher", posterior=True)
    loss, terms = sequence_loss(prediction, clip[:, 1:], latents, variant="kl_qp")
    assert loss.shape == terms["latent"].shape == (2,)
    loss.mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_the_states_start_from_the_context_and_then_recur():
    model, clip = small(context=3), frames(2, 6)
    state = model.initial_state(2, 32, 32)
    for t in range(5):
        _, state, _ = model.step(clip[:, t : t + 1], state)
        context, recurrent = state
        assert len(context) == (5 if t < 2 else 0) and len(recurrent) == (0 if t < 2 else 3)
        assert all(x.shape[:2] == (2, t + 1) for x in context)


def test_batched_rollout_is_the_stepwise_one():
    model, clip = small().eval(), frames(2, 6)
    results = []
    for batched in (True, False):
        torch.manual_seed(3)
        results.append(rollout(model, clip, 4, 6, samples=2, batched=batched)[0])
    assert results[0].shape == (4, 5, 1, 32, 32)
    torch.testing.assert_close(results[0], results[1], atol=1e-5, rtol=1e-5)


def test_conv_lstm_against_its_equations():
    torch.manual_seed(0)
    cell = ConvLSTM(3, 8)
    x, h, c = torch.rand(2, 3, 5, 6), torch.rand(2, 8, 5, 6), torch.rand(2, 8, 5, 6)
    new_h, state = cell(cell.inputs(x), (h, c))

    def group_norm(value, groups):
        parts = value.reshape(2, groups, -1)
        mean, variance = parts.mean(2, keepdim=True), parts.var(2, unbiased=False, keepdim=True)
        return ((parts - mean) / (variance + 1e-5).sqrt()).reshape(value.shape)

    halves = ((x, cell.input_gates), (h, cell.state_gates))
    gates = [group_norm(F.conv2d(v, conv.weight, conv.bias, padding=1), 8) for v, conv in halves]
    i, f, o, g = torch.split(gates[0] + gates[1], 8, dim=1)
    want_c = group_norm(torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g), 2)
    torch.testing.assert_close(state[1], want_c)
    torch.testing.assert_close(new_h, torch.sigmoid(o) * torch.tanh(want_c))
    assert state[0] is new_h


def test_the_shortcut_at_1_x_1_is_exact():
    conv, x = torch.nn.Conv2d(3, 4, 3, padding=1).double(), torch.rand(2, 3, 1, 1).double()
    torch.testing.assert_close(_conv3x3(conv, x), conv(x))


def test_refuses_what_it_cannot_take():
    with pytest.raises(ValueError, match="window 2 with horizon 2; it takes window 1 with horizon 1"):
        ImprovedVRNN(window=2, horizon=2)
    for wrong, told in [
        ({"levels": 1}, "levels of improved_vrnn is 1, but must be a whole number of at least 2"),
        ({"levels": 2.5}, "levels of improved_vrnn is 2.5, but must be a whole number"),
        ({"hidden": "wide"}, "hidden of improved_vrnn is 'wide', but must be a whole number of at least 1"),
        ({"channels": 0}, "channels of improved_vrnn is 0, but must be a whole number of at least 1"),
        ({"sigma_min": -1}, "sigma_min of improved_vrnn is -1, but must be a number of at least 0"),
    ]:
        with pytest.raises(ValueError, match=told):
            ImprovedVRNN(**wrong)
    with pytest.raises(ValueError, match="multiples of 32, not 48 x 64"):
        small().initial_state(1, 48, 64)
    with pytest.raises(ValueError, match="multiples of 64"):
        with torch.device("meta"):
            model = ImprovedVRNN()
        model.encode(torch.zeros(1, 1, 1, 32, 32))
