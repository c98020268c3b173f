"""The benchmark measures what it says: counts by hand, both forms, outside models."""

from __future__ import annotations

import json

import pytest
import torch

from vrnn3d import bench
from vrnn3d.models import build_model

TINY = {"convlstm2d": {"widths": [4, 4], "hidden": 4}}


def job(**changes):
    base = dict(
        model="convlstm2d", options=TINY["convlstm2d"], device="cpu", threads=1, batch=1, size=16, length=4, context=2,
        repeats=1, kind="train", plain=False, batched=True, folding="auto",
    )  # fmt: skip
    return base | changes


def test_operations_of_a_layer_counted_by_hand():
    """Doubling height and width makes a fully convolutional network four times as costly; M = H = 2 as DESIGN has it."""
    small, large = (bench.gigaflops(job(size=size)) for size in (16, 32))
    assert large == pytest.approx(4 * small, rel=1e-6)
    full = bench.gigaflops(dict(model="vrnn3d", window=2, horizon=2, length=20, context=10, size=64))
    assert full == pytest.approx(167, rel=0.02)


def test_operations_of_one_convolution():
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        level = build_model("convlstm2d").level2
        with FlopCounterMode(display=False) as counter:
            level((torch.empty(1, 128, 1, 16, 16),), level.initial_state(1, (1, 16, 16), "meta"))
    assert counter.get_total_flops() == 2 * 256 * 512 * 9 * 16 * 16


@pytest.mark.parametrize("kind", ["train", "predict"])
@pytest.mark.parametrize("form", [dict(plain=True, batched=False, folding="never"), {}])
def test_a_measurement(kind, form):
    found = bench.measure(job(kind=kind, samples=1, **form))
    assert found["seconds"] > 0 and found["peak_mib"] > 50 and found["sequences"] == 1
    assert found["parameters"] == build_model("convlstm2d", widths=(4, 4), hidden=4).parameter_breakdown()["total"]


def test_the_command_measures_ours_and_an_outside_model(tmp_path, capsys, monkeypatch):
    (tmp_path / "outside.py").write_text(
        "from vrnn3d.models import build_model\n\n\ndef make():\n    return build_model('convlstm2d', widths=(4, 4), hidden=4)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "_in_a_process", bench.measure)  # its own process: the test below
    options = ["--size", "16", "--length", "4", "--context", "2", "--repeats", "1", "--rounds", "1", "--samples", "1"]
    options += ["--batch", "1", "--threads", "1", "--options", json.dumps(TINY), "--quiet", "--out", "bench.json"]
    assert bench.main(["--models", "convlstm2d", "--against", "outside:make", *options]) == 0
    record = json.loads((tmp_path / "bench.json").read_text())
    ours, theirs = ({r["form"]: r for r in record["rows"] if r["model"] == m} for m in ("convlstm2d", "outside:make"))
    assert set(ours) == {"plain", "fast", "plain, prediction", "fast, prediction"}
    assert ours["fast"]["useful_gflop_per_sequence"] == theirs["fast"]["useful_gflop_per_sequence"]
    assert record["matrix_product_tflops"] > 0 and record["versions"]["torch"]
    assert "convlstm2d" in capsys.readouterr().out


def test_a_failing_measurement_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert bench.main(["--models", "--against", "no_such_module:make", "--quiet", "--rounds", "1"]) == 1
    assert "no_such_module" in capsys.readouterr().err
