"""What the analyses say: the rows of the table, which scores put the oracle first, and how runs differ from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vrnn3d.evaluation.metrics import METRICS, bootstrap
from vrnn3d.evaluation.scores import Evaluation
from vrnn3d.study.catalogue import names
from vrnn3d.study.chance.calibration import Calibration, index_of
from vrnn3d.study.chance.probe import CEILING
from vrnn3d.study.chance.record import FRAMES, ORACLE, TITLES, Analysis, read_runs
from vrnn3d.study.records import Record
from vrnn3d.study.scales import runs_at, title_of
from vrnn3d.study.spread import Spread, spread

#: The test set of every run of the group: held-out digits.
POOL = "test"


@dataclass(frozen=True)
class Question:
    """A number that forecasters can be ranked by."""

    metric: str
    statistic: str  #: "average", "best" or "mean_frame"
    label: str
    in_the_paper: bool = False

    @property
    def larger_is_better(self) -> bool:
        """Whether more of it is better."""
        return METRICS[self.metric].larger_is_better


QUESTIONS = (
    Question("mse", "average", "average MSE", in_the_paper=True),
    Question("ssim", "average", "average SSIM", in_the_paper=True),
    Question("psnr", "average", "average PSNR (dB)"),
    Question("mse", "best", "MSE of the best sample"),
    Question("ssim", "best", "SSIM of the best sample"),
    Question("mse", "mean_frame", "MSE of the mean frame"),
    Question("ssim", "mean_frame", "SSIM of the mean frame"),
    Question("crps", "average", "CRPS"),
)


@dataclass(frozen=True)
class Row:
    """A forecaster: scores by (metric, statistic), over the seeds of a run; NaN where one was not measured."""

    name: str
    title: str
    seeds: tuple[int, ...]
    samples: int
    scores: dict[tuple[str, str], Spread | None]
    interval: dict[str, tuple[float, float]]  #: 95% over test sequences of each metric's average, seed 0 or the oracle
    of_sequences: dict[str, np.ndarray]  #: each metric's average of every test sequence, mean over seeds, where it was kept

    def mean(self, question: Question) -> float:
        """A score, averaged over seeds; NaN where it was not measured."""
        found = self.scores.get((question.metric, question.statistic))
        return math.nan if found is None else found.mean


def _row(name: str, title: str, entries: Mapping[int, Evaluation]) -> Row:
    first = next(iter(entries.values()))
    wanted = [(q.metric, q.statistic) for q in QUESTIONS] + [("sample_variance", "average")]
    values = {
        (metric, statistic): spread({seed: _value(entry, metric, statistic) for seed, entry in entries.items()})
        for metric, statistic in wanted
    }
    intervals = {metric: score.interval for metric, score in first.scores.items()}
    kept = {
        metric: [one for entry in entries.values() if (one := entry.scores[metric].per_sequence) is not None]
        for metric in first.scores
    }
    sequences = {metric: np.mean(each, 0) for metric, each in kept.items() if len(each) == len(entries)}
    return Row(name, title, tuple(entries), first.samples, values, intervals, sequences)


def _value(entry: Evaluation, metric: str, statistic: str) -> float:
    value = getattr(entry.scores[metric], statistic) if metric in entry.scores else None
    return math.nan if value is None else value


def oracle_rows(oracle: Analysis, protocol: str) -> list[Row]:
    """The oracle, its mean frame, one sample repeated, and black frames."""
    return [_row(name, TITLES[name], {0: found[protocol]}) for name, found in oracle.evaluation.items()]


def model_rows(records: Iterable[Record], profile: str, protocol: str) -> list[Row]:
    """The experiments of the group that have finished runs at a profile."""
    records, found = list(records), []
    for name in names("chance"):
        entries = {r.seed: e for r in runs_at(records, name, profile) if (e := r.measured(POOL, protocol)) is not None}
        if entries:
            found.append(_row(name, title_of(name), entries))
    return found


@dataclass(frozen=True)
class Placing:
    """Who comes first by a score, and where the oracle stands."""

    question: Question
    oracle: float
    best: Row  #: of the other forecasters
    other: float  #: its score
    tied: bool  #: whether the two are level within the 95% interval over test sequences
    measured: bool  #: whether there is such an interval

    @property
    def oracle_first(self) -> bool:
        """Whether the oracle is ahead of all others."""
        better = self.oracle > self.other if self.question.larger_is_better else self.oracle < self.other
        return better and not self.tied

    @property
    def outcome(self) -> str:
        """ "first", "level with ..." or "behind ...", in words, and where no interval tells how surely."""
        unsure = "" if self.measured else " (without an interval)"
        if self.oracle_first:
            return f"first{unsure}"
        return f"{'level with' if self.tied else 'behind'} {self.best.title}{unsure}"


def placings(rows: Sequence[Row]) -> list[Placing]:
    """For each question the best forecaster besides the oracle; rows without a score are left out.

    Where both kept the score of every test sequence, these are paired; else the other's average must lie outside the oracle's
    interval. Only averages over samples have one; of other statistics a tie is an equal number.
    """
    oracle = next(row for row in rows if row.name == ORACLE)
    found = []
    for question in QUESTIONS:
        others = [row for row in rows if row is not oracle and not math.isnan(row.mean(question))]
        if not others or math.isnan(oracle.mean(question)):
            continue
        choose = max if question.larger_is_better else min
        best = choose(others, key=lambda row: row.mean(question))  # noqa: B023 (called at once)
        mine, other = oracle.mean(question), best.mean(question)
        measured = question.statistic == "average"
        tied = _level(oracle, best, question.metric, other) if measured else mine == other
        found.append(Placing(question, mine, best, other, tied, measured))
    return found


def _level(oracle: Row, other: Row, metric: str, average: float) -> bool:
    """Whether other test sequences could turn round who is ahead by the average over samples."""
    pair = [row.of_sequences.get(metric) for row in (oracle, other)]
    if pair[0] is None or pair[1] is None:
        low, high = oracle.interval[metric]
        return low <= average <= high
    low, high = bootstrap(pair[0] - pair[1])
    return bool(low <= 0 <= high)


# --- analyses of runs, over seeds -------------------------------------------------------------------------------------


def analyses(records: Iterable[Record], profile: str) -> dict[str, list[Analysis]]:
    """{experiment: the analyses of its finished runs at a profile}, of those that have one."""
    records = list(records)
    found = {name: read_runs(runs_at(records, name, profile)) for name in names("chance")}
    return {name: each for name, each in found.items() if each}


def pooled(each: Sequence[Analysis], quantity: str) -> Calibration:
    """The rank histogram over all seeds; its noise is that of the first seed."""
    parts = [analysis.calibration[quantity] for analysis in each]
    frequencies = np.mean([part.frequencies for part in parts], 0)
    ranked = sum(part.ranked for part in parts)
    return replace(parts[0], frequencies=tuple(frequencies.tolist()), index=index_of(frequencies), ranked=ranked)


def calibration_spread(each: Sequence[Analysis], quantity: str) -> Spread | None:
    """The calibration index over seeds."""
    return spread({a.seed: a.calibration[quantity].index for a in each if quantity in a.calibration})


def probe_spread(each: Sequence[Analysis], latent: str) -> Spread | None:
    """What a probe found, over seeds, in nats; None for a model without a latent."""
    return spread({a.seed: a.probe[latent].nats for a in each if latent in a.probe})


def share_of_oracle(each: Sequence[Analysis], oracle: Analysis) -> Spread | None:
    """Sample variance after a bounce over the oracle's, which is right, over seeds."""
    assert oracle.spread is not None
    return spread({a.seed: a.spread.after / oracle.spread.after for a in each if a.spread is not None})


