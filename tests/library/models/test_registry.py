"""What every model of the registry owes: shapes, causality, learning, repeatability, round trips, and where it comes from."""

from __future__ import annotations

import inspect

import pytest
import torch

from trials import SMALL, WINDOWS, tiny
from vrnn3d import checkpoint, published
from vrnn3d.losses import sequence_loss
from vrnn3d.models import REGISTRY, Entry, build_model, model_class, register
from vrnn3d.models.base import VideoModel
from vrnn3d.rollout import rollout, usable_length

SIZE = 16
#: Models whose prediction does not depend on what they see.
BLIND = ("black", "pixel_mean")


def small_model(name: str, seed: int = 0) -> VideoModel:
    """A small form of a model of the registry; one that is not known here at its defaults."""
    torch.manual_seed(seed)
    return checkpoint.model_of(tiny(name))


def moving_square(batch: int = 2, length: int = 6) -> torch.Tensor:
    """A bright square that walks: something a model can learn."""
    frames = torch.zeros(batch, length, 1, SIZE, SIZE)
    for b in range(batch):
        for t in range(length):
            x = 1 + 2 * t + b
            frames[b, t, :, 4:10, x : x + 4] = 1
    return frames


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("batch, context, length", [(1, 4, 9), (3, 5, 8)])
def test_shapes_and_values(name, batch, context, length):
    model = small_model(name).eval()
    with torch.no_grad():
        prediction, latents = rollout(model, torch.rand(batch, context, 1, SIZE, SIZE), context, length)
    assert prediction.shape == (batch, length - model.window, 1, SIZE, SIZE)
    assert prediction.isfinite().all()
    assert bool(any(latents)) == model.stochastic


@pytest.mark.parametrize("name", REGISTRY)
def test_a_model_called_as_a_function_continues_each_sequence(name):
    model, frames = small_model(name).eval(), torch.rand(2, 8, 1, SIZE, SIZE)
    with torch.no_grad():
        torch.manual_seed(0)
        predicted = model(frames, context=5, length=9, samples=3)
        torch.manual_seed(0)
        expected, _ = rollout(model, frames[:, :5], 5, 9, samples=3)
    assert predicted.shape == (2, 3, 4, 1, SIZE, SIZE)
    assert torch.equal(predicted.flatten(0, 1), expected[:, 5 - model.window :])


@pytest.mark.parametrize("name", REGISTRY)
def test_causality(name):
    """A changed frame leaves every earlier prediction, and that of itself, alone."""
    model, frames = small_model(name).eval(), torch.rand(1, 8, 1, SIZE, SIZE)
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
    if name not in BLIND:
        assert not torch.equal(out[0][:, same:], out[1][:, same:])


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in REGISTRY])
def test_overfits_one_batch(name):
    """The squared error falls to a tenth of a black frame's."""
    model, data = small_model(name), moving_square()
    if not any(p.requires_grad for p in model.parameters()):
        pytest.skip("there is nothing to train")
    if name in BLIND:  # one picture for all frames cannot follow a moving square
        data = data[:1, :1].expand_as(data).contiguous()
    length = usable_length(model, data.shape[1])
    truth = data[:, model.window : length]
    black = truth.square().sum((2, 3, 4)).mean().item()
    optimiser, errors = torch.optim.Adam(model.parameters(), 1e-2), []
    for _ in range(400):
        prediction, latents = rollout(model, data, 4, length, forcing="teacher", posterior=model.stochastic)
        loss, terms = sequence_loss(prediction, truth, latents, variant="kl_qp", beta=1e-3, l1=0.0)
        optimiser.zero_grad()
        loss.mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
        errors.append(terms["reconstruction"].mean().item())
        if errors[-1] < black / 10:
            return
    pytest.fail(f"the error only fell from {errors[0]:.1f} to {errors[-1]:.1f}, where a black frame has {black:.1f}")


@pytest.mark.parametrize("name", REGISTRY)
def test_same_seed_same_digits(name):
    frames, out = torch.rand(2, 4, 1, SIZE, SIZE), []
    for _ in range(2):
        model = small_model(name, seed=7).eval()
        torch.manual_seed(1)
        with torch.no_grad():
            out.append(rollout(model, frames, 4, 8)[0])
    assert torch.equal(*out)


@pytest.mark.parametrize("name", REGISTRY)
def test_published_weights_come_back(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    experiment, model = tiny(name), small_model(name)
    published.publish(model.state_dict(), experiment, "mine", {}, "# A card\n", tmp_path / "weights")
    again, same, _ = checkpoint.load_any("mine")
    assert same == experiment and not again.training
    for (key, a), b in zip(model.state_dict().items(), again.state_dict().values()):
        torch.testing.assert_close(a.float(), b.float(), rtol=2**-8, atol=1e-6, msg=key)


@pytest.mark.parametrize("name", REGISTRY)
def test_bf16_is_close_to_float32(name):
    model, frames = small_model(name).eval(), torch.rand(2, 4, 1, SIZE, SIZE)
    out = []
    for half in (False, True):
        torch.manual_seed(1)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            out.append(rollout(model, frames, 4, 6)[0].float())
    error = (out[1] - out[0]).norm() / out[0].norm().clamp_min(1e-6)
    assert error < 3e-2, f"relative error {error:.3g}"


@pytest.mark.parametrize("name", REGISTRY)
def test_bad_sizes_and_arguments_are_refused(name):
    model = small_model(name)
    if model.size_multiple > 1:
        with pytest.raises(ValueError, match="multiples of"):
            rollout(model, torch.rand(1, 4, 1, SIZE + 1, SIZE), 4, 6)
    with pytest.raises(ValueError, match="no argument no_such; its arguments are"):
        build_model(name, no_such=1)


class Careless(VideoModel):
    """A model that checks nothing."""

    def __init__(self, *, window=1, horizon=1, width=1, groups=1):
        super().__init__()
        self.layer = torch.nn.Conv2d(1, width, 3)
        self.share = 1 // groups


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"width": "wide"}, "careless cannot be built with width='wide' .*; change its arguments"),
        ({"width": -1}, "careless cannot be built with width=-1 .*; change its arguments"),
        ({"groups": 0}, "careless cannot be built with groups=0 .*; change its arguments"),
    ],
)
def test_what_a_class_does_not_check_ends_in_a_sentence_too(monkeypatch, wrong, told):
    monkeypatch.setitem(REGISTRY, "careless", Entry(Careless, {}))
    with pytest.raises(ValueError, match=told) as error:
        build_model("careless", **wrong)
    assert "\n" not in str(error.value)


