"""Pictures of the latent losses: their surfaces, their minima, and two Gaussians that drift downhill on each of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vrnn3d.losses import VARIANTS
from vrnn3d.show import GREY, LABEL, ON_LABEL, closed, moving_picture
from vrnn3d.study.figures.style import BLUE, ORANGE, colour, dash
from vrnn3d.study.loss_math import best_posterior_variance, best_prior_variance, drift, joint_minimum, value_and_slopes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

#: How the book calls the variants.
NAMES = {
    "kl_pq": "KL(p‖q), eq. 9",
    "kl_qp": "KL(q‖p), eq. 8",
    "kl_ll": "KL-LL, eq. 13",
    "kl_ll_half": "KL-LL, ½ restored",
    "kl_ll_mirror": "eq. 13, labels swapped",
    "kl_ll_balanced": "balanced",
    "kl_ll_mean": "mean pull only",
}
#: How the book calls the wirings.
WIRING_NAMES = {"z_p": "decodes z_p (paper)", "z_q": "decodes z_q (Chung et al.)"}
PRIOR, POSTERIOR = BLUE, ORANGE
_DASHED, _YELLOW = (0, (4, 2)), "#ffd92f"
#: Both axes of a surface, log standard deviations, and where its colours end, in nats.
_LOW, _HIGH, _COLOURS = -3, 2, (-3, 5)


# --- surfaces ---------------------------------------------------------------------------------------------------------


def surfaces(delta: float, variants: Sequence[str] = tuple(VARIANTS), columns: int = 4) -> Figure:
    """The losses over (log sigma_p, log sigma_q) for one distance `delta` of the means, on one colour scale.

    Thin arrows: the way gradient descent takes. Solid: best sigma_q for each sigma_p. Dashed: best sigma_p for each sigma_q.
    """
    import matplotlib.pyplot as plt

    lines = -(-len(variants) // columns)
    figure, grid = plt.subplots(
        lines, columns, figsize=(2.05 * columns + 0.7, 2.15 * lines + 0.6), sharex=True, sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axes, variant in zip(grid.flat, variants):
        image = _surface(axes, variant, delta)
    for axes in grid.flat[len(variants) :]:
        axes.set_axis_off()
    for axes in grid.flat[len(variants) - columns : len(variants)]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel(r"$\log\,\sigma_p$ (prior)", fontsize=10.5)
    figure.supylabel(r"$\log\,\sigma_q$ (posterior)", fontsize=10.5)
    _surface_legend(figure, minimum=bool(delta))
    bar = figure.colorbar(image, ax=grid, shrink=0.9, aspect=28, pad=0.02, ticks=range(_COLOURS[0], _COLOURS[1] + 1))
    bar.set_label("loss in nats (cut off at −3 and 5)")
    bar.outline.set_visible(False)
    return closed(figure)


def _surface(axes: Axes, variant: str, delta: float) -> Any:
    """One panel; what its colours are made of, for the colour bar."""
    from matplotlib.colors import TwoSlopeNorm

    axis = np.linspace(_LOW, _HIGH, 81)
    v, u = np.meshgrid(axis, axis)  # across: the prior, up: the posterior
    value, (_, slope_u, _, slope_v) = value_and_slopes(variant, 0.0, u, delta, v)
    # Bands of a quarter nat, as a picture: smaller than smooth colours, and levels can be read off them.
    levels = np.linspace(*_COLOURS, 33)
    norm = TwoSlopeNorm(0, *_COLOURS)
    image = axes.contourf(axis, axis, value, levels, norm=norm, cmap="RdBu_r", extend="both")
    image.set_rasterized(True)
    coarse = slice(None, None, 4)
    along, up = -slope_v[coarse, coarse], -slope_u[coarse, coarse]
    length = np.hypot(along, up) + 1e-9  # direction only: the slopes span orders of magnitude
    axes.streamplot(
        axis[coarse], axis[coarse], along / length, up / length, density=0.7, color="#4a4a4a", linewidth=0.6, arrowsize=0.7
    )
    fine = np.linspace(_LOW - 1, _HIGH + 1, 200)
    with np.errstate(divide="ignore"):
        axes.plot(fine, 0.5 * np.log(best_posterior_variance(variant, np.exp(2 * fine), delta)), color="black", lw=1.7)
        best = 0.5 * np.log(best_prior_variance(variant, np.exp(2 * fine), delta))
    axes.plot(best, fine, color="black", lw=1.7, ls=_DASHED)
    if (joint := joint_minimum(variant, delta)) is not None:
        axes.plot(*np.log(joint), "o", ms=8, mfc=_YELLOW, mec="black", mew=1.1, zorder=5)
    axes.set_title(NAMES[variant], fontsize=10)
    axes.set(xlim=(_LOW, _HIGH), ylim=(_LOW, _HIGH), aspect="equal")
    axes.grid(False)
    return image


def _surface_legend(figure: Figure, minimum: bool) -> None:
    from matplotlib.lines import Line2D

    keys = [
        Line2D([], [], color=GREY, lw=1.8, label=r"best $\sigma_q$ for each $\sigma_p$"),
        Line2D([], [], color=GREY, lw=1.8, ls=_DASHED, label=r"best $\sigma_p$ for each $\sigma_q$"),
        Line2D([], [], color=GREY, lw=0.8, marker=">", ms=4, label="downhill"),
    ]
    if minimum:
        words = "the minimum, where there is one"
        keys.append(Line2D([], [], ls="", marker="o", ms=8, mfc=_YELLOW, mec=GREY, label=words))
    figure.legend(handles=keys, loc="outside upper center", ncols=len(keys), fontsize=9.5)


# --- minima -----------------------------------------------------------------------------------------------------------


def minima(variants: Sequence[str] = tuple(VARIANTS), prior_std: float = 0.5) -> Figure:
    """How low the losses get as the means part.

    Left: the smallest loss over sigma_q with sigma_p held at `prior_std`. Middle: the sigma_q that reaches it. Right: the
    smallest loss over both widths, a level line for a = b.
    """
    import matplotlib.pyplot as plt

    delta = np.geomspace(1e-2, 4, 240)
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9.0, 3.2), layout="constrained")
    for k, variant in enumerate(variants):
        # Some curves coincide: each is thinner than those drawn before it, so that all can be seen.
        look: dict = dict(color=colour(variant), ls=dash(variant), label=NAMES[variant], lw=5 - 0.55 * k)
        variance = best_posterior_variance(variant, prior_std**2, delta) * np.ones_like(delta)
        value, _ = value_and_slopes(variant, 0.0, 0.5 * np.log(variance), delta, math.log(prior_std))
        left.plot(delta, value, **look)
        middle.plot(delta, np.sqrt(variance), **look)
        std_p, std_q = _best_pair(variant, delta)
        value, _ = value_and_slopes(variant, 0.0, np.log(std_q), delta, np.log(std_p))
        right.plot(delta, value, **look)
    left.set_title(rf"lowest loss over $\sigma_q$, $\sigma_p = {prior_std:g}$")
    middle.set_title(r"the $\sigma_q$ that reaches it")
    right.set_title(r"lowest loss over $\sigma_q$ and $\sigma_p$")
    for axes in (left, middle, right):
        axes.set(xscale="log", xlabel=r"$|\delta| = |\mu_p - \mu_q|$")
        axes.margins(x=0)
    left.set_ylim(-1.5, 5)
    middle.set_ylim(0, 3)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9.5)
    return closed(figure)


def _best_pair(variant: str, delta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The widths (sigma_p, sigma_q) with the lowest loss for each delta."""
    joint = [joint_minimum(variant, d) for d in delta]
    if None not in joint:
        std_p, std_q = np.array(joint, float).T
        return std_p, std_q
    wide = np.full_like(delta, 1e6)  # only the ratio counts: an ever wider pair makes delta vanish
    return wide * math.sqrt(best_prior_variance(variant, 1.0)), wide


