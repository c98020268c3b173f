"""What every model of the registry owes: shapes, causality, learning, repeatability, round trips."""

from __future__ import annotations

import pytest
import torch

from vrnn3d import checkpoint
from vrnn3d.study import catalogue
from vrnn3d.losses import sequence_loss
from vrnn3d.models import REGISTRY, build_model
from vrnn3d.rollout import rollout, usable_length

SIZE = 32
TRAINED = [name for name in REGISTRY if name != "copy_last"]


def experiment_of(name):
    return next(
        e for e in (catalogue.get(n, "smoke") for n in catalogue.names()) if e.model.name == name
    )


def smoke_model(name, seed=0, **changes):
    torch.manual_seed(seed)
    e = experiment_of(name)
    options = {"window": e.model.window, "horizon": e.model.horizon, **e.model.options, **changes}
    return build_model(name, **({"size": SIZE} if name == "pixel_mean" else {}), **options)


def moving_square(batch=2, length=8):
    """A bright square that walks: something a model can learn."""
    frames = torch.zeros(batch, length, 1, SIZE, SIZE)
    for b in range(batch):
        for t in range(length):
            x = 4 + 2 * t + 3 * b
            frames[b, t, :, 8 : 14, x : x + 6] = 1
    return frames


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("batch, context, length", [(1, 4, 9), (3, 5, 8)])
def test_shapes_and_values(name, batch, context, length):
    model = smoke_model(name).eval()
    with torch.no_grad():
        prediction, latents = rollout(model, torch.rand(batch, context, 1, SIZE, SIZE), context, length)
    assert prediction.shape == (batch, length - model.window, 1, SIZE, SIZE)
    assert prediction.isfinite().all()
    assert bool(any(latents)) == model.stochastic


@pytest.mark.parametrize("name", REGISTRY)
def test_causality(name):
    """A changed frame leaves every earlier prediction, and that of itself, alone."""
    model, frames = smoke_model(name).eval(), torch.rand(1, 8, 1, SIZE, SIZE)
    with torch.no_grad():
        for parameter in model.parameters():  # some models start with an output of zero, whatever goes in
            parameter += 0.05 * torch.randn_like(parameter)
    changed = frames.clone()
    changed[:, 5] = 1 - changed[:, 5]
    out = []
    for video in (frames, changed):
        torch.manual_seed(0)
        with torch.no_grad():
            out.append(rollout(model, video, 8, 8 + model.horizon)[0])
    same = 5 - model.window + 1  # predictions of frames M .. 5
    assert torch.equal(out[0][:, :same], out[1][:, :same])
    if name != "pixel_mean":
        assert not torch.equal(out[0][:, same:], out[1][:, same:])


@pytest.mark.parametrize("name", TRAINED)
def test_overfits_one_batch(name):
    model = smoke_model(name)
    frames = moving_square()
    length = usable_length(model, frames.shape[1])
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    first = None
    # A mean of all frames cannot follow a moving square: its floor is the still picture.
    data = frames if name != "pixel_mean" else frames[:, :1].expand_as(frames).contiguous()
    data = data if name != "pixel_mean" else data[:1].expand_as(data).contiguous()
    for _ in range(400):
        prediction, latents = rollout(model, data, 4, length, forcing="teacher", posterior=model.stochastic)
        loss, terms = sequence_loss(prediction, data[:, model.window : length], latents, variant="kl_qp", beta=1e-3)
        optimiser.zero_grad()
        loss.mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
        value = terms["reconstruction"].mean().item()
        first = first or value
        if value < first / 10:
            return
    pytest.fail(f"reconstruction only fell from {first:.1f} to {value:.1f}")


@pytest.mark.parametrize("name", REGISTRY)
def test_same_seed_same_digits(name):
    frames = torch.rand(2, 4, 1, SIZE, SIZE)
    out = []
    for _ in range(2):
        model = smoke_model(name, seed=7).eval()
        torch.manual_seed(1)
        with torch.no_grad():
            out.append(rollout(model, frames, 4, 8)[0])
    assert torch.equal(*out)


@pytest.mark.parametrize("name", REGISTRY)
def test_checkpoint_round_trip(name, tmp_path):
    e = experiment_of(name)
    torch.manual_seed(0)
    model = checkpoint.model_of(e)
    files = checkpoint.publish(model, e, tmp_path / name, {"about": "test"})
    assert all(f.stat().st_size <= checkpoint.PART_BYTES + 100_000 for f in files)
    again, same = checkpoint.load_published(name, root=tmp_path)
    assert same == e
    for (key, a), b in zip(model.state_dict().items(), again.state_dict().values()):
        torch.testing.assert_close(a.float(), b.float(), rtol=2**-8, atol=1e-6, msg=key)


@pytest.mark.parametrize("name", REGISTRY)
def test_bf16_is_close_to_float32(name):
    model, frames = smoke_model(name).eval(), torch.rand(2, 4, 1, SIZE, SIZE)
    out = []
    for half in (False, True):
        torch.manual_seed(1)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            out.append(rollout(model, frames, 4, 6)[0].float())
    error = (out[1] - out[0]).norm() / out[0].norm().clamp_min(1e-6)
    assert error < 2e-2, f"relative error {error:.3g}"


@pytest.mark.parametrize("name", REGISTRY)
def test_bad_sizes_and_arguments_are_refused(name):
    model = smoke_model(name)
    if model.size_multiple > 1:
        with pytest.raises(ValueError, match="multiples of"):
            rollout(model, torch.rand(1, 4, 1, SIZE + 1, SIZE), 4, 6)
    with pytest.raises(ValueError, match="no argument colour; its arguments are"):
        build_model(name, colour=1)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="vrnn3d, vrnn2d, convlstm2d"):
        build_model("vrnn4d")
    with pytest.raises(FileNotFoundError, match="vrnn3d train"):
        checkpoint.load("nothing_of_that_name")


def test_a_missing_part_of_published_weights_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "PART_BYTES", 20_000)
    e = experiment_of("vrnn3d")
    files = checkpoint.publish(checkpoint.model_of(e), e, tmp_path / "m", {})
    files[0].unlink()
    with pytest.raises(ValueError, match="all parts"):
        checkpoint.load_published("m", root=tmp_path)
