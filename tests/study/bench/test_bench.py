"""The benchmark from beginning to end: what it measures and records; one failure loses nothing else."""

from __future__ import annotations

import dataclasses

import pytest

from vrnn3d import cli
from vrnn3d.models import REGISTRY, build_model
from vrnn3d.study.bench import jobs, measure, record, report, rounds
from vrnn3d.study.bench.jobs import Job, Plan
from vrnn3d.study.bench.measure import Outcome
from vrnn3d.study.records import read_json, write_json

pytestmark = pytest.mark.slow  # starts processes

MADE_UP = {"matmul": Outcome(1.0, rate=3.0), "copy": Outcome(1.0, rate=5.0)}
TINY: dict = {"widths": [4, 4], "hidden": 4}
OPTIONS = '{"convlstm2d": {"widths": [4, 4], "hidden": 4}}'


def job(**changes) -> Job:
    return Job(**{"model": "convlstm2d", "options": TINY, "size": 16, "length": 4, "context": 2} | changes)


def outside(tmp_path, name: str, body: str) -> str:
    """A module with a factory of that body, as --against takes it."""
    (tmp_path / f"{name}.py").write_text(f"from vrnn3d.models import build_model\n\n\ndef make():\n{body}\n")
    return f"{name}:make"


# --- one measurement --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["train", "predict"])
@pytest.mark.parametrize("form", [dict(plain=True, batched=False, folding="never"), {}])
def test_a_measurement(kind, form):
    found = measure.measure(job(kind=kind, **form))
    assert found.seconds > 0 and found.peak_mib > 50 and not found.failed
    assert found.parameters == build_model("convlstm2d", **TINY).parameter_breakdown()["total"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", jobs.CEILINGS)
def test_ceilings_in_a_process(kind):
    found = measure.in_a_process(Job(kind=kind))
    # Of the two products, BLAS's and oneDNN's, it is the faster one's.
    works = [2 * 2048**3 / 1e12, 2 * 8 * 32**2 * 256**2 * 9 / 1e12] if kind == "matmul" else [2 * 4 * 2**26 / 1e9]
    assert found.rate * found.seconds in [pytest.approx(work) for work in works]


@pytest.mark.slow
def test_a_process_that_dies_has_failed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make = outside(tmp_path, "outside_dies", "    import os\n    os._exit(9)")
    monkeypatch.setenv("PYTHONPATH", ".")  # relative, it would lead elsewhere from here: to another copy of the package
    found = measure.in_a_process(job(model=make))
    assert found.failed.startswith("the process ended with code 9: "), "what follows is for the machine to say"


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def plain_processor(monkeypatch):
    """The same rows on every machine: those of a processor without matrix tiles."""
    monkeypatch.setattr(jobs, "has_bfloat16_instructions", lambda: False)


@pytest.fixture
def quick(tmp_path, monkeypatch):
    """The command line of a benchmark of a second in `tmp_path`: measured in this process, with made-up ceilings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rounds, "in_a_process", lambda job: MADE_UP.get(job.kind) or measure.attempt(job))
    options = ["--size", "16", "--length", "4", "--context", "2", "--repeats", "1", "--rounds", "1", "--samples", "1"]
    options += ["--batch", "1", "--threads", "1", "--device", "cpu", "--options", OPTIONS, "--quiet"]
    return ["bench", *options, "--out", "bench.json"]


@pytest.fixture
def instant(monkeypatch, quick):
    """`quick`, with measurements made up: whoever counts calls, rounds or failures need not wait for them."""
    monkeypatch.setattr(rounds, "in_a_process", lambda job: MADE_UP.get(job.kind) or Outcome(2.0, 100.0, 7))
    monkeypatch.setattr(rounds, "counts", lambda job: {})
    return quick


def by_form(bench: record.Bench, model: str) -> dict[str, record.Row]:
    return {row.form: row for row in bench.rows if row.model == model}


def test_the_command_measures_ours_and_an_outside_model(tmp_path, capsys, quick):
    make = outside(tmp_path, "outside_good", "    return build_model('convlstm2d', widths=(4, 4), hidden=4)")
    assert cli.main([*quick, "--models", "convlstm2d", "--against", make]) == 0
    bench = record.read(tmp_path / "bench.json")
    ours, theirs = by_form(bench, "convlstm2d"), by_form(bench, make)
    assert set(ours) == {jobs.PLAIN, jobs.FAST, jobs.PLAIN_PREDICTION, jobs.FAST_PREDICTION}
    fast = ours[jobs.FAST]
    assert fast.useful_gflop_per_sequence == theirs[jobs.FAST].useful_gflop_per_sequence
    assert fast.gigabytes_per_sequence == theirs[jobs.FAST].gigabytes_per_sequence
    assert fast.useful_tflops and fast.share_of_matrix_product == pytest.approx(fast.useful_tflops / 3, rel=1e-4)
    assert bench.provenance.versions["torch"] and bench.rounds_measured == fast.rounds == 1
    assert "convlstm2d" in capsys.readouterr().out


def test_a_measurement_that_fails_loses_no_other(tmp_path, capsys, quick):
    make = outside(tmp_path, "outside_bad", "    raise MemoryError('too large\\nby far')")
    assert cli.main([*quick, "--models", "convlstm2d", "--against", make]) == 0
    bench = record.read(tmp_path / "bench.json")
    assert not by_form(bench, make) and len(by_form(bench, "convlstm2d")) == 4
    assert {failure.model for failure in bench.failures} == {make}
    assert all(failure.failed == "MemoryError: too large by far" for failure in bench.failures)
    assert "failed: MemoryError: too large by far" in capsys.readouterr().out
    assert report.failures(bench, {make: "theirs"})[0] == "theirs, plain: `MemoryError: too large by far`"


def test_one_round_that_fails_leaves_the_others(instant, tmp_path, monkeypatch):
    calls = []

    def second_fails(job):
        calls.append(job)
        return Outcome(failed="once") if len(calls) == 9 else Outcome(1.0, 1.0, 1)

    monkeypatch.setattr(rounds, "in_a_process", second_fails)  # 2 ceilings and 4 rows a round: call 9 is a "plain"
    assert cli.main([*instant, "--models", "convlstm2d", "--rounds", "2"]) == 0
    found = by_form(record.read(tmp_path / "bench.json"), "convlstm2d")
    assert [found[form].rounds for form in (jobs.PLAIN, jobs.FAST, jobs.PLAIN_PREDICTION, jobs.FAST_PREDICTION)] == [1, 2, 2, 2]


def test_a_model_that_cannot_be_counted_is_timed(tmp_path, capsys, quick):
    body = "    model = build_model('convlstm2d', widths=(4, 4), hidden=4)\n"
    body += "    float(next(model.parameters()).detach().sum())  # the meta device has no values\n    return model"
    make = outside(tmp_path, "outside_values", body)
    assert cli.main([*quick, "--models", "--against", make]) == 0
    row = by_form(record.read(tmp_path / "bench.json"), make)[jobs.FAST]
    assert row.seconds > 0 and row.useful_gflop_per_sequence is None and row.gigabytes_per_sequence is None
    assert "useful_gflop_per_sequence not counted" in capsys.readouterr().err


def test_the_record_is_written_after_every_round(instant, monkeypatch):
    written = []
    monkeypatch.setattr(record, "write", lambda bench, path: written.append(bench))
    assert cli.main([*instant, "--models", "convlstm2d", "--rounds", "3"]) == 0
    assert [bench.rounds_measured for bench in written] == [1, 2, 3]
    assert [bench.rows[0].rounds for bench in written] == [1, 2, 3]
    assert {bench.settings.rounds for bench in written} == {3}


@pytest.mark.parametrize(("clock", "rows", "complete"), [(3, 2, 0), (5, 4, 1), (7, 4, 1)])
def test_minutes_stop_after_the_measurement_that_passes_them(instant, tmp_path, monkeypatch, clock, rows, complete):
    """2 ceilings and 4 rows a round, each a minute long; the budget ends within measurement `clock` + 1."""
    minutes = [0]

    def slow(job, fast=rounds.in_a_process):
        minutes[0] += 1
        return fast(job)

    monkeypatch.setattr(rounds, "in_a_process", slow)
    monkeypatch.setattr(rounds.time, "monotonic", lambda: 60.0 * minutes[0])
    assert cli.main([*instant, "--models", "convlstm2d", "--rounds", "5", "--minutes", str(clock + 0.5)]) == 0
    assert minutes[0] == clock + 1
    bench = record.read(tmp_path / "bench.json")
    assert (len(bench.rows), bench.rounds_measured) == (rows, complete)


def test_nothing_measured_is_a_failure(tmp_path, capsys, quick):
    assert cli.main([*quick, "--models", "--against", "no_such_module:make"]) == 1
    bench = record.read(tmp_path / "bench.json")
    assert not bench.rows and bench.failures and all("no_such_module" in failure.failed for failure in bench.failures)
    written = capsys.readouterr()
    assert "no_such_module" in written.out and "nothing could be measured" in written.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rounds", "0"], "bench.rounds is 0, but must be a whole number of at least 1"),
        (["--precision", "float16"], "bench.precision is 'float16', but must be one of: auto, float32, bfloat16"),
        (["--options", "{"], "--options is '{', which is not JSON"),
        (["--options", "[1]"], '--options is [1]; write arguments per model, as {"vrnn3d": {"hidden": 32}}'),
        (["--options", '{"vrn": {}}'], "no model 'vrn'; there are: vrnn3d"),
        (["--options", '{"vrnn3d": {"hiden": 8}}'], "vrnn3d has no argument hiden; its arguments are: channels, window"),
        (["--import", "json"], "name a model of your own with --against"),
        (["--device", "cuda:77"], "there is no device 'cuda:77' here"),
    ],
)
def test_a_wrong_setting_is_told_in_a_sentence(instant, capsys, options, message):
    assert cli.main([*instant, *options]) == 1
    assert message in capsys.readouterr().err


# --- which rows there are ---------------------------------------------------------------------------------------------


def forms_on(device: str, **changes) -> dict[str, Job]:
    plan = Plan(models=("vrnn3d",), device=device, **changes)
    return {request.form: request.job for request in jobs.requests(plan, lambda job: True)}


def test_a_gpu_has_rows_for_compiling_and_for_graphs():
    found = forms_on("cuda:0")
    assert [found[form].compile for form in report.FAST_FORMS] == ["no", "yes", "graphs"]
    assert not any(form.startswith("compiled") for form in forms_on("cpu"))


def test_half_precision_is_measured_where_the_processor_has_instructions_for_it(monkeypatch):
    monkeypatch.setattr(jobs, "has_bfloat16_instructions", lambda: True)
    found = forms_on("cpu")
    assert dataclasses.replace(found[jobs.HALF], precision="auto") == found[jobs.FAST]
    assert found[jobs.HALF].precision == "bfloat16" and jobs.HALF not in report.FAST_FORMS
    assert jobs.HALF not in forms_on("cpu", precision="bfloat16"), "the fast form is in half precision there"
    assert jobs.HALF not in forms_on("cuda:0"), "a GPU's rows all are"
    monkeypatch.setattr(jobs, "has_bfloat16_instructions", lambda: False)
    assert jobs.HALF not in forms_on("cpu")


def test_the_steps_from_plain_to_fast_end_at_the_fast_form():
    found = forms_on("cpu")
    steps = [found[jobs.PLAIN], *(job for form, job in found.items() if form.startswith(jobs.STEP))]
    described = [(job.plain, job.batched, job.folding, job.deepest) for job in steps]
    assert described == [(s.plain, s.batched, s.folding, s.deepest) for s in jobs.WATERFALL]
    assert dataclasses.replace(steps[-1], deepest=None) == found[jobs.FAST]


def test_only_models_that_sample_are_measured_with_many_samples():
    plan = Plan(models=("vrnn3d", "convlstm2d"), samples=50)
    found = jobs.requests(plan, lambda job: job.model == "vrnn3d")
    assert [(r.model, r.job.samples, r.job.batch) for r in found if r.form == "fast, 50 samples"] == [("vrnn3d", 50, 1)]


def test_a_sweep_changes_one_setting_at_a_time():
    rows = [r for r in jobs.requests(Plan(models=("vrnn3d",), sweep=True), lambda job: False) if r.sweep]
    assert len(rows) == sum(map(len, jobs.SWEEPS.values()))
    assert {(r.value, r.job.size) for r in rows if r.sweep == "size"} == {(s, s) for s in (32, 64, 96, 128)}
    assert {(r.value, r.job.window, r.job.horizon) for r in rows if r.sweep == "H at M = 4"} == {(h, 4, h) for h in (1, 2, 4)}


def test_every_network_is_measured_unless_some_are_named(instant, tmp_path):
    assert cli.main(instant) == 0
    measured = {row.model for row in record.read(tmp_path / "bench.json").rows}
    assert measured == set(REGISTRY) - {"black", "copy_last", "pixel_mean"}


# --- records and reports ----------------------------------------------------------------------------------------------


def test_the_committed_records_are_whole():
    found = record.read_all()
    assert {"cpu", "cpu_128", "cpu_sweep"} <= set(found)
    for bench in found.values():
        for row in bench.rows:
            low, high = row.seconds_range
            assert low <= row.seconds <= high
            assert row.sequences_per_second == pytest.approx(row.batch / row.seconds, rel=1e-4)
            if row.useful_tflops is not None and row.useful_gflop_per_sequence is not None:
                assert row.useful_tflops == pytest.approx(
                    row.useful_gflop_per_sequence * row.sequences_per_second / 1e3, rel=1e-4
                )


def test_a_record_comes_back_as_it_was(tmp_path):
    bench = record.read_all()["cpu_sweep"]
    assert record.read(record.write(bench, tmp_path / "again.json")) == bench


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.update(schema=1), "is not a benchmark of schema 2"),
        (lambda values: values["rows"][3].pop("seconds"), r"rows\[3\].seconds is missing"),
        (lambda values: values["settings"].update(batch=0), "settings.batch is 0, but must be a whole number of at least 1"),
        (lambda values: values.update(colour="red"), "there is no colour"),
    ],
)
def test_a_file_that_is_no_record_is_told(tmp_path, change, message):
    values = read_json(record.folder() / "bench" / "cpu.json")
    change(values)
    path = write_json(values, tmp_path / "cpu.json")
    with pytest.raises(ValueError, match=message) as caught:
        record.read(path)
    assert str(path) in str(caught.value)


def row(model="vrnn3d", form=jobs.FAST, seconds=1.0, **more) -> record.Row:
    base: dict = dict(kind="train", batch=2, size=64, length=20, parameters=12_900_000, rounds=1, peak_mib=100.0)
    return record.Row(
        model, form, seconds=seconds, seconds_range=(seconds, seconds), sequences_per_second=2 / seconds, **base | more
    )


@pytest.fixture
def bench():
    """A small made-up record."""
    rows = (
        row(seconds=2.0, useful_gflop_per_sequence=100.0, gigabytes_per_sequence=4.0, useful_tflops=0.1),
        row(form=jobs.COMPILED, seconds=1.0, useful_gflop_per_sequence=100.0, gigabytes_per_sequence=2.0, useful_tflops=0.2),
        row(form=jobs.PLAIN, seconds=6.0),
        row(form=jobs.SLIDING, seconds=8.0),
        row(form=jobs.STEP + "folded", seconds=3.0),
        row("theirs:make", jobs.FAST, 5.0),
        row("theirs:make", jobs.PLAIN, 4.0),
        row("e3d_lstm", jobs.PLAIN, 10.0),
        row(form="fast, 50 samples", seconds=0.05, kind="predict", samples=50),
        row(form=jobs.SWEEP, seconds=4.0, sweep="size", value=32),
    )
    return dataclasses.replace(record.read_all()["cpu"], rows=rows)


def test_the_fastest_form_of_each_model(bench):
    best = report.fastest(bench)
    assert best["vrnn3d"].form == jobs.COMPILED and best["theirs:make"].form == jobs.FAST and "e3d_lstm" not in best
    assert report.fastest(bench, (jobs.PLAIN, *report.FAST_FORMS))["theirs:make"].form == jobs.PLAIN


def test_the_overview_has_a_line_a_model(bench):
    titles = report.titles_of([bench], {"e3d_lstm": "E3D-LSTM"})
    lines = {line["model"]: line for line in report.overview(bench, titles)}
    ours = lines["3D VRNN (ours), M = H = 2"]
    assert ours["plain (s / step)"] == "6.00" and ours["compiled (s / step)"] == "1.00" and ours["plain / fast"] == "6.00"
    assert ours["50 samples (s / sequence)"] == "0.0500"
    assert lines["make (outside code)"]["50 samples (s / sequence)"] == "one is enough"
    assert lines["E3D-LSTM"]["fast (s / step)"] == lines["E3D-LSTM"]["plain / fast"] == "not measured"
    assert report.work(bench, titles)[0]["FLOP / byte"] == "50"


def test_half_precision_beside_float32(bench):
    half = (row(form=jobs.HALF, seconds=0.5), row("theirs:make", jobs.HALF, 4.0), row("e3d_lstm", jobs.HALF, 3.0))
    lines = report.half_precision(dataclasses.replace(bench, rows=(*bench.rows, *half)), {"vrnn3d": "ours"})
    assert [line["float32 / bfloat16"] for line in lines] == ["4.00", "1.25", "not measured"]
    assert lines[0]["model"] == "ours" and lines[0]["sequences / s in bfloat16"] == "4.00"
    assert report.half_precision(bench, {}) == []


def test_what_was_gained_is_said_for_one_form_at_a_time(bench):
    said = report.comparisons(bench, report.titles_of([bench], {}))
    assert "3.00 times as fast as the plain form in the same windows" in said
    assert "5.00 times as fast as the plain form of an E3D-LSTM of the same 12.9M parameters" in said
    assert "2.00 times as fast as make (outside code) in its quickest form, 12.9M parameters" in said, (
        "theirs in the form that took least"
    )
    assert not any("fast form of that E3D-LSTM" in text for text in said), "it was not measured"
    assert report.comparisons(dataclasses.replace(bench, rows=()), {}) == []


def test_what_folding_alone_gives(bench):
    labels = [step.label for step in jobs.WATERFALL]
    steps = tuple(row(form=jobs.STEP + label, seconds=s) for label, s in zip(labels[1:], (6.0, 5.0, 2.5, 2.0), strict=True))
    assert report.folding_gain(dataclasses.replace(bench, rows=steps)) == pytest.approx(2.5), "5 s before it, 2 s after"
    assert report.folding_gain(bench) is None


def test_steps_and_sweeps_are_read_off_the_rows(bench):
    assert report.waterfall(bench) == [("plain, sliding by one frame", 8.0), ("plain, in windows", 6.0), ("folded", 3.0)]
    assert report.growth([bench, bench]) == {"size": [(32, 2.0), (32, 2.0)]}
