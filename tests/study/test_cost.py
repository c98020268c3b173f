"""The cost model: operations, rates, and the hours of runs and commands."""

from __future__ import annotations

from dataclasses import replace

import pytest
from study.made import ORIGIN

from vrnn3d.config import override
from vrnn3d.study import cost, queue
from vrnn3d.study.bench import counting
from vrnn3d.study.bench.jobs import BenchSettings, Job
from vrnn3d.study.bench.record import Bench, Row
from vrnn3d.study.catalogue import EXPERIMENTS
from vrnn3d.study.cost import Command, Device, Shape, rate
from vrnn3d.study.figures import costs


@pytest.fixture
def quick_counts(monkeypatch):
    """Counting takes seconds for each shape; what is made of the counts does not depend on their source."""
    monkeypatch.setattr(cost, "gigaflops", lambda shape: shape.size**2 * shape.length * (1 + shape.window))


@pytest.mark.slow
def test_operations_are_counted_on_shapes():
    shape = Shape("vrnn3d", 2, 2, 16, 8)
    whole = counting.gigaflops(Job(model="vrnn3d", window=2, horizon=2, size=16, length=8, context=2))
    assert cost.gigaflops(shape) == pytest.approx(whole, rel=1e-6), "the cost of many steps is told from two"
    assert 0.5 < cost.gigaflops(shape._replace(options=(("latent", 0),))) / whole < 1, "the network without z is cheaper"
    small, large = (cost.gigaflops(Shape("convlstm2d", 1, 1, size, 3)) for size in (16, 32))
    assert large == pytest.approx(4 * small, rel=1e-6)


def test_hours_are_sequences_by_rate(quick_counts):
    device = Device("x", (rate("vrnn3d", 64, 20, 100.0),))
    run = EXPERIMENTS["vrnn3d_kl_ll"]
    assert run.train.sequences == 600_000
    assert device.hours([run, run]) == pytest.approx(2 * 6000 / 3600)
    assert device.hours([run, EXPERIMENTS["convlstm2d"]]) is None  # never measured
    assert device.hours([]) == 0
    wide = EXPERIMENTS["window_M10_H10"]
    assert device.hours([wide]) == pytest.approx(device.hours([run]) * cost.relative(wide, cost.shape_of(run)))


def test_a_rate_at_the_runs_own_size_goes_first(quick_counts):
    small, large = rate("vrnn3d", 64, 20, 100.0), rate("vrnn3d", 128, 20, 10.0)
    people = EXPERIMENTS["kth_vrnn3d_kl"]
    assert people.data.size == 128
    assert Device("x", (small, large)).hours([people]) == pytest.approx(people.train.sequences / 10 / 3600)
    assert Device("x", (small, large)).rate_for(EXPERIMENTS["vrnn3d_kl"]) == small
    # Where only the smaller size was measured, four times the operations stand for four times the pixels.
    assert Device("x", (small,)).hours([people]) == pytest.approx(4 * people.train.sequences / 100 / 3600, rel=1e-3)


def test_a_model_of_others_code_has_no_cost_in_the_study():
    with pytest.raises(ValueError, match="no experiment of the study trains the model 'openstl:SimVP'"):
        rate("openstl:SimVP", 64, 20, 1.0)


def row(model, form, rate_, size=64, kind="train"):
    return Row(model, form, kind, 2, size, 20, 1, 1, 2 / rate_, (1.0, 1.0), rate_, 1.0)


def bench(*rows):
    return Bench(BenchSettings(), 1, None, None, ORIGIN, rows)


def test_the_best_form_of_a_model_at_each_size_counts():
    rows = [row("vrnn3d", "plain", 1.0), row("vrnn3d", "fast", 3.0), row("vrnn3d", "step: x", 9.0)]
    rows += [row("vrnn3d", "fast, prediction", 9.0, kind="predict"), row("openstl:SimVP", "fast", 9.0)]
    large, swept = row("vrnn3d", "fast", 0.5, size=128), replace(row("vrnn3d", "sweep", 99.0), sweep="batch", value=8)
    other = bench(swept, row("vrnn3d", "fast", 2.0))
    (device,) = cost.devices([bench(*rows), bench(large, row("vrnn2d", "plain", 7.0)), other])
    assert device.name == ORIGIN.machine.device
    assert device.rates == (rate("vrnn3d", 64, 20, 3.0), rate("vrnn3d", 128, 20, 0.5), rate("vrnn2d", 64, 20, 7.0))


