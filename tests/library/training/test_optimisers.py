"""Optimisers: Adam is PyTorch's, Muon takes the inner convolutions and leaves the rest to Adam."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trials import tiny
from vrnn3d import checkpoint
from vrnn3d.models import REGISTRY
from vrnn3d.training import optimisers
from vrnn3d.training.optimisers import MUON_RATE, Muon, orthogonalised


@pytest.mark.parametrize("shape", [(72, 8), (8, 72), (128, 27), (5, 40)])
def test_orthogonalised_tall_and_wide_matrices(shape):
    for seed in range(5):
        matrix = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        values = torch.linalg.svdvals(orthogonalised(matrix))
        assert 0.5 < values.min() and values.max() < 1.3


@pytest.mark.parametrize("side", [3, 16, 64])
@pytest.mark.parametrize("condition", [1, 30])
def test_orthogonalised_square_matrices(side, condition):
    """A Gaussian square matrix may be nearly singular, and that direction stays small: these are not."""
    torch.manual_seed(side)
    left, right = (torch.linalg.qr(torch.randn(side, side))[0] for _ in range(2))
    result = orthogonalised(left @ torch.diag(torch.logspace(0, -float(torch.tensor(condition).log10()), side)) @ right)
    values = torch.linalg.svdvals(result)
    assert 0.5 < values.min() and values.max() < 1.3
    assert torch.linalg.svdvals(left.T @ result @ right.T - torch.eye(side)).max() < 0.55, "its directions stay"


def test_no_matrix_comes_out_large():
    for matrix in (torch.zeros(4, 6), torch.ones(6, 4), torch.randn(32, 32)):
        assert torch.linalg.svdvals(orthogonalised(matrix)).max() < 1.3


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("kind", ["adam", "muon"])
def test_every_trainable_parameter_is_in_one_group(name, kind):
    experiment = tiny(name)
    model = checkpoint.model_of(experiment)
    trainable = [p for p in model.parameters() if p.requires_grad]
    if not trainable:
        pytest.skip("nothing to train")
    optimiser = optimisers.build(kind, model, 1e-3)
    held = [id(p) for group in optimiser.param_groups for p in group["params"]]
    assert len(held) == len(set(held)) and set(held) == {id(p) for p in trainable}


def test_muon_takes_the_inner_convolutions():
    model = checkpoint.model_of(tiny())
    optimiser = optimisers.build("muon", model, 1e-3)
    matrices = {id(p) for group in optimiser.param_groups if group["matrices"] for p in group["params"]}
    names = {name for name, p in model.named_parameters() if id(p) in matrices}
    assert "level1.gates.weight" in names and all(name.endswith("weight") for name in names)
    assert not {"encoder.stem.0.weight", "decoder.stem.weight", "encoder.stem.1.weight"} & names, "frames and norms are Adam's"
    scales = {group["matrices"]: group["scale"] for group in optimiser.param_groups}
    assert scales == {True: MUON_RATE, False: 1.0}


def quadratic(parameters: list[nn.Parameter]) -> torch.Tensor:
    return sum((p - 1).square().mul(torch.arange(p.numel()).view_as(p) + 1).sum() for p in parameters)


def run(optimiser: torch.optim.Optimizer, parameters: list[nn.Parameter], steps: int = 7) -> list[torch.Tensor]:
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 0.01 * (step + 1)
        optimiser.zero_grad()
        quadratic(parameters).backward()
        optimiser.step()
    return [p.detach().clone() for p in parameters]


def test_muon_s_rest_is_adam():
    shapes, found = [(3,), (4, 5), ()], []
    for make in (lambda p: Muon([], p, 1e-3), lambda p: torch.optim.Adam(p, lr=1e-3)):
        torch.manual_seed(0)
        parameters = [nn.Parameter(torch.randn(shape)) for shape in shapes]
        found.append(run(make(parameters), parameters))
    for ours, theirs in zip(*found):
        torch.testing.assert_close(ours, theirs)


def test_a_step_of_muon_has_the_length_of_its_rate():
    """Every matrix moves by about its rate in each of its directions, however large or small its gradient."""
    for scale in (1e-3, 1e3):
        torch.manual_seed(0)
        weight = nn.Parameter(torch.randn(8, 4, 3, 3))
        before = weight.detach().clone()
        optimiser = Muon([weight], [], 1e-3)
        optimiser.param_groups[0]["lr"] = 0.02
        (scale * weight.square()).sum().backward()
        optimiser.step()
        moved = torch.linalg.svdvals((before - weight.detach()).flatten(1)) / 0.02
        assert 0.5 < moved.min() and moved.max() < 1.3


def test_the_rate_of_the_schedule_is_scaled_in_each_group():
    from vrnn3d.training.state import State

    state = State.start(checkpoint.model_of(tiny()), tiny(**{"train.optimiser": "muon"}).train)
    state.set_rate(2e-3)
    assert {group["matrices"]: group["lr"] for group in state.optimiser.param_groups} == {True: 2e-3 * MUON_RATE, False: 2e-3}
