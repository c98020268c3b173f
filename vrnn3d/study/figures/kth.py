"""What the KTH chapter shows of its records: differences window by window, curves, predictions beside the truth, Table 2."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vrnn3d.evaluation.metrics import METRICS
from vrnn3d.evaluation.protocols import frames_of
from vrnn3d.show import GREY, closed
from vrnn3d.study import paper
from vrnn3d.study.compare import BETTER, UNDECIDED, WORSE, Comparison, compare_runs
from vrnn3d.study.figures.style import colour, dash
from vrnn3d.study.profiles import PROFILES
from vrnn3d.study.records import Record
from vrnn3d.study.scales import SCALES, conditions, pictured_at, runs_at, shown_at, words
from vrnn3d.study.spread import seed_spread
from vrnn3d.study.tables import two_levels
from vrnn3d.study.wording import listed, with_minus

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

FULL = "KTH"  #: what results on all clips are called
MOVES = 0.05  #: a pixel moves where its grey value varies over time by more than this, of 1 (standard deviation)


def title(record: Record) -> str:
    """A record's title without "KTH: ", which a chapter on KTH need not say in every line."""
    return record.title.removeprefix("KTH: ")


def model_name(record: Record) -> str:
    """The experiment without its ``kth_``: the name under which the other chapters give this model its colour."""
    return record.experiment.removeprefix("kth_")


# --- scales -----------------------------------------------------------------------------------------------------------

#: The rows of a page on KTH: those of the paper's Table 2, and one that it does not have.
ROWS = (*paper.TABLE2, "kth_vrnn3d_kl_augmented")


@dataclass(frozen=True)
class AtScale:
    """The runs of one scale on one part of the clips, seed 0, the best PSNR over the longest horizon first."""

    profile: str
    runs: list[Record]
    clips: dict[str, Mapping[str, np.ndarray]]  #: {title: what a run kept to look at}

    @property
    def words(self) -> str:
        """ "half scale"."""
        return words(self.profile)

    def run(self, name: str) -> Record | None:
        """The run of a model by its :func:`model_name`; None where it was not run."""
        return next((r for r in self.runs if model_name(r) == name), None)

    def ours(self) -> list[Record]:
        """The runs of the paper's model, with KL-LL and with KL."""
        return [run for run in map(self.run, ("vrnn3d_kl_ll", "vrnn3d_kl")) if run]

    def conditions(self) -> str:
        """What the runs were trained on, without the size of the network, in which they differ; "" where there are none."""
        return conditions(self.runs[0]).rpartition(";")[0] if self.runs else ""


def runs_at_scale(records: Iterable[Record], profile: str) -> AtScale:
    """What `records` has of the page's rows at a profile."""
    records = list(records)
    runs = shown_at(records, ROWS, profile)
    runs.sort(key=lambda r: -r.score("test", paper.KTH_PROTOCOLS[-1], "psnr"))
    return AtScale(profile, runs, {title(r): kept for r, kept in pictured_at(records, ROWS, profile)})


# --- comparison -------------------------------------------------------------------------------------------------------


def measured(record: Record, pool: str, protocol: str, metric: str, digits: int) -> str:
    """A metric of a record with its 95% interval over the windows, as a table prints it."""
    entry = record.measured(pool, protocol)
    if entry is None:
        return "not run"
    score = entry.scores[metric]
    low, high = score.interval
    return f"{score.average:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


@dataclass(frozen=True)
class Against:
    """A record compared with a reference."""

    record: Record
    comparison: Comparison

    @property
    def label(self) -> str:
        """The model's title."""
        return title(self.record)

    def row(self) -> dict:
        """What ``curves.forest`` draws."""
        c = self.comparison
        return {"label": self.label, "name": model_name(self.record), "estimate": c.estimate, "interval": c.test_interval}

    def text(self, digits: int = 2) -> str:
        """The difference with its 95% interval over the windows."""
        return difference_text(self.comparison, digits)


