"""The table of the frames holds what the evaluation holds."""

from __future__ import annotations

import csv

import pytest
import torch

from trials import tiny
from vrnn3d.checkpoint import model_of
from vrnn3d.evaluation.evaluate import evaluate
from vrnn3d.evaluation.table import write_per_frame


def test_every_metric_of_every_frame_is_a_line(tmp_path):
    experiment = tiny("vrnn3d", **{"eval.protocols": ((3, 4), (5, 2))})
    torch.manual_seed(0)
    found = evaluate(model_of(experiment), experiment, progress=False)
    with open(write_per_frame(found, tmp_path / "new" / "frames.csv"), encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    metrics = found["test"]["3->4"].scores
    assert len(lines) == 2 * (4 + 2) * len(metrics)  # two test sets
    mse = [line for line in lines if (line["test_set"], line["given"], line["metric"]) == ("test", "3", "mse")]
    assert [line["frame"] for line in mse] == ["1", "2", "3", "4"] and {line["predicted"] for line in mse} == {"4"}
    assert [float(line["average"]) for line in mse] == pytest.approx(metrics["mse"].per_frame, rel=1e-5)
    bounds = [(float(line["low"]), float(line["high"])) for line in mse]
    assert bounds == [pytest.approx(pair, rel=1e-5) for pair in metrics["mse"].per_frame_interval]
