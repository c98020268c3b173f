"""The tables of the chapter on chance, as {column: text} of each line; what was not run says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from vrnn3d.study.chance.record import ORACLE, TITLES, Analysis
from vrnn3d.study.chance.report import Placing, Row, calibration_spread, pooled, share_of_oracle
from vrnn3d.study.scales import title_of
from vrnn3d.study.spread import spread
from vrnn3d.study.wording import NOT_RUN

Line = dict[str, str]

_SCORES = {
    ("mse", "average"): "MSE",
    ("crps", "average"): "CRPS",
    ("mse", "best"): "MSE, best",
    ("mse", "mean_frame"): "MSE of the mean",
    ("ssim", "average"): "SSIM",
    ("ssim", "best"): "SSIM, best",
    ("sample_variance", "average"): "sample variance",
}
_SPREAD = ("variance before", "variance after", "of the oracle's", "over error", "order")
#: Of a variance, what is shown as zero: in which order frames have it is rounding's doing.
_NEGLIGIBLE = 0.005
#: The quantities whose calibration is shown.
QUANTITIES = ("position", "pixel")


def _not_run(columns: Iterable[str], missing: Iterable[str]) -> list[Line]:
    columns = list(columns)[1:]
    return [{"forecaster": title_of(name)} | dict.fromkeys(columns, NOT_RUN) for name in missing]


def score_lines(rows: Sequence[Row], missing: Iterable[str]) -> list[Line]:
    """Scores of every forecaster, over seeds; `missing` are experiments that were not run."""
    lines = []
    for row in rows:
        cells = {}
        for (metric, statistic), label in _SCORES.items():
            value = row.scores[metric, statistic]
            cells[label] = "" if value is None else value.text(3 if metric == "ssim" else 2)
        lines.append({"forecaster": row.title, "seeds": "" if row.name in TITLES else str(len(row.seeds)), **cells})
    return lines + [line | {"seeds": ""} for line in _not_run(lines[0], missing)]


def placing_lines(placed: Iterable[Placing]) -> list[Line]:
    """Which scores put the oracle first; a star marks those that the paper reports."""
    lines = []
    for p in placed:
        digits = 3 if p.question.metric == "ssim" else 2
        lines.append(
            {
                "score": p.question.label + " *" * p.question.in_the_paper,
                "the oracle": f"{p.oracle:.{digits}f}",
                "best of the others": f"{p.other:.{digits}f}",
                "the oracle is": p.outcome,
            }
        )
    return lines


def _each(oracle: Analysis, found: Mapping[str, Sequence[Analysis]]) -> list[tuple[str, Sequence[Analysis]]]:
    return [(TITLES[ORACLE], [oracle]), *((title_of(name), each) for name, each in found.items())]


def calibration_lines(oracle: Analysis, found: Mapping[str, Sequence[Analysis]], missing: Iterable[str]) -> list[Line]:
    """Calibration indices over seeds, and how often the true position lies outside of the samples."""
    lines = []
    for title, each in _each(oracle, found):
        line = {"forecaster": title}
        for quantity in QUANTITIES:
            value = calibration_spread(each, quantity)
            line[f"index, {quantity}"] = "" if value is None else value.text(3)
        lines.append(line | {"truth outside of all samples": f"{pooled(each, 'position').outside:.0%}"})
    return lines + _not_run(lines[0], missing)


def spread_lines(oracle: Analysis, found: Mapping[str, Sequence[Analysis]], missing: Iterable[str]) -> list[Line]:
    """Sample variance before and after the first unknown outcome of a bounce, over seeds."""
    lines = []
    for title, each in _each(oracle, found):
        parts = {a.seed: a.spread for a in each if a.spread is not None}
        telling = {seed: part for seed, part in parts.items() if part.after > _NEGLIGIBLE}
        values = {
            "variance before": spread({seed: part.before for seed, part in parts.items()}),
            "variance after": spread({seed: part.after for seed, part in parts.items()}),
            "over error": spread({seed: part.over_error(each[0].samples) for seed, part in parts.items()}),
            "order": spread({seed: part.order for seed, part in telling.items() if part.order is not None}),
        }
        texts = {label: "" if value is None else value.text() for label, value in values.items()}
        share = share_of_oracle(each, oracle)
        texts["of the oracle's"] = "" if share is None else f"{share.mean:.0%}"
        lines.append({"forecaster": title} | {label: texts[label] for label in _SPREAD})
    return lines + _not_run(lines[0], missing)
