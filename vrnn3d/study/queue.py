"""The order in which the study runs its experiments, and what is left of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vrnn3d.config import Experiment, config_hash
from vrnn3d.study import paper
from vrnn3d.study.catalogue import WINDOWS, WIRINGS, names
from vrnn3d.study.profiles import get
from vrnn3d.study.records import Record


@dataclass(frozen=True)
class Run:
    """One training of the study."""

    name: str
    profile: str
    seed: int

    @property
    def experiment(self) -> Experiment:
        """What is trained."""
        return get(self.name, self.profile)

    @property
    def key(self) -> tuple[str, int]:
        """(hash of the configuration, seed): runs that share it are the same computation, whatever they are called."""
        return config_hash(self.experiment), self.seed


@dataclass(frozen=True)
class Step:
    """Part of a queue: experiments by name at one profile, each for every seed; all of one seed before the next."""

    profile: str
    names: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)

    def runs(self) -> Iterator[Run]:
        """The runs of this step, in order."""
        for seed in self.seeds:
            for name in self.names:
                yield Run(name, self.profile, seed)


@dataclass(frozen=True)
class Queue:
    """What ``vrnn3d train --next NAME`` works through."""

    summary: str
    steps: tuple[Step, ...]


_TABLE3 = ("vrnn3d_kl_ll", "vrnn3d_kl", "convlstm2d", "vrnn2d")
#: The textbook's loss in Chung's wiring, the printed one there, and the two that would make the paper's words true.
_LONG_LOSSES = ("loss_kl_qp_z_q", "loss_kl_ll_z_q", "loss_kl_ll_balanced_z_q", "loss_kl_ll_mirror_z_q")

#: Figure 6 and the ablation at half scale: fewer points than at full size, for each takes an hour.
_HALF_WINDOWS = tuple(WINDOWS[pair] for pair in ((1, 1), (2, 1), (4, 4), (4, 1), (10, 10)))
_HALF_LOSSES = tuple(f"loss_{loss}_{wiring}" for wiring in WIRINGS for loss in ("kl_pq", "kl_ll", "kl_qp", "kl_ll_balanced"))
_HALF_KTH = (*paper.TABLE2, "kth_vrnn3d_kl_augmented")

QUEUES: dict[str, Queue] = {
    "full": Queue(
        "everything at full size, on a GPU",
        (
            Step("paper", (*_TABLE3, "beyond")),
            Step("ablation", tuple(names("losses")), (0, 1, 2)),
            Step("paper", (*_LONG_LOSSES, "convlstm3d")),
            Step("ablation", (*names("sweeps"), "convlstm3d", *names("checks"), *names("windows"), *names("encoders"))),
            Step("paper", tuple(names("table1", "by_frame"))),
            Step("paper", _TABLE3, (1, 2)),
            Step("ablation", tuple(names("kth", "kth_windows"))),
        ),
    ),
    "half": Queue(
        "the whole study at half scale, about 60 hours on a CPU core",
        (
            Step("half_short", tuple(names("recipe"))[:2]),
            Step("half", ("vrnn3d_kl", "vrnn3d_kl_ll", "convlstm2d", "vrnn2d", "convlstm3d")),
            Step("half", ("black", "copy_last", "pixel_mean")),
            Step("half_short", (*names("ideas"), *tuple(names("recipe"))[2:])),  # `beyond` is to be made of what helped
            Step("half", (*names("beyond"), *names("trained_on"), *names("wide"))),
            Step("half", ("vrnn3d_kl_l1",)),
            Step("half", ("predrnnpp", "e3d_lstm", "improved_vrnn")),
            Step("half", ("vrnn3d_kl", "vrnn3d_kl_ll", "convlstm2d", "vrnn2d", "convlstm3d", "beyond_by_frame"), (1, 2)),
            Step("half", tuple(names("by_frame")), (0, 1, 2)),
            Step("half", _HALF_WINDOWS),
            Step("half", tuple(names("encoders"))),
            Step("half", tuple(names("precision"))),
            Step("half", _HALF_LOSSES, (0, 1, 2)),
            Step("half", _HALF_KTH),
        ),
    ),
    "chance": Queue(
        "digits that leave walls at random, at half scale: 20,000 sequences each, about a quarter of an hour on a CPU core",
        (Step("half", tuple(names("chance")), (0, 1, 2)),),
    ),
    "tune": Queue("settings to try before the long runs, a few minutes on a GPU", (Step("tune", tuple(names("tune"))),)),
    "kth": Queue("all of Table 2 at full length, on a GPU", (Step("paper", tuple(names("kth"))),)),
}


def runs(queue: str = "full") -> list[Run]:
    """Every run of a queue, in order; one that repeats the computation of an earlier one is left out.

    Raises:
        ValueError: for an unknown queue; the known ones are listed.
    """
    if queue not in QUEUES:
        raise ValueError(f"no queue {queue!r}; there are: {', '.join(QUEUES)}")
    found: dict[tuple[str, int], Run] = {}
    for step in QUEUES[queue].steps:
        for run in step.runs():
            found.setdefault(run.key, run)
    return list(found.values())


def unfinished(queue: str, records: Iterable[Record]) -> list[Run]:
    """What is left of a queue: the runs whose configuration and seed no finished record has."""
    done = {(record.config_hash, record.seed) for record in records if record.finished}
    return [run for run in runs(queue) if run.key not in done]
