"""Is one system better than another? Paired differences with their uncertainties, and spreads over seeds.

Two uncertainties are kept apart. That of the *test set* is the bootstrap over test sequences, of the mean over seeds:
would other test sequences say the same? That of the *training* is Student's interval over seeds: would another training
say the same? With three seeds the second is wide, as it should be. One or two seeds hardly tell; there the spread comes from
all experiments of that scale that were trained with several seeds (:class:`TrainingNoise`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vrnn3d.evaluation.metrics import METRICS, bootstrap
from vrnn3d.evaluation.scores import Score
from vrnn3d.study import paper
from vrnn3d.study.records import Record

BETTER, WORSE, UNDECIDED, NOT_RUN = "better", "worse", "undecided", "not run"
#: What per-sequence values can be compared: those of the metric itself, or their decay per predicted frame.
VALUES = ("per_sequence", "per_sequence_slope")

Interval = tuple[float, float]


# --- paired differences -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """Ours minus theirs in one quantity. Both intervals are at 95%.

    Seeds that both sides were trained with are paired, since they share the order of the data, the masks and the noise;
    so are the test sequences.
    """

    quantity: str  #: what is compared, with its unit: "MSE of a frame"
    larger_is_better: bool
    ours: float  #: mean over the seeds compared
    theirs: float
    seeds: tuple[int, ...]  #: that both sides have; () where they share none, and then all of each are averaged
    by_seed: tuple[float, ...]  #: the difference of each of them
    test_interval: Interval | None  #: over test sequences; None where no value of each sequence was kept
    seed_interval: Interval | None  #: over seeds; None below two shared seeds, unless it is borrowed
    borrowed: bool = False  #: whether, below three seeds, it comes from how far apart the seeds of all experiments are
    trained: tuple[int, int] | None = None  #: training sequences of ours and theirs, where these are not as many
    precision: tuple[str, str] | None = None  #: in which ours and theirs were trained, where it is not the same
    freedom: float = math.inf  #: degrees of freedom of the interval over seeds

    @property
    def estimate(self) -> float:
        """Ours minus theirs, mean over the seeds."""
        return self.ours - self.theirs

    @property
    def outcome(self) -> str:
        """ "better" or "worse" where every interval that there is leaves out zero on that side, else "undecided"."""
        intervals = [i for i in (self.test_interval, self.seed_interval) if i is not None]
        above = bool(intervals) and all(low > 0 for low, _ in intervals)
        below = bool(intervals) and all(high < 0 for _, high in intervals)
        if not (above or below):
            return UNDECIDED
        return BETTER if above == self.larger_is_better else WORSE

    @property
    def p_value(self) -> float:
        """Two-sided p-value of no difference: the larger of that over test sequences and that over seeds, which both must be
        small. 1 where there is no interval over seeds.

        That over test sequences takes the bootstrap for a normal distribution.
        """
        if self.seed_interval is None:
            return 1.0
        over_seeds = _p_value(self.estimate, self.seed_interval, self.freedom)
        return over_seeds if self.test_interval is None else max(over_seeds, _p_value(self.estimate, self.test_interval))

    def rules_out(self, share: float) -> bool | None:
        """Whether a change as large as that share of theirs, as -0.06, is ruled out: every interval ends short of it.

        None where an interval is missing.
        """
        intervals = (self.test_interval, self.seed_interval)
        if None in intervals:
            return None
        size = share * self.theirs
        return all(high < size if size > 0 else low > size for low, high in filter(None, intervals))

    def reversed(self) -> Comparison:
        """Theirs minus ours."""
        return dataclasses.replace(
            self,
            ours=self.theirs,
            theirs=self.ours,
            by_seed=tuple(-x for x in self.by_seed),
            test_interval=_negated(self.test_interval),
            seed_interval=_negated(self.seed_interval),
            trained=self.trained and self.trained[::-1],
            precision=self.precision and self.precision[::-1],
        )


def _p_value(difference: float, interval: Interval, freedom: float = math.inf) -> float:
    """Student's two-sided p-value of a difference with that 95% interval."""
    from scipy.stats import t

    error = (interval[1] - interval[0]) / 2 / t.ppf(0.975, freedom)
    if error == 0:
        return float(difference == 0)
    return float(2 * t.sf(abs(difference) / error, freedom))


def _negated(interval: Interval | None) -> Interval | None:
    return None if interval is None else (-interval[1], -interval[0])


