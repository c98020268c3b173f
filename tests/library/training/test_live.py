"""The curves that can be watched: one row for each point, also after a run was cut and went on."""

from __future__ import annotations

import csv
import importlib.util

import pytest

from trials import tiny
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


def test_tensorboard_gets_each_point_once(tmp_path, monkeypatch):
    added = []

    class Writer:
        def __init__(self, folder):
            added.append(folder)

        def add_scalar(self, name, value, step):
            added.append((name, value, step))

        def flush(self):
            pass

    import sys
    from types import ModuleType

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: name if name == "tensorboard" else find(name, *rest))
    live = LiveCurves(tmp_path)
    live.update({"sequences": [4], "loss": [3.0]})
    live.update({"sequences": [4, 8], "loss": [3.0, 2.0]})
    assert added == [str(tmp_path / "tensorboard"), ("loss", 3.0, 4), ("loss", 2.0, 8)]
