"""Training: one function for every model, on one process or several, that can be cut and continued at any step."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from vrnn3d import checkpoint, config
from vrnn3d.config import Experiment
from vrnn3d.data import Dataset, build
from vrnn3d.device import autocast, compiled, fast_matrix_products, pick_device, to_device, uses_bfloat16
from vrnn3d.rollout import usable_length
from vrnn3d.training import order, schedules
from vrnn3d.training.check import check
from vrnn3d.training.distributed import Team
from vrnn3d.training.live import LiveCurves
from vrnn3d.training.objective import objective, validation_mse
from vrnn3d.training.start import load_start
from vrnn3d.training.state import State, TrainingDiverged
from vrnn3d.training.stop import StopRule

CURVE_POINTS = 200
#: Updates between two looks at the loss on a GPU, where each look waits for all that was asked of it.
_GPU_LOOKS = 20


@dataclass(frozen=True)
class Trained:
    """What a training came to, so far."""

    finished: bool
    sequences: int  #: seen so far
    updates: int
    seconds: float
    cpu_seconds: float
    precision: str  #: "float32" or "bfloat16"
    processes: int
    curves: dict[str, list[float]] = field(repr=False)
    parent: str  #: what it started from
    signal: int | None  #: the number of the signal that stopped it
    parameters: dict[str, int] = field(repr=False)
    data: Dataset = field(repr=False)


class Clock:
    """Adds the time of this call, on the wall and of the processor, to that of the calls before it."""

    def __init__(self, state: State):
        self._state, self._before = state, (state.seconds, state.cpu_seconds)
        self.started, self._cpu_started = time.monotonic(), time.process_time()

    def tick(self) -> float:
        """Bring the state's times up to date; the time now."""
        now = time.monotonic()
        self._state.seconds = self._before[0] + now - self.started
        self._state.cpu_seconds = self._before[1] + time.process_time() - self._cpu_started
        return now


