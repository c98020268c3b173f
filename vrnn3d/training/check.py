"""What can be found wrong with a training before any data are read."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from vrnn3d import checkpoint
from vrnn3d.config import Experiment
from vrnn3d.data.settings import DataSettings
from vrnn3d.files import check_writable
from vrnn3d.losses import find_latent_loss
from vrnn3d.models.base import VideoModel
from vrnn3d.rollout import usable_length
from vrnn3d.training.start import load_start
from vrnn3d.training.state import State, check_same, saved_experiment

#: Pixels of the window that SSIM is computed over, ``vrnn3d.evaluation.metrics.WINDOW``, which a training knows nothing of.
SMALLEST_SIDE = 7


def check(experiment: Experiment, seed: int, folder: str | Path, *, fitted: bool = True) -> None:
    """Find out before any data are read whether a training can begin, or go on, in a folder and be evaluated afterwards.

    Args:
        experiment, seed: what is to be trained.
        folder: the run's.
        fitted: whether ``eval.protocols`` are already those that the test data are long enough for; where not, a run in the
            folder may lack some of them.

    Raises:
        CannotWrite: when the folder cannot be written, or has no room for a checkpoint.
        FileNotFoundError: when there is no such thing as ``train.start``.
        ValueError: for an unknown model or loss, frames or contexts that the model cannot take, weights to start from that
            do not fit it, or a folder that holds a run with other settings or another seed.
    """
    find_latent_loss(experiment.loss.variant)
    if getattr(experiment.data, "use", "") == "test":
        raise ValueError("data.use=test keeps all clips for the test, and a training needs some: leave it out")
    model = checkpoint.model_of(experiment)
    check_frames(model, experiment.data)
    _check_context(model, experiment)
    folder = Path(folder)
    if (folder / checkpoint.CHECKPOINT).exists():
        _check_run(folder, experiment, seed, fitted)
    else:
        load_start(model, experiment.train.start)
    if int(os.environ.get("RANK", 0)) == 0:  # of several processes the first one alone writes
        check_writable(folder, State.bytes_of(model, experiment.train))


def check_frames(model: VideoModel, data: DataSettings) -> None:
    """``ValueError`` where frames of the data's size are none that the model takes, or too small to be measured."""
    height, width = data.height_width
    if data.channels != model.channels:
        raise ValueError(
            f"the data have {data.channels} channels and the model takes {model.channels}; for clips set"
            f" data.colour={str(model.channels == 3).lower()}"
        )
    try:
        model.check_size(height, width)
    except ValueError as error:
        raise ValueError(f"data.size does not fit the model: {error}") from None
    if min(height, width) < SMALLEST_SIDE:
        raise ValueError(
            f"data.size gives frames of {height} x {width} pixels, which are too small to be evaluated: SSIM needs at least"
            f" {SMALLEST_SIDE} x {SMALLEST_SIDE}"
        )


def _check_context(model: VideoModel, experiment: Experiment) -> None:
    """``ValueError`` where the shortest context is no whole window, or leaves no step of the model to be trained."""
    shortest, length = min(experiment.train.context), experiment.data.length
    covered = usable_length(model, length)
    if shortest < model.window:
        raise ValueError(
            f"train.context is {experiment.train.context}, but the model looks at {model.window} frames at a time"
            f" (model.window): give it contexts of at least {model.window} frames"
        )
    if shortest > covered:
        raise ValueError(
            f"train.context is {experiment.train.context}, but the model's steps cover {covered} of the {length} frames of a"
            f" training sequence (data.length): give it a context of at most {covered} frames, or longer sequences"
        )


def _check_run(folder: Path, experiment: Experiment, seed: int, fitted: bool) -> None:
    """``ValueError`` where the folder holds another run."""
    saved = checkpoint.load_state(folder)
    theirs = saved_experiment(folder, saved)
    kept = tuple(protocol for protocol in experiment.eval.protocols if protocol in theirs.eval.protocols)
    if not fitted and kept == theirs.eval.protocols:
        experiment = replace(experiment, eval=replace(experiment.eval, protocols=kept))
    check_same(folder, experiment, theirs, seed, saved["seed"])
