"""What the KTH chapter works out from records: paired comparisons, the form of the decay, curves of learning by heart,
predictions beside the truth, and the table that is still to be filled."""

from __future__ import annotations

import math
from typing import Iterable, Mapping, Sequence

import numpy as np

from vrnn3d.study import results
from vrnn3d.study.figures.style import DASHES, colour
from vrnn3d.show import GREY, closed
from vrnn3d.study.figures.curves import metric_label

FULL = "KTH"  # what results on all clips are called
PROTOCOLS = ("10->20", "10->40", "10->60")  # of Table 2
TABLE2 = ("kth_convlstm2d", "kth_e3d_lstm", "kth_vrnn2d", "kth_vrnn3d_kl", "kth_vrnn3d_kl_ll", "kth_copy_last")
TIME_CONSTANTS = np.geomspace(0.5, 6000, 250)  # that are tried for an exponential decay, in frames
MOVES = 0.05  # a pixel moves where its grey value varies over time by more than this, of 1 (standard deviation)
STRAIGHT = 600  # frames: with a time constant above this, an exponential over 60 frames is a line to the eye


def title(record: Mapping) -> str:
    """A record's title without "KTH: ", which a chapter on KTH need not say in every line."""
    return record["title"].removeprefix("KTH: ")


def model_name(record: Mapping) -> str:
    """The experiment without its ``kth_``: the name under which the other chapters give this model its colour."""
    return record["experiment"].removeprefix("kth_")


def in_words(names: Sequence[str]) -> str:
    """ "a", "a and b", "a; b and c", for a sentence; the names may hold commas."""
    return "; ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


# --- comparison -------------------------------------------------------------------------------------------------------


def measured(record: Mapping, pool: str, protocol: str, metric: str, digits: int) -> str:
    """A metric of a record with its 95% interval over the windows, as a table prints it."""
    entry = record["evaluation"][pool][protocol][metric]
    low, high = entry["interval"]
    return f"{entry['average']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def against(
    records: Iterable[Mapping],
    reference: Mapping,
    protocol: str,
    metric: str,
    pool: str = "test",
    values: str = "per_sequence",
) -> list[dict]:
    """Each record minus `reference`, paired over the windows: rows for ``figures.forest``, largest difference first.

    `values` as in ``results.paired_difference``. The reference itself and what was not measured so are left out.
    """
    rows = []
    for record in records:
        if record["experiment"] == reference["experiment"]:
            continue
        difference = results.paired_difference([record], [reference], protocol, metric, pool, values=values)
        if difference is not None:
            rows.append({"label": title(record), "name": model_name(record)} | difference)
    return sorted(rows, key=lambda row: -row["estimate"])


def sides(rows: Iterable[Mapping]) -> dict[str, list[str]]:
    """Labels by where the 95% interval lies: "above" zero, "below" zero, or "undecided" because it holds zero."""
    found: dict[str, list[str]] = {"above": [], "undecided": [], "below": []}
    for row in rows:
        low, high = row["interval"]
        found["above" if low > 0 else "below" if high < 0 else "undecided"].append(row["label"])
    return found


def mean_by(values: Sequence[float], groups: Sequence[str]) -> dict[str, float]:
    """The mean of the values of each group, groups in order of the alphabet."""
    if len(values) != len(groups):
        raise ValueError(f"{len(values)} values cannot be sorted into groups named for {len(groups)}")
    values, groups = np.asarray(values), np.asarray(groups)
    return {str(group): float(values[groups == group].mean()) for group in np.unique(groups)}


# --- decay ------------------------------------------------------------------------------------------------------------


