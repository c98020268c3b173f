"""Copy the last frame; the mean of every pixel."""

from __future__ import annotations

import pytest
import torch

from trials import tiny
from vrnn3d.checkpoint import model_of
from vrnn3d.losses import sequence_loss
from vrnn3d.models.baselines import CopyLast, PixelMean
from vrnn3d.rollout import rollout


def frames(batch: int, length: int, size: int = 8, channels: int = 1) -> torch.Tensor:
    return torch.rand(batch, length, channels, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("window, horizon", [(1, 1), (2, 1), (2, 2), (5, 3)])
def test_copy_last_repeats_the_last_known_frame(window, horizon):
    clip = frames(3, 12)
    model = CopyLast(window=window, horizon=horizon)
    prediction, latents = rollout(model, clip, 5, 12)
    assert prediction.shape == (3, 12 - window, 1, 8, 8)
    after = prediction[:, 5 - window :]
    if horizon == 1:
        assert torch.equal(after, clip[:, 4:5].expand_as(after))
        # in the context, every prediction is the frame before it
        assert torch.equal(prediction[:, : 6 - window], clip[:, window - 1 : 5])
    assert all((frame == after[:, -1]).all() for frame in after[:, -horizon:].unbind(1))
    assert latents == [()] * len(latents)


@pytest.mark.parametrize("window, horizon", [(2, 2), (5, 3)])
def test_copy_last_keeps_the_known_part_of_the_clip(window, horizon):
    clip = frames(2, window)
    prediction, state, latents = CopyLast(window=window, horizon=horizon).step(clip, ())
    assert torch.equal(prediction[:, : window - horizon], clip[:, horizon:])
    assert torch.equal(prediction[:, window - horizon :], clip[:, -1:].expand(2, horizon, 1, 8, 8))
    assert state == () and latents == ()


def test_copy_last_has_nothing_to_train():
    model = CopyLast()
    assert model.parameter_breakdown() == {"total": 0}
    assert not model.trainable and not model.stochastic
    assert PixelMean(size=8).trainable


@pytest.mark.parametrize("l1, statistic", [(0.0, "mean"), (1.0, "darker")])
def test_pixel_mean_settles_on_the_mean_under_l2_alone(l1, statistic):
    clip = frames(16, 6, channels=2) * (frames(16, 6, channels=2) > 0.7)  # mostly black, like digits
    model = PixelMean(channels=2, size=8)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(200):
        prediction, _ = rollout(model, clip, 2, 6)
        loss = sequence_loss(prediction, clip[:, 1:], [()], l1=l1)[0].mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    mean = clip[:, 1:].mean((0, 1))
    picture = rollout(model, clip, 1, 2)[0][0, 0]
    if statistic == "mean":
        torch.testing.assert_close(picture, mean, atol=5e-3, rtol=0)
    else:
        assert picture.mean() < 0.5 * mean.mean()


def test_pixel_mean_ignores_what_it_sees_and_stays_in_range():
    model = PixelMean(size=8, window=2, horizon=2)
    with torch.no_grad():
        model.picture.uniform_(-0.5, 1.5)
    first, second = (rollout(model, clip, 2, 6)[0] for clip in (frames(3, 2), torch.zeros(3, 2, 1, 8, 8)))
    assert first.shape == (3, 4, 1, 8, 8) and torch.equal(first, second)
    assert 0 <= first.min() and first.max() <= 1
    first.sum().backward()
    assert (model.picture.grad == 12).all()  # also where the value is clamped
    assert model.parameter_breakdown() == {"other": 64, "total": 64}


def test_the_mean_picture_of_frames_that_are_no_squares():
    experiment = tiny("pixel_mean", **{"data.size": [12, 16]})
    model = model_of(experiment)
    prediction, _ = rollout(model, torch.rand(2, 3, 1, 12, 16), 3, 6)
    assert model.picture.shape == (1, 12, 16) and prediction.shape[-2:] == (12, 16)


def test_refusals_say_what_fits():
    with pytest.raises(ValueError, match="made for frames of 64 x 64, not 32 x 32; build it with size="):
        PixelMean().initial_state(1, 32, 32)
    with pytest.raises(ValueError, match="at least 1 pixel"):
        PixelMean(size=0)
    with pytest.raises(ValueError, match="at least 1 pixel"):
        PixelMean(size=(8, 0))
    with pytest.raises(ValueError, match=r"made for frames of 8 x 12, not 12 x 8; build it with size=\(12, 8\)"):
        PixelMean(size=(8, 12)).check_size(12, 8)
    for cls in (CopyLast, PixelMean):
        with pytest.raises(ValueError, match="any window M >= 1 with 1 <= H <= M"):
            cls(window=1, horizon=2)
