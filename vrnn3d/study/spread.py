"""How far trainings are apart that differ in their seed alone: of one experiment, and pooled over all of a scale."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vrnn3d.evaluation.scores import Score
from vrnn3d.study.records import Record

Interval = tuple[float, float]

# --- of one experiment ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """A number over training seeds: the uncertainty of the training, never mixed with that of the test set."""

    mean: float
    std: float | None  #: sample standard deviation; None for one seed
    seeds: tuple[int, ...]

    def text(self, digits: int = 2) -> str:
        """ "12.34 ± 0.56", or the mean alone for one seed."""
        return f"{self.mean:.{digits}f}" + ("" if self.std is None else f" ± {self.std:.{digits}f}")


def spread(values: Mapping[int, float]) -> Spread | None:
    """The spread of {seed: value}; what is NaN was not measured and is left out, and None is returned for nothing."""
    known = {seed: value for seed, value in sorted(values.items()) if not math.isnan(value)}
    if not known:
        return None
    numbers = list(known.values())
    std = float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None
    return Spread(float(np.mean(numbers)), std, tuple(known))


def seed_spread(
    runs: Iterable[Record],
    protocol: str = "10->10",
    metric: str = "mse",
    pool: str = "test",
    statistic: str = "average",
) -> Spread | None:
    """The spread of a score over the runs of one experiment; None where it was not measured."""
    return spread({r.seed: r.score(pool, protocol, metric, statistic) for r in runs})


def black_spread(runs: Iterable[Record], protocol: str = "10->10", pool: str = "test") -> Spread | None:
    """The spread of the MSE in percent of that of a black frame; None where the record does not hold the latter."""
    return spread({r.seed: r.percent_of_black(pool, protocol) for r in runs})


def seed_interval(values: Iterable[float]) -> Interval | None:
    """Student's 95% interval of the mean of a few seeds' values; None for fewer than two."""
    values = np.asarray(list(values), float)
    n = len(values)
    if n < 2:
        return None
    half = student(n - 1) * values.std(ddof=1) / math.sqrt(n)
    return float(values.mean() - half), float(values.mean() + half)


def student(freedom: float) -> float:
    """How many standard errors a 95% interval reaches to either side."""
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))


# --- pooled -----------------------------------------------------------------------------------------------------------


#: Metrics of which trainings spread in proportion: their levels differ by orders of magnitude between experiments.
_IN_PROPORTION = ("sample_variance",)


class Variance(NamedTuple):
    """A variance, and the degrees of freedom with which it is known."""

    value: float
    freedom: float


@dataclass(frozen=True)
class TrainingNoise:
    """How far trainings that differ in their seed alone are apart in one quantity.

    Two or three seeds of an experiment hardly tell its variance, so the mean variance of all experiments that have several
    counts too. How much it counts is said by its degrees of freedom, which are the fewer the more unlike the experiments are:
    those of the scaled chi-square with the mean and the variance of their variances (Satterthwaite's moments). With one seed an
    experiment has that mean; with several its own variance is averaged in, each by its degrees of freedom.
    ``tests/study/test_spread_over_seeds.py`` holds how often trainings that do not differ are told apart, where experiments are
    alike and where they are not.
    """

    usual: Variance  #: of an experiment with one seed; infinite degrees of freedom where nothing sets experiments apart
    own: Mapping[str, Variance]  #: of each experiment with several, by the hash of its configuration
    freedom: float  #: degrees of freedom of all together: seeds beyond the first of each experiment
    relative: bool = False  #: whether variances are in proportion to the square of the level

    def of(self, experiment: str) -> Variance:
        """The variance of one training of the experiment whose configuration has this hash."""
        mine, usual = self.own.get(experiment, Variance(0.0, 0)), self.usual
        if math.isinf(usual.freedom):
            return Variance(usual.value, self.freedom)
        freedom = usual.freedom + mine.freedom
        value = (usual.freedom * usual.value + mine.freedom * mine.value) / freedom
        return Variance(value, min(freedom, self.freedom))

    def error(self, experiment: str, levels: Sequence[float]) -> Variance:
        """The squared standard error of the mean of these trainings of an experiment."""
        value, freedom = self.of(experiment)
        unit = float(np.mean(levels)) ** 2 if self.relative else 1.0
        return Variance(value * unit / len(levels), freedom)


def added(errors: Sequence[Variance]) -> Variance:
    """The sum of squared errors; its degrees of freedom by Welch and Satterthwaite, and no more than the larger of theirs,
    since both rest for a good part on the same experiments.
    """
    total = sum(error.value for error in errors)
    spent = sum(error.value**2 / error.freedom for error in errors)
    most = max(error.freedom for error in errors)
    return Variance(total, min(total**2 / spent, most) if spent else most)


def training_noise(
    records: Iterable[Record], protocol: str = "10->10", metric: str = "mse", pool: str = "test", slopes: bool = False
) -> TrainingNoise | None:
    """The noise of runs of one scale; None where no experiment among them has several seeds.

    How far samples vary is told by models that sample: the zeros of the others say nothing of it.
    """
    relative = metric in _IN_PROPORTION and not slopes
    levels: dict[str, dict[int, float]] = {}
    for record in records:
        entry = record.measured(pool, protocol)
        if metric == "sample_variance" and entry is not None and entry.samples == 1:
            continue
        for seed, (_, score) in scored([record], protocol, metric, pool, slopes).items():
            level = level_of(score, slopes)
            if level > 0 or not relative:
                levels.setdefault(record.config_hash, {})[seed] = math.log(level) if relative else level
    several = {name: list(by_seed.values()) for name, by_seed in levels.items() if len(by_seed) > 1}
    if not several:
        return None
    own = {name: Variance(float(np.var(each, ddof=1)), len(each) - 1) for name, each in several.items()}
    return TrainingNoise(_usual(list(own.values())), own, sum((each.freedom for each in own.values()), 0.0), relative)


def _usual(variances: Sequence[Variance]) -> Variance:
    """The mean of variances, each weighted by its degrees of freedom, as that of an experiment which is not among them."""
    values, freedoms = np.array([v.value for v in variances]), np.array([v.freedom for v in variances], float)
    weights = freedoms / freedoms.sum()
    mean = float(weights @ values)
    if len(values) < 2:
        return Variance(mean, math.inf)
    # Variances of a few seeds differ by chance too: 2 s^4 / (d + 2) is expected to be the variance of such a variance.
    between = weights @ (values - mean) ** 2 / (1 - weights @ weights) - np.mean(2 * values**2 / (freedoms + 2))
    return Variance(mean, max(1.0, float(2 * mean**2 / between)) if between > 0 else math.inf)


# --- what a run scored ------------------------------------------------------------------------------------------------


def scored(records: Sequence[Record], protocol: str, metric: str, pool: str, slopes: bool) -> dict[int, tuple[Record, Score]]:
    """{seed: the run and its score} of the runs that were measured so; with `slopes` of those that kept the decay per frame."""
    found = {}
    for record in records:
        entry = record.measured(pool, protocol)
        score = entry.scores.get(metric) if entry else None
        if score is not None and not (slopes and score.per_sequence_slope is None):
            found[record.seed] = record, score
    return found


def level_of(score: Score, slopes: bool) -> float:
    """The average of a score, or with `slopes` its mean change per predicted frame."""
    return float(np.mean(score.per_sequence_slope or ())) if slopes else score.average


def end_of(record: Record, curve: str, points: int | None = None) -> float:
    """The mean of a training curve's last points, a tenth of them by default; NaN where it was not kept."""
    values = record.curve(curve)
    return float(values[-(points or max(1, len(values) // 10)) :].mean()) if len(values) else math.nan
