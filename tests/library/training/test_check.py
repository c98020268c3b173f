"""What is wrong with a training is told before any data are read."""

from __future__ import annotations

import pytest

from trials import tiny
from vrnn3d import checkpoint
from vrnn3d.config import override
from vrnn3d.data.settings import VideoData
from vrnn3d.evaluation import evaluate as evaluation
from vrnn3d.evaluation import metrics
from vrnn3d.files import CannotWrite
from vrnn3d.training import check as module
from vrnn3d.training import loop
from vrnn3d.training.check import check, check_frames
from vrnn3d.training.loop import train

pytestmark = pytest.mark.slow  # some train a step

WRONG = [
    ({"train.start": "nowhere"}, FileNotFoundError, "'nowhere' is neither a run nor published weights"),
    ({"loss.variant": "kl"}, ValueError, "no latent loss 'kl'"),
    ({"model.name": "vrnn4d"}, ValueError, "no model 'vrnn4d'"),
    (
        {"data.size": (50, 70)},
        ValueError,
        "data.size does not fit the model: .* multiples of 4, not 50 x 70; resize or pad them, to 52 x 72 for example",
    ),
    (
        {"train.context": (1, 6)},
        ValueError,
        r"train.context is \(1, 6\), but the model looks at 2 frames at a time .model.window.: give it contexts of at least 2",
    ),
    (
        {"train.context": (11,), "model.window": 5, "model.horizon": 5},
        ValueError,
        r"train.context is \(11,\), but the model's steps cover 10 of the 12 frames .* context of at most 10 frames, or longer",
    ),
    (
        {"data.size": 4, "data.digit_size": 2},
        ValueError,
        "data.size gives frames of 4 x 4 pixels, which are too small to be evaluated: SSIM needs at least 7 x 7",
    ),
    ({"data.name": "video", "data.path": "x", "data.use": "test"}, ValueError, "data.use=test keeps all clips for the test"),
    ({"data.length": 3, "train.context": (2,)}, ValueError, "sequences of 3 frames are too short for window 2"),
]


@pytest.mark.parametrize("changes, error, told", WRONG)
def test_mistakes_are_told_before_the_data_are_read(tmp_path, monkeypatch, changes, error, told):
    monkeypatch.setattr(loop, "build", lambda *_, **__: pytest.fail("data are read"))
    for call in (train, check):
        with pytest.raises(error, match=told) as raised:
            call(tiny(**changes), 0, tmp_path)
        assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed, changes, told", [(1, {}, "of seed 0, not 1"), (0, {"train.lr": 0.5}, "with other settings")])
def test_another_run_in_the_folder_is_told_before_the_data_are_read(tmp_path, monkeypatch, seed, changes, told):
    train(tiny("convlstm2d"), 0, tmp_path, max_steps=1, progress=False)
    monkeypatch.setattr(loop, "build", lambda *_, **__: pytest.fail("data are read"))
    for call in (train, check):
        with pytest.raises(ValueError, match=told):
            call(tiny("convlstm2d", **changes), seed, tmp_path)


def test_nothing_is_said_of_what_can_go_on(tmp_path):
    train(tiny("convlstm2d"), 0, tmp_path / "start", max_steps=1, progress=False)
    started = tiny("convlstm2d", **{"train.start": str(tmp_path / "start")})
    check(started, 0, tmp_path / "run")
    train(started, 0, tmp_path / "run", max_steps=1, progress=False)
    (tmp_path / "start" / checkpoint.CHECKPOINT).unlink()
    check(started, 0, tmp_path / "run")  # what it started from is needed no more


def test_contexts_that_the_steps_just_cover_are_taken(tmp_path):
    for context in ((2,), (10,), (5, 11)):
        check(tiny(**{"train.context": context, "model.window": 2, "model.horizon": 2}), 0, tmp_path)
    check(tiny("black", **{"data.size": 7, "data.digit_size": 2}), 0, tmp_path)


def test_before_protocols_are_fitted_a_run_may_lack_those_that_do_not_fit(tmp_path):
    asked = tiny("convlstm2d", **{"eval.protocols": ((5, 5), (5, 20), (6, 4))})
    fitted = override(asked, {"eval.protocols": ((5, 5), (6, 4))})
    train(fitted, 0, tmp_path, max_steps=1, progress=False)
    check(fitted, 0, tmp_path)
    check(asked, 0, tmp_path, fitted=False)
    with pytest.raises(ValueError, match="other settings .eval.protocols is"):
        check(asked, 0, tmp_path)
    for others in (((5, 5),), ((5, 5), (6, 5)), ((6, 4), (5, 5))):
        with pytest.raises(ValueError, match="other settings .eval.protocols is"):
            check(override(asked, {"eval.protocols": others}), 0, tmp_path, fitted=False)
    with pytest.raises(ValueError, match="other settings .train.lr is 0.003 there and 0.5 here."):
        check(override(asked, {"train.lr": 0.5}), 0, tmp_path, fitted=False)


def test_of_several_processes_the_first_alone_needs_to_write(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CannotWrite):
        check(tiny("convlstm2d"), 0, tmp_path / "file" / "run")
    monkeypatch.setenv("RANK", "1")
    check(tiny("convlstm2d"), 0, tmp_path / "file" / "run")


def test_data_of_other_channels_than_the_model_s_are_told():
    grey = checkpoint.model_of(tiny())
    with pytest.raises(ValueError, match="the data have 3 channels and the model takes 1; for clips set data.colour=false"):
        check_frames(grey, VideoData(path="x", size=16, colour=True))


def test_the_smallest_frame_is_ssim_s_window():
    assert module.SMALLEST_SIDE == metrics.WINDOW


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"data.size": (50, 70)}, "data.size does not fit the model"),
        ({"data.size": 4, "data.digit_size": 2}, "SSIM needs at least 7 x 7"),
        ({"eval.protocols": ((1, 5),)}, "eval.protocols gives at most 1 frames, and the model's window has 2"),
    ],
)
def test_what_cannot_be_evaluated_is_told_before_the_data_are_read(monkeypatch, changes, told):
    monkeypatch.setattr(evaluation, "build", lambda *_, **__: pytest.fail("data are read"))
    model = checkpoint.model_of(tiny())
    with pytest.raises(ValueError, match=told):
        evaluation.evaluate(model, tiny(**changes), progress=False)


def test_the_command_tells_a_size_that_the_model_cannot_take_before_the_clips_are_read(tmp_path, monkeypatch, capsys):
    from vrnn3d.cli import main
    from vrnn3d.evaluation import protocols

    train(tiny(), 0, tmp_path, max_steps=1, progress=False)
    monkeypatch.setattr(protocols, "build", lambda *_, **__: pytest.fail("data are read"))
    assert main(["evaluate", str(tmp_path), "--clips", str(tmp_path), "--quiet", "--set", "data.size=[50,70]"]) == 1
    assert "vrnn3d evaluate: data.size does not fit the model: " in capsys.readouterr().err
