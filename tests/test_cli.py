"""The command line: every command has help, works at smoke size, and says what is wrong in one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vrnn3d.study import results
from vrnn3d.cli import main

FEW = ["train.sequences=8", "train.batch=4", "data.sequences=[8,4,4]", "eval.sequences=2", "eval.samples=2", "eval.batch=2"]
NAMES = ["data", "list", "train", "evaluate", "predict", "publish", "bench", "book"]


@pytest.mark.parametrize("command", NAMES)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert "usage" in capsys.readouterr().out


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short training, its folder and its record, made by the command."""
    root = tmp_path_factory.mktemp("runs")
    assert main(["train", "vrnn3d_kl_ll", "--quiet", "--out", str(root), "--set", *FEW]) == 0
    folder = root / "smoke" / "vrnn3d_kl_ll" / "seed0"
    return folder, json.loads((folder / "record.json").read_text())


def test_training_writes_a_valid_record(run):
    _, record = run
    results.validate(record)
    assert record["status"] == "finished" and record["training"]["sequences"] == 8
    assert set(record["evaluation"]["train"]) == {"5->10", "5->15", "10->10", "10->20"}
    assert record["parameters"]["total"] > 0 and record["versions"]["torch"]
    assert "MNIST" in record["data"]["description"]


def test_evaluating_again(run, capsys):
    folder, record = run
    assert main(["evaluate", str(folder), "--quiet", "--samples", "2", "--sequences", "2"]) == 0
    again = json.loads((folder / "evaluation.json").read_text())["evaluation"]
    assert again["test"]["10->10"]["mse"]["average"] == pytest.approx(
        record["evaluation"]["test"]["10->10"]["mse"]["average"], rel=1e-4
    )


def test_predicting_and_publishing(run, tmp_path, capsys, monkeypatch):
    from PIL import Image

    from vrnn3d import checkpoint

    folder, record = run
    clip, out = tmp_path / "clip.npy", tmp_path / "future.webp"
    np.save(clip, np.random.default_rng(0).integers(0, 256, (12, 32, 32), np.uint8))
    assert main(["predict", str(clip), "--out", str(out), "--model", str(folder), "--frames", "4"]) == 0
    assert "smoke" in capsys.readouterr().out
    with Image.open(out) as image:
        assert image.n_frames == 14
    monkeypatch.setattr(checkpoint, "PUBLISHED", tmp_path / "weights")
    assert main(["publish", str(folder), "--name", "mine"]) == 0
    about = json.loads((tmp_path / "weights" / "mine" / "model.json").read_text())
    assert about["sequences"] == 8 and about["config"]["name"] == "vrnn3d_kl_ll"
    card = (tmp_path / "weights" / "mine" / "README.md").read_text()
    assert "--model mine" in card and f"| {record['config_hash']}" in card.replace("`", "")
    assert "README.md" in capsys.readouterr().out


def test_predicting_takes_the_published_weights_first_and_the_newest_run_else(run, tmp_path, capsys, monkeypatch):
    import shutil

    from vrnn3d import checkpoint

    folder, _ = run
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoint, "PUBLISHED", tmp_path / "weights")
    np.save("clip.npy", np.random.default_rng(0).integers(0, 256, (12, 32, 32), np.uint8))
    arguments = ["predict", "clip.npy", "--frames", "2", "--samples", "1"]
    assert main(arguments) == 1
    assert "no published weights 'vrnn3d' (none are published yet)" in capsys.readouterr().err
    loaded = []
    load = checkpoint.load_run
    monkeypatch.setattr(checkpoint, "load_run", lambda path, *rest: loaded.append(path) or load(path, *rest))
    shutil.copytree(folder, "runs/smoke/vrnn3d_kl_ll/seed0")
    assert main(arguments) == 0 and [path.name for path in loaded] == ["checkpoint.pt"]
    assert main(["publish", "runs/smoke/vrnn3d_kl_ll/seed0"]) == 0
    loaded.clear()
    assert main(arguments) == 0 and loaded == [], "published weights come before runs"


