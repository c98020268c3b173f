"""The tables of short trials: each change beside the recipe, and what was not run is not a number."""

from __future__ import annotations

import math

import pytest
from study.made import record

from vrnn3d.study.catalogue import IDEAS, RECIPE, trial_name
from vrnn3d.study.trials import PROFILE, conditions, rival_in_words, trials

#: Twenty points; only the last tenth, two of them, is averaged.
CURVES = {
    "sequences": tuple(1000.0 * (i + 1) for i in range(20)),
    "clipped": (1.0,) * 18 + (0.2, 0.4),
    "gradient_norm": (500.0,) * 18 + (30.0, 50.0),
    "validation_mse": (30.0,) * 19 + (17.0,),
}


def made(title, mse):
    return record(trial_name(title), mse, PROFILE, curves=CURVES)


def test_each_change_is_compared_with_the_recipe():
    rows = trials([made("the recipe", 20.0), made("with L1", 24.0)], RECIPE, "the recipe")
    assert [row.title for row in rows] == list(RECIPE)
    base, l1 = rows[0], rows[1]
    assert base.difference == 0 and l1.difference == pytest.approx(100 * (l1.mse / base.mse - 1)) and l1.difference > 0
    assert l1.mse - base.mse == pytest.approx(4.0, rel=1e-3) and l1.percent == pytest.approx(100 * l1.mse / 200.0)
    assert (l1.validation, l1.clipped, l1.norm) == (17.0, pytest.approx(30.0), pytest.approx(40.0))


def test_what_was_not_run_is_no_number():
    rows = trials([made("the recipe", 20.0)], IDEAS, "the recipe")
    assert all(math.isnan(row.mse) and math.isnan(row.difference) and row.updates == 0 for row in rows)
    assert all(math.isnan(row.difference) for row in trials([made("with L1", 24.0)], RECIPE, "the recipe"))


def test_what_sets_the_rival_apart_and_what_muon_does_to_either():
    scores = {"the recipe": 20.0, "Muon": 19.0, "PredRNN++": 16.0, "PredRNN++, Muon": 14.4}
    runs = [made(title, mse) for title, mse in scores.items()]
    recipe, ours, rival, with_muon = (run.score("test", "10->10") for run in runs)
    told = rival_in_words(runs)
    for part in (rival / recipe, with_muon / rival, ours / recipe):
        assert f" by {100 * (part - 1):+.0f}%".replace("-", "\N{MINUS SIGN}") in told, "each against its own recipe"
    assert rival_in_words(runs[:-1]) == "" == rival_in_words([])


def test_tables_of_trials_say_on_what_they_were_measured():
    told = conditions()
    assert told.startswith("Half scale, a fifth of the training: 10 → 10 on 200 test sequences") and "4 samples" in told