def difference_text(comparison: Comparison, digits: int = 2, factor: float = 1.0) -> str:
    """A difference with its 95% interval over the windows, as tables print it; `factor` changes its unit."""
    numbers = [factor * x for x in (comparison.estimate, *(comparison.test_interval or ()))]
    estimate, *ends = (with_minus(f"{x:+.{digits}f}") for x in numbers)
    return f"{estimate} [{', '.join(ends)}]" if ends else estimate


def against(
    records: Iterable[Record],
    reference: Record,
    protocol: str,
    metric: str,
    pool: str = "test",
    values: str = "per_sequence",
) -> list[Against]:
    """Each record minus `reference`, paired over the windows, the largest difference first.

    `values` as in ``compare.compare_runs``. The reference itself is left out, and so is what was not kept by window.
    """
    found = []
    for record in records:
        if record.experiment == reference.experiment:
            continue
        comparison = compare_runs([record], [reference], protocol, metric, pool, values)
        if comparison is not None and comparison.test_interval is not None:
            found.append(Against(record, comparison))
    return sorted(found, key=lambda one: -one.comparison.estimate)


def outcomes_against(
    records: Iterable[Record],
    reference: Record,
    protocols: Sequence[str] = paper.KTH_PROTOCOLS,
    metrics: Sequence[str] = ("psnr", "ssim", "mse"),
) -> tuple[dict[str, dict[tuple[str, str], str]], list[str]]:
    """How each record comes out against `reference` in every measure, on persons not seen: these trainings, whatever others
    would give.

    Returns:
        {model: {(protocol, metric): "better", "undecided" or "worse"}}, and the measures in which nothing can be compared
        because their averages alone were kept, as "PSNR at 10 → 20".
    """
    records, averaged = list(records), []
    outcomes: dict[str, dict[tuple[str, str], str]] = {}
    for protocol in protocols:
        for metric in metrics:
            rows = against(records, reference, protocol, metric)
            averaged += [] if rows else [f"{metric.upper()} at {paper.arrow(protocol)}"]
            for row in rows:
                outcomes.setdefault(row.label, {})[paper.arrow(protocol), metric.upper()] = row.comparison.outcome_over_test
    return outcomes, averaged


def better_somewhere(outcomes: Mapping[str, Mapping[tuple[str, str], str]]) -> list[str]:
    """The models that are better in some measure."""
    return [name for name, found in outcomes.items() if BETTER in found.values()]


def outcomes_in_words(outcomes: Mapping[str, Mapping[tuple[str, str], str]], averaged: Sequence[str]) -> str:
    """Who does better than copying the last frame, who does not, and what could not be compared."""
    ever = better_somewhere(outcomes)
    draws = [name for name, found in outcomes.items() if name not in ever and UNDECIDED in found.values()]
    never = [name for name in outcomes if name not in ever + draws]
    text = (
        "Better or worse where the 95% interval of the paired difference leaves out zero. Better than copying the last frame "
        f"in some measure: {listed(ever) or 'none'}. Better in none, but undecided in some: {listed(draws) or 'none'}. "
        f"Worse in all that was compared: {listed(never) or 'none'}."
    )
    return text + (f" Kept as an average alone, so not compared: {listed(averaged)}." if averaged else "")


def by_outcome(rows: Iterable[Against]) -> dict[str, list[str]]:
    """{"better": labels, "undecided": labels, "worse": labels}."""
    found: dict[str, list[str]] = {BETTER: [], UNDECIDED: [], WORSE: []}
    for row in rows:
        found[row.comparison.outcome_over_test].append(row.label)
    return found


def mean_by(values: Sequence[float], groups: Sequence[str]) -> dict[str, float]:
    """The mean of the values of each group, groups in order of the alphabet."""
    if len(values) != len(groups):
        raise ValueError(f"{len(values)} values cannot be sorted into groups named for {len(groups)}")
    numbers, names = np.asarray(values), np.asarray(groups)
    return {str(name): float(numbers[names == name].mean()) for name in np.unique(names)}


# --- tables -----------------------------------------------------------------------------------------------------------

#: The columns of a table of results: (persons, label, test set, metric, digits).
CELLS = tuple(
    (persons, label, pool, metric, digits)
    for pool, persons in (("test", "persons not seen"), ("train", "persons seen"))
    for metric, label, digits in (("psnr", "PSNR (dB)", 2), ("ssim", "SSIM", 3))
)


