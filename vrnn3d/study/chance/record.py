"""What was found about a forecaster in a world with chance, as values with names; read and written as JSON.

The oracle's file is ``results/<profile>/chance/oracle.json``; that of a run lies beside its record, as
``results/<profile>/<experiment>/chance<seed>.json``, with a few samples to look at of seed 0 in a file ``.npz`` of that name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vrnn3d.evaluation.scores import Evaluation
from vrnn3d.settings import parse, setting
from vrnn3d.study import records
from vrnn3d.study.chance.calibration import Calibration
from vrnn3d.study.chance.probe import Probe
from vrnn3d.study.chance.spread import BounceSpread
from vrnn3d.study.provenance import Provenance

SCHEMA = 1
#: Forecasters of the generator itself: samples of the future; the mean of many, as a single forecast; one sample, repeated.
#: And one that knows nothing.
ORACLE, ORACLE_MEAN, ORACLE_SINGLE, BLACK = "oracle", "oracle_mean", "oracle_single", "black"
#: The probe on the target frames themselves.
FRAMES = "frames"
TITLES = {
    ORACLE: "the oracle",
    ORACLE_MEAN: "the oracle's mean frame",
    ORACLE_SINGLE: "one sample of the oracle, repeated",
    BLACK: "black frames",
}


@dataclass(frozen=True)
class Analysis:
    """What was found about the samples of one forecaster."""

    forecaster: str  #: "oracle", or the experiment's name
    profile: str
    seed: int
    data: str  #: description of the test set
    protocol: str  #: of calibration and spread, as "10->20"
    sequences: int = setting(..., low=1)
    samples: int = setting(..., low=1)
    calibration: dict[str, Calibration] = field(default_factory=dict)  #: "pixel", "position", of the oracle "known position"
    spread: BounceSpread | None = None
    probe: dict[str, Probe] = field(default_factory=dict)  #: "posterior", "prior"; with the oracle "frames", the target itself
    #: {forecaster: {protocol: scores}} of the oracle's rows; those of a run are in its record
    evaluation: dict[str, dict[str, Evaluation]] = field(default_factory=dict)
    seconds: float = 0.0
    provenance: Provenance | None = None
    config_hash: str = ""  #: of the run that was analysed; "" of the oracle, and where it was not kept


def write(found: Analysis, path: str | os.PathLike) -> Path:
    """Write an analysis as JSON, whole or not at all."""
    return records.write_json({"schema": SCHEMA, **records.plain(found)}, path)


def read(path: str | os.PathLike) -> Analysis:
    """The analysis in a file.

    Raises:
        ValueError: in one sentence that names the file and the key, when it is none.
    """
    values = records.read_json(path)
    schema = values.pop("schema", None) if isinstance(values, dict) else None
    if schema != SCHEMA:
        raise ValueError(f"{path} has schema {schema!r}; this version of vrnn3d reads schema {SCHEMA}")
    return parse(Analysis, values, str(path))


def oracle_path(
    profile: str, digits: int | None = None, root: str | os.PathLike | None = None, sequences: int | None = None
) -> Path:
    """Where the oracle's analysis at a profile lies; with `digits` that of the same world with so many digits, with `sequences`
    that on so many test sequences, which the study does not use.
    """
    parts = [f"_{count}_{what}" for count, what in ((digits, "digits"), (sequences, "sequences")) if count]
    return records.folder(root) / profile / "chance" / f"oracle{''.join(parts)}.json"


def read_oracle(profile: str, digits: int | None = None, root: str | os.PathLike | None = None) -> Analysis | None:
    """The oracle's analysis, or None where there is none."""
    path = oracle_path(profile, digits, root)
    return read(path) if path.exists() else None


def read_runs(runs: Iterable[records.Record], root: str | os.PathLike | None = None) -> list[Analysis]:
    """The analyses beside the records of some runs; left out are those of runs that have none, or one of another training."""
    paths = ((run, analysis_path(run, root)) for run in runs)
    found = ((run, read(path)) for run, path in paths if path.exists())
    return [analysis for run, analysis in found if analysis.config_hash in ("", run.config_hash)]


def analysis_path(run: records.Record, root: str | os.PathLike | None = None) -> Path:
    """Where the analysis of a run lies: beside its record."""
    return records.folder(root) / run.profile / run.experiment / f"chance{run.seed}.json"


def read_samples(path: Path) -> dict[str, np.ndarray] | None:
    """The samples to look at beside an analysis: uint8 "sample" (N, S, T, C, H, W), predicted frames only; "truth" with the
    context in front; and "context". None where there are none."""
    beside = path.with_suffix(".npz")
    if not beside.exists():
        return None
    with np.load(beside, allow_pickle=False) as arrays:
        return dict(arrays)
