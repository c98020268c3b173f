"""What is minimised, and the error on the validation set that tells how it goes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vrnn3d.config import Experiment
from vrnn3d.data import Dataset
from vrnn3d.device import autocast
from vrnn3d.layers.gaussian import noise_of_one_process
from vrnn3d.losses import latent_total, sequence_loss
from vrnn3d.models.base import Latents, VideoModel
from vrnn3d.rollout import rollout
from vrnn3d.training.order import evenly_spaced

VALIDATION_SEQUENCES = 200
#: A standard deviation within this factor of its floor counts as lying on it.
_AT_FLOOR = 1.05

Terms = dict[str, Tensor]


def objective(model: VideoModel, experiment: Experiment, length: int) -> Callable[..., tuple[Tensor, Terms]]:
    """The function (uint8 frames, mask, beta) -> (mean loss, terms) that is compiled and differentiated.

    Frames are (B, T, C, H, W), values 0 to 255, of which the first `length` are used; the mask (B, length) says which of
    them are fed as they are; beta is a 0-d tensor. Terms are 0-d tensors without a gradient.
    """
    settings, context = experiment.loss, min(experiment.train.context)

    def compute(frames: Tensor, mask: Tensor, beta: Tensor) -> tuple[Tensor, Terms]:
        frames = frames[:, :length].float() / 255
        prediction, latents = rollout(model, frames, context, length, forcing=mask, posterior=model.stochastic)
        loss, terms = sequence_loss(
            prediction,
            frames[:, model.window :],
            latents,
            variant=settings.variant,
            l1=settings.l1,
            l2=settings.l2,
            beta=beta,
        )
        means = {name: term.detach().mean() for name, term in terms.items()}
        known = terms.get("latent") if settings.variant == "kl_qp" else None
        means.update(latent_statistics(latents, model.sigma_min, prediction.shape[1], known))
        loss = loss.mean()
        return loss, {"loss": loss.detach(), **means}

    return compute


@torch.no_grad()
def latent_statistics(latents: list[Latents], sigma_min: float, frames: int, kl: Tensor | None = None) -> Terms:
    """Of a rollout's latents: mean log std, share of dimensions at the floor, KL(q || p) in nats per frame.

    `kl` is the last of these per sequence, where it is known already.
    """
    pairs = [pair for step in latents for pair in step]
    if not pairs:
        return {}
    prior = torch.cat([p.std.flatten() for _, p in pairs])
    posterior = torch.cat([q.std.flatten() for q, _ in pairs if q is not None])
    return {
        "log_std_prior": prior.log().mean(),
        "log_std_posterior": posterior.log().mean(),
        "floor_fraction": (prior < _AT_FLOOR * sigma_min).float().mean(),
        # The same for every loss trained with
        "kl_per_frame": (latent_total(latents, "kl_qp", frames) if kl is None else kl).mean(),
    }


@torch.no_grad()
def validation_mse(model: VideoModel, experiment: Experiment, data: Dataset, device: torch.device) -> float:
    """Frame MSE of one free-running prediction after the longest context, on up to 200 sequences spread over `data`."""
    training = model.training
    context, length = max(experiment.train.context), experiment.data.length
    count, size = min(VALIDATION_SEQUENCES, len(data)), min(50, experiment.train.batch * 2)
    total = torch.zeros((), device=device)
    torch.manual_seed(0)
    model.eval()
    try:
        for indices in evenly_spaced(count, len(data)).split(size):
            frames = data.batch(indices).to(device).float() / 255
            with noise_of_one_process(), autocast(experiment.train.precision, device):
                prediction, _ = rollout(model, frames, context, length)
            error = prediction[:, context - model.window :].clamp(0, 1) - frames[:, context:length]
            total += error.square().sum((2, 3, 4)).mean(1).sum()
    finally:
        model.train(training)
    return (total / count).item()
