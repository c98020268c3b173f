"""Training: one function for every model, on one process or several, that can be cut and continued at any step."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from vrnn3d import checkpoint, config, schedules
from vrnn3d.data import build
from vrnn3d.layers.gaussian import set_noise_shard
from vrnn3d.losses import latent_total, sequence_loss
from vrnn3d.models.base import VideoModel
from vrnn3d.rollout import rollout, usable_length

CURVE_POINTS = 200
VALIDATION_SEQUENCES = 200
COMPILE = ("auto", "yes", "no", "graphs")


class TrainingDiverged(RuntimeError):
    """The loss became NaN or infinite; the message names the step and the last good checkpoint."""


@dataclass
class Progress:
    """Where a training stands: all of it goes into the checkpoint."""

    step: int = 0
    seconds: float = 0.0
    curves: dict[str, list] | None = None


@dataclass(frozen=True)
class Team:
    """The processes of a training started by torchrun; one process stands alone."""

    rank: int = 0
    world: int = 1

    @staticmethod
    def join(device: torch.device) -> "Team":
        """Join the group that torchrun's environment describes, if any."""
        world = int(os.environ.get("WORLD_SIZE", 1))
        if world == 1:
            return Team()
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        team = Team(torch.distributed.get_rank(), world)
        set_noise_shard(team.rank, world)
        return team

    @staticmethod
    def current() -> "Team":
        """The group this process has joined."""
        distributed = torch.distributed
        if not (distributed.is_available() and distributed.is_initialized()):
            return Team()
        return Team(distributed.get_rank(), distributed.get_world_size())

    def mean_(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its mean over the processes."""
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([t.reshape(-1) for t in tensors])
        torch.distributed.all_reduce(flat)
        flat /= self.world
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors])):
            tensor.copy_(part.view_as(tensor))

    def any(self, flag: bool, device) -> bool:
        """Whether any process says so: all must stop at the same step."""
        if self.world == 1:
            return flag
        value = torch.tensor(float(flag), device=device)
        torch.distributed.all_reduce(value)
        return value.item() > 0


def pick_device(name: str | None = None) -> torch.device:
    """The device asked for, else this process's GPU, else the CPU."""
    if name:
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("cpu")


def autocast(precision: str, device: torch.device):
    """The context in which forward passes run; "auto" is bfloat16 on a GPU and float32 on a CPU."""
    half = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16) if half else nullcontext()


def compiled(compute, setting: str, device: torch.device, alone: bool = True):
    """`compute` as ``Train.compile`` asks for it, one of COMPILE.

    "graphs" replays the compiled function as CUDA graphs: a call overwrites what the call before returned, so whoever
    keeps a result must copy it first. "auto" compiles on a GPU that trains `alone`, and never takes graphs.

    Raises:
        ValueError: for another setting; the known ones are listed.
    """
    if setting not in COMPILE:
        raise ValueError(f"train.compile is {setting!r}, but must be one of: {', '.join(COMPILE)}")
    if setting == "no" or (setting == "auto" and not (device.type == "cuda" and alone)):
        return compute
    if setting != "graphs":
        return torch.compile(compute, dynamic=False)
    replayed = torch.compile(compute, dynamic=False, mode="reduce-overhead")

    def step(*arguments):
        torch.compiler.cudagraph_mark_step_begin()
        return replayed(*arguments)

    return step


def total_steps(experiment: config.Experiment) -> int:
    """Optimiser steps of the whole training."""
    return math.ceil(experiment.train.sequences / experiment.train.batch)


def batch_indices(experiment: config.Experiment, seed: int, step: int, available: int) -> Tensor:
    """Which training sequences the global batch of a step holds: a pure function of (seed, step).

    Online data counts upwards and never repeats; a fixed split is passed through in a fresh order each epoch, batches
    running on over the ends of epochs.
    """
    batch = experiment.train.batch
    positions = torch.arange(step * batch, (step + 1) * batch)
    if experiment.data.online:
        return positions + seed * 2**32
    indices = torch.empty_like(positions)
    for epoch in positions.div(available, rounding_mode="floor").unique().tolist():
        generator = torch.Generator().manual_seed(_mix(seed, epoch, 1))
        order = torch.randperm(available, generator=generator)
        inside = positions.div(available, rounding_mode="floor") == epoch
        indices[inside] = order[positions[inside] % available]
    return indices


