"""Records of benchmarks: ceilings of a machine, and a row per model and form; read and written as JSON."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vrnn3d.settings import parse
from vrnn3d.study.bench.jobs import BenchSettings
from vrnn3d.study.provenance import Provenance
from vrnn3d.study.records import folder, read_json, write_json

SCHEMA = 2
FOLDER = "bench"  #: of the results


@dataclass(frozen=True)
class Row:
    """One model in one form: medians over the rounds that succeeded."""

    model: str
    form: str
    kind: str  #: "train" or "predict"
    batch: int
    size: int
    length: int
    parameters: int
    rounds: int  #: that succeeded
    seconds: float  #: per call: a training step, or a prediction of the batch
    seconds_range: tuple[float, float]
    sequences_per_second: float
    peak_mib: float
    samples: int = 1  #: predictions per sequence
    useful_gflop_per_sequence: float | None = None  #: counted: without products with padding along depth
    gigabytes_per_sequence: float | None = None  #: counted: an upper bound of the memory traffic
    useful_tflops: float | None = None  #: TFLOP/s
    share_of_matrix_product: float | None = None  #: of 1
    sweep: str = ""  #: what is varied, in a row of a sweep
    value: int | None = None  #: to what it is set


@dataclass(frozen=True)
class Failure:
    """A row that failed in every round, and why, in one line."""

    model: str
    form: str
    failed: str


@dataclass(frozen=True)
class Bench:
    """A benchmark. Rows that were not reached in time are neither among the rows nor among the failures."""

    settings: BenchSettings
    rounds_measured: int  #: rounds that are complete
    matrix_product_tflops: float | None
    copy_gigabytes_per_second: float | None
    provenance: Provenance
    rows: tuple[Row, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def device(self) -> str:
        """The machine, in words."""
        return self.provenance.machine.device


def write(bench: Bench, path: str | os.PathLike) -> Path:
    """Write a record as JSON, whole or not at all."""
    values = dataclasses.asdict(bench)
    values["rows"] = [_without_none(row) for row in values["rows"]]
    return write_json({"schema": SCHEMA, "kind": "bench", **values}, path)


def _without_none(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value not in (None, "")}


def read(path: str | os.PathLike) -> Bench:
    """The record in a file.

    Raises:
        ValueError: in one sentence that names the file and the key, when it is none.
    """
    values, who = read_json(path), str(path)
    if not isinstance(values, dict) or (values.pop("schema", None), values.pop("kind", None)) != (SCHEMA, "bench"):
        raise ValueError(f"{who} is not a benchmark of schema {SCHEMA}, which this version of vrnn3d reads")
    rows = [parse(Row, row, who, f"rows[{i}]") for i, row in enumerate(values.pop("rows", ()))]
    failures = [parse(Failure, row, who, f"failures[{i}]") for i, row in enumerate(values.pop("failures", ()))]
    return dataclasses.replace(parse(Bench, values, who), rows=tuple(rows), failures=tuple(failures))


def read_all(root: str | os.PathLike | None = None) -> dict[str, Bench]:
    """Every recorded benchmark by the name of its file, a GPU's before a processor's."""
    found = {path.stem: read(path) for path in sorted((folder(root) / FOLDER).glob("*.json"))}
    return dict(sorted(found.items(), key=lambda item: item[1].device.startswith("CPU")))
