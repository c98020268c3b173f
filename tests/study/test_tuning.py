"""The sweep before the long runs, and what may make a number worse than the paper's."""

from __future__ import annotations

import pytest
from study.made import digits, record

from vrnn3d.study import profiles, queue, tuning
from vrnn3d.study.catalogue import EXPERIMENTS, names

pytestmark = pytest.mark.slow  # bootstraps of many records


def test_the_sweep_exists_at_its_own_profile_only():
    runs = queue.runs("tune")
    tried = {(run.experiment.train.lr, run.experiment.train.batch) for run in runs}
    assert {(lr, batch) for lr in (3e-4, 1e-3, 3e-3) for batch in (32, 64, 128)} <= tried
    assert {"tune_l2", "tune_glorot", "tune_l2_glorot"} <= {run.name for run in runs}
    for profile in set(profiles.PROFILES) - {"tune"}:
        assert not [name for name in profiles.names(profile) if name.startswith("tune_")]
        with pytest.raises(ValueError, match=f"no experiment 'tune_l2' at profile '{profile}'; there are: "):
            profiles.get("tune_l2", profile)


@pytest.mark.parametrize("name", names("tune"))
def test_the_sweep_is_the_papers_model_at_full_size(name):
    """Each run differs from the paper's in what its name says, and in being short."""
    mine = profiles.get(name, "tune")
    different = tuning.differing_settings(mine, EXPERIMENTS["vrnn3d_kl_ll"]) - set(tuning.MAY_DIFFER)
    expected = {"loss.l1"} if "l2" in name else set()
    expected |= {"model.options.init"} if "glorot" in name else set()
    if name.startswith("tune_lr"):
        lr, batch = name.removeprefix("tune_lr").split("_batch")
        assert (mine.train.lr, mine.train.batch) == (float(lr), int(batch))
        expected = different & {"train.lr", "train.batch"}
    assert different == expected and mine.train.sequences == 8_192


def validated(values, name="vrnn3d_kl_ll", profile="paper", seed=0, mse=40.0, **changes):
    """A record that was validated at equal distances."""
    spaced = tuple((i + 1) * 1000.0 for i in range(len(values)))
    curves = {"validation_sequences": spaced, "validation_mse": tuple(map(float, values))}
    return record(name, mse, profile, seed, curves=curves, **changes)


def test_the_last_fifth_of_a_training():
    tail = tuning.last_fifth(validated([90, 80, 70, 60, 50, 40, 30, 22, 21, 20]))
    assert tail.points == 3 and tail.level == 20 and tail.change == pytest.approx(-2 / 20)
    assert tuning.falling(validated([90, 22, 21, 20])).startswith("too few")
    assert "still falling: \N{MINUS SIGN}10.0%" in tuning.falling(validated([99] * 7 + [22, 21, 20]))
    assert "no longer falling: +0.0%" in tuning.falling(validated([99] * 7 + [20, 20, 20]))
    assert tuning.last_fifth(validated([])) is None


def test_the_sweep_is_ranked_by_validation_error():
    chosen = names("tune")[:3]
    records = [validated([50] * 8 + [v, v], name, "tune") for name, v in zip(chosen, (30, 10, 20))]
    cut = validated([50] * 8 + [1, 1], chosen[0], "tune", seed=1, status="cut")
    ranked = tuning.ranking([*records, cut, validated([50] * 8 + [5, 5])])
    assert [tail.level for _, tail in ranked] == [10, 20, 30]
    assert ranked[0][0].experiment == chosen[1]
    assert tuning.ranking([validated([50] * 10)]) == []


def keys(runs):
    return [(run.name, run.profile, run.seed) for run in runs]


