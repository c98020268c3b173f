"""The drawings: complete, inside their figures, and with no text on another text."""

from __future__ import annotations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch

from vrnn3d.models import networks
from vrnn3d.study.figures.diagrams import DRAWINGS, draw, picture
from vrnn3d.study.figures.parameters import parameter_bars

pytestmark = pytest.mark.slow  # draws

EVERY = [(name, part) for name, parts in DRAWINGS.items() for part in range(len(parts))]


def test_every_network_of_the_registry_is_drawn():
    assert set(DRAWINGS) == set(networks())


@pytest.mark.parametrize("name, part", EVERY)
def test_lettering_is_inside_and_apart(name, part):
    figure = draw(name, part)
    renderer = FigureCanvasAgg(figure).get_renderer()
    whole = figure.bbox
    texts = [t for t in figure.axes[0].texts if t.get_text()]
    boxes = [t.get_window_extent(renderer) for t in texts]
    for index, (text, box) in enumerate(zip(texts, boxes)):
        inside = whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1
        assert inside, text.get_text()
        for other, second in zip(texts[:index], boxes[:index]):
            assert not box.overlaps(second), (text.get_text(), other.get_text())


@pytest.mark.parametrize("name, part", EVERY)
def test_lettering_fits_its_box(name, part):
    figure = draw(name, part)
    renderer = FigureCanvasAgg(figure).get_renderer()
    patches = [p.get_window_extent(renderer) for p in figure.axes[0].patches if isinstance(p, FancyBboxPatch)]
    white = [t for t in figure.axes[0].texts if t.get_color() == "white" and len(t.get_text()) > 1]
    assert len(white) >= 5
    for text in white:
        box = text.get_window_extent(renderer)
        assert any(p.x0 <= box.x0 and box.x1 <= p.x1 and p.y0 <= box.y0 and box.y1 <= p.y1 for p in patches), text


def test_an_unknown_drawing_lists_what_there_is():
    with pytest.raises(ValueError, match=r"no drawing 0 of 'simvp'.*predrnnpp \(2\)"):
        draw("simvp")
    with pytest.raises(ValueError, match="no drawing 1 of 'vrnn3d'"):
        draw("vrnn3d", 1)


def test_the_notebook_s_picture_is_one_and_the_same_vector_drawing_with_alternative_text():
    first, second = picture("vrnn3d").data, picture("vrnn3d").data
    assert first == second and 'aria-label="One step of the variational 3D ConvLSTM' in first
    assert first.count("<path") > 20 and "<image" not in first


def test_parameter_bars_are_as_long_as_the_counts_and_end_with_what_is_not_counted():
    counted = {"A": {"head": 1_000_000, "spare": 3_000_000, "body": 6_000_000}, "B": {"all": 2_000_000}}
    figure = parameter_bars(counted, {("A", "spare")}, {"A": 8e6, "B": 2e6})
    axes = figure.axes[0]
    bars = [(round(p.get_x()), round(p.get_width()), p.get_facecolor()[3] > 0) for p in axes.patches]
    assert bars[:2] == [(0, 1_000_000, True), (1_000_000, 6_000_000, True)]
    assert bars[2:] == [(7_000_000, 3_000_000, False), (0, 2_000_000, True)]
    assert [line.get_xdata()[0] for line in axes.lines] == [8e6, 2e6]
    assert axes.get_xlim()[1] > 10_000_000
    assert [t.get_text() for t in axes.texts] == ["head", "body", "spare", "all"]
