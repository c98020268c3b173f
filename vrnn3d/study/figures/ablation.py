"""Pictures of the ablation chapter: what the recorded runs of the latent losses say (``vrnn3d.study.ablation``)."""

from __future__ import annotations

import math
from typing import Mapping, Sequence

import numpy as np

from vrnn3d.study import results
from vrnn3d.study.ablation import SCORES, WIRINGS, Runs, mean_over_seeds, sweep
from vrnn3d.study.catalogue import LATENT_LOSSES, SWEPT_LOSSES
from vrnn3d.study.figures.style import DASHES, colour
from vrnn3d.show import GREY, closed
from vrnn3d.study.figures.loss import NAMES, WIRING_NAMES

_MARKERS = {"z_p": "o", "z_q": "s"}


def _difference_line(axes, y: float, outcome: Mapping, shade: str) -> None:
    if outcome["seed_interval"] is not None:
        axes.plot(outcome["seed_interval"], [y, y], color=shade, lw=1.2)
    axes.plot(outcome["interval"], [y, y], color=shade, lw=5, alpha=0.45, solid_capstyle="butt")
    axes.plot(outcome["by_seed"], [y] * len(outcome["by_seed"]), "|", color=shade, ms=11, mew=1.4)
    axes.plot([outcome["estimate"]], [y], "o", color=shade, ms=6)


def differences(panels: Mapping[str, Sequence[tuple[str, Mapping, str]]], xlabel: str):
    """Differences with both of their intervals, one line each; a matplotlib Figure.

    Args:
        panels: {title: rows}, side by side, sharing their labels and scale. A row is (label, outcome of
            ``vrnn3d.study.ablation.difference``, name for the colour).
        xlabel: of what, in which unit.

    Thick: 95% over test sequences, of the mean over seeds. Thin: Student's 95% over seeds. Ticks: single seeds. A thin line
    that would dwarf the panel runs out of it.
    """
    import matplotlib.pyplot as plt

    tall = max(len(panel) for panel in panels.values())
    figure, grid = plt.subplots(
        1, len(panels), figsize=(5.0 + 3.2 * (len(panels) - 1), 0.8 + 0.42 * tall), sharex=True, squeeze=False, layout="constrained"
    )
    inner = [x for panel in panels.values() for _, o, _ in panel for x in (*o["interval"], *o["by_seed"], 0.0)]
    low, high = min(inner), max(inner)
    room = 0.25 * (high - low or 1.0)
    for axes, (title, panel) in zip(grid.flat, panels.items()):
        axes.axvline(0, color=GREY, lw=1, ls=(0, (4, 3)))
        for y, (label, outcome, name) in enumerate(panel):
            _difference_line(axes, y, outcome, colour(name))
        axes.set_yticks(range(len(panel)), [label for label, _, _ in panel])
        axes.set_ylim(len(panel) - 0.4, -0.6)
        axes.set_xlim(low - room, high + room)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.set_title(title)
    for axes in grid.flat[1:]:
        axes.set_yticklabels([])
    figure.supxlabel(xlabel, fontsize=10.5)
    return closed(figure)


def forest(rows: Sequence[Mapping]):
    """Every variant against KL in the same wiring: MSE of a frame, 10 -> 10; rows are those of ``vrnn3d.study.ablation.grid``."""
    panels = {
        WIRING_NAMES[wiring]: [
            (NAMES[r["variant"]], r["difference"], r["variant"]) for r in rows if r["wiring"] == wiring and r["difference"]
        ]
        for wiring in WIRINGS
    }
    return differences(panels, "MSE of a frame minus that with KL(p‖q), average of samples, 10 → 10")


def traces(found: Runs):
    """What the Gaussians do in training: columns wirings; rows prior, posterior, fraction at the floor, KL a frame.

    One thin line per seed; a colour per variant.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import EngFormatter

    curves = ("log_std_prior", "log_std_posterior", "floor_fraction", "kl_per_frame")
    figure, grid = plt.subplots(len(curves), 2, figsize=(8.6, 8.6), sharex=True, sharey="row", layout="constrained")
    for column, wiring in zip(grid.T, WIRINGS):
        column[0].set_title(WIRING_NAMES[wiring])
        for axes, key in zip(column, curves):
            for variant in LATENT_LOSSES:
                for record in found.get(f"loss_{variant}_{wiring}", []):
                    curve = record["training"]["curves"]
                    if key in curve:
                        axes.plot(
                            curve["sequences"], curve[key], color=colour(variant), ls=DASHES.get(variant, "-"), lw=1.2,
                            label=NAMES[variant] if record is found[f"loss_{variant}_{wiring}"][0] else None,
                        )  # fmt: skip
            axes.margins(x=0)
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    for axes, label in zip(grid[:, 0], (r"mean $\log\,s_p$", r"mean $\log\,s_q$", "fraction at the floor", "KL(q‖p), nats a frame")):
        axes.set_ylabel(label)
    for axes in grid[3]:
        axes.set_yscale("symlog", linthresh=0.1)
        axes.set_ylim(bottom=0)
    handles = {}
    for axes in grid.flat:
        handles.update({label: handle for handle, label in zip(*axes.get_legend_handles_labels())})
    figure.supxlabel("training sequences seen", fontsize=10.5)
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=4, fontsize=9.5)
    return closed(figure)


def pareto(rows: Sequence[Mapping], reference: tuple[str, float] | None = None):
    """Diversity against accuracy, means over seeds: two panels, the paper's score and CRPS, against the samples' variance.

    Lower is better in both; a point further to the right spreads its samples more. `reference` is (label, MSE) of a model
    without samples, drawn as a rule in the first panel.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure, grid = plt.subplots(1, 2, figsize=(8.8, 3.9), layout="constrained")
    for axes, (score, label) in zip(
        grid, (("average of samples", "MSE of a frame, average of samples"), ("CRPS", "CRPS of a frame"))
    ):
        for r in rows:
            x, y = r["scores"]["sample variance"][0], r["scores"][score][0]
            axes.plot(
                max(x, 1e-6), y, _MARKERS[r["wiring"]], color=colour(r["variant"]), ms=7,
                mfc=colour(r["variant"]) if r["wiring"] == "z_p" else "none", mew=1.6,
            )  # fmt: skip
        axes.set(xscale="log", xlabel="variance between samples, summed over a frame", ylabel=label)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    if reference:
        grid[0].axhline(reference[1], color=GREY, lw=1, ls=(0, (4, 3)))
        grid[0].annotate(reference[0], (0.01, reference[1]), xycoords=("axes fraction", "data"), va="bottom", fontsize=9)
    handles = [
        plt.Line2D([], [], color=colour(v), marker="o", ls="", ms=7, label=NAMES[v])
        for v in LATENT_LOSSES
        if any(r["variant"] == v for r in rows)
    ]
    handles += [
        plt.Line2D([], [], color=GREY, marker=_MARKERS[w], mfc=GREY if w == "z_p" else "none", ls="", ms=7, label=WIRING_NAMES[w])
        for w in WIRINGS
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9.5)
    return closed(figure)


