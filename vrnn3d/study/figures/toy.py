"""Pictures of the toy experiment of the loss chapter: futures of the ball, widths over the training, and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vrnn3d.losses import VARIANTS
from vrnn3d.show import GREY, closed
from vrnn3d.study.catalogue import WIRINGS
from vrnn3d.study.figures.loss import NAMES, WIRING_NAMES
from vrnn3d.study.figures.style import ORANGE, colour, seaborn_dashes
from vrnn3d.study.toy import SCORE_NAMES, ToyRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FUTURES = "#2f93d1"


def ball(frames, futures: Mapping[str, Any], context: int, columns: int = 3) -> Figure:
    """One test sequence in the box: the context, what then happened, and each sampler's futures.

    frames (time, 2); futures {title: (samples, frames, 2)}.
    """
    import matplotlib.pyplot as plt

    lines = -(-len(futures) // columns)
    figure, grid = plt.subplots(lines, columns, figsize=(2.6 * columns, 2.85 * lines + 0.35), layout="constrained")
    frames = np.asarray(frames)
    last = frames[context - 1 : context]
    for axes, (title, paths) in zip(np.ravel(grid), futures.items()):
        for path in np.asarray(paths):
            axes.plot(*np.concatenate([last, path]).T, color=_FUTURES, lw=0.7, alpha=0.55)
            axes.plot(*path[-1], ".", color=_FUTURES, ms=4, alpha=0.8)
        axes.plot(*frames[:context].T, ".-", color=GREY, ms=5, lw=1.3, label="context")
        axes.plot(*frames[context - 1 :].T, ".-", color=ORANGE, ms=5, lw=1.3, label="what happened")
        axes.plot([], [], color=_FUTURES, label=f"{len(paths)} predicted futures")
        axes.add_patch(plt.Rectangle((-1, -1), 2, 2, fill=False, ec=GREY, lw=1.2))
        axes.set(xlim=(-1.04, 1.04), ylim=(-1.04, 1.04), aspect="equal", title=title)
        axes.title.set_fontsize(9.5)
        axes.set_axis_off()
    handles, labels = np.ravel(grid)[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9.5)
    return closed(figure)


def _curves(record: ToyRecord, panels: Mapping[str, str], sigma_min: float, height: float) -> Figure:
    """Curves over the training, a thin line per seed: columns wirings, rows {curve: label}."""
    import pandas
    import seaborn

    rows = []
    for run in record.select(sigma_min):
        one = {"loss": NAMES[run.variant], "seed": run.seed, "wiring": WIRING_NAMES[run.wiring]}
        for key, row in panels.items():
            rows += [one | {"row": row, "step": step, "value": value} for step, value in zip(record.steps, run.curves[key])]
    names = {NAMES[variant]: variant for variant in VARIANTS}
    grid = seaborn.relplot(
        pandas.DataFrame(rows), x="step", y="value", row="row", col="wiring", kind="line", hue="loss", style="loss",
        units="seed", estimator=None, lw=1.2, height=height, aspect=4.2 / height, hue_order=list(names),
        style_order=list(names), palette={name: colour(variant) for name, variant in names.items()},
        dashes=seaborn_dashes(names), col_order=list(WIRING_NAMES.values()),
    )  # fmt: skip
    grid.set_titles("{col_name}").set_axis_labels("training step", "")
    for axes, label in zip(grid.axes[:, 0], panels.values()):
        axes.set_ylabel(label)
    for axes in grid.axes[1:].flat:
        axes.set_title("")
    for axes in grid.axes.flat:
        axes.margins(x=0)
    seaborn.move_legend(grid, "upper center", bbox_to_anchor=(0.5, 0.0), ncols=4, title="")
    return closed(grid.figure)


def log_std(record: ToyRecord, sigma_min: float = 0.0) -> Figure:
    """Mean log sigma_p and log sigma_q over training, one thin line per seed: columns wirings, rows prior and posterior."""
    panels = {"log_std_prior": r"mean $\log\,\sigma_p$", "log_std_posterior": r"mean $\log\,\sigma_q$"}
    return _curves(record, panels, sigma_min, 2.5)


def floor(record: ToyRecord, sigma_min: float) -> Figure:
    """Fraction of latent dimensions whose prior is at the floor, over training; one thin line per seed."""
    figure = _curves(record, {"floor_fraction": "latent dimensions at the floor"}, sigma_min, 3.0)
    for axes in figure.axes:
        axes.set_ylim(-0.03, 1.03)
    return figure


def scores(record: ToyRecord, sigma_min: float = 0.0) -> Figure:
    """Every score of every run with its bootstrap interval over test sequences; dashed: the true sampler's."""
    import matplotlib.pyplot as plt

    half = len(VARIANTS)
    places = [
        (wiring, variant, float(i * (half + 1) + k)) for i, wiring in enumerate(WIRINGS) for k, variant in enumerate(VARIANTS)
    ]
    figure, grid = plt.subplots(1, len(SCORE_NAMES), figsize=(9.0, 5.4), sharey=True, layout="constrained")
    for axes, (score, title) in zip(grid, SCORE_NAMES.items()):
        axes.axvline(record.references["true sampler"][score].mean, color=GREY, lw=1.2, ls=(0, (4, 2)))
        for wiring, variant, y in places:
            _seeds(axes, record, score, variant, wiring, sigma_min, y)
        axes.set_title(title, fontsize=10)
        axes.set_xlim(left=0)
        axes.grid(axis="y", visible=False)
        axes.locator_params(axis="x", nbins=4)
        axes.tick_params(axis="y", length=0)
    grid[0].set_yticks([y for *_, y in places], [NAMES[variant] for _, variant, _ in places], fontsize=9)
    grid[0].set_ylim(2 * half + 0.6, -1.1)
    for above, wiring in zip((-0.75, half + 0.05), WIRINGS):
        grid[0].annotate(
            WIRING_NAMES[wiring], (-0.03, above), xycoords=("axes fraction", "data"), ha="right", va="center", fontsize=9.5,
            fontweight="bold",
        )  # fmt: skip
    return closed(figure)