def compare_runs(
    ours: Sequence[Record],
    theirs: Sequence[Record],
    protocol: str = "10->10",
    metric: str = "mse",
    pool: str = "test",
    values: str = "per_sequence",
    others: Iterable[Record] = (),
) -> Comparison | None:
    """Compare the runs of one experiment with those of another on the same test sequences; None where not measured.

    Args:
        ours, theirs: the runs of one experiment each, one for every seed.
        protocol: "10->10".
        metric: a name in ``metrics.METRICS``, which says whether more of it is better.
        pool: which test set, a key of the records' evaluation.
        values: "per_sequence", or "per_sequence_slope", the decay per predicted frame, which long predictions keep.
        others: further runs, for a comparison of fewer than three seeds: those of the same profile and test sequences say how
            far apart trainings are that differ in their seed alone.

    Raises:
        ValueError: when the two were measured on different test sequences, or for unknown `values`.
    """
    if values not in VALUES:
        raise ValueError(f"no per-sequence values {values!r}; there are: {', '.join(VALUES)}")
    slopes = values == "per_sequence_slope"
    sides = [_measured(records, protocol, metric, pool, slopes) for records in (ours, theirs)]
    if not all(sides):
        return None
    seeds = sorted(sides[0].keys() & sides[1].keys())
    chosen = [[side[seed] for seed in seeds or sorted(side)] for side in sides]
    _require_one_test_set([record for side in chosen for record, _ in side])
    scores = [[score for _, score in side] for side in chosen]
    label = METRICS[metric].label or metric
    compared = _compared(
        f"slope of {label} per frame" if slopes else label,
        METRICS[metric].larger_is_better,
        [[_level(score, slopes) for score in side] for side in scores],
        seeds,
        _test_interval(*([getattr(score, values) for score in side] for side in scores)),
        training_noise(_like(ours[0], others), protocol, metric, pool, slopes) if len(seeds) < 3 else None,
    )
    lengths = tuple(max(record.training.sequences for record, _ in side) for side in chosen)
    kinds = tuple(" and ".join(sorted({record.training.precision for record, _ in side})) for side in chosen)
    return dataclasses.replace(compared, trained=_unequal(lengths), precision=_unequal(kinds))


def _unequal(pair: tuple[Any, ...]) -> Any:
    """A pair, where its parts are not the same."""
    return pair if pair[0] != pair[1] else None


def rules_out_paper(comparison: Comparison | None, before: str, after: str) -> bool | None:
    """Whether runs rule out a change as large as that between two rows of the paper, in percent of the error before it.

    None where the paper prints no such change, or the runs cannot tell.
    """
    share = paper.change(before, after)
    return None if share is None or comparison is None else comparison.rules_out(share)


@dataclass(frozen=True)
class TrainingNoise:
    """How far trainings that differ in their seed alone are apart in one quantity, pooled over experiments."""

    std: float  #: standard deviation of one training
    freedom: int  #: degrees of freedom: seeds beyond the first of each experiment

    def interval(self, difference: float, ours: int, theirs: int) -> Interval:
        """Student's 95% interval of the difference between two experiments, of so many trainings each."""
        from scipy.stats import t

        half = t.ppf(0.975, self.freedom) * math.sqrt(1 / ours + 1 / theirs) * self.std
        return float(difference - half), float(difference + half)


def training_noise(
    records: Iterable[Record], protocol: str = "10->10", metric: str = "mse", pool: str = "test", slopes: bool = False
) -> TrainingNoise | None:
    """The noise of runs of one scale; None where no experiment among them has several seeds.

    How far samples vary is told by models that sample: the zeros of the others say nothing of it.
    """
    levels: dict[str, dict[int, float]] = {}
    for record in records:
        entry = record.measured(pool, protocol)
        if metric == "sample_variance" and entry is not None and entry.samples == 1:
            continue
        for seed, (_, score) in _measured([record], protocol, metric, pool, slopes).items():
            levels.setdefault(record.config_hash, {})[seed] = _level(score, slopes)
    several = [list(by_seed.values()) for by_seed in levels.values() if len(by_seed) > 1]
    freedom = sum(len(each) - 1 for each in several)
    if not freedom:
        return None
    squares = sum(float(np.var(each)) * len(each) for each in several)
    return TrainingNoise(math.sqrt(squares / freedom), freedom)


def _like(run: Record, others: Iterable[Record]) -> list[Record]:
    """The finished runs of a run's profile that were measured on the same test sequences."""
    same = (r for r in others if r.profile == run.profile and r.finished and r.evaluation)
    return [r for r in same if _test_set(r) == _test_set(run)]


def compare_curves(
    ours: Sequence[Record], theirs: Sequence[Record], curve: str, quantity: str, larger_is_better: bool
) -> Comparison | None:
    """Compare the ends of a training curve (:func:`end_of`) by seeds; None where a side has no such curve."""
    sides = [{r.seed: end for r in records if not math.isnan(end := end_of(r, curve))} for records in (ours, theirs)]
    if not all(sides):
        return None
    seeds = sorted(sides[0].keys() & sides[1].keys())
    levels = [[side[seed] for seed in seeds or sorted(side)] for side in sides]
    return _compared(quantity, larger_is_better, levels, seeds, None)


