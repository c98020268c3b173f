"""The benchmark measures what it says: counts by hand, both forms, outside models; one failure loses nothing else."""

from __future__ import annotations

import argparse
import json

import pytest
import torch

from vrnn3d.study.bench import suite
from vrnn3d.study import catalogue
from vrnn3d.models import build_model
from vrnn3d.training.loop import compiled

MADE_UP = {"matmul": {"tflops": 3.0}, "copy": {"gigabytes_per_second": 5.0}}
TINY = {"convlstm2d": {"widths": [4, 4], "hidden": 4}}


def job(**changes):
    base = dict(
        model="convlstm2d", options=TINY["convlstm2d"], device="cpu", threads=1, batch=1, size=16, length=4, context=2,
        repeats=1, kind="train", plain=False, batched=True, folding="auto",
    )  # fmt: skip
    return base | changes


def test_operations_of_a_layer_counted_by_hand():
    """Doubling height and width makes a fully convolutional network four times as costly; M = H = 2 as DESIGN has it."""
    small, large = (suite.gigaflops(job(size=size)) for size in (16, 32))
    assert large == pytest.approx(4 * small, rel=1e-6)
    full = suite.gigaflops(dict(model="vrnn3d", window=2, horizon=2, length=20, context=10, size=64))
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
    found = suite.measure(job(kind=kind, samples=1, **form))
    assert found["seconds"] > 0 and found["peak_mib"] > 50 and found["sequences"] == 1
    assert found["parameters"] == build_model("convlstm2d", widths=(4, 4), hidden=4).parameter_breakdown()["total"]


