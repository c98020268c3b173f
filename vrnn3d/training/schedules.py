"""Schedules: pure functions of the training's progress, a number from 0 (start) to 1 (end)."""

from __future__ import annotations

import math


def _ramp(progress: float, end: float) -> float:
    """0 -> 1 linearly over [0, end]; 1 when end is 0."""
    return 1.0 if end <= 0 else min(1.0, max(0.0, progress / end))


def beta(progress: float, final: float, warmup: float) -> float:
    """Weight of the latent loss: 0 -> `final` linearly over the first `warmup` of the training (beta warm-up)."""
    return final * _ramp(progress, warmup)


def forcing_probability(progress: float, end: float) -> float:
    """Scheduled sampling: probability that a true frame is fed after the context, 1 -> 0 over the first `end`.

    `end` = 0 trains on the model's own predictions from the start.
    """
    return 1.0 - _ramp(progress, end)


def learning_rate(progress: float, peak: float, warmup: float, decay: str) -> float:
    """Linear warm-up to `peak`, then constant ("none") or a half cosine to zero at the end ("cosine").

    Raises ``ValueError`` for another `decay`.
    """
    if decay not in ("none", "cosine"):
        raise ValueError(f"no learning-rate decay {decay!r}; there are: none, cosine")
    if progress < warmup:
        return peak * max(progress, 1e-6) / warmup
    if decay == "none":
        return peak
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup))))
