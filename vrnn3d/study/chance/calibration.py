"""Are samples spread as the truth is? Rank histograms of the truth among samples, and how far they are from flat.

If a forecaster draws from the true predictive distribution, the truth is one more sample, and the rank of any number that is
computed from a frame (a pixel, a position) is uniform over 0 .. S. Samples that are too alike leave the truth outside of them
too often. See Hamill, "Interpretation of rank histograms for verifying ensemble forecasts", Monthly Weather Review, 2001.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

#: Grey levels that pixels are rounded to before they are ranked, so that faint noise on the black ground is no rank.
LEVELS = 16
_RESAMPLES = 1000


@dataclass(frozen=True)
class Calibration:
    """The rank histogram of one quantity."""

    frequencies: tuple[float, ...]  #: of the ranks 0 .. S of the truth among S samples; they sum to 1
    index: float  #: sum over ranks of ``|frequency - 1 / (S + 1)|``: 0 is flat; 2 S / (S + 1) is one rank always
    noise: float  #: the index that a calibrated forecaster stays below in 95% of test sets like this one
    ranked: int  #: values of the truth that were ranked

    @property
    def samples(self) -> int:
        """S."""
        return len(self.frequencies) - 1

    @property
    def calibrated(self) -> bool:
        """Whether the histogram is as flat as the test set can tell."""
        return self.index <= self.noise

    @property
    def outside(self) -> float:
        """How often the truth lies below or above all samples; 2 / (S + 1) for a calibrated forecaster."""
        return self.frequencies[0] + self.frequencies[-1]

    @property
    def expected_outside(self) -> float:
        """`outside` of a calibrated forecaster with as many samples."""
        return 2 / len(self.frequencies)

    def coverage(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """(nominal, observed) shares of truths within the central intervals between k-th lowest and k-th highest sample.

        k is S / 2 (or half a sample less) to 1, and at last there is the whole line; the curve of a calibrated forecaster is
        the diagonal.
        """
        bins = len(self.frequencies)
        cuts = range((bins - 1) // 2, -1, -1)
        observed = tuple(float(sum(self.frequencies[k : bins - k])) for k in cuts)
        return tuple((bins - 2 * k) / bins for k in cuts), observed


def ranks(samples: Tensor, truth: Tensor, generator: torch.Generator) -> Tensor:
    """The rank of the truth among its samples, int64 of the shape of `truth`, in 0 .. S; ties are broken at random.

    Args:
        samples: (B, S, ...).
        truth: (B, ...).
        generator: of the random numbers for ties, on the CPU.
    """
    below = (samples < truth[:, None]).sum(1)
    ties = (samples == truth[:, None]).sum(1)
    drawn = torch.rand(truth.shape, generator=generator, dtype=torch.float64)
    return below + (drawn * (ties + 1)).long().clamp_max(ties)


def rank_counts(found: Tensor, counted: Tensor, samples: int) -> Tensor:
    """Histograms of each sequence: ranks (B, ...) and booleans of that shape -> float64 (B, samples + 1)."""
    batch = len(found)
    rows = torch.arange(batch).view(-1, *[1] * (found.ndim - 1)).expand_as(found)
    bins = (rows * (samples + 1) + found)[counted]
    return torch.bincount(bins, minlength=batch * (samples + 1)).view(batch, -1).double()


def pixel_counts(samples: Tensor, truth: Tensor, counted: Tensor, generator: torch.Generator) -> Tensor:
    """Rank histograms (B, S + 1) of pixels rounded to `LEVELS` grey levels.

    Pixels that are equal in the truth and in all samples (most are black) are left out; whether one is depends on truth and
    samples alike, so the ranks of those that are left are uniform for a calibrated forecaster too.

    Args:
        samples: (B, S, T, C, H, W) in [0, 1].
        truth: (B, T, C, H, W) in [0, 1].
        counted: (B, T), the frames to look at.
        generator: of the random numbers for ties.
    """
    coarse, true = ((video * (LEVELS - 1)).round().to(torch.int8) for video in (samples, truth))
    differ = (coarse != true[:, None]).any(1)
    where = differ & counted[:, :, None, None, None]
    return rank_counts(ranks(coarse, true, generator), where, samples.shape[1])


def position_counts(samples: Tensor, truth: Tensor, counted: Tensor, generator: torch.Generator) -> Tensor:
    """Rank histograms (B, S + 1) of positions, both coordinates: (B, S, T, 2), (B, T, 2) and frames (B, T)."""
    where = counted[..., None].expand_as(truth)
    return rank_counts(ranks(samples, truth, generator), where, samples.shape[1])


def centre_of_mass(frames: Tensor) -> Tensor:
    """(y, x) in pixels of the centre of the squared brightness, (..., C, H, W) -> (..., 2); a black frame's is its middle.

    Of one digit it is the position, up to where in its box the digit's ink lies, which is the same in all frames of a
    sequence. Squares, because faint noise all over a frame would draw the centre of the brightness itself to its middle.
    """
    weight = frames.double().clamp(0, 1).square().sum(-3)  # (..., H, W)
    mass = weight.sum((-2, -1))
    middles = []
    for axis in (-2, -1):
        size = weight.shape[axis]
        along = weight.sum(-1 if axis == -2 else -2)
        place = torch.arange(size, dtype=torch.float64)
        middles.append(torch.where(mass > 0, (along * place).sum(-1) / mass.clamp_min(1e-12), (size - 1) / 2))
    return torch.stack(middles, -1)


def calibration(counts: Tensor, seed: int = 0) -> Calibration:
    """The calibration of all test sequences together, of the rank histograms (N, S + 1) of each.

    The values of one sequence hang together, so `noise` is found by resampling sequences: how far histograms of resampled
    test sets are from that of the test set is how far a flat one would be from flat.

    Raises:
        ValueError: where nothing was ranked.
    """
    table = counts.double().cpu().numpy()
    if table.sum() == 0:
        raise ValueError("no value was ranked: no test sequence has a frame after a bounce, so take longer predictions")
    n = len(table)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=_RESAMPLES) @ table
    drawn = drawn[drawn.sum(1) > 0]
    frequencies = table.sum(0) / table.sum()
    away = np.abs(drawn / drawn.sum(1, keepdims=True) - frequencies).sum(1)
    return Calibration(tuple(frequencies.tolist()), index_of(frequencies), float(np.percentile(away, 95)), int(table.sum()))


def index_of(frequencies: np.ndarray) -> float:
    """How far a rank histogram is from a flat one: ``Calibration.index``."""
    return float(np.abs(frequencies - 1 / len(frequencies)).sum())