@pytest.fixture
def quick(tmp_path, monkeypatch):
    """The arguments of a benchmark of a second in `tmp_path`: measured in this process, with made-up ceilings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(suite, "_in_a_process", lambda job: MADE_UP.get(job["kind"]) or suite.attempt(job))
    options = ["--size", "16", "--length", "4", "--context", "2", "--repeats", "1", "--rounds", "1", "--samples", "1"]
    options += ["--batch", "1", "--threads", "1", "--device", "cpu", "--options", json.dumps(TINY), "--quiet"]
    return [*options, "--out", "bench.json"]


@pytest.fixture
def instant(monkeypatch, quick):
    """`quick`, with measurements made up: whoever counts calls, rounds or failures need not wait for them."""
    row = {"seconds": 2.0, "sequences": 1, "peak_mib": 100.0, "parameters": 7}
    monkeypatch.setattr(suite, "_in_a_process", lambda job: MADE_UP.get(job["kind"], row))
    monkeypatch.setattr(suite, "_counts", lambda job: {})
    return quick


def outside(tmp_path, name: str, body: str) -> str:
    """A module with a factory of that body, as --against takes it."""
    (tmp_path / f"{name}.py").write_text(f"from vrnn3d.models import build_model\n\n\ndef make():\n{body}\n")
    return f"{name}:make"


def by_form(record: dict, model: str) -> dict[str, dict]:
    return {row["form"]: row for row in record["rows"] if row["model"] == model}


def test_the_command_measures_ours_and_an_outside_model(tmp_path, capsys, quick):
    make = outside(tmp_path, "outside_good", "    return build_model('convlstm2d', widths=(4, 4), hidden=4)")
    assert suite.main(["--models", "convlstm2d", "--against", make, *quick]) == 0
    record = json.loads((tmp_path / "bench.json").read_text())
    ours, theirs = by_form(record, "convlstm2d"), by_form(record, make)
    assert set(ours) == {"plain", "fast", "plain, prediction", "fast, prediction"}
    for count in ("useful_gflop_per_sequence", "gigabytes_per_sequence"):
        assert ours["fast"][count] == theirs["fast"][count] > 0
    assert ours["fast"]["share_of_matrix_product"] == pytest.approx(ours["fast"]["useful_tflops"] / 3, rel=1e-4)
    assert record["versions"]["torch"] and record["rounds_measured"] == ours["fast"]["rounds"] == 1
    assert "convlstm2d" in capsys.readouterr().out


def test_a_measurement_that_fails_loses_no_other(tmp_path, capsys, quick):
    make = outside(tmp_path, "outside_bad", "    raise MemoryError('too large\\nby far')")
    assert suite.main(["--models", "convlstm2d", "--against", make, *quick]) == 0
    record = json.loads((tmp_path / "bench.json").read_text())
    failed = by_form(record, make)
    assert failed and all(row["failed"] == "MemoryError: too large by far" for row in failed.values())
    assert not any("seconds" in row for row in failed.values())
    assert all(row["seconds"] > 0 for row in by_form(record, "convlstm2d").values())
    assert "failed: MemoryError: too large by far" in capsys.readouterr().out


def test_one_round_that_fails_leaves_the_others(instant, tmp_path, monkeypatch):
    calls = []

    def second_fails(job):
        calls.append(job)
        return {"failed": "once"} if len(calls) == 9 else {"seconds": 1.0, "peak_mib": 1.0, "parameters": 1}

    monkeypatch.setattr(suite, "_in_a_process", second_fails)  # 2 ceilings and 4 rows a round: call 9 is a "plain"
    assert suite.main(["--models", "convlstm2d", *instant, "--rounds", "2"]) == 0
    record = json.loads((tmp_path / "bench.json").read_text())
    assert {form: row["rounds"] for form, row in by_form(record, "convlstm2d").items()} == {
        "plain": 1, "fast": 2, "plain, prediction": 2, "fast, prediction": 2,
    }  # fmt: skip


def test_a_model_that_cannot_be_counted_is_timed(tmp_path, capsys, quick):
    body = "    model = build_model('convlstm2d', widths=(4, 4), hidden=4)\n"
    body += "    float(next(model.parameters()).detach().sum())  # the meta device has no values\n    return model"
    make = outside(tmp_path, "outside_values", body)
    assert suite.main(["--models", "--against", make, *quick]) == 0
    row = by_form(json.loads((tmp_path / "bench.json").read_text()), make)["fast"]
    assert row["seconds"] > 0 and "useful_gflop_per_sequence" not in row and "gigabytes_per_sequence" not in row
    assert "useful_gflop_per_sequence not counted" in capsys.readouterr().err


def test_the_record_is_written_after_every_round(instant, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(suite.results, "write_json", lambda record, path: written.append(record))
    assert suite.main(["--models", "convlstm2d", *instant, "--rounds", "3"]) == 0
    assert [record["rounds_measured"] for record in written] == [1, 2, 3]
    assert [record["rows"][0]["rounds"] for record in written] == [1, 2, 3]
    assert {record["settings"]["rounds"] for record in written} == {3}


@pytest.mark.parametrize(("clock", "rows", "rounds"), [(3, 2, 0), (5, 4, 1), (7, 4, 1)])
def test_minutes_stop_after_the_measurement_that_passes_them(instant, tmp_path, monkeypatch, clock, rows, rounds):
    """2 ceilings and 4 rows a round, each a minute long; the budget ends within measurement `clock` + 1."""
    minutes = [0]

    def slow(job, fast=suite._in_a_process):
        minutes[0] += 1
        return fast(job)

    monkeypatch.setattr(suite, "_in_a_process", slow)
    monkeypatch.setattr(suite.time, "monotonic", lambda: 60.0 * minutes[0])
    assert suite.main(["--models", "convlstm2d", *instant, "--rounds", "5", "--minutes", str(clock + 0.5)]) == 0
    assert minutes[0] == clock + 1
    record = json.loads((tmp_path / "bench.json").read_text())
    assert (len(record["rows"]), record["rounds_measured"]) == (rows, rounds)


def test_traffic_counted_by_hand():
    """A product reads two matrices and writes one, a sum in place likewise; views and allocations move nothing."""
    with suite._Traffic() as counter:
        a, b = torch.empty(2, 3), torch.empty(3, 5)
        assert counter.bytes == 0
        product = a @ b
        assert counter.bytes == 4 * (6 + 15 + 10)
        product.t().reshape(5, 2)[1:].add_(torch.empty(4, 2, dtype=torch.float64))
    assert counter.bytes == 4 * (6 + 15 + 10) + 4 * (8 + 8) + 8 * 8


def test_traffic_of_a_training_sequence():
    def batch(count):
        return suite.gigabytes(job(batch=count)) * count

    weights = sum(p.numel() for p in build_model("convlstm2d", widths=(4, 4), hidden=4).parameters())
    assert batch(1) * 1e9 > 8 * 4 * weights, "Adam alone reads weights, gradients and moments, and writes three of them"
    assert batch(3) - batch(2) == pytest.approx(batch(2) - batch(1), rel=0.02), "a part per batch, a part per sequence"
    assert 0.5 < suite.gigabytes(job(precision="bfloat16")) / suite.gigabytes(job(precision="float32")) < 1


def test_folding_saves_traffic():
    """Of the full-size network, most of whose weights at depth 1 would be read at every step for nothing."""
    full = job(model="vrnn3d", options={}, length=20, context=10, size=32)
    assert suite.gigabytes(full) < 0.6 * suite.gigabytes({**full, "plain": True, "batched": False, "folding": "never"})


@pytest.mark.parametrize("model", ["vrnn2d", "predrnnpp", "e3d_lstm", "improved_vrnn"])
def test_every_model_can_be_counted(model):
    options = catalogue.get(model, "smoke").model.options
    assert suite.gigabytes(job(model=model, options=options, size=32, length=5, context=3)) > 0


def test_counting_folds_as_the_device_does(monkeypatch):
    """A count for a GPU folds as deep as a GPU does, without one; the setting of this device is as before."""
    small = dict(model="vrnn3d", options=dict(widths=(8, 8), hidden=8, latent=2, head=8), size=16, length=12)
    deep = dict(small, window=4, horizon=4, context=4, precision="float32")  # depths 4, 2: above 2 a CPU folds nothing
    before = dict(suite.depth_folding.AUTO_MAX_DEPTH)
    gpu, cpu = suite.gigabytes(job(**deep, device="cuda")), suite.gigabytes(job(**deep))
    assert gpu == suite.gigabytes(job(**deep, deepest=4)) != cpu
    assert suite.depth_folding.AUTO_MAX_DEPTH == before


def test_a_gpu_has_rows_for_compiling_and_for_graphs():
    args = argparse.Namespace(
        models=["vrnn3d"], against=[], threads=1, batch=1, size=128, length=20, context=10, repeats=1, samples=1,
        precision="auto", options="{}", sweep=False,
    )  # fmt: skip
    forms = {form: job for _, form, job in suite._jobs(args, "cuda")}
    assert [forms[form]["compile"] for form in ("fast", "compiled", "compiled, CUDA graphs")] == ["no", "yes", "graphs"]
    assert not any(form.startswith("compiled") for _, form, _ in suite._jobs(args, "cpu"))


@pytest.mark.parametrize("model", ["vrnn3d", "vrnn2d", "convlstm2d", "e3d_lstm"])
def test_the_models_of_table_2_take_its_size(model):
    """128 x 128 costs ours and the 2D ones four times as much as 64 x 64; E3D-LSTM's attention grows faster."""
    sizes = [suite.gigaflops(dict(model=model, length=4, context=2, size=size)) for size in (64, 128)]
    assert sizes[1] / sizes[0] == pytest.approx(4, rel=1e-3) or model == "e3d_lstm" and sizes[1] > 4 * sizes[0]


