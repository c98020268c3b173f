"""What records say, drawn: curves over frames, intervals, and predictions side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vrnn3d.evaluation.metrics import METRICS
from vrnn3d.evaluation.protocols import frames_of
from vrnn3d.show import GREY, closed
from vrnn3d.study.figures.style import colour, dash
from vrnn3d.study.records import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Metrics of which neither more nor less is better by itself.
_NEUTRAL = ("sample_variance",)


def metric_label(name: str) -> str:
    """What a metric is called on an axis, and which way is better."""
    metric = METRICS[name]
    return metric.label + ("" if name in _NEUTRAL else f" ({'higher' if metric.larger_is_better else 'lower'} is better)")


# --- predictions ------------------------------------------------------------------------------------------------------


def predictions(
    records: Sequence[Record], clips: Sequence[Mapping], number: int, means: Sequence[str] = (), given: bool = False
) -> dict[str, np.ndarray]:
    """Rows for ``show.strip`` and ``show.animation``: one test sequence, and what each model made of it.

    Args:
        records: whose titles name the rows.
        clips: of each record, what ``records.read_clips`` returned.
        number: of the test sequence; it must be among those that every clip holds.
        means: experiments whose mean over the samples follows their one sample.
        given: whether predictions begin with the frames given, as an animation wants them; a strip leaves these empty.

    The first row is the truth with the frames given in front, uint8 (T, C, H, W) like all of them.

    Raises:
        ValueError: where a record's clips lack the sequence, or show another truth than the first record's: models are
            shown on the same sequence or not at all.
    """
    rows: dict[str, np.ndarray] = {}
    truth, context = np.empty(0), 0
    for record, clip in zip(as_list(records), clips, strict=True):
        here = np.flatnonzero(clip["indices"] == number)
        if "truth" not in clip or not len(here):
            held = ", ".join(map(str, clip["indices"]))
            raise ValueError(f"the clips of {record.title} do not show test sequence {number}; they hold {held}")
        at = here[0]
        if not rows:
            truth, context = clip["truth"][at], int(clip["context"])
            rows["truth"] = truth
        if int(clip["context"]) != context or not np.array_equal(clip["truth"][at], truth):
            raise ValueError(f"{record.title} and {records[0].title} show different sequences as test sequence {number}")
        kinds = {"": "sample"} | ({", mean": "mean"} if record.experiment in means else {})
        for suffix, kind in kinds.items():
            rows[record.title + suffix] = np.concatenate([truth[:context], clip[kind][at]]) if given else clip[kind][at]
    return rows


def beside_truth(record: Record, clip: Mapping, number: int = 2, ahead: int | None = None) -> dict[str, np.ndarray]:
    """Rows for ``show.animation``: the first test sequences, each beside one prediction; uint8 (T, C, H, W).

    Args:
        record: a run.
        clip: what ``records.read_clips`` returned for it.
        number: of sequences, as many as the clip has that were not chosen by their score.
        ahead: predicted frames that are shown; all of them by default.
    """
    rows: dict[str, np.ndarray] = {}
    for index in [int(i) for i in clip["indices"][: min(number, int(clip["first"]))]]:
        truth, predicted = predictions([record], [clip], index, given=True).values()
        end = None if ahead is None else int(clip["context"]) + ahead
        rows |= {f"truth {index}": truth[:end], f"predicted {index}": predicted[:end]}
    return rows


def as_list(records: Record | Iterable[Record]) -> list[Record]:
    """One record or several as a list; ``ValueError`` where there are none."""
    records = [records] if isinstance(records, Record) else list(records)
    if not records:
        raise ValueError("no records to draw; train and evaluate a model first")
    return records


def legend_names(records: Sequence[Record], seeds: bool = True) -> list[str]:
    """A legend entry per record: its title, with profile and seed only where these tell records apart."""
    profiles = {r.profile for r in records}
    experiments = [(r.profile, r.experiment) for r in records]
    names = []
    for r in records:
        name = r.title or r.experiment
        if len(profiles) > 1:
            name += f" [{r.profile} profile]"
        if seeds and experiments.count((r.profile, r.experiment)) > 1:
            name += f", seed {r.seed}"
        names.append(name)
    return names


# --- curves -----------------------------------------------------------------------------------------------------------


def per_frame(
    records: Record | Iterable[Record],
    metric: str = "mse",
    protocol: str = "10->10",
    pool: str = "test",
    paper: Mapping[str, float] | None = None,
) -> Figure:
    """A metric against the frame number, one curve per record with its 95% bootstrap band over test sequences.

    Args:
        records: one record or several; those without this protocol are an error.
        metric: a key of ``metrics.METRICS``.
        protocol: frames given and frames predicted, as "10->10".
        pool: which test set, a key of the record's evaluation.
        paper: {experiment: the paper's average over the frames}, thin dashed rules in the experiment's colour.

    Raises:
        ValueError: naming the record that was not evaluated so.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    records = as_list(records)
    first = frames_of(protocol)[0] + 1
    figure, axes = plt.subplots(figsize=(7.6, 4.6))
    for record, name in zip(records, legend_names(records)):
        entry = record.measured(pool, protocol)
        if entry is None or metric not in entry.scores:
            raise ValueError(f"the record {record.name} has no {metric} of {pool}, {protocol}; evaluate it so, or leave it out")
        score, shade = entry.scores[metric], colour(record.experiment)
        frames = range(first, first + len(score.per_frame))
        axes.plot(frames, score.per_frame, color=shade, ls=dash(record.experiment), label=name)
        low, high = zip(*score.per_frame_interval)
        axes.fill_between(frames, low, high, color=shade, alpha=0.22, lw=0)
    for experiment, value in (paper or {}).items():
        axes.axhline(value, color=colour(experiment), ls=(0, (8, 3)), lw=1.0, label=f"paper's average: {value:g}")
    axes.set_xlabel("frame")
    axes.set_ylabel(metric_label(metric))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.02)
    # Below the axes, where it cannot cover a curve
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, handlelength=2.6)
    return closed(figure)


# --- intervals --------------------------------------------------------------------------------------------------------


def forest(rows: Sequence[Mapping[str, Any]], xlabel: str = "", reference: float | None = None) -> Figure:
    """Estimates with intervals, one line each, first on top.

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
        _paper_legend(figure)
    return closed(figure)


def _paper_legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    keys = [
        Line2D([], [], color=GREY, marker="o", ls="-", lw=2.4, ms=6.5, label="ours, 95% interval"),
        Line2D([], [], mec=GREY, mfc="none", marker="D", ls="", ms=5.5, mew=1.4, label="the paper"),
    ]
    figure.legend(handles=keys, loc="lower right", bbox_to_anchor=(0.9, 0.88), ncols=2)
