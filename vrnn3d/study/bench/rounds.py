"""A benchmark from beginning to end: rounds of all measurements, and the record after each of them.

Rounds are interleaved, so that a machine whose speed drifts slows all rows alike; medians are reported.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Iterator
from typing import Any

from tqdm import tqdm

from vrnn3d.study.bench.counting import counts
from vrnn3d.study.bench.jobs import CEILINGS, BenchSettings, Job, Plan, Request, requests
from vrnn3d.study.bench.measure import Outcome, in_a_process
from vrnn3d.study.bench.record import Bench, Failure, Row
from vrnn3d.study.bench.workload import is_stochastic
from vrnn3d.study.provenance import provenance


def run(plan: Plan, progress: bool = True) -> Iterator[Bench]:
    """Measure what a plan asks for; yields the whole record anew after every round.

    When ``plan.minutes`` are over, the measurement under way is finished and the record so far is the last one.
    """
    about = provenance(plan.device)
    rows = requests(plan, is_stochastic)
    ceilings = [Request(kind, "ceiling", Job(kind=kind, device=plan.device, threads=plan.threads)) for kind in CEILINGS]
    everything = ceilings + rows
    outcomes: list[list[Outcome]] = [[] for _ in everything]
    settings = BenchSettings(**{field.name: getattr(plan, field.name) for field in dataclasses.fields(BenchSettings)})
    until = math.inf if plan.minutes is None else time.monotonic() + 60 * plan.minutes
    bar = tqdm(total=plan.rounds * len(everything), desc="bench", unit=" measurement", disable=not progress)
    for _ in range(plan.rounds):
        for request, found in zip(everything, outcomes):
            bar.set_postfix_str(f"{request.model}, {request.form}"[:60])
            found.append(in_a_process(request.job))
            if request.job.kind == "train" and not found[-1].failed:
                counts(request.job)  # now, so that at the end of the round the record is written at once
            bar.update()
            if time.monotonic() > until:
                break
        product, copied = map(_rate, outcomes[: len(CEILINGS)])
        reached = [(request, found) for request, found in zip(rows, outcomes[len(CEILINGS) :]) if found]
        measured = [_row(request, found, product) for request, found in reached]
        yield Bench(
            settings=settings,
            rounds_measured=min(map(len, outcomes)),
            matrix_product_tflops=product,
            copy_gigabytes_per_second=copied,
            provenance=about,
            rows=tuple(row for row in measured if isinstance(row, Row)),
            failures=tuple(row for row in measured if isinstance(row, Failure)),
        )
        if time.monotonic() > until:
            break
    bar.close()


def _rate(outcomes: list[Outcome]) -> float | None:
    """The median of a ceiling, or None where it was not measured."""
    rates = [outcome.rate for outcome in outcomes if not outcome.failed]
    return statistics.median(rates) if rates else None


def _row(request: Request, outcomes: list[Outcome], product: float | None) -> Row | Failure:
    """A row of the record: medians over the rounds that succeeded, or why none did."""
    good = [outcome for outcome in outcomes if not outcome.failed]
    if not good:
        return Failure(request.model, request.form, outcomes[-1].failed)
    job = request.job
    seconds = [outcome.seconds for outcome in good]
    row = Row(
        model=request.model,
        form=request.form,
        kind=job.kind,
        batch=job.batch,
        size=job.size,
        length=job.length,
        parameters=good[0].parameters,
        rounds=len(good),
        seconds=statistics.median(seconds),
        seconds_range=(min(seconds), max(seconds)),
        sequences_per_second=job.batch / statistics.median(seconds),
        peak_mib=max(outcome.peak_mib for outcome in good),
        samples=job.samples,
        sweep=request.sweep,
        value=request.value,
    )
    return dataclasses.replace(row, **_work(row, counts(job), product)) if job.kind == "train" else row


def _work(row: Row, counted: dict[str, float], product: float | None) -> dict[str, Any]:
    """What was counted of a training row, and the rate of useful operations that follows."""
    if "useful_gflop_per_sequence" not in counted:
        return counted
    tflops = counted["useful_gflop_per_sequence"] * row.sequences_per_second / 1e3
    return counted | {"useful_tflops": tflops} | ({"share_of_matrix_product": tflops / product} if product else {})
