"""Pictures of the loss chapter: surfaces, drifting Gaussians, minima, and the toy experiment.

Values and slopes come from ``vrnn3d.losses.latent_loss`` and autograd, so that what is drawn is what is trained.
"""

from __future__ import annotations

import base64
import html
import math
from typing import Mapping, Sequence

import numpy as np
import torch

from vrnn3d.study.figures.style import DASHES, colour
from vrnn3d.show import GREY
from vrnn3d.layers.gaussian import Gaussian
from vrnn3d.losses import VARIANTS, latent_loss

#: How the chapter calls the variants.
NAMES = {
    "kl_pq": "KL(p‖q), eq. 9",
    "kl_qp": "KL(q‖p), eq. 8",
    "kl_ll": "KL-LL, eq. 13",
    "kl_ll_half": "KL-LL, ½ restored",
    "kl_ll_mirror": "eq. 13, labels swapped",
    "kl_ll_balanced": "balanced",
    "kl_ll_mean": "mean pull only",
}
WIRING_NAMES = {"z_p": "decodes z_p (paper)", "z_q": "decodes z_q (Chung et al.)"}


# What the losses ask for ------------------------------------------------------------------------------------------


def best_prior_variance(variant: str, posterior_variance, delta=0.0):
    """The s_p^2 that minimises a variant when q is held fixed; delta = mu_p - mu_q."""
    a, b, c, w, mirrored, _ = VARIANTS[variant]
    return (c * posterior_variance + w * delta**2) / a if mirrored else b * posterior_variance / c


def best_posterior_variance(variant: str, prior_variance, delta=0.0):
    """The s_q^2 that minimises a variant when p is held fixed."""
    a, b, c, w, mirrored, _ = VARIANTS[variant]
    return b * prior_variance / c if mirrored else (c * prior_variance + w * delta**2) / a


def joint_minimum(variant: str, delta: float) -> tuple[float, float] | None:
    """(s_p, s_q) at which a variant is smallest for this delta, or None: for a = b only their ratio counts, and for
    delta = 0 a variant with a > b has no minimum."""
    a, b, c, w, mirrored, _ = VARIANTS[variant]
    if a == b or delta == 0:
        return None
    denominator = math.sqrt(w * delta**2 / (a - b))
    numerator = math.sqrt(b / c) * denominator
    return (denominator, numerator) if mirrored else (numerator, denominator)


def value_and_slopes(variant: str, mean_q, log_q, mean_p, log_p) -> tuple[np.ndarray, list[np.ndarray]]:
    """Loss and its derivatives by the four arguments (arrays of one shape), in float64."""
    given = torch.broadcast_tensors(*(torch.as_tensor(x, dtype=torch.float64) for x in (mean_q, log_q, mean_p, log_p)))
    leaves = [x.clone().requires_grad_() for x in given]
    value = latent_loss(Gaussian(leaves[0], leaves[1].exp()), Gaussian(leaves[2], leaves[3].exp()), variant)
    slopes = torch.autograd.grad(value.sum(), leaves)
    return value.detach().numpy(), [s.numpy() for s in slopes]


# Surfaces ---------------------------------------------------------------------------------------------------------


