"""What each step of a training draws: pure functions of (seed, step), so that a run can be cut and continued anywhere."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vrnn3d.config import Experiment
from vrnn3d.data import Dataset

#: What a seed is drawn for; mixed with the seed of the run and the step.
INITIAL_WEIGHTS, EPOCH_ORDER, MASKS, NOISE = range(4)
#: Of an online stream each seed of a training takes this many sequences, more than any training sees, and 2**30 seeds do.
_ONLINE_SHARE, _ONLINE_SEEDS = 2**32, 2**30


def mixed_seed(*numbers: int) -> int:
    """One seed from several numbers (FNV-1a)."""
    value = 0xCBF29CE484222325
    for number in numbers:
        value = ((value ^ (number & 0xFFFFFFFF)) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value >> 1


def seed_weights(seed: int) -> None:
    """Seed the initial weights of a run."""
    torch.manual_seed(mixed_seed(seed, INITIAL_WEIGHTS))


def seed_noise(seed: int, step: int) -> None:
    """Seed the noise of a step."""
    torch.manual_seed(mixed_seed(seed, step, NOISE))


def mask_generator(seed: int, step: int) -> torch.Generator:
    """The random numbers behind a step's forcing mask."""
    return torch.Generator().manual_seed(mixed_seed(seed, step, MASKS))


def total_updates(experiment: Experiment) -> int:
    """Updates of the whole training."""
    return math.ceil(experiment.train.sequences / experiment.train.batch)


def batch_indices(experiment: Experiment, seed: int, step: int, data: Dataset) -> Tensor:
    """Which training sequences the global batch of a step holds.

    Online data counts upwards and never repeats; seeds that differ by a multiple of 2**30 see the same. A fixed split is
    passed through in a fresh order each epoch, batches running on over the ends of epochs. `train.skip` says how far along
    that order the training begins.
    """
    batch = experiment.train.batch
    positions = experiment.train.skip + torch.arange(step * batch, (step + 1) * batch)
    if data.online:
        return positions + seed % _ONLINE_SEEDS * _ONLINE_SHARE
    available = len(data)
    indices = torch.empty_like(positions)
    epochs = positions.div(available, rounding_mode="floor")
    for epoch in epochs.unique().tolist():
        generator = torch.Generator().manual_seed(mixed_seed(seed, epoch, EPOCH_ORDER))
        order = torch.randperm(available, generator=generator)
        inside = epochs == epoch
        indices[inside] = order[positions[inside] % available]
    return indices


def epoch_of(experiment: Experiment, step: int, data: Dataset) -> int:
    """How often the whole training split was passed through before this step."""
    return (experiment.train.skip + step * experiment.train.batch) // len(data)


def forcing_mask(contexts: tuple[int, ...], probability: float, batch: int, length: int, generator: torch.Generator) -> Tensor:
    """Which frames are fed as they are, (batch, length): a context drawn for each sequence, later ones with `probability`."""
    drawn = torch.tensor(contexts)[torch.randint(len(contexts), (batch,), generator=generator)]
    return (torch.arange(length) < drawn[:, None]) | (torch.rand(batch, length, generator=generator) < probability)


def batch(
    experiment: Experiment, seed: int, step: int, data: Dataset, probability: float, length: int, share: slice
) -> tuple[Tensor, Tensor]:
    """One process's share of what a step trains on: frames (B, T, C, H, W), values 0 to 255, and the forcing mask (B, length).

    `probability` is that of a true frame after the context.
    """
    settings = experiment.train
    indices = batch_indices(experiment, seed, step, data)[share]
    mask = forcing_mask(settings.context, probability, settings.batch, length, mask_generator(seed, step))[share]
    return data.batch(indices, epoch_of(experiment, step, data)), mask


def evenly_spaced(count: int, available: int) -> Tensor:
    """`count` sequence numbers at equal distances in a data set of `available`."""
    return torch.arange(count) * available // count
