"""Reconstruction and latent losses (paper, equations 7-13, and the variants of the audit).

Every loss returns a value per sequence together with its terms, never a bare mean: what is averaged, and over what,
is the caller's choice. All arithmetic is float32 or wider, also under autocast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vrnn3d.frames import require_floats
from vrnn3d.layers.gaussian import Gaussian, widened

#: (posterior, prior) -> nats of each latent element, of their broadcast shape.
LatentLoss = Callable[[Gaussian, Gaussian], Tensor]


class Coefficients(NamedTuple):
    """Coefficients of  a log s_q - b log s_p + (c s_p^2 + w (mu_p - mu_q)^2) / (2 s_q^2) - 1/2 + constant."""

    a: float
    b: float
    c: float
    w: float
    mirrored: bool = False  # True: the same with the labels p and q exchanged
    constant: float = 0.0

    def __call__(self, posterior: Gaussian, prior: Gaussian) -> Tensor:
        """The loss of each latent element, in nats."""
        q, p = (prior, posterior) if self.mirrored else (posterior, prior)
        mean_q, std_q, mean_p, std_p = (widened(t) for t in (*q, *p))
        u, v = std_q.log(), std_p.log()
        delta = mean_p - mean_q
        # Eqs. 9 and 13, with s_p^2 / s_q^2 = exp(2 (v - u)): ratios are formed in the exponent, where they cannot
        # overflow before the result itself does.
        a, b, c, w = self[:4]
        return a * u - b * v + (c * (2 * (v - u)).exp() + w * (delta * (-u).exp()) ** 2) / 2 - 0.5 + self.constant


#: The paper's latent loss and the forms that the audit compares it with, by name.
VARIANTS: dict[str, Coefficients] = {
    "kl_pq": Coefficients(1, 1, 1, 1),  # eq. 9 as printed: KL(p || q)
    "kl_qp": Coefficients(1, 1, 1, 1, mirrored=True),  # eq. 8 as named: KL(q || p)
    "kl_ll": Coefficients(2, 1, 1, 3),  # eq. 13 as printed
    "kl_ll_half": Coefficients(2, 1, 1, 2, constant=math.log(2 * math.pi) / 2),  # eq. 11 with the true Gaussian likelihood
    "kl_ll_mirror": Coefficients(2, 1, 1, 3, mirrored=True),  # eq. 13 with p and q exchanged
    "kl_ll_balanced": Coefficients(2, 2, 1, 3),  # one coefficient changed: bounded below
    "kl_ll_mean": Coefficients(1, 1, 1, 3),  # only the stronger pull between the means
}

#: Every latent loss that configurations can name. Add one with ``LATENT_LOSSES["name"] = function``.
LATENT_LOSSES: dict[str, LatentLoss] = {**VARIANTS}  # type: ignore[dict-item]  # mypy does not see the call


def find_latent_loss(variant: str | LatentLoss) -> LatentLoss:
    """A latent loss by its name; a function is taken as it is. ``ValueError`` lists the names for an unknown one."""
    if callable(variant):
        return variant
    if variant not in LATENT_LOSSES:
        raise ValueError(f"no latent loss {variant!r}; there are: {', '.join(LATENT_LOSSES)}")
    return LATENT_LOSSES[variant]


def latent_loss(posterior: Gaussian, prior: Gaussian, variant: str | LatentLoss = "kl_ll") -> Tensor:
    """The latent loss of each latent element, in nats, in float32 or wider.

    Args:
        posterior: q, `Gaussian(mean, std)` with std > 0, any broadcastable shapes.
        prior: p, likewise.
        variant: a key of `LATENT_LOSSES`, ``kl_ll`` being eq. 13 of the paper as printed, or any function
            (posterior, prior) -> nats per element.

    Raises:
        ValueError: for an unknown variant; the known ones are listed.
    """
    _check_gaussians(posterior, prior)
    return find_latent_loss(variant)(posterior, prior)


def _check_gaussians(posterior: Gaussian | None, prior: Gaussian) -> None:
    """Refuse what is no pair of Gaussians with positive deviations; values are looked at on a CPU only."""
    if posterior is None:
        raise ValueError("there is no posterior: it is made in training only, by rollout(..., posterior=True)")
    for name, gaussian in (("posterior", posterior), ("prior", prior)):
        std = gaussian[1]
        if std.device.type == "cpu" and not torch.compiler.is_compiling() and bool((std <= 0).any()):
            raise ValueError(
                f"the {name}'s standard deviation falls to {std.min().item():.3g}; it must be above 0 (is this a log-variance?"
                " then pass (0.5 * log_variance).exp())"
            )


def reconstruction_loss(prediction: Tensor, target: Tensor, l1: float = 1.0, l2: float = 1.0) -> tuple[Tensor, dict]:
    """L1 + L2 reconstruction (paper, sect. 4.1): (loss per sequence (B,), {"l1": (B,), "l2": (B,)}).

    Both terms are summed over the pixels of a frame and averaged over its frames; `l1` and `l2` weight them.
    prediction and target are (batch, time, channel, height, width).

    Raises:
        ValueError: for another number of axes, for two that differ in shape, and for frames that are no floats.
    """
    if prediction.dim() != 5:
        raise ValueError(f"prediction is {tuple(prediction.shape)}; it must be (batch, time, channel, height, width)")
    if prediction.shape != target.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape")
    require_floats("prediction is", prediction, "losses")
    require_floats("target is", target, "losses")
    difference = widened(prediction) - widened(target)
    terms = {"l1": difference.abs().sum((2, 3, 4)).mean(1), "l2": difference.square().sum((2, 3, 4)).mean(1)}
    return l1 * terms["l1"] + l2 * terms["l2"], terms


def latent_total(latents: Sequence, variant: str | LatentLoss, frames: int) -> Tensor:
    """The latent loss of a rollout in nats per predicted frame, per sequence (B,).

    Summed over latent dimensions (eq. 13) and over steps (the sum over t in eq. 7), divided by the `frames` that these
    steps predict: so that it weighs the same against the reconstruction of a frame whatever the horizon H.

    Args:
        latents: a list over steps of tuples of (posterior, prior) pairs, as ``rollout`` returns them.
        variant: as for :func:`latent_loss`.
        frames: frames predicted in all, steps times H.
    """
    loss = find_latent_loss(variant)
    for pairs in latents:
        for q, p in pairs:
            _check_gaussians(q, p)
    per_step: list[Tensor] = [sum(_of_pair(loss, q, p) for q, p in pairs) for pairs in latents]  # type: ignore[misc]
    return torch.stack(per_step).sum(0) / frames


def _of_pair(loss: LatentLoss, q: Gaussian, p: Gaussian) -> Tensor:
    """A latent loss summed over the elements of one latent, (B,)."""
    nats, wanted = loss(q, p), torch.broadcast_shapes(q.mean.shape, p.mean.shape)
    if nats.shape != wanted:
        name = getattr(loss, "__name__", str(loss))
        raise ValueError(
            f"the latent loss {name} gives {tuple(nats.shape)} for a latent of {tuple(wanted)}: it must give one value for each"
            " element"
        )
    return nats.flatten(1).sum(1)


def sequence_loss(
    prediction: Tensor,
    target: Tensor,
    latents: Sequence,
    *,
    variant: str | LatentLoss = "kl_ll",
    l1: float = 1.0,
    l2: float = 1.0,
    beta: float | Tensor = 1.0,
) -> tuple[Tensor, dict]:
    """Equation 7: (loss per sequence (B,), its terms per sequence).

    Equation 7 sums both losses over time; here both are that sum divided by the number of predicted frames, which leaves
    their ratio as it is and makes sequences of different lengths comparable. `beta` (lambda_latent) may be a float or a
    0-d tensor. Terms: l1, l2, reconstruction, and for a stochastic model latent.
    """
    reconstruction, terms = reconstruction_loss(prediction, target, l1, l2)
    terms["reconstruction"] = reconstruction
    if not any(latents):
        return reconstruction, terms
    terms["latent"] = latent_total(latents, variant, prediction.shape[1])
    # Eq. 7
    return reconstruction + beta * terms["latent"], terms
