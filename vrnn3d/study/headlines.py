"""What the results say in one sentence each, for the first screen of the book: computed from the records, never typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vrnn3d.study import paper, scales
from vrnn3d.study.compare import black_spread
from vrnn3d.study.records import Record
from vrnn3d.study.verdicts import Verdict

_COUNTED = ("reproduced", "contradicted", "undecided", "not run")
_OURS, _POOL, _PROTOCOL = "vrnn3d_kl_ll", "test", "10->10"
_NOTHING = ("black", "pixel_mean", "copy_last")


def state(verdicts: Sequence[Verdict]) -> str:
    """How many of the claims came out how, and at which scales they were judged."""
    counts = [(sum(v.outcome == word for v in verdicts), word) for word in _COUNTED]
    told = ", ".join(f"{number} {word}" for number, word in counts if number)
    judged = sorted({v.scale for v in verdicts if v.scale})
    at = f", judged at {' and '.join(judged)}" if judged else ""
    return f"Of the paper's {len(verdicts)} claims: {told}{at}."


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
    text = f"At {where} the paper's model comes to {ours:.0f}% of the error of a black frame (the paper: {printed:.0f}%)"
    if best == _OURS:
        return f"{text}, the lowest of the {len(measured)} systems trained so far."
    lowest = f"{scales.title_of(best)} with {measured[best]:.0f}%"
    return f"{text}; the lowest of the {len(measured)} systems trained so far is {lowest}."
