"""What the study costs: the hours of every run and of every command, from measured rates and counted operations.

A run's hours are its sequences divided by the measured sequences per second of its model. Where it has other windows or
larger frames than what was measured, they are multiplied by the ratio of the counted useful operations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

from vrnn3d.config import Experiment
from vrnn3d.study import paper, queue
from vrnn3d.study.bench.jobs import COMPILED, FAST, GRAPHS, PLAIN, Job
from vrnn3d.study.bench.record import Bench
from vrnn3d.study.catalogue import EXPERIMENTS
from vrnn3d.study.profiles import get
from vrnn3d.study.queue import Run

#: Training sequences per second of ours that are aimed at on one H200, at 64 x 64, 10 -> 10, M = H = 2.
TARGET = 1_000
#: The model of ours, and the experiment whose shape stands for it in benchmarks.
_OURS, _OUR_EXPERIMENT = "vrnn3d", paper.OURS
#: Forms of a benchmark that compute a whole training step, and are no part of a sweep.
_WHOLE = (PLAIN, FAST, COMPILED, GRAPHS)
#: Models that are measured, not trained.
_UNTRAINED = ("black", "copy_last")


# --- operations -------------------------------------------------------------------------------------------------------


#: Options of models that change what a step costs.
_COSTLY = ("latent", "stages", "recurrent_kernel", "cell", "widths", "hidden", "head")


class Shape(NamedTuple):
    """What the cost of one training sequence depends on."""

    model: str
    window: int
    horizon: int
    size: int  #: height and width of a frame in pixels
    length: int  #: frames
    options: tuple[tuple[str, Any], ...] = ()  #: of the model, those of ``_COSTLY`` that differ from what it has by itself


def shape_of(experiment: Experiment) -> Shape:
    """The shape of an experiment's training sequences."""
    m, d = experiment.model, experiment.data
    options = tuple((name, m.options[name]) for name in _COSTLY if name in m.options)
    return Shape(m.name, m.window, m.horizon, d.height_width[0], d.length, options)


