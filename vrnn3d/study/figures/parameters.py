"""The figure of what each system spends its parameters on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from vrnn3d.show import GREY
from vrnn3d.study.figures.canvas import LATENT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Of neighbouring parts: they mean nothing, unlike the colours of the diagrams. White words can be read on either.
_SHADES = ("#545c67", "#6b7480")


def parameter_bars(counted: Mapping[str, Mapping[str, int]], aside: Collection[str], printed: Mapping[str, float]) -> Figure:
    """What each system's parameters are spent on, and what the paper prints.

    Args:
        counted: title -> {part: parameters}, without a total.
        aside: (title, part) pairs that the total leaves out, drawn hollow at the end of their bar.
        printed: title -> the paper's number of parameters, an orange mark.
    """
    from matplotlib.figure import Figure

    height = 0.62 * len(counted) + 0.7
    figure = Figure(figsize=(8.6, height), facecolor="none")
    axes = figure.add_axes((0.3, 0.6 / height, 0.68, 1 - 0.65 / height), fc="none")
    longest = max([*printed.values(), *(sum(parts.values()) for parts in counted.values())])
    for row, (title, parts) in enumerate(counted.items()):
        left = 0
        for index, name in enumerate(sorted(parts, key=lambda name: (title, name) in aside)):
            hollow = (title, name) in aside
            look: dict[str, Any] = dict(fc="none", ec=GREY, ls=":") if hollow else dict(fc=_SHADES[index % 2], ec="none")
            axes.barh(row, parts[name], 0.55, left, **look)
            if parts[name] > 0.014 * longest * len(name):
                words: dict[str, Any] = dict(ha="center", va="center", size=8, color=GREY if hollow else "white")
                axes.text(left + parts[name] / 2, row, name.replace("_", " "), **words)
            left += parts[name]
        axes.plot(printed[title], row - 0.42, "v", color=LATENT, ms=8, mec="none")
    axes.set(yticks=range(len(counted)), yticklabels=list(counted), ylim=(len(counted) - 0.5, -0.7))
    axes.set_xlim(0, 1.03 * longest)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g}")
    axes.set_xlabel("million parameters   (orange: printed in the paper;  dotted: not counted)")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.tick_params(colors=GREY, left=False)
    axes.xaxis.label.set(color=GREY, size=9)
    return figure
