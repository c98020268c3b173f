"""A user's own clips at the command line: trained on, measured on, and never mixed up with others."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vrnn3d import published
from vrnn3d.cli import main
from vrnn3d.study import records
from vrnn3d.study import run as study
from vrnn3d.study.folders import CLIPS, OWN_PICTURES, RECORD
from vrnn3d.training import stop

pytestmark = pytest.mark.slow  # every test runs commands

FEW = ["train.sequences=8", "train.batch=4", "train.context=[4]", "data.length=8", "data.size=16", "eval.samples=2"]
FEW += ["eval.sequences=2", "eval.batch=2", "eval.protocols=[[4,4],[4,6],[4,20]]"]


def make_clips(folder, seed=0, frames=10, count=3):
    """Clips of noise in colour, not square."""
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.random.default_rng((seed, number)).integers(0, 256, (frames, 24, 32, 3), np.uint8)
        np.save(folder / f"clip{number}.npy", pixels)
    return folder


def train(folder, *more, status=0):
    """One run of two updates on the clips of a folder; more settings begin with ``--set``'s."""
    assert main(["train", "vrnn3d_kl", "--quiet", "--clips", str(folder), "--set", *FEW, *more]) == status


def runs():
    return sorted(path.parent for path in Path("runs").rglob(RECORD))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(published, "home", lambda: tmp_path / "weights")
    return tmp_path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:only 4->4")
def test_two_folders_have_two_runs_and_a_moved_one_keeps_its_own(here, capsys, monkeypatch):
    train(make_clips(here / "one"))
    assert "own clips: grey (in colour with --set data.colour=true), 16 x 16" in capsys.readouterr().out
    train(make_clips(here / "two", seed=1))
    first, second = runs()
    assert records.read(first / RECORD).data.identity != records.read(second / RECORD).data.identity
    (here / "one").rename(here / "moved")
    monkeypatch.setattr(study, "train", lambda *_, **__: pytest.fail("it is trained again"))
    train(here / "moved")
    assert runs() == [first, second]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:only 4->4")
