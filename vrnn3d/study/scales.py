"""At which scale an experiment was run: the profiles from the largest down, and the runs that each of them holds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from vrnn3d.config import config_hash
from vrnn3d.data.settings import MovingMNISTData
from vrnn3d.study import paper
from vrnn3d.study.catalogue import EXPERIMENTS
from vrnn3d.study.profiles import PROFILES, get, names
from vrnn3d.study.records import Record, read_clips, runs_of, with_history

#: Profiles at which the paper's claims are judged, the largest scale first; those that do not exist have no runs.
SCALES = ("paper", "ablation", "half", "small")
#: A former profile that only its records remember: 32 x 32 pixels, one digit, 500 updates.
_FORMER = {"small": "small scale"}
#: {experiment: title} of public code that is no part of this package and was trained on the same data, as a yardstick. Whoever
#: trained it registered the code as a model and gave the experiment this group.
OUTSIDE, OUTSIDE_GROUP = {"simvp": "SimVP (outside code)"}, "outside"


def words(profile: str) -> str:
    """What numbers of a profile are called in the book: "full size", "small scale"."""
    return PROFILES[profile].scale if profile in PROFILES else _FORMER.get(profile, profile)


def runs_at(records: Iterable[Record], name: str, profile: str) -> list[Record]:
    """The finished and evaluated runs of an experiment at a profile, by seed; possibly none.

    Runs are found by their configuration, whatever they are called: the KL-LL row of Table 3 is also a point of the
    loss grid. Those of a former profile are found by name. Runs on the excerpt of MNIST are left out. The training of a
    run that started from another's weights includes that one's (``records.with_history``).
    """
    usable = [r for r in records if r.usable]
    if name in OUTSIDE:
        found = [r for r in usable if (r.profile, r.experiment, r.group) == (profile, name, OUTSIDE_GROUP)]
        return sorted(found, key=lambda r: r.seed)
    if profile in PROFILES:
        found = runs_of(usable, get(name, profile)) if name in names(profile) else []
        return [with_history(r, usable) for r in found]
    for alias in _same_computation(name):
        if found := [r for r in usable if r.profile == profile and r.experiment == alias]:
            return sorted(found, key=lambda r: r.seed)
    return []


def _same_computation(name: str) -> list[str]:
    """The names under which the catalogue asks for the same computation, `name` first."""
    if name not in EXPERIMENTS:
        return [name]
    aliases = _by_hash()[config_hash(EXPERIMENTS[name])]
    return [name, *(alias for alias in aliases if alias != name)]


@cache
def _by_hash() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, experiment in EXPERIMENTS.items():
        found.setdefault(config_hash(experiment), []).append(name)
    return found


# --- what a scale has to show -----------------------------------------------------------------------------------------


def title_of(name: str) -> str:
    """What a system is called: as in the paper's tables, else as in the catalogue (without the data set's name)."""
    if name in paper.ROWS:
        return paper.ROWS[name].title
    if name in OUTSIDE:
        return OUTSIDE[name]
    return EXPERIMENTS[name].title.removeprefix("KTH: ").removesuffix(" (the paper's)") if name in EXPERIMENTS else name


def as_row(record: Record, name: str) -> Record:
    """A run under the name and title of the row of a table whose computation it is."""
    return replace(record, experiment=name, title=title_of(name))


def shown_at(records: Iterable[Record], experiments: Iterable[str], profile: str, seed: int = 0) -> list[Record]:
    """The runs of one seed at a profile, each as the row that was asked for; rows that have none are left out."""
    records = list(records)
    found = ((name, runs_at(records, name, profile)) for name in experiments)
    return [as_row(r, name) for name, runs in found for r in runs if r.seed == seed]


def pictured_at(
    records: Iterable[Record], experiments: Iterable[str], profile: str, root: str | os.PathLike | None = None
) -> list[tuple[Record, Mapping[str, np.ndarray]]]:
    """The runs of seed 0 that kept predictions to look at, as rows, with what they kept (``records.read_clips``)."""
    found: list[tuple[Record, Mapping[str, np.ndarray]]] = []
    for name in experiments:
        for record in runs_at(records, name, profile):
            if record.seed == 0 and (clips := read_clips(record, root)) is not None:
                found.append((as_row(record, name), clips))
    return found


def conditions(record: Record) -> str:
    """What a run was trained on and how much, in one sentence for the page that shows its numbers."""
    data, settings = record.config.data, record.config.train
    height, width = data.height_width
    what = ""
    if isinstance(data, MovingMNISTData):
        what = f", {data.digits} digit{'s' * (data.digits != 1)} of {data.digit_size} pixels"
    contexts = " and ".join(map(str, settings.context))
    return (
        f"{words(record.profile).capitalize()}: frames of {height} × {width} pixels{what}; trained on"
        f" {settings.sequences:,} sequences of {data.length} frames with contexts of {contexts}; a network of"
        f" {record.parameters['total']:,} parameters."
    )


def longest_trained(record: Record) -> int:
    """How many frames a training sequence goes on after its shortest context: further predictions extrapolate."""
    return record.config.data.length - min(record.config.train.context)


def lowest_on_validation(records: Iterable[Record], experiments: Iterable[str], profile: str) -> str | None:
    """Which of some experiments ended with the lowest validation error at a profile, mean over seeds: the test set chooses
    nothing. None where none was run."""
    records = list(records)
    found = {name: runs_at(records, name, profile) for name in experiments}
    validated = [name for name, runs in found.items() if was_validated(runs)]
    return min(validated, key=lambda name: validation_error(found[name]), default=None)


def was_validated(runs: Iterable[Record]) -> bool:
    """Whether any of some runs kept a validation error."""
    return any(len(run.curve("validation_mse")) for run in runs)


def validation_error(runs: Iterable[Record]) -> float:
    """The validation error at the end of the training, mean over the seeds that kept one."""
    return float(np.mean([curve[-1] for run in runs if len(curve := run.curve("validation_mse"))]))


def slowest_by_fastest(records: Iterable[Record], profile: str) -> float:
    """How many times the processor time of the fastest run of a training its slowest took, for a sequence, at a profile.

    The largest such ratio of all trainings that were repeated with another seed; 1 where none was. Machines differ, and so do
    the versions of the code.
    """
    hours: dict[str, list[float]] = {}
    for record in records:
        if record.profile == profile and record.training.updates:
            hours.setdefault(record.config_hash, []).append(record.processor_hours / record.training.sequences)
    return max((max(each) / min(each) for each in hours.values()), default=1.0)


# --- inventory --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """The records of one experiment at one profile; where its seeds differ in something, each value is named."""

    run: str  #: "small/vrnn2d"
    seeds: str
    status: str
    sequences: str
    sequences_per_second: str
    device: str
    commit: str
    date: str


def inventory(records: Iterable[Record]) -> list[Entry]:
    """What there is, one entry for each experiment and profile."""
    grouped: dict[str, list[Record]] = {}
    for record in records:
        grouped.setdefault(f"{record.profile}/{record.experiment}", []).append(record)
    return [
        Entry(
            run=name,
            seeds=seeds_text(r.seed for r in runs).split(" ", 1)[1],
            status=_joined(r.status for r in runs),
            sequences=_joined(f"{r.training.sequences:,}" for r in runs),
            sequences_per_second=_joined(f"{r.training.sequences_per_second:.1f}" for r in runs),
            device=_joined(r.provenance.machine.device for r in runs),
            commit=commits(runs),
            date=_joined(r.provenance.date for r in runs),
        )
        for name, runs in grouped.items()
    ]


def commits(records: Iterable[Record]) -> str:
    """The commits that some runs were made at, ten digits each, marked where the package had been changed."""
    codes = [made.code for r in records for made in (*r.earlier, r.provenance)]
    return _joined(f"{(code.commit or 'unknown')[:10]}{' (modified)' if code.dirty else ''}" for code in codes)


def seeds_text(seeds: Iterable[int]) -> str:
    """Seeds in words: "seed 0", "seeds 0-2", "seeds 0, 2"."""
    seeds = sorted(set(seeds))
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"seeds {seeds[0]}-{seeds[-1]}"
    return "seeds " + ", ".join(map(str, seeds))


def _joined(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))
