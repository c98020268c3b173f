"""How a metric decays over the predicted frames: how fast, and whether a line or an exponential describes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vrnn3d.evaluation.metrics import bootstrap
from vrnn3d.evaluation.scores import Score
from vrnn3d.study.records import Record

FORMS = ("linear", "exponential")
#: Time constants that are tried for an exponential decay, in frames.
TIME_CONSTANTS = np.geomspace(0.5, 6000, 250)
#: Frames: with a time constant above this, an exponential over 60 frames is a line to the eye.
STRAIGHT = 600
#: Of a curve, the last part that is extrapolated from what comes before.
HELD_OUT = 1 / 3


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
    frames: int  #: of the curve
    held_out: int  #: of these, the last ones, which were extrapolated

    @property
    def straight(self) -> bool:
        """Whether the exponential is a line to the eye."""
        return self.time_constant > STRAIGHT


def frames_held_out(frames: int) -> int:
    """How many of so many frames are extrapolated."""
    return round(HELD_OUT * frames)


def decay_form(values: Sequence[float] | np.ndarray) -> DecayForm:
    """Fit both forms to a curve, and to all but the last third of it, which is then extrapolated."""
    values = np.asarray(values, np.float64)
    held_out = frames_held_out(len(values))
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
    return DecayForm(distances["linear"], distances["exponential"], constant, len(values), held_out)


def forms_of(records: Iterable[Record], metric: str, protocol: str, pool: str = "test") -> list[DecayForm]:
    """The form of each run's average of a metric over the predicted frames; runs that were not measured so are left out."""
    entries = (record.measured(pool, protocol) for record in records)
    return [decay_form(entry.scores[metric].per_frame) for entry in entries if entry is not None]


def forms_in_words(forms: Sequence[DecayForm]) -> str:
    """For how many curves of one length an exponential does better than a line: a clause for a sentence, "" for none."""
    if not forms:
        return ""
    closer = sum(form.exponential.fitted < form.linear.fitted for form in forms)
    return (
        f"an exponential lies closer than a line to all {forms[0].frames} frames for {closer} of {len(forms)} trainings, and"
        f" extrapolates the last {forms[0].held_out} better for {_ahead(forms)} of {len(forms)}"
    )


def extrapolations_in_words(forms: Sequence[DecayForm]) -> str:
    """For how many curves of one length an exponential predicts the last frames better than a line; "" for none."""
    if not forms:
        return ""
    return (
        f"fitted to the first {forms[0].frames - forms[0].held_out} predicted frames, an exponential predicts the last"
        f" {forms[0].held_out} better than a line does for {_ahead(forms)} of {len(forms)} trainings"
    )


def _ahead(forms: Iterable[DecayForm]) -> int:
    return sum(form.exponential.extrapolated < form.linear.extrapolated for form in forms)


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.square(a - b).mean()))
