"""Which runs an experiment has at which scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from study.made import record

from vrnn3d import config
from vrnn3d.study import records, scales, tables


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


def test_outside_code_is_found_by_its_name_and_group():
    """Its model is in no registry here, so that the catalogue cannot ask for it."""
    first = record("convlstm3d", 12.0, profile="half", seed=1)
    outside = [
        replace(first, experiment="simvp", group=scales.OUTSIDE_GROUP, seed=seed, config=replace(first.config, name="simvp"))
        for seed in (1, 0)
    ]
    own = replace(first, experiment="simvp", group="")
    assert names(scales.runs_at([*outside, own], "simvp", "half")) == [("simvp", 0), ("simvp", 1)]
    assert scales.runs_at(outside, "simvp", "paper") == [] == scales.runs_at([], "simvp", "half")
    assert scales.title_of("simvp") == "SimVP (outside code)" == scales.as_row(outside[0], "simvp").title
    table = tables.scaled_table([*outside, first], ("convlstm3d", "simvp"), "half")
    assert list(table.index) == [scales.title_of("convlstm3d"), "SimVP (outside code)"]
    assert table.iloc[1]["10 → 10", "ours, %"] != "not run" and table.iloc[1]["10 → 10", "paper, %"] == ""


def test_a_model_that_takes_more_frames_than_the_context_has_is_not_called_unrun():
    first = record("convlstm3d", 12.0, profile="half")
    measured = {"test": {"10->10": first.evaluation["test"]["10->10"]}}
    settings = replace(first.config, model=replace(first.config.model, window=10, horizon=10))
    named = dict(experiment="simvp", group=scales.OUTSIDE_GROUP)
    wide = replace(first, **named, config=settings, config_hash=config.config_hash(settings), evaluation=measured)
    percent = tables.scaled_table([wide], ("simvp", "convlstm3d"), "half")
    mse = tables.mse_table([wide], ("simvp", "convlstm3d"), "half")
    for table in (percent.xs("ours, %", axis=1, level=1), mse):
        assert table["5 → 10"].tolist() == ["takes 10", "not run"]
        assert table["10 → 20"].tolist() == ["not run", "not run"] and "not" not in table["10 → 10"].iloc[0]


def test_a_training_counts_with_what_it_started_from():
    started = replace(record("beyond", 30.0, "half", curves={"sequences": (8.0, 16.0), "loss": (9.0, 5.0)}), gigaflops=2.0)
    started = replace(started, training=replace(started.training, sequences=16, updates=2, seconds=40.0, cpu_seconds=36.0))
    further = record("beyond_200k", 20.0, "half", curves={"sequences": (8.0,), "loss": (4.0,)})
    further = replace(further, parent=config.origin(started.config), gigaflops=2.0)
    further = replace(further, training=replace(further.training, sequences=8, updates=1, seconds=10.0, processes=2))
    others = [record("beyond", 30.0, "paper"), record("vrnn3d_kl", 30.0, "half")]

    (joined,) = scales.runs_at([*others, further, started], "beyond_200k", "half")
    assert (joined.training.sequences, joined.training.updates, joined.training.seconds) == (24, 3, 50.0)
    assert joined.training.curves["sequences"] == (8.0, 16.0, 24.0) and joined.training.curves["loss"] == (9.0, 5.0, 4.0)
    assert joined.processor_hours == pytest.approx((36.0 + 2 * 10.0) / 3600)
    assert joined.evaluation == further.evaluation and joined.config == further.config
    (row,) = tables.systems([further, started], ["beyond_200k"], "half")
    assert row.sequences == 24 and row.teraflops == pytest.approx(24 * 2.0 / 1e3)
    assert scales.runs_at([further], "beyond_200k", "half") == [further], "nothing is known of what it started from"
    another = replace(started, seed=1, training=replace(started.training, sequences=99))
    assert scales.runs_at([another, further], "beyond_200k", "half") == [further], "it began as seed 0, not as seed 1"
    second = replace(further, parent=config.origin(another.config, 1))
    assert scales.runs_at([started, another, second], "beyond_200k", "half")[0].training.sequences == 99 + 8
    assert scales.runs_at([started, further], "beyond", "half") == [started]


def test_machines_differ_in_speed():
    def run(name, hours, seed=0, profile="half", updates=1):
        made = record(name, 30.0, profile, seed=seed)
        return replace(
            made, training=replace(made.training, updates=updates, sequences=10, processes=1, cpu_seconds=3600 * hours)
        )

    runs = [run("beyond", 2.0), run("beyond_200k", 0.5), run("vrnn2d", 9.0), run("vrnn2d", 27.0, 1), run("vrnn3d_kl", 1.0)]
    assert scales.slowest_by_fastest(runs, "half") == pytest.approx(3), "what was trained on has other settings"
    others = [run("vrnn3d_kl", 1000.0, profile="paper"), run("black", 5.0), run("black", 0.0, 1, updates=0)]
    assert scales.slowest_by_fastest([*runs, *others], "half") == pytest.approx(3)
    assert scales.slowest_by_fastest([], "half") == 1


def test_scales_have_words_and_an_order():
    assert scales.SCALES == ("paper", "ablation", "half", "small")
    assert [scales.words(profile) for profile in ("paper", "half", "small")] == ["full size", "half scale", "small scale"]
    run = record("convlstm2d", profile="half")
    assert scales.runs_at([run], "convlstm2d", "half") == [run]


def test_a_name_that_a_profile_does_not_have_was_not_run_there():
    assert scales.runs_at([record()], "tune_l2", "paper") == []


def test_runs_are_shown_as_the_rows_that_they_are(tmp_path):
    runs = [record("loss_kl_ll_z_p", profile="half", seed=seed) for seed in (0, 1)]
    (shown,) = scales.shown_at(runs, ("vrnn3d_kl", "vrnn3d_kl_ll"), "half")
    assert (shown.experiment, shown.title, shown.seed) == ("vrnn3d_kl_ll", "Variational 3D ConvLSTM + LL", 0)
    assert shown.evaluation == runs[0].evaluation
    assert scales.pictured_at(runs, ("vrnn3d_kl_ll",), "half", tmp_path) == []
    records.write_arrays({"sample": np.arange(3)}, records.clips_path(runs[0], tmp_path))
    ((row, clips),) = scales.pictured_at(runs, ("vrnn3d_kl_ll", "vrnn2d"), "half", tmp_path)
    assert row == shown and list(clips["sample"]) == [0, 1, 2]


def test_the_inventory_names_what_differs_between_seeds():
    runs = [record(seed=0), record(seed=1, status="cut"), record("vrnn2d")]
    first, second = scales.inventory(runs)
    assert (first.run, first.seeds, first.status) == ("paper/vrnn3d_kl_ll", "0-1", "finished, cut")
    assert (second.sequences, second.sequences_per_second, second.commit) == ("600,000", "1000.0", "a" * 10)


def test_seeds_in_words():
    assert scales.seeds_text([2, 0, 1, 0]) == "seeds 0-2"
    assert scales.seeds_text([0, 2]) == "seeds 0, 2" and scales.seeds_text([3]) == "seed 3"


def test_titles():
    assert scales.title_of("vrnn3d_kl") == "Variational 3D ConvLSTM", "as in the paper"
    assert scales.title_of("kth_vrnn3d_kl_ll") == "3D VRNN, KL-LL" and scales.title_of("beyond").startswith(
        "3D ConvLSTM, beyond"
    )
    assert scales.title_of("unknown") == "unknown"


def test_conditions_of_a_run_in_a_sentence():
    told = scales.conditions(record("vrnn3d_kl_ll", profile="half", parameters=310_000))
    assert told == (
        "Half scale: frames of 32 × 32 pixels, 2 digits of 14 pixels; trained on 100,000 sequences of 20 frames with contexts"
        " of 5 and 10; a network of 310,000 parameters."
    )
    people = scales.conditions(record("kth_vrnn3d_kl", profile="half"))
    assert "64 × 64 pixels; trained on 20,000 sequences" in people and "digit" not in people
    assert scales.longest_trained(record("vrnn3d_kl_ll", profile="half")) == 15


def test_the_best_is_chosen_on_the_validation_set():
    """One has the lower test error, the other ends lower on validation; what was not run at the scale does not count."""
    by_clip = record("beyond", 10.0, "half", curves={"sequences": (8.0, 16.0), "validation_mse": (9.0, 8.0)})
    by_frame = record("beyond_by_frame", 20.0, "half", curves={"sequences": (8.0, 16.0), "validation_mse": (12.0, 7.0)})
    both = ["beyond", "beyond_by_frame", "beyond_200k"]
    assert scales.lowest_on_validation([by_clip, by_frame], both, "half") == "beyond_by_frame"
    assert scales.lowest_on_validation([by_clip, by_frame], ["beyond"], "half") == "beyond"
    assert scales.lowest_on_validation([by_clip, by_frame], both, "paper") is None
