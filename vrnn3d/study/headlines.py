"""What the results say in one sentence each, for the first screen of the book: computed from the records, never typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vrnn3d.evaluation.protocols import frames_of
from vrnn3d.study import paper, scales
from vrnn3d.study.catalogue import names
from vrnn3d.study.records import Record
from vrnn3d.study.spread import black_spread
from vrnn3d.study.tables import System
from vrnn3d.study.tables import systems as systems_at
from vrnn3d.study.verdicts import COUNTED, Verdict, tally
from vrnn3d.study.wording import listed

_COUNTED = ("reproduced", "contradicted", "undecided", "not run")
_OURS, _POOL, _PROTOCOL = "vrnn3d_kl_ll", "test", "10->10"


def state(verdicts: Sequence[Verdict]) -> str:
    """How many of the claims came out how, which of them are decided, and at which scales they were judged."""
    told = ", ".join(filter(None, (_count([v for v in verdicts if v.outcome == word], word) for word in _COUNTED)))
    by_scale: dict[str, list[str]] = {}
    for v in verdicts:
        if v.scale:
            by_scale.setdefault(v.scale, []).append(v.claim)
    judged = [
        f"{', '.join(claims)} {'by counting' if scale == COUNTED else f'at {scale}'}" for scale, claims in by_scale.items()
    ]
    at = f" Judged so far: {'; '.join(judged)}." if judged else ""
    return f"Of {len(verdicts)} claims that we took from the paper: {told}.{at}"


def _count(of: Sequence[Verdict], word: str) -> str:
    """How many came out so, and which, where that is an answer: "1 reproduced (C7: a truncated encoder)"; "" for none."""
    if not of:
        return ""
    names = "; ".join(f"{v.claim}: {paper.CLAIMS[v.claim].short}" for v in of if not v.open)
    return f"{len(of)} {word}" + f" ({names})" * bool(names)


#: The paper's tables, each with the claim that rests on it.
_TABLES = {"Table 1, Moving MNIST": "C1", "Table 2, KTH": "C5", "Table 3, ablation": "C3"}


def tables(verdicts: Sequence[Verdict]) -> list[dict[str, str]]:
    """Does each of the paper's tables reproduce, at which scale, and how sure is that? One row for each table."""
    by_claim = {v.claim: v for v in verdicts}
    return [
        {
            "of the paper": f"{table}: {by_claim[claim].text}",
            "so far": by_claim[claim].outcome,
            "how sure": how_sure(by_claim[claim]),
        }
        for table, claim in _TABLES.items()
    ]


def how_sure(verdict: Verdict) -> str:
    """At which scale a verdict was reached, how the comparisons behind it came out, and how many seeds they rest on."""
    seeds = seeds_of(verdict)
    return f"{verdict.scale}: {tally(verdict.comparisons)}; {seeds}" if seeds else "nothing measured"


def seeds_of(verdict: Verdict) -> str:
    """How many seeds of either side the comparisons behind a verdict rest on: "3 seeds against 1 to 3"; "" for none."""
    known = [each.comparison for each in verdict.comparisons if each.comparison is not None]
    if not known:
        return ""
    ours, theirs = (_range(counts) for counts in zip(*(c.trainings for c in known)))
    text = f"{ours} seed{'s' * (ours != '1')}"
    return text if ours == theirs else f"{text} against {theirs}"


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def systems(records: Iterable[Record], profile: str) -> str:
    """How the paper's model stands at a scale, 10 -> 10, beside the best of the others and the paper's own number."""
    records = list(records)
    found = {name: black_spread(scales.runs_at(records, name, profile), _PROTOCOL, _POOL) for name in paper.ROWS}
    measured = {name: spread.mean for name, spread in found.items() if spread is not None}
    where = scales.words(profile)
    printed = paper.percent_of_black(paper.ROWS[_OURS].scores[_PROTOCOL].mse)
    if _OURS not in measured:
        return (
            f"The paper's model has not been trained at {where} yet; the paper's own number is {printed:.0f}% of a black frame."
        )
    best = min(measured, key=lambda name: measured[name])
    ours = measured[_OURS]
    text = (
        f"At {where} the paper's model comes to {ours:.0f}% of the error of a black frame (the paper's number to {printed:.0f}%"
        " of one measured here, since it prints none)"
    )
    if len(measured) == 1:
        return f"{text}. No other system of the paper has been trained there yet."
    if best == _OURS:
        return f"{text}, the lowest of the {len(measured)} systems of the paper trained so far."
    lowest = f"{scales.title_of(best)}'s, {measured[best]:.0f}%"
    return f"{text}; the lowest error of the {len(measured)} systems of the paper trained there is {lowest}."


