"""The figure of how a clip walks through a sequence, drawn from the frames that the rollout really feeds to a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vrnn3d.show import GREY, closed
from vrnn3d.study.figures.style import BLUE, ORANGE
from vrnn3d.study.inspection import clips_fed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def windows(choices: Sequence[tuple[int, int]], context: int = 5, length: int = 11) -> Figure:
    """One panel for every (M, H), a line a step.

    Blue: true frames going in. Orange: predicted frames going in. Outlined: the new frames that come out. Dashed: the end of
    the context.
    """
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(1, len(choices), figsize=(3.3 * len(choices), 3), squeeze=False, layout="constrained")
    for axes, (window, horizon) in zip(grid[0], choices):
        clips = clips_fed(window, horizon, context, length)
        for step, clip in enumerate(clips):
            _step(axes, step, clip, horizon)
        axes.axvline(context, color=GREY, lw=1, ls="--")
        axes.set(
            xlim=(0, length + 1), ylim=(len(clips), 0), title=f"M = {window}, H = {horizon}", xlabel="frame", ylabel="step"
        )
        axes.set_xticks(np.arange(0.5, length + 1), [str(frame) for frame in range(1, length + 2)])
        axes.set_yticks(np.arange(0.5, len(clips)), [str(step) for step in range(1, len(clips) + 1)])
        axes.grid(False)
    return closed(figure)


def _step(axes: Axes, step: int, clip: Sequence[bool], horizon: int) -> None:
    """The frames that go in and those that come out."""
    from matplotlib.patches import Rectangle

    for i, true in enumerate(clip):
        axes.add_patch(Rectangle((step * horizon + i + 0.05, step + 0.15), 0.9, 0.7, color=BLUE if true else ORANGE, lw=0))
    for j in range(horizon):
        place = (len(clip) + step * horizon + j + 0.05, step + 0.15)
        axes.add_patch(Rectangle(place, 0.9, 0.7, fill=False, ec=GREY, lw=1.2))
