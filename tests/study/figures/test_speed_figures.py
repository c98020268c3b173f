"""The figures of the speed chapter, on the committed records."""

from __future__ import annotations

import dataclasses

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from vrnn3d.study.bench import record, report
from vrnn3d.study.figures import speed, style

matplotlib.use("Agg")
TITLES = {"e3d_lstm": "E3D-LSTM"}


@pytest.fixture(autouse=True)
def clean():
    with matplotlib.rc_context():
        style.use_style()
        yield
    assert plt.get_fignums() == [], "a notebook would show them a second time"


@pytest.fixture(scope="module")
def bench():
    return record.read_all()["cpu"]


def test_the_steps_have_a_bar_each(bench):
    (axes,) = speed.waterfall(bench).axes
    assert [bar.get_width() for bar in axes.patches] == [seconds for _, seconds in report.waterfall(bench)]
    assert axes.get_xlabel() == "seconds per training step, batch 2"


def test_rates_are_sorted_and_stand_beside_the_matrix_product(bench):
    (axes,) = speed.useful_rates(bench, TITLES).axes
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == sorted(widths, reverse=True) and len(widths) == len(report.fastest(bench))
    assert max(widths) < 1e3 * bench.matrix_product_tflops
    assert "E3D-LSTM" in [label.get_text() for label in axes.get_yticklabels()]


def test_every_model_has_its_place_under_the_roof(bench):
    (axes,) = speed.roofline(bench, TITLES).axes
    dots = {tuple(np.ravel(line.get_data())) for line in axes.lines if line.get_marker() == "o"}
    row = report.fastest(bench)["vrnn3d"]
    assert any(dot == pytest.approx((report.intensity(row), 1e3 * row.useful_tflops)) for dot in dots)
    assert len(dots) == 2 * len(report.fastest(bench))
    heights = sorted(np.log10(text.get_position()[1]) for text in axes.texts[2:])
    assert min(np.diff(heights)) > 0.9 * 0.062 * np.diff(np.log10(axes.get_ylim()))[0], "no name on another"


def test_without_bandwidth_or_sweep_there_is_no_figure(bench):
    assert speed.roofline(dataclasses.replace(bench, copy_gigabytes_per_second=None), TITLES) is None
    assert speed.growth([bench]) is None


def test_how_cost_grows_has_a_panel_per_setting():
    figure = speed.growth(list(record.read_all().values()))
    assert [axes.get_xlabel() for axes in figure.axes] == ["batch", "M = H", "H at M = 4", "size", "length"]
    size = figure.axes[3]
    assert [label.get_text() for label in size.get_xticklabels()] == ["32", "64", "96", "128"]
