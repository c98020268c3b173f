"""Which settings do best after a few thousand sequences, and what may make a number worse than the paper's.

Before the long runs a sweep ranks settings by their validation error. After them, does the error still fall at the end of
a training, and which runs of the queues show what another setting would have changed?
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vrnn3d.config import Experiment, different_from_default
from vrnn3d.data.settings import MovingMNISTData
from vrnn3d.models.vrnn import VRNN
from vrnn3d.study import paper, queue
from vrnn3d.study.profiles import get
from vrnn3d.study.queue import Run
from vrnn3d.study.records import Record
from vrnn3d.study.scales import runs_at, seeds_text, title_of
from vrnn3d.study.spread import seed_spread
from vrnn3d.study.wording import with_minus

if TYPE_CHECKING:
    import pandas

#: A training whose validation error falls by more than this share over its last fifth is said to fall still.
STILL_FALLING = 0.01
#: What runs may differ in and still show the effect of another setting: their length, and how they are measured.
MAY_DIFFER = (
    "train.sequences",
    "train.lr_warmup",
    "train.context",
    "data.test_pools",
    "eval.protocols",
    "eval.samples",
    "eval.sequences",
)


# --- the end of a training --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tail:
    """How the validation error moved over the last fifth of a training."""

    level: float  #: the last value
    change: float  #: of the straight line fitted to the validations there, as a share of `level`
    points: int  #: how many validations these are


def last_fifth(record: Record) -> Tail | None:
    """The end of a training, or None where fewer than two validations lie in its last fifth."""
    x, y = record.curve("validation_sequences"), record.curve("validation_mse")
    if not len(x):
        return None
    inside = x >= 0.8 * x[-1] - 1e-9 * x[-1]
    x, y = x[inside], y[inside]
    if len(x) < 2:
        return None
    slope = np.polyfit(x, y, 1)[0]
    return Tail(level=float(y[-1]), change=float(slope * (x[-1] - x[0]) / y[-1]), points=len(x))


def falling(record: Record) -> str:
    """What :func:`last_fifth` says, in words."""
    tail = last_fifth(record)
    if tail is None:
        return "too few validations to tell"
    verdict = "still falling" if tail.change < -STILL_FALLING else "no longer falling"
    change = with_minus(f"{100 * tail.change:+z.1f}%")
    return f"{verdict}: {change} over the last fifth ({tail.points} validations)"


def ranking(records: Iterable[Record]) -> list[tuple[Record, Tail]]:
    """The finished runs of the ``tune`` profile with the ends of their trainings, the lowest validation error first."""
    runs = [(r, tail) for r in records if r.profile == "tune" and r.finished and (tail := last_fifth(r))]
    return sorted(runs, key=lambda run: run[1].level)


# --- worse than the paper ---------------------------------------------------------------------------------------------


def above_paper(records: Iterable[Record], pool: str = "train") -> dict[str, dict[str, tuple[float, float]]]:
    """{experiment: {protocol: (our MSE, the paper's)}} where ours is larger: mean over seeds of full-size runs."""
    records = list(records)
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for name, row in paper.ROWS.items():
        runs = runs_at(records, name, "paper")
        for protocol, printed in row.scores.items():
            ours = seed_spread(runs, protocol, "mse", pool)
            if ours is not None and ours.mean > printed.mse:
                found.setdefault(name, {})[protocol] = (ours.mean, printed.mse)
    return found


@dataclass(frozen=True)
class Reason:
    """Something that may make our number differ from the paper's."""

    name: str
    settings: tuple[str, ...]  #: that stand for it, as "train.lr"
    open: Callable[[Experiment], str]  #: what is open about it for an experiment, in words
    vrnn3d_only: bool = False  #: whether it concerns the 3D VRNN alone
    may_differ: tuple[str, ...] = MAY_DIFFER  #: what a run that shows its effect may differ in besides


def _speed(experiment: Experiment) -> str:
    data = experiment.data
    assert isinstance(data, MovingMNISTData)
    low, high = data.speed_range
    return f"The paper gives no numbers for its range of speeds; ours is {data.speed}, {low:g} to {high:g} pixels a frame."


def _batch(experiment: Experiment) -> str:
    train = experiment.train
    return f"The paper trains in batches of 6 at a rate of 0.001; ours are batches of {train.batch} at {train.lr:g}."


def _wiring(experiment: Experiment) -> str:
    return (
        "The paper's equations print the prior's sample, z_p, where other VRNNs decode the posterior's, z_q;"
        f" ours decodes {setting_of(experiment, 'model.options.wiring')}."
    )


REASONS = (
    Reason("training length", ("train.sequences",), lambda e: f"{e.train.sequences:,} sequences.", may_differ=()),
    Reason("batch and learning rate", ("train.batch", "train.lr"), _batch),
    Reason(
        "initialisation",
        ("model.options.init",),
        lambda e: (
            "The paper starts encoder and decoder from Kinetics-400 weights, which cannot be had here; ours start from"
            " random numbers. Runs can only tell how much the kind of random start matters."
        ),
        vrnn3d_only=True,
    ),
    Reason("the digits' speed", ("data.speed", "data.speed_range"), _speed),
    Reason(
        "window M and horizon H",
        ("model.window", "model.horizon"),
        lambda e: f"The paper never states its own; ours are M = {e.model.window}, H = {e.model.horizon}.",
        vrnn3d_only=True,
    ),
    Reason("which z is decoded in training", ("model.options.wiring",), _wiring, vrnn3d_only=True),
)


def changed_settings(experiment: Experiment) -> dict[str, Any]:
    """What an experiment changes of the defaults, one entry for each option of its model: {"train.lr": 0.002, ...}."""
    changed = different_from_default(experiment)
    options = changed.pop("model.options", {})
    return changed | {f"model.options.{name}": value for name, value in options.items()}


def setting_of(experiment: Experiment, key: str) -> Any:
    """The value of a setting of a 3D VRNN, as :func:`changed_settings` names it, whether it was changed or is the default."""
    if key.startswith("model.options."):
        option = key.removeprefix("model.options.")
        return experiment.model.options.get(option, inspect.signature(VRNN).parameters[option].default)
    group, _, field = key.partition(".")
    return getattr(getattr(experiment, group), field)


def settings_table(experiments: Sequence[str], reference: str, profile: str) -> pandas.DataFrame:
    """Every setting of data, model, loss or training in which experiments with the 3D VRNN differ, a line each.

    The first column is that of the experiment `reference`.
    """
    import pandas

    first, *others = chosen = [get(name, profile) for name in (reference, *experiments)]
    keys = sorted({key for other in others for key in differing_settings(first, other) if not key.startswith("eval.")})
    columns = {title_of(e.name): [_setting_text(e, key) for key in keys] for e in chosen}
    return pandas.DataFrame(columns, index=pandas.Index(keys, name="setting"))


def _setting_text(experiment: Experiment, key: str) -> str:
    """A setting as text; a latent loss that has no latent to act on is none."""
    if key == "loss.variant" and experiment.model.options.get("latent") == 0:
        return "none (no latent)"
    return str(setting_of(experiment, key))


def differing_settings(a: Experiment, b: Experiment) -> set[str]:
    """The settings in which two experiments differ."""
    one, other = changed_settings(a), changed_settings(b)
    return {key for key in one.keys() | other.keys() if key not in one or key not in other or one[key] != other[key]}


@dataclass(frozen=True)
class Evidence:
    """Runs of the queues that show the effect of a reason: those that change its settings alone, and their counterparts.

    The counterparts are at the same profiles, and differ from the experiment in nothing that matters.
    """

    changed: list[Run]
    unchanged: list[Run]


def evidence(experiment: Experiment, reason: Reason) -> Evidence:
    """The runs of the queues that change, of an experiment, the settings of a reason alone."""
    changed, unchanged = [], []
    for run in (*queue.runs("tune"), *queue.runs("full")):
        different = differing_settings(experiment, run.experiment) - set(reason.may_differ)
        if different and different <= set(reason.settings):
            changed.append(run)
        elif not different:
            unchanged.append(run)
    profiles = {run.profile for run in changed}
    return Evidence(changed, [run for run in unchanged if run.profile in profiles])


@dataclass(frozen=True)
class Possibility:
    """A reason as it stands for one experiment, in words."""

    reason: str
    here: str
    runs: str  #: that change these settings alone, each with its MSE
    counterparts: str


def possibilities(experiment: Experiment, records: Iterable[Record], trained: Iterable[Record] = ()) -> list[Possibility]:
    """What may make an experiment's number worse than the paper's, with the runs that show how much each would change.

    Args:
        experiment: whose number it is.
        records: where the results of other runs are looked up.
        trained: the records of the experiment itself; their curves say whether the training was long enough.
    """
    records = list(records)
    curves = "; ".join(f"seed {r.seed} {falling(r)}" for r in trained)
    rows = []
    for reason in REASONS:
        if reason.vrnn3d_only and experiment.model.name != "vrnn3d":
            continue
        here = reason.open(experiment)
        if reason.settings == ("train.sequences",) and curves:
            here += f" Validation error: {curves}."
        shown = evidence(experiment, reason)
        changed = runs_text(shown.changed, records) or "none in the queues"
        rows.append(Possibility(reason.name, here, changed, runs_text(shown.unchanged, records)))
    return rows


def _measured(name: str, profile: str, seeds: list[int], records: list[Record]) -> str:
    """What runs came to, in a few words: the validation error of a sweep's, the test's of the others."""
    runs = [r for r in runs_at(records, name, profile) if r.seed in seeds]
    if profile == "tune":
        numbers = [tail.level for tail in map(last_fifth, runs) if tail]
    else:
        numbers = [x for r in runs if not math.isnan(x := r.score("train", "10->10"))]
    if not numbers:
        return "not run"
    return f"{np.mean(numbers):.1f}" + (f", {len(numbers)} of {len(seeds)} seeds" if len(numbers) < len(seeds) else "")


def runs_text(runs: Iterable[Run], records: Iterable[Record] | None = None) -> str:
    """Runs in words, seeds joined: "loss_kl_ll_z_q (ablation, seeds 0-2)"; with `records`, each with its MSE."""
    grouped: dict[tuple[str, str], list[int]] = {}
    for run in runs:
        grouped.setdefault((run.name, run.profile), []).append(run.seed)
    records = None if records is None else list(records)
    told = []
    for (name, profile), seeds in grouped.items():
        mse = "" if records is None else f": {_measured(name, profile, seeds, records)}"
        told.append(f"{name} ({profile}, {seeds_text(seeds)}){mse}")
    return "; ".join(told)
