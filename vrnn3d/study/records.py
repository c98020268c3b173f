"""Records of runs: what was run, on what, and what came out.

A record is one JSON file, ``results/<profile>/<experiment>/seed<k>.json``. Numbers in the book come from records only.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vrnn3d import config
from vrnn3d.evaluation.scores import Evaluation
from vrnn3d.files import atomic_write
from vrnn3d.settings import parse, setting
from vrnn3d.study.provenance import Provenance, checkout

SCHEMA = 2
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_PROTOCOL = re.compile(r"([1-9]\d*)->([1-9]\d*)")
#: Metrics that no value below 0 can come from.
_NEVER_NEGATIVE = ("mse", "mae", "crps", "sample_variance")


@dataclass(frozen=True)
class Training:
    """How long was trained, and how it went. `curves` are thinned; their x axis is curves["sequences"]."""

    sequences: int = setting(..., low=0)
    updates: int = setting(..., low=0)
    seconds: float = setting(..., low=0)
    sequences_per_second: float = setting(..., low=0)
    precision: str = setting(..., choices=("float32", "bfloat16"))
    processes: int = setting(1, low=1)
    cpu_seconds: float | None = setting(None, low=0)  #: of one process, all its threads together
    curves: dict[str, tuple[float, ...]] = field(default_factory=dict)


#: What a run says of its data where it had to do with the packaged excerpt.
_EXCERPT = "excerpt"


@dataclass(frozen=True)
class DataUsed:
    """Which data a run was trained on; `identity` decides the frames besides the settings."""

    description: str
    source: str
    identity: str = ""


@dataclass(frozen=True)
class Record:
    """One run.

    Raises:
        ValueError: where its parts contradict each other, in one sentence.
    """

    experiment: str
    profile: str
    seed: int
    title: str
    status: str
    config: config.Experiment
    config_hash: str
    provenance: Provenance
    parameters: dict[str, int]
    training: Training
    data: DataUsed
    evaluation: dict[str, dict[str, Evaluation]] = field(default_factory=dict)
    group: str = ""
    weights: str = "last"  #: which weights were evaluated: "last", "ema" or "best" on the validation set
    parent: str = ""  #: the run or weights that training started from
    gigaflops: float | None = None  #: of one training sequence, forward and backward, as counted
    earlier: tuple[Provenance, ...] = ()  #: of the calls that trained it before the last one, where they differ from the next

    def __post_init__(self) -> None:
        who = f"the record {self.profile}/{self.experiment}/seed{self.seed}"
        for key in ("experiment", "profile"):
            if not _NAME.fullmatch(getattr(self, key)):
                raise ValueError(f"{who}: {key} {getattr(self, key)!r} cannot be a folder's name; use letters, digits, _ . + -")
        if self.status not in ("finished", "cut"):
            raise ValueError(f"{who}: status is {self.status!r}, but must be one of: finished, cut")
        if self.weights not in ("last", "ema", "best"):
            raise ValueError(f"{who}: weights is {self.weights!r}, but must be one of: last, ema, best")
        if (true := config.config_hash(self.config)) != self.config_hash:
            raise ValueError(
                f"{who}: config_hash is {self.config_hash!r}, but its configuration has {true!r}; one of them was edited"
            )
        for pool, protocols in self.evaluation.items():
            for protocol, entry in protocols.items():
                _check_evaluation(entry, protocol, f"{who}: evaluation.{pool}.{protocol}")

    @property
    def name(self) -> str:
        """Profile, experiment and seed, as the file is called."""
        return f"{self.profile}/{self.experiment}/seed{self.seed}"

    @property
    def finished(self) -> bool:
        """Whether the training came to its end."""
        return self.status == "finished"

    @property
    def usable(self) -> bool:
        """Whether its numbers count: finished, measured, and not on the packaged excerpt of 1,000 digits, which compares with
        nothing."""
        return self.finished and bool(self.evaluation) and self.data.source != _EXCERPT

    def measured(self, pool: str, protocol: str) -> Evaluation | None:
        """One test set under one protocol, or None where it was not measured."""
        return self.evaluation.get(pool, {}).get(protocol)

    def score(self, pool: str, protocol: str, metric: str = "mse", statistic: str = "average") -> float:
        """One number of the evaluation; NaN where it was not measured."""
        entry = self.measured(pool, protocol)
        if entry is None or metric not in entry.scores:
            return math.nan
        value = getattr(entry.scores[metric], statistic)
        return math.nan if value is None else value

    def percent_of_black(self, pool: str, protocol: str, statistic: str = "average") -> float:
        """The MSE in percent of that of black frames on the same test set: the column in which scales compare; or NaN."""
        entry = self.measured(pool, protocol)
        black = entry.baselines.get("black", math.nan) if entry else math.nan
        return 100 * self.score(pool, protocol, "mse", statistic) / black

    @property
    def processor_hours(self) -> float:
        """Hours of training, of a CPU core or a GPU: processor time on a CPU, wall time by the processes on a GPU."""
        done, machine = self.training, self.provenance.machine
        seconds = done.cpu_seconds
        if not machine.device.startswith("CPU"):
            seconds = done.seconds
        elif seconds is None:  # records from before it was kept
            seconds = done.seconds * machine.threads
        return seconds * done.processes / 3600

    @property
    def teraflops(self) -> float | None:
        """Useful operations of the training, 1e12; None where those of a sequence were not counted."""
        return None if self.gigaflops is None else self.gigaflops * self.training.sequences / 1e3

    @property
    def data_name(self) -> str:
        """What the numbers are called after their data: the description up to its first colon."""
        return self.data.description.split(":")[0]

    def curve(self, name: str) -> np.ndarray:
        """One curve of the training; empty where it was not kept."""
        return np.array(self.training.curves.get(name, ()), float)


def _check_evaluation(entry: Evaluation, protocol: str, who: str) -> None:
    match = _PROTOCOL.fullmatch(protocol)
    if match is None:
        raise ValueError(f"{who}: that is no protocol; one is written as 10->20: frames given, frames predicted")
    frames = int(match[2])
    for metric, score in entry.scores.items():
        if len(score.per_frame) != frames:
            raise ValueError(f"{who}.{metric}.per_frame has {len(score.per_frame)} values, but must have {frames}")
        if metric in _NEVER_NEGATIVE and min(score.average, *score.per_frame) < 0:
            raise ValueError(f"{who}.{metric} is negative, which that metric cannot be")
        if score.per_sequence is not None and len(score.per_sequence) != entry.sequences:
            raise ValueError(
                f"{who}.{metric}.per_sequence has {len(score.per_sequence)} values, but must have {entry.sequences}"
            )


# --- JSON -------------------------------------------------------------------------------------------------------------


def to_dict(record: Record) -> dict[str, Any]:
    """The record as JSON types; what is None is left out, and `earlier` where there was one call."""
    values = plain(record)
    return {"schema": SCHEMA} | {key: value for key, value in values.items() if key != "earlier" or value}


def plain(value: Any) -> Any:
    """Dataclasses, tables and lists as JSON types; fields that are None are left out."""
    if isinstance(value, config.Experiment):
        return config.to_dict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {name: plain(part) for name, part in parts if part is not None}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def from_dict(values: Any, who: str = "the record") -> Record:
    """Check the values of a record's JSON file, and make the record of them.

    Raises:
        ValueError: in one sentence that begins with `who` and names the key.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{who} is not a record: it holds no table of names and values")
    values = dict(values)
    schema = values.pop("schema", None)
    if schema != SCHEMA:
        raise ValueError(f"{who} has schema {schema!r}; this version of vrnn3d reads schema {SCHEMA}")
    return parse(Record, values, who)