def finding(placed: Sequence[Placing]) -> str:
    """Where the scores that the paper reports put the oracle, and which scores put it first, in words."""
    parts = [f"by the {p.question.label} it is {p.outcome}" for p in placed if p.question.in_the_paper]
    firsts = [f"the {p.question.label}" + " (no interval)" * (not p.measured) for p in placed if p.oracle_first]
    return f"{', and '.join(parts)}; it is first by {' and '.join(firsts) or 'none of them'}"


def variance_told(found: Mapping[str, Sequence[Analysis]], oracle: Analysis) -> str:
    """How much of the oracle's variance the samples of models with a latent have after a bounce, in a sentence."""
    shares = {name: share_of_oracle(each, oracle) for name, each in found.items() if "posterior" in each[0].probe}
    told = [f"{title_of(name)} {share.mean:.0%}{_of_one_seed(share)}" for name, share in shares.items() if share]
    if not told:
        return "No model was run."
    return f"The variance of the samples after a bounce, in percent of the true one: {'; '.join(told)}."


def nats_told(found: Mapping[str, Sequence[Analysis]]) -> dict[str, str]:
    """{experiment: its title and the nats found in the posterior's z}, of the models with a latent."""
    spreads = {name: probe_spread(each, "posterior") for name, each in found.items()}
    return {name: f"{title_of(name)} {each.text()}{_of_one_seed(each)}" for name, each in spreads.items() if each}


def _of_one_seed(spread: Spread) -> str:
    return " (one seed)" * (len(spread.seeds) == 1)


def latents_told(found: Mapping[str, Sequence[Analysis]], oracle: Analysis) -> str:
    """What the posterior's z says of the direction after a bounce, beside what the frames say, in a sentence."""
    told = nats_told(found).values()
    if not told:
        return "No model has been trained here yet: what can be said of models is marked “not run”."
    seen = f" {oracle.probe[FRAMES].nats:.2f} of them in the frames themselves, and" if FRAMES in oracle.probe else ""
    return (
        f"There are {CEILING:.2f} nats to be known of the direction after a bounce; a linear probe finds{seen} in the"
        f" posterior's z: {'; '.join(told)}."
    )
