"""What an evaluation found, as values with names."""

from __future__ import annotations

from dataclasses import dataclass, field

from vrnn3d.settings import setting


@dataclass(frozen=True)
class Score:
    """One metric of one test set. What a metric does not have is None; ``evaluation.metrics`` says what each means."""

    average: float  #: over samples, frames and sequences
    interval: tuple[float, float]  #: 95% bootstrap over test sequences of `average`
    per_frame: tuple[float, ...]
    per_frame_interval: tuple[tuple[float, float], ...]
    best: float | None = None  #: of the best sample of each sequence
    mean_frame: float | None = None  #: of the mean of the samples
    per_sequence: tuple[float, ...] | None = None
    per_sequence_slope: tuple[float, ...] | None = None  #: decay per frame, of long predictions


@dataclass(frozen=True)
class Evaluation:
    """What was measured on one test set under one protocol."""

    sequences: int = setting(..., low=1)
    samples: int = setting(..., low=1)
    scores: dict[str, Score] = field(default_factory=dict)
    #: MSE of trivial baselines on the same sequences: {"black": ..., "copy_last": ..., "pixel_mean": ...}
    baselines: dict[str, float] = field(default_factory=dict)