def results_table(records: Iterable[Record], protocol: str) -> pandas.DataFrame:
    """PSNR and SSIM of each model with their intervals, on persons not seen and on persons seen in training."""
    return two_levels(
        (
            title(r),
            {(persons, label): measured(r, pool, protocol, metric, digits) for persons, label, pool, metric, digits in CELLS},
        )
        for r in records
    )


def outcomes_table(outcomes: Mapping[str, Mapping[tuple[str, str], str]]) -> pandas.DataFrame:
    """{model: {(protocol, metric): outcome}} as a table, protocols in order; what is missing was not kept by window."""
    columns = sorted({column for row in outcomes.values() for column in row})
    missing = dict.fromkeys(columns, "not kept by window")
    return two_levels((name, {**missing, **row}) for name, row in outcomes.items())


# --- curves -----------------------------------------------------------------------------------------------------------


def curves(records: Iterable[Record], protocol: str = "10->60", metrics: Sequence[str] = ("psnr", "ssim")) -> Figure:
    """Metrics against the frame number over the test windows, one panel each, with 95% bands.

    One legend under both panels: that many models beside the axes would leave no room for them.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    records = list(records)
    first = frames_of(protocol)[0] + 1
    figure, grid = plt.subplots(1, len(metrics), figsize=(4.3 * len(metrics), 3.6), squeeze=False, layout="constrained")
    for axes, metric in zip(grid.flat, metrics):
        for record in records:
            entry, name = record.measured("test", protocol), model_name(record)
            if entry is None:
                continue
            score = entry.scores[metric]
            frames = range(first, first + len(score.per_frame))
            shade = colour(name)
            axes.plot(frames, score.per_frame, color=shade, ls=dash(name), lw=1.7, label=title(record))
            low, high = zip(*score.per_frame_interval)
            axes.fill_between(frames, low, high, color=shade, alpha=0.13, lw=0)
        better = "higher" if METRICS[metric].larger_is_better else "lower"
        axes.set(xlabel="frame", ylabel=f"{METRICS[metric].label} ({better} is better)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.02)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, handlelength=2.4)
    return closed(figure)


# --- memorisation -----------------------------------------------------------------------------------------------------


def has_both(record: Record) -> bool:
    """Whether a training was measured on windows it had seen as well as on those held out."""
    return bool(len(record.curve("seen_mse")) and len(record.curve("validation_mse")))


def memorisation(records: Iterable[Record]) -> Figure:
    """Free-running error on training windows and on held-out persons while training went on, one panel a model.

    Records that do not have both curves (:func:`has_both`) are left out; ``ValueError`` where none has.
    """
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.ticker import EngFormatter

    records = [record for record in records if has_both(record)]
    if not records:
        raise ValueError("no record holds the error on windows seen and on windows held out")
    columns = min(len(records), 3)
    lines = -(-len(records) // columns)
    size = (2.7 * columns, 2.1 * lines + 0.4)
    figure, grid = plt.subplots(lines, columns, figsize=size, squeeze=False, sharex=True, sharey=True, layout="constrained")
    held_out = (0, (4, 1.5))
    for axes, record in zip(grid.flat, records):
        x, shade = record.curve("validation_sequences"), colour(model_name(record))
        axes.plot(x, record.curve("seen_mse"), color=shade, ls="-", lw=1.6)
        axes.plot(x, record.curve("validation_mse"), color=shade, ls=held_out, lw=1.6)
        axes.set_title(title(record), fontsize=10)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.tick_params(labelbottom=True)
    for axes in grid.flat[len(records) :]:
        axes.remove()
    figure.supxlabel("sequences seen", fontsize=10.5)
    figure.supylabel("MSE per frame", fontsize=10.5)
    keys = [
        Line2D([], [], color=GREY, lw=1.6, label="training windows"),
        Line2D([], [], color=GREY, lw=1.6, ls=held_out, label="validation: persons held out"),
    ]
    figure.legend(handles=keys, loc="outside upper center", ncols=2)
    return closed(figure)


@dataclass(frozen=True)
class Memorisation:
    """How the error on persons held out compares with that on training windows, and where it was lowest."""

    seen: float  #: free-running MSE of a frame on training windows, at the end
    held_out: float
    first_ratio: float  #: held out over seen at the first validation
    last_ratio: float
    lowest_at: float  #: sequences seen where the error on persons held out was lowest
    sequences: float  #: seen in all


def memorised(record: Record) -> Memorisation:
    """The two curves of a record that :func:`has_both` of them, in numbers."""
    seen, held_out, x = (record.curve(name) for name in ("seen_mse", "validation_mse", "validation_sequences"))
    ratio = held_out / seen
    lowest = float(x[held_out.argmin()])
    return Memorisation(float(seen[-1]), float(held_out[-1]), float(ratio[0]), float(ratio[-1]), lowest, float(x[-1]))


# --- pictures ---------------------------------------------------------------------------------------------------------


def window_rows(
    clips: Mapping[str, Mapping[str, np.ndarray]],
    window: int,
    truth: np.ndarray | None = None,
    frames: int | None = None,
) -> dict[str, np.ndarray]:
    """Rows for ``show.strip``: the truth, if there, then one drawn prediction of every model that kept this window.

    Args:
        clips: {title: what ``records.read_clips`` returned}.
        window: number of the test window.
        truth: the frames that were to be predicted.
        frames: only so many, from the first predicted frame on.
    """
    rows = {} if truth is None else {"truth": truth[:frames]}
    for name, kept in clips.items():
        places = np.flatnonzero(kept["indices"] == window)
        if len(places):
            rows[name] = kept["sample"][places[0]][:frames]
    return rows


@dataclass(frozen=True)
class MotionError:
    """Squared error of a frame, summed over the pixels that hardly change in the truth and over the others."""

    still: float
    moving: float
    part: float  #: fraction of the pixels that hardly change


def error_by_motion(prediction: np.ndarray, truth: np.ndarray) -> MotionError:
    """The error of a prediction by what moves (:data:`MOVES`): averages over the frames, of grey values in [0, 1].

    Two uint8 videos of one shape, time first; ``ValueError`` where the shapes differ.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"a prediction {prediction.shape} cannot be measured against a truth {truth.shape}")
    predicted, true = prediction.astype(np.float64) / 255, truth.astype(np.float64) / 255
    still = true.std(axis=0) <= MOVES
    squares = np.square(predicted - true).mean(axis=0)
    return MotionError(float(squares[still].sum()), float(squares[~still].sum()), float(still.mean()))


