"""An evaluation as a table of one line for each frame, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path

from vrnn3d.evaluation.protocols import frames_of
from vrnn3d.evaluation.scores import Evaluation
from vrnn3d.files import atomic_write

COLUMNS = ("test_set", "given", "predicted", "metric", "frame", "average", "low", "high")


def write_per_frame(found: Mapping[str, Mapping[str, Evaluation]], path: str | os.PathLike) -> Path:
    """Write what :func:`~vrnn3d.evaluation.evaluate.evaluate` returned as comma-separated values, whole or not at all.

    Each line holds a metric of one predicted frame, counted from 1: its average over samples and test sequences, and the
    bounds of the 95% interval over test sequences. The first line names the `COLUMNS`.
    """

    def save(temporary: Path) -> None:
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(COLUMNS)
            for pool, protocols in found.items():
                for protocol, entry in protocols.items():
                    given, predicted = frames_of(protocol)
                    for metric, score in entry.scores.items():
                        values = zip(score.per_frame, score.per_frame_interval, strict=True)
                        for frame, (average, bounds) in enumerate(values, 1):
                            numbers = (f"{value:.6g}" for value in (average, *bounds))
                            table.writerow((pool, given, predicted, metric, frame, *numbers))

    return atomic_write(path, save)
