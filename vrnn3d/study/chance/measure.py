"""Measure a forecaster in a world with chance: the oracle, or the model of a finished run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from vrnn3d.config import Experiment, config_hash
from vrnn3d.data.moving_mnist import MovingMNIST
from vrnn3d.device import autocast, pick_device
from vrnn3d.evaluation import metrics
from vrnn3d.evaluation.evaluate import predict, seed_noise
from vrnn3d.evaluation.protocols import name_of
from vrnn3d.evaluation.scores import Evaluation
from vrnn3d.layers.gaussian import noise_of_one_process
from vrnn3d.models.base import VideoModel
from vrnn3d.rollout import TEACHER, rollout, usable_length
from vrnn3d.study.chance import calibration as cal
from vrnn3d.study.chance.oracle import Futures, draw_futures, first_unknown, world_of
from vrnn3d.study.chance.probe import Bounces, Probe, around, find_bounces, probe
from vrnn3d.study.chance.record import BLACK, FRAMES, ORACLE, ORACLE_MEAN, ORACLE_SINGLE, Analysis
from vrnn3d.study.chance.spread import spread
from vrnn3d.study.provenance import provenance

#: Futures whose mean is the oracle's mean frame.
MEAN_OF = 100
#: Sequences, for each test sequence, whose bounces a probe is fitted to and measured on; each has about two that count.
PROBED = 6
#: Test sequences and samples that are kept to look at: the first ones, whatever they show.
_SHOWN = (3, 4)
_BATCH = 50
_PIXELS = 4  # of the blocks that frames are averaged over before a probe sees them


@dataclass
class _Found:
    """What is kept of each test sequence, joined at the end: rank histograms, variance, squared error of the mean."""

    counts: dict[str, list[Tensor]] = field(default_factory=dict)
    variance: list[Tensor] = field(default_factory=list)
    error: list[Tensor] = field(default_factory=list)
    first: list[Tensor] = field(default_factory=list)

    def add(self, samples: Tensor, truth: Tensor, first: Tensor, seed: int) -> torch.Generator:
        """Take in a batch: (B, S, T, C, H, W), (B, T, C, H, W), and the first frame that is not known, (B,).

        Returns the generator that breaks ties, for more ranks of the same batch.
        """
        generator = torch.Generator().manual_seed(seed)
        after = torch.arange(truth.shape[1]) >= first[:, None]
        positions = cal.centre_of_mass(samples), cal.centre_of_mass(truth)
        self._count("pixel", cal.pixel_counts(samples, truth, after, generator))
        self._count("position", cal.position_counts(*positions, after, generator))
        self.variance.append(metrics.METRICS["sample_variance"].compute(samples, truth))
        self.error.append(metrics.mse(samples.mean(1), truth))
        self.first.append(first)
        return generator

    def add_position(self, samples: Tensor, truth: Tensor, first: Tensor, generator: torch.Generator) -> None:
        """The known positions of one digit: (B, S, T, 2), (B, T, 2)."""
        after = torch.arange(truth.shape[1]) >= first[:, None]
        self._count("known position", cal.position_counts(samples, truth, after, generator))

    def _count(self, name: str, counts: Tensor) -> None:
        self.counts.setdefault(name, []).append(counts)

    def analysis(self, forecaster: str, experiment: Experiment, seed: int, world: MovingMNIST, protocol: str) -> Analysis:
        """Of all batches together."""
        calibrations = {name: cal.calibration(torch.cat(parts)) for name, parts in self.counts.items()}
        return Analysis(
            forecaster,
            experiment.profile,
            seed,
            world.description,
            protocol,
            sequences=sum(map(len, self.first)),
            samples=calibrations["pixel"].samples,
            calibration=calibrations,
            spread=spread(torch.cat(self.variance), torch.cat(self.error), torch.cat(self.first)),
        )


def _longest(experiment: Experiment) -> tuple[int, int]:
    """(context, predicted frames) of the longest protocol of the longest context, in which bounces are seen best."""
    return max(experiment.eval.protocols)


def _batches(experiment: Experiment) -> Iterator[Tensor]:
    for start in range(0, experiment.eval.sequences, _BATCH):
        yield torch.arange(start, min(start + _BATCH, experiment.eval.sequences))


# --- a model ----------------------------------------------------------------------------------------------------------


@noise_of_one_process()
def measure_model(
    model: VideoModel, experiment: Experiment, seed: int = 0, *, device: str | None = None
) -> tuple[Analysis, dict[str, np.ndarray]]:
    """Calibration, spread and probe of a trained model, and samples to look at (``record.read_samples``).

    A model without a latent gives one forecast; it stands for as many equal samples, and has no probe. Nor has one that was
    trained on more than one digit.

    Args:
        model: with its trained weights.
        experiment: what it was trained and evaluated on; ``eval`` says how many test sequences and samples.
        seed: of the training, for the record.
    """
    started, place, origin = time.monotonic(), pick_device(device), provenance(pick_device(device))
    model = model.to(place).eval()
    (context, ahead), count = _longest(experiment), experiment.eval.samples
    world = world_of(experiment, context + ahead)
    found, shown = _Found(), dict[str, np.ndarray]()
    for indices in _batches(experiment):
        frames = world.batch(indices)
        start = int(indices[0])
        seed_noise(experiment.eval.seed * 1_000_003 + start)
        with autocast(experiment.train.precision, place):
            samples = predict(model, frames.to(place).float() / 255, context, ahead, count).cpu()
        samples = samples.expand(-1, count, *samples.shape[2:])
        found.add(samples, frames[:, context:].float() / 255, first_unknown(world, indices, context, ahead), start)
        shown = shown or _to_look_at(samples, frames, context)
    analysis = found.analysis(experiment.name, experiment, seed, world, name_of(context, ahead))
    probes = {}
    if model.stochastic and world.num_digits == 1:
        probes = probe_latents(model, experiment, PROBED * experiment.eval.sequences, place)
    seconds = round(time.monotonic() - started, 1)
    done = replace(analysis, probe=probes, seconds=seconds, provenance=origin, config_hash=config_hash(experiment))
    return done, shown


def _to_look_at(samples: Tensor, frames: Tensor, context: int) -> dict[str, np.ndarray]:
    sequences, draws = _SHOWN
    kept = (samples[:sequences, :draws] * 255).round().to(torch.uint8)
    return {"sample": kept.numpy(), "truth": frames[:sequences].numpy(), "context": np.array(context)}


@torch.no_grad()
def latents_at(model: VideoModel, frames: Tensor, bounces: Bounces, place: torch.device) -> dict[str, Tensor]:
    """Samples of z of the step that first predicts a frame after each bounce: {"posterior", "prior"}: (n, C * D, h, w).

    The model is given the true frames up to that step, and its posterior the frames to be predicted.
    """
    length = usable_length(model, frames.shape[1])
    pieces: dict[str, list[Tensor]] = {"posterior": [], "prior": []}
    for start in range(0, len(frames), _BATCH):
        part = frames[start : start + _BATCH, :length].to(place)
        _, latents = rollout(model, part.float() / 255, length, length, forcing=TEACHER, posterior=True)
        mine = (bounces.sequence >= start) & (bounces.sequence < start + _BATCH)
        step = ((bounces.frame[mine] + 1 - model.window) // model.horizon).to(place)
        row = (bounces.sequence[mine] - start).to(place)
        for k, name in enumerate(pieces):
            drawn = torch.stack([pairs[0][k].sample() for pairs in latents])  # type: ignore[union-attr]
            pieces[name].append(drawn[step, row].flatten(1, 2).float().cpu())
    return {name: torch.cat(parts) for name, parts in pieces.items()}


def probe_latents(model: VideoModel, experiment: Experiment, count: int, place: torch.device) -> dict[str, Probe]:
    """A probe on z of the posterior, which has seen the outcome, and one on z of the prior, which cannot know it."""
    world = world_of(experiment, experiment.data.length, count)
    bounces = _usable(find_bounces(_positions(world), world.free), model.window, usable_length(model, world.length))
    seed_noise(experiment.eval.seed)
    found = latents_at(model, world.batch(torch.arange(count)), bounces, place)
    cell = world.size[0] // next(iter(found.values())).shape[-2]
    cut = {name: around(z, bounces.corner, world.digit_size[0], cell) for name, z in found.items()}
    return {name: probe(values, bounces.wall, bounces.direction) for name, values in cut.items()}


def _positions(world: MovingMNIST) -> Tensor:
    if world.num_digits != 1:
        raise ValueError(f"the world has {world.num_digits} digits; the probe knows the direction of one alone")
    return world.positions(torch.arange(len(world)))[:, :, 0]


def _usable(bounces: Bounces, window: int, length: int) -> Bounces:
    """Those whose next frame is predicted by a step within `length` frames."""
    kept = (bounces.frame + 1 >= window) & (bounces.frame + 1 < length)
    return Bounces(*(values[kept] for values in bounces))


# --- the oracle -------------------------------------------------------------------------------------------------------


def measure_oracle(experiment: Experiment) -> tuple[Analysis, dict[str, np.ndarray]]:
    """The oracle's rows on the test set of an experiment, and samples to look at.

    Its samples are as many as a model's (``eval.samples``). The mean frame is that of `MEAN_OF` further futures and counts
    as a single forecast; "one sample, repeated" is the first of them. Black frames stand beside them. With one digit there
    is also a probe on the target frames themselves, averaged over blocks of pixels: what such a probe finds where nothing
    was lost.
    """
    started, origin = time.monotonic(), provenance()
    contexts: dict[int, int] = {}
    for context, ahead in experiment.eval.protocols:
        contexts[context] = max(ahead, contexts.get(context, 0))
    values: dict[str, dict[str, list]] = {}
    longest, found, shown = _longest(experiment), _Found(), dict[str, np.ndarray]()
    for context, ahead in contexts.items():
        world = world_of(experiment, context + ahead)
        for indices in _batches(experiment):
            frames = world.batch(indices)
            futures = draw_futures(world, indices, context, ahead, experiment.eval.samples + MEAN_OF)
            truth = frames[:, context:].float() / 255
            for name, forecast in _forecasts(futures.samples, experiment.eval.samples).items():
                _score(values.setdefault(name, {}), forecast, truth, context, experiment)
            if (context, ahead) == longest:
                _add_oracle(found, futures, truth, world, indices, longest, experiment.eval.samples)
                shown = shown or _to_look_at(futures.samples, frames, context)
    world = world_of(experiment, sum(longest))
    analysis = found.analysis(ORACLE, experiment, 0, world, name_of(*longest))
    evaluation = {name: _summaries(table, name, experiment.eval.samples) for name, table in values.items()}
    probes = {}
    if world.num_digits == 1:
        probes[FRAMES] = probe_frames(experiment, PROBED * experiment.eval.sequences)
    seconds = round(time.monotonic() - started, 1)
    return replace(analysis, evaluation=evaluation, probe=probes, seconds=seconds, provenance=origin), shown


def _forecasts(futures: Tensor, samples: int) -> dict[str, Tensor]:
    rest = futures[:, samples:]
    return {
        ORACLE: futures[:, :samples],
        ORACLE_MEAN: rest.mean(1, keepdim=True),
        ORACLE_SINGLE: rest[:, :1],
        BLACK: torch.zeros_like(rest[:, :1]),
    }


def _score(table: dict[str, list], forecast: Tensor, truth: Tensor, context: int, experiment: Experiment) -> None:
    for given, ahead in experiment.eval.protocols:
        if given == context:
            scores = metrics.sample_metrics(forecast[:, :, :ahead], truth[:, :ahead])
            table.setdefault(name_of(given, ahead), []).append(scores)


def _summaries(table: dict[str, list], name: str, samples: int) -> dict[str, Evaluation]:
    drawn = samples if name == ORACLE else 1
    return {protocol: metrics.summarise(metrics.concatenate(parts), drawn) for protocol, parts in table.items()}


def _add_oracle(
    found: _Found,
    futures: Futures,
    truth: Tensor,
    world: MovingMNIST,
    indices: Tensor,
    longest: tuple[int, int],
    samples: int,
) -> None:
    first = first_unknown(world, indices, *longest)
    generator = found.add(futures.samples[:, :samples], truth, first, int(indices[0]))
    if world.num_digits == 1:
        known = world.tracks(indices).corner[:, longest[0] :, 0]
        found.add_position(futures.position[:, :samples, :, 0], known, first, generator)


def probe_frames(experiment: Experiment, count: int, window: int = 2) -> Probe:
    """A probe on the clip of `window` frames that a step of as many has to predict, in place of a latent."""
    world = world_of(experiment, experiment.data.length, count)
    bounces = _usable(find_bounces(_positions(world), world.free), window, world.length // window * window)
    first = (bounces.frame + 1) // window * window
    frames = world.batch(torch.arange(count))[:, :, 0].float() / 255
    clips = torch.stack([frames[bounces.sequence, first + k] for k in range(window)], 1)
    blocks = torch.nn.functional.avg_pool2d(clips, _PIXELS)
    return probe(around(blocks, bounces.corner, world.digit_size[0], _PIXELS), bounces.wall, bounces.direction)
