"""Curves that can be watched while a training goes on: a CSV file, and TensorBoard where that is installed."""

from __future__ import annotations

import csv
import importlib.util
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vrnn3d.files import atomic_write

CURVES = "curves.csv"
_EVENTS = "tensorboard"
_VALIDATION = ("validation_mse", "seen_mse")

Curves = Mapping[str, Sequence[float]]


def rows(curves: Curves) -> list[dict[str, float]]:
    """The curves of a training as one row per number of sequences seen; what was not measured there is left out."""
    found: dict[float, dict[str, float]] = {}
    for name, values in curves.items():
        if name in ("sequences", "validation_sequences"):
            continue
        axis = curves.get("validation_sequences" if name in _VALIDATION else "sequences", ())
        for seen, value in zip(axis, values):
            found.setdefault(seen, {"sequences": seen})[name] = value
    return [found[seen] for seen in sorted(found)]


class LiveCurves:
    """Keeps ``curves.csv``, and where TensorBoard is installed its event files, in a run's folder up to date.

    Nothing depends on them. Where one of them cannot be written, a warning says so once, and the training goes on.

    Args:
        folder: the run's.
        known: the curves as an earlier call left them; TensorBoard has these points already where it has event files.
    """

    def __init__(self, folder: Path, known: Curves):
        self._folder = folder
        self._writer: Any = None
        self._written = _last(rows(known)) if (folder / _EVENTS).exists() else 0.0
        self._failed: set[str] = set()

    def update(self, curves: Curves) -> None:
        """Write what the curves hold now."""
        table = rows(curves)
        self._try(CURVES, lambda: _write_table(table, self._folder / CURVES))
        if _EVENTS not in self._failed:  # a writer that failed once may be half made
            self._try(_EVENTS, lambda: self._add_points(table))

    def close(self) -> None:
        """Let go of TensorBoard's file and thread."""
        if self._writer is not None:
            self._writer.close()

    def _try(self, name: str, write: Callable[[], object]) -> None:
        try:
            write()
        except Exception as error:  # a full disk, or whatever a TensorBoard that does not fit its libraries raises
            if name not in self._failed:
                self._failed.add(name)
                what = f"{type(error).__name__}: {error}"
                warnings.warn(f"{self._folder / name} is not kept up to date ({what}); the training goes on", stacklevel=4)

    def _add_points(self, table: list[dict[str, float]]) -> None:
        """Give TensorBoard, where it is installed, the points that it does not have yet."""
        if not importlib.util.find_spec("tensorboard"):
            return
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # What was written after the checkpoint that the training went on from is computed anew: it is not shown twice.
            self._writer = SummaryWriter(str(self._folder / _EVENTS), purge_step=int(self._written) + 1)
        for row in table:
            if row["sequences"] > self._written:
                for name in set(row) - {"sequences"}:
                    self._writer.add_scalar(name, row[name], int(row["sequences"]))
        self._written = _last(table)
        self._writer.flush()


def _last(table: list[dict[str, float]]) -> float:
    """How many sequences had been seen at the last of the rows."""
    return table[-1]["sequences"] if table else 0.0


def _write_table(table: list[dict[str, float]], path: Path) -> None:
    names = ["sequences", *sorted({name for row in table for name in row} - {"sequences"})]

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(table)

    atomic_write(path, write)
