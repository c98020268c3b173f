"""Curves that can be watched while a training goes on: a CSV file, and TensorBoard where that is installed."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path
from typing import Any, Mapping, Sequence

from vrnn3d.files import atomic_write

CURVES = "curves.csv"
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
    """Keeps ``curves.csv``, and where TensorBoard is installed its event files, in a run's folder up to date."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._writer: Any = None
        self._written = 0.0
        if importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder / "tensorboard"))

    def update(self, curves: Curves) -> None:
        """Write what the curves hold now."""
        table = rows(curves)
        names = ["sequences", *sorted({name for row in table for name in row} - {"sequences"})]

        def write(path: Path) -> None:
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, names)
                writer.writeheader()
                writer.writerows(table)

        atomic_write(self._folder / CURVES, write)
        if self._writer is not None:
            for row in table:
                if row["sequences"] > self._written:
                    for name in set(row) - {"sequences"}:
                        self._writer.add_scalar(name, row[name], int(row["sequences"]))
            self._written = table[-1]["sequences"] if table else 0.0
            self._writer.flush()
