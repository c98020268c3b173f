"""The figures of the loss chapter: what is drawn is what was computed."""

from __future__ import annotations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from vrnn3d.layers.gaussian import SIGMA_MIN
from vrnn3d.study import loss_math, toy
from vrnn3d.study.figures import loss, style
from vrnn3d.study.figures import toy as pictures

pytestmark = pytest.mark.slow  # draws

matplotlib.use("Agg")
SMALL = toy.Settings(steps=3, batch=4, length=6, hidden=8, latent=3, test_sequences=5, samples=6)


@pytest.fixture(autouse=True)
def clean():
    with matplotlib.rc_context():
        style.use_style()
        yield
    assert plt.get_fignums() == [], "a notebook would show them a second time"


@pytest.fixture(scope="module")
def record():
    trained = toy.train(toy.grid(seeds=(0, 1), floors=(0.0, SIGMA_MIN)), SMALL, progress=False)
    return toy.measure(trained, toy.held_out(5))


def full(axes):
    return [line for line in axes.lines if len(line.get_xdata())]


def test_surfaces_show_the_minimum_where_there_is_one():
    figure = loss.surfaces(0.5, ("kl_pq", "kl_ll"), 2)
    kl, ll = figure.axes[:2]
    assert [len(axes.lines) for axes in (kl, ll)] == [2, 3]
    s_p, s_q = loss_math.joint_minimum("kl_ll", 0.5)
    assert [ll.lines[2].get_xdata()[0], ll.lines[2].get_ydata()[0]] == pytest.approx([np.log(s_p), np.log(s_q)])
    assert kl.get_title() == loss.NAMES["kl_pq"]


def test_minima_have_a_line_per_loss_in_three_panels():
    left, middle, right = loss.minima(("kl_pq", "kl_ll"), prior_std=0.5).axes
    assert [len(axes.lines) for axes in (left, middle, right)] == [2, 2, 2]
    assert np.allclose(right.lines[0].get_ydata(), 0, atol=1e-6), "KL reaches zero whatever the distance"
    delta, falling = right.lines[1].get_data()
    s_p, s_q = loss_math.joint_minimum("kl_ll", delta[10])
    value, _ = loss_math.value_and_slopes("kl_ll", 0.0, np.log(s_q), delta[10], np.log(s_p))
    assert falling[10] == pytest.approx(float(value)) and (np.diff(falling) > 0).all()


def test_the_strip_draws_densities_at_the_moments_it_names():
    figure = loss.drift_strip(("kl_pq",), (0, 1))
    first = figure.axes[0]
    x, density = first.lines[0].get_data()  # of the posterior
    start = loss_math.START
    assert x[density.argmax()] == pytest.approx(start.mean_q, abs=0.02)
    assert density.max() == pytest.approx(1 / np.sqrt(2 * np.pi) / np.exp(start.log_q), rel=1e-3)
    assert [axes.get_title() for axes in figure.axes] == ["t = 0", "t = 1"]


def test_the_animation_has_alternative_text_and_a_still():
    page = loss.drift_animation('two "bells"', ("kl_pq", "kl_ll"), frames=3).data
    assert page.count('alt="two &quot;bells&quot;"') == 2 and page.count("data:image/webp;base64,") == 2
    assert "prior p (dashed)" in page
    with pytest.raises(ValueError, match="alt is empty"):
        loss.drift_animation(" ")


def test_a_run_of_the_toy_is_a_line(record):
    four = pictures.log_std(record).axes
    assert [len(full(axes)) for axes in four] == [7 * 2] * 4
    assert [axes.get_title() for axes in four] == [*loss.WIRING_NAMES.values(), "", ""]
    assert [len(full(axes)) for axes in pictures.floor(record, SIGMA_MIN).axes] == [7 * 2] * 2


def test_scores_of_the_toy_have_a_dot_and_an_interval_per_run_and_a_rule_for_the_truth(record):
    panels = pictures.scores(record, SIGMA_MIN).axes
    assert len(panels) == 5 and all(len(axes.lines) == 1 + 2 * 14 * 2 for axes in panels)
    assert panels[0].lines[0].get_xdata()[0] == record.references["true sampler"]["average"].mean


def test_the_two_parts_of_the_average_stand_end_to_end(record):
    axes = pictures.budget(record).axes[0]
    bars = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert len(bars) == 3 * (2 + 14)  # the error of the mean; the variance's face, and its hatches
    for (_, of_mean), face, hatches in zip(bars[::3], bars[1::3], bars[2::3]):
        assert face[0] == pytest.approx(of_mean) and face == hatches
    totals = [face[0] + face[1] for face in bars[1::3]]
    assert totals == sorted(totals), "the lowest on top"


def test_futures_begin_where_the_context_ends():
    frames = torch.rand(20, 2)
    figure = pictures.ball(frames, {"one": torch.rand(5, 12, 2), "two": torch.rand(4, 12, 2)}, 8)
    first = figure.axes[0]
    assert [list(line.get_xdata())[0] for line in first.lines[:10:2]] == [float(frames[7, 0])] * 5
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["context", "what happened", "5 predicted futures"]
