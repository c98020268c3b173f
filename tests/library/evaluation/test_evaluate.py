"""Evaluation and prediction: what is measured is what the protocol says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vrnn3d import config
from vrnn3d.study import catalogue
from vrnn3d.evaluation import metrics
from vrnn3d.checkpoint import model_of
from vrnn3d.data import build
from vrnn3d.evaluation.evaluate import evaluate, examples, predict
from vrnn3d.evaluation.predict import predict_video


def small_test(name, **changes):
    settings = {"eval.sequences": 5, "eval.batch": 2, "eval.samples": 4, "data.sequences": (8, 4, 6)}
    return config.override(catalogue.get(name, "smoke"), settings | changes)


def test_copy_last_frame_scores_what_copying_scores():
    experiment = small_test("copy_last")
    entry = evaluate(model_of(experiment), experiment, progress=False)
    assert set(entry) == {"train", "test"}
    for pool in entry:
        frames = build(experiment.data, "test", pool=pool, length=30).batch(torch.arange(5)).float() / 255
        for context, ahead in ((5, 10), (5, 15), (10, 10), (10, 20)):
            truth = frames[:, context : context + ahead]
            expected = metrics.mse(frames[:, context - 1 : context].expand_as(truth), truth)
            got = entry[pool][f"{context}->{ahead}"]
            assert got["mse"]["average"] == pytest.approx(expected.mean().item(), rel=1e-5)
            np.testing.assert_allclose(got["mse"]["per_frame"], expected.mean(0), rtol=1e-4)
            assert got["sequences"] == 5 and got["samples"] == 1
            assert got["mse"]["best"] == got["mse"]["mean_frame"] == pytest.approx(got["mse"]["average"])


def test_pools_hold_different_digits():
    experiment = small_test("copy_last")
    a, b = (build(experiment.data, "test", pool=pool, length=20).batch(torch.arange(3)) for pool in ("train", "test"))
    assert not torch.equal(a, b)


def test_stochastic_model_is_measured_over_its_samples():
    experiment = small_test("vrnn3d_kl")
    torch.manual_seed(0)
    model = model_of(experiment)
    entry = evaluate(model, experiment, progress=False)["test"]["10->10"]
    assert entry["samples"] == 4
    assert entry["mse"]["best"] <= entry["mse"]["average"] and entry["sample_variance"]["average"] > 0
    # average over samples = error of the mean frame + variance, up to the clipping of the metric
    whole = entry["mse"]["mean_frame"] + entry["sample_variance"]["average"]
    assert entry["mse"]["average"] == pytest.approx(whole, rel=1e-4)
    again = evaluate(model, experiment, progress=False)["test"]["10->10"]
    assert again == entry


def test_a_window_longer_than_a_context_leaves_that_protocol_out():
    experiment = small_test("window_M10_H10")
    entry = evaluate(model_of(experiment), experiment, progress=False)
    assert set(entry["test"]) == {"10->10", "10->20"}


def test_prediction_ignores_everything_after_the_context():
    experiment = small_test("vrnn3d_kl")
    torch.manual_seed(0)
    model = model_of(experiment)
    frames = torch.rand(2, 12, 1, 32, 32)
    out = []
    for video in (frames, torch.cat([frames[:, :6], 1 - frames[:, 6:]], 1)):
        torch.manual_seed(1)
        out.append(predict(model, video, 6, 5, samples=3))
    assert torch.equal(*out) and out[0].shape == (2, 3, 5, 1, 32, 32)
    assert 0 <= out[0].min() and out[0].max() <= 1
    few = predict(model, frames, 6, 5, samples=5, at_once=4)  # two sequences at a time and two samples each
    assert few.shape == (2, 5, 5, 1, 32, 32)


def test_predicting_a_users_video(tmp_path):
    clip = tmp_path / "clip.npy"
    np.save(clip, (np.random.default_rng(0).random((12, 40, 50)) * 255).astype(np.uint8))
    model = model_of(small_test("vrnn3d_kl")).eval()
    rows = predict_video(model, clip, context=8, frames=6, samples=2, size=32)
    assert set(rows) == {"truth", "mean", "sample 1", "sample 2"}
    assert all(row.shape == (14, 32, 32) for row in rows.values())
    assert torch.equal(rows["truth"][:8], rows["sample 1"][:8])
    assert not rows["truth"][12:].any(), "there is no truth after the video's end"
    with pytest.raises(ValueError, match="12 frames.*smaller --context"):
        predict_video(model, clip, context=13, size=32)


def test_examples_are_the_first_and_the_worst():
    experiment = small_test("copy_last")
    model = model_of(experiment)
    entry = evaluate(model, experiment, progress=False)
    found = examples(model, experiment, entry, first=2, worst=1)
    scores = entry["test"]["10->20"]["mse"]["per_sequence"]
    assert found["indices"].tolist() == [0, 1, int(np.argmax(scores))] and found["first"] == 2 and found["context"] == 10
    assert found["sample"].shape == found["mean"].shape == (3, 20, 1, 32, 32) and found["sample"].dtype == np.uint8
    frames = build(experiment.data, "test", pool="test", length=30).batch(torch.from_numpy(found["indices"]))
    np.testing.assert_array_equal(found["truth"], frames)
    np.testing.assert_array_equal(found["sample"], frames[:, 9:10].expand(3, 20, 1, 32, 32))


def test_examples_stay_small(monkeypatch):
    """Of large frames fewer sequences are kept: the first, and the worst."""
    experiment = small_test("copy_last")
    model = model_of(experiment)
    entry = evaluate(model, experiment, progress=False)
    worst = int(np.argmax(entry["test"]["10->20"]["mse"]["per_sequence"]))
    for sequences, indices in ((2, [0, worst]), (1, [0]), (0.5, [0])):
        monkeypatch.setattr("vrnn3d.evaluation.evaluate.EXAMPLE_PIXELS", int(sequences * 20 * 32 * 32))
        assert examples(model, experiment, entry)["indices"].tolist() == indices
