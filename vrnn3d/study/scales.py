"""At which scale an experiment was run: the profiles from the largest down, and the runs that each of them holds."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from vrnn3d.config import config_hash
from vrnn3d.study.catalogue import EXPERIMENTS
from vrnn3d.study.profiles import PROFILES, get, names
from vrnn3d.study.records import Record, runs_of

#: Profiles at which the paper's claims are judged, the largest scale first; those that do not exist have no runs.
SCALES = ("paper", "ablation", "half", "small")
#: A former profile that only its records remember: 32 x 32 pixels, one digit, 500 updates.
_FORMER = {"small": "small scale"}
#: What a run says of its data where it had to do with the packaged excerpt of 1,000 digits, which compares with nothing.
_EXCERPT = "excerpt"


def words(profile: str) -> str:
    """What numbers of a profile are called in the book: "full size", "small scale"."""
    return PROFILES[profile].scale if profile in PROFILES else _FORMER.get(profile, profile)


def runs_at(records: Iterable[Record], name: str, profile: str) -> list[Record]:
    """The finished and evaluated runs of an experiment at a profile, by seed; possibly none.

    Runs are found by their configuration, whatever they are called: the KL-LL row of Table 3 is also a point of the
    loss grid. Those of a former profile are found by name. Runs on the excerpt of MNIST are left out.
    """
    usable = [r for r in records if r.finished and r.evaluation and r.data.source != _EXCERPT]
    if profile in PROFILES:
        return runs_of(usable, get(name, profile)) if name in names(profile) else []
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
