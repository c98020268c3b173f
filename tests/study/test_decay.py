"""How curves decay over frames, on curves whose form is known."""

from __future__ import annotations

import numpy as np
import pytest
from study.made import people

from vrnn3d.study import decay
from vrnn3d.study.figures import decay as figures

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


def test_what_an_exponential_does_better_in_words():
    assert decay.forms_in_words([]) == ""
    bent, straight = decay.decay_form(noisy(20 + 9 * np.exp(-FRAMES / 12))), decay.decay_form(28 - 0.1 * FRAMES)
    assert (bent.frames, bent.held_out) == (60, 20)
    told = decay.forms_in_words([bent, straight])
    assert told.startswith("an exponential lies closer than a line to all 60 frames for 1 of 2 trainings")
    assert told.endswith("extrapolates the last 20 better for 1 of 2")
    assert decay.extrapolations_in_words([]) == ""
    ahead = decay.extrapolations_in_words([bent, straight])
    assert ahead.startswith("fitted to the first 40 predicted frames, an exponential predicts the last 20 better than")
    assert ahead.endswith("for 1 of 2 trainings")


def test_the_forms_of_runs_are_those_of_their_average_curves():
    run = people(start=28.0, slope=-0.1)
    values = run.measured("test", "10->60").scores["psnr"].per_frame
    assert decay.forms_of([run], "psnr", "10->60") == [decay.decay_form(values)]
    assert decay.forms_of([run], "psnr", "5->15") == []


def test_the_table_and_the_figure_of_the_forms():
    run = people(start=28.0, slope=-0.1)
    (form,) = decay.forms_of([run], "psnr", "10->60")
    table = figures.forms_table({"x": form})
    assert table.loc["x", ("fitted to all frames", "exponential")] == form.exponential.fitted
    assert table.loc["x", ("extrapolated to the last 20", "linear")] == form.linear.extrapolated
    bent = decay.decay_form([30 - 5 * (1 - 0.9**n) for n in range(60)])
    assert figures.forms_table({"x": bent}).loc["x", ("exponential", "time constant")].endswith(" frames")

    panels = figures.extrapolations(run, ("psnr", "ssim"), "10->60").axes
    assert [axes.get_ylabel().split()[0] for axes in panels] == ["PSNR", "SSIM"]
    dots, line, ahead, *_ = panels[0].lines
    np.testing.assert_allclose(dots.get_ydata(), run.measured("test", "10->60").scores["psnr"].per_frame)
    assert list(dots.get_xdata()[[0, -1]]) == [11, 70] and line.get_xdata()[-1] == ahead.get_xdata()[0] == 50
    with pytest.raises(ValueError, match="has nothing of test, 5->15; evaluate it so"):
        figures.extrapolations(run, ("psnr",), "5->15")


def test_the_rate_of_a_recorded_metric():
    entry = people(start=28.0, slope=-0.1).measured("test", "10->60")
    rate = decay.decay_rate(entry.scores["psnr"])
    slopes = entry.scores["psnr"].per_sequence_slope
    assert rate.slope == pytest.approx(np.mean(slopes)) and rate.interval[0] < rate.slope < rate.interval[1]
    # A straight decay loses the slope times the 50 frames between the middles of both ends.
    assert rate.first - rate.last == pytest.approx(-50 * rate.slope, rel=0.02)
    assert decay.decay_rate(entry.scores["mse"]) is None