def test_a_cut_run_goes_on_after_its_clips_were_moved(here, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(stop.StopRule, "asks", lambda rule, updates: True)
        train(make_clips(here / "one"))
    (run,) = runs()
    assert records.read(run / RECORD).status == "cut"
    (here / "one").rename(here / "moved")
    train(here / "moved")
    assert runs() == [run] and records.read(run / RECORD).finished


def test_protocols_that_do_not_fit_fall_away_before_the_training(here, capsys, monkeypatch):
    def begun(experiment, *_, **__):
        raise ValueError(f"training begins with {experiment.eval.protocols}")

    monkeypatch.setattr(study, "train", begun)
    with pytest.warns(UserWarning, match="only 4->4, 4->6 will be measured, and not 4->20"):
        train(make_clips(here / "clips"), status=1)
    assert "training begins with ((4, 4), (4, 6))" in capsys.readouterr().err


def test_clips_too_short_for_every_protocol_are_refused_before_the_training(here, capsys, monkeypatch):
    monkeypatch.setattr(study, "train", lambda *_, **__: pytest.fail("it is trained"))
    train(make_clips(here / "clips", frames=7), status=1)
    (line,) = capsys.readouterr().err.splitlines()
    assert "none of the 1 test clips in clips has 8 frames (the longest, clip" in line and "eval.protocols" in line


@pytest.mark.slow
def test_settings_of_a_cut_run_are_not_changed_by_what_fits(here, monkeypatch):
    """The configuration that is recorded is the one that was measured, and the same command finds it again."""
    with monkeypatch.context() as patch, pytest.warns(UserWarning, match="only 4->4, 4->6"):
        patch.setattr(stop.StopRule, "asks", lambda rule, updates: True)
        train(make_clips(here / "clips"))
    with pytest.warns(UserWarning, match="only 4->4, 4->6"):
        train(here / "clips")
    (run,) = runs()
    assert set(records.read(run / RECORD).evaluation["test"]) == {"4->4", "4->6"}


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """A run on clips in colour and not square, and the clips."""
    root = tmp_path_factory.mktemp("coloured")
    clips = make_clips(root / "clips")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        with pytest.warns(UserWarning, match="only 4->4, 4->6"):
            train(clips, "data.colour=true", "data.size=[12,16]")
        (run,) = runs()
        return root / run, clips


def test_colour_and_shape_from_training_to_card(coloured, here, capsys):
    run, clips = coloured
    record = records.read(run / RECORD)
    assert record.config.data.channels == 3 and record.config.data.height_width == (12, 16)
    assert "colour, cropped to shape, 12 x 16" in record.data.description
    assert (
        main(["predict", str(clips / "clip0.npy"), "--model", str(run), "--context", "4", "--frames", "3", "--out", "a.npy"])
        == 0
    )
    assert "12 x 16, colour" in capsys.readouterr().out
    assert np.load("a.npy").shape == (3, 3, 3, 12, 16)
    assert main(["publish", str(run), "--name", "mine"]) == 0
    card = (here / "weights" / "mine" / "README.md").read_text()
    assert "Colour frames." in card and "torch.rand(1, 10, 3, 12, 16)" in card
    told = (here / "weights" / "mine" / "config.json").read_text() + card
    assert str(clips.parent) not in told, "where somebody's clips lie is not published"
    assert main(["evaluate", "mine", "--quiet"]) == 1
    assert "say with --clips where they are" in capsys.readouterr().err
    assert main(["evaluate", "mine", "--quiet", "--clips", str(clips), "--out", "own.json"]) == 0
    again = json.loads((here / "own.json").read_text())["evaluation"]["test"]["4->4"]["scores"]["mse"]["average"]
    assert again == pytest.approx(record.score("test", "4->4"), rel=0.02), "the weights were rounded"


def test_pictures_are_for_the_owner_alone(coloured):
    run, clips = coloured
    with Image.open(run / OWN_PICTURES) as image:
        assert image.n_frames == 10
    with np.load(run / CLIPS) as arrays:
        assert "truth" not in arrays and "mean" not in arrays
    assert main(["train", "vrnn3d_kl", "--record", "--clips", str(clips)]) == 1


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A run on Moving MNIST."""
    root = tmp_path_factory.mktemp("digits")
    few = ["data.sequences=[8,4,4]", "data.digit_size=8", *FEW[:-1], "eval.protocols=[[4,4]]"]
    assert main(["train", "vrnn3d_kl", "--quiet", "--out", str(root), "--set", *few]) == 0
    (run,) = root.rglob(RECORD)
    return run.parent


def test_a_model_of_digits_is_measured_on_all_of_one_s_clips(digits, here, capsys):
    clips = make_clips(here / "clips")
    command = ["evaluate", str(digits), "--quiet", "--clips", str(clips), "--protocols", "4:4", "3:7", "--sequences", "9"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert (
        "test 4->4, 3 sequences: MSE" in out
        and "test 3->7, 3 sequences: MSE" in out
        and "copy last" in out
        and "pixel mean" in out
    )
    (written,) = digits.glob("evaluation-clips-*.json")
    found = json.loads(written.read_text())
    assert found["config"]["data"]["name"] == "video" and found["evaluation"]["test"]["4->4"]["sequences"] == 3
    with open(written.with_suffix(".csv"), encoding="utf-8") as file:
        lines = [line for line in csv.DictReader(file) if (line["given"], line["metric"]) == ("3", "mse")]
    per_frame = found["evaluation"]["test"]["3->7"]["scores"]["mse"]["per_frame"]
    assert [float(line["average"]) for line in lines] == pytest.approx(per_frame, rel=1e-4) and len(lines) == 7


def test_a_single_short_clip_can_be_measured(digits, here):
    clip = make_clips(here / "clips", count=1) / "clip0.npy"
    assert main(["evaluate", str(digits), "--quiet", "--clips", str(clip), "--out", "found.json"]) == 0
    assert json.loads((here / "found.json").read_text())["evaluation"]["test"]["4->4"]["sequences"] == 1


def test_the_public_test_file_is_measured(digits, here):
    """Its first axis is time: twenty frames of each of its sequences."""
    array = np.random.default_rng(0).integers(0, 256, (20, 5, 16, 16), np.uint8)
    np.save(here / "mnist_test_seq.npy", array)
    assert (
        main(["evaluate", str(digits), "--quiet", "--clips", "mnist_test_seq.npy", "--protocols", "10:10", "--sequences", "9"])
        == 0
    )
    (written,) = digits.glob("evaluation-mnist_test_seq-*.json")
    (found,) = json.loads(written.read_text())["evaluation"]["test"].values()
    assert found["sequences"] == 5
    moving = np.square((array[10:] / 255.0) - array[9:10] / 255.0).sum((2, 3)).mean()
    assert found["baselines"]["copy_last"] == pytest.approx(moving, rel=1e-4)


def test_settings_of_the_evaluation_alone_can_be_changed(digits, here, capsys):
    assert main(["evaluate", str(digits), "--quiet", "--set", "train.lr=1"]) == 1
    assert "--set train.lr would change the trained model" in capsys.readouterr().err
    assert main(["evaluate", str(digits), "--quiet", "--out", "found.csv"]) == 1
    assert "name the JSON file" in capsys.readouterr().err
    with pytest.warns(UserWarning, match="trained on frames of 16 x 16 and is measured on 24 x 20"):
        assert (
            main(["evaluate", str(digits), "--quiet", "--set", "data.size=[24,20]", "eval.samples=1", "--out", "a.json"]) == 0
        )
    found = json.loads((here / "a.json").read_text())
    assert found["config"]["data"]["size"] == [24, 20] and found["evaluation"]["test"]["4->4"]["samples"] == 1


@pytest.mark.filterwarnings("ignore:only 4->4")
def test_other_clips_than_were_trained_on_are_all_measured(here):
    train(make_clips(here / "clips", count=4), "eval.samples=1")
    (run,) = runs()

    def measured(clips):
        assert main(["evaluate", str(run), "--quiet", "--clips", str(clips), "--sequences", "9", "--out", "found.json"]) == 0
        return json.loads((here / "found.json").read_text())["evaluation"]["test"]["4->4"]["sequences"]

    assert measured(make_clips(here / "others", seed=1, count=4)) == 4
    assert measured((here / "clips").rename(here / "moved")) == 1, "the part that was held out of the training"


@pytest.mark.parametrize("wrong", ["10", "10:0", "a:b", "10:10:10", ":5"])
def test_what_is_no_protocol_is_told(wrong, capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "x", "--protocols", wrong])
    assert f"'{wrong}' is no protocol; write frames given and frames predicted as 10:20" in capsys.readouterr().err