# --- drifting Gaussians -----------------------------------------------------------------------------------------------


class _Panel(NamedTuple):
    """The curves of one panel, to be moved from time to time."""

    x: np.ndarray
    posterior: Line2D
    prior: Line2D
    words: Text

    def draw(self, state: np.ndarray) -> None:
        """Move the curves, and write the widths, as `loss_math.Pair` has them."""
        mean_q, log_q, mean_p, log_p = state
        for curve, mean, log_s in ((self.posterior, mean_q, log_q), (self.prior, mean_p, log_p)):
            density = np.exp(-0.5 * ((self.x - mean) / np.exp(log_s)) ** 2 - log_s) / math.sqrt(2 * math.pi)
            curve.set_ydata(density)
        self.words.set_text(f"σ_p = {math.exp(log_p):.2f}\nσ_q = {math.exp(log_q):.2f}")


def _panel(axes: Axes) -> _Panel:
    """A panel with empty curves."""
    x = np.linspace(-4, 4, 400)
    (q,) = axes.plot(x, 0 * x, color=POSTERIOR, lw=2.2)
    (p,) = axes.plot(x, 0 * x, color=PRIOR, lw=2.2, ls=(0, (5, 1.5)))
    axes.set(xlim=(-4, 4), ylim=(0, 1.5), yticks=[], xticks=[-3, 0, 3])
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    return _Panel(x, q, p, axes.text(0.02, 0.97, "", transform=axes.transAxes, va="top", fontsize=7.5))


