"""How far trainings are apart that differ in their seed alone: of one experiment, and pooled over all of a scale."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

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
    from scipy.stats import t

    values = np.asarray(list(values), float)
    n = len(values)
    if n < 2:
        return None
    half = t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n)
    return float(values.mean() - half), float(values.mean() + half)


def student(freedom: float) -> float:
    """How many standard errors a 95% interval reaches to either side."""
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))


# --- pooled -----------------------------------------------------------------------------------------------------------


#: Metrics of which trainings spread in proportion: their levels differ by orders of magnitude between experiments.
_IN_PROPORTION = ("sample_variance",)
#: Below this p-value of Bartlett's test, spreads over seeds are not alike.
_UNLIKE = 0.05


@dataclass(frozen=True)
class TrainingNoise:
    """How far trainings that differ in their seed alone are apart in one quantity, pooled over experiments."""

    std: float  #: standard deviation of one training; in proportion to its level where `relative`
    freedom: int  #: degrees of freedom: seeds beyond the first of each experiment
    relative: bool = False
    alike: bool = True  #: whether the experiments spread alike, by Bartlett's test

    def interval(self, ours: Sequence[float], theirs: Sequence[float]) -> Interval:
        """Student's 95% interval of the difference between two experiments, from the levels of the trainings of each."""
        means = [float(np.mean(side)) for side in (ours, theirs)]
        unit = [abs(mean) if self.relative else 1.0 for mean in means]
        error = self.std * math.hypot(unit[0] / math.sqrt(len(ours)), unit[1] / math.sqrt(len(theirs)))
        half = student(self.freedom) * error
        return means[0] - means[1] - half, means[0] - means[1] + half


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
    several = [list(by_seed.values()) for by_seed in levels.values() if len(by_seed) > 1]
    freedom = sum(len(each) - 1 for each in several)
    if not freedom:
        return None
    squares = sum(float(np.var(each)) * len(each) for each in several)
    return TrainingNoise(math.sqrt(squares / freedom), freedom, relative, _alike(several))


def _alike(samples: Sequence[Sequence[float]]) -> bool:
    from scipy.stats import bartlett

    spread_out = [each for each in samples if np.var(each) > 0]
    return len(spread_out) < 2 or bool(bartlett(*spread_out).pvalue >= _UNLIKE)


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


def end_of(record: Record, curve: str) -> float:
    """Mean of a training curve over its last tenth; NaN where it was not kept."""
    values = record.curve(curve)
    return float(values[-max(1, len(values) // 10) :].mean()) if len(values) else math.nan