def test_settings_of_compile(monkeypatch):
    calls = []
    monkeypatch.setattr(torch, "compile", lambda f, **options: (calls.append(options), f)[1])
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: calls.append("step"))
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    double = {}.get
    plain = [("no", gpu, True), ("auto", cpu, True), ("auto", gpu, False)]
    assert all(compiled(double, *settings) is double for settings in plain) and calls == []
    compiled(double, "auto", gpu), compiled(double, "yes", cpu)
    assert calls == [{"dynamic": False}] * 2, "graphs are never chosen by auto"
    step = compiled(lambda x: 2 * x, "graphs", gpu)
    assert calls[2:] == [{"dynamic": False, "mode": "reduce-overhead"}]
    assert [step(1), step(2)] == [2, 4] and calls[3:] == ["step", "step"]
    with pytest.raises(ValueError, match="'maybe'.*auto, yes, no, graphs"):
        compiled(double, "maybe", cpu)


def test_nothing_measured_is_a_failure(tmp_path, capsys, quick):
    assert suite.main(["--models", "--against", "no_such_module:make", *quick]) == 1
    record = json.loads((tmp_path / "bench.json").read_text())
    assert record["rows"] and all("no_such_module" in row["failed"] for row in record["rows"])
    written = capsys.readouterr()
    assert "no_such_module" in written.out and "nothing could be measured" in written.err


@pytest.mark.parametrize(("kind", "key"), [("matmul", "tflops"), ("copy", "gigabytes_per_second")])
def test_ceilings_in_a_process(kind, key):
    found = suite._in_a_process({"kind": kind, "device": "cpu", "threads": 1})
    # Of the two products, BLAS's and oneDNN's, it is the faster one's.
    works = [2 * 2048**3 / 1e12, 2 * 8 * 32**2 * 256**2 * 9 / 1e12] if kind == "matmul" else [2 * 4 * 2**26 / 1e9]
    assert found[key] * found["seconds"] in [pytest.approx(work) for work in works]


def test_a_process_that_dies_has_failed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make = outside(tmp_path, "outside_dies", "    import os\n    os._exit(9)")
    assert suite._in_a_process(job(model=make)) == {"failed": "the process ended with code 9: it wrote nothing"}