#: What is kept digit by digit: a configuration is known by its hash.
_EXACT = "config"


def _rounded(value: Any, where: str) -> Any:
    """JSON types only, floats with 6 significant digits, those of a configuration with all; NaN and infinity are refused."""
    if hasattr(value, "tolist"):  # numpy and torch, scalars and arrays
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _rounded(item, f"{where}.{key}" if where else str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}; a record holds finite numbers only, so look for where it came from")
        return value if where.partition(".")[0] == _EXACT else float(f"{value:.6g}")
    if value is None or isinstance(value, (str, bool, int)):
        return value
    raise ValueError(f"{where} is a {type(value).__name__}, which JSON cannot hold; convert it to numbers or text")


def _dump(value: Any, indent: str = "") -> str:
    """JSON, one key a line, with lists of plain values on one line: small, and readable in a diff."""
    inner = indent + " "
    if isinstance(value, dict) and value:
        body = ",\n".join(f"{inner}{json.dumps(key)}: {_dump(item, inner)}" for key, item in value.items())
        return f"{{\n{body}\n{indent}}}"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def write_json(values: Mapping, path: str | os.PathLike) -> Path:
    """Write any mapping as JSON, whole or not at all: floats with 6 significant digits (below "config" with all of them),
    arrays and tensors as lists.

    Raises ``ValueError`` for NaN, infinite numbers and what JSON cannot hold, naming their place.
    """
    text = _dump(_rounded(values, "")) + "\n"
    return atomic_write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_json(path: str | os.PathLike) -> Any:
    """What :func:`write_json` wrote; ``ValueError`` with a sentence where the file is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as problem:
        raise ValueError(f"{path} is not a JSON file ({problem}); delete it and make it again") from None


# --- files ------------------------------------------------------------------------------------------------------------


def folder(root: str | os.PathLike | None = None) -> Path:
    """Where records are: `root`, else $VRNN3D_RESULTS, else results/ of the checkout, else ./results."""
    chosen = root or os.environ.get("VRNN3D_RESULTS")
    return Path(chosen) if chosen else (checkout() or Path.cwd()) / "results"


def write(record: Record, path: str | os.PathLike) -> Path:
    """Write a record to a file, whole or not at all.

    Raises ``ValueError`` for NaN or infinite numbers, naming their place.
    """
    return write_json(to_dict(record), path)


def read(path: str | os.PathLike) -> Record:
    """The record in a file.

    Raises:
        ValueError: in one sentence that names the file and the key, when it is not a record.
    """
    return from_dict(read_json(path), str(path))


def write_record(record: Record, root: str | os.PathLike | None = None) -> Path:
    """Write a record to <root>/<profile>/<experiment>/seed<k>.json; see :func:`folder` for the root."""
    return write(record, folder(root) / f"{record.name}.json")


def read_records(
    root: str | os.PathLike | None = None,
    profile: str | None = None,
    experiment: str | None = None,
    *,
    skip_damaged: bool = False,
) -> list[Record]:
    """All records under `root` (see :func:`folder`), of one profile or experiment if named; sorted, possibly none.

    Raises:
        ValueError: for a damaged record; with `skip_damaged` a warning names it and it is left out.
    """
    found = []
    for path in folder(root).glob(f"{profile or '*'}/{experiment or '*'}/seed*.json"):
        try:
            found.append(_read_in_place(path))
        except (ValueError, OSError) as error:
            if not skip_damaged:
                raise
            warnings.warn(f"{error}; it is left out", stacklevel=2)
    return sorted(found, key=lambda r: (r.profile, r.experiment, r.seed))


def _read_in_place(path: Path) -> Record:
    record = read(path)
    if path.parts[-3:] != tuple(f"{record.name}.json".split("/")):
        raise ValueError(f"{path} says it is {record.name}; move it there")
    return record


def with_evaluation(record: Record, evaluation: dict[str, dict[str, Evaluation]]) -> Record:
    """A copy of a record with what was measured."""
    return dataclasses.replace(record, evaluation=evaluation)


def runs_of(records: Iterable[Record], experiment: config.Experiment) -> list[Record]:
    """The finished runs that were asked to do what `experiment` asks, under whatever name, by seed."""
    wanted = config.config_hash(experiment)
    found = {r.seed: r for r in records if r.finished and r.config_hash == wanted}
    return [found[seed] for seed in sorted(found)]


#: Curves that count the sequences at which the others were noted.
_COUNTS = ("sequences", "validation_sequences")


def with_history(record: Record, records: Iterable[Record]) -> Record:
    """A copy of a record whose training includes that of the run that it started from, and of that run's in turn.

    Sequences, updates and times are sums, and the curves go on where those before them end. A record that started from
    random weights, or from what none of `records` tells of, stays as it is.
    """
    if not record.parent:
        return record
    records = list(records)
    others = (r for r in records if r.config_hash != record.config_hash)
    before = next((r for r in others if record.parent == config.origin(r.config, r.seed)), None)
    if before is None:
        return record
    before = with_history(before, records)
    first, then = before.training, record.training
    curves = {}
    for name in first.curves.keys() & then.curves.keys():
        shift = first.sequences if name in _COUNTS else 0
        curves[name] = (*first.curves[name], *(value + shift for value in then.curves[name]))
    seconds, sequences = first.seconds + then.seconds, first.sequences + then.sequences
    hours = before.processor_hours + record.processor_hours
    kinds = dict.fromkeys(" and ".join((first.precision, then.precision)).split(" and "))
    total = dataclasses.replace(
        then,
        precision=" and ".join(kinds),
        sequences=sequences,
        updates=first.updates + then.updates,
        seconds=seconds,
        sequences_per_second=sequences / seconds if seconds else 0.0,
        cpu_seconds=3600 * hours / then.processes,
        curves=curves,
    )
    return dataclasses.replace(record, training=total)


# --- clips ------------------------------------------------------------------------------------------------------------


def write_arrays(arrays: Mapping[str, np.ndarray], path: str | os.PathLike) -> Path:
    """Write arrays as a compressed ``.npz``, whole or not at all."""

    def save(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    return atomic_write(path, save)


def clips_path(record: Record, root: str | os.PathLike | None = None) -> Path:
    """Where the predictions to look at of a record lie: beside it, as seed<k>.npz."""
    return folder(root) / f"{record.name}.npz"


def read_clips(record: Record, root: str | os.PathLike | None = None) -> dict[str, np.ndarray] | None:
    """The predictions to look at of a record (``evaluation.evaluate.examples``), or None where none were kept.

    Raises:
        ValueError: naming the file, when it is damaged.
    """
    path = clips_path(record, root)
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{path} is damaged ({error}); restore it from a copy, or delete it: the record does without"
        ) from None