def _seeds(axes: Axes, record: ToyRecord, score: str, variant: str, wiring: str, sigma_min: float, y: float) -> None:
    """The dots and intervals of one loss, around the height y."""
    runs = record.select(sigma_min, variant, wiring)
    for k, run in enumerate(runs):
        at = y + 0.5 * ((k + 0.5) / len(runs) - 0.5)
        axes.plot(run.scores[score].interval, [at, at], color=colour(variant), lw=1.2, alpha=0.7)
        axes.plot(run.scores[score].mean, at, "o", color=colour(variant), ms=3.6)


def budget(record: ToyRecord, sigma_min: float = 0.0, reference_names: Sequence[str] = ("true sampler", "true mean")) -> Figure:
    """Average error taken apart: error of the mean prediction plus sample variance, means over seeds; sorted."""
    import matplotlib.pyplot as plt
    from matplotlib.colors import to_rgba

    rows = []
    for name in reference_names:
        parts = record.references[name]
        rows.append((name, GREY, parts["mean_frame"].mean, parts["variance"].mean))
    for wiring in WIRINGS:
        for variant in VARIANTS:
            of_mean, variance = (record.mean(score, variant, wiring, sigma_min) for score in ("mean_frame", "variance"))
            rows.append((f"{NAMES[variant]}, {wiring[0]}$_{wiring[-1]}$", colour(variant), of_mean, variance))
    rows.sort(key=lambda row: row[2] + row[3])
    figure, axes = plt.subplots(figsize=(8.2, 0.31 * len(rows) + 0.9), layout="constrained")

    # SVG has no hatches on a translucent face: the face and the hatches are two bars.
    def face(shade: str) -> dict[str, Any]:
        return {"facecolor": to_rgba(shade, 0.3), "edgecolor": "none"}

    def hatches(shade: str) -> dict[str, Any]:
        return {"facecolor": "none", "edgecolor": shade, "hatch": "////", "lw": 0}

    for y, (_, shade, of_mean, variance) in enumerate(rows):
        axes.barh(y, of_mean, color=shade, height=0.66)
        for layer in (face, hatches):
            axes.barh(y, variance, left=of_mean, height=0.66, **layer(shade))
    axes.set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=9)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"squared error per frame, averaged over {record.settings.samples} samples")
    both = tuple(plt.Rectangle((0, 0), 1, 1, **layer(GREY)) for layer in (face, hatches))
    words = ["error of the mean prediction", "variance of the samples"]
    keys: Any = [plt.Rectangle((0, 0), 1, 1, color=GREY), both]
    figure.legend(keys, words, loc="outside upper center", ncols=2)
    return closed(figure)
