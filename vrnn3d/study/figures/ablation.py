"""Pictures of the ablation chapter: what the recorded runs of the latent losses say (``vrnn3d.study.ablation``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vrnn3d.show import GREY, closed
from vrnn3d.study import paper
from vrnn3d.study.ablation import (
    REFERENCE,
    SCORES,
    TABLE3,
    Cell,
    Runs,
    TableStep,
    against_reference,
    changes,
    loss_name,
    mean_frames,
    sweep,
    told_apart,
    wirings,
)
from vrnn3d.study.catalogue import LATENT_LOSSES, SWEPT_LOSSES, WIRINGS
from vrnn3d.study.compare import BETTER, UNDECIDED, WORSE, Comparison, rules_out_paper
from vrnn3d.study.figures.loss import NAMES, WIRING_NAMES
from vrnn3d.study.figures.style import colour, dash
from vrnn3d.study.spread import Interval, Spread, black_spread, seed_spread
from vrnn3d.study.wording import listed, percent

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = {"z_p": "o", "z_q": "s"}
#: Training curves of the Gaussians, with the labels of their axes.
TRACES = {
    "log_std_prior": r"mean $\log\,\sigma_p$",
    "log_std_posterior": r"mean $\log\,\sigma_q$",
    "floor_fraction": "fraction at the floor",
    "kl_per_frame": "KL(q‖p), nats a frame",
}


class Line(NamedTuple):
    """One line of :func:`differences`; `name` is the experiment or loss variant that gives it its colour."""

    label: str
    comparison: Comparison
    name: str


# --- differences ------------------------------------------------------------------------------------------------------


def differences(panels: Mapping[str, Sequence[Line]], xlabel: str) -> Figure:
    """Differences with both of their intervals, one line each.

    Args:
        panels: {title: lines}, side by side, on one scale; those with the labels of the first leave them to it.
        xlabel: of what, in which unit.

    Thick: 95% over test sequences, of the mean over seeds. Thin: Student's 95% over seeds. Ticks: single seeds. A thin line
    that would dwarf the panel runs out of it.
    """
    import matplotlib.pyplot as plt

    tall = max(len(panel) for panel in panels.values())
    size = (5.0 + 3.2 * (len(panels) - 1), 0.8 + 0.42 * tall)
    figure, grid = plt.subplots(1, len(panels), figsize=size, sharex=True, squeeze=False, layout="constrained")
    low, high = _reach([line.comparison for panel in panels.values() for line in panel])
    for axes, (title, panel) in zip(grid.flat, panels.items()):
        axes.axvline(0, color=GREY, lw=1, ls=(0, (4, 3)))
        for y, line in enumerate(panel):
            _difference_line(axes, y, line.comparison, colour(line.name))
        axes.set_yticks(range(len(panel)), [line.label for line in panel])
        axes.set(ylim=(len(panel) - 0.4, -0.6), xlim=(low, high), title=title)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
    labels = [[line.label for line in panel] for panel in panels.values()]
    for axes, own in zip(grid.flat[1:], labels[1:]):
        if own == labels[0]:
            axes.set_yticklabels([])
    figure.supxlabel(xlabel, fontsize=10.5)
    return closed(figure)


def _reach(comparisons: Iterable[Comparison]) -> tuple[float, float]:
    """Limits of the x axis: everything but the intervals over seeds, and zero."""
    inner = [x for c in comparisons for x in (*(c.test_interval or ()), *c.by_seed, c.estimate, 0.0)]
    room = 0.25 * (max(inner) - min(inner) or 1.0)
    return min(inner) - room, max(inner) + room


def _difference_line(axes: Axes, y: float, comparison: Comparison, shade: str) -> None:
    if comparison.seed_interval is not None:
        axes.plot(comparison.seed_interval, [y, y], color=shade, lw=1.2)
    if comparison.test_interval is not None:
        axes.plot(comparison.test_interval, [y, y], color=shade, lw=5, alpha=0.45, solid_capstyle="butt")
    axes.plot(comparison.by_seed, [y] * len(comparison.by_seed), "|", color=shade, ms=11, mew=1.4)
    axes.plot([comparison.estimate], [y], "o", color=shade, ms=6)


def forest(cells: Sequence[Cell]) -> Figure:
    """Every variant against KL in the same wiring: MSE of a frame, 10 -> 10; a panel for each wiring that has any."""
    panels = {
        WIRING_NAMES[wiring]: [
            Line(NAMES[cell.variant], cell.against_reference, cell.variant)
            for cell in cells
            if cell.wiring == wiring and cell.against_reference
        ]
        for wiring in WIRINGS
    }
    panels = {title: lines for title, lines in panels.items() if lines}
    return differences(panels, "MSE of a frame minus that with KL(p‖q), average of samples, 10 → 10")


def ends(cells: Sequence[Cell]) -> tuple[str, str]:
    """The losses, with their wirings, whose MSE lies furthest below and above that of KL, for the words of a picture."""
    known = [(cell.against_reference.estimate, cell) for cell in cells if cell.against_reference]
    if not known:
        return "none", "none"
    low, high = (choose(known, key=lambda pair: pair[0])[1] for choose in (min, max))
    return f"{NAMES[low.variant]} ({low.wiring})", f"{NAMES[high.variant]} ({high.wiring})"


# --- training ---------------------------------------------------------------------------------------------------------


def traces(found: Runs) -> Figure:
    """What the Gaussians do in training: columns wirings; rows prior, posterior, fraction at the floor, KL a frame.

    One thin line per seed; a colour per variant.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import EngFormatter

    figure, grid = plt.subplots(len(TRACES), 2, figsize=(8.6, 8.6), sharex=True, sharey="row", layout="constrained")
    for column, wiring in zip(grid.T, WIRINGS):
        column[0].set_title(WIRING_NAMES[wiring])
        for axes, curve in zip(column, TRACES):
            _trace(axes, found, curve, wiring)
            axes.margins(x=0)
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    for axes, label in zip(grid[:, 0], TRACES.values()):
        axes.set_ylabel(label)
    for axes in grid[list(TRACES).index("kl_per_frame")]:
        axes.set_yscale("symlog", linthresh=0.1)
        axes.set_ylim(bottom=0)
    handles: dict[str, Any] = {}
    for axes in grid.flat:
        handles.update({label: handle for handle, label in zip(*axes.get_legend_handles_labels())})
    figure.supxlabel("training sequences seen", fontsize=10.5)
    figure.legend(list(handles.values()), list(handles), loc="outside upper center", ncols=4, fontsize=9.5)
    return closed(figure)


