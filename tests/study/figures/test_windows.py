"""The figure of the windows: a rectangle for every frame that goes in, and an outline for every new one."""

from __future__ import annotations

import matplotlib

from vrnn3d.study.figures.style import BLUE, ORANGE
from vrnn3d.study.figures.windows import windows

matplotlib.use("Agg")


def test_frames_going_in_are_true_before_the_context_ends_and_predicted_behind_it():
    (axes,) = windows([(2, 2)], context=5, length=8).axes
    places = {"true": set(), "predicted": set(), "new": []}
    for patch in axes.patches:
        place = (round(patch.get_x() - 0.05), round(patch.get_y() - 0.15))
        if not patch.get_fill():
            places["new"].append(place[0])
        else:
            kind = {BLUE: "true", ORANGE: "predicted"}[matplotlib.colors.to_hex(patch.get_facecolor())]
            places[kind].add(place)
    assert places["true"] == {(0, 0), (1, 0), (2, 1), (3, 1), (4, 2)} and places["predicted"] == {(5, 2)}
    assert places["new"] == [2, 3, 4, 5, 6, 7]