def sweeps(found: Runs, reference: tuple[str, float] | None = None, pool: str = "test"):
    """MSE against the weight of the latent loss (either wiring) and against the floor on its stds, for KL and eq. 13.

    Dots are seeds, lines their means; `reference` (label, MSE) is a rule for the network without a latent.
    """
    import matplotlib.pyplot as plt

    panels = [("beta", "z_p"), ("beta", "z_q"), ("floor", "z_p")]
    labels = {"beta": r"weight $\lambda_\mathrm{latent}$", "floor": r"floor $s_\mathrm{min}$"}
    figure, grid = plt.subplots(1, 3, figsize=(9.2, 3.3), sharey=True, layout="constrained")
    for axes, (what, wiring) in zip(grid, panels):
        for variant in SWEPT_LOSSES:
            points = sweep(found, variant, wiring, what, pool)
            values = [[results.value(r, pool, "10->10", "mse") for r in records] for _, records in points]
            shade, dash = colour(variant), DASHES.get(variant, "-")
            axes.plot([x for x, _ in points], [np.mean(v) for v in values], color=shade, ls=dash, label=NAMES[variant])
            for (x, _), seeds in zip(points, values):
                axes.plot([x] * len(seeds), seeds, "o", color=shade, ms=4.5, alpha=0.8)
        if reference:
            axes.axhline(reference[1], color=GREY, lw=1, ls=(0, (4, 3)), label=reference[0])
        axes.set(xscale="log", xlabel=labels[what], title=WIRING_NAMES[wiring])
        axes.title.set_fontsize(9.5)
    grid[0].set_ylabel("MSE of a frame, 10 → 10")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=9.5)
    return closed(figure)


def ranks(rows: Sequence[Mapping]):
    """How each score ranks the losses: one line per variant and wiring from score to score, 1 is best."""
    import matplotlib.pyplot as plt

    scores = [label for label in SCORES if label != "sample variance"]
    order = {
        label: sorted(range(len(rows)), key=lambda i, label=label: rows[i]["scores"][label][0]) for label in scores
    }
    figure, axes = plt.subplots(figsize=(7.4, 0.32 * len(rows) + 1.0))
    for i, r in enumerate(rows):
        places = [order[label].index(i) + 1 for label in scores]
        shade = colour(r["variant"])
        axes.plot(
            range(len(scores)), places, color=shade, marker=_MARKERS[r["wiring"]], ms=6, lw=1.3, alpha=0.9,
            mfc=shade if r["wiring"] == "z_p" else "none", ls="-" if r["wiring"] == "z_p" else (0, (4, 2)),
        )  # fmt: skip
        axes.annotate(
            f"{NAMES[r['variant']]}, {r['wiring']}", (len(scores) - 1, places[-1]), xytext=(9, 0), textcoords="offset points",
            va="center", fontsize=9,
        )  # fmt: skip
    axes.set_xticks(range(len(scores)), scores)
    axes.set_yticks(range(1, len(rows) + 1))
    axes.set(ylim=(len(rows) + 0.5, 0.5), xlim=(-0.15, len(scores) - 0.9), ylabel="rank")
    axes.grid(axis="x", visible=False)
    return closed(figure)


def score_table(rows: Sequence[Mapping], found: Runs, pool: str = "test"):
    """All scores of the grid as a pandas DataFrame of text: means over seeds, ± the standard deviation over seeds."""
    import pandas

    def cell(pair: tuple[float, float | None], digits: int = 2) -> str:
        mean, std = pair
        if math.isnan(mean):
            return "not run"
        return f"{mean:.{digits}f}" if std is None else f"{mean:.{digits}f} ± {std:.{digits}f}"

    table = []
    for r in rows:
        line = {"loss": NAMES[r["variant"]], "decodes": r["wiring"], "seeds": r["seeds"]}
        for protocol in results.PROTOCOLS:
            line[f"MSE {results.arrow(protocol)}"] = cell(mean_over_seeds(found, r["experiment"], "mse", "average", protocol, pool))
        line["SSIM 10 → 10"] = cell(mean_over_seeds(found, r["experiment"], "ssim", pool=pool), 3)
        for label in ("best sample", "mean frame", "sample variance", "CRPS"):
            line[label] = cell(r["scores"][label], 3 if label == "sample variance" else 2)
        table.append(line)
    return pandas.DataFrame(table).set_index("loss")
