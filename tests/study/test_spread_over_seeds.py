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
    assert both.relative and both.usual == (pytest.approx(alone.usual.value, rel=1e-3), math.inf) and both.freedom == 2
    assert both.error("", [9.0, 11.0]) == (pytest.approx(both.usual.value * 10**2 / 2), 2)


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


def variance(value, freedom=2):
    return spread.Variance(value, freedom)


def test_what_is_known_of_variances_is_the_less_the_more_unlike_they_are():
    alike, unlike = ([variance(v) for v in values] for values in ([1.0, 1.1, 0.9, 1.0], [0.01, 0.01, 0.01, 40.0]))
    assert spread._usual(alike) == (pytest.approx(1.0), math.inf)
    assert spread._usual(unlike) == (pytest.approx(10.0, rel=0.01), pytest.approx(1.0, abs=0.01))
    assert spread._usual([variance(3.0)]) == (3.0, math.inf), "one experiment cannot tell"
    weighted = spread._usual([variance(1.0, 3), variance(2.0, 1)])
    assert weighted.value == pytest.approx(1.25)


def test_seeds_of_its_own_count_by_their_degrees_of_freedom():
    noise = spread.TrainingNoise(variance(4.0, 6.0), {"own": variance(1.0, 2), "many": variance(1.0, 14)}, 20)
    assert noise.of("other") == (4.0, 6.0)
    assert noise.of("own") == (pytest.approx((6 * 4 + 2 * 1) / 8), 8)
    assert noise.of("many").freedom == 20
    assert spread.TrainingNoise(variance(4.0, math.inf), {"own": variance(1.0, 2)}, 20).of("own") == (4.0, 20)
    both = spread.added([variance(1.0, 4), variance(1.0, 4)])
    assert both == (2.0, 4), "Welch and Satterthwaite would say 8 of two that rest on the same"
    assert spread.added([variance(3.0, 2), variance(1.0, 8)]).freedom == pytest.approx(16 / (9 / 2 + 1 / 8))
    assert spread.added([variance(0.0, 2), variance(0.0, 3)]) == (0.0, 3)


@pytest.mark.slow
@pytest.mark.parametrize("scatter, most", [(0.0, 0.065), (0.6, 0.065), (1.0, 0.08)])
@pytest.mark.parametrize("counts", [(1, 1), (3, 1), (3, 3)])
def test_trainings_that_do_not_differ_are_seldom_told_apart(scatter, most, counts):
    """Ten experiments, whose standard deviations are log-normal: of two drawn at random, at most about 5% are told apart."""
    draw = np.random.default_rng(0)
    told = []
    for _ in range(1500):
        deviations = np.exp(scatter * draw.normal(size=10))
        trained = {str(i): draw.normal(0, d, 3 if i < 8 else 2) for i, d in enumerate(deviations)}
        own = {name: variance(float(np.var(each, ddof=1)), len(each) - 1) for name, each in trained.items()}
        noise = spread.TrainingNoise(spread._usual(list(own.values())), own, sum(v.freedom for v in own.values()))
        sides = [
            (str(i), trained[str(i)]) if count == 3 else ("new", draw.normal(0, deviations[i], count))
            for i, count in zip(draw.choice(8, 2, replace=False), counts)
        ]
        error = spread.added([noise.error(name, levels) for name, levels in sides])
        half = spread.student(error.freedom) * math.sqrt(error.value)
        told.append(abs(sides[0][1].mean() - sides[1][1].mean()) > half)
    assert np.mean(told) <= most
