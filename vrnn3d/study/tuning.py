"""Before the long runs, the best settings after a few thousand sequences; after them, what makes a number worse.

Does the error still fall at the end of a training? What may make a number worse than the paper's, and which runs of the
queues tell?
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vrnn3d import config
from vrnn3d.models.vrnn import VRNN
from vrnn3d.study import catalogue, results

#: A training whose validation error falls by more than this share over its last fifth is said to fall still.
STILL_FALLING = 0.01

#: What two runs may differ in and yet tell something about another setting: lengths and the way they are measured.
ASIDE = (
    "name",
    "title",
    "profile",
    "train.sequences",
    "train.lr_warmup",
    "train.context",
    "data.test_pools",
    "eval.protocols",
    "eval.samples",
    "eval.sequences",
)


@dataclass(frozen=True)
class Reason:
    """Something that may make our number differ from the paper's."""

    name: str
    fields: tuple[str, ...]  #: the settings that stand for it, as "train.lr"
    words: str  #: what is open about it; may name {fields} of the run, dots as underscores
    models: tuple[str, ...] = ()  #: the models that it concerns; none: all
    aside: tuple[str, ...] = ASIDE  #: what a run that tells may differ in besides


REASONS = (
    Reason(
        "training length",
        ("train.sequences",),
        "{train_sequences:,} sequences.",
        aside=("name", "title", "profile"),
    ),
    Reason(
        "batch and learning rate",
        ("train.batch", "train.lr"),
        "The paper trains in batches of 6 at a rate of 0.001; ours are batches of {train_batch} at {train_lr:g}.",
    ),
    Reason(
        "initialisation",
        ("model.options.init",),
        "The paper starts encoder and decoder from Kinetics-400 weights, which cannot be had here; ours start from"
        " random numbers. Runs can only tell how much the kind of random start matters.",
        models=("vrnn3d",),
    ),
    Reason(
        "the digits' speed",
        ("data.speed", "data.speed_range"),
        "The paper gives no numbers for its range of speeds; ours is {data_speed}, {data_speed_range[0]:g} to"
        " {data_speed_range[1]:g} pixels a frame.",
    ),
    Reason(
        "window M and horizon H",
        ("model.window", "model.horizon"),
        "The paper never states its own; ours are M = {model_window}, H = {model_horizon}.",
        models=("vrnn3d",),
    ),
    Reason(
        "which z is decoded in training",
        ("model.options.wiring",),
        "The paper's equations print the prior's sample, z_p, where other VRNNs decode the posterior's, z_q; ours"
        " decodes {model_options_wiring}.",
        models=("vrnn3d",),
    ),
)

_DEFAULTS = {f"model.options.{p.name}": p.default for p in inspect.signature(VRNN).parameters.values()}


def settings(values: Mapping) -> dict[str, Any]:
    """A configuration, as ``config.to_dict`` and records have it, as {"train.lr": ...} with the model's defaults."""
    flat = {}

    def add(prefix: str, part: Mapping) -> None:
        for key, value in part.items():
            if isinstance(value, Mapping):
                add(f"{prefix}{key}.", value)
            else:
                flat[prefix + key] = value

    add("", values)
    return _DEFAULTS | flat


def last_fifth(record: Mapping) -> dict | None:
    """How the validation error moved over the last fifth of a training: {"level", "change", "points"}, or None.

    "change" is that of the straight line fitted to the validations there, as a share of "level", the last value. None
    where fewer than two validations lie there.
    """
    curves = record["training"]["curves"]
    x, y = (np.array(curves.get(key, [])) for key in ("validation_sequences", "validation_mse"))
    if not len(x):
        return None
    inside = x >= 0.8 * x[-1] - 1e-9 * x[-1]
    x, y = x[inside], y[inside]
    if len(x) < 2:
        return None
    slope = np.polyfit(x, y, 1)[0]
    return {"level": float(y[-1]), "change": float(slope * (x[-1] - x[0]) / y[-1]), "points": len(x)}


def falling(record: Mapping) -> str:
    """What :func:`last_fifth` says, in words."""
    tail = last_fifth(record)
    if tail is None:
        return "too few validations to tell"
    verdict = "still falling" if tail["change"] < -STILL_FALLING else "no longer falling"
    change = f"{100 * tail['change']:+z.1f}%".replace("-", "\N{MINUS SIGN}")
    return f"{verdict}: {change} over the last fifth ({tail['points']} validations)"


def ranking(records: Iterable[Mapping]) -> list[dict]:
    """The finished runs of the ``tune`` profile, best first by validation error at the end, as rows of a table."""
    runs = [r for r in records if r["profile"] == "tune" and r["status"] == "finished" and last_fifth(r)]
    return [
        {
            "settings": r["title"],
            "steps": r["training"]["steps"],
            "validation MSE at the end": last_fifth(r)["level"],
            "the end": falling(r),
            "sequences / s": r["training"]["sequences_per_second"],
        }
        for r in sorted(runs, key=lambda r: last_fifth(r)["level"])
    ]


