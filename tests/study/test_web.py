"""A model exported for the web computes what the model computes; what cannot be exported is refused."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from lively import lively

from vrnn3d import checkpoint, published
from vrnn3d.cli import main
from vrnn3d.export import prepare
from vrnn3d.layers import depth_folding
from vrnn3d.models import build_model
from vrnn3d.study import profiles
from vrnn3d.study.web.check import Machine, difference
from vrnn3d.study.web.file import packed, rounded, write
from vrnn3d.study.web.network import graph_of

SHAPES = {
    "half scale": {},
    "group norm": dict(norm="group"),
    "recurrent kernels 1 x 5 x 5": dict(recurrent_kernel=(1, 5, 5)),
    "hidden 64": dict(hidden=64),
    "cells of 2 pixels": dict(cell=2),
    "2D, cells of 2 pixels": dict(name="vrnn2d", window=1, horizon=1, cell=2),
    "latent depth 2": dict(window=4, horizon=1),
    "odd window, latent depth 3, group norm": dict(window=5, horizon=5, norm="group"),
    "colour": dict(channels=3),
    "no hidden layer in the prior": dict(head=0),
    "no latent": dict(latent=0),
    "2D": dict(name="vrnn2d", window=1, horizon=1, head=0),
    "2D, group norm, two frames": dict(name="vrnn2d", window=2, norm="group"),
    "2D, no latent": dict(name="convlstm2d", window=1, horizon=1, latent=0),
}


@pytest.mark.parametrize("options", SHAPES.values(), ids=SHAPES)
def test_the_graph_is_the_model(options):
    """With batch norms folded and dead taps dropped, before any rounding: every pixel over three steps."""
    model = lively(**options)
    mean, largest = difference(graph_of(model, 16, 24), model)
    assert largest < 1e-4 and mean < 1e-5


def test_the_graph_is_the_model_where_nothing_is_folded():
    """Against PyTorch's own 3D convolutions, not this package's folded ones."""
    model = lively()
    with depth_folding.folding("never"):
        assert difference(graph_of(model, 16, 16), model)[1] < 1e-4


def test_runs_do_not_share_state():
    graph, clip = graph_of(lively(), 16, 16), torch.rand(1, 2, 1, 16, 16)
    noise = torch.zeros(1, *graph.facts["noise"])
    first, again = Machine(graph), Machine(graph)
    a = first.step(clip, noise)
    b = first.step(clip, noise)
    assert torch.equal(again.step(clip, noise), a) and not torch.equal(a, b)


def test_training_parts_and_dead_taps_are_left_out():
    model = lively()
    kept = sum(weight.size for weight in graph_of(model, 32, 32).weights.values())
    level = model.level1.gates.weight
    assert kept < model.parameter_breakdown()["total"] / 2
    assert level.shape[2] == 3  # of which the middle third remains
    assert any(w.size == level.numel() // 3 for w in graph_of(model, 32, 32).weights.values())


def test_halves_lose_no_more_than_halves_must():
    """Whatever the size of the weights: folding a norm of tiny variance makes large ones, others may be tiny."""
    graph = graph_of(lively(), 16, 16)
    for factor in (1e-7, 1.0, 1e6):
        graph.weights = {name: values * np.float32(factor) for name, values in graph.weights.items()}
        for name, values in rounded(graph).weights.items():
            assert np.abs(values - graph.weights[name]).max() <= np.abs(graph.weights[name]).max() * 2**-11
        graph.weights = {name: values / np.float32(factor) for name, values in graph.weights.items()}


def test_rounding_moves_a_pixel_by_less_than_a_thousandth():
    model = lively()
    assert difference(rounded(graph_of(model, 32, 32)), model)[0] < 1e-3


def test_the_file_is_a_script_with_plain_data(tmp_path):
    experiment = profiles.get("vrnn3d_kl", "half")
    path = tmp_path / "kl-net.js"
    write(checkpoint.model_of(experiment).eval(), experiment, path)
    text = path.read_text()
    start, data = re.fullmatch(r"(.*?\]) = (\{.*\});\n", text, re.S).groups()
    assert start == '(self.vrnn3dModels ??= {})["kl-net"]'
    data = json.loads(data)
    assert (data["window"], data["horizon"], data["height"], data["width"]) == (2, 2, 32, 32)
    assert data["noise"] == [4, 1, 8, 8] and data["title"] == experiment.title
    assert len(text) < 600_000


def test_weights_that_are_not_finite_are_refused():
    model = lively()
    with torch.no_grad():
        model.level2.gates.bias[3] = float("nan")
    with pytest.raises(ValueError, match="not all finite"):
        packed(graph_of(model, 16, 16))


def test_another_kind_of_model_is_refused():
    with pytest.raises(ValueError, match="a PredRNNPP cannot be exported"):
        graph_of(build_model("predrnnpp", hidden=(8, 8, 8, 8), kernel=3), 32, 32)


def test_a_model_that_computes_something_unknown_is_refused(tmp_path, monkeypatch):
    """A later change of the model must not reach readers as a file that silently computes something else."""
    from vrnn3d.models.vrnn import VRNN

    experiment, decode = profiles.get("vrnn3d_kl", "half"), VRNN.decode
    monkeypatch.setattr(VRNN, "decode", lambda self, output: torch.sigmoid(decode(self, output)))
    with pytest.raises(ValueError, match="does not know"):
        write(checkpoint.model_of(experiment).eval(), experiment, tmp_path / "new.js")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A folder of published weights."""
    experiment, root = profiles.get("vrnn3d_kl", "smoke"), tmp_path_factory.mktemp("weights")
    published.publish(checkpoint.model_of(experiment).state_dict(), experiment, "small", {}, "# A card\n", root)
    return str(root / "small")


def test_the_command(small, tmp_path, capsys):
    assert main(["export", small, "--web", str(tmp_path / "small.js")]) == 0
    assert "3D VRNN, KL (smoke) in half precision" in capsys.readouterr().out
    assert 'vrnn3dModels ??= {})["small"]' in (tmp_path / "small.js").read_text()


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["SMALL", "--web", "small.json"], "does not end in .js"),
        (["none", "--web", "x.js"], "'none' is neither a run nor published weights"),
        (["SMALL"], "name a file with --web, --onnx or --torch"),
    ],
)
def test_bad_arguments_are_told_in_a_sentence(small, arguments, told, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["export", *(word.replace("SMALL", small) for word in arguments)]) == 1
    error = capsys.readouterr().err
    assert told in error and len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_command_writes_a_torch_program(small, tmp_path, capsys):
    assert main(["export", small, "--torch", str(tmp_path / "step.pt2")]) == 0
    assert "for torch.export.load" in capsys.readouterr().out
    program = torch.export.load(str(tmp_path / "step.pt2")).module()
    inputs = prepare(checkpoint.load(small), 32, 32).inputs
    assert program(*inputs.values())[0].shape == (1, 2, 1, 32, 32)