def test_listing_the_queue(capsys, tmp_path):
    assert main(["list", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "vrnn3d_kl_ll" in out and "to do" in out
    assert "queue tune (12 of 12 runs to do)" in out and "without L1" in out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["train", "nothing"], "no experiment 'nothing'; there are: vrnn3d_kl_ll"),
        (["train", "--profile", "huge"], "no profile 'huge'"),
        (["train", "tune_l2"], "no experiment 'tune_l2' at profile 'smoke'"),
        (["train", "--set", "lr"], "NAME=VALUE"),
        (["train", "--set", "train.speed=1"], "no setting 'train.speed'"),
        (["train", "--record", "--set", "train.lr=1"], "--record"),
        (["predict", "nowhere.mp4", "--model", "nothing"], "no published weights 'nothing'"),
        (["evaluate", "nowhere"], "no published weights 'nowhere'"),
    ],
)
def test_mistakes_get_one_sentence(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    error = capsys.readouterr().err.strip()
    assert message in error and "Traceback" not in error and len(error.splitlines()) == 1


def test_the_next_of_the_queue(tmp_path, monkeypatch, capsys):
    """--next takes the first run that has no finished record, and then the next."""
    from vrnn3d import config
    from vrnn3d.study import catalogue

    get = catalogue.get
    short = {n: v for n, _, v in (pair.partition("=") for pair in FEW)}
    short = {n: config.as_tuples(json.loads(v)) for n, v in short.items()} | {"train.sequences": 400}
    monkeypatch.setattr(catalogue, "get", lambda name, profile: config.override(get(name, profile), short))
    monkeypatch.setattr(catalogue, "queue", lambda which="full": [("copy_last", "smoke", 0), ("convlstm2d", "smoke", 1)])
    monkeypatch.setenv("VRNN3D_RESULTS", str(tmp_path / "results"))
    arguments = ["train", "--next", "--quiet", "--out", str(tmp_path / "runs"), "--record"]
    assert main([*arguments, "--max-minutes", "0.001"]) == 0
    first = results.find("copy_last", "smoke", 0, tmp_path / "results")
    assert first["status"] == "finished"
    cut = results.find("convlstm2d", "smoke", 1, tmp_path / "results")
    assert cut is None or cut["status"] == "cut"
    short["train.sequences"] = 8
    assert main([*arguments[:-2], str(tmp_path / "anew"), "--record"]) == 0
    assert results.find("convlstm2d", "smoke", 1, tmp_path / "results")["status"] == "finished"
    assert main(arguments) == 0
    assert "the queue is done" in capsys.readouterr().out


def test_processes_share_a_queue(tmp_path, monkeypatch, capsys):
    """A run that another process holds is left to it; when that process ends, however, the claim is gone."""
    import subprocess
    import sys

    from vrnn3d.study import catalogue
    from vrnn3d.study.run import claim

    monkeypatch.setattr(catalogue, "queue", lambda which: [("copy_last", "smoke", 0)])
    monkeypatch.setenv("VRNN3D_RESULTS", str(tmp_path / "results"))
    root, experiment = tmp_path / "runs", catalogue.get("copy_last", "smoke")
    code = (
        "import sys; from vrnn3d import experiments; from vrnn3d.study.run import claim\n"
        "with claim(sys.argv[1], catalogue.get('copy_last', 'smoke'), 0) as mine:\n"
        "    print(mine, flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline().strip() == "True"
        with claim(root, experiment, 0) as mine:
            assert not mine
        assert main(["train", "--next", "small", "--quiet", "--out", str(root)]) == 0
        assert not (root / "smoke" / "copy_last" / "seed0" / "record.json").exists()
    finally:
        other.kill()
        other.wait()
    with claim(root, experiment, 0) as mine:
        assert mine


def test_an_unknown_queue_is_named(capsys):
    assert main(["train", "--next", "huge", "--quiet"]) == 1
    assert "no queue 'huge'; there are: full, small, tune, kth" in capsys.readouterr().err


def test_the_sweep_leaves_records_and_no_pictures(tmp_path, monkeypatch):
    """`--next tune` is one command for all of it; its runs are ranked, not looked at."""
    from vrnn3d import config
    from vrnn3d.study import catalogue, tuning

    get = catalogue.get
    changes = {n: config.as_tuples(json.loads(v)) for n, _, v in (pair.partition("=") for pair in FEW)}
    small = get("vrnn3d_kl_ll", "smoke")
    changes |= {"data.size": 32, "data.digit_size": 14, "train.validate_every": 0.1, "train.sequences": 80}
    changes |= {f"model.options.{name}": value for name, value in small.model.options.items()}
    monkeypatch.setattr(catalogue, "get", lambda name, profile: config.override(get(name, profile), changes))
    monkeypatch.setattr(catalogue, "queue", lambda which: [("tune_l2", "tune", 0)] if which == "tune" else [])
    monkeypatch.setenv("VRNN3D_RESULTS", str(tmp_path / "results"))
    assert main(["train", "--next", "tune", "--quiet", "--record", "--out", str(tmp_path / "runs")]) == 0
    record = results.find("tune_l2", "tune", 0, tmp_path / "results")
    assert record["status"] == "finished" and len(tuning.ranking([record])) == 1
    assert not list(tmp_path.rglob("*.npz"))