def mean_motion_error(errors: Sequence[MotionError]) -> MotionError:
    """The mean over several windows."""
    still, moving, part = np.mean([(e.still, e.moving, e.part) for e in errors], axis=0)
    return MotionError(float(still), float(moving), float(part))


# --- Table 2 ----------------------------------------------------------------------------------------------------------


def table2(records: Iterable[Record], titles: Mapping[str, str]) -> pandas.DataFrame:
    """The paper's Table 2 as far as it was run on all clips at full size, for ``tables.table_html``.

    Means over seeds, at the largest profile that has the row; NaN ("not run") where there is none. The paper's own
    numbers are missing because they are an image there. `titles`: {experiment: title} of the rows.
    """
    import pandas

    usable = [r for r in records if r.data_name == FULL]
    large = [name for name in SCALES if name in PROFILES and PROFILES[name].comparable]
    rows = []
    for experiment in titles:
        profile, runs = next(((p, found) for p in large if (found := runs_at(usable, experiment, p))), ("", []))
        row: dict = {("", "", "profile"): profile, ("", "", "seeds"): len(runs)}
        for protocol in paper.KTH_PROTOCOLS:
            for metric in ("psnr", "ssim"):
                spread = seed_spread(runs, protocol, metric)
                row[paper.arrow(protocol), metric.upper(), "ours"] = math.nan if spread is None else spread.mean
        rows.append(row)
    frame = pandas.DataFrame(rows, index=pandas.Index(list(titles.values()), name="model"))
    frame.columns = pandas.MultiIndex.from_tuples(frame.columns)
    return frame
