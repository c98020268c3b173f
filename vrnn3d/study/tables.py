"""The book's tables of systems: what each scored over seeds and what its training cost, beside the paper's numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vrnn3d.evaluation.metrics import bootstrap
from vrnn3d.evaluation.protocols import frames_of, name_of
from vrnn3d.study import paper
from vrnn3d.study.catalogue import EXPERIMENTS, STAGES
from vrnn3d.study.profiles import PROFILES
from vrnn3d.study.records import Record
from vrnn3d.study.scales import runs_at, title_of
from vrnn3d.study.spread import Interval, Spread, black_spread, seed_spread
from vrnn3d.study.wording import NOT_RUN

if TYPE_CHECKING:
    import pandas


def teraflops_text(teraflops: float | None) -> str:
    """The operations of a training, 1e12, as tables print them; empty where they were not counted."""
    return "" if teraflops is None else f"{teraflops:,.0f}"


def two_levels(
    rows: Iterable[tuple[str, Mapping[Any, Any]]], name: str = "model", columns: Sequence[Any] = ()
) -> pandas.DataFrame:
    """Lines as a table with two header rows, or as many as their keys have parts.

    Args:
        rows: (heading, {(upper heading, heading): cell}) of each line.
        name: what stands above the headings of the lines.
        columns: the columns in their order; () for the order in which the lines have them.
    """
    import pandas

    rows = list(rows)
    index = pandas.Index([line for line, _ in rows], name=name)
    frame = pandas.DataFrame([cells for _, cells in rows], index=index, columns=list(columns) or None)
    frame.columns = pandas.MultiIndex.from_tuples(frame.columns)
    return frame


def paper_table(
    records: Iterable[Record],
    experiments: Sequence[str] = paper.TABLE1,
    profile: str = "paper",
    pool: str = "train",
    counts: Mapping[str, int] | None = None,
) -> pandas.DataFrame:
    """The paper's Table 1 (or, with ``paper.TABLE3``, its ablation) with ours beside it.

    Rows are systems; columns have three levels: protocol, metric, and "paper" / "ours" / "difference" (ours minus the
    paper's). First come the parameters in millions and the number of seeds that "ours" averages. "% of black" is the
    MSE in percent of that of a black frame. What was not run is NaN, which the book's tables show as "not run".

    Args:
        records: any; the runs of `profile` are taken (:func:`scales.runs_at`).
        experiments: the rows, by name.
        profile: one whose numbers may stand beside the paper's.
        pool: which digits the test sequences are made of: "train" as in the paper, or "test".
        counts: {experiment: parameters} of the built models, shown also where nothing was run.

    Raises:
        ValueError: for a profile that is too short or too small to stand beside the paper's numbers.
    """
    comparable = [name for name, known in PROFILES.items() if known.comparable]
    if profile not in comparable:
        raise ValueError(
            f"{profile!r} records cannot stand beside the paper's numbers: the runs are too short or too small;"
            f" use one of {', '.join(comparable)}"
        )
    records = list(records)
    return two_levels(
        (title_of(name), _paper_row(name, runs_at(records, name, profile), pool, dict(counts or {}))) for name in experiments
    )


def _paper_row(name: str, runs: list[Record], pool: str, counts: dict[str, int]) -> dict[tuple[str, str, str], float]:
    printed = paper.ROWS.get(name)
    counted = counts.get(name, runs[0].parameters["total"] if runs else math.nan)
    row: dict[tuple[str, str, str], float] = {
        ("parameters", "million", "paper"): printed.parameters / 1e6 if printed else math.nan,
        ("parameters", "million", "ours"): counted / 1e6,
        ("", "", "seeds"): len(runs),
    }
    for protocol in paper.PROTOCOLS:
        head = paper.arrow(protocol)
        theirs = printed.scores[protocol] if printed else paper.Published(math.nan, math.nan)
        for metric in ("ssim", "mse"):
            ours = _mean(seed_spread(runs, protocol, metric, pool))
            row[head, metric.upper(), "paper"] = getattr(theirs, metric)
            row[head, metric.upper(), "ours"] = ours
            row[head, metric.upper(), "difference"] = ours - getattr(theirs, metric)
        row[head, "% of black", "paper"] = paper.percent_of_black(theirs.mse)
        row[head, "% of black", "ours"] = _mean(black_spread(runs, protocol, pool))
    return row


def _mean(found: Spread | None) -> float:
    return math.nan if found is None else found.mean


@dataclass(frozen=True)
class System:
    """One system at one scale under one protocol: its scores, means over seeds, and what its training cost.

    A score that was not kept is NaN; `percent_of_black` is None where the records do not hold the error of a black frame.
    """

    name: str
    title: str
    parameters: int
    mse: Spread
    test_interval: Interval | None  #: 95% over test sequences of the MSE, averaged over seeds first
    percent_of_black: Spread | None
    best: float  #: MSE of the best sample
    mean_frame: float  #: MSE of the mean of the samples
    variance: float  #: between samples, summed over a frame
    crps: float
    ssim: float
    updates: int
    sequences: int  #: seen in training
    processor_hours: float  #: of training on a CPU core or a GPU, mean over seeds
    teraflops: float | None  #: operations of the training; None where a record does not say what a sequence costs


def systems(
    records: Iterable[Record],
    experiments: Iterable[str],
    profile: str,
    protocol: str = "10->10",
    pool: str = "test",
) -> list[System]:
    """The systems that were run at a profile, the lowest MSE first."""
    records = list(records)
    found = [(name, runs_at(records, name, profile)) for name in experiments]
    rows = [_system(name, runs, protocol, pool) for name, runs in found if seed_spread(runs, protocol, pool=pool)]
    return sorted(rows, key=lambda row: row.mse.mean)


def _system(name: str, runs: list[Record], protocol: str, pool: str) -> System:
    first = runs[0]
    mse = seed_spread(runs, protocol, "mse", pool)
    assert mse is not None
    entries = [entry for r in runs if (entry := r.measured(pool, protocol))]
    kept = [each for entry in entries if (each := entry.scores["mse"].per_sequence) is not None]
    interval = bootstrap(np.mean(kept, axis=0)) if kept else None
    return System(
        name=name,
        title=title_of(name),
        parameters=first.parameters["total"],
        mse=mse,
        test_interval=None if interval is None else (float(interval[0]), float(interval[1])),
        percent_of_black=black_spread(runs, protocol, pool),
        best=_mean(seed_spread(runs, protocol, "mse", pool, "best")),
        mean_frame=_mean(seed_spread(runs, protocol, "mse", pool, "mean_frame")),
        variance=_mean(seed_spread(runs, protocol, "sample_variance", pool)),
        crps=_mean(seed_spread(runs, protocol, "crps", pool)),
        ssim=_mean(seed_spread(runs, protocol, "ssim", pool)),
        updates=first.training.updates,
        sequences=first.training.sequences,
        processor_hours=float(np.mean([r.processor_hours for r in runs])),
        teraflops=first.teraflops,
    )


def system_table(rows: Sequence[System]) -> pandas.DataFrame:
    """Systems as a table of the book; scores over seeds are text, with ± their standard deviation."""
    import pandas

    return pandas.DataFrame(
        {
            "model": row.title,
            "parameters": row.parameters,
            "seeds": len(row.mse.seeds),
            "MSE": row.mse.text(),
            "% of black": "" if row.percent_of_black is None else row.percent_of_black.text(1),
            "95% over test sequences": "" if row.test_interval is None else "{:.2f} to {:.2f}".format(*row.test_interval),
            "MSE, best sample": f"{row.best:.2f}",
            "MSE, mean frame": f"{row.mean_frame:.2f}",
            "sample variance": f"{row.variance:.3f}",
            "SSIM": f"{row.ssim:.3f}",
            "updates": row.updates,
            "sequences": row.sequences,
            "hours": f"{row.processor_hours:.1f}",
            "TFLOP": teraflops_text(row.teraflops),
        }
        for row in rows
    ).set_index("model")


def _without_score(runs: Sequence[Record], protocol: str) -> str:
    """What a cell without a number says: nothing was run, or the model takes more frames at once than the context has."""
    windows = {run.config.model.window for run in runs}
    if windows and min(windows) > frames_of(protocol)[0]:
        return f"takes {min(windows)}"
    return NOT_RUN


def _percent_of_black(runs: Sequence[Record], protocol: str, pool: str) -> str:
    """The MSE in percent of a black frame, ± its standard deviation over seeds, or what a cell without a number says."""
    black = black_spread(runs, protocol, pool)
    return black.text(1) if black else _without_score(runs, protocol)


def scaled_table(records: Iterable[Record], experiments: Sequence[str], profile: str, pool: str = "test") -> pandas.DataFrame:
    """Table 1 of the paper at a reduced scale: the MSE in percent of a black frame, ours beside the paper's.

    Rows are systems in the given order; columns have two levels: protocol, and "ours, %" and "paper, %". Scores over several
    seeds are text, with ± their standard deviation. What was not run says so; where a model takes more frames at once than
    the context has, its cell reads "takes 10".
    """
    records, rows = list(records), []
    for name in experiments:
        runs = runs_at(records, name, profile)
        row: dict[tuple[str, str], str] = {}
        for protocol in paper.PROTOCOLS:
            head = paper.arrow(protocol)
            row[head, "ours, %"] = _percent_of_black(runs, protocol, pool)
            row[head, "paper, %"] = (
                f"{paper.percent_of_black(paper.ROWS[name].scores[protocol].mse):.0f}" if name in paper.ROWS else ""
            )
        rows.append((title_of(name), row))
    return two_levels(rows)


def mse_table(records: Iterable[Record], experiments: Sequence[str], profile: str, pool: str = "test") -> pandas.DataFrame:
    """The MSE of a frame behind :func:`scaled_table`, one column for each protocol, and how many seeds there are."""
    import pandas

    records, rows = list(records), []
    for name in experiments:
        runs = runs_at(records, name, profile)
        row: dict[str, Any] = {"seeds": len(runs)}
        for protocol in paper.PROTOCOLS:
            found = seed_spread(runs, protocol, "mse", pool)
            row[paper.arrow(protocol)] = found.text() if found else _without_score(runs, protocol)
        rows.append(row)
    return pandas.DataFrame(rows, index=pandas.Index([title_of(name) for name in experiments], name="model"))


def windows_table(records: Iterable[Record], experiments: Sequence[str], profile: str, pool: str = "test") -> pandas.DataFrame:
    """What windows and horizons come to and what their training cost, in the given order; what was not run is left out.

    Columns have two levels: for each protocol that the experiments are measured under "MSE", "95%" (over test sequences) and
    "% of black"; then what the training cost. Scores over several seeds are text, with ± their standard deviation.
    """
    records = list(records)
    protocols = dict.fromkeys(name_of(*p) for name in experiments for p in EXPERIMENTS[name].eval.protocols)
    found = {p: {row.name: row for row in systems(records, experiments, profile, p, pool)} for p in protocols}
    rows: dict[str, dict[tuple[str, str], str]] = {}
    for name in experiments:
        for protocol, here in ((p, rows_of[name]) for p, rows_of in found.items() if name in rows_of):
            row, head = rows.setdefault(here.title, {}), paper.arrow(protocol)
            row[head, "MSE"] = here.mse.text()
            row[head, "95%"] = "{:.2f} to {:.2f}".format(*here.test_interval) if here.test_interval else ""
            row[head, "% of black"] = here.percent_of_black.text(1) if here.percent_of_black else ""
            row["training", "TFLOP"] = teraflops_text(here.teraflops)
            row["training", "hours"] = f"{here.processor_hours:.1f}"
    columns = [(paper.arrow(p), what) for p in protocols for what in ("MSE", "95%", "% of black")]
    columns += [("training", "TFLOP"), ("training", "hours")]
    return two_levels(rows.items(), "window and horizon", columns)


def encoders_table(records: Iterable[Record], experiments: Sequence[str], profile: str, pool: str = "test") -> pandas.DataFrame:
    """What the paper's model comes to with more stages of ResNet-18, and what they cost; what was not run is left out.

    Rows are in the given order. Columns: how many cells the hidden state has along the height of a frame, the parameters, the
    MSE in percent of a black frame under each protocol (over several seeds with ± their standard deviation), and the operations
    of the training.
    """
    import pandas

    records, rows = list(records), {}
    for name in experiments:
        if runs := runs_at(records, name, profile):
            stages, cells = stages_and_cells(runs[0])
            row: dict[str, Any] = {"cells a side": cells, "parameters": runs[0].parameters["total"]}
            row |= {f"% of black {paper.arrow(p)}": _percent_of_black(runs, p, pool) for p in paper.PROTOCOLS}
            rows[stages] = row | {"TFLOP": teraflops_text(runs[0].teraflops)}
    return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("stages")


def stages_and_cells(run: Record) -> tuple[str, int]:
    """The stages of ResNet-18 that a run's model has, and the cells they leave to a frame's height: ("two (the paper)", 8)."""
    import torch

    from vrnn3d.checkpoint import model_of
    from vrnn3d.models.vrnn import VRNN

    with torch.device("meta"):
        model = model_of(run.config)
    assert isinstance(model, VRNN)
    stages = STAGES[model.stages] + " (the paper)" * (model.stages == 2)
    return stages, run.config.data.height_width[0] // model.cell
