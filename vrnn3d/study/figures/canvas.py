"""What the drawings of the compared systems are made of: boxes, arrows, memories and gates.

Backgrounds are transparent; boxes are mid-tones with white lettering, and everything else is grey, so that one drawing reads on
light and on dark pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vrnn3d.show import GREY

#: Recurrent memory; convolutions with learned weights; encoders and decoders; latent variables, and what else is new in a
#: system; frames and elementwise operations.
MEMORY, CONV, CODEC, LATENT, FRAME = "#1f78b4", "#7b5fc0", "#12805c", "#c24e00", "#667085"

Point = tuple[float, float]


class Canvas:
    """A figure of width x height units, one unit being about half an inch; y grows upwards."""

    def __init__(self, width: float, height: float, scale: float = 0.5):
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(width * scale, height * scale), facecolor="none")
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(0, height), aspect="equal")
        self.axes.axis("off")

    def box(self, x: float, y: float, text: str, colour: str, w: float, h: float, size: float = 9.5) -> None:
        """A rounded box centred on (x, y)."""
        from matplotlib.patches import FancyBboxPatch

        style = f"round,pad=0,rounding_size={min(0.2, h / 3)}"
        patch = FancyBboxPatch((x - w / 2, y - h / 2), w, h, boxstyle=style, fc=colour, ec="none", zorder=3)
        self.axes.add_patch(patch)
        self.axes.text(x, y, text, color="white", ha="center", va="center", size=size, zorder=4, linespacing=1.25)

    def op(self, x: float, y: float, symbol: str, colour: str = FRAME) -> None:
        """An elementwise operation: a small disc."""
        from matplotlib.patches import Circle

        self.axes.add_patch(Circle((x, y), 0.25, fc=colour, ec="none", zorder=3))
        self.axes.text(x, y - 0.01, symbol, color="white", ha="center", va="center", size=10, zorder=4)

    def arrow(self, *points: Point, colour: str = GREY, dashed: bool = False, head: bool = True, width: float = 1.4) -> None:
        """A polyline with rounded corners through the points, with a head at its end."""
        from matplotlib.patches import FancyArrowPatch

        self.axes.add_patch(
            FancyArrowPatch(
                path=_rounded(points, 0.2),
                arrowstyle="-|>,head_length=0.45,head_width=0.22" if head else "-",
                mutation_scale=9,
                fc=colour if head else "none",
                ec=colour,
                lw=width,
                ls=(0, (3, 2)) if dashed else "-",
                zorder=2,
                shrinkA=0,
                shrinkB=0,
                joinstyle="miter",
            )
        )

    def dot(self, x: float, y: float, colour: str = GREY) -> None:
        """Where a line branches."""
        self.axes.plot([x], [y], "o", ms=4.2, color=colour, zorder=3, mec="none")

    def label(
        self, x: float, y: float, text: str, ha: Any = "center", va: Any = "center", size: float = 10, colour: str = GREY
    ) -> None:
        """Words on the page itself."""
        self.axes.text(x, y, text, color=colour, ha=ha, va=va, size=size, zorder=4)


def _rounded(points: Sequence[Point], radius: float):
    """A matplotlib path through the points whose corners are quarter turns of at most `radius`."""
    from matplotlib.path import Path

    def towards(a: Point, b: Point) -> Point:
        length = max(abs(b[0] - a[0]), abs(b[1] - a[1]), 1e-9)
        r = min(radius, length / 2)
        return a[0] + (b[0] - a[0]) * r / length, a[1] + (b[1] - a[1]) * r / length

    vertices, codes = [points[0]], [Path.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:]):
        vertices += [towards(corner, before), corner, towards(corner, after)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    return Path([*vertices, points[-1]], [*codes, Path.LINETO])


def lane(c: Canvas, y: float, start: float, end: float, before: str, after: str) -> None:
    """A memory's path through a cell, with its names at both ends."""
    c.arrow((start, y), (end, y), colour=MEMORY, width=2.6)
    c.label(start - 0.15, y, before, ha="right", colour=MEMORY)
    c.label(end + 0.15, y, after, ha="left", colour=MEMORY)


def gated_write(c: Canvas, x: float, lane: float, gates: float, names: tuple[str, str, str], up: bool = True) -> None:
    """Forget and write: memory <- f * memory + i * g. Gates at heights `gates`, at x, x + 1.1 and x + 2.2."""
    f, i, g = names
    side = 1 if up else -1
    edge = gates + side * 0.35
    for offset, name in zip((0, 1.1, 2.2), (f, i, g)):
        c.box(x + offset, gates, name, CONV, 0.85, 0.7, size=11)
    c.op(x, lane, "×", MEMORY)
    c.arrow((x, edge), (x, lane - side * 0.25))
    middle = (edge + lane) / 2
    c.op(x + 1.65, middle, "×")
    c.arrow((x + 1.1, edge), (x + 1.1, middle), (x + 1.4, middle))
    c.arrow((x + 2.2, edge), (x + 2.2, middle), (x + 1.9, middle))
    c.op(x + 1.65, lane, "+", MEMORY)
    c.arrow((x + 1.65, middle + side * 0.25), (x + 1.65, lane - side * 0.25))
