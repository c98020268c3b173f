"""Curves over frames and over the training, intervals, and predictions side by side."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

import numpy as np

from vrnn3d.show import GREY, closed
from vrnn3d.study.figures.style import DASHES, colour

METRIC_LABELS = {
    "mse": "MSE per frame (lower is better)",
    "mae": "MAE per frame (lower is better)",
    "ssim": "SSIM (higher is better)",
    "psnr": "PSNR in dB (higher is better)",
    "ssim_uint8": "SSIM, 8-bit protocol (higher is better)",
    "crps": "CRPS per frame (lower is better)",
    "sample_variance": "variance between samples, per frame",
}
CURVE_LABELS = {
    "loss": "training loss",
    "l1": "L1 per frame",
    "l2": "L2 per frame",
    "latent": "latent loss per step",
    "beta": "weight of the latent loss",
    "log_std_prior": "mean log std of the prior",
    "log_std_posterior": "mean log std of the posterior",
    "floor_fraction": "latents at the std floor",
    "validation_mse": "validation MSE per frame",
}


def predictions(
    records: Sequence[Mapping], clips: Sequence[Mapping], number: int, means: Sequence[str] = (), given: bool = False
) -> dict[str, np.ndarray]:
    """Rows for :func:`strip` and :func:`animation`: one test sequence, and what each model made of it.

    Args:
        records: whose titles name the rows.
        clips: of each record, what ``results.read_clips`` returned.
        number: of the test sequence; it must be among those that every clip holds.
        means: experiments whose mean over the samples follows their one sample.
        given: whether predictions begin with the frames given, as an animation wants them; a strip leaves these empty.

    The first row is the truth with the frames given in front. Raises ``ValueError`` where a record's clips lack the
    sequence, or show another truth than the first record's: models are shown on the same sequence or not at all.
    """
    rows: dict[str, np.ndarray] = {}
    truth, context = None, None
    for record, clip in zip(_list(records), clips, strict=True):
        name = record["title"]
        here = np.flatnonzero(clip["indices"] == number)
        if "truth" not in clip or not len(here):
            held = ", ".join(map(str, clip["indices"]))
            raise ValueError(f"the clips of {name} do not show test sequence {number}; they hold {held}")
        at = here[0]
        if truth is None:
            truth, context = clip["truth"][at], int(clip["context"])
            rows["truth"] = truth
        if int(clip["context"]) != context or not np.array_equal(clip["truth"][at], truth):
            raise ValueError(f"{name} and {records[0]['title']} show different sequences as test sequence {number}")
        kinds = {"": "sample"} | ({", mean": "mean"} if record["experiment"] in means else {})
        for suffix, kind in kinds.items():
            rows[name + suffix] = np.concatenate([truth[:context], clip[kind][at]]) if given else clip[kind][at]
    return rows


def _list(records) -> list[dict]:
    records = [records] if isinstance(records, Mapping) else list(records)
    if not records:
        raise ValueError("no records to draw; train and evaluate a model first")
    return records


def _names(records: list[dict]) -> list[str]:
    """A legend entry per record: its title, with profile and seed only where these tell records apart."""
    profiles = {r["profile"] for r in records}
    experiments = [r["experiment"] for r in records]
    names = []
    for r in records:
        name = r.get("title") or r["experiment"]
        if len(profiles) > 1 or r["profile"] not in ("paper", "ablation"):
            name += f" [{r['profile']} profile]"
        if experiments.count(r["experiment"]) > 1:
            name += f", seed {r['seed']}"
        names.append(name)
    return names


def per_frame(
    records,
    metric: str = "mse",
    protocol: str | tuple[int, int] = "10->10",
    pool: str = "train",
    paper: Mapping[str, float] | None = None,
):
    """A metric against the frame number, one curve per record with its 95% bootstrap band over test sequences.

    Args:
        records: one record or several (``results.read_records``); those without this protocol are an error.
        metric: "mse", "mae", "ssim", "psnr", or "crps", "sample_variance" (drawn without a band where none is stored).
        protocol: "10->10" or (10, 10).
        pool: which test digits, a key of the record's "evaluation".
        paper: {experiment: the paper's average over the frames}, thin dashed rules in the experiment's colour.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    records = _list(records)
    if not isinstance(protocol, str):
        protocol = "{}->{}".format(*protocol)
    first = int(protocol.split("->")[0]) + 1
    figure, axes = plt.subplots()
    for record, name in zip(records, _names(records)):
        try:
            entry = record["evaluation"][pool][protocol][metric]
            values = entry["per_frame"]
        except KeyError as missing:
            raise ValueError(
                f"record {record['experiment']} (seed {record['seed']}) has no {missing} on the way to"
                f" evaluation / {pool} / {protocol} / {metric} / per_frame; evaluate it so, or leave it out"
            ) from None
        frames = range(first, first + len(values))
        shade = colour(record["experiment"])
        axes.plot(frames, values, color=shade, ls=DASHES.get(record["experiment"], "-"), label=name)
        if "per_frame_interval" in entry:
            low, high = zip(*entry["per_frame_interval"])
            axes.fill_between(frames, low, high, color=shade, alpha=0.22, lw=0)
    for experiment, value in (paper or {}).items():
        axes.axhline(value, color=colour(experiment), ls=(0, (8, 3)), lw=1.0, label=f"paper's average: {value:g}")
    axes.set_xlabel("frame")
    axes.set_ylabel(METRIC_LABELS.get(metric, metric))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.02)
    _legend(axes)
    return closed(figure)


