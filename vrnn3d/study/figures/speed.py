"""Pictures of the speed chapter: what each step gave, how far the models are from the machine's limits, how cost grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vrnn3d.show import GREY, closed
from vrnn3d.study.bench import report
from vrnn3d.study.bench.jobs import PLAIN
from vrnn3d.study.bench.record import Bench, Row
from vrnn3d.study.figures.style import BLUE, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _shade(model: str) -> str:
    return ORANGE if model == report.OURS else BLUE


def waterfall(bench: Bench) -> Figure:
    """Seconds of a training step of ours, a bar a form, from the plain to the fastest."""
    import matplotlib.pyplot as plt

    labels, seconds = zip(*report.waterfall(bench))
    figure, axes = plt.subplots(figsize=(7.4, 0.55 * len(labels) + 0.6))
    shades = [GREY if label.startswith("plain") else BLUE for label in labels[:-1]] + [ORANGE]
    axes.barh(range(len(labels)), seconds, color=shades, height=0.62)
    for i, value in enumerate(seconds):
        axes.text(value, i, f" {value:.2f} s", va="center")
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set(xlabel=f"seconds per training step, batch {bench.settings.batch}", xlim=(0, max(seconds) * 1.15))
    return closed(figure)


def useful_rates(bench: Bench, titles: Mapping[str, str]) -> Figure:
    """Useful operations a second of every model in training, beside a matrix product of the same machine."""
    import matplotlib.pyplot as plt

    plains = report.rows_of(bench, PLAIN)
    rows = sorted(
        ((_gflops(row), row) for row in report.fastest(bench).values() if row.useful_tflops), key=lambda pair: -pair[0]
    )
    figure, axes = plt.subplots(figsize=(7, 0.34 * len(rows) + 0.9))
    for i, (rate, row) in enumerate(rows):
        axes.barh(i, rate, color=_shade(row.model), height=0.6)
        if row.model in plains and plains[row.model].useful_tflops:
            axes.plot(_gflops(plains[row.model]), i, "|", ms=16, mew=2, color=GREY)
    if bench.matrix_product_tflops:
        axes.axvline(bench.matrix_product_tflops * 1e3, color=GREY, ls="--", lw=1)
        axes.text(bench.matrix_product_tflops * 1e3, -0.75, "matrix product", ha="right", va="bottom")
    axes.set_yticks(range(len(rows)), [titles.get(row.model, row.model) for _, row in rows])
    axes.invert_yaxis()
    axes.set(xlabel="useful GFLOP/s in training", xlim=(0, None))
    return closed(figure)


def _gflops(row: Row) -> float:
    """GFLOP/s."""
    return 1e3 * (row.useful_tflops or 0.0)


def growth(benches: Sequence[Bench]) -> Figure | None:
    """Seconds per training sequence of ours against one setting at a time, or None where no sweep was measured."""
    import matplotlib.pyplot as plt

    sweeps = report.growth(benches)
    if not sweeps:
        return None
    columns = min(len(sweeps), 3)
    lines = -(-len(sweeps) // columns)
    size = (2.9 * columns, 2.4 * lines)
    figure, grid = plt.subplots(lines, columns, figsize=size, sharey=True, layout="constrained", squeeze=False)
    for axes, (name, points) in zip(grid.flat, sweeps.items()):
        values, seconds = zip(*points)
        axes.plot(range(len(values)), seconds, "o-", color=ORANGE)
        axes.set_xticks(range(len(values)), [str(value) for value in values])
        axes.set_xlabel(name)
    for axes in grid.flat[len(sweeps) :]:
        axes.remove()
    figure.supylabel("seconds per training sequence", fontsize=10.5)
    grid[0, 0].set_ylim(bottom=0)  # shared, and so only after all of them are drawn
    return closed(figure)


# --- roofline ---------------------------------------------------------------------------------------------------------


class _Point(NamedTuple):
    """A model in one form: useful operations per byte moved, and useful GFLOP/s."""

    model: str
    fast: bool
    intensity: float
    rate: float


def _points(bench: Bench) -> list[_Point]:
    forms = ((True, report.fastest(bench)), (False, report.rows_of(bench, PLAIN)))
    return [
        _Point(model, fast, intensity, _gflops(row))
        for fast, rows in forms
        for model, row in rows.items()
        if (intensity := report.intensity(row)) and row.useful_tflops
    ]


def roofline(bench: Bench, titles: Mapping[str, str]) -> Figure | None:
    """Every model's rate against its intensity, below what memory and arithmetic allow.

    Filled: fast form; hollow: plain form. None for a record without both ceilings or without counted bytes.
    """
    import matplotlib.pyplot as plt

    points, bandwidth = _points(bench), bench.copy_gigabytes_per_second
    if not (bench.matrix_product_tflops and bandwidth and points):
        return None
    peak = bench.matrix_product_tflops * 1e3
    figure, axes = plt.subplots(figsize=(7.4, 4.6))
    right = _roof(axes, peak, bandwidth, [point.intensity for point in points])
    for model in dict.fromkeys(point.model for point in points):
        mine = {point.fast: (point.intensity, point.rate) for point in points if point.model == model}
        if len(mine) == 2:
            axes.plot(*zip(mine[False], mine[True]), color=_shade(model), lw=0.8, alpha=0.6)
        for fast, place in mine.items():
            fill = _shade(model) if fast else "none"
            axes.plot(*place, "o", ms=6, mec=_shade(model), mfc=fill, mew=1.4, zorder=4 if model == report.OURS else 3)
    axes.set(xlabel="useful operations per byte moved (FLOP / byte)", ylabel="useful GFLOP/s in training")
    lowest = min(axes.get_xlim()[0] * bandwidth, *(point.rate for point in points))
    axes.set_ylim(lowest / 1.2, peak * 1.8)
    _plain_ticks(axes)
    places = {point.model: (point.intensity, point.rate) for point in reversed(points)}  # the fast form's, which come first
    _label_beside(axes, places, titles, right)
    return closed(figure)


def _roof(axes: Axes, peak: float, bandwidth: float, intensities: Sequence[float]) -> float:
    """The slope of the memory and the level of the arithmetic; returns where the level ends."""
    bend = peak / bandwidth
    x = np.array([min(*intensities, bend) / 3, bend, max(*intensities, bend) * 2])
    axes.loglog(x, np.minimum(x * bandwidth, peak), color=GREY, lw=1.2)
    axes.set_xlim(x[0], x[-1] * 1.1)
    axes.text(x[-1], peak * 1.05, f"matrix product, {peak:,.0f} GFLOP/s", ha="right", va="bottom")
    slope = np.degrees(np.arctan(bandwidth))  # of the line, in units of the axes
    along: dict[str, Any] = {"rotation": slope, "rotation_mode": "anchor", "transform_rotates_text": True}
    middle = (x[0] * bend) ** 0.5
    axes.text(middle, middle * bandwidth * 1.05, f"copy, {bandwidth:,.0f} GB/s", ha="center", va="bottom", **along)
    return float(x[-1])


def _plain_ticks(axes: Axes) -> None:
    """Numbers at 1, 2 and 5 on both logarithmic axes, without powers of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter

    for side in (axes.xaxis, axes.yaxis):
        side.set_major_locator(LogLocator(subs=(1, 2, 5)))
        side.set_major_formatter("{x:,.10g}")
        side.set_minor_formatter(NullFormatter())


def _label_beside(axes: Axes, places: Mapping[str, tuple[float, float]], titles: Mapping[str, str], right: float) -> None:
    """Names in a column at the right edge, each at its point's height or as near as leaves room for a line of text."""
    ordered = sorted(places, key=lambda model: places[model][1])
    low, high = np.log10(axes.get_ylim())
    gap = 0.062 * (high - low)
    wanted = np.log10([places[model][1] for model in ordered])
    heights = wanted.copy()
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    heights += np.mean(wanted - heights)  # as much below as above
    for model, height in zip(ordered, heights):
        arrow = {"arrowstyle": "-", "color": _shade(model), "lw": 0.5, "alpha": 0.5, "shrinkB": 5, "relpos": (0, 0.5)}
        axes.annotate(
            titles.get(model, model), places[model], (right * 1.2, 10**height), annotation_clip=False, va="center",
            color=_shade(model), arrowprops=arrow,
        )  # fmt: skip