def surfaces(delta: float, variants: Sequence[str] = tuple(VARIANTS), columns: int = 4):
    """The losses over (log s_p, log s_q) for one distance of the means, on one colour scale; a matplotlib Figure.

    Thin arrows: the way gradient descent takes. Solid: best s_q for each s_p. Dashed: best s_p for each s_q.
    """
    import matplotlib.pyplot as plt
    from matplotlib.colors import TwoSlopeNorm
    from matplotlib.lines import Line2D

    axis = np.linspace(-3, 2, 81)
    lines = -(-len(variants) // columns)
    figure, grid = plt.subplots(
        lines, columns, figsize=(2.05 * columns + 0.7, 2.15 * lines + 0.6), sharex=True, sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    norm = TwoSlopeNorm(0, -3, 5)
    v, u = np.meshgrid(axis, axis)  # across: the prior, up: the posterior
    for axes, variant in zip(grid.flat, variants):
        value, (_, slope_u, _, slope_v) = value_and_slopes(variant, 0.0, u, delta, v)
        image = axes.pcolormesh(
            axis, axis, np.clip(value, -3, 5), norm=norm, cmap="RdBu_r", rasterized=True, shading="gouraud"
        )
        coarse = slice(None, None, 4)
        along, up = -slope_v[coarse, coarse], -slope_u[coarse, coarse]
        length = np.hypot(along, up) + 1e-9  # direction only: the slopes span orders of magnitude
        axes.streamplot(axis[coarse], axis[coarse], along / length, up / length, density=0.75, color="#4a4a4a",
                        linewidth=0.6, arrowsize=0.7)  # fmt: skip
        fine = np.linspace(-4, 3, 200)
        with np.errstate(divide="ignore"):
            axes.plot(
                fine, 0.5 * np.log(best_posterior_variance(variant, np.exp(2 * fine), delta)), color="black", lw=1.7
            )
            axes.plot(0.5 * np.log(best_prior_variance(variant, np.exp(2 * fine), delta)), fine, color="black", lw=1.7,
                      ls=(0, (4, 2)))  # fmt: skip
        if (joint := joint_minimum(variant, delta)) is not None:
            axes.plot(*np.log(joint), "o", ms=8, mfc="#ffd92f", mec="black", mew=1.1, zorder=5)
        axes.set_title(NAMES[variant], fontsize=10)
        axes.set_xlim(-3, 2)
        axes.set_ylim(-3, 2)
        axes.set_aspect("equal")
        axes.grid(False)
    for axes in grid.flat[len(variants) :]:
        axes.set_axis_off()
    for axes in grid.flat[len(variants) - columns : len(variants)]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel(r"$\log\,s_p$ (prior)", fontsize=10.5)
    figure.supylabel(r"$\log\,s_q$ (posterior)", fontsize=10.5)
    keys = [
        Line2D([], [], color=GREY, lw=1.8, label=r"best $s_q$ for each $s_p$"),
        Line2D([], [], color=GREY, lw=1.8, ls=(0, (4, 2)), label=r"best $s_p$ for each $s_q$"),
        Line2D([], [], color=GREY, lw=0.8, marker=">", ms=4, label="downhill"),
    ]
    if delta:
        keys.append(
            Line2D([], [], ls="", marker="o", ms=8, mfc="#ffd92f", mec=GREY, label="the minimum, where there is one")
        )
    figure.legend(handles=keys, loc="outside upper center", ncols=len(keys), fontsize=9.5)
    bar = figure.colorbar(image, ax=grid, shrink=0.9, aspect=28, extend="both", pad=0.02)
    bar.set_label("loss in nats (cut off at −3 and 5)")
    bar.outline.set_visible(False)
    return figure


def minima(variants: Sequence[str] = tuple(VARIANTS), prior_std: float = 0.5):
    """Left: the smallest loss over s_q with s_p held at `prior_std`, as delta varies. Middle: the s_q that reaches it.
    Right: the smallest loss over both widths; a line for a = b, a fall without end for a > b."""
    import matplotlib.pyplot as plt

    delta = np.geomspace(1e-2, 4, 240)
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9.0, 3.2), layout="constrained")
    for k, variant in enumerate(variants):
        # Some curves coincide: each is thinner than those drawn before it, so that all can be seen.
        style = dict(color=colour(variant), ls=DASHES.get(variant, "-"), label=NAMES[variant], lw=5 - 0.55 * k)
        variance = best_posterior_variance(variant, prior_std**2, delta) * np.ones_like(delta)
        value, _ = value_and_slopes(variant, 0.0, 0.5 * np.log(variance), delta, math.log(prior_std))
        left.plot(delta, value, **style)
        middle.plot(delta, np.sqrt(variance), **style)
        joint = [joint_minimum(variant, d) for d in delta]
        if joint[0] is None:  # only the ratio counts: an ever wider pair makes delta vanish
            wide = 1e6
            pair = wide * math.sqrt(best_prior_variance(variant, 1.0)), wide
        else:
            pair = tuple(np.array(joint).T)
        value, _ = value_and_slopes(variant, 0.0, np.log(pair[1]) + 0 * delta, delta, np.log(pair[0]) + 0 * delta)
        right.plot(delta, value, **style)
    left.set_title(r"lowest loss over $s_q$, $s_p = %g$" % prior_std)
    middle.set_title(r"the $s_q$ that reaches it")
    right.set_title(r"lowest loss over $s_q$ and $s_p$")
    for axes in (left, middle, right):
        axes.set_xscale("log")
        axes.set_xlabel(r"$|\delta| = |\mu_p - \mu_q|$")
        axes.margins(x=0)
    left.set_ylim(-1.5, 5)
    middle.set_ylim(0, 3)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9.5)
    return figure