def curves(records: Iterable[Mapping], protocol: str = "10->60", metrics: Sequence[str] = ("psnr", "ssim")):
    """Metrics against the frame number over the test windows, one panel each, with 95% bands; a matplotlib Figure.

    One legend under both panels: that many models beside the axes would leave no room for them.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    records = list(records)
    first = int(protocol.split("->")[0]) + 1
    figure, grid = plt.subplots(1, len(metrics), figsize=(4.3 * len(metrics), 3.6), squeeze=False, layout="constrained")
    for axes, metric in zip(grid.flat, metrics):
        for record in records:
            entry, name = record["evaluation"]["test"][protocol][metric], model_name(record)
            frames = range(first, first + len(entry["per_frame"]))
            shade = colour(name)
            axes.plot(frames, entry["per_frame"], color=shade, ls=DASHES.get(name, "-"), lw=1.7, label=title(record))
            low, high = zip(*entry["per_frame_interval"])
            axes.fill_between(frames, low, high, color=shade, alpha=0.13, lw=0)
        axes.set_xlabel("frame")
        axes.set_ylabel(metric_label(metric))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.02)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, handlelength=2.4)
    return closed(figure)


def decay_fit(values: Sequence[float], form: str, frames: int | None = None) -> tuple[np.ndarray, float | None]:
    """Least-squares fit of a curve over time: (fitted values, time constant in frames).

    form: "linear", a line (time constant None), or "exponential", a level plus a multiple of exp(-t / time constant),
    the best of ``TIME_CONSTANTS``. Only the first `frames` values are fitted; the rest of the returned curve foretells.
    """
    values = np.asarray(values, np.float64)
    if form not in ("linear", "exponential"):
        raise ValueError(f"no form {form!r} of a decay; known are: linear, exponential")
    time = np.arange(len(values))
    shapes = {None: time} if form == "linear" else {float(tau): np.exp(-time / tau) for tau in TIME_CONSTANTS}
    fits = []
    for tau, shape in shapes.items():
        basis = np.column_stack([np.ones_like(shape), shape])
        fitted = basis @ np.linalg.lstsq(basis[:frames], values[:frames], rcond=None)[0]
        fits.append((float(np.square(fitted - values)[:frames].sum()), tau, fitted))
    _, tau, fitted = min(fits, key=lambda fit: fit[0])
    return fitted, tau


def decay_form(values: Sequence[float], held_out: int = 20) -> dict:
    """How well a line and an exponential describe a curve over time.

    Returns {"linear", "exponential": {"residual", "foretold"}, "time_constant"}: root mean square distances in the unit
    of the values, of a fit to all of them, and, on the last `held_out`, of a fit to the others. An exponential has one
    number more to choose and so never fits much worse; what it foretells owes nothing to that.
    """
    values = np.asarray(values, np.float64)
    found: dict = {}
    for form in ("linear", "exponential"):
        whole, found["time_constant"] = decay_fit(values, form)
        ahead, _ = decay_fit(values, form, len(values) - held_out)
        found[form] = {
            "residual": float(np.sqrt(np.square(whole - values).mean())),
            "foretold": float(np.sqrt(np.square(ahead - values)[-held_out:].mean())),
        }
    return found


# --- learning by heart ------------------------------------------------------------------------------------------------


def has_both(record: Mapping) -> bool:
    """Whether a training was measured on windows it had seen as well as on those held out."""
    kept = record["training"]["curves"]
    return bool(kept.get("seen_mse")) and bool(kept.get("validation_mse"))


def heart(records: Iterable[Mapping]):
    """Free-running error on training windows and on held-out persons while training went on, one panel a model.

    A matplotlib Figure; records that do not have both curves (:func:`has_both`) are left out.
    """
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.ticker import EngFormatter

    records = [record for record in records if has_both(record)]
    if not records:
        raise ValueError("no record holds the error on windows seen and on windows held out")
    columns = min(len(records), 3)
    lines = -(-len(records) // columns)
    figure, grid = plt.subplots(
        lines, columns, figsize=(2.7 * columns, 2.1 * lines + 0.4), squeeze=False, sharex=True, sharey=True,
        layout="constrained",
    )  # fmt: skip
    for axes, record in zip(grid.flat, records):
        kept, shade = record["training"]["curves"], colour(model_name(record))
        axes.plot(kept["validation_sequences"], kept["seen_mse"], color=shade, ls="-", lw=1.6)
        axes.plot(kept["validation_sequences"], kept["validation_mse"], color=shade, ls=(0, (4, 1.5)), lw=1.6)
        axes.set_title(title(record), fontsize=10)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.tick_params(labelbottom=True)
    for axes in grid.flat[len(records) :]:
        axes.remove()
    figure.supxlabel("sequences seen", fontsize=10.5)
    figure.supylabel("MSE per frame", fontsize=10.5)
    keys = [Line2D([], [], color=GREY, lw=1.6, label="training windows"),
            Line2D([], [], color=GREY, lw=1.6, ls=(0, (4, 1.5)), label="validation: persons held out")]  # fmt: skip
    figure.legend(handles=keys, loc="outside upper center", ncols=2)
    return closed(figure)


# --- pictures ---------------------------------------------------------------------------------------------------------


def window_rows(
    clips: Mapping[str, Mapping[str, np.ndarray]],
    window: int,
    truth: np.ndarray | None = None,
    frames: int | None = None,
) -> dict[str, np.ndarray]:
    """Rows for ``figures.strip``: the truth, if there, then one drawn prediction of every model that kept this window.

    Args:
        clips: {title: what ``results.read_clips`` returned}.
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


def error_by_motion(prediction: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Squared error of a frame, summed over the pixels that hardly change in the truth and over the others.

    Two uint8 videos of one shape, time first. Returns {"still", "moving"}: averages over the frames, of grey values in
    [0, 1], and "part": the fraction of the pixels that hardly change (:data:`MOVES`).
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"a prediction {prediction.shape} cannot be measured against a truth {truth.shape}")
    prediction, truth = prediction.astype(np.float64) / 255, truth.astype(np.float64) / 255
    still = truth.std(axis=0) <= MOVES
    squares = np.square(prediction - truth).mean(axis=0)
    return {
        "still": float(squares[still].sum()),
        "moving": float(squares[~still].sum()),
        "part": float(still.mean()),
    }


# --- Table 2 ----------------------------------------------------------------------------------------------------------


def table2(records: Iterable[Mapping], titles: Mapping[str, str]):
    """The paper's Table 2 as far as it was run on all clips at full size, a DataFrame for ``figures.table_html``.

    Means over seeds, of the `paper` profile, else of the `ablation` profile; NaN ("not run") where there is neither.
    The paper's own numbers are missing because they are an image there. `titles`: {experiment: title} of the rows.
    """
    import pandas

    usable = [r for r in records if r["status"] == "finished" and results.data_name(r) == FULL]
    rows = []
    for experiment in titles:
        mine: list[Mapping] = []
        for profile in ("paper", "ablation"):
            mine = mine or [r for r in usable if r["experiment"] == experiment and r["profile"] == profile]
        row: dict = {("", "", "profile"): mine[0]["profile"] if mine else "", ("", "", "seeds"): len(mine)}
        for protocol in PROTOCOLS:
            for metric in ("psnr", "ssim"):
                numbers = [results.value(r, "test", protocol, metric) for r in mine]
                row[results.arrow(protocol), metric.upper(), "ours"] = float(np.mean(numbers)) if numbers else math.nan
        rows.append(row)
    frame = pandas.DataFrame(rows, index=pandas.Index(list(titles.values()), name="model"))
    frame.columns = pandas.MultiIndex.from_tuples(frame.columns)
    return frame
