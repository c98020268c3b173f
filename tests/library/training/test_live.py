"""The curves that can be watched: one row for each point, also after a run was cut and went on."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from trials import tiny
from vrnn3d import checkpoint
from vrnn3d.training.live import CURVES, LiveCurves, rows
from vrnn3d.training.loop import train

pytestmark = pytest.mark.slow  # trains


def read(folder) -> list[dict[str, str]]:
    with (folder / CURVES).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_there_is_one_row_for_each_number_of_sequences():
    curves = {
        "sequences": [4, 8, 12],
        "loss": [3.0, 2.0, 1.0],
        "validation_sequences": [8, 14],
        "validation_mse": [0.5, 0.25],
    }
    assert rows(curves) == [
        {"sequences": 4, "loss": 3.0},
        {"sequences": 8, "loss": 2.0, "validation_mse": 0.5},
        {"sequences": 12, "loss": 1.0},
        {"sequences": 14, "validation_mse": 0.25},
    ]


def test_the_file_holds_every_point_and_survives_a_cut(tmp_path):
    experiment = tiny("convlstm2d")
    whole = train(experiment, 0, tmp_path / "whole", progress=False)
    table = read(tmp_path / "whole")
    assert [float(row["sequences"]) for row in table] == whole.curves["sequences"]
    assert [float(row["loss"]) for row in table] == whole.curves["loss"]
    validated = [row for row in table if row["validation_mse"]]
    assert [float(row["sequences"]) for row in validated] == whole.curves["validation_sequences"]

    train(experiment, 0, tmp_path / "cut", max_steps=2, progress=False)
    assert read(tmp_path / "cut") == [{name: row[name] for name in read(tmp_path / "cut")[0]} for row in table[:2]]
    (tmp_path / "cut" / CURVES).unlink()  # it is made of the checkpoint's curves, not of itself
    train(experiment, 0, tmp_path / "cut", progress=False)
    assert read(tmp_path / "cut") == table


# ---- TensorBoard -----------------------------------------------------------------------------------------------------


closed: list = []  #: writers that were closed


@pytest.fixture
def added(monkeypatch) -> list:
    """What a stand-in for TensorBoard was given: its folder and from where on it was to forget, then points."""
    found: list = []
    closed.clear()

    class Writer:
        def __init__(self, folder, purge_step):
            Path(folder).mkdir(exist_ok=True)
            found.append((folder, purge_step))

        def add_scalar(self, name, value, step):
            found.append((name, value, step))

        def flush(self):
            pass

        def close(self):
            closed.append(self)

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    installed(monkeypatch)
    return found


def installed(monkeypatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: name if name == "tensorboard" else find(name, *rest))


def test_tensorboard_gets_each_point_once(tmp_path, added):
    live = LiveCurves(tmp_path, {})
    live.update({"sequences": [4], "loss": [3.0]})
    live.update({"sequences": [4, 8], "loss": [3.0, 2.0]})
    assert added == [(str(tmp_path / "tensorboard"), 1), ("loss", 3.0, 4), ("loss", 2.0, 8)]


def test_a_training_that_goes_on_gives_tensorboard_no_point_twice(tmp_path, added):
    experiment = tiny("convlstm2d", **{"train.validate_every": 0.0})
    whole = train(experiment, 0, tmp_path / "whole", progress=False)
    points = sorted(added[1:])
    assert len(points) == 6 * (len(whole.curves) - 1) and len(closed) == 1
    added.clear()
    train(experiment, 0, tmp_path / "cut", max_steps=2, progress=False)
    train(experiment, 0, tmp_path / "cut", progress=False)
    folder = str(tmp_path / "cut" / "tensorboard")
    assert [entry for entry in added if len(entry) == 2] == [(folder, 1), (folder, 9)], "what comes after 8 sequences is anew"
    assert sorted(entry for entry in added if len(entry) == 3) == points


def test_tensorboard_that_is_installed_later_gets_all_points(tmp_path, added):
    LiveCurves(tmp_path, {"sequences": [4], "loss": [3.0]}).update({"sequences": [4, 8], "loss": [3.0, 2.0]})
    assert added[1:] == [("loss", 3.0, 4), ("loss", 2.0, 8)]


# ---- what fails ------------------------------------------------------------------------------------------------------


def test_a_table_that_cannot_be_written_ends_no_training_and_is_told_once(tmp_path):
    (tmp_path / CURVES).mkdir()
    with pytest.warns(UserWarning, match="curves.csv is not kept up to date .CannotWrite: .* the training goes on") as told:
        done = train(tiny("convlstm2d"), 0, tmp_path, progress=False)
    assert done.finished and len(told) == 1


def test_a_table_that_can_be_written_again_is(tmp_path):
    (tmp_path / CURVES).mkdir()
    live = LiveCurves(tmp_path, {})
    with pytest.warns(UserWarning, match="not kept up to date"):
        live.update({"sequences": [4], "loss": [3.0]})
    (tmp_path / CURVES).rmdir()
    live.update({"sequences": [4, 8], "loss": [3.0, 2.0]})
    assert [row["sequences"] for row in read(tmp_path)] == ["4", "8"]


def test_a_broken_tensorboard_ends_no_training_and_is_told_once(tmp_path, monkeypatch):
    installed(monkeypatch)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # importing it raises
    with pytest.warns(UserWarning, match="tensorboard is not kept up to date .*; the training goes on") as told:
        done = train(tiny("convlstm2d"), 0, tmp_path, progress=False)
    assert done.finished and len(told) == 1 and len(read(tmp_path)) == 6


def test_the_checkpoint_is_written_before_what_is_only_to_watch(tmp_path, monkeypatch):
    """Whatever ends the process while the table is written, a kill for example, finds the checkpoint there."""

    def end(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(LiveCurves, "update", end)
    with pytest.raises(KeyboardInterrupt):
        train(tiny("convlstm2d", **{"train.checkpoint_minutes": 0.0}), 0, tmp_path, progress=False)
    assert checkpoint.load_state(tmp_path)["step"] == 1
