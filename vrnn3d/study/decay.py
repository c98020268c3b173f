"""How a metric decays over the predicted frames: how fast, and whether a line or an exponential describes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vrnn3d.evaluation.metrics import bootstrap
from vrnn3d.evaluation.scores import Score

FORMS = ("linear", "exponential")
#: Time constants that are tried for an exponential decay, in frames.
TIME_CONSTANTS = np.geomspace(0.5, 6000, 250)
#: Frames: with a time constant above this, an exponential over 60 frames is a line to the eye.
STRAIGHT = 600


@dataclass(frozen=True)
class Rate:
    """How fast a metric decays, in its unit."""

    first: float  #: mean over the first frames
    last: float  #: mean over the last ones
    slope: float  #: least-squares slope per frame, mean over the sequences
    interval: tuple[float, float]  #: 95% over test sequences of the slope


def decay_rate(score: Score, frames: int = 10) -> Rate | None:
    """The rate of a recorded metric; levels are means over its first and last `frames`. None where no slopes were kept."""
    slopes = score.per_sequence_slope
    if slopes is None:
        return None
    low, high = bootstrap(slopes)
    return Rate(
        first=float(np.mean(score.per_frame[:frames])),
        last=float(np.mean(score.per_frame[-frames:])),
        slope=float(np.mean(slopes)),
        interval=(float(low), float(high)),
    )


@dataclass(frozen=True)
class Fit:
    """A fitted curve, as long as what it was fitted to, and for an exponential its time constant in frames."""

    curve: np.ndarray
    time_constant: float | None


def fit_decay(values: Sequence[float] | np.ndarray, form: str, frames: int | None = None) -> Fit:
    """Least-squares fit of a curve over time.

    Args:
        values: the curve, one value per frame.
        form: "linear", or "exponential": a level plus a multiple of exp(-t / time constant), the best of
            ``TIME_CONSTANTS``.
        frames: only so many values from the start are fitted; the rest of the fitted curve is extrapolated.

    Raises:
        ValueError: for an unknown form.
    """
    values = np.asarray(values, np.float64)
    if form not in FORMS:
        raise ValueError(f"no form {form!r} of a decay; there are: {', '.join(FORMS)}")
    time = np.arange(len(values))
    fits = []
    for tau in [None] if form == "linear" else [float(tau) for tau in TIME_CONSTANTS]:
        shape = time if tau is None else np.exp(-time / tau)
        basis = np.column_stack([np.ones(len(time)), shape])
        curve = basis @ np.linalg.lstsq(basis[:frames], values[:frames], rcond=None)[0]
        fits.append((float(np.square(curve - values)[:frames].sum()), Fit(curve, tau)))
    return min(fits, key=lambda fit: fit[0])[1]


@dataclass(frozen=True)
class Distances:
    """Root mean square distances of a form from a curve, in the unit of the curve."""

    fitted: float  #: of a fit to all frames
    extrapolated: float  #: on the last frames, of a fit to those before


@dataclass(frozen=True)
class DecayForm:
    """How well a line and an exponential describe a curve over time.

    An exponential has one number more to choose and so never fits much worse; what it extrapolates owes nothing to that.
    """

    linear: Distances
    exponential: Distances
    time_constant: float  #: frames, of the exponential fitted to all of the curve

    @property
    def straight(self) -> bool:
        """Whether the exponential is a line to the eye."""
        return self.time_constant > STRAIGHT


def decay_form(values: Sequence[float] | np.ndarray, held_out: int = 20) -> DecayForm:
    """Fit both forms to a curve, and to all but its last `held_out` values, which are then extrapolated."""
    values = np.asarray(values, np.float64)
    whole = {form: fit_decay(values, form) for form in FORMS}
    ahead = {form: fit_decay(values, form, len(values) - held_out) for form in FORMS}
    distances = {
        form: Distances(
            fitted=_distance(whole[form].curve, values),
            extrapolated=_distance(ahead[form].curve[-held_out:], values[-held_out:]),
        )
        for form in FORMS
    }
    constant = whole["exponential"].time_constant
    assert constant is not None
    return DecayForm(distances["linear"], distances["exponential"], constant)


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.square(a - b).mean()))