@cache
def gigaflops(shape: Shape) -> float:
    """Useful GFLOP of one training sequence, forward and backward."""
    from vrnn3d.study.bench import counting

    options = dict(shape.options)
    job = Job(
        model=shape.model,
        options=options,
        window=shape.window,
        horizon=shape.horizon,
        size=shape.size,
        length=shape.length,
        context=shape.window,
    )
    if shape.model != _OURS:
        return counting.gigaflops(job)
    # Every step of ours costs the same, so that one step and two, quickly counted, tell the cost of many.
    one, two = (counting.gigaflops(replace(job, length=shape.window + steps * shape.horizon)) for steps in (1, 2))
    return one + ((shape.length - shape.window) // shape.horizon - 1) * (two - one)


def relative(experiment: Experiment, reference: Shape) -> float:
    """How many times the useful operations of a sequence of the reference one of the experiment takes."""
    shape = shape_of(experiment)
    return 1.0 if shape == reference else gigaflops(shape) / gigaflops(reference)


# --- measured rates ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rate:
    """How many training sequences of a shape a device gets through in a second."""

    shape: Shape
    sequences_per_second: float


def _experiment_of(model: str) -> str:
    """The experiment that a benchmark of a model stands for."""
    return _OUR_EXPERIMENT if model == _OURS else model


def rate(model: str, size: int, length: int, sequences_per_second: float) -> Rate:
    """A row of a benchmark, which measures every model with the window and horizon of its experiment.

    Raises:
        ValueError: for a model that the study does not train.
    """
    name = _experiment_of(model)
    if name not in EXPERIMENTS:
        raise ValueError(f"no experiment of the study trains the model {model!r}, so its rate says nothing of its cost")
    m = EXPERIMENTS[name].model
    return Rate(Shape(model, m.window, m.horizon, size, length), sequences_per_second)


@dataclass(frozen=True)
class Device:
    """A machine and what was measured on it."""

    name: str
    rates: tuple[Rate, ...]

    def rate_for(self, experiment: Experiment) -> Rate | None:
        """The rate of an experiment's model, at its frame size where that was measured; None where nothing was."""
        mine = [r for r in self.rates if r.shape.model == experiment.model.name]
        alike = [r for r in mine if r.shape.size == experiment.data.height_width[0]]
        return next(iter(alike or mine), None)

    def hours(self, experiments: Iterable[Experiment]) -> float | None:
        """Hours of training, one run after another; None where a model of these was not measured."""
        total = 0.0
        for experiment in experiments:
            measured = self.rate_for(experiment)
            if measured is None:
                return None
            total += _hours(experiment, measured)
        return total


def devices(benches: Iterable[Bench]) -> list[Device]:
    """The machines of some benchmarks, in their order, each with its best rate for every model and frame size.

    Left out are models of other people's code, which the study does not train, and rows that vary one setting of a model.
    """
    best: dict[str, dict[tuple[str, int, int], float]] = {}
    for bench in benches:
        found = best.setdefault(bench.device, {})
        for row in bench.rows:
            if row.kind == "train" and row.form in _WHOLE and _experiment_of(row.model) in EXPERIMENTS:
                key = row.model, row.size, row.length
                found[key] = max(found.get(key, 0.0), row.sequences_per_second)
    return [Device(name, tuple(rate(*key, value) for key, value in rates.items())) for name, rates in best.items()]


def _hours(experiment: Experiment, measured: Rate) -> float:
    sequences = experiment.train.sequences * relative(experiment, measured.shape)
    return sequences / measured.sequences_per_second / 3600


def hours_at_target(experiments: Sequence[Experiment]) -> float | None:
    """Hours at ``TARGET`` sequences a second, which is a target for ours alone: None where a model is not ours."""
    if any(experiment.model.name != _OURS for experiment in experiments):
        return None
    target = Rate(shape_of(EXPERIMENTS[_OUR_EXPERIMENT]), TARGET)
    return sum(_hours(experiment, target) for experiment in experiments)


# --- the queue --------------------------------------------------------------------------------------------------------

#: What parts of the study are called, by the group of their experiments in the catalogue.
_PARTS = {
    "beyond": "beyond the paper",
    "sweeps": "weights, floors and no latent",
    "windows": "windows",
    "table1": "other systems of Table 1",
    "by_frame": "a step for each frame",
    "kth_windows": "KTH, windows",
    "kth": "KTH",
}
_FIRST_SEED, _OTHER_SEEDS = "Table 3", "other seeds of Table 3"
_SHORT_LOSSES, _LONG_LOSSES = "losses, shorter, three seeds", "four losses, in full"
_REST = "other settings"
#: The parts of the study in the order of its tables.
PARTS = (_FIRST_SEED, _OTHER_SEEDS, _SHORT_LOSSES, _LONG_LOSSES, *_PARTS.values(), _REST)


def part_of(run: Run) -> str:
    """The part of the study that a run belongs to, one of ``PARTS``."""
    group = EXPERIMENTS[run.name].group
    if run.name in paper.TABLE3:
        return _OTHER_SEEDS if run.seed else _FIRST_SEED
    if group == "losses":
        return _SHORT_LOSSES if run.profile == "ablation" else _LONG_LOSSES
    if group == "table3":  # the row between the 2D and the 3D rows that the table lacks
        return _PARTS["sweeps"]
    return _PARTS.get(group, _REST)


@dataclass(frozen=True)
class Cost:
    """What some runs cost."""

    part: str
    whose: str  #: "ours", "others" or "all": which models
    runs: int
    sequences: int
    hours: dict[str, float | None]  #: of training by device; None where a model was not measured on it
    at_target: float | None  #: hours at ``TARGET`` sequences a second; None where a model is not ours


def trained(name: str = "full") -> list[tuple[str, Experiment]]:
    """(part of the study, experiment) of the runs of a queue that are trained."""
    found = [(part_of(run), run.experiment) for run in queue.runs(name)]
    return [(part, experiment) for part, experiment in found if experiment.model.name not in _UNTRAINED]


def study_costs(devices: Sequence[Device], name: str = "full") -> list[Cost]:
    """The costs of the parts of a queue, ours and others apart; then of all of ours, and of everything."""
    runs = trained(name)
    grouped: dict[tuple[str, str], list[Experiment]] = {}
    for part, experiment in sorted(runs, key=lambda run: PARTS.index(run[0])):
        grouped.setdefault((part, _whose(experiment)), []).append(experiment)
    everything = [experiment for _, experiment in runs]
    grouped["all", "ours"] = [experiment for experiment in everything if _whose(experiment) == "ours"]
    grouped["all", "all"] = everything
    return [_cost(part, whose, experiments, devices) for (part, whose), experiments in grouped.items()]


def _whose(experiment: Experiment) -> str:
    return "ours" if experiment.model.name == _OURS else "others"


def _cost(part: str, whose: str, experiments: list[Experiment], devices: Sequence[Device]) -> Cost:
    return Cost(
        part=part,
        whose=whose,
        runs=len(experiments),
        sequences=sum(experiment.train.sequences for experiment in experiments),
        hours={device.name: device.hours(experiments) for device in devices},
        at_target=hours_at_target(experiments),
    )


# --- commands ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Command:
    """A way to run some of the study; `devices` of them are taken to be that many times as fast, which nobody measured."""

    command: str
    what: str
    devices: int = 1
    queue: str | None = "full"  #: None: one full run of ours

    def experiments(self) -> list[Experiment]:
        """What it trains."""
        if self.queue is None:
            return [get(_OUR_EXPERIMENT, "paper")]
        return [experiment for _, experiment in trained(self.queue)]


COMMANDS = (
    Command(f"vrnn3d train {_OUR_EXPERIMENT} --profile paper", "one full run, one device", queue=None),
    Command("vrnn3d train --next", "the queue, one device"),
    Command("torchrun --nproc-per-node 8 -m vrnn3d train --next", "the queue, one node of 8", 8),
    Command("sbatch array.sh", "the queue, an array on 16 at a time", 16),
)


@dataclass(frozen=True)
class CommandCost:
    """What a command costs, in minutes of the clock."""

    command: Command
    minutes: Mapping[str, float | None]  #: by device
    ours_at_target: float | None  #: of its runs of ours alone, at ``TARGET`` sequences a second


def command_costs(devices: Sequence[Device], commands: Sequence[Command] = COMMANDS) -> list[CommandCost]:
    """The minutes that each command takes on each device."""
    found = []
    for command in commands:
        experiments = command.experiments()
        ours = [experiment for experiment in experiments if _whose(experiment) == "ours"]
        minutes = {d.name: _minutes(d.hours(experiments), command.devices) for d in devices}
        found.append(CommandCost(command, minutes, _minutes(hours_at_target(ours), command.devices)))
    return found


def _minutes(hours: float | None, devices: int) -> float | None:
    return None if hours is None else 60 * hours / devices


def amount(value: float | None, absent: str = "not measured") -> str:
    """Hours or minutes in print: three digits or so, or what stands where there are none."""
    if value is None:
        return absent
    return f"{value:,.{0 if value >= 100 else 1 if value >= 1 else 2}f}"