# Drifting Gaussians -----------------------------------------------------------------------------------------------

START = {"mean_q": -1.0, "log_q": math.log(0.7), "mean_p": 1.0, "log_p": math.log(1.3)}


def drift(variant: str, times: Sequence[float], start: Mapping[str, float] = START) -> np.ndarray:
    """Gradient flow of one variant from `start`: (len(times), 4), columns mean_q, log s_q, mean_p, log s_p."""
    from scipy.integrate import solve_ivp

    def downhill(_, state):
        return [-float(s) for s in value_and_slopes(variant, *state)[1]]

    solution = solve_ivp(
        downhill, (0, times[-1]), [start[k] for k in ("mean_q", "log_q", "mean_p", "log_p")], "LSODA", times, rtol=1e-6
    )
    if not solution.success:
        raise ArithmeticError(f"the gradient flow of {variant} could not be followed: {solution.message}")
    return solution.y.T


def _drift_axes(figure, grid, variants):
    """One panel per variant with empty curves; returns what `_drift_draw` fills."""
    x = np.linspace(-4, 4, 400)
    panels = []
    for axes, variant in zip(grid, variants):
        (q,) = axes.plot(x, 0 * x, color="#d55e00", lw=2.2)
        (p,) = axes.plot(x, 0 * x, color="#0b6fb0", lw=2.2, ls=(0, (5, 1.5)))
        axes.set_title(NAMES[variant], fontsize=10)
        axes.set_ylim(0, 1.5)
        axes.set_xlim(-4, 4)
        axes.set_yticks([])
        axes.grid(False)
        axes.spines["left"].set_visible(False)
        text = axes.text(0.02, 0.97, "", transform=axes.transAxes, va="top", fontsize=8.5)
        panels.append((x, q, p, text))
    return panels


def _drift_draw(panel, state, words: bool = True):
    x, q, p, text = panel
    mean_q, log_q, mean_p, log_p = state
    for curve, mean, log_s in ((q, mean_q, log_q), (p, mean_p, log_p)):
        curve.set_ydata(np.exp(-0.5 * ((x - mean) / np.exp(log_s)) ** 2 - log_s) / math.sqrt(2 * math.pi))
    if words:
        text.set_text(f"s_p = {math.exp(log_p):.2f}\ns_q = {math.exp(log_q):.2f}")


def drift_strip(variants: Sequence[str] = tuple(VARIANTS), times: Sequence[float] = (0, 0.5, 1.5, 4, 8)):
    """Rows: variants; columns: moments of the gradient flow. The still picture beside :func:`drift_animation`."""
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(
        len(variants),
        len(times),
        figsize=(1.8 * len(times), 0.88 * len(variants) + 0.6),
        layout="constrained",
        squeeze=False,
    )
    for i, (row, variant) in enumerate(zip(grid, variants)):
        panels = _drift_axes(figure, row, [variant] * len(times))
        for j, (axes, panel, state) in enumerate(zip(row, panels, drift(variant, times))):
            _drift_draw(panel, state)
            panel[3].set_fontsize(7)
            axes.set_xticks([-3, 0, 3])
            axes.set_title(f"t = {times[j]:g}" if i == 0 else "", fontsize=9.5)
            axes.tick_params(labelbottom=i == len(variants) - 1, labelsize=8)
        row[0].set_ylabel(NAMES[variant], rotation=0, ha="right", va="center", fontsize=9)
    figure.legend(*_pq_legend(), loc="outside lower center", ncols=2, fontsize=9)
    return figure


def _pq_legend():
    from matplotlib.lines import Line2D

    keys = [Line2D([], [], color="#0b6fb0", ls=(0, (5, 1.5)), lw=2.2), Line2D([], [], color="#d55e00", lw=2.2)]
    return keys, ["prior p", "posterior q"]