def drift_strip(variants: Sequence[str] = tuple(VARIANTS), times: Sequence[float] = (0, 0.5, 1.5, 4, 8)) -> Figure:
    """Rows: variants; columns: moments of the gradient flow. The still picture beside :func:`drift_animation`."""
    import matplotlib.pyplot as plt

    size = (1.8 * len(times), 0.88 * len(variants) + 0.6)
    figure, grid = plt.subplots(
        len(variants), len(times), figsize=size, sharex=True, sharey=True, layout="constrained", squeeze=False
    )
    for row, variant in zip(grid, variants):
        for axes, state in zip(row, drift(variant, times)):
            _panel(axes).draw(state)
            axes.tick_params(labelsize=8.5)
        row[0].set_ylabel(NAMES[variant], rotation=0, ha="right", va="center", fontsize=9.5)
    for axes, t in zip(grid[0], times):
        axes.set_title(f"t = {t:g}", fontsize=10)
    keys = [grid[0, 0].lines[1], grid[0, 0].lines[0]]
    figure.legend(keys, ["prior p", "posterior q"], loc="outside lower center", ncols=2, fontsize=9.5)
    return closed(figure)


def drift_animation(alt: str, variants: Sequence[str] = tuple(VARIANTS), until: float = 8.0, frames: int = 36):
    """The two Gaussians under gradient descent on each loss, as one moving picture (``show.moving_picture``)."""
    import matplotlib.pyplot as plt

    if not alt.strip():
        raise ValueError("alt is empty; say in a sentence what the moving picture shows")
    times = until * np.linspace(0, 1, frames) ** 2  # slow at first, where most happens
    columns = 4
    figure, grid = plt.subplots(-(-len(variants) // columns), columns, figsize=(9.2, 3.8), dpi=80, layout="constrained")
    panels = []
    for axes, variant in zip(grid.flat, variants):
        panels.append(_panel(axes))
        axes.set_title(NAMES[variant], fontsize=10, **_plate())
        axes.set_xticks([])
        panels[-1].words.set(fontsize=8.5, **_plate())
    for axes in grid.flat[len(variants) :]:
        axes.set_axis_off()
    clock = figure.text(0.97, 0.06, "", ha="right", fontsize=11, **_plate())
    pictures = list(_pictures(figure, panels, clock, times, [drift(variant, times) for variant in variants]))
    pictures += [pictures[-1]] * 8  # rest at the end
    return moving_picture(pictures, alt, 12, width=736, least=620, legend={PRIOR: "prior p (dashed)", POSTERIOR: "posterior q"})


def _plate() -> dict[str, Any]:
    """Lettering that reads on any page, on a plate of its own colour."""
    return {"color": ON_LABEL, "bbox": {"boxstyle": "round,pad=0.25", "facecolor": LABEL, "edgecolor": "none"}}


def _pictures(figure: Any, panels: Sequence[_Panel], clock: Text, times: np.ndarray, states: Sequence[np.ndarray]) -> Iterable:
    """A Pillow image for every moment; closes the figure."""
    from PIL import Image

    for i, t in enumerate(times):
        for panel, state in zip(panels, states):
            panel.draw(state[i])
        clock.set_text(f"t = {t:.1f}")
        figure.canvas.draw()
        if i == 0:
            figure.set_layout_engine("none")  # nothing may move but the curves
        # Eight levels of opacity and of each colour are enough for line art, and halve the lossless file.
        pixels = np.asarray(figure.canvas.buffer_rgba())
        yield Image.fromarray(np.minimum(pixels // 32 * 36, 255).astype(np.uint8))
    closed(figure)