def augmentation(experiment: config.Experiment, step: int, available: int) -> dict:
    """What the data's `batch` is asked for besides indices: nothing, or which changes in which epoch."""
    if not experiment.data.augment:
        return {}
    return {"augment": experiment.data.augment, "epoch": step * experiment.train.batch // available}


def ship(tensor: Tensor, device: torch.device) -> Tensor:
    """Send a small tensor to the device without waiting for what the device is doing."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def _mix(*numbers: int) -> int:
    """A seed from several numbers (FNV-1a)."""
    value = 0xCBF29CE484222325
    for number in numbers:
        value = ((value ^ (number & 0xFFFFFFFF)) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value >> 1


def forcing_mask(contexts: tuple[int, ...], probability: float, batch: int, length: int, generator) -> Tensor:
    """Which frames are fed as they are (batch, length): a context drawn for each sequence, later ones with `probability`."""
    drawn = torch.tensor(contexts)[torch.randint(len(contexts), (batch,), generator=generator)]
    return (torch.arange(length) < drawn[:, None]) | (torch.rand(batch, length, generator=generator) < probability)


def _statistics(latents, sigma_min: float, horizon: int) -> dict[str, Tensor]:
    """Of a rollout's latents: mean log std, fraction of dimensions at the floor (within 5%), KL(q || p) in nats per frame."""
    pairs = [pair for step in latents for pair in step]
    if not pairs:
        return {}
    prior = torch.cat([p.std.detach().flatten() for _, p in pairs])
    posterior = torch.cat([q.std.detach().flatten() for q, _ in pairs])
    return {
        "log_std_prior": prior.log().mean(),
        "log_std_posterior": posterior.log().mean(),
        "floor_fraction": (prior < 1.05 * sigma_min).float().mean(),
        "kl_per_frame": latent_total(latents, "kl_qp").detach().mean() / horizon,  # the same for every loss trained with
    }


@torch.no_grad()
def move_average(average: dict[str, Tensor], model: VideoModel, share: float) -> None:
    """Move the weight average towards the model by `share`; batch-norm statistics and counters are copied."""
    state = model.state_dict()
    moved = [key for key, value in state.items() if value.is_floating_point() and "running_" not in key]
    torch._foreach_lerp_([average[key] for key in moved], [state[key] for key in moved], share)
    copied = [key for key in state if key not in set(moved)]
    torch._foreach_copy_([average[key] for key in copied], [state[key] for key in copied])


def objective(model: VideoModel, experiment: config.Experiment, length: int):
    """The function (uint8 frames, mask, beta) -> (mean loss, terms), the one that is compiled."""
    loss_settings, context = experiment.loss, min(experiment.train.context)

    def compute(frames: Tensor, mask: Tensor, beta: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        frames = frames[:, :length].float() / 255
        prediction, latents = rollout(
            model, frames, context, length, forcing=mask, posterior=model.stochastic
        )
        loss, terms = sequence_loss(
            prediction,
            frames[:, model.window :],
            latents,
            variant=loss_settings.variant,
            l1=loss_settings.l1,
            l2=loss_settings.l2,
            beta=beta,
        )
        means = {name: term.detach().mean() for name, term in terms.items()}
        means.update(_statistics(latents, getattr(model, "sigma_min", 0.0), model.horizon))
        loss = loss.mean()
        return loss, {"loss": loss.detach(), **means}

    return compute


def spread(count: int, available: int) -> Tensor:
    """`count` sequence numbers at equal distances in a data set of `available`."""
    return torch.arange(count) * available // count


@torch.no_grad()
def validation_mse(model: VideoModel, experiment: config.Experiment, data, device: torch.device) -> float:
    """Frame MSE of one free-running prediction after the longest context, on up to 200 sequences spread over `data`."""
    training = model.training
    model.eval()
    context = max(experiment.train.context)
    length = experiment.data.length
    count, size = min(VALIDATION_SEQUENCES, len(data)), min(50, experiment.train.batch * 2)
    total = torch.zeros((), device=device)
    torch.manual_seed(0)
    for indices in spread(count, len(data)).split(size):
        frames = data.batch(indices).to(device).float() / 255
        with autocast(experiment.train.precision, device):
            prediction, _ = rollout(model, frames, context, length)
        error = prediction[:, context - model.window :].clamp(0, 1) - frames[:, context:length]
        total += error.square().sum((2, 3, 4)).mean(1).sum()
    model.train(training)
    return (total / count).item()


def train(
    experiment: config.Experiment,
    seed: int = 0,
    out: str | Path = "runs",
    *,
    device: str | None = None,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    progress: bool = True,
) -> dict:
    """Train an experiment in the folder `out`; called again on the same folder it goes on where it stopped.

    On one device the result is the same bit for bit however often it was cut, because every step draws its data, masks
    and noise from (seed, step) alone.

    Args:
        experiment: what to train.
        seed: of initialisation, data order and noise.
        out: the run's folder; holds ``checkpoint.pt``.
        device: "cpu", "cuda", ...; by default a GPU if there is one.
        max_minutes: stop cleanly at a checkpoint after this long.
        max_steps: stop cleanly after this many steps of this call.
        progress: show a bar.

    Returns:
        The record's "training" part plus {"finished": bool, "parameters": {...}, "data": {...}}.

    Raises:
        TrainingDiverged: when the loss is not finite.
        ValueError: when `out` holds another experiment or seed, or sizes do not fit.
    """
    out, place = Path(out), pick_device(device)
    settings = experiment.train
    team = Team.join(place)
    if settings.batch % team.world:
        raise ValueError(f"a batch of {settings.batch} cannot be shared by {team.world} processes; choose a multiple")
    local = settings.batch // team.world

    torch.manual_seed(_mix(seed, 0))
    model = checkpoint.model_of(experiment).to(place)
    if place.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    length = usable_length(model, experiment.data.length)
    source = build(experiment.data, "train", length=experiment.data.length, device=place)
    validation = build(experiment.data, "validation", length=experiment.data.length, device=place)
    parameters = [p for p in model.parameters() if p.requires_grad]
    about = {
        "parameters": model.parameter_breakdown(),
        "data": {"description": source.description, "source": getattr(source, "source", "")},
    }
    steps = total_steps(experiment) if parameters else 0
    optimiser = torch.optim.Adam(parameters, lr=settings.lr, fused=True) if parameters else None
    state = Progress(curves={})
    average = {k: v.clone() for k, v in model.state_dict().items()} if settings.ema else None
    sums, summed = {}, 0  # of the terms, since the last point of the curves
    repeats = settings.sequences > len(source)

    if (out / checkpoint.CHECKPOINT).exists():
        saved = checkpoint.load_state(out, place)
        theirs = config.from_dict(json.loads(saved["config"]))
        if config.config_hash(theirs) != config.config_hash(experiment) or saved["seed"] != seed:
            raise ValueError(
                f"{out} holds a run of {theirs.name} ({theirs.profile}, seed {saved['seed']}) with other settings;"
                " choose another --out, or delete that folder"
            )
        model.load_state_dict(saved["model"])
        if optimiser is not None:
            optimiser.load_state_dict(saved["optimiser"])
        if average is not None:
            average = saved["ema"]
        state = Progress(saved["step"], saved["seconds"], json.loads(saved["curves"]))
        sums, summed = saved["sums"], saved["summed"]

    model.train()
    compute = compiled(objective(model, experiment, length), settings.compile, place, alone=team.world == 1)

    started, before = time.monotonic(), state.seconds
    interrupted = []
    handlers = {}
    try:  # outside the main thread Python forbids handlers; then only Ctrl-C's exception stops a run
        for number in (signal.SIGINT, signal.SIGTERM):
            handlers[number] = signal.signal(number, lambda number, frame: interrupted.append(number))
    except ValueError:
        pass

    def write() -> None:
        if team.rank == 0:
            checkpoint.save(
                out,
                {
                    "config": json.dumps(config.to_dict(experiment)),
                    "seed": seed,
                    "model": model.state_dict(),
                    "ema": average,
                    "optimiser": optimiser.state_dict() if optimiser else {},
                    "step": state.step,
                    "seconds": state.seconds,
                    "curves": json.dumps(state.curves),
                    "sums": sums,
                    "summed": summed,
                },
            )

    def note(name: str, value: float) -> None:
        state.curves.setdefault(name, []).append(float(f"{value:.6g}"))

    first, saved_at = state.step, started
    read_every = 1 if place.type == "cpu" else 20
    point_every = max(1, steps // CURVE_POINTS)
    point_every += -point_every % read_every
    validate_every = max(1, round(steps * settings.validate_every)) if settings.validate_every else 0
    bar = tqdm(
        total=steps * settings.batch,
        initial=state.step * settings.batch,
        unit=" seq",
        desc=f"{experiment.name} {experiment.profile} seed {seed}",
        disable=not progress or team.rank > 0,
        smoothing=0.1,
    )
    try:
        while state.step < steps:
            step, at = state.step, state.step / steps
            generator = torch.Generator().manual_seed(_mix(seed, step, 2))
            mine = slice(team.rank * local, (team.rank + 1) * local)
            indices = batch_indices(experiment, seed, step, len(source))[mine]
            chance = schedules.forcing_probability(at, settings.forcing_end)
            mask = forcing_mask(settings.context, chance, settings.batch, length, generator)[mine]
            frames = source.batch(indices, **augmentation(experiment, step, len(source))).to(place, non_blocking=True)
            weight = schedules.beta(at, experiment.loss.beta, experiment.loss.beta_warmup)
            for group in optimiser.param_groups:
                group["lr"] = schedules.learning_rate(at, settings.lr, settings.lr_warmup, settings.lr_decay)

            torch.manual_seed(_mix(seed, step, 3))
            optimiser.zero_grad(set_to_none=True)  # before the forward pass: CUDA graphs may reuse the gradients' memory
            with autocast(settings.precision, place):
                loss, terms = compute(frames, ship(mask, place), ship(torch.tensor(weight), place))
            loss.backward()
            team.mean_([p.grad for p in parameters if p.grad is not None])
            if settings.clip:
                torch.nn.utils.clip_grad_norm_(parameters, settings.clip)
            optimiser.step()
            if average is not None:
                move_average(average, model, 1 - min(settings.ema, (1 + step) / (10 + step)))
            state.step += 1
            for name, value in terms.items():  # a sum is a new tensor, which no replay of a CUDA graph overwrites
                sums[name] = sums.get(name, 0) + value
            summed += 1

            last = state.step == steps
            if state.step % read_every == 0 or last:
                now = time.monotonic()
                state.seconds = before + now - started
                names = sorted(sums)
                values = torch.stack([sums[n] for n in names]) / summed
                team.mean_([values])
                read = dict(zip(names, values.tolist()))
                if not math.isfinite(read["loss"]):
                    good = out / checkpoint.CHECKPOINT
                    raise TrainingDiverged(
                        f"the loss of {experiment.name} is {read['loss']} at step {state.step};"
                        + (f" the last good checkpoint is {good}" if good.exists() else " no checkpoint was written yet")
                        + "; try a smaller train.lr or train.clip"
                    )
                bar.update(state.step * settings.batch - bar.n)
                shown = {k: f"{read[k]:.4g}" for k in ("loss", "reconstruction", "latent") if k in read}
                bar.set_postfix(shown, refresh=False)
                if state.step % point_every == 0 or last:
                    note("sequences", state.step * settings.batch)
                    note("beta", weight)
                    note("forcing", chance)
                    for name, value in read.items():
                        note(name, value)
                    sums, summed = {}, 0
                if validate_every and (state.step % validate_every == 0 or last):
                    kept = None
                    if average is not None:
                        kept = {k: v.clone() for k, v in model.state_dict().items()}
                        model.load_state_dict(average)
                    note("validation_sequences", state.step * settings.batch)
                    note("validation_mse", validation_mse(model, experiment, validation, place))
                    if repeats:  # what is seen more than once can be learnt by heart
                        note("seen_mse", validation_mse(model, experiment, source, place))
                    if kept is not None:
                        model.load_state_dict(kept)
                out_of_time = max_minutes is not None and now - started > 60 * max_minutes
                enough = max_steps is not None and state.step - first >= max_steps
                stop = team.any(out_of_time or enough or bool(interrupted), place)
                if stop or last or now - saved_at > 60 * settings.checkpoint_minutes:
                    state.seconds = before + time.monotonic() - started
                    write()
                    saved_at = time.monotonic()
                if stop:
                    break
        if not steps and state.step == 0:
            write()
    finally:
        bar.close()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if interrupted and progress:
        tqdm.write(f"stopped at step {state.step} of {steps}; the same command goes on from there")
    half = isinstance(autocast(settings.precision, place), torch.autocast)
    seen = state.step * settings.batch
    return {
        "finished": state.step >= steps,
        "training": {
            "sequences": seen,
            "steps": state.step,
            "seconds": state.seconds,
            "sequences_per_second": seen / state.seconds if state.seconds else 0.0,
            "precision": "bfloat16" if half else "float32",
            "processes": team.world,
            "curves": state.curves,
        },
        **about,
    }
