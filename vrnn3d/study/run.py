"""One run of the study from its name to its record: train, evaluate, write down what was done and where."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vrnn3d import checkpoint
from vrnn3d.config import Experiment, config_hash
from vrnn3d.device import pick_device
from vrnn3d.evaluation.evaluate import evaluate, examples
from vrnn3d.files import atomic_write
from vrnn3d.study import records
from vrnn3d.study.provenance import provenance
from vrnn3d.training.distributed import Team
from vrnn3d.training.loop import Trained, train

RECORD = "record.json"
CLIPS = "clips.npz"
#: Predictions of this seed alone are kept to look at, and of no run of these groups: a sweep is ranked, not looked at.
_PICTURED_SEED, _NO_PICTURES = 0, ("tune",)


def run_folder(root: str | Path, experiment: Experiment, seed: int) -> Path:
    """Where a run keeps its checkpoint and record: ROOT/<profile>/<experiment>/seed<k>."""
    return Path(root) / experiment.profile / experiment.name / f"seed{seed}"


def run(
    experiment: Experiment,
    seed: int = 0,
    out: str | Path = "runs",
    *,
    device: str | None = None,
    max_minutes: float | None = None,
    evaluate_cut: bool = False,
    progress: bool = True,
) -> records.Record:
    """Train (or continue) an experiment below the folder `out`, evaluate it when finished, and write its record there.

    Args:
        experiment, seed: what to run.
        out: root of the runs; the run's own folder is :func:`run_folder`.
        max_minutes: stop the training cleanly after this long; the record then says "cut".
        evaluate_cut: evaluate also a training that was cut.

    Returns:
        The record, as written to ``record.json`` in the run's folder; ``clips.npz`` beside it holds a few predictions.
    """
    folder = run_folder(out, experiment, seed)
    origin = provenance(device=pick_device(device))  # before hours of training may change the checkout
    trained = train(experiment, seed, folder, device=device, max_minutes=max_minutes, progress=progress)
    record = records.Record(
        experiment=experiment.name,
        profile=experiment.profile,
        seed=seed,
        title=experiment.title,
        group=experiment.group,
        status="finished" if trained.finished else "cut",
        config=experiment,
        config_hash=config_hash(experiment),
        provenance=origin,
        parameters=trained.parameters,
        training=_training(trained),
        data=records.DataUsed(trained.data.description, trained.data.source, trained.data.identity),
        weights="ema" if experiment.train.ema else "last",
    )
    if not Team.current().leads:
        return record
    if trained.finished or evaluate_cut:
        model, _ = checkpoint.load_run(folder, pick_device(device))
        found = evaluate(model, experiment, device=device, progress=progress)
        record = records.with_evaluation(record, found)
        # Real people's frames are not kept, and a copied frame would be one of them.
        copied = experiment.model.name == "copy_last" and not trained.data.recordable
        if experiment.group not in _NO_PICTURES and not copied:
            records.write_arrays(examples(model, experiment, found, device=device), folder / CLIPS)
    records.write(record, folder / RECORD)
    return record


def _training(trained: Trained) -> records.Training:
    return records.Training(
        sequences=trained.sequences,
        updates=trained.updates,
        seconds=trained.seconds,
        sequences_per_second=trained.sequences / trained.seconds if trained.seconds else 0.0,
        precision=trained.precision,
        processes=trained.processes,
        curves={name: tuple(values) for name, values in trained.curves.items()},
    )


def commit_record(record: records.Record, folder: Path) -> Path:
    """Copy the record of a run's folder, and for one seed its pictures, into the repository's results/; its path."""
    path = records.write_record(record)
    clips = folder / CLIPS
    if record.seed == _PICTURED_SEED and clips.exists():
        atomic_write(records.clips_path(record), lambda temporary: shutil.copyfile(clips, temporary))
    return path


def local_record(out: str | Path, experiment: Experiment, seed: int) -> records.Record | None:
    """The finished record of a run below `out`, where it has one with this configuration."""
    path = run_folder(out, experiment, seed) / RECORD
    if not path.exists():
        return None
    record = records.read(path)
    return record if record.finished and record.config_hash == config_hash(experiment) else None


@contextmanager
def claim(out: str | Path, experiment: Experiment, seed: int) -> Iterator[bool]:
    """Hold a run below `out` for this process: yields False where another process of any machine holds it.

    The claim ends with the ``with`` or with the process, however it dies. Processes that share the root, the jobs of an
    array for example, so never train one run twice.
    """
    folder = run_folder(out, experiment, seed)
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
