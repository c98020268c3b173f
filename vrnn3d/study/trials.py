"""What the short half-scale runs say: what the recipe of that study rests on, and what might go beyond the paper."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from vrnn3d.study import profiles
from vrnn3d.study.catalogue import trial_name
from vrnn3d.study.paper import arrow
from vrnn3d.study.records import Record, runs_of
from vrnn3d.study.scales import words
from vrnn3d.study.spread import end_of
from vrnn3d.study.wording import with_minus

PROFILE = "half_short"
_POOL, _PROTOCOL = "test", "10->10"


@dataclass(frozen=True)
class Trial:
    """One change of the recipe and what came of it; numbers are NaN where it was not run."""

    title: str
    mse: float  #: of a frame on held-out digits, 10 -> 10, averaged over samples
    percent: float  #: of a black frame
    difference: float  #: from the recipe, in percent of the recipe's MSE
    validation: float  #: validation MSE at the end, of one sample
    clipped: float  #: percent of the updates of the last tenth whose gradient was bounded
    norm: float  #: mean norm of the gradient over the last tenth
    updates: int
    seconds: float  #: of training
    teraflops: float | None  #: useful operations of the training, 1e12; None where they were not counted


def conditions() -> str:
    """How the numbers of the tables of trials came about, for their captions."""
    evaluation = profiles.get(trial_name("the recipe"), PROFILE).eval
    return (
        f"{words(PROFILE).capitalize()}: {arrow(_PROTOCOL)} on {evaluation.sequences} test sequences of held-out digits,"
        f" {evaluation.samples} samples where stochastic, one seed"
    )


def trials(records: Iterable[Record], changes: Iterable[str], reference: str) -> list[Trial]:
    """A row for each title (of catalogue.RECIPE, IDEAS or RIVAL), in their order, compared with the trial `reference`."""
    records = list(records)
    base = _score(_run(records, reference))
    return [_trial(title, _run(records, title), base) for title in changes]


def rival_in_words(records: Iterable[Record]) -> str:
    """How far PredRNN++ and the 3D VRNN lie apart by the recipe, and what Muon does to either; "" where one was not run."""
    records = list(records)
    apart, rival, ours = (
        _against(records, title, reference)
        for title, reference in (("PredRNN++", "the recipe"), ("PredRNN++, Muon", "PredRNN++"), ("Muon", "the recipe"))
    )
    if math.isnan(apart + rival + ours):
        return ""
    text = (
        f"With the recipe as it is, the error of PredRNN++ differs from that of the 3D VRNN by {apart:+.0f}%; "
        f"Muon changes the former by {rival:+.0f}% and the latter by {ours:+.0f}%. One seed each."
    )
    return with_minus(text)


def _against(records: list[Record], title: str, reference: str) -> float:
    (row,) = trials(records, [title], reference)
    return row.difference


def _run(records: list[Record], title: str) -> Record | None:
    found = runs_of((r for r in records if r.usable), profiles.get(trial_name(title), PROFILE))
    return found[0] if found else None


def _score(run: Record | None) -> float:
    return math.nan if run is None else run.score(_POOL, _PROTOCOL)


def _trial(title: str, run: Record | None, base: float) -> Trial:
    if run is None:
        return Trial(title, *(math.nan,) * 6, updates=0, seconds=math.nan, teraflops=None)
    mse = _score(run)
    return Trial(
        title,
        mse,
        run.percent_of_black(_POOL, _PROTOCOL),
        100 * (mse / base - 1),
        end_of(run, "validation_mse", 1),
        100 * end_of(run, "clipped"),
        end_of(run, "gradient_norm"),
        run.training.updates,
        run.training.seconds,
        run.teraflops,
    )
