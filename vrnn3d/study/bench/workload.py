"""What a measurement computes: the model that a job names, its frames, and its step of training or prediction."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor

from vrnn3d.device import compiled
from vrnn3d.layers import depth_folding
from vrnn3d.losses import sequence_loss
from vrnn3d.models import arguments, build_model
from vrnn3d.models.base import VideoModel
from vrnn3d.rollout import rollout, usable_length
from vrnn3d.study.bench.jobs import Job

PREDICTED = 10  #: frames of a prediction


def build(job: Job) -> VideoModel:
    """The model that a job names: of the registry, or what MODULE:FACTORY returns, found from the working directory."""
    if ":" in job.model:
        module, _, factory = job.model.partition(":")
        sys.path.insert(0, os.getcwd())
        return getattr(importlib.import_module(module), factory)()
    options = {name: value for name, value in (("window", job.window), ("horizon", job.horizon)) if value is not None}
    takes = arguments(job.model)
    if "size" in takes:
        options["size"] = job.size
    if "plain" in takes:
        options["plain"] = job.plain
    return build_model(job.model, **options, **job.options)


def is_stochastic(job: Job) -> bool:
    """Whether the job's model draws samples; False for one that cannot be built, whose rows will say why."""
    try:
        with torch.device("meta"):
            return build(job).stochastic
    except Exception:
        return False


@contextmanager
def folding(job: Job, device_type: str) -> Iterator[None]:
    """Fold as the job asks for: how, and where it says so, how deep "auto" goes on this device."""
    depths = depth_folding.AUTO_MAX_DEPTH
    before = depths.get(device_type, 1)
    usual = depths.get(torch.device(job.device).type, 1)
    depths[device_type] = usual if job.deepest is None else job.deepest
    try:
        with depth_folding.folding(job.folding):
            yield
    finally:
        depths[device_type] = before


def random_frames(job: Job, model: VideoModel, device: torch.device) -> Tensor:
    """A batch of training sequences (batch, length, channels, size, size)."""
    return torch.rand(job.batch, job.length, model.channels, job.size, job.size, device=device)


def forward_pass(job: Job, model: VideoModel, frames: Tensor) -> Callable[[], Tensor]:
    """The function () -> mean training loss of one batch."""
    length = usable_length(model, job.length)
    mask = torch.zeros(job.batch, length, dtype=torch.bool, device=frames.device)
    context = max(job.context, model.window)

    def forward() -> Tensor:
        prediction, latents = rollout(
            model, frames, context, length, forcing=mask, posterior=model.stochastic, batched=job.batched
        )
        return sequence_loss(prediction, frames[:, model.window : length], latents)[0].mean()

    return forward


def training_step(job: Job, model: VideoModel, frames: Tensor, precision: AbstractContextManager[Any]) -> Callable[[], None]:
    """The function () -> None that is timed for a training row: forward, backward, Adam."""
    parameters = list(model.parameters())
    optimiser = torch.optim.Adam(parameters, 1e-4, fused=True) if parameters else None
    forward = compiled(forward_pass(job, model, frames), job.compile, frames.device)

    def call() -> None:
        if optimiser is not None:
            optimiser.zero_grad(set_to_none=True)
        with precision:
            loss = forward()
        if optimiser is not None:
            loss.backward()
            optimiser.step()

    return call


def prediction(job: Job, model: VideoModel, frames: Tensor, precision: AbstractContextManager[Any]) -> Callable[[], None]:
    """The function () -> None that is timed for a prediction row: `PREDICTED` frames after the context."""
    model.eval()
    samples = job.samples if model.stochastic else 1
    context = max(job.context, model.window)

    def call() -> None:
        with torch.no_grad(), precision:
            rollout(model, frames, context, context + PREDICTED, samples=samples, batched=job.batched)

    return call
