"""Starting points: a run, published weights, torchvision's r3d_18; what fits none of them is told."""

from __future__ import annotations

import shutil

import pytest
import torch

from reference import r3d_18_weights
from trials import tiny
from vrnn3d import checkpoint, published
from vrnn3d.config import config_hash
from vrnn3d.study import run as study
from vrnn3d.training.loop import train
from vrnn3d.training.start import load_start

pytestmark = pytest.mark.slow  # every test trains

FULL_WIDTH = {"model.options": dict(widths=(64, 128), hidden=128, latent=2, head=4), "data.size": 8, "data.digit_size": 4}
CHANGES = {"train.lr": 1e-3, "train.sequences": 8}


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """A finished run whose evaluated weights are not its last ones."""
    folder = tmp_path_factory.mktemp("parent")
    train(tiny(**{"train.ema": 0.9, "train.weights": "ema"}), 0, folder, progress=False)
    return folder


def fresh(**changes):
    torch.manual_seed(1)
    return checkpoint.model_of(tiny(**changes))


def test_a_run_gives_the_weights_that_it_is_evaluated_with(parent):
    model = fresh()
    told = load_start(model, str(parent))
    evaluated = checkpoint.load_state(parent)["evaluated"]
    assert all(torch.equal(value, evaluated[name]) for name, value in model.state_dict().items())
    source = checkpoint.load_run(parent).experiment
    assert told == f"test/tiny ({config_hash(source)})"


def test_no_start_leaves_the_model_as_it_is():
    model, other = fresh(), fresh()
    assert load_start(model, "") == ""
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values()))


def test_a_training_goes_on_from_a_run_and_its_record_names_the_parent(parent, tmp_path):
    experiment = tiny(**CHANGES, **{"train.start": str(parent), "train.lr_warmup": 0.0})
    record = study.run(experiment, 0, tmp_path, progress=False)
    assert record.finished and record.parent.startswith("test/tiny (")
    scratch = train(tiny(**CHANGES, **{"train.lr_warmup": 0.0}), 0, tmp_path / "scratch", progress=False)
    assert record.curve("reconstruction")[0] < 0.9 * scratch.curves["reconstruction"][0], "it starts where the parent ended"


def test_a_cut_run_goes_on_without_its_starting_point(parent, tmp_path):
    start = tmp_path / "start"
    shutil.copytree(parent, start)
    experiment = tiny(**CHANGES, **{"train.start": str(start)})
    first = train(experiment, 0, tmp_path / "run", max_steps=1, progress=False)
    shutil.rmtree(start)
    second = train(experiment, 0, tmp_path / "run", progress=False)
    assert second.finished and second.parent == first.parent != ""


def test_published_weights_are_a_start(parent, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, experiment, _ = checkpoint.load_run(parent)
    published.publish(model.state_dict(), experiment, "mine", {"seed": 2}, "# A card\n", tmp_path / "weights")
    done = train(tiny(**CHANGES, **{"train.start": "mine"}), 0, tmp_path / "run", max_steps=1, progress=False)
    assert done.parent == f"test/tiny ({config_hash(experiment)}, seed 2)"
    started = fresh()
    load_start(started, "mine")
    for name, value in started.state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[name], rtol=2**-8, atol=1e-6, msg=name)


def test_torchvision_s_network_is_a_start(tmp_path):
    weights, file = r3d_18_weights(), tmp_path / "r3d_18.pth"
    torch.save(weights, file)
    model = fresh(**FULL_WIDTH)
    assert load_start(model, str(file)) == "torchvision r3d_18 (r3d_18.pth)"
    for part in (model.encoder, model.posterior_encoder):
        assert torch.equal(part.layer1[0].conv1[0].weight, weights["layer1.0.conv1.0.weight"])
        torch.testing.assert_close(part.stem[0].weight, weights["stem.0.weight"].sum(1, keepdim=True))
    record = study.run(tiny(**CHANGES, **FULL_WIDTH, **{"train.start": str(file)}), 0, tmp_path, progress=False)
    assert record.finished and record.parent == "torchvision r3d_18 (r3d_18.pth)"


@pytest.mark.parametrize(
    "changes, told",
    [
        ({}, "full-size encoder only"),
        ({"model.options": {"widths": (64, 128), "hidden": 4}}, "a decoder of 128 channels or more"),
        ({"model.options": {"norm": "group"}}, "build the model with norm='batch'"),
        ({"model.name": "convlstm2d", "model.window": 1, "model.horizon": 1, "model.options": {}}, "3D model only"),
        (
            {"model.name": "predrnnpp", "model.window": 1, "model.horizon": 1, "model.options": {}},
            "no part that Kinetics weights fit",
        ),
    ],
)
def test_a_model_that_kinetics_weights_do_not_fit_is_told(tmp_path, changes, told):
    file = tmp_path / "r3d_18.pth"
    torch.save(r3d_18_weights(), file)
    with pytest.raises(ValueError, match=told):
        load_start(fresh(**changes), str(file))


def test_a_start_of_another_shape_is_told(parent):
    with pytest.raises(ValueError, match=r"a vrnn3d whose encoder\.\S+ does not fit this model \(\d+ of \d+ weights differ\)"):
        load_start(fresh(**{"model.options.widths": (4, 12)}), str(parent))


def test_what_is_no_start_is_told_before_training(tmp_path):
    (tmp_path / "junk.pth").write_bytes(b"junk")
    for source, error, told in (
        ("nowhere", FileNotFoundError, "'nowhere' is neither a run nor published weights"),
        (str(tmp_path / "junk.pth"), ValueError, "junk.pth is no checkpoint of vrnn3d, or is damaged"),
    ):
        with pytest.raises(error, match=told):
            train(tiny(**{"train.start": source}), 0, tmp_path / "run", progress=False)
    assert not (tmp_path / "run" / checkpoint.CHECKPOINT).exists()