def end_of(record: Record, curve: str) -> float:
    """Mean of a training curve over its last tenth; NaN where it was not kept."""
    values = record.curve(curve)
    return float(values[-max(1, len(values) // 10) :].mean()) if len(values) else math.nan


def _measured(
    records: Sequence[Record], protocol: str, metric: str, pool: str, slopes: bool
) -> dict[int, tuple[Record, Score]]:
    """{seed: the run and its score} of the runs that were measured so."""
    found = {}
    for record in records:
        entry = record.measured(pool, protocol)
        score = entry.scores.get(metric) if entry else None
        if score is not None and not (slopes and score.per_sequence_slope is None):
            found[record.seed] = record, score
    return found


def _level(score: Score, slopes: bool) -> float:
    return float(np.mean(score.per_sequence_slope or ())) if slopes else score.average


def _test_interval(ours: list[tuple[float, ...] | None], theirs: list[tuple[float, ...] | None]) -> Interval | None:
    """95% bootstrap over test sequences of the difference of the means over seeds; None where values are missing."""
    kept = [[one for one in side if one is not None] for side in (ours, theirs)]
    if not all(kept):
        return None
    if len({len(one) for side in kept for one in side}) > 1:
        raise ValueError("the runs were measured on different numbers of test sequences, so they cannot be paired")
    a, b = (np.mean(side, axis=0) for side in kept)
    low, high = bootstrap(a - b)
    return float(low), float(high)


def _compared(
    quantity: str,
    larger_is_better: bool,
    levels: Sequence[Sequence[float]],
    seeds: Sequence[int],
    test_interval: Interval | None,
    noise: TrainingNoise | None = None,
) -> Comparison:
    by_seed = tuple(a - b for a, b in zip(*levels, strict=True)) if seeds else ()
    ours, theirs = (float(np.mean(side)) for side in levels)
    over_seeds = noise.interval(ours - theirs, *map(len, levels)) if noise else seed_interval(by_seed)
    return Comparison(
        quantity,
        larger_is_better,
        ours,
        theirs,
        tuple(seeds),
        by_seed,
        test_interval,
        over_seeds,
        borrowed=noise is not None,
        freedom=noise.freedom if noise else len(by_seed) - 1,
    )


def seed_interval(values: Iterable[float]) -> Interval | None:
    """Student's 95% interval of the mean of a few seeds' values; None for fewer than two."""
    from scipy.stats import t

    values = np.asarray(list(values), float)
    n = len(values)
    if n < 2:
        return None
    half = t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n)
    return float(values.mean() - half), float(values.mean() + half)


#: Settings of a data set that decide its training sequences and not those of the test.
_TRAINING_ONLY = ("train_pool", "test_pools", "online", "length", "sequences", "augment")


def _test_set(record: Record) -> dict[str, Any]:
    """What decides which test sequences a run was measured on."""
    data = record.config.data
    settings = {f.name: getattr(data, f.name) for f in dataclasses.fields(data) if f.name not in _TRAINING_ONLY}
    # Which clips of KTH a machine holds is no setting, and decides the windows all the same.
    clips = record.data_name if data.NAME == "kth" else ""
    return settings | {"name": data.NAME, "clips": clips}


def _require_one_test_set(records: Sequence[Record]) -> None:
    for other in records[1:]:
        if _test_set(other) != _test_set(records[0]):
            raise ValueError(
                f"{records[0].name} and {other.name} were measured on different test sequences, so their difference"
                " cannot be paired"
            )


# --- in words ---------------------------------------------------------------------------------------------------------


_MINUS = "\N{MINUS SIGN}"


def number(value: float) -> str:
    """A number to four digits, with a proper minus."""
    return (f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}").replace("-", _MINUS)


def signed(value: float) -> str:
    """A difference with its sign, to three digits, with a proper minus."""
    return (f"{value:+,.0f}" if abs(value) >= 1000 else f"{value:+.3g}").replace("-", _MINUS)


def percent(share: float) -> str:
    """A relative change in percent with its sign, in two digits below ten and else whole, with a proper minus."""
    return f"{100 * share:+.{0 if abs(share) >= 0.1 else 1}f}%".replace("-", _MINUS)


def listed(names: Sequence[str]) -> str:
    """ "a", "a and b", "a; b and c", for a sentence; the names may hold commas."""
    return "; ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


def describe(comparison: Comparison) -> str:
    """The difference with both of its intervals, in words."""
    parts = []
    if comparison.test_interval is not None:
        parts.append(f"95% over test sequences: {_span(comparison.test_interval)}")
    count = len(comparison.seeds)
    seeds = "one seed" if count == 1 else f"{count} seeds" if count else "no seed in common"
    if comparison.seed_interval is not None:
        over = f"{seeds}, by the spread of all" if comparison.borrowed else f"over {seeds}"
        parts.append(f"{over}: {_span(comparison.seed_interval)}")
    else:
        parts.append(seeds)
    if comparison.trained:
        parts.append("trained on {:,} against {:,} sequences".format(*comparison.trained))
    if comparison.precision:
        parts.append("trained in {} against {}".format(*comparison.precision))
    return f"{signed(comparison.estimate)} ({'; '.join(parts)})"


def _span(interval: Interval) -> str:
    return f"{signed(interval[0])} to {signed(interval[1])}"


# --- spread over seeds ------------------------------------------------------------------------------------------------


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
