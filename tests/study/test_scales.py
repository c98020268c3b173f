"""Which runs an experiment has at which scale."""

from __future__ import annotations

import dataclasses

from made import record

from vrnn3d.study import scales
from vrnn3d.study.profiles import PROFILES


def names(runs):
    return [(r.experiment, r.seed) for r in runs]


def test_runs_are_found_by_what_they_computed():
    runs = [record("loss_kl_ll_z_p", profile="ablation", seed=1), record("vrnn3d_kl_ll", profile="ablation")]
    for name in ("vrnn3d_kl_ll", "loss_kl_ll_z_p"):
        assert names(scales.runs_at(runs, name, "ablation")) == [("vrnn3d_kl_ll", 0), ("loss_kl_ll_z_p", 1)]
    assert scales.runs_at(runs, "vrnn3d_kl_ll", "paper") == []
    overridden = record("vrnn3d_kl_ll", changes={"train.lr": 1e-2})
    assert scales.runs_at([overridden], "vrnn3d_kl_ll", "paper") == []


def test_a_former_profile_is_found_by_name():
    """Its settings are in no profile any more, so that no hash of the catalogue is theirs."""
    changed = {"train.lr": 4e-3}
    runs = [record("loss_kl_pq_z_p", profile="small", seed=s, changes=changed) for s in (1, 0)]
    assert names(scales.runs_at(runs, "vrnn3d_kl", "small")) == [("loss_kl_pq_z_p", 0), ("loss_kl_pq_z_p", 1)]
    assert scales.runs_at(runs, "vrnn3d_kl_ll", "small") == []
    assert scales.runs_at(runs, "of no catalogue", "small") == []


def test_what_compares_with_nothing_is_left_out():
    runs = [record(status="cut"), record(source="excerpt", seed=1), record(evaluation={}, seed=2), record(seed=3)]
    assert names(scales.runs_at(runs, "vrnn3d_kl_ll", "paper")) == [("vrnn3d_kl_ll", 3)]


def test_a_scale_that_is_added_to_the_profiles_is_used(monkeypatch):
    """ "half" has a place in the order before it exists."""
    assert scales.SCALES == ("paper", "ablation", "half", "small")
    half = dataclasses.replace(PROFILES["ablation"], scale="half scale", everything={"train.sequences": 1_000})
    run = record("convlstm2d", profile="ablation", changes={"train.sequences": 1_000})
    monkeypatch.setitem(PROFILES, "half", half)
    assert scales.words("half") == "half scale" and scales.words("small") == "small scale"
    assert scales.runs_at([run], "convlstm2d", "half") == [run]


def test_a_name_that_a_profile_does_not_have_was_not_run_there():
    assert scales.runs_at([record()], "tune_l2", "paper") == []