def _trace(axes: Axes, found: Runs, curve: str, wiring: str) -> None:
    for variant in LATENT_LOSSES:
        for i, record in enumerate(found.get(loss_name(variant, wiring), [])):
            values = record.curve(curve)
            label = None if i else NAMES[variant]
            shade, dashes = colour(variant), dash(variant)
            axes.plot(record.curve("sequences")[: len(values)], values, color=shade, ls=dashes, lw=1.2, label=label)


# --- scores -----------------------------------------------------------------------------------------------------------


def _score(cell: Cell, label: str) -> float:
    spread = cell.scores.get(label)
    return float("nan") if spread is None else spread.mean


def pareto(cells: Sequence[Cell], reference: tuple[str, float] | None = None) -> Figure:
    """Diversity against accuracy, means over seeds: two panels, the paper's score and CRPS, against the samples' variance.

    Lower is better in both; a point further to the right spreads its samples more. `reference` is (label, MSE) of a model
    without samples, drawn as a rule in the first panel.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure, grid = plt.subplots(1, 2, figsize=(8.8, 3.9), layout="constrained")
    panels = (("average of samples", "MSE of a frame, average of samples"), ("CRPS", "CRPS of a frame"))
    for axes, (score, label) in zip(grid, panels):
        for cell in cells:
            x, shade = max(_score(cell, "sample variance"), 1e-6), colour(cell.variant)
            fill = shade if cell.wiring == "z_p" else "none"
            axes.plot(x, _score(cell, score), _MARKERS[cell.wiring], color=shade, ms=7, mfc=fill, mew=1.6)
        axes.set(xscale="log", xlabel="variance between samples, summed over a frame", ylabel=label)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    if reference:
        grid[0].axhline(reference[1], color=GREY, lw=1, ls=(0, (4, 3)))
        grid[0].annotate(reference[0], (0.01, reference[1]), xycoords=("axes fraction", "data"), va="bottom", fontsize=9)
    shown = {cell.variant for cell in cells}
    handles = [
        plt.Line2D([], [], color=colour(v), marker="o", ls="", ms=7, label=NAMES[v]) for v in LATENT_LOSSES if v in shown
    ]
    for wiring in WIRINGS:
        fill = GREY if wiring == "z_p" else "none"
        handles.append(
            plt.Line2D([], [], color=GREY, marker=_MARKERS[wiring], mfc=fill, ls="", ms=7, label=WIRING_NAMES[wiring])
        )
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9.5)
    return closed(figure)


def sweeps(found: Runs, reference: tuple[str, float] | None = None, pool: str = "test") -> Figure:
    """MSE against the weight of the latent loss (either wiring) and against the floor on its stds, for KL and eq. 13.

    Dots are seeds, lines their means; `reference` (label, MSE) is a rule for the network without a latent.
    """
    import matplotlib.pyplot as plt

    panels = [("beta", "z_p"), ("beta", "z_q"), ("floor", "z_p")]
    labels = {"beta": r"weight $\lambda_\mathrm{latent}$", "floor": r"floor $\sigma_\mathrm{min}$"}
    figure, grid = plt.subplots(1, 3, figsize=(9.2, 3.3), sharey=True, layout="constrained")
    for axes, (what, wiring) in zip(grid, panels):
        for variant in SWEPT_LOSSES:
            points = sweep(found, variant, wiring, what)
            values = [[record.score(pool, "10->10") for record in runs] for _, runs in points]
            shade, dashes = colour(variant), dash(variant)
            axes.plot([x for x, _ in points], [np.mean(v) for v in values], color=shade, ls=dashes, label=NAMES[variant])
            for (x, _), seeds in zip(points, values):
                axes.plot([x] * len(seeds), seeds, "o", color=shade, ms=4.5, alpha=0.8)
        if reference:
            axes.axhline(reference[1], color=GREY, lw=1, ls=(0, (4, 3)), label=reference[0])
        axes.set(xscale="log", xlabel=labels[what], title=WIRING_NAMES[wiring])
        axes.title.set_fontsize(9.5)
    grid[0].set_ylabel("MSE of a frame, 10 → 10")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=9.5)
    return closed(figure)


def ranks(cells: Sequence[Cell]) -> Figure:
    """How each score ranks the losses: one line per variant and wiring from score to score, 1 is best."""
    import matplotlib.pyplot as plt

    scores = [label for label in SCORES if label != "sample variance"]
    order = {label: sorted(range(len(cells)), key=lambda i, label=label: _score(cells[i], label)) for label in scores}  # type: ignore[misc]
    figure, axes = plt.subplots(figsize=(7.4, 0.32 * len(cells) + 1.0))
    for i, cell in enumerate(cells):
        places = [order[label].index(i) + 1 for label in scores]
        shade, first = colour(cell.variant), cell.wiring == "z_p"
        looks = {"mfc": shade, "ls": "-"} if first else {"mfc": "none", "ls": (0, (4, 2))}
        axes.plot(range(len(scores)), places, color=shade, marker=_MARKERS[cell.wiring], ms=6, lw=1.3, alpha=0.9, **looks)
        end = (len(scores) - 1, places[-1])
        text = f"{NAMES[cell.variant]}, {cell.wiring}"
        axes.annotate(text, end, xytext=(9, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_xticks(range(len(scores)), scores)
    axes.set_yticks(range(1, len(cells) + 1))
    axes.set(ylim=(len(cells) + 0.5, 0.5), xlim=(-0.15, len(scores) - 0.9), ylabel="rank")
    axes.grid(axis="x", visible=False)
    return closed(figure)


# --- tables -----------------------------------------------------------------------------------------------------------


def protocol_table(found: Runs, wiring: str, pool: str = "test") -> pandas.DataFrame:
    """Every loss in one wiring: its MSE by protocol, mean over seeds, and what the comparison with KL came to."""
    import pandas

    compared, table = against_reference(found, wiring, pool), []
    for variant in LATENT_LOSSES:
        runs = found.get(loss_name(variant, wiring), [])
        if not runs:
            continue
        line: dict[str, Any] = {"loss": NAMES[variant], "seeds": len(runs)}
        for protocol in paper.PROTOCOLS:
            comparison = compared.get(variant, {}).get(protocol)
            outcome = f", {comparison.outcome}" if comparison else ", the reference" * (variant == REFERENCE)
            line[paper.arrow(protocol)] = text(seed_spread(runs, protocol, "mse", pool)) + outcome
        table.append(line)
    return pandas.DataFrame(table).set_index("loss")


def wiring_table(found: Runs, pool: str = "test") -> pandas.DataFrame:
    """Every loss that was run in both wirings: its scores at 10 -> 10 with z_p and with z_q decoded in training."""
    import pandas

    lines = []
    for variant, compared in wirings(found, pool).items():
        seeds = min(next(iter(compared.values())).trainings)
        prior, posterior = (loss_name(variant, wiring) for wiring in WIRINGS)
        of_mean = mean_frames(found, prior, posterior, pool)
        lines.append({"loss": NAMES[variant], "seeds": seeds} | changes(compared) | {"MSE of the mean frame": of_mean})
    return pandas.DataFrame(lines).set_index("loss")


def better_in_words(found: Runs) -> str:
    """Which losses are told apart from KL as better in either wiring, and in how many protocols, in words."""
    told = []
    for wiring in WIRINGS:
        compared = against_reference(found, wiring)
        better = told_apart(compared).get(BETTER, {})
        which = [f"{NAMES[v]} in {len(protocols)} of {len(compared[v])} protocols" for v, protocols in better.items()]
        told.append(f"{listed(which) or 'none'} where the network {WIRING_NAMES[wiring]}")
    return ", ".join(told)


def score_table(cells: Sequence[Cell], found: Runs, pool: str = "test") -> pandas.DataFrame:
    """The scores of the grid's samples at 10 -> 10 as text: means over seeds, ± the standard deviation over seeds."""
    import pandas

    table = []
    for cell in cells:
        runs = found[cell.experiment]
        line: dict[str, Any] = {"loss": NAMES[cell.variant], "decodes": cell.wiring}
        if (black := black_spread(runs, pool=pool)) is not None:
            line["% of black"] = text(black, 1)
        line["SSIM"] = text(seed_spread(runs, metric="ssim", pool=pool), 3)
        for label in ("best sample", "mean frame", "sample variance", "CRPS"):
            line[label] = text(cell.scores.get(label), 3 if label == "sample variance" else 2)
        table.append(line)
    return pandas.DataFrame(table).set_index("loss").fillna("")


