"""How curves decay over frames, on curves whose form is known."""

from __future__ import annotations

import numpy as np
import pytest
from study.made import people

from vrnn3d.study import decay

FRAMES = np.arange(60)


def noisy(curve):
    return curve + 0.02 * np.random.default_rng(0).standard_normal(len(curve))


def test_an_exponential_is_told_from_a_line():
    found = decay.decay_form(noisy(20 + 9 * np.exp(-FRAMES / 12)))
    assert found.time_constant == pytest.approx(12, rel=0.05) and not found.straight
    assert found.exponential.fitted == pytest.approx(0.02, rel=0.3)
    assert found.linear.fitted > 20 * found.exponential.fitted
    assert found.linear.extrapolated > 20 * found.exponential.extrapolated


def test_a_line_needs_no_exponential():
    found = decay.decay_form(noisy(28 - 0.1 * FRAMES))
    assert found.linear.fitted == pytest.approx(0.02, rel=0.3)
    assert found.linear.extrapolated < 0.06
    # The longest time constants are lines to the eye: hardly worse, as the docstring says, and the constant says so.
    assert found.exponential.fitted < 1.1 * found.linear.fitted
    assert found.straight


def test_an_extrapolation_never_looks_at_what_it_is_measured_on():
    curve = 28 - 0.1 * FRAMES
    jump = curve + np.where(FRAMES >= 40, 5.0, 0.0)
    for form in decay.FORMS:
        a, b = (decay.fit_decay(values, form, 40).curve for values in (curve, jump))
        np.testing.assert_allclose(a, b)
    assert decay.decay_form(jump).linear.extrapolated == pytest.approx(5.0, abs=1e-6)
    with pytest.raises(ValueError, match="no form 'cubic' of a decay; there are: linear, exponential"):
        decay.fit_decay(curve, "cubic")


def test_the_rate_of_a_recorded_metric():
    entry = people(start=28.0, slope=-0.1).measured("test", "10->60")
    rate = decay.decay_rate(entry.scores["psnr"])
    slopes = entry.scores["psnr"].per_sequence_slope
    assert rate.slope == pytest.approx(np.mean(slopes)) and rate.interval[0] < rate.slope < rate.interval[1]
    # A straight decay loses the slope times the 50 frames between the middles of both ends.
    assert rate.first - rate.last == pytest.approx(-50 * rate.slope, rel=0.02)
    assert decay.decay_rate(entry.scores["mse"]) is None