# --- worse than the paper ---------------------------------------------------------------------------------------------


def worse(records: Iterable[Mapping], pool: str = "train") -> dict[str, dict[str, tuple[float, float]]]:
    """{experiment: {protocol: (our MSE, the paper's)}} where ours is larger: mean over seeds of finished paper runs.

    Raises:
        ValueError: for records that may not stand beside the paper's numbers (``results.table1`` refuses them too).
    """
    records = list(records)
    table = results.table1(records, pool=pool, metrics=("mse",), experiments=tuple(results.PAPER))
    found: dict = {}
    for experiment, (_, row) in zip(results.PAPER, table.iterrows()):
        for protocol in results.PROTOCOLS:
            ours, theirs = (float(row[results.arrow(protocol), "MSE", side]) for side in ("ours", "paper"))
            if ours > theirs:  # never where one is missing: NaN compares as false
                found.setdefault(experiment, {})[protocol] = (ours, theirs)
    return found


def telling(values: Mapping, reason: Reason) -> tuple[list[tuple], list[tuple]]:
    """Runs of the queues that tell about a reason for a configuration: (those that change it, those that do not).

    Runs are (experiment, profile, seed). Those of the second list are what the first are to be compared with: they
    share its profiles, and differ from the configuration in nothing that matters.
    """
    mine = settings(values)
    changed, same = [], []
    for run in (*catalogue.queue("tune"), *catalogue.queue("full")):
        theirs = settings(config.to_dict(catalogue.get(run[0], run[1])))
        different = {key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key)}
        different -= set(reason.aside)
        if different and different <= set(reason.fields):
            changed.append(run)
        elif not different:
            same.append(run)
    profiles = {profile for _, profile, _ in changed}
    return changed, [run for run in same if run[1] in profiles]


def _measured(experiment: str, profile: str, seeds: list[int], records: list[Mapping]) -> str:
    """What runs came to, in a few words: the validation error of a sweep's, the test's of the others."""
    runs = [r for r in records if (r["experiment"], r["profile"], r["status"]) == (experiment, profile, "finished")]
    runs = [r for r in runs if r["seed"] in seeds]
    if profile == "tune":
        numbers = [tail["level"] for tail in map(last_fifth, runs) if tail]
    else:
        numbers = [x for x in (results.value(r, "train", "10->10", "mse") for r in runs) if not math.isnan(x)]
    if not numbers:
        return "not run"
    return f"{np.mean(numbers):.1f}" + (f", {len(numbers)} of {len(seeds)} seeds" if len(numbers) < len(seeds) else "")


def seeds_text(seeds: Iterable[int]) -> str:
    """Seeds in words: "seed 0", "seeds 0-2", "seeds 0, 2"."""
    seeds = sorted(set(seeds))
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"seeds {seeds[0]}-{seeds[-1]}"
    return "seeds " + ", ".join(map(str, seeds))


def runs_text(runs: Iterable[tuple], records: Iterable[Mapping] | None = None) -> str:
    """Runs in words, seeds joined: "loss_kl_ll_z_q (ablation, seeds 0-2)"; with `records`, each with its MSE."""
    grouped: dict[tuple[str, str], list[int]] = {}
    for experiment, profile, seed in runs:
        grouped.setdefault((experiment, profile), []).append(seed)
    records = None if records is None else list(records)
    told = []
    for (experiment, profile), seeds in grouped.items():
        number = "" if records is None else f": {_measured(experiment, profile, seeds, records)}"
        told.append(f"{experiment} ({profile}, {seeds_text(seeds)}){number}")
    return "; ".join(told)


def reasons(values: Mapping, records: Iterable[Mapping], trained: Iterable[Mapping] = ()) -> list[dict[str, str]]:
    """The possible reasons for a configuration's number, with the runs that tell, as rows of a table.

    Args:
        values: the configuration, as a record has it.
        records: where results of the telling runs are looked up.
        trained: the records of the configuration itself; their curves say whether the training was long enough.
    """
    mine, records = settings(values), list(records)
    named = {key.replace(".", "_"): value for key, value in mine.items()}
    curves = "; ".join(f"seed {r['seed']} {falling(r)}" for r in trained)
    rows = []
    for reason in REASONS:
        if reason.models and mine["model.name"] not in reason.models:
            continue
        changed, same = telling(values, reason)
        words = reason.words.format(**named)
        if reason.fields == ("train.sequences",) and curves:
            words += f" Validation error: {curves}."
        rows.append(
            {
                "possible reason": reason.name,
                "here": words,
                "runs that tell (MSE)": runs_text(changed, records) or "none in the queues",
                "to compare them with": runs_text(same, records),
            }
        )
    return rows