def test_runs_that_show_an_effect_differ_in_the_reason_alone():
    found = {reason.name: tuning.evidence(EXPERIMENTS["vrnn3d_kl_ll"], reason) for reason in tuning.REASONS}
    windows = found["window M and horizon H"]
    assert {run.name for run in windows.changed} == {*names("windows"), "vrnn3d_kl_ll_by_frame"}
    grid = [("loss_kl_ll_z_p", "ablation", seed) for seed in range(3)]
    rows = [("vrnn3d_kl_ll", "paper", seed) for seed in range(3)]
    assert set(keys(windows.unchanged)) == {*grid, *rows, ("context_10", "ablation", 0)}, "the same model at their lengths"
    batches = found["batch and learning rate"]
    swept = {name for name in names("tune") if name.startswith("tune_lr")}
    assert {run.name for run in batches.changed} == {*swept, "batch_6"}
    assert set(grid) <= set(keys(batches.unchanged)), "batch_6 has the length of the grid"
    assert keys(found["training length"].changed) == grid
    assert {run.name for run in found["which z is decoded in training"].changed} == {"loss_kl_ll_z_q"}


def mixed(mse, others):
    """An evaluation with one MSE at 10 -> 10 and another elsewhere."""
    entries = digits(others) | {"10->10": digits(mse)["10->10"]}
    return {"train": entries, "test": entries}


def test_what_is_above_the_paper():
    # The records made here lie about 1.5 above what they are asked for.
    low, high = mixed(36.5, 20.0), mixed(40.5, 20.0)
    records = [record(evaluation=low), record(seed=1, evaluation=high), record("vrnn3d_kl", evaluation=mixed(20.0, 20.0))]
    assert set(tuning.above_paper(records)) == {"vrnn3d_kl_ll"}
    (ours, theirs) = tuning.above_paper(records)["vrnn3d_kl_ll"]["10->10"]
    assert (ours, theirs) == (pytest.approx(40.0, abs=0.2), 39.4)
    assert set(tuning.above_paper(records)["vrnn3d_kl_ll"]) == {"10->10"}
    assert tuning.above_paper([]) == {} and tuning.above_paper([record(evaluation=low)]) == {}


def test_what_may_be_the_reason():
    records = [validated([50] * 10), validated([50] * 7 + [44, 42, 40], seed=1)]
    shorter = [validated([50] * 10, "loss_kl_ll_z_p", "ablation", seed, 60.0 + seed) for seed in (0, 1)]
    paper_run = records[0].config
    rows = {row.reason: row for row in tuning.possibilities(paper_run, [*records, *shorter], records)}
    length = rows["training length"]
    assert "600,000" in length.here and "seed 1 still falling" in length.here
    mean = (shorter[0].score("train", "10->10") + shorter[1].score("train", "10->10")) / 2
    assert length.runs == f"loss_kl_ll_z_p (ablation, seeds 0-2): {mean:.1f}, 2 of 3 seeds"
    assert rows["the digits' speed"].runs.startswith("speed_fixed (ablation, seed 0): not run")
    assert "ours is uniform, 3 to 5 pixels a frame" in rows["the digits' speed"].here
    assert rows["which z is decoded in training"].here.endswith("ours decodes z_p.")
    assert "not run" in rows["initialisation"].runs
    flat = {row.reason for row in tuning.possibilities(EXPERIMENTS["convlstm2d"], [])}
    assert "window M and horizon H" not in flat and "initialisation" not in flat


def test_the_settings_in_which_experiments_differ():
    table = tuning.settings_table(("beyond", "beyond_by_frame_400k"), "vrnn3d_kl", "half")
    ours, beyond, further = (table[column] for column in table.columns)
    assert (ours["train.optimiser"], beyond["train.optimiser"]) == ("adam", "muon"), "a default is told as it is"
    assert (ours["model.options.latent"], beyond["model.options.latent"]) == ("4", "0")
    assert ours["model.options.norm"] == "batch" and beyond["data.online"] == "True"
    assert further["train.start"] == "beyond_by_frame_200k" and "train.validate_every" not in table.index
