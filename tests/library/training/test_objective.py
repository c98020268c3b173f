"""What is minimised: equation 7 per predicted frame, whatever window and horizon; and one graph for the compiler."""

from __future__ import annotations

import pytest
import torch

from trials import tiny
from vrnn3d import checkpoint
from vrnn3d.data import build
from vrnn3d.layers.gaussian import Gaussian
from vrnn3d.losses import latent_loss, latent_total, sequence_loss
from vrnn3d.models import build_model
from vrnn3d.rollout import rollout, usable_length
from vrnn3d.training.objective import objective, validation_mse

EQUAL_WINDOWS = (1, 2, 4)


def pair(depth: int, shift: float) -> tuple[Gaussian, Gaussian]:
    """A posterior and a prior of 3 channels on 2 x 2 places, `depth` deep, of two sequences."""
    size = (2, 3, depth, 2, 2)
    return Gaussian(torch.full(size, shift), torch.full(size, 0.5)), Gaussian(torch.zeros(size), torch.ones(size))


@pytest.mark.parametrize("variant", ["kl_qp", "kl_ll"])
def test_the_latent_weight_of_a_frame_does_not_depend_on_the_horizon(variant):
    """Eight frames, predicted in 8, 4 or 2 steps whose latents are as deep as the step is long."""
    per_frame = []
    for horizon in EQUAL_WINDOWS:
        latents = [(pair(depth=horizon, shift=1.0),) for _ in range(8 // horizon)]
        per_frame.append(latent_total(latents, variant, frames=8))
    one = latent_loss(*pair(1, 1.0), variant).flatten(1).sum(1)
    for found in per_frame:
        torch.testing.assert_close(found, one)


@pytest.mark.parametrize("window", EQUAL_WINDOWS)
def test_the_loss_is_equation_7_summed_over_time_and_divided_by_the_frames(window):
    torch.manual_seed(0)
    model = build_model("vrnn3d", window=window, horizon=window, widths=(4, 8), hidden=8, latent=2, head=4)
    frames, length = torch.rand(2, 12, 1, 8, 8), 12
    prediction, latents = rollout(model, frames, 4, length, posterior=True)
    predicted = length - window
    assert prediction.shape[1] == predicted == len(latents) * window
    loss, terms = sequence_loss(prediction, frames[:, window:], latents, variant="kl_qp", l1=0.0, l2=1.0, beta=0.5)
    squares = (prediction - frames[:, window:]).square().sum((1, 2, 3, 4))
    nats = sum(latent_loss(q, p, "kl_qp").flatten(1).sum(1) for step in latents for q, p in step)
    torch.testing.assert_close(loss * predicted, squares + 0.5 * nats)
    torch.testing.assert_close(terms["latent"] * predicted, nats)


@pytest.mark.parametrize("window", EQUAL_WINDOWS)
def test_training_records_nats_per_frame(window):
    """The curve of KL(q || p) is the latent term where that is the loss, and counts frames, not steps."""
    experiment = tiny(**{"model.window": window, "model.horizon": window, "loss.variant": "kl_qp"})
    torch.manual_seed(0)
    model = checkpoint.model_of(experiment)
    length = usable_length(model, 12)
    frames, mask = torch.randint(0, 255, (2, 12, 1, 16, 16), dtype=torch.uint8), torch.ones(2, length, dtype=torch.bool)
    loss, terms = objective(model, experiment, length)(frames, mask, torch.tensor(0.5))
    assert terms["kl_per_frame"].item() == pytest.approx(terms["latent"].item())
    assert terms["loss"].item() == pytest.approx(terms["reconstruction"].item() + 0.5 * terms["latent"].item())
    assert 0 <= terms["floor_fraction"] <= 1 and terms["log_std_prior"].isfinite() and loss.requires_grad


def test_a_deterministic_model_has_no_latent_terms():
    experiment = tiny("convlstm2d")
    model = checkpoint.model_of(experiment)
    frames, mask = torch.zeros(2, 12, 1, 16, 16, dtype=torch.uint8), torch.ones(2, 12, dtype=torch.bool)
    _, terms = objective(model, experiment, 12)(frames, mask, torch.tensor(0.5))
    assert set(terms) == {"loss", "l1", "l2", "reconstruction"}


def test_validation_is_the_frame_error_of_a_free_run_after_the_longest_context():
    experiment = tiny("copy_last", **{"train.context": (3, 6)})
    data, model = build(experiment.data, "validation"), checkpoint.model_of(experiment)
    frames = data.batch(torch.arange(len(data))).float() / 255
    expected = (frames[:, 5:6] - frames[:, 6:]).square().sum((2, 3, 4)).mean()
    assert validation_mse(model, experiment, data, torch.device("cpu")) == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("half", [False, True])
def test_the_objective_is_one_graph(half):
    """Nothing in a training step branches on values: torch.compile takes it whole, also under autocast."""
    experiment = tiny()
    torch.manual_seed(0)
    model = checkpoint.model_of(experiment)
    frames = torch.randint(0, 255, (2, 8, 1, 16, 16), dtype=torch.uint8)
    mask = torch.rand(2, 8) < 0.5
    torch._dynamo.reset()
    losses = []
    for compute in (
        objective(model, experiment, 8),
        torch.compile(objective(model, experiment, 8), backend="eager", fullgraph=True),
    ):
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            losses.append(compute(frames, mask, torch.tensor(0.5))[0].item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
