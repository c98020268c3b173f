"""The paper's model: its size, its parts, its wirings, and torchvision's weights."""

from __future__ import annotations

import pytest
import torch

from reference import r3d_18_weights
from vrnn3d.layers.depth_folding import folding
from vrnn3d.layers.resnet3d import ResNetEncoder
from vrnn3d.losses import sequence_loss
from vrnn3d.models import build_model
from vrnn3d.rollout import rollout

NARROW = dict(widths=(4, 8), hidden=8, latent=2, head=4)


@pytest.mark.parametrize(
    "name, millions, tolerance",
    [("vrnn3d", 12.9, 0.005), ("convlstm2d", 2.8, 0.02), ("vrnn2d", 2.9, 0.02)],
)
def test_parameter_counts_are_the_papers(name, millions, tolerance):
    with torch.device("meta"):
        breakdown = build_model(name).parameter_breakdown()
    assert breakdown["total"] == pytest.approx(millions * 1e6, rel=tolerance)


def test_breakdown_of_the_paper_model():
    with torch.device("meta"):
        model = build_model("vrnn3d")
    b = model.parameter_breakdown()
    assert b["total"] == 12_942_657
    assert b["level1"] + b["level2"] == pytest.approx(7.3e6, rel=0.01)  # the paper: "7m"
    assert sum(p.numel() for p in model.parameters()) == b["total"] + b["posterior_encoder"]


def test_latent_shapes_are_those_of_figure_2():
    model = build_model("vrnn3d", window=4, horizon=4, widths=(4, 128), hidden=8, head=4)
    features, state = model.encoder(torch.rand(1, 1, 4, 32, 64)), model.initial_state(1, 32, 64)
    assert features.shape == (1, 128, 2, 8, 16)  # M / 2, H / 4, W / 4
    prediction, _, ((posterior, prior),) = model.step(torch.rand(1, 4, 1, 32, 64), state)
    assert prior.mean.shape == prior.std.shape == (1, 16, 2, 8, 16) and posterior is None
    assert prediction.shape == (1, 4, 1, 32, 64)


def test_std_never_falls_below_its_floor():
    model = build_model("vrnn3d", **NARROW, sigma_min=0.25)
    with torch.no_grad():
        model.prior.heads.bias[2:] = -100
    _, _, ((_, prior),) = model.step(torch.rand(1, 2, 1, 8, 8), model.initial_state(1, 8, 8))
    assert prior.std.min() >= 0.25
    assert prior.std.min().item() == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize("wiring", ["z_p", "z_q"])
def test_wiring_decides_whether_reconstruction_reaches_the_posterior(wiring):
    torch.manual_seed(0)
    model = build_model("vrnn3d", **NARROW, wiring=wiring)
    frames = torch.rand(2, 6, 1, 8, 8)
    prediction, _ = rollout(model, frames, 4, 6, posterior=True)
    prediction.sum().backward()
    touched = any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.posterior.parameters())
    assert touched == (wiring == "z_q")


def test_latent_loss_trains_the_posterior_under_either_wiring():
    model = build_model("vrnn3d", **NARROW)
    frames = torch.rand(2, 6, 1, 8, 8)
    prediction, latents = rollout(model, frames, 4, 6, posterior=True)
    loss, terms = sequence_loss(prediction, frames[:, 2:], latents, variant="kl_pq")
    loss.mean().backward()
    assert model.posterior_encoder.stem[0].weight.grad.abs().sum() > 0
    assert set(terms) == {"l1", "l2", "reconstruction", "latent"} and loss.shape == (2,)


def test_r3d_18_keys_and_shapes():
    weights, ours = r3d_18_weights(), ResNetEncoder(3).state_dict()
    theirs = {k: v.shape for k, v in weights.items() if k.startswith(("stem", "layer1", "layer2"))}
    assert {k: v.shape for k, v in ours.items()} == theirs