def test_too_little_memory_is_no_wrong_argument(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")

    monkeypatch.setitem(REGISTRY, "careless", Entry(Careless, {}))
    monkeypatch.setattr(torch.nn, "Conv2d", refuse)
    with pytest.raises(RuntimeError, match="allocate memory"):
        build_model("careless")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="no model 'vrnn4d'; there are: vrnn3d, vrnn2d, convlstm2d"):
        build_model("vrnn4d")


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="'vrnn3d' is registered already"):
        register("vrnn3d", VideoModel)
    register("vrnn3d", "vrnn3d.models.vrnn:VRNN")  # the same again, as a reload of its module does


# --- where a model comes from -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REGISTRY)
def test_a_model_says_what_it_is(name):
    assert model_class(name).TITLE.strip()


@pytest.mark.parametrize("name", SMALL)
def test_a_network_names_its_paper_and_where_it_departs(name):
    cls = model_class(name)
    paper = cls.PAPER
    assert paper.title and paper.authors and paper.venue and 2010 < paper.year < 2030
    assert paper.link.startswith("https://")
    assert cls.CODE is None or cls.CODE.startswith("https://github.com/")
    assert cls.DEPARTURES and isinstance(cls.DEPARTURES, tuple)
    assert all(sentence[0].isupper() and sentence.endswith(".") for sentence in cls.DEPARTURES)


#: What each model's arguments are where an experiment does not say otherwise.
DEFAULTS = {
    "vrnn3d": {
        "channels": 1, "window": 2, "horizon": 2, "widths": (64, 128), "hidden": 128, "latent": 16, "head": 128,
        "wiring": "z_p", "sigma_min": 0.1, "init": "pytorch", "norm": "batch",
        "recurrent_kernel": None, "cell": 4, "stages": 2, "dimensions": 3, "plain": False,
    },
    "predrnnpp": {
        "channels": 1, "window": 1, "horizon": 1, "patch": 4, "hidden": (128, 64, 64, 64), "kernel": 5, "layer_norm": False,
        "forget_bias": 1.0, "plain": False,
    },
    "e3d_lstm": {
        "channels": 1, "window": 2, "horizon": 1, "patch": 4, "hidden": (64, 64, 64, 64), "kernel": 5, "layer_norm": True,
        "forget_bias": 1.0, "plain": False,
    },
    "improved_vrnn": {
        "channels": 1, "window": 1, "horizon": 1, "hidden": 32, "levels": 6, "latent": 10, "context": 5, "sigma_min": 0.1,
    },
    "copy_last": {"channels": 1, "window": 1, "horizon": 1},
    "black": {"channels": 1, "window": 1, "horizon": 1},
    "pixel_mean": {"channels": 1, "window": 1, "horizon": 1, "size": 64},
}  # fmt: skip
DEFAULTS["vrnn2d"] = {**DEFAULTS["vrnn3d"], "dimensions": 2, "window": 1, "horizon": 1, "head": 0}
DEFAULTS["convlstm2d"] = {**DEFAULTS["vrnn3d"], "dimensions": 2, "window": 1, "horizon": 1, "latent": 0}


@pytest.mark.parametrize("name", DEFAULTS)
def test_no_default_of_a_model_changes(name):
    parameters = inspect.signature(model_class(name)).parameters
    now = {key: parameter.default for key, parameter in parameters.items()} | REGISTRY[name].defaults
    assert {key: now.get(key) for key in DEFAULTS[name]} == DEFAULTS[name], (
        "a default must never change: hashes of configurations and records leave it out, so those made before would claim"
        " another network"
    )
    assert set(now) == set(DEFAULTS[name]), "add new arguments to the table above"


def test_small_forms_fit_the_registry():
    assert set(SMALL) | set(WINDOWS) <= set(REGISTRY)


@pytest.mark.parametrize("name", ["predrnnpp", "e3d_lstm"])
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"patch": 0}, "patch of {} is 0, but must be a whole number of at least 1"),
        ({"patch": -2}, "patch of {} is -2, but must be a whole number of at least 1"),
        ({"kernel": -1}, "kernel of {} is -1, but must be a whole number of at least 1"),
        ({"hidden": 8}, "hidden of {} is 8, but must be a list, each item a whole number of at least 1"),
        ({"hidden": (8, 0)}, "hidden of {} is .8, 0., but must be a list"),
        ({"layer_norm": "no"}, "layer_norm of {} is 'no', but must be true or false"),
        ({"forget_bias": "open"}, "forget_bias of {} is 'open', but must be a number"),
    ],
)
def test_layers_of_another_kind_or_size_are_refused(name, wrong, told):
    with pytest.raises(ValueError, match=told.format(name)):
        model_class(name)(**wrong)
