"""How far trainings of one experiment are apart, on records whose answers are known."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from study.made import record, seeds

from vrnn3d.study import spread


def test_the_variance_of_samples_spreads_in_proportion():
    """One experiment that hardly varies must not make those that do look surer than they are."""
    small, large = ([record(name, variance=level * share, seed=i) for i, share in enumerate((0.9, 1.1))]
                    for name, level in (("vrnn2d", 0.01), ("vrnn3d_kl", 10.0)))  # fmt: skip
    alone, both = (spread.training_noise(runs, metric="sample_variance") for runs in (large, [*small, *large]))
    assert both.relative and both.std == pytest.approx(alone.std, rel=1e-3) and both.freedom == 2
    low, high = both.interval([0.01, 0.01], [10.0, 10.0])
    assert high - low == pytest.approx(2 * 4.3027 * both.std * 10 / math.sqrt(2), rel=1e-3)


def test_models_that_do_not_sample_say_nothing_of_how_far_samples_vary():
    entries = {
        pool: {k: dataclasses.replace(e, samples=1) for k, e in found.items()} for pool, found in record().evaluation.items()
    }
    certain = [record("convlstm2d", seed=seed, evaluation=entries) for seed in (0, 1)]
    sampled = [record("vrnn2d", variance=1.0 + seed, seed=seed) for seed in (0, 1)]
    alone, both = (spread.training_noise(runs, metric="sample_variance") for runs in (sampled, [*sampled, *certain]))
    assert alone == both and alone.freedom == 1
    assert spread.training_noise([*sampled, *certain], metric="mse").freedom == 2


def test_students_interval_of_three_seeds():
    low, high = spread.seed_interval([1.0, 2.0, 3.0])
    assert (low + high) / 2 == pytest.approx(2) and high - 2 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-5)
    assert spread.seed_interval([1.0]) is None


def test_the_spread_over_seeds_is_apart_from_the_test_sets_interval():
    runs = seeds("vrnn3d_kl_ll", [40.0, 44.0, 48.0])
    numbers = [r.score("train", "10->10") for r in runs]
    found = spread.seed_spread(runs, pool="train")
    assert found.mean == pytest.approx(np.mean(numbers)) and found.std == pytest.approx(np.std(numbers, ddof=1))
    assert found.seeds == (0, 1, 2) and found.text(0) == "46 ± 4"
    one = spread.seed_spread(runs[:1], pool="train")
    assert one.std is None and "±" not in one.text()
    assert spread.seed_spread(runs, protocol="10->30") is None
    assert spread.black_spread(runs).mean == pytest.approx(spread.seed_spread(runs).mean / 2)  # black scores 200
    assert spread.black_spread([record(black=None)]) is None