def test_kinetics_weights_load_and_grey_equals_repeated_rgb():
    weights = r3d_18_weights()
    model = build_model("vrnn3d")
    model.load_kinetics(weights)
    rgb = ResNetEncoder(3)
    rgb.load_state_dict({k: v for k, v in weights.items() if k in rgb.state_dict()})
    grey = torch.rand(1, 1, 2, 16, 16)
    with torch.no_grad():
        expected = rgb.eval()(grey.expand(-1, 3, -1, -1, -1))
        torch.testing.assert_close(model.eval().encoder(grey), expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(model.decoder.layer1[0].conv1[0].weight, weights["layer1.1.conv2.0.weight"])


def test_kinetics_weights_of_the_decoder_meet_the_hidden_state_and_not_the_latent():
    """Its input is the latent's channels and then the hidden state's; only the latter are an encoder's features."""
    weights, model = r3d_18_weights(), build_model("vrnn3d")
    conv = model.decoder.layer2[0].conv1[0]
    before = conv.weight.detach().clone()
    model.load_kinetics(weights)
    hidden = torch.rand(1, 128, 1, 4, 4)
    with torch.no_grad():
        found = conv(torch.cat([torch.zeros(1, 16, 1, 4, 4), hidden], dim=1))
        expected = torch.nn.functional.conv3d(hidden, weights["layer2.1.conv2.0.weight"], padding=1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(conv.weight[:, :16], before[:, :16])


def test_other_weights_are_refused():
    with pytest.raises(ValueError, match="r3d_18"):
        build_model("vrnn3d").load_kinetics({"stem.0.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match="3D model"):
        build_model("convlstm2d").load_kinetics({})
    with pytest.raises(ValueError, match="full-size"):
        build_model("vrnn3d", **NARROW).load_kinetics(r3d_18_weights())


def test_unknown_choices_are_refused():
    with pytest.raises(ValueError, match="z_p, z_q"):
        build_model("vrnn3d", wiring="z")
    with pytest.raises(ValueError, match="1 <= H <= M"):
        build_model("vrnn3d", window=2, horizon=3)
    with pytest.raises(ValueError, match="dimensions"):
        build_model("vrnn3d", dimensions=4)
    with pytest.raises(ValueError, match="no norm 'layer'; there are: batch, group"):
        build_model("vrnn3d", norm="layer")
    with pytest.raises(ValueError, match="no initialisation 'zeros'; there are: pytorch, glorot"):
        build_model("vrnn3d", init="zeros")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"hidden": "abc"}, "hidden of VRNN is 'abc', but must be a whole number of at least 1"),
        ({"hidden": -1}, "hidden of VRNN is -1, but must be a whole number of at least 1"),
        ({"channels": 0}, "channels of VRNN is 0, but must be a whole number of at least 1"),
        ({"latent": -1}, "latent of VRNN is -1, but must be a whole number of at least 0"),
        ({"head": 2.5}, "head of VRNN is 2.5, but must be a whole number of at least 0"),
        ({"sigma_min": -1}, "sigma_min of VRNN is -1, but must be a number of at least 0"),
        ({"widths": 8}, "widths of VRNN is 8, but must be a list of 2, each item a whole number of at least 1"),
        ({"widths": (4, 8, 16)}, "widths of VRNN is .4, 8, 16., but must be a list of 2"),
        ({"recurrent_kernel": 3}, "recurrent_kernel of VRNN is 3, but must be a list of 3"),
        ({"recurrent_kernel": [2, 5, 5]}, "needs an odd recurrent_kernel, so that sizes stay; it was given 2 x 5 x 5"),
        ({"recurrent_kernel": [3, 4, 4]}, "needs an odd recurrent_kernel, so that sizes stay; it was given 3 x 4 x 4"),
        ({"cell": 2.0}, "cell of VRNN is 2.0, but must be a whole number"),
        ({"plain": "no"}, "plain of VRNN is 'no', but must be true or false"),
    ],
)
def test_an_argument_that_it_cannot_take_is_named(wrong, told):
    with pytest.raises(ValueError, match=told):
        build_model("vrnn3d", **{**NARROW, **wrong})


def test_glorot_starts_black_with_open_forget_gates():
    torch.manual_seed(0)
    model = build_model("vrnn3d", **NARROW, init="glorot").eval()
    with torch.no_grad():
        assert not rollout(model, torch.rand(1, 4, 1, 8, 8), 4, 8)[0].any()
    for level in (model.level1, model.level2):
        i, f, o, g = level.gates.bias.chunk(4)
        assert (f == 1).all() and not any(gate.any() for gate in (i, o, g))


def test_the_recurrent_kernel_is_that_of_both_levels():
    model = build_model("vrnn3d", **NARROW, recurrent_kernel=(1, 5, 5))
    assert model.level1.gates.kernel_size == model.level2.gates.kernel_size == (1, 5, 5)
    assert model.prior.heads.kernel_size == (3, 3, 3)


@pytest.mark.parametrize("name", ["vrnn3d", "vrnn2d"])
def test_cells_of_two_pixels_are_four_times_as_many(name):
    coarse, fine = (build_model(name, **NARROW, cell=cell).eval() for cell in (4, 2))
    assert {k: v.shape for k, v in coarse.state_dict().items()} == {k: v.shape for k, v in fine.state_dict().items()}
    assert coarse.initial_state(1, 8, 12)[0][0].shape[-2:] == (2, 3)
    assert fine.initial_state(1, 8, 12)[0][0].shape[-2:] == (4, 6)
    frames = torch.rand(1, 4, 1, 6, 10)
    assert rollout(fine, frames, 4, 6)[0].shape[-2:] == (6, 10)
    with pytest.raises(ValueError, match="multiples of 4"):
        rollout(coarse, frames, 4, 6)
    with pytest.raises(ValueError, match="2 or 4 pixels, not 3"):
        build_model(name, **NARROW, cell=3)


def test_all_stages_are_those_of_resnet_18():
    """torchvision's r3d_18 has 33,371,472 parameters, of which 512 x 400 + 400 classify and 64 x 3 x 7 x 7 see each colour."""
    with torch.device("meta"):
        model = build_model("vrnn3d", stages=4)
        names = {key.partition(".")[0] for key in model.encoder.state_dict()}
    assert names == {"stem", "layer1", "layer2", "layer3", "layer4"}
    assert model.parameter_breakdown()["encoder"] == 33_371_472 - (512 * 400 + 400) - 2 * 64 * 3 * 7 * 7


