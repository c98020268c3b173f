"""One run of the study from its name to its record: train, evaluate, write down what was done and where."""

from __future__ import annotations

import os
import signal
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vrnn3d import checkpoint, show
from vrnn3d.config import Experiment, config_hash
from vrnn3d.data.settings import VideoData
from vrnn3d.device import pick_device
from vrnn3d.evaluation.evaluate import evaluate, examples
from vrnn3d.evaluation.metrics import try_metrics
from vrnn3d.evaluation.protocols import with_fitting_protocols
from vrnn3d.settings import parse
from vrnn3d.study import records
from vrnn3d.study.bench.counting import training_gigaflops
from vrnn3d.study.chance.command import analyse_run
from vrnn3d.study.folders import CHANCE_GROUP, CLIPS, OWN_PICTURES, RECORD, Taken, claim, local_record, run_folder
from vrnn3d.study.provenance import Provenance, provenance
from vrnn3d.training.check import check
from vrnn3d.training.distributed import Team
from vrnn3d.training.loop import Trained, train
from vrnn3d.training.stop import Interrupted

#: In a run's folder: on what each call trained it.
CALLS = "calls.json"
#: Groups without pictures: a sweep is ranked, not looked at.
_NO_PICTURES = ("tune",)


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

    A run that has its finished record there already is not done again. Of the protocols those are measured that the test
    data are long enough for, which is found out before the training; a warning names the others.

    Args:
        experiment, seed: what to run.
        out: root of the runs; the run's own folder is :func:`run_folder`.
        max_minutes: stop the training cleanly after this long; the record then says "cut".
        evaluate_cut: evaluate also a training that was cut.

    Raises:
        ValueError: before the training, when its settings make no sense or no protocol fits the test data; ``Taken`` when
            another process trains it.
        Interrupted: when a signal stopped the training, after the checkpoint and the record of a cut run were written.

    Returns:
        The record, as written to ``record.json`` in the run's folder; ``clips.npz`` beside it holds a few predictions,
        ``own_clips.webp`` shows them with the truth where the user's own clips were used, and for experiments of the group
        "chance" ``chance.json`` says what :mod:`vrnn3d.study.chance` found.
    """
    folder = run_folder(out, experiment, seed)
    if (done := local_record(out, experiment, seed)) is not None and done.evaluation:
        return done
    check(experiment, seed, folder, fitted=False)  # mistakes are told before the test data are read
    try_metrics(experiment.data.channels)
    asked, experiment = experiment, with_fitting_protocols(experiment)
    if experiment is not asked and (done := local_record(out, experiment, seed)) is not None and done.evaluation:
        return done
    alone = int(os.environ.get("WORLD_SIZE", 1)) == 1  # the processes of torchrun train one run together
    with claim(out, experiment, seed) if alone else nullcontext(True) as mine:
        if not mine:
            raise Taken(f"another process trains the run in {folder}: wait for it, or choose another seed or --out")
        return _claimed(experiment, seed, folder, device, max_minutes, evaluate_cut, progress)


def _claimed(
    experiment: Experiment,
    seed: int,
    folder: Path,
    device: str | None,
    max_minutes: float | None,
    evaluate_cut: bool,
    progress: bool,
) -> records.Record:
    """What :func:`run` does while no other process does it."""
    calls = _calls(folder, provenance(device=pick_device(device)))  # before hours of training may change the checkout
    trained = train(experiment, seed, folder, device=device, max_minutes=max_minutes, progress=progress)
    record, team = _record(experiment, seed, trained, calls), Team.current()
    # That all processes ask each other here also keeps them from evaluating before the leader has written the last checkpoint.
    stopped = team.any(trained.signal is not None, pick_device(device))
    if stopped and trained.finished and not evaluate_cut:  # at its last update: evaluating may take long, the next call does it
        if team.leads:
            raise Interrupted(trained.signal or signal.SIGTERM)
        return record
    if trained.finished or evaluate_cut:
        record = _evaluated(record, trained, folder, device, progress)
    if not team.leads:
        return record
    records.write(record, folder / RECORD)
    if trained.finished and experiment.group == CHANCE_GROUP:
        analyse_run(folder, device=device)
    if trained.signal is not None:
        raise Interrupted(trained.signal)
    return record


def _calls(folder: Path, origin: Provenance) -> tuple[Provenance, ...]:
    """On what each call trained a run so far, this one last; calls in a row that are alike count once.

    They are kept beside the checkpoint, for a call that is cut off writes no record.
    """
    path, known = folder / CALLS, _Calls()
    if path.exists() and (folder / checkpoint.CHECKPOINT).exists():
        known = parse(_Calls, records.read_json(path), str(path))
    calls = known.calls if known.calls[-1:] == (origin,) else (*known.calls, origin)
    if int(os.environ.get("RANK", 0)) == 0:
        records.write_json(records.plain(_Calls(calls)), path)
    return calls


@dataclass(frozen=True)
class _Calls:
    """What :func:`_calls` keeps."""

    calls: tuple[Provenance, ...] = ()


def _record(experiment: Experiment, seed: int, trained: Trained, calls: tuple[Provenance, ...]) -> records.Record:
    """The record of a training, not evaluated yet."""
    return records.Record(
        experiment=experiment.name,
        profile=experiment.profile,
        seed=seed,
        title=experiment.title,
        group=experiment.group,
        status="finished" if trained.finished else "cut",
        config=experiment,
        config_hash=config_hash(experiment),
        provenance=calls[-1],
        earlier=calls[:-1],
        parameters=trained.parameters,
        training=_training(trained),
        data=records.DataUsed(trained.data.description, trained.data.source, trained.data.identity),
        weights=experiment.train.weights,
        parent=trained.parent,
        gigaflops=training_gigaflops(experiment) if trained.updates else None,
    )


def _evaluated(record: records.Record, trained: Trained, folder: Path, device: str | None, progress: bool) -> records.Record:
    """The record of a run with its evaluation; the leader writes a few predictions into the run's folder."""
    experiment = record.config
    model = checkpoint.load_run(folder, pick_device(device)).model
    found = evaluate(model, experiment, device=device, progress=progress)
    if not Team.current().leads:
        return records.with_evaluation(record, found)
    # Real people's frames are not kept, and a copied frame would be one of them.
    copied = experiment.model.name == "copy_last" and not trained.data.recordable
    if experiment.group not in _NO_PICTURES and not copied:
        records.write_arrays(examples(model, experiment, found, device=device), folder / CLIPS)
    if isinstance(experiment.data, VideoData):
        _show_owner(examples(model, experiment, found, device=device, private=True), folder / OWN_PICTURES)
    return records.with_evaluation(record, found)


def _show_owner(shown: dict[str, np.ndarray], path: Path) -> None:
    """Truth and predictions of the user's own clips as an animation. It stays in the run's folder: no record takes it along."""
    kinds = ("truth", "sample") if np.array_equal(shown["mean"], shown["sample"]) else ("truth", "mean", "sample")
    rows = {f"{kind} {index + 1}": shown[kind][n] for n, index in enumerate(shown["indices"]) for kind in kinds}
    show.save_animation(rows, path, context=int(shown["context"]), columns=len(kinds))


def _training(trained: Trained) -> records.Training:
    return records.Training(
        sequences=trained.sequences,
        updates=trained.updates,
        seconds=trained.seconds,
        sequences_per_second=trained.sequences / trained.seconds if trained.seconds else 0.0,
        precision=trained.precision,
        processes=trained.processes,
        cpu_seconds=trained.cpu_seconds,
        curves={name: tuple(values) for name, values in trained.curves.items()},
    )
