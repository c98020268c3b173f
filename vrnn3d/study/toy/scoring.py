"""How good the forecasts of the ball are: free runs after the context, five scores, and predictions that need no training."""

from __future__ import annotations

import torch
from torch import Tensor

from vrnn3d.study.toy.ball import CONTEXT, HORIZON, HeldOut, true_futures
from vrnn3d.study.toy.network import Ensemble

AT_ONCE = 7  #: runs that are rolled out together: bounded memory, and faster

#: What the book calls the scores.
SCORE_NAMES = {
    "average": "average of 50",
    "best": "best of 50",
    "mean_frame": "mean prediction",
    "variance": "sample variance",
    "crps": "CRPS",
}


@torch.no_grad()
def futures(ensemble: Ensemble, test: HeldOut, samples: int, seed: int = 0) -> Tensor:
    """Free runs after the context: (runs, n, samples, HORIZON, 2). Every run gets the same noise."""
    n, length = test.frames.shape[:2]
    context = test.frames[:, :CONTEXT].repeat_interleave(samples, 0)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(length - 1, 2, 1, n * samples, ensemble.settings.latent, generator=generator)
    free = []
    for start in range(0, len(ensemble.runs), AT_ONCE):
        part = ensemble.subset(slice(start, start + AT_ONCE))
        predictions, _, _ = part.rollout(context.expand(len(part.runs), *context.shape), length, noise, training=False)
        free.append(predictions[:, :, -HORIZON:].reshape(-1, n, samples, HORIZON, 2).clone())
    return torch.cat(free)


def scores(predictions: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Of each test sequence (..., n), squared half-widths of the box summed over the two coordinates, averaged over
    frames: `average` over samples, `best` of the samples, `mean_frame`, `variance` of the samples (divisor S); and
    `crps`, the fair estimate of the continuous ranked probability score per coordinate (half-widths of the box).

    predictions (..., n, samples, frames, 2), truth (n, frames, 2). average = mean_frame + variance, exactly.
    """
    error = (predictions - truth[:, None]).square().sum(-1).mean(-1)  # (..., n, samples)
    mean = predictions.mean(-3)
    samples = predictions.shape[-3]
    ordered = predictions.sort(dim=-3).values
    weight = (2 * torch.arange(samples) - samples + 1.0) / (samples * max(1, samples - 1))
    spread = (ordered * weight[:, None, None]).sum(-3)  # half the mean distance between two samples
    crps = (predictions - truth[:, None]).abs().mean(-3) - spread
    return {
        "average": error.mean(-1),
        "best": error.amin(-1),
        "mean_frame": (mean - truth).square().sum(-1).mean(-1),
        "variance": predictions.var(-3, correction=0).sum(-1).mean(-1),
        "crps": crps.mean((-1, -2)),
    }


def references(test: HeldOut, samples: int, seed: int = 0) -> dict[str, Tensor]:
    """Predictions that need no training, (n, samples or 1, HORIZON, 2): the true sampler, the mean of 1,000 of its
    draws (nothing deterministic has a lower expected squared error), and the last frame kept."""
    generator = torch.Generator().manual_seed(20_000 + seed)
    return {
        "true sampler": true_futures(test.position, test.velocity, samples, generator),
        "true mean": true_futures(test.position, test.velocity, 1_000, generator).mean(1, keepdim=True),
        "copy last": test.position[:, None, None].expand(-1, 1, HORIZON, 2),
    }
