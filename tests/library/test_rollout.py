"""The one time loop: which frames go in, what comes out, causality, samples."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from vrnn3d.layers.depth_folding import folding, joint_statistics, shared_kernels
from vrnn3d.layers.gaussian import given_noise
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
def test_each_frame_is_handed_over_as_it_comes(batched):
    came = []
    prediction, _ = rollout(Recorder(2, 2), numbered(10), 5, 9, batched=batched, on_frame=came.append)
    assert torch.equal(torch.stack(came, 1), prediction), "the frame beyond the length, which the last clip has, is left out"


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


@pytest.mark.parametrize("shape", [(2,), (2, 4, 1), (1, 4), (2, 3)])
def test_a_forcing_mask_of_another_shape_is_told(shape):
    with pytest.raises(ValueError, match=r"it must be boolean, \(2, 4\)"):
        rollout(Recorder(1, 1), numbered(4, 2), 2, 4, forcing=torch.ones(shape, dtype=torch.bool))


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
        (
            lambda: rollout(model, frames.double(), 4, 6),
            r"frames are torch.float64 and the model torch.float32: call frames.to",
        ),
        (lambda: rollout(model, frames.numpy(), 4, 6), "frames are a ndarray; models take a tensor"),
        (lambda: rollout(model, frames * math.nan, 4, 6), "frames hold NaN"),
        (lambda: rollout(model, frames, 4, 6, samples=0), "samples is 0; ask for at least 1"),
        (lambda: model(frames, 4, 4), "length 4 leaves nothing to predict after a context of 4 frames"),
        (lambda: model(frames, 7, 9), "a context of 7 frames was asked for, and 6 are given"),
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


# --- threads ----------------------------------------------------------------------------------------------------------


def deep_model() -> VideoModel:
    """A small model whose latents have depth 2, so that kernels are folded and shared."""
    torch.manual_seed(0)
    return build_model("vrnn3d", **NARROW, window=4, horizon=4)


def once(part: torch.nn.Module, call: Callable[[], object]) -> None:
    """Call something when this part of a model computes for the first time."""

    def hook(*_):
        handle.remove()
        call()

    handle = part.register_forward_pre_hook(hook)


def side_by_side(first: Callable[[], object], ready: threading.Event, second: Callable[[], object]) -> None:
    """Two threads, the second started when the first has said that it is ready; what fails in them fails here."""
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        assert ready.wait(30)
        two = pool.submit(second)
        one.result(30), two.result(30)


def test_rollouts_of_two_threads_leave_no_kernels_behind():
    """Each waits for the other a moment, so that without a lock the first would leave while the second is inside."""
    frames, models = torch.rand(1, 12, 1, 8, 8), (deep_model(), deep_model())
    entered, left = (threading.Event(), threading.Event()), threading.Event()
    once(models[0].encoder, lambda: (entered[0].set(), entered[1].wait(0.5)))
    once(models[1].encoder, lambda: (entered[1].set(), left.wait(0.5)))
    side_by_side(lambda: (rollout(models[0], frames, 4, 12), left.set()), entered[0], lambda: rollout(models[1], frames, 4, 12))
    for model in models:
        clip, norm = torch.rand(1, 8, 2, 2, 2), model.encoder.stem[1]
        assert norm.num_batches_tracked == 1
        norm(torch.rand(1, 4, 4, 2, 2))
        assert norm.num_batches_tracked == 2, "statistics that are not kept for a rollout which has ended"
        with torch.no_grad():
            assert model.prior(clip).any()
            for parameter in model.prior.parameters():
                parameter.zero_()
            assert not model.prior(clip).any(), "kernels of the weights that it has now"


def test_a_step_in_another_thread_takes_no_gradient_from_a_training():
    """Kernels that are folded where no gradient is wanted must not come to stand in the training's graph."""
    frames, model = torch.rand(1, 12, 1, 8, 8), deep_model()
    inside, done = threading.Event(), threading.Event()
    once(model.encoder, lambda: (inside.set(), done.wait(0.5)))

    def train():
        prediction, _ = rollout(model, frames, 4, 12)
        prediction.square().sum().backward()

    def predict():
        with torch.no_grad():
            model.step(frames[:, :4], model.initial_state(1, 8, 8))
        done.set()

    side_by_side(train, inside, predict)
    assert all(level.gates.weight.grad is not None and level.gates.weight.grad.any() for level in (model.level1, model.level2))


@pytest.mark.parametrize("context", [lambda: folding("never"), lambda: given_noise(), joint_statistics, shared_kernels])
def test_what_holds_for_the_whole_process_is_set_by_one_thread_at_a_time(context):
    inside, leave, entered = (threading.Event() for _ in range(3))

    def first():
        with context(), context():  # the same thread may enter again
            inside.set()
            leave.wait(30)

    def second():
        with folding("always"), context():
            entered.set()

    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(first)]
        assert inside.wait(30)
        calls.append(pool.submit(second))
        waited = not entered.wait(0.2)
        leave.set()
        [call.result(30) for call in calls]
    assert waited and entered.is_set()


def test_too_little_noise_is_told():
    model, frames = build_model("vrnn3d", **NARROW), torch.rand(1, 8, 1, 8, 8)
    with given_noise() as noise:
        rollout(model, frames, 4, 8)
    with pytest.raises(ValueError, match="more noise than the 1 tensors that were given; give one for each latent"):
        with given_noise(noise[:1]):
            rollout(model, frames, 4, 8)
