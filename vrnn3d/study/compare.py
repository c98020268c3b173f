"""Is one system better than another? Paired differences with their uncertainties.

Two uncertainties are measured apart. That of the *test set* is the bootstrap over test sequences, of the mean over seeds:
would other test sequences say the same? That of the *training* comes from the spread over seeds: would another training say
the same? A few seeds of two systems hardly tell, so all experiments of that scale that were trained with several seeds have a
say (:class:`vrnn3d.study.spread.TrainingNoise`). The two are independent, so that they add as variances; what is better or
worse is decided by both together (:attr:`Comparison.interval`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vrnn3d.evaluation.metrics import METRICS, bootstrap
from vrnn3d.study import paper
from vrnn3d.study.records import Record
from vrnn3d.study.spread import Interval, Variance, added, end_of, level_of, scored, seed_interval, student, training_noise
from vrnn3d.study.wording import signed

BETTER, WORSE, UNDECIDED = "better", "worse", "undecided"
#: What per-sequence values can be compared: those of the metric itself, or their decay per predicted frame.
VALUES = ("per_sequence", "per_sequence_slope")


@dataclass(frozen=True)
class Comparison:
    """Ours minus theirs in one quantity. All intervals are at 95%. Test sequences are paired."""

    quantity: str  #: what is compared, with its unit: "MSE of a frame"
    larger_is_better: bool
    ours: float  #: mean over the seeds compared
    theirs: float
    seeds: tuple[int, ...]  #: that both sides have
    by_seed: tuple[float, ...]  #: the difference of each of them
    test_interval: Interval | None  #: over test sequences; None where no value of each sequence was kept
    seed_interval: Interval | None  #: over trainings; None where nothing tells how far they spread
    pooled: bool = False  #: whether all experiments that have several seeds have a say in how far these spread
    trainings: tuple[int, int] = (1, 1)  #: how many of ours and theirs were averaged
    trained: tuple[int, int] | None = None  #: training sequences of ours and theirs, where these are not as many
    precision: tuple[str, str] | None = None  #: in which ours and theirs were trained, where it is not the same
    freedom: float = math.inf  #: degrees of freedom of the interval over seeds

    @property
    def estimate(self) -> float:
        """Ours minus theirs, mean over the seeds."""
        return self.ours - self.theirs

    @property
    def interval(self) -> Interval | None:
        """95% interval of the difference over other test sequences and trainings; None where nothing tells of the latter."""
        if self.seed_interval is None:
            return None
        error, freedom = self._error()
        half = student(freedom) * error
        return self.estimate - half, self.estimate + half

    @property
    def outcome(self) -> str:
        """ "better" or "worse" where the interval leaves out zero on that side, else, or where there is none, "undecided"."""
        return self._side(self.interval)

    @property
    def outcome_over_test(self) -> str:
        """The same of these trainings alone, whatever others would give: by the interval over test sequences."""
        return self._side(self.test_interval)

    def _side(self, interval: Interval | None) -> str:
        if interval is None or interval[0] <= 0 <= interval[1]:
            return UNDECIDED
        return BETTER if (interval[0] > 0) == self.larger_is_better else WORSE

    @property
    def p_value(self) -> float:
        """Two-sided p-value of no difference over other test sequences and trainings; 1 where nothing tells of the latter."""
        from scipy.stats import t

        if self.seed_interval is None:
            return 1.0
        error, freedom = self._error()
        return float(2 * t.sf(abs(self.estimate) / error, freedom)) if error else float(self.estimate == 0)

    def _error(self) -> tuple[float, float]:
        """Standard error of the difference, and its degrees of freedom by Welch and Satterthwaite; that over test sequences has
        so many that it counts as known.
        """
        over_test = _half(self.test_interval) / student(math.inf)
        over_seeds = _half(self.seed_interval) / student(self.freedom)
        both = math.hypot(over_test, over_seeds)
        return both, self.freedom * (both / over_seeds) ** 4 if over_seeds else math.inf

    def rules_out(self, share: float) -> bool | None:
        """Whether a change as large as that share of theirs, as -0.06, is ruled out: the interval ends short of it.

        None where there is no interval.
        """
        if self.interval is None:
            return None
        (low, high), size = self.interval, share * self.theirs
        return high < size if size > 0 else low > size

    def reversed(self) -> Comparison:
        """Theirs minus ours."""
        return dataclasses.replace(
            self,
            ours=self.theirs,
            theirs=self.ours,
            by_seed=tuple(-x for x in self.by_seed),
            test_interval=_negated(self.test_interval),
            seed_interval=_negated(self.seed_interval),
            trainings=self.trainings[::-1],
            trained=self.trained and self.trained[::-1],
            precision=self.precision and self.precision[::-1],
        )


def _half(interval: Interval | None) -> float:
    return 0.0 if interval is None else (interval[1] - interval[0]) / 2


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
        others: further runs: those of the same profile and test sequences say how far apart trainings are that differ in their
            seed alone. Without any, the differences of shared seeds do.

    Raises:
        ValueError: when the two were measured on different test sequences, or for unknown `values`.
    """
    if values not in VALUES:
        raise ValueError(f"no per-sequence values {values!r}; there are: {', '.join(VALUES)}")
    slopes = values == "per_sequence_slope"
    sides = [scored(records, protocol, metric, pool, slopes) for records in (ours, theirs)]
    if not all(sides):
        return None
    seeds = sorted(sides[0].keys() & sides[1].keys())
    noise = training_noise(_like(ours[0], others), protocol, metric, pool, slopes)
    chosen = [[side[seed] for seed in (sorted(side) if noise else seeds or sorted(side))] for side in sides]
    _require_one_test_set([record for side in chosen for record, _ in side])
    scores = [[score for _, score in side] for side in chosen]
    label = METRICS[metric].label or metric
    errors = noise and [
        noise.error(side[0][0].config_hash, [level_of(score, slopes) for score in these]) for side, these in zip(chosen, scores)
    ]
    compared = _compared(
        f"slope of {label} per frame" if slopes else label,
        METRICS[metric].larger_is_better,
        [[level_of(score, slopes) for score in side] for side in scores],
        seeds,
        tuple(level_of(sides[0][s][1], slopes) - level_of(sides[1][s][1], slopes) for s in seeds),
        _test_interval(*([getattr(score, values) for score in side] for side in scores)),
        added(errors) if errors else None,
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


def compare_curves(
    ours: Sequence[Record], theirs: Sequence[Record], curve: str, quantity: str, larger_is_better: bool
) -> Comparison | None:
    """Compare the ends of a training curve (:func:`end_of`) by shared seeds; None where a side has no such curve."""
    sides = [{r.seed: end for r in records if not math.isnan(end := end_of(r, curve))} for records in (ours, theirs)]
    if not all(sides):
        return None
    seeds = sorted(sides[0].keys() & sides[1].keys())
    levels = [[side[seed] for seed in seeds or sorted(side)] for side in sides]
    return _compared(quantity, larger_is_better, levels, seeds, tuple(sides[0][s] - sides[1][s] for s in seeds), None)


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
    by_seed: tuple[float, ...],
    test_interval: Interval | None,
    error: Variance | None = None,
) -> Comparison:
    """A comparison; `error` is the square of its standard error over trainings, where others than these tell it."""
    ours, theirs = (float(np.mean(side)) for side in levels)
    half = student(error.freedom) * math.sqrt(error.value) if error else 0.0
    return Comparison(
        quantity,
        larger_is_better,
        ours,
        theirs,
        tuple(seeds),
        by_seed,
        test_interval,
        (ours - theirs - half, ours - theirs + half) if error else seed_interval(by_seed),
        pooled=error is not None,
        trainings=(len(levels[0]), len(levels[1])),
        freedom=error.freedom if error else len(by_seed) - 1,
    )


