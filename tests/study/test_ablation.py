"""The ablation's arithmetic on records whose answers are known, and its pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vrnn3d.study import ablation, catalogue
from vrnn3d.study.figures import ablation as pictures
from vrnn3d.study.results import NOT_TESTED, PROTOCOLS

SEQUENCES = 40
BASE = 10 + np.random.default_rng(0).normal(size=SEQUENCES)  # how hard each test sequence is, the same for all models


def record(name, mse, seed=0, profile="small", variance=0.5, log_std=-1.0, validation=None):
    """A record whose test MSE is `mse` above the sequences' own difficulty."""
    own = BASE + mse + 0.01 * np.random.default_rng(len(name) + seed).normal(size=SEQUENCES)
    scores = {"average": own.mean(), "best": own.mean() - 1, "mean_frame": own.mean() - variance, "per_sequence": own.tolist()}
    entry = {"mse": scores, "ssim": {"average": 0.5}, "crps": {"average": own.mean() * 3}}
    entry["sample_variance"] = {"average": variance}
    curves = {
        "sequences": [10, 20],
        "log_std_prior": [0.0, log_std],
        "log_std_posterior": [0.0, log_std],
        "floor_fraction": [0.0, 0.9],
        "kl_per_frame": [1.0, 0.1],
        "validation_mse": [20.0, mse if validation is None else validation],
    }
    return {
        "experiment": name,
        "profile": profile,
        "seed": seed,
        "status": "finished",
        "config": {"data": {"name": "moving_mnist"}},
        "training": {"curves": curves},
        "evaluation": {"test": {protocol: entry for protocol in PROTOCOLS}},
    }


def three(name, values, **changes):
    return [record(name, value, seed, **changes) for seed, value in enumerate(values)]


def test_students_interval_of_three_seeds():
    low, high = ablation.seed_interval([1.0, 2.0, 3.0])
    assert (low + high) / 2 == pytest.approx(2) and high - 2 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-5)
    assert ablation.seed_interval([1.0]) is None


def test_a_difference_is_paired_by_seed_and_by_sequence():
    found = ablation.runs(three("a", [3.0, 5.0, 4.0]) + three("b", [2.0, 4.0, 3.0]) + [record("b", 99.0, seed=7)], "small")
    outcome = ablation.difference(found, "a", "b")
    assert outcome["estimate"] == pytest.approx(1, abs=0.02) and len(outcome["by_seed"]) == 3
    # Seeds differ by 2 among themselves, and pairs by nothing.
    assert outcome["seed_interval"][1] - outcome["seed_interval"][0] < 0.1
    assert outcome["interval"][1] - outcome["interval"][0] < 0.1
    assert ablation.difference(found, "a", "never run") is None


@pytest.mark.parametrize(
    "ours, theirs, judgement",
    [
        ([3.0, 3.1, 3.0], [4.0, 4.1, 4.0], "lower"),
        ([4.0, 4.1, 4.0], [3.0, 3.1, 3.0], "higher"),
        ([3.0, 6.0, 3.0], [4.0, 4.0, 4.0], "undecided"),  # seeds disagree
        ([3.0], [4.0], "undecided"),  # one seed decides nothing
    ],
)
def test_a_judgement_needs_both_intervals(ours, theirs, judgement):
    found = ablation.runs(three("a", ours) + three("b", theirs), "small")
    assert ablation.judge(ablation.difference(found, "a", "b")) == judgement
    assert ablation.judge(None) == "not run"


def test_cut_runs_and_other_profiles_are_left_out():
    cut = record("loss_kl_pq_z_p", 1.0) | {"status": "cut"}
    other = record("loss_kl_pq_z_p", 1.0, profile="smoke")
    assert ablation.runs([cut, other], "small") == {}


def test_full_size_takes_over_when_it_holds_what_is_compared():
    names = [f"loss_{variant}_{wiring}" for variant in ("kl_pq", "kl_ll") for wiring in ("z_p", "z_q")]
    full = [record(name, 1.0, profile="ablation") for name in names]
    assert ablation.scale(full) == "ablation" and ablation.scale(full[:3]) == "small" and ablation.scale([]) == "small"


