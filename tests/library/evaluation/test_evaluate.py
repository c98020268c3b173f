"""Evaluation and prediction: what is measured is what the protocol says."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from trials import tiny
from vrnn3d.checkpoint import model_of
from vrnn3d.data import build
from vrnn3d.evaluation import evaluate as module
from vrnn3d.evaluation import metrics
from vrnn3d.evaluation.evaluate import evaluate, examples, predict
from vrnn3d.layers.gaussian import set_noise_shard
from vrnn3d.training import loop
from vrnn3d.training.distributed import Team
from vrnn3d.training.objective import validation_mse

pytestmark = pytest.mark.slow  # every test evaluates

PROTOCOLS = ((3, 4), (3, 6), (6, 4), (6, 6))


def measured(model: str, **changes):
    """(experiment, model, its evaluation)"""
    settings = {"eval.protocols": PROTOCOLS, "eval.sequences": 5, "eval.samples": 4}
    experiment = tiny(model, **settings, **changes)
    torch.manual_seed(0)
    network = model_of(experiment)
    return experiment, network, evaluate(network, experiment, progress=False)


def test_copy_last_frame_scores_what_copying_scores():
    experiment, _, found = measured("copy_last")
    assert set(found) == {"train", "test"}
    for pool in found:
        frames = build(experiment.data, "test", pool=pool, length=12).batch(torch.arange(5)).float() / 255
        for context, ahead in PROTOCOLS:
            truth = frames[:, context : context + ahead]
            expected = metrics.mse(frames[:, context - 1 : context].expand_as(truth), truth)
            got = found[pool][f"{context}->{ahead}"]
            mse = got.scores["mse"]
            assert mse.average == pytest.approx(expected.mean().item(), rel=1e-5)
            np.testing.assert_allclose(mse.per_frame, expected.mean(0), rtol=1e-4)
            assert (got.sequences, got.samples) == (5, 1)
            assert mse.best == mse.mean_frame == pytest.approx(mse.average)
            assert got.baselines["copy_last"] == pytest.approx(mse.average, rel=1e-5)


def test_forecasts_that_know_nothing_stand_beside_the_scores():
    experiment, _, found = measured("black")
    entry = found["test"]["6->4"]
    frames = build(experiment.data, "test", pool="test", length=12).batch(torch.arange(5)).float() / 255
    training = build(experiment.data, "train")
    mean = training.batch(torch.arange(len(training))).float().mean((0, 1)) / 255
    truth = frames[:, 6:10]
    assert entry.baselines["black"] == pytest.approx(truth.square().sum((2, 3, 4)).mean().item(), rel=1e-5)
    assert entry.baselines["black"] == pytest.approx(entry.scores["mse"].average, rel=1e-5)
    assert entry.baselines["pixel_mean"] == pytest.approx((truth - mean).square().sum((2, 3, 4)).mean().item(), rel=1e-5)


def test_pools_hold_different_digits():
    experiment = tiny("copy_last")
    a, b = (build(experiment.data, "test", pool=pool, length=12).batch(torch.arange(3)) for pool in ("train", "test"))
    assert not torch.equal(a, b)


def test_a_stochastic_model_is_measured_over_its_samples():
    experiment, model, found = measured("vrnn3d", **{"model.options.head": 0})
    entry = found["test"]["3->6"]
    scores = entry.scores
    assert entry.samples == 4
    assert scores["mse"].best <= scores["mse"].average and scores["sample_variance"].average > 0
    # average over samples = error of the mean frame + variance, up to the clipping of the metric
    whole = scores["mse"].mean_frame + scores["sample_variance"].average
    assert scores["mse"].average == pytest.approx(whole, rel=1e-4)
    assert evaluate(model, experiment, progress=False) == found, "the noise is seeded"


def test_protocols_of_one_context_share_their_predictions():
    _, _, found = measured("vrnn3d")
    short, long = found["test"]["6->4"].scores["mse"], found["test"]["6->6"].scores["mse"]
    assert short.per_frame == pytest.approx(long.per_frame[:4], rel=1e-6)


class OneOfTwo:
    """A process of two; for each test set it gets what the other measured from `other`."""

    world = 2

    def __init__(self, rank, other=()):
        self.rank, self.leads = rank, rank == 0
        self.other, self.measured = iter(other), []

    def gather(self, part):
        self.measured.append(part)
        return [part, *islice(self.other, 1)]


def test_processes_share_the_batches_and_find_what_one_finds(monkeypatch):
    experiment = tiny(**{"eval.sequences": 5, "eval.protocols": ((5, 5), (6, 3), (6, 6))})
    model = model_of(experiment)
    alone = evaluate(model, experiment, progress=False)
    second = OneOfTwo(1)
    first = OneOfTwo(0, second.measured)
    try:
        for process in (second, first):
            monkeypatch.setattr(Team, "current", staticmethod(lambda process=process: process))
            set_noise_shard(process.rank, 2)  # as in a training
            together = evaluate(model, experiment, progress=False)
    finally:
        set_noise_shard(0, 1)
    assert [sorted(part[5, 5]) for part in second.measured] == [[2], [2]], "of three batches in each of two test sets"
    assert [sorted(part[5, 5]) for part in first.measured] == [[0, 4], [0, 4]]
    assert together == alone


def test_a_window_longer_than_a_context_leaves_that_protocol_out():
    experiment, model, found = measured("vrnn3d", **{"model.window": 4, "model.horizon": 4})
    assert set(found["test"]) == {"6->4", "6->6"}
    assert module.furthest_frames(model, experiment.eval) == {6: 6}


def test_evaluation_does_not_change_the_model():
    experiment = tiny()
    model = model_of(experiment).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate(model, experiment, progress=False)
    assert model.training and all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_prediction_ignores_everything_after_the_context():
    torch.manual_seed(0)
    model, frames = model_of(tiny()), torch.rand(2, 12, 1, 16, 16)
    out = []
    for video in (frames, torch.cat([frames[:, :6], 1 - frames[:, 6:]], 1)):
        torch.manual_seed(1)
        out.append(predict(model, video, 6, 5, samples=3))
    assert torch.equal(*out) and out[0].shape == (2, 3, 5, 1, 16, 16)
    assert 0 <= out[0].min() and out[0].max() <= 1
    few = predict(model, frames, 6, 5, samples=5, at_once=4)  # two sequences at a time and two samples each
    assert few.shape == (2, 5, 5, 1, 16, 16)


@pytest.mark.parametrize("model, batch", [("vrnn3d", 5), ("convlstm2d", 5), ("vrnn3d", 4)])
@pytest.mark.parametrize("at_once", [1, 2, 3, 1000])
def test_no_more_predictions_run_side_by_side_than_asked_for(monkeypatch, model, batch, at_once):
    network, frames, sizes = model_of(tiny(model)), torch.rand(batch, 6, 1, 16, 16), []
    rollout = module.rollout

    def watched(model, frames, *lengths, samples, **others):
        sizes.append(len(frames) * samples)
        return rollout(model, frames, *lengths, samples=samples, **others)

    monkeypatch.setattr(module, "rollout", watched)
    found = predict(network, frames, 6, 2, samples=3, at_once=at_once)
    samples = 3 if network.stochastic else 1
    assert found.shape == (batch, samples, 2, 1, 16, 16)
    assert max(sizes) <= at_once and sum(sizes) == batch * samples
    monkeypatch.undo()
    if not network.stochastic:
        torch.testing.assert_close(found, predict(network, frames, 6, 2))


def test_predictions_that_all_run_at_once_are_those_of_one_rollout():
    """Bit for bit: the records of the study were made so."""
    model, frames = model_of(tiny()), torch.rand(3, 12, 1, 16, 16)
    torch.manual_seed(1)
    expected, _ = module.rollout(model.eval(), frames[:, :6], 6, 10, samples=4)
    torch.manual_seed(1)
    found = predict(model.train(), frames, 6, 4, samples=4, at_once=12)
    assert found.equal(expected[:, 4:].unflatten(0, (3, 4)).detach().clamp(0, 1))


@pytest.mark.parametrize("wrong", ["samples", "at_once"])
def test_no_prediction_at_all_is_told(wrong):
    with pytest.raises(ValueError, match=f"{wrong} is 0; ask for at least 1"):
        predict(model_of(tiny()), torch.rand(1, 6, 1, 16, 16), 6, 2, **{wrong: 0})
    with pytest.raises(ValueError, match="there are no sequences to continue"):
        predict(model_of(tiny()), torch.rand(0, 6, 1, 16, 16), 6, 2)


@pytest.mark.parametrize("training", [True, False])
def test_a_prediction_or_a_validation_that_fails_leaves_the_model_as_it_was(training):
    experiment = tiny()
    model = model_of(experiment).train(training)
    with pytest.raises(ValueError, match="multiples of 4"):
        predict(model, torch.rand(1, 6, 1, 18, 18), 6, 2)
    assert model.training is training
    data = build(tiny(**{"data.size": 18}).data, "validation")
    with pytest.raises(ValueError, match="multiples of 4"):
        validation_mse(model, experiment, data, torch.device("cpu"))
    assert model.training is training


@pytest.mark.parametrize("seed", [2**70, -(2**70)])
def test_every_seed_of_the_noise_can_be_used(seed):
    experiment = tiny(**{"eval.seed": seed, "eval.sequences": 2})
    model = model_of(experiment)
    found = evaluate(model, experiment, progress=False)
    assert examples(model, experiment, found)["sample"].shape[1:] == (5, 1, 16, 16)


class NotSent(torch.Tensor):
    """Frames that lie elsewhere: until they are sent to the device, nothing can be computed with them."""

    @classmethod
    def __torch_function__(cls, function, types, arguments=(), options=None):
        with torch._C.DisableTorchFunctionSubclass():
            found = function(*arguments, **(options or {}))
        if function is torch.Tensor.to:
            assert arguments[1] == torch.device("cpu")
            return found.as_subclass(torch.Tensor)
        pytest.fail(f"{function} is computed with frames that were not sent to the device")


def test_frames_that_were_made_elsewhere_are_sent_to_the_device(tmp_path, monkeypatch):
    """As Moving MNIST is made on the CPU for an Apple GPU: in training, validation, evaluation and examples."""

    def elsewhere(*arguments, **options):
        made = build(*arguments, **options)
        batch = made.batch
        made.batch = lambda *numbers: batch(*numbers).as_subclass(NotSent)
        return made

    monkeypatch.setattr(module, "build", elsewhere)
    monkeypatch.setattr(loop, "build", elsewhere)
    experiment = tiny()
    assert loop.train(experiment, 0, tmp_path, progress=False).finished
    model = model_of(experiment)
    found = evaluate(model, experiment, progress=False)
    assert set(examples(model, experiment, found)) >= {"sample", "truth"}


# --- predictions to look at -------------------------------------------------------------------------------------------


def test_examples_are_the_first_and_the_worst():
    experiment, model, found = measured("copy_last")
    shown = examples(model, experiment, found, first=2, worst=1)
    errors = found["test"]["6->6"].scores["mse"].per_sequence
    assert shown["indices"].tolist() == [0, 1, int(np.argmax(errors))] and shown["first"] == 2 and shown["context"] == 6
    assert shown["sample"].shape == shown["mean"].shape == (3, 6, 1, 16, 16) and shown["sample"].dtype == np.uint8
    frames = build(experiment.data, "test", pool="test", length=12).batch(torch.from_numpy(shown["indices"]))
    np.testing.assert_array_equal(shown["truth"], frames)
    np.testing.assert_array_equal(shown["sample"], frames[:, 5:6].expand(3, 6, 1, 16, 16))


def test_examples_of_several_processes_are_those_of_one():
    experiment, model, found = measured("vrnn3d")
    alone = examples(model, experiment, found)
    set_noise_shard(1, 2)
    try:
        together = examples(model, experiment, found)
    finally:
        set_noise_shard(0, 1)
    for name, value in alone.items():
        np.testing.assert_array_equal(together[name], value)


@pytest.mark.parametrize("sequences, count", [(2, 2), (1, 1), (0.5, 1)])
def test_examples_stay_small(monkeypatch, sequences, count):
    """Of large frames fewer sequences are kept: the first, and the worst."""
    experiment, model, found = measured("copy_last")
    worst = int(np.argmax(found["test"]["6->6"].scores["mse"].per_sequence))
    monkeypatch.setattr(module, "EXAMPLE_PIXELS", int(sequences * 6 * 16 * 16))
    assert examples(model, experiment, found)["indices"].tolist() == [0, worst][:count]


def test_frames_that_may_not_be_copied_are_not(monkeypatch):
    experiment, model, found = measured("black")

    def of_people(*arguments, **options):
        data = build(*arguments, **options)
        data.recordable = False
        return data

    monkeypatch.setattr(module, "build", of_people)
    assert set(examples(model, experiment, found)) == {"indices", "first", "context", "sample"}
