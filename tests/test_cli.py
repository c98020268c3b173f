"""The command line: every command has help, works at a small size, and says what is wrong in one sentence."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import vrnn3d
from trials import MINI
from vrnn3d import checkpoint, cli, published
from vrnn3d.cli import COMMANDS, main, parser
from vrnn3d.cli import list as list_command
from vrnn3d.config import config_hash
from vrnn3d.study import folders, records
from vrnn3d.study import run as study
from vrnn3d.study.profiles import get
from vrnn3d.study.queue import QUEUES
from vrnn3d.training import stop

pytestmark = pytest.mark.slow  # every test runs commands


def said(capsys, *arguments: str, status: int = 0) -> str:
    """What a command prints when it ends as it should: stdout, or the one line on stderr of one that fails."""
    assert main(list(arguments)) == status
    out, err = capsys.readouterr()
    if status:
        assert len(err.splitlines()) == 1 and "Traceback" not in err, err
        return err.strip()
    return out


def wrong(capsys, *arguments: str) -> str:
    """What is said of a command line that cannot be read: exit 2, one line."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    err = capsys.readouterr().err
    assert ended.value.code == 2 and len(err.splitlines()) == 1, err
    return err.strip()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    out = capsys.readouterr().out
    assert ended.value.code == 0
    assert out.startswith(f"usage: vrnn3d {command}") and len(out.split("\n\n")[1]) > 20, "it says what the command does"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_how_long_it_takes_and_what_every_default_is(command):
    one = parser(command)._subparsers._group_actions[0].choices[command]
    assert re.search(r"\b(second|minute|hour)", f"{one.description} {one.epilog}"), "how long"
    told = " ".join(one.format_help().split())
    for action in one._actions:
        if action.option_strings and action.default not in (None, False, [], argparse.SUPPRESS):
            assert f"(default: {action.default})" in told, action.option_strings


def test_the_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"vrnn3d {vrnn3d.__version__}\n"


