"""The one time loop: which frames go in, what comes out, causality, samples."""

from __future__ import annotations

import pytest
import torch

from vrnn3d.models import build_model
from vrnn3d.models.base import VideoModel
from vrnn3d.rollout import rollout, usable_length

NARROW = dict(widths=(4, 8), hidden=8, latent=2, head=4)


#: Frames have values in [0, 1]: frame i of a numbered sequence is i thousandths.
UNIT = 1000


class Recorder(VideoModel):
    """Predicts 100 + the number of the last frame it was given, and writes down the numbers of every clip."""

    def __init__(self, window, horizon):
        super().__init__()
        self.window, self.horizon, self.seen = window, horizon, []

    def initial_state(self, batch, height, width, device=None, dtype=None):
        return ()

    def advance(self, features, state, target=None):
        self.seen.append(numbers(features).tolist())
        return features + 100 / UNIT, state, ()


def numbered(length, batch=1):
    return (torch.arange(length) / UNIT).view(1, -1, 1, 1, 1).expand(batch, length, 1, 2, 2).contiguous()


def numbers(frames):
    """(B, T, C, H, W) -> (B, T)."""
    return (frames[:, :, 0, 0, 0] * UNIT).round().int()


@pytest.mark.parametrize("batched", [True, False])
def test_windows_walk_by_the_horizon_and_predictions_take_over(batched):
    model = Recorder(2, 2)
    prediction, _ = rollout(model, numbered(10), 5, 9, batched=batched)
    # Frames 0-4 are known, so the third clip is the true frame 4 and the predicted frame 5 = 100 + frame 3.
    assert model.seen == [[[0, 1]], [[2, 3]], [[4, 103]], [[104, 203]]]
    assert numbers(prediction)[0].tolist() == [100, 101, 102, 103, 104, 203, 204]


@pytest.mark.parametrize("batched", [True, False])
def test_sliding_by_one_frame(batched):
    model = Recorder(3, 1)
    prediction, _ = rollout(model, numbered(6), 4, 7, batched=batched)
    assert model.seen == [[[0, 1, 2]], [[1, 2, 3]], [[2, 3, 103]], [[3, 103, 203]]]
    assert numbers(prediction)[0].tolist() == [102, 103, 203, 303]


def test_forcing_mask_is_per_sequence_and_per_frame():
    model = Recorder(1, 1)
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 1]], dtype=torch.bool)
    rollout(model, numbered(4, 2), 2, 4, forcing=mask)
    assert model.seen == [[[0], [0]], [[1], [1]], [[2], [101]]]


def test_teacher_forcing_feeds_the_truth():
    model = Recorder(1, 1)
    rollout(model, numbered(4), 1, 4, forcing="teacher")
    assert model.seen == [[[0]], [[1]], [[2]]]


def test_mask_of_ones_equals_teacher_forcing():
    torch.manual_seed(0)
    model, frames = build_model("vrnn3d", **NARROW).eval(), torch.rand(2, 8, 1, 8, 8)
    out = []
    for forcing in ("teacher", torch.ones(2, 8, dtype=torch.bool)):
        torch.manual_seed(1)
        out.append(rollout(model, frames, 2, 8, forcing=forcing)[0])
    torch.testing.assert_close(*out, rtol=1e-5, atol=1e-6)


def test_samples_of_a_sequence_are_adjacent_and_differ():
    torch.manual_seed(0)
    model, frames = build_model("vrnn3d", **NARROW).eval(), torch.rand(2, 4, 1, 8, 8)
    prediction, latents = rollout(model, frames, 4, 8, samples=3)
    assert prediction.shape == (6, 6, 1, 8, 8) and len(latents) == 3
    grouped = prediction.unflatten(0, (2, 3))
    assert all((grouped[:, a] != grouped[:, b]).any() for a, b in ((0, 1), (0, 2), (1, 2)))
    # Without noise the samples of a sequence are its prediction, three times.
    plain = build_model("convlstm2d", widths=(4, 8), hidden=8).eval()
    once, thrice = (rollout(plain, frames, 4, 6, samples=n)[0] for n in (1, 3))
    torch.testing.assert_close(thrice, once.repeat_interleave(3, 0))
    assert not torch.allclose(once[0], once[1])


def test_posterior_is_given_only_when_asked_for():
    model, frames = build_model("vrnn3d", **NARROW), torch.rand(1, 6, 1, 8, 8)
    assert all(q is not None for ((q, _),) in rollout(model, frames, 4, 6, posterior=True)[1])
    assert all(q is None for ((q, _),) in rollout(model, frames, 4, 6)[1])


def test_bad_input_is_named():
    model = build_model("vrnn3d", **NARROW)
    frames = torch.rand(1, 6, 1, 8, 8)
    for bad, message in [
        (lambda: rollout(model, frames[0], 4, 6), "third axis is the channel"),
        (lambda: rollout(model, torch.rand(1, 6, 3, 8, 8), 4, 6), "third axis is the channel"),
        (lambda: rollout(model, torch.rand(1, 6, 1, 10, 8), 4, 6), "multiples of 4.*12 x 8"),
        (lambda: rollout(model, frames, 1, 6), "at least the window"),
        (lambda: rollout(model, frames, 7, 9), "at most the frames given"),
        (lambda: rollout(model, frames, 4, 8, posterior=True), "true frames up to 8"),
        (lambda: rollout(model, frames, 4, 5, posterior=True), "4 is the nearest below 5"),
        (lambda: rollout(model, frames, 4, 2), "nothing to predict"),
        (lambda: rollout(model, (frames * 255).byte(), 4, 6), "frames are torch.uint8; models take floats"),
        (lambda: rollout(model, frames * 255, 4, 6), "values from .* \\(divide 8-bit frames by 255"),
        (lambda: (rollout(model, frames, 4, 6), rollout(model, frames * 255, 4, 6)), "values from .* \\(divide 8-bit"),
        (lambda: rollout(model, frames, 4, 6, forcing="truth"), "forcing is 'truth'; it is None"),
        (
            lambda: rollout(model, frames, 4, 6, forcing=torch.ones(1, 6)),
            r"mask is torch.float32.* must be boolean, \(1, 6\)",
        ),
        (lambda: rollout(model, frames, 4, 6, forcing=torch.ones(2, 6, dtype=torch.bool)), "it must be boolean"),
        (lambda: rollout(Recorder(1, 1), torch.rand(1, 6, 1, 2, 2), 4, 6, posterior=True), "Recorder has no latent"),
    ]:
        with pytest.raises(ValueError, match=message):
            bad()


def test_usable_length():
    model = Recorder(3, 3)
    assert usable_length(model, 20) == 18
    with pytest.raises(ValueError, match="at least 6 frames"):
        usable_length(model, 5)
