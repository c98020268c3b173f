"""What the loss chapter says about the toy experiment: comparisons over seeds, ranks, and the widths that were predicted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from vrnn3d.losses import VARIANTS
from vrnn3d.study.catalogue import WIRINGS
from vrnn3d.study.toy.record import ToyRecord
from vrnn3d.study.toy.scoring import SCORE_NAMES

TRUE_SAMPLER = "true sampler"


def wins(record: ToyRecord, first: str, second: str, floors: Sequence[float] = (0.0,)) -> list[dict[str, str]]:
    """In how many seeds the first variant scores lower than the second: a row per floor and wiring, a column per score."""
    rows = []
    for sigma_min in floors:
        for wiring in WIRINGS:
            row = {"decoded": wiring, "floor": f"{sigma_min:g}" if sigma_min else "none"}
            for score, title in SCORE_NAMES.items():
                one, two = (record.by_seed(score, variant, wiring, sigma_min) for variant in (first, second))
                row[title] = f"{sum(one[seed] < two[seed] for seed in one)} of {len(one)}"
            rows.append(row)
    return rows


def final_gaps(record: ToyRecord, variant: str, wiring: str) -> list[float]:
    """log s_q - log s_p at the end of the training without a floor, of each seed."""
    runs = record.select(0.0, variant, wiring)
    return [run.curves["log_std_posterior"][-1] - run.curves["log_std_prior"][-1] for run in runs]


def ranking(record: ToyRecord, names: Mapping[str, str], wiring: str, sigma_min: float) -> list[dict[str, str]]:
    """Every loss and the true sampler, means over seeds, with ranks in brackets; the lowest average of samples first."""
    found = {TRUE_SAMPLER: {score: record.references[TRUE_SAMPLER][score].mean for score in SCORE_NAMES}}
    for variant in VARIANTS:
        found[names[variant]] = {score: record.mean(score, variant, wiring, sigma_min) for score in SCORE_NAMES}

    def cell(score: str, value: float) -> str:
        rank = 1 + sum(other[score] < value for other in found.values())
        return f"{value:.3f}" + ("" if score == "variance" else f" ({rank})")  # of variances none is best

    ordered = sorted(found.items(), key=lambda item: item[1]["average"])
    return [{"": name} | {SCORE_NAMES[k]: cell(k, value) for k, value in row.items()} for name, row in ordered]


def rank_of_truth(record: ToyRecord, wiring: str | None, sigma_min: float) -> tuple[int, int]:
    """The place of the true sampler by the average over samples, and how many it was compared with, itself included.

    `wiring` None: among the networks of both wirings.
    """
    truth = record.references[TRUE_SAMPLER]["average"].mean
    rows = [(variant, w) for variant in VARIANTS for w in WIRINGS if wiring in (None, w)]
    return 1 + sum(record.mean("average", *row, sigma_min) < truth for row in rows), 1 + len(rows)


def variance_share(record: ToyRecord, wiring: str) -> float:
    """The largest sample variance of a wiring's networks without a floor, in percent of the true sampler's."""
    largest = max(run.scores["variance"].mean for run in record.select(0.0, wiring=wiring))
    return 100 * largest / record.references[TRUE_SAMPLER]["variance"].mean


#: log s_q - log s_p that the minimisers of finding 4 predict once the means agree: (lowest, highest).
PREDICTED_GAPS = {"kl_pq": (0.0, 0.0), "kl_ll": (-math.log(2) / 2, 0.0), "kl_ll_balanced": (-math.log(2) / 2,) * 2}