def test_the_target_is_for_ours_alone(quick_counts):
    ours, other = EXPERIMENTS["vrnn3d_kl_ll"], EXPERIMENTS["vrnn2d"]
    assert cost.hours_at_target([ours]) == pytest.approx(600_000 / cost.TARGET / 3600)
    assert cost.hours_at_target([ours, other]) is None


def test_every_run_of_the_queue_has_a_part():
    runs = queue.runs("full")
    assert {cost.part_of(run) for run in runs} == set(cost.PARTS)
    parts = {run.name: cost.part_of(run) for run in runs if run.seed == 0 and run.profile == "paper"}
    assert parts["vrnn3d_kl_ll"] == "Table 3" and parts["predrnnpp"] == "other systems of Table 1"
    assert parts["loss_kl_qp_z_q"] == "four losses, in full" and parts["convlstm3d"] == "weights, floors and no latent"


def test_parts_add_up(quick_counts):
    rows = cost.study_costs([Device("x", ())])
    *parts, ours, everything = rows
    assert (ours.part, ours.whose, everything.whose) == ("all", "ours", "all")
    assert sum(row.runs for row in parts) == everything.runs
    assert sum(row.sequences for row in parts if row.whose == "ours") == ours.sequences
    assert sum(row.at_target for row in parts if row.whose == "ours") == pytest.approx(ours.at_target)
    copied = [run for run in queue.runs("full") if run.experiment.model.name == "copy_last"]
    assert everything.runs == len(queue.runs("full")) - len(copied) and everything.hours == {"x": None}


def test_more_devices_take_less_time(quick_counts):
    device = Device("x", (rate("vrnn3d", 64, 20, 100.0),))
    one, eight = cost.command_costs([device], [Command("a", "one run", queue=None), Command("b", "one run", 8, queue=None)])
    assert one.minutes["x"] == pytest.approx(100) and eight.minutes["x"] == pytest.approx(100 / 8)
    assert one.ours_at_target == pytest.approx(10)
    (whole,) = cost.command_costs([device], [Command("c", "the queue")])
    assert whole.minutes["x"] is None and whole.ours_at_target > one.ours_at_target


def test_amounts_in_print():
    assert [cost.amount(x) for x in (None, 0.123, 12.34, 1234.5)] == ["not measured", "0.12", "12.3", "1,234"]
    assert cost.amount(None, "") == ""


def test_what_a_shape_is_made_of():
    other = override(EXPERIMENTS["convlstm3d"], {"data.size": 32, "data.digit_size": 14, "model.window": 4})
    assert cost.shape_of(other) == Shape("vrnn3d", 4, 2, 32, 20, (("latent", 0),))
    wide, usual = (
        cost.gigaflops(Shape("vrnn3d", 2, 2, 16, 8, options)) for options in ((("recurrent_kernel", (1, 5, 5)),), ())
    )
    assert wide > 1.2 * usual, "25 live taps of a kernel for 9"


def test_tables_have_a_column_for_every_device(quick_counts):
    device = Device("x", (rate("vrnn3d", 64, 20, 100.0),))
    table = costs.study_table([device])
    assert list(table.columns[:3]) == ["model", "runs", "sequences (millions)"] and "hours, x" in table.columns
    assert len(table) == len(cost.study_costs([device]))
    everything = table[(table.index == "all") & (table["model"] == "all")]
    assert everything["hours, x"].item() == "not measured", "the other systems have no rate on this device"
    commands = costs.command_table([device])
    assert list(commands.index) == [command.command for command in cost.COMMANDS]
    assert commands["minutes, x"].iloc[0] == "100" and commands.iloc[0, -1] == "10.0"