def windows(records: Iterable[Record], profile: str) -> str:
    """The window and horizon of Figure 6 with the lowest error at a scale beside that with the highest, 10 -> 10."""
    found = systems_at(records, names("windows"), profile, _PROTOCOL, _POOL)
    shares = [(row.title, row.percent_of_black.mean) for row in found if row.percent_of_black is not None]
    if len(shares) < 2:
        return f"At {scales.words(profile)} no two windows have been trained yet"
    (low, least), (high, most) = shares[0], shares[-1]
    return (
        f"At {scales.words(profile)}, one seed each, trained on contexts of ten alone, the paper's network comes to"
        f" {least:.0f}% of the error of a black frame with {low}, and to {most:.0f}% with {high}, the lowest and the highest"
        f" of the {len(shares)} windows trained so far"
    )


def window_notes(runs: Iterable[Record], protocol: str) -> list[str]:
    """How the steps of a window and horizon divide the frames, where it shows in the curve of a run; one sentence each."""
    context, ahead = frames_of(protocol)
    notes = []
    for run in runs:
        window, horizon = run.config.model.window, run.config.model.horizon
        # Steps begin every H frames from the first, so the one that predicts the first new frame may begin before it.
        if unseen := (context - window) % horizon:
            blind, last = horizon - unseen, context - unseen
            first = "prediction belongs" if blind == 1 else f"{blind} predictions belong"
            left_out = "frame" if unseen == 1 else f"{unseen} frames"
            note = (
                f"With {run.title} the steps do not end where the {context} given frames end: the first {first}"
                f" to a step that reads frames {last - window + 1} to {last}, without the last {left_out} given"
            )
            entry = run.measured(_POOL, protocol)
            if entry is not None and blind < ahead:
                before, after = entry.scores["mse"].per_frame[blind - 1 : blind + 1]
                if after < before:
                    note += f"; the MSE falls from {before:.1f} at frame {context + blind} to {after:.1f} at the next"
            notes.append(f"{note}.")
        if context + horizon == run.config.data.length < context + ahead:
            notes.append(
                f"With {run.title} the first step ends where the training sequences end: from frame {context + horizon + 1} on"
                " the network sees frames of its own, which it never did in training."
            )
    return notes


def training_lengths(systems: Sequence[System]) -> str:
    """On how many sequences systems were trained: the number that most of them have, then those that differ; "" for none.

    What has no training, such as a black frame, is left out; what has its number in its title needs no other word of it.
    """
    trained = [system for system in systems if system.updates]
    lengths = [system.sequences for system in trained]
    if not lengths:
        return ""
    usual = max(lengths, key=lambda length: (lengths.count(length), length))
    ordered = sorted(trained, key=lambda system: system.sequences)
    titles = {system.title: f"{system.sequences:,}" for system in ordered if system.sequences != usual}
    others = [f"{title} ({length})" for title, length in titles.items() if length not in title]
    exceptions = f", except {listed(others)}" if others else ""
    named = " unless its name says otherwise" if len(others) < len(titles) else ""
    return f"Each was trained on {usual:,} sequences{named}{exceptions}."