def table3(found: Runs) -> pandas.DataFrame:
    """The rows of Table 3 that were run: parameters, seeds, the MSE by protocol, and percent of black where it was kept."""
    import pandas

    rows = []
    for name, title in TABLE3.items():
        if runs := found.get(name, []):
            row: dict[str, Any] = {"model": title, "parameters": runs[0].parameters["total"], "seeds": len(runs)}
            row |= {f"MSE {paper.arrow(p)}": text(seed_spread(runs, p)) for p in paper.PROTOCOLS}
            if black := black_spread(runs):
                row["% of black 10 → 10"] = text(black, 1)
            rows.append(row)
    return pandas.DataFrame(rows).set_index("model")


_EFFECTS = {BETTER: "lower", WORSE: "higher"}


def steps_table(told: Iterable[tuple[TableStep, Comparison | None]]) -> pandas.DataFrame:
    """What each step between rows of Table 3 does to the MSE, in percent of the error before it, here and in the paper."""
    import pandas

    rows = []
    for step, comparison in told:
        share = paper.change(step.before, step.after)
        row = {"step": step.what, "the paper": "" if share is None else percent(share)}
        if comparison is None:
            row |= dict.fromkeys(("here", "95% over test sequences", "95% over seeds", "the error is", "seeds"), "not run")
        else:
            ruled_out = rules_out_paper(comparison, step.before, step.after)
            row["here"] = percent(comparison.estimate / comparison.theirs)
            row["95% over test sequences"] = _share(comparison.test_interval, comparison.theirs)
            row["95% over seeds"] = _share(comparison.seed_interval, comparison.theirs)
            row["seeds"] = str(min(comparison.trainings))
            row["the error is"] = _EFFECTS.get(comparison.outcome, UNDECIDED)
            row["the paper's size is"] = {None: "", True: "ruled out", False: "possible"}[ruled_out]
        rows.append(row)
    return pandas.DataFrame(rows).set_index("step").fillna("")


def _share(interval: Interval | None, whole: float) -> str:
    return "not known" if interval is None else "\N{NO-BREAK SPACE}to ".join(percent(end / whole) for end in interval)


def text(spread: Spread | None, digits: int = 2, missing: str = "not run") -> str:
    """A spread as a table prints it."""
    return missing if spread is None else spread.text(digits)