@pytest.mark.parametrize(("stages", "window", "cells"), [(3, 2, 4), (4, 2, 2), (4, 4, 2), (3, 5, 4)])
def test_each_further_stage_halves_the_cells_and_the_decoder_mirrors_it(stages, window, cells):
    model = build_model("vrnn3d", **NARROW, stages=stages, window=window, horizon=window)
    clip, state = torch.rand(2, window, 1, 32, 32), model.initial_state(2, 32, 32)
    prediction, _, ((_, prior),) = model.step(clip, state)
    assert prediction.shape == clip.shape and prior.mean.shape == (2, 2, -(-window // 2), cells, cells)
    assert model.encoder(clip.transpose(1, 2)).shape[1] == 8 * 2 ** (stages - 2)
    with pytest.raises(ValueError, match=f"multiples of {32 // cells}"):
        model.initial_state(2, 28, 28)


def test_the_later_stages_of_two_frames_are_those_of_r3d_18():
    """r3d_18 halves the depth in every stage from the second on; of one frame nothing is left to halve."""
    torch.manual_seed(0)
    ours = ResNetEncoder(1, (4, 8, 16)).eval()
    x = ours.layer2(ours.layer1(ours.stem(torch.rand(1, 1, 2, 16, 16))))
    expected = ours.layer3(x)
    for conv in (ours.layer3[0].conv1[0], ours.layer3[0].downsample[0]):
        conv.stride = (2, 2, 2)
    assert torch.equal(ours.layer3(x), expected)


def test_an_impossible_number_of_stages_is_refused():
    with pytest.raises(ValueError, match="in 3D has 2, 3 or 4 stages, not 5"):
        build_model("vrnn3d", **NARROW, stages=5)
    with pytest.raises(ValueError, match="in 2D has 2 stages, not 3"):
        build_model("vrnn2d", widths=(4, 8), hidden=8, latent=2, stages=3)


def test_group_norm_keeps_no_statistics():
    model = build_model("vrnn3d", **NARROW, norm="group")
    assert not [name for name in model.state_dict() if "running" in name]
    with pytest.raises(ValueError, match="build the model with norm='batch'"):
        build_model("vrnn3d", norm="group").load_kinetics(r3d_18_weights())


@pytest.mark.parametrize(
    "name, more",
    [
        ("vrnn3d", {}),
        ("vrnn3d", {"norm": "group", "recurrent_kernel": (1, 5, 5), "init": "glorot"}),
        ("vrnn3d", {"cell": 2}),
        ("vrnn3d", {"stages": 3}),
        ("vrnn2d", {}),
        ("convlstm2d", {}),
    ],
)
def test_fast_form_equals_plain_form_with_gradients(name, more):
    """Hoisting, time batching and folding change no output and no gradient (running statistics, float64)."""
    options = dict(widths=(4, 8), hidden=8) | ({} if name == "convlstm2d" else dict(latent=2, head=0)) | more
    torch.manual_seed(0)
    model = build_model(name, **options).double().eval()
    length = 8 if name == "vrnn3d" else 7
    frames = torch.rand(2, length, 1, 8, 8, dtype=torch.double)
    mask = torch.rand(2, length) < 0.5
    found = []
    for plain, batched, mode in ((True, False, "never"), (False, True, "auto"), (False, True, "always")):
        model.plain = plain
        model.zero_grad()
        torch.manual_seed(1)
        with folding(mode):
            prediction, latents = rollout(model, frames, 4, length, forcing=mask, posterior=model.stochastic, batched=batched)
        loss, _ = sequence_loss(prediction, frames[:, model.window :], latents, variant="kl_ll")
        loss.mean().backward()
        found.append([prediction.detach(), *(p.grad.clone() for p in model.parameters())])
    for other in found[1:]:
        for a, b in zip(found[0], other):
            torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)


def _relative(a, b):
    return ((a - b).norm() / b.norm().clamp_min(1e-12)).item()


@pytest.mark.parametrize("half, bound", [(False, 1e-5), (True, 2e-2)])
def test_fast_path_against_plain_float32(half, bound):
    """The fast form's outputs and gradients against the plain form in float32: rounding only, also under autocast."""
    torch.manual_seed(0)
    model = build_model("vrnn3d", widths=(8, 16), hidden=16, latent=4, head=16).eval()
    frames = torch.rand(2, 8, 1, 16, 16)
    found = []
    for plain, mode, autocast in ((True, "never", False), (False, "always", half)):
        model.plain = plain
        model.zero_grad()
        torch.manual_seed(1)
        with folding(mode), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            prediction, latents = rollout(model, frames, 4, 8, posterior=True, batched=not plain)
            loss, _ = sequence_loss(prediction, frames[:, 2:], latents, variant="kl_ll")
        loss.mean().backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters()])
        found.append((prediction.detach(), gradient.clone()))
    (reference, expected), (output, gradient) = found
    assert _relative(output, reference) < bound
    assert _relative(gradient, expected) < bound
