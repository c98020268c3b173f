"""One run from its name to its record."""

from __future__ import annotations

import signal
from dataclasses import replace

import numpy as np
import pytest

from trials import MINI
from vrnn3d import checkpoint
from vrnn3d.config import config_hash, override
from vrnn3d.study import records
from vrnn3d.study import run as module
from vrnn3d.study.folders import CLIPS, RECORD, local_record, run_folder
from vrnn3d.study.profiles import get
from vrnn3d.study.provenance import Code
from vrnn3d.study.run import run
from vrnn3d.study.scales import commits
from vrnn3d.training.stop import Interrupted

pytestmark = pytest.mark.slow  # every test trains and evaluates


def test_a_finished_run_leaves_record_pictures_and_checkpoint(tmp_path, mini):
    experiment = get("vrnn3d_kl", MINI)
    done = run(experiment, 1, tmp_path, progress=False)
    folder = run_folder(tmp_path, experiment, 1)
    assert {path.name for path in folder.iterdir()} >= {RECORD, CLIPS, checkpoint.CHECKPOINT, "curves.csv"}
    read = records.read(folder / RECORD)
    assert (read.status, read.seed, read.profile, read.experiment, read.group) == ("finished", 1, MINI, "vrnn3d_kl", "table3")
    assert read.config == experiment and read.config_hash == config_hash(experiment)
    assert (read.training.sequences, read.training.updates, read.training.processes) == (8, 2, 1)
    assert read.training.seconds > 0 and read.training.sequences_per_second > 0 and read.training.precision == "float32"
    assert set(read.evaluation) == {"train", "test"} and set(read.evaluation["test"]) == {"5->5"}
    assert read.parameters["total"] > 0 and read.provenance.versions["torch"] and read.weights == "last"
    assert "MNIST" in read.data.description and read.data.identity
    assert read.score("test", "5->5") == pytest.approx(done.score("test", "5->5"), rel=1e-5)
    with np.load(folder / CLIPS) as clips:
        assert set(clips) == {"indices", "first", "context", "sample", "mean", "truth"}


def test_on_what_each_call_trained_it_stands_in_the_record(tmp_path, mini, monkeypatch):
    experiment, places = get("vrnn3d_kl", MINI), iter(["one commit", "one commit", "another", "another"])
    true = module.provenance

    def elsewhere(device):
        return replace(true(device), code=Code(next(places), False))

    monkeypatch.setattr(module, "provenance", elsewhere)
    real, folder = module.train, run_folder(tmp_path, experiment, 0)

    def cut_off(*arguments, **options):  # after one update, before a record is written
        real(*arguments, max_steps=1, **options)
        raise RuntimeError("the machine went away")

    monkeypatch.setattr(module, "train", cut_off)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="went away"):
            run(experiment, 0, tmp_path, progress=False)
    monkeypatch.setattr(module, "train", real)
    done = run(experiment, 0, tmp_path, progress=False)
    assert done.provenance.code.commit == "another" and [made.code.commit for made in done.earlier] == ["one commit"]
    assert records.read(folder / RECORD).earlier == done.earlier
    assert commits([done]) == "one commit, another"


def test_a_finished_run_is_not_done_again(tmp_path, mini, monkeypatch):
    experiment = get("black", MINI)
    done = run(experiment, 0, tmp_path, progress=False)
    monkeypatch.setattr(module, "train", lambda *_, **__: pytest.fail("it is trained again"))
    assert run(experiment, 0, tmp_path, progress=False).evaluation.keys() == done.evaluation.keys()


def test_a_damaged_record_is_written_anew_without_training(tmp_path, mini):
    experiment = get("vrnn3d_kl", MINI)
    run(experiment, 0, tmp_path, progress=False)
    folder = run_folder(tmp_path, experiment, 0)
    before = records.read(folder / RECORD)
    (folder / RECORD).write_text("{}")
    with pytest.warns(UserWarning, match="the run is taken for unfinished"):
        run(experiment, 0, tmp_path, progress=False)
    after = records.read(folder / RECORD)
    assert after.evaluation == before.evaluation and after.training == before.training


def test_a_cut_run_is_evaluated_where_that_is_asked_for(tmp_path, mini):
    experiment = get("convlstm2d", MINI)
    cut = run(experiment, 0, tmp_path, max_minutes=1e-9, progress=False)
    assert not cut.finished and cut.training.updates == 1 and cut.evaluation == {}
    assert not (run_folder(tmp_path, experiment, 0) / CLIPS).exists()
    assert run(experiment, 1, tmp_path, max_minutes=1e-9, evaluate_cut=True, progress=False).evaluation
    assert run(experiment, 0, tmp_path, progress=False).finished


def test_a_sweep_leaves_no_pictures(tmp_path, mini):
    experiment = get("tune_l2", MINI)
    assert run(experiment, 0, tmp_path, progress=False).finished
    assert not list(tmp_path.rglob("*.npz"))


def test_no_frame_of_people_is_kept(tmp_path, mini, monkeypatch):
    """Where frames may not be recorded there is no truth, and no copied frame, which would be one."""
    from vrnn3d import data
    from vrnn3d.evaluation import evaluate
    from vrnn3d.training import loop

    build = data.build

    def of_people(*arguments, **options):
        made = build(*arguments, **options)
        made.recordable = False
        return made

    for user in (loop, evaluate):
        monkeypatch.setattr(user, "build", of_people)
    copies, network = get("copy_last", MINI), get("convlstm2d", MINI)
    for experiment in (copies, network):
        run(experiment, 0, tmp_path, progress=False)
    assert not (run_folder(tmp_path, copies, 0) / CLIPS).exists()
    with np.load(run_folder(tmp_path, network, 0) / CLIPS) as clips:
        assert set(clips) == {"indices", "first", "context", "sample"}


def test_which_weights_were_evaluated_stands_in_the_record(tmp_path, mini):
    changed = override(get("convlstm2d", MINI), {"train.ema": 0.5, "train.weights": "ema"})
    assert run(changed, 0, tmp_path, progress=False).weights == "ema"


@pytest.mark.parametrize("finished", [True, False])
def test_a_signal_ends_a_run_before_its_evaluation(tmp_path, mini, monkeypatch, finished):
    """Even one that came with the last update: evaluating may take half an hour, and the next call does it."""
    experiment, real = get("convlstm2d", MINI), module.train

    def signalled(*arguments, **options):
        trained = real(*arguments, **options, max_steps=None if finished else 1)
        return replace(trained, signal=signal.SIGTERM)

    monkeypatch.setattr(module, "train", signalled)
    with monkeypatch.context() as patch:
        patch.setattr(module, "evaluate", lambda *_, **__: pytest.fail("it is evaluated"))
        with pytest.raises(Interrupted) as told:
            run(experiment, 0, tmp_path, progress=False)
    assert told.value.number == signal.SIGTERM and local_record(tmp_path, experiment, 0) is None
    monkeypatch.setattr(module, "train", real)
    assert run(experiment, 0, tmp_path, progress=False).evaluation
