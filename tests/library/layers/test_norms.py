"""Norms: batch norm's statistics are those of a whole rollout, every element counting alike; both equal PyTorch's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trials import tiny
from vrnn3d import checkpoint
from vrnn3d.layers import depth_folding as df
from vrnn3d.layers.resnet3d import NORMS
from vrnn3d.rollout import rollout


def clips(*batches: int) -> list[torch.Tensor]:
    """Clips of 4 channels in the folded memory order, of these batch sizes and different means."""
    generator = torch.Generator().manual_seed(0)
    flat = [torch.randn(b, 3, 5, 2, 4, generator=generator) * (1 + i) + i for i, b in enumerate(batches)]
    return [x.permute(0, 4, 3, 1, 2) for x in flat]


def statistics(elements: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(mean, unbiased variance) over all but the channels."""
    flat = elements.transpose(0, 1).flatten(1)
    return flat.mean(1), flat.var(1)


@pytest.mark.parametrize("momentum", [0.1, 0.3, None])
@pytest.mark.parametrize("mode", ["always", "never"])
def test_outside_a_rollout_it_is_pytorch_s(momentum, mode):
    ours, theirs = df.BatchNorm3d(4, momentum=momentum), nn.BatchNorm3d(4, momentum=momentum)
    with df.folding(mode):
        for x in clips(2, 1, 3):
            torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-5, atol=1e-5, msg=name)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_one_update_for_all_calls_with_every_element_counting_alike(momentum):
    norm, calls = df.BatchNorm3d(4, momentum=momentum), clips(5, 1, 1)
    with df.joint_statistics():
        for x in calls:
            norm(x)
        assert not norm.running_mean.any() and norm.num_batches_tracked == 0, "nothing changes before the end"
    mean, variance = statistics(torch.cat(calls))
    share = 1.0 if momentum is None else momentum
    torch.testing.assert_close(norm.running_mean, share * mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(norm.running_var, (1 - share) + share * variance, rtol=1e-5, atol=1e-6)
    assert norm.num_batches_tracked == 1


def test_without_momentum_the_statistics_are_the_mean_of_all_updates():
    norm, steps = df.BatchNorm3d(4, momentum=None), [clips(2, 1), clips(1, 3)]
    for calls in steps:
        with df.joint_statistics():
            for x in calls:
                norm(x)
    expected = [torch.stack(values).mean(0) for values in zip(*(statistics(torch.cat(calls)) for calls in steps))]
    torch.testing.assert_close([norm.running_mean, norm.running_var], expected, rtol=1e-5, atol=1e-5)
    assert norm.num_batches_tracked == 2


def test_each_call_is_normalised_by_itself():
    """Joint statistics change what is remembered, not what a call puts out."""
    norm, plain = df.BatchNorm3d(4), nn.BatchNorm3d(4)
    with df.joint_statistics():
        for x in clips(2, 3):
            torch.testing.assert_close(norm(x), plain(x), rtol=1e-5, atol=1e-5)


def test_evaluation_leaves_statistics_alone():
    norm = df.BatchNorm3d(4).eval()
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    with df.joint_statistics():
        norm(clips(3)[0])
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


def test_a_norm_without_statistics_works_in_a_rollout():
    norm, plain = df.BatchNorm3d(4, track_running_stats=False), nn.BatchNorm3d(4, track_running_stats=False)
    with df.joint_statistics():
        (x,) = clips(3)
        torch.testing.assert_close(norm(x), plain(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "name, folding", [("vrnn3d", "auto"), ("vrnn3d", "never"), ("vrnn2d", "auto"), ("convlstm2d", "always")]
)
def test_a_training_step_updates_each_norm_once_from_all_its_activations(name, folding):
    """Activations are gathered by a hook, over known steps in one call and later ones in calls of their own."""
    torch.manual_seed(0)
    model = checkpoint.model_of(tiny(name))
    norms = {name: module for name, module in model.named_modules() if isinstance(module, df.BatchNorm3d)}
    seen: dict[str, list[torch.Tensor]] = {name: [] for name in norms}
    for name, module in norms.items():
        module.register_forward_pre_hook(lambda module, inputs, name=name: seen[name].append(inputs[0].detach().clone()))
    frames = torch.rand(2, 12, 1, 16, 16)
    with df.folding(folding):
        rollout(model, frames, 5, 12, forcing=torch.rand(2, 12) < 0.5, posterior=model.stochastic)
    assert len(norms) > 2 and max(map(len, seen.values())) > 2
    for name, module in norms.items():
        mean, variance = statistics(torch.cat(seen[name]))
        torch.testing.assert_close(module.running_mean, 0.1 * mean, rtol=1e-4, atol=1e-5, msg=name)
        torch.testing.assert_close(module.running_var, 0.9 + 0.1 * variance, rtol=1e-4, atol=1e-5, msg=name)
        assert module.num_batches_tracked == 1, name


@pytest.mark.parametrize("channels, groups", [(64, 16), (8, 2), (4, 1), (128, 32), (6, 1), (2, 1), (96, 24)])
def test_group_norm_is_pytorch_s_in_either_memory_order(channels, groups):
    norm = NORMS["group"](channels)
    assert norm.num_groups == groups and channels % groups == 0
    theirs = nn.GroupNorm(groups, channels)
    with torch.no_grad():
        for parameter in (norm.weight, norm.bias):
            parameter.uniform_(-1, 1)
    theirs.load_state_dict(norm.state_dict())
    x = torch.randn(2, channels, 3, 4, 5)
    folded = x.permute(0, 3, 4, 2, 1).contiguous().permute(0, 4, 3, 1, 2)
    expected = theirs(x)
    for given in (x, folded):
        y = norm(given)
        assert y.shape == x.shape
        torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    assert df.fold(norm(folded)).is_contiguous(memory_format=torch.channels_last)


def test_group_norm_of_half_precision_is_computed_in_float32(monkeypatch):
    norm, x = df.GroupNorm3d(2, 8), torch.randn(2, 8, 2, 4, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    expected, seen, theirs = norm(x.float()).bfloat16(), [], nn.GroupNorm.forward
    monkeypatch.setattr(nn.GroupNorm, "forward", lambda self, x: seen.append(x.dtype) or theirs(self, x))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(norm(x), expected, rtol=0, atol=0)
    assert seen == [torch.float32]
