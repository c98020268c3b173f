"""Records of the toy experiment: what was trained, and how each run scored; read and written as JSON."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from vrnn3d.evaluation.metrics import bootstrap
from vrnn3d.settings import parse, setting
from vrnn3d.study.provenance import Provenance
from vrnn3d.study.records import read_json, write_json
from vrnn3d.study.toy.ball import CONTEXT, HORIZON, SPEED, HeldOut
from vrnn3d.study.toy.scoring import AT_ONCE, futures, references, scores
from vrnn3d.study.toy.settings import Settings
from vrnn3d.study.toy.training import Trained

SCHEMA = 2


@dataclass(frozen=True)
class Estimate:
    """The mean over test sequences, and its 95% bootstrap interval."""

    mean: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class MeasuredRun:
    """One run: its scores (keys of ``scoring.SCORE_NAMES``), and its curves, whose x axis is the record's `steps`."""

    variant: str
    wiring: str
    seed: int
    sigma_min: float
    scores: dict[str, Estimate]
    curves: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class RecordedSettings(Settings):
    """The settings of a record, with the constants of the ball."""

    speed: float = setting(SPEED, "of the ball, half-widths of the box per frame", above=0)
    context: int = setting(CONTEXT, "frames seen in the test", low=1)
    horizon: int = setting(HORIZON, "frames predicted in the test", low=1)


@dataclass(frozen=True)
class ToyRecord:
    """All runs of one training; `references` are the scores of predictions that need none."""

    settings: RecordedSettings
    seconds: float
    steps: tuple[int, ...]
    references: dict[str, dict[str, Estimate]]
    runs: dict[str, MeasuredRun]
    provenance: Provenance | None = None
    experiment: str = "toy_ball"

    def select(self, sigma_min: float = 0.0, variant: str | None = None, wiring: str | None = None) -> list[MeasuredRun]:
        """The runs with a floor, of one variant or wiring if named, by seed."""
        found = [
            run
            for run in self.runs.values()
            if run.sigma_min == sigma_min and variant in (None, run.variant) and wiring in (None, run.wiring)
        ]
        return sorted(found, key=lambda run: run.seed)

    def by_seed(self, score: str, variant: str, wiring: str, sigma_min: float = 0.0) -> dict[int, float]:
        """A score of every seed."""
        return {run.seed: run.scores[score].mean for run in self.select(sigma_min, variant, wiring)}

    def mean(self, score: str, variant: str, wiring: str, sigma_min: float = 0.0) -> float:
        """A score, averaged over seeds."""
        values = self.by_seed(score, variant, wiring, sigma_min).values()
        return sum(values) / len(values)

    @property
    def seeds(self) -> list[int]:
        """The seeds that were trained."""
        return sorted({run.seed for run in self.runs.values()})


def measure(trained: Trained, test: HeldOut, predictions: Tensor | None = None) -> ToyRecord:
    """The record of a training, without its provenance.

    `predictions` are the :func:`~vrnn3d.study.toy.scoring.futures` of all runs where the caller has them; else they are drawn
    here, a few at a time.
    """
    settings, runs = trained.ensemble.settings, trained.ensemble.runs
    truth = test.frames[:, CONTEXT:]
    found: list[dict[str, Estimate]] = []
    for i in range(0, len(runs), AT_ONCE):
        where = slice(i, i + AT_ONCE)
        part = futures(trained.ensemble.subset(where), test, settings.samples) if predictions is None else predictions[where]
        table = scores(part, truth)
        found += [_summary({name: values[k] for name, values in table.items()}) for k in range(len(part))]
    measured = {
        run.label: MeasuredRun(
            *run, scores=row, curves={name: tuple(values[:, i].tolist()) for name, values in trained.curves.items()}
        )
        for i, (run, row) in enumerate(zip(runs, found))
    }
    untrained = references(test, settings.samples)
    return ToyRecord(
        settings=RecordedSettings(**dataclasses.asdict(settings)),
        seconds=round(trained.seconds, 1),
        steps=tuple(trained.steps),
        references={name: _summary(scores(values, truth)) for name, values in untrained.items()},
        runs=measured,
    )


def _summary(values: dict[str, Tensor]) -> dict[str, Estimate]:
    """Scores of every test sequence (n,) as means with intervals."""
    found = {}
    for name, value in values.items():
        low, high = bootstrap(value).tolist()
        found[name] = Estimate(float(value.mean()), (low, high))
    return found


def write(record: ToyRecord, path: str | os.PathLike) -> Path:
    """Write a record as JSON, whole or not at all."""
    return write_json({"schema": SCHEMA, **dataclasses.asdict(record)}, path)


def read(path: str | os.PathLike) -> ToyRecord:
    """The record in a file.

    Raises:
        ValueError: in one sentence that names the file and the key, when it is none.
    """
    values = read_json(path)
    schema = values.pop("schema", None)
    if schema != SCHEMA:
        raise ValueError(f"{path} has schema {schema!r}; this version of vrnn3d reads schema {SCHEMA}")
    return parse(ToyRecord, values, str(path))