def _like(run: Record, others: Iterable[Record]) -> list[Record]:
    """The usable runs of a run's profile that were measured on the same test sequences."""
    same = (r for r in others if r.profile == run.profile and r.usable)
    return [r for r in same if _test_set(r) == _test_set(run)]


#: Settings of a data set that decide its training sequences and not those of the test.
_TRAINING_ONLY = ("train_pool", "test_pools", "online", "length", "sequences", "augment")


def _test_set(record: Record) -> dict[str, Any]:
    """What decides which test sequences a run was measured on."""
    data = record.config.data
    settings = {f.name: getattr(data, f.name) for f in dataclasses.fields(data) if f.name not in _TRAINING_ONLY}
    # Which clips a machine holds, of KTH or of a user, is no setting, and decides the windows all the same.
    clips = (record.data_name, record.data.identity) if data.NAME in ("kth", "video") else ()
    longest = max(map(sum, record.config.eval.protocols), default=0) if clips else 0  # as long are all windows
    return settings | {"name": data.NAME, "clips": clips, "longest": longest}


def _require_one_test_set(records: Sequence[Record]) -> None:
    for other in records[1:]:
        if _test_set(other) != _test_set(records[0]):
            raise ValueError(
                f"{records[0].name} and {other.name} were measured on different test sequences, so their difference"
                " cannot be paired"
            )


def describe(comparison: Comparison) -> str:
    """The difference with its intervals at 95%, in words: both together, then each alone."""
    both, over_test, over_seeds = comparison.interval, comparison.test_interval, comparison.seed_interval
    seeds, spans = seeds_in_words(comparison), []
    if both is not None and over_test is not None:
        spans.append(_span(both))
    if over_test is not None:
        spans.append(f"over test sequences {_span(over_test)}")
    if over_seeds is not None:
        spans.append(f"over {seeds}{' with the spread of all' * comparison.pooled} {_span(over_seeds)}")
    parts = [f"95%: {'; '.join(spans)}"] if spans else []
    if over_seeds is None:
        parts.append(seeds)
    if comparison.trained:
        parts.append("trained on {:,} against {:,} sequences".format(*comparison.trained))
    if comparison.precision:
        parts.append("trained in {} against {}".format(*comparison.precision))
    return f"{signed(comparison.estimate)} ({'; '.join(parts)})"


def seeds_in_words(comparison: Comparison) -> str:
    """On how many trainings of either side a comparison rests: "3 seeds", "3 seeds against one"."""
    ours, theirs = (str(count) if count > 1 else "one" for count in comparison.trainings)
    several = f"{ours} seed{'s' * (ours != 'one')}"
    return several if ours == theirs else f"{several} against {theirs}"


def _span(interval: Interval) -> str:
    return f"{signed(interval[0])} to {signed(interval[1])}"
