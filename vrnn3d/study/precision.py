"""In which precision runs were trained, and what bfloat16 does to a row of Table 3 that was trained in both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vrnn3d.study.catalogue import PRECISION
from vrnn3d.study.paper import arrow
from vrnn3d.study.records import Record
from vrnn3d.study.scales import runs_at, title_of, words
from vrnn3d.study.spread import seed_spread
from vrnn3d.study.wording import listed

POOL, PROTOCOL = "test", "10->10"


def mixed_precision(records: Iterable[Record], experiments: Iterable[str], profile: str) -> str:
    """Which of several experiments were trained in bfloat16 at a profile, and what that does to a row that has both.

    Empty where all were trained in the same precision, as on a GPU.
    """
    records = list(records)
    found = {name: {run.training.precision for run in runs_at(records, name, profile)} for name in experiments}
    half = [name for name, kinds in found.items() if kinds == {"bfloat16"}]
    partly = [name for name, kinds in found.items() if kinds not in ({"bfloat16"}, {"float32"}, set())]
    if not partly and (not half or not any("float32" in kinds for kinds in found.values())):
        return ""
    how = {"in bfloat16": half, "partly in bfloat16": partly}
    told = "; ".join(f"{listed([title_of(name) for name in of])}: trained {manner}" for manner, of in how.items() if of)
    effect = "; ".join(controls(records, profile)) or "not measured"
    return f"{told}, the others in float32. What that does was {effect}."


def controls(records: Iterable[Record], profile: str) -> Iterator[str]:
    """For each row that was trained in either precision: "measured on ...", the end of a sentence on half precision."""
    records = list(records)
    for row in PRECISION:
        name = row.name.removesuffix("_bfloat16")
        half, whole = (seed_spread(runs_at(records, each, profile), PROTOCOL, "mse", POOL) for each in (row.name, name))
        if half and whole:
            yield (
                f"measured on {title_of(name)}: an MSE of {half.text()} in bfloat16 and of {whole.text()} in"
                f" float32 ({words(profile)}, {arrow(PROTOCOL)}, held-out digits)"
            )
