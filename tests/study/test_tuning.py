"""The sweep before the long runs, and what may make a number worse than the paper's."""

from __future__ import annotations

import pytest

from vrnn3d import config
from vrnn3d.study import catalogue, tuning


def test_the_sweep_exists_at_its_own_profile_only():
    runs = catalogue.queue("tune")
    assert {(get.train.lr, get.train.batch) for get in (catalogue.get(n, "tune") for n, _, _ in runs)} == {
        (lr, batch) for lr in (3e-4, 1e-3, 3e-3) for batch in (32, 64, 128)
    }
    assert {"tune_l2", "tune_glorot", "tune_l2_glorot"} <= {name for name, _, _ in runs}
    for profile in set(catalogue.PROFILES) - {"tune"}:
        assert not [name for name in catalogue.names(profile) if name.startswith("tune_")]
        with pytest.raises(ValueError, match=f"no experiment 'tune_l2' at profile '{profile}'; there are: vrnn3d_kl_ll"):
            catalogue.get("tune_l2", profile)
    with pytest.raises(ValueError, match="no experiment 'vrnn3d_kl_ll' at profile 'tune'; there are: tune_lr"):
        catalogue.get("vrnn3d_kl_ll", "tune")


def test_the_sweep_is_the_papers_model_at_full_size():
    """Each run differs from the paper's in what its name says, and in being short."""
    paper = tuning.settings(config.to_dict(catalogue.get("vrnn3d_kl_ll")))
    for name in catalogue.names("tune"):
        mine = tuning.settings(config.to_dict(catalogue.get(name, "tune")))
        different = {key for key in paper if paper[key] != mine[key]} - set(tuning.ASIDE)
        expected = {"loss.l1"} if "l2" in name else set()
        expected |= {"model.options.init"} if "glorot" in name else set()
        if name.startswith("tune_lr"):
            lr, batch = name.removeprefix("tune_lr").split("_batch")
            assert (mine["train.lr"], mine["train.batch"]) == (float(lr), int(batch))
            expected = different & {"train.lr", "train.batch"}
        assert different == expected
        assert mine["train.sequences"] == 8_192


def validated(values, experiment="vrnn3d_kl_ll", profile="paper", seed=0, mse=None):
    """A record as far as `tune` looks at it, validated at equal distances."""
    described = catalogue.get(experiment, profile)
    spaced = [(i + 1) * 1000 for i in range(len(values))]
    curves = {"validation_sequences": spaced, "validation_mse": list(values)}
    return {
        "experiment": experiment,
        "profile": profile,
        "seed": seed,
        "title": described.title,
        "status": "finished",
        "config": config.to_dict(described),
        "parameters": {"total": 1},
        "data": {"source": "VRNN3D_DATA"},
        "training": {"curves": curves, "steps": 10, "sequences_per_second": 5.0},
        "evaluation": {"train": {p: {"mse": {"average": v}} for p, v in (mse or {}).items()}},
    }


def test_the_last_fifth_of_a_training():
    tail = tuning.last_fifth(validated([90, 80, 70, 60, 50, 40, 30, 22, 21, 20]))
    assert tail["points"] == 3 and tail["level"] == 20
    assert tail["change"] == pytest.approx(-2 / 20)
    assert tuning.falling(validated([90, 22, 21, 20])).startswith("too few")
    assert "still falling: \N{MINUS SIGN}10.0%" in tuning.falling(validated([99] * 7 + [22, 21, 20]))
    assert "no longer falling: +0.0%" in tuning.falling(validated([99] * 7 + [20, 20, 20]))
    assert tuning.last_fifth(validated([])) is None


def test_the_sweep_is_ranked_by_validation_error():
    names = catalogue.names("tune")[:3]
    records = [validated([50] * 8 + [v, v], name, "tune") for name, v in zip(names, (30, 10, 20))]
    cut = validated([50] * 8 + [1, 1], names[0], "tune", seed=1) | {"status": "cut"}
    rows = tuning.ranking([*records, cut, validated([50] * 8 + [5, 5])])
    assert [row["validation MSE at the end"] for row in rows] == [10, 20, 30]
    assert rows[0]["settings"] == catalogue.get(names[1], "tune").title
    assert tuning.ranking([validated([50] * 10)]) == []


def test_runs_that_tell_differ_in_the_reason_alone():
    values = config.to_dict(catalogue.get("vrnn3d_kl_ll"))
    told = {reason.name: tuning.telling(values, reason) for reason in tuning.REASONS}
    changed, same = told["window M and horizon H"]
    assert {name for name, _, _ in changed} == {n for n in catalogue.names() if n.startswith("window_")}
    grid = [("loss_kl_ll_z_p", "ablation", seed) for seed in range(3)]
    assert set(same) == {*grid, ("context_10", "ablation", 0)}, "the same model at their length"
    changed, same = told["batch and learning rate"]
    assert len(changed) == 8 and same == [("tune_lr0.001_batch64", "tune", 0)]
    assert told["training length"][0] == [("loss_kl_ll_z_p", "ablation", seed) for seed in range(3)]
    assert {name for name, _, _ in told["which z is decoded in training"][0]} == {"loss_kl_ll_z_q"}
    for reason in tuning.REASONS:
        for name, profile, _ in told[reason.name][0]:
            theirs, mine = tuning.settings(config.to_dict(catalogue.get(name, profile))), tuning.settings(values)
            assert any(theirs[field] != mine[field] for field in reason.fields)


def test_what_is_worse_than_the_paper_and_why():
    records = [
        validated([50] * 10, mse={"10->10": 40.0, "10->20": 47.0}),
        validated([50] * 7 + [44, 42, 40], seed=1, mse={"10->10": 42.0, "10->20": 47.0}),
        validated([50] * 10, "vrnn3d_kl", mse={"10->10": 41.7}),
    ]
    assert tuning.worse(records) == {"vrnn3d_kl_ll": {"10->10": (41.0, 39.4)}}
    assert tuning.worse([]) == {}
    more = [validated([50] * 10, "loss_kl_ll_z_p", "ablation", seed, {"10->10": 60.0 + seed}) for seed in (0, 1)]
    rows = {row["possible reason"]: row for row in tuning.reasons(records[0]["config"], [*records, *more], records[:2])}
    length = rows["training length"]
    assert "600,000" in length["here"] and "seed 1 still falling" in length["here"]
    assert length["runs that tell (MSE)"] == "loss_kl_ll_z_p (ablation, seeds 0-2): 60.5, 2 of 3 seeds"
    assert rows["the digits' speed"]["runs that tell (MSE)"].startswith("speed_fixed (ablation, seed 0): not run")
    assert "not run" in rows["initialisation"]["runs that tell (MSE)"]
    flat = {row["possible reason"] for row in tuning.reasons(config.to_dict(catalogue.get("convlstm2d")), [])}
    assert "window M and horizon H" not in flat and "initialisation" not in flat


def test_seeds_in_words():
    assert tuning.seeds_text([2, 0, 1, 0]) == "seeds 0-2"
    assert tuning.seeds_text([0, 2]) == "seeds 0, 2" and tuning.seeds_text([3]) == "seed 3"
