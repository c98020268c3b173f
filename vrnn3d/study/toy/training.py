"""The training of the toy networks, all of them side by side.

Runs of one seed share initial weights, data and noise, so that they differ in the loss and the wiring alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from vrnn3d.layers.gaussian import Gaussian
from vrnn3d.study.toy.ball import fly, launch
from vrnn3d.study.toy.network import Ensemble
from vrnn3d.study.toy.settings import Run, Settings

POINTS = 70  #: of each curve, about


@dataclass
class Trained:
    """What training leaves: the networks, curves (points, runs), and the seconds it took."""

    ensemble: Ensemble
    steps: list[int]
    curves: dict[str, Tensor]
    seconds: float


def train(runs: Sequence[Run], settings: Settings | None = None, progress: bool = True) -> Trained:
    """Train all `runs` side by side with Adam.

    Each run is what it would be alone: nothing is shared between runs but the random numbers of their seed, and gradients are
    clipped run by run.

    Raises:
        FloatingPointError: naming the runs that ended with a loss that is not finite.
    """
    settings = settings or Settings()
    ensemble = Ensemble(runs, settings)
    parameters = list(ensemble.parameters.values())
    optimiser = torch.optim.Adam(parameters, lr=settings.lr, foreach=True)
    seeds = sorted({run.seed for run in runs})
    row = torch.tensor([seeds.index(run.seed) for run in runs])
    generators = [torch.Generator().manual_seed(1_000 + seed) for seed in seeds]
    steps: list[int] = []
    points: dict[str, list[Tensor]] = {}
    begun = time.perf_counter()
    for step in tqdm(range(settings.steps), desc="toy", disable=not progress, mininterval=5):
        data, noise = zip(*(_batch(settings, generator) for generator in generators))
        for group in optimiser.param_groups:
            group["lr"] = settings.lr * _rate(step / settings.steps, settings.lr_decay_from)
        beta = min(1.0, (step + 1) / max(1, settings.beta_warmup * settings.steps))
        reconstruction, latent, q, p = ensemble.losses(torch.stack(data)[row], torch.stack(noise, 2)[:, :, row])
        optimiser.zero_grad()
        (reconstruction + beta * latent).sum().backward()
        _clip(parameters, settings.clip)
        optimiser.step()
        if step % max(1, settings.steps // POINTS) == 0 or step == settings.steps - 1:
            steps.append(step + 1)
            for name, value in _point(ensemble, reconstruction, latent, q, p).items():
                points.setdefault(name, []).append(value)
    curves = {name: torch.stack(values) for name, values in points.items()}
    if bad := [runs[i] for i in (~curves["latent"][-1].isfinite()).nonzero().flatten()]:
        raise FloatingPointError(f"these runs ended with a loss that is not finite: {bad}; lower the learning rate")
    return Trained(ensemble, steps, curves, time.perf_counter() - begun)


def _batch(settings: Settings, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Of one seed: positions (batch, length, 2), and noise for posterior and prior (length - 1, 2, batch, latent)."""
    frames = fly(*launch(settings.batch, generator), settings.length, generator)[0]
    return frames, torch.randn(settings.length - 1, 2, settings.batch, settings.latent, generator=generator)


def _clip(parameters: Sequence[Tensor], bound: float) -> None:
    """Scale each run's gradient to a norm of at most `bound`."""
    gradients = [t.grad for t in parameters if t.grad is not None]
    norm = sum((g.square().sum((1, 2)) for g in gradients), torch.zeros(())).sqrt()
    scale = (bound / norm).clamp(max=1)[:, None, None]
    for gradient in gradients:
        gradient.mul_(scale)


@torch.no_grad()
def _point(ensemble: Ensemble, reconstruction: Tensor, latent: Tensor, q: Gaussian, p: Gaussian) -> dict[str, Tensor]:
    """A point of the curves, of each run."""
    return {
        "reconstruction": reconstruction.detach(),
        "latent": latent.detach(),
        "log_std_prior": p.std.log().mean((0, 2, 3)),
        "log_std_posterior": q.std.log().mean((0, 2, 3)),
        # at the floor: within 5% of it, as in the training of the video models
        "floor_fraction": (p.std < 1.05 * ensemble.floor).float().mean((0, 2, 3)),
    }


def _rate(progress: float, decay_from: float) -> float:
    return 1.0 if progress < decay_from else 1 - 0.9 * (progress - decay_from) / (1 - decay_from)
