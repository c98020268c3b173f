"""What a benchmark measures: its settings, and the list of measurements that they ask for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

from vrnn3d.device import has_bfloat16_instructions
from vrnn3d.settings import Settings, setting

#: Forms of a row. A GPU's row is the fast form as it is, compiled, or replayed as CUDA graphs.
PLAIN, FAST, COMPILED, GRAPHS = "plain", "fast", "compiled", "compiled, CUDA graphs"
#: On a processor with instructions for bfloat16 also the fast form in half precision.
HALF = "fast, bfloat16"
PLAIN_PREDICTION, FAST_PREDICTION = "plain, prediction", "fast, prediction"
SLIDING = "plain, sliding (H = 1)"
STEP = "step: "  #: begins the name of a form between plain and fast
SWEEP = "sweep"


class Step(NamedTuple):
    """A form between plain and fast: each has everything of those before it."""

    label: str
    plain: bool  #: arithmetic as the equations are written
    batched: bool  #: encoder and decoder over all known steps at once
    folding: str  #: of 3D convolutions into 2D ones: "never", "auto" or "always"
    deepest: int | None  #: depth up to which "auto" folds


#: From the plain to the fast form.
WATERFALL = (
    Step("plain", True, False, "never", None),
    Step("encoder and decoder batched over time", True, True, "never", None),
    Step("input gates and heads hoisted", False, True, "never", None),
    Step("depth 1 folded, channels last", False, True, "auto", 1),
    Step("depth 2 folded", False, True, "auto", 2),
)
#: How the cost of ours grows: {what is varied: the changes to a job}. A change is known by its last value.
SWEEPS: dict[str, tuple[dict[str, int], ...]] = {
    "batch": tuple({"batch": b} for b in (1, 2, 4, 8)),
    "M = H": tuple({"window": m, "horizon": m} for m in (1, 2, 4, 5, 10)),
    "H at M = 4": tuple({"window": 4, "horizon": h} for h in (1, 2, 4)),
    "size": tuple({"size": s} for s in (32, 64, 96, 128)),
    "length": tuple({"length": n} for n in (12, 20, 30, 40)),
}
#: What the machine itself can do, measured beside the models: a matrix product and a copy of memory.
CEILINGS = ("matmul", "copy")


@dataclass(frozen=True)
class Job(Settings):
    """One measurement, in plain values: it is sent to a process of its own."""

    GROUP: ClassVar[str] = "job"

    kind: str = setting("train", "a training step, a prediction, or a ceiling", choices=("train", "predict", *CEILINGS))
    model: str = setting("vrnn3d", "a name of the registry, or MODULE:FACTORY")
    options: dict = setting({}, "arguments of the model")
    window: int | None = setting(None, "M, where it is not the model's own", low=1)
    horizon: int | None = setting(None, "H, where it is not the model's own", low=1)
    device: str = setting("cpu")
    threads: int = setting(1, low=1)
    batch: int = setting(1, low=1)
    size: int = setting(64, "height and width of the frames", low=1)
    length: int = setting(20, "frames of a training sequence", low=1)
    context: int = setting(10, low=1)
    samples: int = setting(1, "predictions per sequence", low=1)
    repeats: int = setting(1, "timed calls", low=1)
    warm: bool = setting(True, "whether a call that is not timed comes first")
    precision: str = setting("auto", choices=("auto", "float32", "bfloat16"))
    compile: str = setting("no", choices=("no", "yes", "graphs"))
    plain: bool = setting(False)
    batched: bool = setting(True)
    folding: str = setting("auto", choices=("never", "auto", "always"))
    deepest: int | None = setting(None, "depth up to which auto folds, where it is not the device's own", low=0)


#: Fields of a job on which the counts of operations and bytes depend.
COUNTED = (
    "model", "options", "plain", "window", "horizon", "batch", "size", "length", "context", "batched", "folding", "deepest",
    "precision", "device",
)  # fmt: skip


@dataclass(frozen=True)
class BenchSettings(Settings):
    """What a record says of how it was measured."""

    GROUP: ClassVar[str] = "bench"

    batch: int = setting(2, "sequences of a training step", low=1)
    size: int = setting(64, "height and width of the frames", low=1)
    length: int = setting(20, "frames of a training sequence", low=2)
    context: int = setting(10, "frames given", low=1)
    repeats: int = setting(3, "timed calls per measurement", low=1)
    rounds: int = setting(2, "how often everything is measured anew", low=1)
    threads: int = setting(1, "threads of a processor", low=1)
    samples: int = setting(50, "predictions per sequence in the evaluation row; 1: none", low=1)


@dataclass(frozen=True)
class Plan(BenchSettings):
    """Everything that the command line asks for."""

    models: tuple[str, ...] = setting((), "names of the registry")
    against: tuple[str, ...] = setting((), "outside models, MODULE:FACTORY")
    options: dict = setting({}, "arguments per model")
    device: str = setting("cpu")
    precision: str = setting("auto", "of the models", choices=("auto", "float32", "bfloat16"))
    sweep: bool = setting(False, "also how the cost of ours grows")
    minutes: float | None = setting(None, "stop after the measurement that passes these", above=0)


class Request(NamedTuple):
    """A row to be measured. A row of a sweep says what is varied, and to which value."""

    model: str
    form: str
    job: Job
    sweep: str = ""
    value: int | None = None


_FAST: dict[str, Any] = {"plain": False, "batched": True, "folding": "auto"}
_PLAIN: dict[str, Any] = {"plain": True, "batched": False, "folding": "never"}


def requests(plan: Plan, stochastic: Callable[[Job], bool]) -> list[Request]:
    """Every row that a plan asks for; `stochastic` says of a job whether its model draws samples."""
    rows = [request for name in (*plan.models, *plan.against) for request in _of_a_model(plan, name, stochastic)]
    if "vrnn3d" in plan.models:
        ours = _job(plan, "vrnn3d")
        rows.append(Request("vrnn3d", SLIDING, replace(ours, **_PLAIN, window=2, horizon=1)))
        for label, plain, batched, folding, deepest in WATERFALL[1:]:
            job = replace(ours, plain=plain, batched=batched, folding=folding, deepest=deepest)
            rows.append(Request("vrnn3d", STEP + label, job))
    return rows + (list(_sweep(plan)) if plan.sweep else [])


def _job(plan: Plan, model: str) -> Job:
    """A training step of a model in the fast form."""
    shared = ("device", "threads", "batch", "size", "length", "context", "repeats", "precision")
    return Job(model=model, options=plan.options.get(model, {}), **{name: getattr(plan, name) for name in shared})


def _of_a_model(plan: Plan, name: str, stochastic: Callable[[Job], bool]) -> Iterator[Request]:
    job = _job(plan, name)
    yield Request(name, PLAIN, replace(job, **_PLAIN))
    yield Request(name, FAST, replace(job, **_FAST))
    if plan.device.startswith("cpu") and plan.precision != "bfloat16" and has_bfloat16_instructions():
        yield Request(name, HALF, replace(job, **_FAST, precision="bfloat16"))
    if not plan.device.startswith("cpu"):
        yield Request(name, COMPILED, replace(job, **_FAST, compile="yes"))
        yield Request(name, GRAPHS, replace(job, **_FAST, compile="graphs"))
    yield Request(name, PLAIN_PREDICTION, replace(job, **_PLAIN, kind="predict"))
    yield Request(name, FAST_PREDICTION, replace(job, **_FAST, kind="predict"))
    if plan.samples > 1 and stochastic(job):
        one = replace(job, **_FAST, kind="predict", samples=plan.samples, batch=1, repeats=1, warm=False)
        yield Request(name, f"fast, {plan.samples} samples", one)


def _sweep(plan: Plan) -> Iterator[Request]:
    for name, changes in SWEEPS.items():
        for change in changes:
            changed: dict[str, Any] = {**_FAST, **change}
            yield Request("vrnn3d", SWEEP, replace(_job(plan, "vrnn3d"), **changed), name, list(change.values())[-1])


def counted_part(job: Job) -> str:
    """The fields on which counts depend, as text: the same for jobs with the same counts."""
    return json.dumps({name: getattr(job, name) for name in COUNTED}, sort_keys=True)
