"""Where runs lie on this machine, and which process holds them. Nothing here imports PyTorch."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vrnn3d.config import Experiment, config_hash
from vrnn3d.files import atomic_write
from vrnn3d.study import records
from vrnn3d.study.queue import Run

RECORD = "record.json"
CLIPS = "clips.npz"
#: What ``study.chance`` found about a run of its group, and samples to look at.
CHANCE, CHANCE_SAMPLES = "chance.json", "chance.npz"
#: The group of experiments whose runs are done once their samples have been analysed too (``vrnn3d.study.chance``).
CHANCE_GROUP = "chance"
OWN_PICTURES = "own_clips.webp"
#: Predictions of this seed alone are carried around: pictures of one are enough to look at.
_PICTURED_SEED = 0


def run_folder(root: str | Path, experiment: Experiment, seed: int) -> Path:
    """Where a run keeps its checkpoint and record: ROOT/<profile>/<experiment>/seed<k>."""
    return Path(root) / experiment.profile / experiment.name / f"seed{seed}"


def local_record(root: str | Path, experiment: Experiment, seed: int) -> records.Record | None:
    """The finished record of a run below `root`, or None where there is none that has this configuration.

    That of a run in a world with chance counts with its analysis alone, so that what was cut off between them is made up for. A
    damaged record is as good as none, so that it stops no queue: a warning names it, and its run writes it anew.
    """
    path = run_folder(root, experiment, seed) / RECORD
    if not path.exists():
        return None
    try:
        record = records.read(path)
    except (ValueError, OSError) as error:
        warnings.warn(f"{error}; the run is taken for unfinished, and will write its record anew", stacklevel=2)
        return None
    same = record.config_hash == config_hash(experiment) and record.seed == seed
    analysed = experiment.group != CHANCE_GROUP or (path.parent / CHANCE).exists()
    return record if record.finished and same and analysed else None


def commit_record(record: records.Record, folder: Path) -> Path:
    """Copy a record, what else was found about its run, and for one seed its pictures into results/; the record's path."""
    path = records.write_record(record)
    pictured = record.seed == _PICTURED_SEED
    for name, target, wanted in (
        (CLIPS, records.clips_path(record), pictured),
        (CHANCE, path.with_name(f"chance{record.seed}.json"), True),
        (CHANCE_SAMPLES, path.with_name(f"chance{record.seed}.npz"), pictured),
    ):
        if wanted and (folder / name).exists():
            _copy(folder / name, target)
    return path


def _copy(source: Path, target: Path) -> None:
    atomic_write(target, lambda temporary: shutil.copyfile(source, temporary))


def waiting(root: str | Path, runs: Iterable[Run]) -> Iterator[Run]:
    """Those of the runs that no finished record below `root` answers, as of the moment each is asked for."""
    for run in runs:
        if local_record(root, run.experiment, run.seed) is None:
            yield run


class Taken(ValueError):
    """Another process trains a run."""


@contextmanager
def claim(root: str | Path, experiment: Experiment, seed: int) -> Iterator[bool]:
    """Hold a run below `root` for this process: yields False where another process of any machine holds it.

    The claim ends with the ``with`` or with the process, however it dies. Processes that share the root, the jobs of an
    array for example, so never train one run twice.
    """
    folder = run_folder(root, experiment, seed)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".claim", "w") as file:
        try:
            import fcntl
        except ImportError:  # not on Windows, where nobody shares a queue
            yield True
            return
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