def train(
    experiment: Experiment,
    seed: int = 0,
    out: str | Path = "runs",
    *,
    device: str | None = None,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    progress: bool = True,
) -> Trained:
    """Train an experiment in the folder `out`; called again on the same folder it goes on where it stopped.

    However often it was cut, the result is the same, because every step draws its data, masks and noise from (seed, step)
    alone: bit for bit on a processor with the same number of threads, and nearly on a GPU, where cuDNN chooses its
    convolutions by measurement and sums come in another order each time.

    Args:
        experiment: what to train.
        seed: of initialisation, data order and noise.
        out: the run's folder; holds ``checkpoint.pt``, and ``curves.csv`` to watch.
        device: "cpu", "cuda", ...; by default a GPU if there is one.
        max_minutes: stop cleanly at a checkpoint after this long.
        max_steps: stop cleanly after this many updates of this call.
        progress: show a bar.

    Raises:
        CannotWrite, FileNotFoundError, ValueError: before the data are loaded, for what :func:`~vrnn3d.training.check.check`
            finds.
        TrainingDiverged: when a loss, gradient or weight is not finite; the last good checkpoint stays as it is.
        ValueError: when `out` holds a run that was trained on other data.
    """
    folder, place, settings = Path(out), pick_device(device), experiment.train
    team = Team.join(place)
    mine = team.share(settings.batch)
    fast_matrix_products(place)

    check(experiment, seed, folder)
    order.seed_weights(seed)
    model = checkpoint.model_of(experiment).to(place)
    length = usable_length(model, experiment.data.length)
    data = build(experiment.data, "train", device=place)
    validation = build(experiment.data, "validation", device=place)
    there = (folder / checkpoint.CHECKPOINT).exists()
    state = State.start(model, settings, "" if there else load_start(model, settings.start))
    updates = order.total_updates(experiment) if state.optimiser else 0
    if there:
        state.restore(folder, experiment, seed, data, place)

    model.train()
    compute = compiled(objective(model, experiment, length), settings.compile, place, alone=team.world == 1)
    look_every = _look_every(place)
    point_every = _rounded_up(max(1, updates // CURVE_POINTS), look_every)
    validate_every = _rounded_up(max(1, round(updates * settings.validate_every)), look_every) if settings.validate_every else 0
    clock, first = Clock(state), state.step
    saved_at = clock.started
    title = f"{experiment.name} {experiment.profile} seed {seed}"
    bar = _bar(title, state.step * settings.batch, updates * settings.batch, shown=progress and team.leads)
    live = LiveCurves(folder, state.curves) if team.leads and updates else None
    with (
        bar,
        closing(live) if live else nullcontext(),
        StopRule(max_minutes, max_steps) as rule,
        _told(experiment, state, folder),
    ):
        if not updates and team.leads:
            state.save(folder, experiment, seed, data)
        while state.step < updates:
            assert state.optimiser is not None  # without one there are no updates
            at = state.step / updates
            forced = schedules.forcing_probability(at, settings.forcing_end)
            beta = schedules.beta(at, experiment.loss.beta, experiment.loss.beta_warmup)
            rate = schedules.learning_rate(at, settings.lr, settings.lr_warmup, settings.lr_decay)
            frames, mask = order.batch(experiment, seed, state.step, data, forced, length, mine)

            order.seed_noise(seed, state.step)
            state.optimiser.zero_grad(set_to_none=True)  # before the forward pass: CUDA graphs may reuse their memory
            with autocast(settings.precision, place):
                loss, terms = compute(
                    frames.to(place, non_blocking=True), to_device(mask, place), to_device(torch.tensor(beta), place)
                )
            state.add(terms | _update(state, loss, settings, rate, team))

            last = state.step == updates
            if state.step % look_every and not last and not rule.enough(state.step - first):
                continue
            now = clock.tick()
            means = _finite_means(state, team)
            _show(bar, state.step * settings.batch, means)
            if state.step % point_every == 0 or last:
                state.note(sequences=state.step * settings.batch, beta=beta, forcing=forced, **means)
                state.clear_sums()
            if validate_every and (state.step % validate_every == 0 or last):
                _validate(state, experiment, data, validation, place)
            stop = team.any(rule.asks(state.step - first), place)
            if stop or last or now - saved_at > 60 * settings.checkpoint_minutes:
                saved_at = clock.tick()
                if team.leads:
                    state.save(folder, experiment, seed, data)
            if live and (state.step % point_every == 0 or last):
                live.update(state.curves)
            if stop:
                break
    if rule.received and progress:
        tqdm.write(f"stopped at step {state.step} of {updates}; the same command goes on from there")
    return _trained(experiment, state, data, rule.received, place, team)


def _look_every(place: torch.device) -> int:
    """Updates between two looks at the loss; a training that has done enough stops in between too."""
    return 1 if place.type == "cpu" else _GPU_LOOKS


def _rounded_up(updates: int, multiple: int) -> int:
    """The next multiple: what is noted every so many updates is noted where the loss is looked at."""
    return math.ceil(updates / multiple) * multiple


def _update(state: State, loss: Tensor, settings: config.Train, rate: float, team: Team) -> dict[str, Tensor]:
    """One step of the optimiser down the gradient of all processes' losses; what is to be told of the gradient."""
    assert state.optimiser is not None
    bound = settings.clip or math.inf
    loss.backward()
    team.mean_([p.grad for p in state.parameters if p.grad is not None])
    norm = torch.nn.utils.clip_grad_norm_(state.parameters, bound)
    state.set_rate(rate)
    state.optimiser.step()
    state.step += 1
    state.move_average(settings.ema)
    return {"gradient_norm": norm, "clipped": (norm > bound).float()}


def _trained(
    experiment: Experiment, state: State, data: Dataset, signal: int | None, place: torch.device, team: Team
) -> Trained:
    return Trained(
        finished=state.optimiser is None or state.step >= order.total_updates(experiment),
        sequences=state.step * experiment.train.batch,
        updates=state.step,
        seconds=state.seconds,
        cpu_seconds=state.cpu_seconds,
        precision="bfloat16" if uses_bfloat16(experiment.train.precision, place) else "float32",
        processes=team.world,
        curves=state.curves,
        parent=state.parent,
        signal=signal,
        parameters=state.model.parameter_breakdown(),
        data=data,
    )


def _bar(title: str, done: int, total: int, shown: bool) -> tqdm:
    """The progress bar, which counts sequences."""
    return tqdm(total=total, initial=done, unit=" seq", desc=title, disable=not shown, smoothing=0.1)


def _show(bar: tqdm, sequences: int, means: Mapping[str, float]) -> None:
    """Bring the progress bar up to date."""
    bar.update(sequences - bar.n)
    bar.set_postfix({k: f"{means[k]:.4g}" for k in ("loss", "reconstruction", "latent") if k in means}, refresh=False)


def _finite_means(state: State, team: Team) -> dict[str, float]:
    """The terms' means over all processes since the last point of the curves; a loss that is not finite ends the training."""
    names = sorted(state.sums)
    values = torch.stack([state.sums[name] for name in names]) / state.summed
    team.mean_([values])
    means = dict(zip(names, values.tolist()))
    for name in ("loss", "gradient_norm"):
        if not math.isfinite(means[name]):
            raise TrainingDiverged(f"the {name.replace('_', ' ')} is {means[name]} at update {state.step}")
    return means


def _validate(state: State, experiment: Experiment, data: Dataset, validation: Dataset, place: torch.device) -> None:
    """Note the errors on the validation set and, where training sees a sequence more than once, on sequences it saw."""
    with state.validated_weights() as model:
        mse = validation_mse(model, experiment, validation, place)
        if not math.isfinite(mse):
            raise TrainingDiverged(f"the validation error is {mse} at update {state.step}")
        state.note(validation_sequences=state.step * experiment.train.batch, validation_mse=mse)
        if experiment.train.sequences > len(data):  # what is seen more than once can be memorised
            state.note(seen_mse=validation_mse(model, experiment, data, place))
    if experiment.train.weights == "best":
        state.keep_best(mse)


@contextmanager
def _told(experiment: Experiment, state: State, folder: Path) -> Iterator[None]:
    """Say of a training that diverged what was kept, and how to go on."""
    try:
        yield
    except TrainingDiverged as error:
        changes = {"train.lr": f"{experiment.train.lr / 3:.2g}"}
        kept = "no checkpoint was written yet; start anew"
        if (folder / checkpoint.CHECKPOINT).exists():
            changes["train.start"] = str(folder)
            kept = f"the last good checkpoint stays in {folder}; go on from it"
        settings = " and ".join(f"{name}={value}" for name, value in changes.items())
        raise TrainingDiverged(f"{experiment.name} diverged: {error}; {kept} with {settings}", changes) from None
