"""Continuing a user's clip: from its end, or from within, where the truth is known and scored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trials import tiny
from vrnn3d.checkpoint import model_of
from vrnn3d.evaluation import metrics
from vrnn3d.evaluation.predict import continue_video


@pytest.fixture
def clip(tmp_path):
    """Twelve frames of 16 x 16, and the file that holds them."""
    frames = np.random.default_rng(0).integers(0, 256, (12, 16, 16), np.uint8)
    np.save(tmp_path / "clip.npy", frames)
    return torch.from_numpy(frames)[:, None] / 255, tmp_path / "clip.npy"


def continued(name: str, file, **options):
    torch.manual_seed(0)
    return continue_video(model_of(tiny(name)).eval(), tiny(name), file, **options)


def test_the_end_of_a_clip_is_continued(clip):
    frames, file = clip
    found = continued("vrnn3d", file, context=8, frames=6, samples=2)
    torch.testing.assert_close(found.given, frames[-8:])
    assert found.samples.shape == (2, 6, 1, 16, 16) and len(found.truth) == 0 and found.scores() == {}
    rows = found.rows()
    assert list(rows) == ["mean", "sample 1", "sample 2"]
    assert all(row.shape == (14, 1, 16, 16) and torch.equal(row[:8], found.given) for row in rows.values())
    torch.testing.assert_close(rows["mean"][8:], found.samples.mean(0))


def test_from_within_the_truth_is_known_as_far_as_the_clip_goes(clip):
    frames, file = clip
    found = continued("vrnn3d", file, context=5, frames=6, samples=3, start=3)
    torch.testing.assert_close(found.given, frames[3:8])
    torch.testing.assert_close(found.truth, frames[8:12])
    truth = found.rows()["truth"]
    torch.testing.assert_close(truth[:9], frames[3:12])
    assert len(truth) == 11 and not truth[9:].any(), "there is no truth after the clip's end"
    scores = found.scores()
    assert list(scores) == ["prediction", "mean of the samples", "last frame repeated"]
    last = frames[7].expand_as(found.truth)
    assert scores["last frame repeated"]["mse"] == pytest.approx(metrics.mse(last[None], found.truth[None]).mean().item())
    each = [metrics.mse(sample[None, :4], found.truth[None]).mean().item() for sample in found.samples]
    assert scores["prediction"]["mse"] == pytest.approx(np.mean(each), rel=1e-5)
    assert scores["mean of the samples"]["mse"] < scores["prediction"]["mse"]


def test_a_deterministic_model_makes_one_prediction(clip):
    _, file = clip
    found = continued("convlstm2d", file, context=5, frames=3, samples=4, start=0)
    assert len(found.samples) == 1 and list(found.rows()) == ["truth", "prediction"]
    assert set(found.scores()) == {"prediction", "last frame repeated"}


def test_the_noise_is_seeded(clip):
    _, file = clip
    runs = [continued("vrnn3d", file, context=5, frames=3, seed=seed).samples for seed in (0, 0, 1)]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_another_size_than_that_of_the_training_is_told(clip):
    _, file = clip
    with pytest.warns(UserWarning, match="trained on frames of 16 x 16 and is given 32 x 20"):
        assert continued("vrnn3d", file, context=5, frames=3, size=(32, 20)).samples.shape[-2:] == (32, 20)


@pytest.mark.parametrize(
    "options, told", [({"context": 13}, "13"), ({"context": 8, "start": 6}, "8"), ({"context": 1}, "window of 2")]
)
def test_a_clip_or_context_that_is_too_short_is_told(clip, options, told):
    _, file = clip
    with pytest.raises(ValueError, match=told) as error:
        continued("vrnn3d", file, frames=3, **options)
    assert "\n" not in str(error.value)