def test_the_commands_are_listed_with_examples(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(f"    {name} " in out for name in COMMANDS) and "examples:" in out
    assert wrong(capsys).startswith("vrnn3d: ")


# --- one run, and what is done with it --------------------------------------------------------------------------------

FEW = ["train.sequences=8", "train.batch=4", "data.sequences=[8,4,4]", "eval.sequences=2", "eval.samples=2", "eval.batch=2"]
FEW += ["eval.protocols=[[5,5]]", "data.length=12", "train.context=[5]", "data.size=16", "data.digit_size=8"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short training, its folder and its record, made by the command."""
    root = tmp_path_factory.mktemp("runs")
    assert main(["train", "vrnn3d_kl_ll", "--quiet", "--out", str(root), "--set", *FEW]) == 0
    (path,) = root.rglob("record.json")
    return path.parent, records.read(path)


def test_training_with_settings_of_one_s_own_writes_a_record_under_a_name_of_its_own(run):
    folder, record = run
    assert record.finished and record.training.sequences == 8 and record.training.updates == 2
    assert folder.parts[-3:] == ("smoke", f"vrnn3d_kl_ll+{record.config_hash[:8]}", "seed0")
    assert record.experiment == folder.parts[-2] and record.config_hash != config_hash(get("vrnn3d_kl_ll", "smoke"))


def test_the_same_command_again_does_nothing_new(run, capsys, monkeypatch):
    folder, record = run
    monkeypatch.setattr(study, "train", lambda *_, **__: pytest.fail("it is trained again"))
    out = said(capsys, "train", "vrnn3d_kl_ll", "--quiet", "--out", str(folder.parents[2]), "--set", *FEW)
    assert f"finished: 8 sequences; {folder / 'record.json'}" in out
    assert f"test 5->5, 2 sequences: MSE {record.score('test', '5->5'):.2f}" in out and "black" in out


def test_evaluating_again(run, capsys):
    folder, record = run
    out = said(capsys, "evaluate", str(folder), "--quiet")
    assert str(folder / "evaluation.json") in out
    again = json.loads((folder / "evaluation.json").read_text())["evaluation"]
    assert again["test"]["5->5"]["scores"]["mse"]["average"] == pytest.approx(record.score("test", "5->5"), rel=1e-4)
    said(capsys, "evaluate", str(folder), "--quiet", "--samples", "1", "--sequences", "1", "--out", str(folder / "e.json"))
    entry = json.loads((folder / "e.json").read_text())["evaluation"]["test"]["5->5"]
    assert (entry["samples"], entry["sequences"]) == (1, 1)
    said(capsys, "evaluate", str(folder), "--quiet", "--samples", "1")
    (other,) = folder.glob("evaluation-*.json")
    assert json.loads((folder / "evaluation.json").read_text())["evaluation"] == again, "the other has a name of its own"
    assert json.loads(other.read_text())["evaluation"]["test"]["5->5"]["samples"] == 1


def test_evaluations_of_unlike_clips_have_unlike_names(tmp_path, monkeypatch):
    from vrnn3d.cli.evaluate import _name

    def name(*words: str) -> str:
        return _name(parser("evaluate").parse_args(["evaluate", *words]))

    (tmp_path / "model.pt").touch()
    monkeypatch.chdir(tmp_path)
    given = [["--clips", clips] for clips in ("a/clips", "b/clips", "dog.gif", "dog.mp4")] + [["--samples", "2"], []]
    assert len({name("model.pt", *words) for words in given}) == len(given)
    assert name("model.pt", "--clips", "a/clips") == name("model.pt", "--clips", str(tmp_path / "a" / "clips"))
    root = Path(vrnn3d.__file__).parents[1] / "weights"
    assert name(str(root / "beyond")) == name("beyond") == "evaluation-beyond.json"


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (12, 16, 16), np.uint8))
    return str(path)


def test_predicting_and_publishing(run, clip, tmp_path, capsys, monkeypatch):
    folder, record = run
    monkeypatch.setattr(published, "home", lambda: tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "future.webp"
    told = said(capsys, "predict", clip, "--out", str(out), "--model", str(folder), "--context", "6", "--frames", "4")
    assert "6 frames given, 4 predicted" in told and "MSE" not in told, "the clip's end is continued: nobody knows the truth"
    with Image.open(out) as image:
        assert image.n_frames == 10
    told = said(capsys, "predict", clip, "--out", str(out), "--model", str(folder), "--start", "0", "--context", "6")
    assert re.search(r"prediction +MSE .* \(6 frames\)\n.*last frame repeated +MSE", told, re.DOTALL)
    told = said(capsys, "predict", clip, "--last", "--model", str(folder), "--context", "6", "--frames", "4")
    assert "mean of the samples  MSE" in told and "(4 frames)" in told

    files = said(capsys, "publish", str(folder), "--name", "mine").split()
    assert {path.rpartition("/")[2] for path in files} == {"README.md", "config.json", "model.safetensors"}
    about = json.loads((tmp_path / "weights" / "mine" / "config.json").read_text())
    assert about["sequences"] == 8 and about["config"]["name"] == record.experiment
    card = (tmp_path / "weights" / "mine" / "README.md").read_text()
    assert "--model mine" in card and record.config_hash in card
    assert "no plain name" in said(capsys, "publish", str(folder), "--name", "../mine", status=1)
    said(capsys, "publish", str(folder), "--name", "mine")
    values = about | {"seed": 7}
    (tmp_path / "weights" / "mine" / "config.json").write_text(json.dumps(values))
    told = said(capsys, "publish", str(folder), "--name", "mine", status=1)
    assert f"mine is published already, from smoke/{record.experiment}, seed 7: choose a --name, or --replace it" in told
    said(capsys, "publish", str(folder), "--name", "mine", "--replace")


def test_a_card_is_not_written_from_another_run_s_record(run, tmp_path, capsys, monkeypatch):
    folder, record = run
    monkeypatch.setattr(published, "home", lambda: tmp_path / "weights")
    copy = shutil.copytree(folder, tmp_path / "copy")
    older = dataclasses.replace(record.training, updates=1)
    records.write(dataclasses.replace(record, training=older), copy / "record.json")
    assert "the record is not of the weights in" in said(capsys, "publish", str(copy), status=1)
    (copy / "record.json").unlink()
    assert "there is no record in" in said(capsys, "publish", str(copy), status=1)
    assert not (tmp_path / "weights").exists()


def test_nothing_is_written_over_what_is_read(run, clip, capsys):
    folder, _ = run
    before = Path(clip).read_bytes()
    for command in (
        ["predict", clip, "--out", clip, "--model", str(folder), "--context", "6"],
        ["evaluate", str(folder), "--quiet", "--clips", clip, "--out", clip],
        ["export", str(folder), "--torch", clip],
        ["export", str(folder), "--onnx", clip],
    ):
        assert re.search(r"name another place|does not end in \.", said(capsys, *command, status=1)), command
    assert Path(clip).read_bytes() == before
    inside = Path(clip).parent / "clips"
    inside.mkdir()
    assert "would be written into" in said(capsys, "train", "--clips", str(inside), "--out", str(inside / "runs"), status=1)


def test_published_weights_come_before_the_newest_run(run, clip, tmp_path, capsys, monkeypatch):
    folder, record = run
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(published, "home", lambda: tmp_path / "weights")
    monkeypatch.setattr(published, "places", lambda: [tmp_path / "weights"])
    predict = ["predict", clip, "--context", "6", "--frames", "2", "--samples", "1"]
    assert "no weights are published yet" in said(capsys, *predict, status=1)
    loaded = []
    load = checkpoint.load_run
    monkeypatch.setattr(checkpoint, "load_run", lambda path, *rest: loaded.append(path) or load(path, *rest))
    shutil.copytree(folder, "runs/smoke/mine/seed0")
    said(capsys, *predict)
    assert len(loaded) == 1
    said(capsys, "publish", "runs/smoke/mine/seed0")
    assert published.names() == [record.experiment.replace("+", "-")], "named after the run's experiment"
    loaded.clear()
    said(capsys, *predict)
    assert loaded == [], "published weights come before runs"


def test_other_published_weights_are_taken_where_they_are_the_only_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(published, "places", lambda: [tmp_path / "weights"])
    for name in ("half", "other"):
        (tmp_path / "weights" / name).mkdir(parents=True)
        (tmp_path / "weights" / name / published.CONFIG).touch()
        if name == "half":
            assert checkpoint.default_source() == "half"
    with pytest.raises(ValueError, match="several models are published: half, other; name one of them with --model"):
        checkpoint.default_source()
    (tmp_path / "weights" / published.DEFAULT).mkdir()
    (tmp_path / "weights" / published.DEFAULT / published.CONFIG).touch()
    assert checkpoint.default_source() == published.DEFAULT


# --- lists ------------------------------------------------------------------------------------------------------------


def test_an_overview_names_groups_profiles_and_queues(capsys, tmp_path):
    out = said(capsys, "list", "--out", str(tmp_path))
    for words in ("table3", "vrnn3d_kl_ll", "smoke", "half", "runs done"):
        assert words in out
    assert all(f"  {name} " in out for name in QUEUES)


def test_listing_a_queue_a_profile_and_a_group(capsys, tmp_path, mini):
    mini("black", "vrnn3d_kl")
    assert said(capsys, "train", "black", "--profile", MINI, "--quiet", "--out", str(tmp_path))
    out = said(capsys, "list", MINI, "--out", str(tmp_path))
    lines = [line.split()[:2] for line in out.splitlines()]
    assert lines[0] == ["done", "black"] and out.splitlines()[1].split()[:3] == ["to", "do", "vrnn3d_kl"]
    assert "also a profile" in out
    todo = said(capsys, "list", MINI, "--todo", "--out", str(tmp_path))
    assert "vrnn3d_kl" in todo and "black" not in todo
    assert "Black frames" in said(capsys, "list", "baselines") and "tune_l2" in said(capsys, "list", "tune")
    assert "nothing called 'nothing' to list; queues: " in said(capsys, "list", "nothing", status=1)


def test_all_that_is_left_is_listed_by_queue(capsys, tmp_path, mini):
    mini("black")
    out = said(capsys, "list", "--todo", "--out", str(tmp_path))
    assert all(f"{name}: {queue.summary}" in out for name, queue in QUEUES.items()) and "done" not in out
    said(capsys, "train", "black", "--profile", MINI, "--quiet", "--out", str(tmp_path))
    assert "nothing is left to do" in said(capsys, "list", MINI, "--todo", "--out", str(tmp_path))


@pytest.mark.parametrize("arguments", [["list"], ["list", "half"], ["list", "--todo"], ["--version"], ["--help"]])
def test_lists_and_help_do_not_load_pytorch(arguments):
    code = f"from vrnn3d.cli import main\ntry: main({arguments})\nexcept SystemExit: pass\n"
    code += "import sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


def test_a_damaged_record_stops_no_list(capsys, tmp_path, mini):
    mini("black", "copy_last")
    folder = folders.run_folder(tmp_path, get("black", MINI), 0)
    folder.mkdir(parents=True)
    (folder / folders.RECORD).write_text("{}")
    with pytest.warns(UserWarning, match=str(folder / folders.RECORD)):
        assert "to do  black" in said(capsys, "list", MINI, "--out", str(tmp_path))


# --- queues -----------------------------------------------------------------------------------------------------------


def next_of_queue(tmp_path, *more: str) -> list[str]:
    return ["train", "--next", MINI, "--quiet", "--out", str(tmp_path / "runs"), *more]


def test_the_queue_is_worked_through_and_recorded(tmp_path, mini, capsys):
    results = mini("black", "convlstm2d", seeds=(0, 1))
    out = said(capsys, *next_of_queue(tmp_path, "--record"))
    assert out.count("finished: ") == out.count("recorded: ") == 4
    done = records.read_records(results)
    assert [(r.experiment, r.seed, r.finished) for r in done] == [
        ("black", 0, True), ("black", 1, True), ("convlstm2d", 0, True), ("convlstm2d", 1, True),
    ]  # fmt: skip
    assert (results / MINI / "convlstm2d" / "seed0.npz").exists() and not (results / MINI / "convlstm2d" / "seed1.npz").exists()
    assert said(capsys, *next_of_queue(tmp_path, "--record")) == "the queue is done\n"


def test_a_run_that_was_finished_and_not_recorded_is_recorded_without_training(tmp_path, mini, capsys, monkeypatch):
    results = mini("black", "convlstm2d")
    said(capsys, *next_of_queue(tmp_path))
    assert not list(results.rglob("*.json"))
    monkeypatch.setattr(study, "run", lambda *_, **__: pytest.fail("it is run again"))
    out = said(capsys, *next_of_queue(tmp_path, "--record"))
    assert out.count("recorded: ") == 2 and len(records.read_records(results)) == 2


def test_settings_of_one_s_own_tick_off_no_entry(tmp_path, mini, capsys):
    mini("vrnn3d_kl")
    root = str(tmp_path / "runs")
    said(capsys, "train", "vrnn3d_kl", "--profile", MINI, "--quiet", "--out", root, "--set", "train.lr=0.5")
    assert "to do  vrnn3d_kl " in said(capsys, "list", MINI, "--out", root)
    assert "finished: " in said(capsys, *next_of_queue(tmp_path))


def test_one_computation_under_two_names_is_done_once(tmp_path, mini, capsys):
    results = mini("loss_kl_pq_z_p")
    said(capsys, *next_of_queue(tmp_path, "--record"))
    assert records.read_records(results)[0].experiment == "loss_kl_pq_z_p"
    mini("vrnn3d_kl")
    assert said(capsys, *next_of_queue(tmp_path)) == "the queue is done\n"


def test_a_damaged_record_stops_no_queue(tmp_path, mini, capsys):
    results = mini("black", "copy_last")
    folder = folders.run_folder(tmp_path / "runs", get("black", MINI), 0)
    folder.mkdir(parents=True)
    (folder / folders.RECORD).write_text("{}")
    with pytest.warns(UserWarning, match="taken for unfinished"):
        out = said(capsys, *next_of_queue(tmp_path, "--record"))
    assert out.count("recorded: ") == 2 and len(records.read_records(results)) == 2


def test_a_warning_is_one_line(tmp_path, mini):
    folder = folders.run_folder(tmp_path, get("black", "half"), 0)
    folder.mkdir(parents=True)
    (folder / folders.RECORD).write_text("{}")
    command = [sys.executable, "-m", "vrnn3d", "list", "half", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"vrnn3d: {folder / folders.RECORD}") and "taken for unfinished" in line


def test_a_run_that_another_process_holds_is_left_to_it(tmp_path, mini, capsys):
    mini("black", "copy_last")
    # The profile is this process's own: the other one is told the folder.
    code = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'w')\n"
        "fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "print('held', flush=True); sys.stdin.read()\n"
    )
    folder = folders.run_folder(tmp_path / "runs", get("black", MINI), 0)
    folder.mkdir(parents=True)
    command = [sys.executable, "-c", code, str(folder / ".claim")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline().strip() == "held"
            out = said(capsys, *next_of_queue(tmp_path))
            named = ["train", "black", "--profile", MINI, "--quiet", "--out", str(tmp_path / "runs")]
            assert "another process trains the run in" in said(capsys, *named, status=1)
        finally:
            other.kill()
    assert "copy_last" in out and "black/" not in out
    assert "black" in said(capsys, *next_of_queue(tmp_path))


def test_a_time_limit_ends_the_queue_at_a_checkpoint(tmp_path, mini, capsys, monkeypatch):
    results = mini("convlstm2d", "black")
    monkeypatch.setattr(stop.StopRule, "asks", lambda rule, updates: rule.max_minutes is not None)
    out = said(capsys, *next_of_queue(tmp_path, "--max-minutes", "60", "--record"))
    assert "cut: " in out and "black" not in out
    assert [record.finished for record in records.read_records(results)] == [False]
    out = said(capsys, *next_of_queue(tmp_path, "--record"))
    assert [record.finished for record in records.read_records(results)] == [True, True]


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["train", "nothing"], "no experiment 'nothing'; there are: vrnn3d_kl_ll"),
        (["train", "tune_l2"], "no experiment 'tune_l2' at profile 'smoke'"),
        (["train", "--set", "lr"], "NAME=VALUE"),
        (["train", "--set", "train.speed=1"], "no setting train.speed; there are"),
        (["train", "--set", "model.name=vrnn4d"], "no model 'vrnn4d'; there are: vrnn3d"),
        (["train", "--set", "model.options.depth=4"], "vrnn3d has no argument depth; its arguments are"),
        (["train", "--set", "loss.variant=kl"], "no latent loss 'kl'; there are: kl_pq"),
        (["train", "--record", "--set", "train.lr=1"], "--record is for the study's own runs"),
        (["train", "--record", "--clips", "clips"], "--record is for the study's own runs"),
        (["train", "--next", "full", "--set", "train.lr=1"], "--next takes runs of the study as they are"),
        (
            ["train", "vrnn3d_kl", "--next", "full"],
            "--next full names the runs itself; leave out the experiment, --profile and",
        ),
        (
            ["train", "--next", "full", "--seed", "0"],
            "--next full names the runs itself; leave out the experiment, --profile and",
        ),
        (["train", "--device", "tpu"], "there is no device 'tpu' here; there are: cpu"),
        (["predict", "nowhere.mp4", "--model", "nothing"], "'nothing' is neither a run nor published weights"),
        (["evaluate", "nowhere"], "'nowhere' is neither a run nor published weights"),
        (["publish", "nowhere"], "there is no checkpoint at nowhere"),
    ],
)
def test_mistakes_get_one_sentence(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in said(capsys, *arguments, status=1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["train", "--profile", "huge"], "invalid choice: 'huge'"),
        (["train", "--next", "huge"], "invalid choice: 'huge'"),
        (["train", "--seed", "-1"], "'-1' is not a whole number of at least 0"),
        (["train", "--max-minutes", "nan"], "'nan' is not a number above 0"),
        (["train", "--max-minutes", "0"], "'0' is not a number above 0"),
        (["train", "--clips", ""], "it is empty"),
        (["train", "--out", ""], "it is empty"),
        (["predict", "x", "--frames", "-1"], "'-1' is not a whole number of at least 1"),
        (["predict", "x", "--samples", "0"], "'0' is not a whole number of at least 1"),
        (["predict", "x", "--size", "0"], "'0' is not a whole number of at least 8"),
        (["evaluate", "x", "--samples", "0"], "'0' is not a whole number of at least 1"),
        (["fly"], "invalid choice: 'fly'"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_told_in_one_line(arguments, message, capsys):
    assert message in wrong(capsys, *arguments)


@pytest.mark.parametrize("setting", ["loss.variant=kl", "model.name=vrnn4d", "model.options.depth=4", "model.horizon=5"])
def test_models_and_losses_are_looked_for_before_the_data(setting, tmp_path, capsys, monkeypatch):
    from vrnn3d.training import loop

    monkeypatch.setattr(loop, "build", lambda *_, **__: pytest.fail("data are loaded"))
    said(capsys, "train", "vrnn3d_kl", "--out", str(tmp_path), "--set", setting, status=1)


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--out", "file/runs"],
        ["evaluate", "nothing", "--out", "file/e.json"],
        ["evaluate", "nothing", "--out", "/dev/null"],
        ["predict", "clip.npy", "--out", "file/x.webp"],
        ["predict", "clip.npy", "--out", "file/pictures"],
        ["export", "nothing", "--web", "file/x.js"],
        ["export", "nothing", "--onnx", "/dev/null"],
        ["bench", "--out", "file/b.json"],
    ],
)
def test_what_cannot_be_written_is_told_before_anything_long(arguments, capsys, tmp_path, monkeypatch):
    from vrnn3d.study.bench import rounds
    from vrnn3d.training import loop

    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    for module, long in ((loop, "build"), (checkpoint, "load_any"), (rounds, "run")):
        monkeypatch.setattr(module, long, lambda *_, **__: pytest.fail("it begins"))
    told = said(capsys, *arguments, status=1)
    assert " cannot be written" in told and "choose another name" in told and (arguments[-1] in told)
    assert os.listdir(tmp_path) == ["file"]


def test_records_that_could_not_be_written_are_found_at_the_start(capsys, tmp_path, monkeypatch, mini):
    mini("black")
    (tmp_path / "results").write_text("in the way")
    monkeypatch.setattr(study, "run", lambda *_, **__: pytest.fail("it is trained"))
    assert "results cannot be written" in said(capsys, "train", "--next", MINI, "--record", status=1)


def test_a_damaged_committed_record_stops_no_list_and_no_queue(capsys, tmp_path, mini):
    results = mini("black")
    said(capsys, *next_of_queue(tmp_path, "--record"))
    (path,) = results.rglob("seed0.json")
    path.write_text("{}")
    with pytest.warns(UserWarning, match=f"{path} has schema None.*; it is left out"):
        assert "done   black" in said(capsys, "list", MINI, "--out", str(tmp_path / "runs"))
    with pytest.warns(UserWarning, match="it is left out"):
        said(capsys, *next_of_queue(tmp_path, "--record"))
    assert records.read(path).finished, "it is written anew"


@pytest.mark.parametrize("word, told", [("\udcff", "bytes that are not UTF-8"), ("a\0b", "holds a zero byte")])
def test_names_that_nothing_could_hold_are_refused_at_once(word, told, capsys):
    assert told in said(capsys, "predict", "clip.npy", "--out", word, status=1)


def test_an_exported_step_says_what_goes_in_and_what_comes_out(run, tmp_path, capsys):
    folder, record = run
    out = said(capsys, "export", str(folder), "--torch", str(tmp_path / "step.pt2"))
    inputs = torch.export.load(tmp_path / "step.pt2").example_inputs[0]
    shapes = [" x ".join(map(str, tensor.shape)) for tensor in inputs]
    told = re.findall(r"^    (\w+) +(\d[\dx ]*\d)  ", out, re.MULTILINE)
    assert [shape for _, shape in told[: len(shapes)]] == shapes and told[0][0] == "clip" and told[1][0] == "noise_0"
    assert [name for name, _ in told[len(shapes) :]][:2] == ["prediction", "next_0"]
    assert "the last 2 frames" in out and "the clip 2 frames further on" in out


def test_a_name_that_the_locale_cannot_print_costs_nothing(run, tmp_path):
    folder, _ = run
    command = [sys.executable, "-m", "vrnn3d", "export", str(folder), "--web", str(tmp_path / "\u00e4.js")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and done.stderr == "" and "\\xe4.js" in done.stdout, done.stderr


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 99 bytes")])
def test_too_little_memory_is_told_in_one_sentence(error, capsys, monkeypatch):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(checkpoint, "load_any", refuse)
    assert "there is not enough memory for this" in said(capsys, "evaluate", "x", "--out", "y.json", status=1)


def test_data_that_were_asked_for_and_not_had_are_no_success(capsys, monkeypatch):
    from vrnn3d.data import mnist
    from vrnn3d.data.kth import report

    made = report.KTHReport(3, 9, (128, 128), {}, {}, {}, {}, (), (), "no network", "cache", Path(), Path())
    monkeypatch.setattr(report, "prepare_kth", lambda **_: made)
    assert said(capsys, "data", "kth", status=1) == "vrnn3d data: not all of KTH Actions is here: no network"
    monkeypatch.setattr(mnist, "fetch", lambda progress, download: mnist.Fetched("excerpt" if download else "cache", Path()))
    assert main(["data"]) == 1
    assert "only the packaged excerpt of 1,000 digits" in capsys.readouterr().out
    assert main(["data", "--no-download"]) == 0


def test_a_signal_while_pytorch_is_imported_waits_for_it(monkeypatch):
    """Raised there, it would abort the process with a stack of C++."""
    spec = sys.modules["torch"].__spec__
    monkeypatch.setattr(spec, "_initializing", True)
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    cli.raise_when_terminated()
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.3)
        monkeypatch.setattr(spec, "_initializing", False)
        with pytest.raises(cli.Terminated):
            time.sleep(10)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_an_import_swallowed_is_told_all_the_same(number, status, monkeypatch, capsys):
    """As numpy's C code does, which then cannot be imported again."""
    failures = [ImportError("cannot load module more than once per process"), AttributeError("half a module")]

    def swallow(args):
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        except KeyboardInterrupt:
            pass
        raise failures.pop()

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(list_command, "run", swallow)
    try:
        while failures:
            assert main(["list"]) == status
            told = capsys.readouterr().err
            assert told.startswith("vrnn3d list: ") and told.count("\n") == 1 and "more than once" not in told
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    monkeypatch.setattr(list_command, "run", lambda args: args.of_which_there_is_none)
    with pytest.raises(AttributeError):  # a fault of the program keeps its traceback
        main(["list"])
