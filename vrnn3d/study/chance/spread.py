"""Do samples spread only where bounces are ahead? The variance of samples before and after the outcome of a bounce shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

#: Frames around the first frame that shows the unknown outcome of a bounce, over which curves are kept.
OFFSETS = range(-8, 13)


@dataclass(frozen=True)
class BounceSpread:
    """Sample variance and error of the mean frame, both summed over the pixels of a frame.

    "Before" are predicted frames that the context decides, "after" those from the first on that depends on the outcome of a
    bounce. A forecaster that knows the world has no variance before.
    """

    before: float  #: mean sample variance of the frames before
    after: float
    error_before: float  #: mean squared error of the mean of the samples
    error_after: float
    order: float | None  #: chance that of two frames at the same time, one before and one after, the latter varies more
    frames: tuple[int, int]  #: how many before and after
    offsets: tuple[int, ...]  #: frames from the first that depends on a bounce's outcome
    variance: tuple[float, ...]  #: at these offsets, mean over test sequences
    error: tuple[float, ...]

    def over_error(self, samples: int) -> float:
        """Variance over squared error of the mean frame after a bounce, 1 for a calibrated forecaster of that many samples.

        A population variance over S samples is (S - 1) / S of the true one in the mean, and the squared error of their mean
        is (S + 1) / S of it; the factor makes up for both. NaN for a single sample.
        """
        return float("nan") if samples < 2 else self.after / self.error_after * (samples + 1) / (samples - 1)


def spread(variance: Tensor, error: Tensor, first: Tensor) -> BounceSpread:
    """Variance and error taken apart by what is known.

    Args:
        variance: sample variance of each predicted frame, (N, T).
        error: squared error of the mean of the samples, (N, T).
        first: (N,), the number among the predicted frames of the first that depends on a bounce's outcome; T and more where
            none does.

    Raises:
        ValueError: where there are no frames before or none after.
    """
    values, errors, start = (t.double().cpu().numpy() for t in (variance, error, first))
    offset = np.arange(values.shape[1])[None] - start[:, None]
    after = offset >= 0
    if after.all() or not after.any():
        raise ValueError("all predicted frames lie on one side of the first bounce; take more test sequences")
    near = [(k, offset == k) for k in OFFSETS if (offset == k).any()]
    return BounceSpread(
        before=float(values[~after].mean()),
        after=float(values[after].mean()),
        error_before=float(errors[~after].mean()),
        error_after=float(errors[after].mean()),
        order=_order(values, after),
        frames=(int((~after).sum()), int(after.sum())),
        offsets=tuple(k for k, _ in near),
        variance=tuple(float(values[where].mean()) for _, where in near),
        error=tuple(float(errors[where].mean()) for _, where in near),
    )


def _order(values: np.ndarray, after: np.ndarray) -> float | None:
    """Over pairs of frames at the same time; ties count half. Spread that only grows with time so has 0.5."""
    wins = pairs = 0.0
    for column, later in zip(values.T, after.T):
        a, b = column[later], column[~later]
        wins += (a[:, None] > b).sum() + 0.5 * (a[:, None] == b).sum()
        pairs += len(a) * len(b)
    return float(wins / pairs) if pairs else None