def drift_animation(alt: str, variants: Sequence[str] = tuple(VARIANTS), until: float = 8.0, frames: int = 36):
    """The two Gaussians under gradient descent on each loss, as one moving picture in the page; IPython HTML.

    Readers who ask their system for less motion get the last frame as a still.
    """
    import matplotlib.pyplot as plt
    from IPython.display import HTML
    from PIL import Image

    from vrnn3d.show import _webp

    if not alt.strip():
        raise ValueError("alt is empty; say in a sentence what the moving picture shows")
    times = until * np.linspace(0, 1, frames) ** 2  # slow at first, where most happens
    states = [drift(variant, times) for variant in variants]
    columns = 4
    figure, grid = plt.subplots(-(-len(variants) // columns), columns, figsize=(9.2, 3.8), dpi=80, layout="constrained")
    for axes in grid.flat[len(variants) :]:
        axes.set_axis_off()
    panels = _drift_axes(figure, grid.flat, variants)
    spare = grid.flat[len(variants)] if len(variants) < grid.size else figure
    spare.legend(*_pq_legend(), loc="upper center", fontsize=10)
    clock = figure.text(0.985, 0.06, "", ha="right", fontsize=11)
    pictures = []
    for i, t in enumerate(times):
        for panel, state in zip(panels, states):
            _drift_draw(panel, state[i])
        clock.set_text(f"t = {t:.1f}")
        figure.canvas.draw()
        if i == 0:
            figure.set_layout_engine("none")  # nothing may move but the curves
        # Eight levels of opacity and of each colour are enough for line art, and halve the lossless file.
        pixels = np.asarray(figure.canvas.buffer_rgba())
        pictures.append(Image.fromarray(np.minimum(pixels // 32 * 36, 255).astype(np.uint8)))
    plt.close(figure)
    pictures += [pictures[-1]] * 8  # rest at the end

    def uri(images):
        return "data:image/webp;base64," + base64.b64encode(_webp(images, 12)).decode()

    return HTML(
        '<figure style="max-width:100%;margin:1em 0"><picture>'
        f'<source media="(prefers-reduced-motion: reduce)" srcset="{uri(pictures[-1:])}">'
        f'<img src="{uri(pictures)}" alt="{html.escape(alt)}" style="width:100%"></picture></figure>'
    )


# The toy ----------------------------------------------------------------------------------------------------------


def _select(record: Mapping, sigma_min: float = 0.0, **fixed) -> list[dict]:
    return [
        run for run in record["runs"].values()
        if run["sigma_min"] == sigma_min and all(run[k] == v for k, v in fixed.items())
    ]  # fmt: skip


def _line(run: Mapping) -> dict:
    """Style of one run's training curve; one legend entry per variant."""
    variant = run["variant"]
    label = NAMES[variant] if run["seed"] == 0 else None
    return dict(color=colour(variant), ls=DASHES.get(variant, "-"), lw=1.3, label=label)


def ball(frames, futures: Mapping[str, object], context: int, columns: int = 3):
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
            axes.plot(*np.concatenate([last, path]).T, color="#2f93d1", lw=0.7, alpha=0.55)
            axes.plot(*path[-1], ".", color="#2f93d1", ms=4, alpha=0.8)
        axes.plot(*frames[:context].T, ".-", color=GREY, ms=5, lw=1.3, label="context")
        axes.plot(*frames[context - 1 :].T, ".-", color="#d55e00", ms=5, lw=1.3, label="what happened")
        axes.plot([], [], color="#2f93d1", label="50 predicted futures")
        axes.add_patch(plt.Rectangle((-1, -1), 2, 2, fill=False, ec=GREY, lw=1.2))
        axes.set(xlim=(-1.04, 1.04), ylim=(-1.04, 1.04), aspect="equal", title=title)
        axes.title.set_fontsize(9.5)
        axes.set_axis_off()
    handles, labels = np.ravel(grid)[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9.5)
    return figure


def toy_log_std(record: Mapping, sigma_min: float = 0.0):
    """Mean log s_p and log s_q over training, one thin line per seed: columns wirings, rows prior and posterior."""
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(2, 2, figsize=(8.6, 5.2), sharex=True, sharey=True, layout="constrained")
    for column, wiring in zip(grid.T, WIRING_NAMES):
        for axes, key in zip(column, ("log_std_prior", "log_std_posterior")):
            for run in _select(record, sigma_min, wiring=wiring):
                axes.plot(record["steps"], run["curves"][key], **_line(run))
            axes.margins(x=0)
        column[0].set_title(WIRING_NAMES[wiring])
        column[1].set_xlabel("training step")
    grid[0, 0].set_ylabel(r"mean $\log\,s_p$")
    grid[1, 0].set_ylabel(r"mean $\log\,s_q$")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9.5)
    return figure


SCORE_NAMES = {
    "average": "average of 50",
    "best": "best of 50",
    "mean_frame": "mean prediction",
    "variance": "sample variance",
    "crps": "CRPS",
}


def toy_scores(record: Mapping, sigma_min: float = 0.0):
    """Every score of every run with its bootstrap interval over test sequences; dashed: the true sampler's."""
    import matplotlib.pyplot as plt

    rows = [(wiring, variant) for wiring in WIRING_NAMES for variant in VARIANTS]
    figure, grid = plt.subplots(1, len(SCORE_NAMES), figsize=(9.0, 5.4), sharey=True, layout="constrained")
    for axes, (score, title) in zip(grid, SCORE_NAMES.items()):
        axes.axvline(record["references"]["true sampler"][score]["mean"], color=GREY, lw=1.2, ls=(0, (4, 2)))
        for y, (wiring, variant) in enumerate(rows):
            y += wiring == "z_q"
            runs = _select(record, sigma_min, wiring=wiring, variant=variant)
            for k, run in enumerate(runs):
                at = y + 0.5 * ((k + 0.5) / len(runs) - 0.5)
                entry = run["scores"][score]
                axes.plot(entry["interval"], [at, at], color=colour(variant), lw=1.2, alpha=0.7)
                axes.plot(entry["mean"], at, "o", color=colour(variant), ms=3.6)
        axes.set_title(title, fontsize=10)
        axes.set_xlim(left=0)
        axes.grid(axis="y", visible=False)
        axes.locator_params(axis="x", nbins=4)
    labels = [NAMES[variant] for _, variant in rows]
    half = len(VARIANTS)
    grid[0].set_yticks([*range(half), *range(half + 1, 2 * half + 1)], labels, fontsize=9)
    grid[0].set_ylim(2 * half + 0.6, -1.1)
    for axes in grid:
        axes.tick_params(axis="y", length=0)
    for y, wiring in ((-0.75, "z_p"), (half + 0.05, "z_q")):
        grid[0].annotate(WIRING_NAMES[wiring], (-0.03, y), xycoords=("axes fraction", "data"), ha="right", va="center",
                         fontsize=9.5, fontweight="bold")  # fmt: skip
    return figure


def toy_budget(record: Mapping, sigma_min: float = 0.0, reference_names: Sequence[str] = ("true sampler", "true mean")):
    """Average error taken apart: error of the mean prediction plus sample variance, means over seeds; sorted."""
    import matplotlib.pyplot as plt

    rows = []
    for name in reference_names:
        entry = record["references"][name]
        rows.append((name, GREY, entry["mean_frame"]["mean"], entry["variance"]["mean"]))
    for wiring in WIRING_NAMES:
        for variant in VARIANTS:
            runs = _select(record, sigma_min, wiring=wiring, variant=variant)
            parts = [np.mean([run["scores"][k]["mean"] for run in runs]) for k in ("mean_frame", "variance")]
            rows.append((f"{NAMES[variant]}, {wiring[0]}$_{wiring[-1]}$", colour(variant), *parts))
    rows.sort(key=lambda row: row[2] + row[3])
    figure, axes = plt.subplots(figsize=(8.2, 0.31 * len(rows) + 0.9), layout="constrained")
    for y, (_, shade, of_mean, variance) in enumerate(rows):
        axes.barh(y, of_mean, color=shade, height=0.66)
        axes.barh(y, variance, left=of_mean, color=shade, alpha=0.35, height=0.66, hatch="////", edgecolor=shade, lw=0)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=9)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("squared error per frame, averaged over 50 samples")
    keys = [
        plt.Rectangle((0, 0), 1, 1, color=GREY),
        plt.Rectangle((0, 0), 1, 1, facecolor=GREY, alpha=0.35, hatch="////", edgecolor=GREY, lw=0),
    ]
    figure.legend(
        keys, ["error of the mean prediction", "variance of the samples"], loc="outside upper center", ncols=2
    )
    return figure


def toy_floor(record: Mapping, sigma_min: float):
    """Fraction of latent dimensions whose prior is at the floor, over training, and log s_p; one line per seed."""
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(1, 2, figsize=(8.6, 3.1), sharey=True, layout="constrained")
    for axes, wiring in zip(grid, WIRING_NAMES):
        for run in _select(record, sigma_min, wiring=wiring):
            axes.plot(record["steps"], run["curves"]["floor_fraction"], **_line(run))
        axes.set_title(WIRING_NAMES[wiring])
        axes.set_xlabel("training step")
        axes.margins(x=0)
        axes.set_ylim(-0.03, 1.03)
    grid[0].set_ylabel("latent dimensions at the floor")
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9.5)
    return figure