def _legend(axes) -> None:
    """A legend beside the axes, where it cannot cover a curve."""
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=2.4)


def loss_curves(records, panels: Sequence[str] | None = None):
    """Training curves against sequences seen, one panel per quantity; a single record or several to compare.

    `panels` are keys of the record's training.curves; by default all that any of the records holds, "beta" left out.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import EngFormatter

    records = _list(records)
    curves = [record["training"]["curves"] for record in records]
    if panels is None:
        panels = [key for key in CURVE_LABELS if key != "beta" and any(c.get(key) for c in curves)]
    missing = [key for key in panels if not any(c.get(key) for c in curves)]
    if missing or not panels:
        raise ValueError(f"the records hold no training curve {', '.join(missing) or 'at all'}")
    columns = min(len(panels), 3)
    lines = -(-len(panels) // columns)
    figure, grid = plt.subplots(
        lines, columns, figsize=(3.1 * columns, 2.4 * lines), squeeze=False, layout="constrained"
    )
    for axes, key in zip(grid.flat, panels):
        for record, curve, name in zip(records, curves, _names(records)):
            if not curve.get(key):
                continue
            x = curve["validation_sequences" if key.startswith("validation_") else "sequences"]
            single = {"marker": "o"} if len(x) == 1 else {}
            axes.plot(x, curve[key], color=colour(record["experiment"]), label=name, lw=1.6,
                      ls=DASHES.get(record["experiment"], "-"), **single)  # fmt: skip
        axes.set_title(CURVE_LABELS.get(key, key))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.locator_params(axis="x", nbins=4)
        axes.set_xlim(0, 1.03 * max(max(c["sequences"]) for c in curves))
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    figure.supxlabel("sequences seen", fontsize=10.5)
    handles, names = {}, _names(records)
    for axes in figure.axes:
        handles.update({label: handle for handle, label in zip(*axes.get_legend_handles_labels())})
    if len(records) > 1:
        figure.legend(
            [handles[n] for n in names if n in handles], [n for n in names if n in handles],
            loc="outside upper center", ncols=min(len(names), 3),
        )  # fmt: skip
    return closed(figure)


def forest(rows: Sequence[Mapping[str, Any]], xlabel: str = "", reference: float | None = None):
    """Estimates with intervals, one line each, first on top; a matplotlib Figure.

    Args:
        rows: mappings with "label" and "estimate" and, where there are, "interval" (low, high), "paper" (the paper's
            number, drawn as a hollow diamond), "name" (the experiment, for its colour), "note" (written at the right).
        xlabel: what the estimates are, with unit.
        reference: a vertical rule, for example 0 for differences.
    """
    import matplotlib.pyplot as plt

    rows = list(rows)
    if not rows:
        raise ValueError("no estimates to draw; pass at least one row with a label and an estimate")
    figure, axes = plt.subplots(figsize=(6.4, 0.7 + 0.42 * len(rows)))
    if reference is not None:
        axes.axvline(reference, color=GREY, lw=1.0, ls=(0, (4, 3)))
    for y, row in enumerate(rows):
        shade = colour(row.get("name", row["label"]))
        if row.get("interval") is not None:
            axes.plot(row["interval"], [y, y], color=shade, lw=2.4, solid_capstyle="butt", alpha=0.75)
        axes.plot([row["estimate"]], [y], "o", color=shade, ms=6.5)
        if row.get("paper") is not None:
            axes.plot([row["paper"]], [y + 0.27], "D", mfc="none", mec=shade, mew=1.4, ms=5.5)
        if row.get("note"):
            axes.annotate(row["note"], (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=9)
    axes.set_yticks(range(len(rows)), [row["label"] for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.06)
    axes.set_xlabel(xlabel)
    if any(row.get("paper") is not None for row in rows):
        from matplotlib.lines import Line2D

        keys = [
            Line2D([], [], color=GREY, marker="o", ls="-", lw=2.4, ms=6.5, label="ours, 95% interval"),
            Line2D([], [], mec=GREY, mfc="none", marker="D", ls="", ms=5.5, mew=1.4, label="the paper"),
        ]
        figure.legend(handles=keys, loc="lower right", bbox_to_anchor=(0.9, 0.88), ncols=2)
    return closed(figure)