def test_the_weight_is_chosen_on_the_validation_set():
    """beta = 0.1 is best there; that beta = 0.01 is better on the test set must not matter."""
    records = three("loss_kl_ll_z_p", [3.0] * 3, validation=8.0)
    records += three("sweep_kl_ll_z_p_beta0.1", [2.0] * 3, validation=6.0)
    records += three("sweep_kl_ll_z_p_beta0.01", [1.0] * 3, validation=7.0)
    found = ablation.runs(records, "small")
    assert [beta for beta, _ in ablation.sweep(found, "kl_ll", "z_p", "beta")] == [0.01, 0.1, 1.0]
    assert ablation.best_weight(found, "kl_ll", "z_p") == (0.1, "sweep_kl_ll_z_p_beta0.1")
    assert ablation.best_weight(found, "kl_pq", "z_p") is None


@pytest.mark.parametrize("which, profile", [("small", "small"), ("full", "ablation")])
def test_what_the_chapter_asks_for_is_in_the_queues(which, profile):
    queued = {name for name, p, _ in catalogue.queue(which) if p == profile}
    for variant in catalogue.SWEPT_LOSSES:
        for what, wirings in (("beta", ablation.WIRINGS), ("floor", ("z_p",))):
            for wiring in wirings:
                values = {"beta": catalogue.SWEPT_BETAS, "floor": catalogue.SWEPT_FLOORS}[what]
                assert {f"sweep_{variant}_{wiring}_{what}{v:g}" for v in values} <= queued
    needed = {name for name, _ in ablation.TABLE3 if name.startswith(("loss_", "convlstm3d"))}
    assert needed <= queued


def steps(*mse):
    return [r for (name, _), value in zip(ablation.TABLE3, mse) for r in three(name, [value] * 3)]


@pytest.mark.parametrize(
    "mse, verdict",
    [
        ((9, 7, 6, 5, 4), "reproduced"),
        ((9, 7, 6, 5, 6), "partly"),  # the likelihood term raises it
        ((5, 6, 6, 7, 8), "not reproduced"),
    ],
)
def test_verdict_on_the_steps(mse, verdict):
    found = ablation.runs(steps(*mse), "small")
    assert ablation.verdict_steps(found)[0] == verdict
    del found["vrnn2d"]
    missing, rows = ablation.verdict_steps(found)
    assert missing == NOT_TESTED and [r["judgement"] for r in rows].count("not run") == 2


@pytest.mark.parametrize(
    "log_std, variance, verdict",
    [(-0.5, 2.0, "reproduced"), (-2.0, 2.0, "partly"), (-2.0, 0.1, "not reproduced")],
)
def test_verdict_on_diversity(log_std, variance, verdict):
    """KL has log std -1 and variance 0.5."""
    records = []
    for seed in range(3):
        jitter = 0.001 * seed
        for wiring in ablation.WIRINGS:
            records.append(record(f"loss_kl_pq_{wiring}", 3.0, seed))
            changed = dict(log_std=log_std + jitter, variance=variance + jitter)
            records.append(record(f"loss_kl_ll_{wiring}", 3.0, seed, **changed))
    assert ablation.verdict_diversity(ablation.runs(records, "small"))[0] == verdict
    assert ablation.verdict_diversity({}) == (NOT_TESTED, [])


def test_words_hold_both_intervals():
    found = ablation.runs(three("a", [3.0, 3.5, 4.0]) + three("b", [4.0, 4.0, 4.0]), "small")
    words = ablation.describe(ablation.difference(found, "a", "b"))
    assert words.startswith("\N{MINUS SIGN}0.") and "test sequences" in words and "3 seeds" in words and " to " in words
    assert "one seed" in ablation.describe(ablation.difference({k: v[:1] for k, v in found.items()}, "a", "b"))


def everything():
    records = [
        r
        for name, _, seed in catalogue.queue("small")
        if name.startswith(("loss_", "sweep_"))
        for r in [record(name, 3.0 + seed, seed)]
    ]
    return ablation.runs(records + steps(9, 7, 6, 5, 4)[:9], "small")


def test_pictures_show_every_run():
    found = everything()
    rows = ablation.grid(found)
    assert len(rows) == 14 and sum(r["difference"] is None for r in rows) == 2
    forest = pictures.forest(rows)
    assert [len(axes.get_yticks()) for axes in forest.axes] == [6, 6]
    traces = pictures.traces(found)
    assert all(len(axes.lines) == 21 for axes in traces.axes)
    assert len(pictures.ranks(rows).axes[0].lines) == 14
    pictures.pareto(rows, ("no latent", 16.0))
    sweeps = pictures.sweeps(found)
    assert [list(axes.lines[0].get_xdata()) for axes in sweeps.axes] == [[0.01, 0.1, 1.0]] * 2 + [[0.01, 0.1, 1.0]]
    table = pictures.score_table(rows, found)
    assert len(table) == 14 and not (table == "not run").any(axis=None)
