"""Queues: every computation once, and what is done is told by its configuration, not by its name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from study.made import record

from trials import MINI
from vrnn3d.study import catalogue
from vrnn3d.study.catalogue import EXPERIMENTS
from vrnn3d.study.profiles import customised, get
from vrnn3d.study.queue import QUEUES, Run, runs, unfinished


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_holds_known_runs_and_every_computation_once(queue):
    found = runs(queue)
    assert found and len({run.key for run in found}) == len(found)
    assert all(run.experiment.name == run.name for run in found)


def test_an_unknown_queue_is_told_with_those_there_are():
    with pytest.raises(ValueError, match=f"no queue 'huge'; there are: {', '.join(QUEUES)}"):
        runs("huge")


def computations(queue: str) -> set[tuple[str, int]]:
    return {run.key for run in runs(queue)}


def test_the_full_queue_is_complete():
    """Table 3 first, three seeds of every loss with either wiring; every row of the tables, windows, checks and KTH."""
    assert [run.name for run in runs("full")][:5] == ["vrnn3d_kl_ll", "vrnn3d_kl", "convlstm2d", "vrnn2d", "beyond"]
    done = computations("full")
    for name in catalogue.names("losses"):
        assert {Run(name, "ablation", seed).key for seed in range(3)} <= done
    for name in catalogue.names("table3", "table1", "by_frame"):
        assert Run(name, "paper", 0).key in done
    for name in catalogue.names("sweeps", "windows", "checks", "kth", "kth_windows"):
        assert Run(name, "ablation", 0).key in done


def test_the_half_queue_is_complete():
    done = computations("half")
    for name in catalogue.names("table3", "by_frame"):
        assert {Run(name, "half", seed).key for seed in range(3)} <= done
    for name in catalogue.names("table1", "baselines"):
        assert Run(name, "half", 0).key in done
    for name in catalogue.names("recipe", "ideas"):
        assert Run(name, "half_short", 0).key in done


def test_a_row_of_table_3_and_a_point_of_the_ablation_are_one_run(mini):
    assert Run("vrnn3d_kl", MINI, 0).key == Run("loss_kl_pq_z_p", MINI, 0).key
    mini("vrnn3d_kl", "loss_kl_pq_z_p", "loss_kl_pq_z_q")
    assert [run.name for run in runs(MINI)] == ["vrnn3d_kl", "loss_kl_pq_z_q"]
    assert [run.name for run in unfinished(MINI, [record("loss_kl_pq_z_p", profile=MINI)])] == ["loss_kl_pq_z_q"]


def test_only_a_finished_run_of_the_same_configuration_and_seed_is_ticked_off(mini):
    mini("vrnn3d_kl", "black", seeds=(0, 1))
    todo = [("vrnn3d_kl", 0), ("black", 0), ("vrnn3d_kl", 1), ("black", 1)]

    def left(*records):
        return [(run.name, run.seed) for run in unfinished(MINI, records)]

    assert left() == todo, "all of one seed come before the next"
    assert left(record("black", profile=MINI)) == [todo[0], *todo[2:]]
    assert left(record("black", profile=MINI, seed=1), record("vrnn3d_kl", profile=MINI)) == todo[1:3]
    assert left(record("black", profile=MINI, status="cut")) == todo
    assert left(record("black", profile="smoke")) == todo


def test_a_run_with_settings_of_the_user_s_own_ticks_nothing_off(mini):
    """Whatever it is called: its configuration is another one."""
    mini("vrnn3d_kl")
    changes = {"train.lr": 0.5}
    renamed = customised(get("vrnn3d_kl", MINI), changes)
    assert renamed.name.startswith("vrnn3d_kl+")
    own = record("vrnn3d_kl", profile=MINI, changes=changes)
    for changed in (own, replace(own, experiment=renamed.name)):
        assert [run.name for run in unfinished(MINI, [changed])] == ["vrnn3d_kl"]


def test_queues_of_one_group_hold_that_group():
    assert {run.name for run in runs("tune")} == set(catalogue.names("tune"))
    assert {EXPERIMENTS[run.name].group for run in runs("kth")} == {"kth"}


def test_the_chance_queue_trains_every_experiment_of_its_group_seed_by_seed():
    found = runs("chance")
    assert [run.seed for run in found] == sorted(run.seed for run in found)
    assert {(run.name, run.seed) for run in found} == {(name, k) for name in catalogue.names("chance") for k in (0, 1, 2)}
    assert all(run.experiment.data.bounce == "random" for run in found)
