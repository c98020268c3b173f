"""One run of the study from its name to its record: train, evaluate, write down what was done and where."""

from __future__ import annotations

from pathlib import Path

from vrnn3d import checkpoint, config, experiments, results
from vrnn3d.evaluate import evaluate
from vrnn3d.train import Team, pick_device, train

RECORD = "record.json"


def run_folder(root: str | Path, experiment: config.Experiment, seed: int) -> Path:
    """Where a run keeps its checkpoint and record: ROOT/<profile>/<experiment>/seed<k>."""
    return Path(root) / experiment.profile / experiment.name / f"seed{seed}"


def run(
    experiment: config.Experiment,
    seed: int = 0,
    out: str | Path = "runs",
    *,
    device: str | None = None,
    max_minutes: float | None = None,
    evaluate_cut: bool = False,
    progress: bool = True,
) -> dict:
    """Train (or continue) an experiment in ROOT `out`, evaluate it when finished, and write its record there.

    Args:
        experiment, seed: what to run.
        out: root of the runs; the run's own folder is :func:`run_folder`.
        max_minutes: stop the training cleanly after this long; the record then says "cut".
        evaluate_cut: evaluate also a training that was cut.

    Returns:
        The record, as written to ``record.json`` in the run's folder.
    """
    folder = run_folder(out, experiment, seed)
    provenance = results.provenance(device=pick_device(device))  # before hours of training may change the checkout
    done = train(experiment, seed, folder, device=device, max_minutes=max_minutes, progress=progress)
    finished = done.pop("finished")
    record = {
        "schema": 1,
        "experiment": experiment.name,
        "profile": experiment.profile,
        "seed": seed,
        "title": experiment.title,
        "status": "finished" if finished else "cut",
        "config": config.to_dict(experiment),
        "config_hash": config.config_hash(experiment),
        **provenance,
        **done,
        "evaluation": {},
    }
    if Team.current().rank > 0:
        return record
    if finished or evaluate_cut:
        model, _ = checkpoint.load_run(folder, pick_device(device))
        record["evaluation"] = evaluate(model, experiment, device=device, progress=progress)
    results.write_json(record, folder / RECORD)
    return record


def unfinished(out: str | Path, recorded: list[dict]) -> list[tuple[config.Experiment, int]]:
    """What is left of the queue: runs without a finished record in `recorded` or in ROOT `out`."""
    finished = {(r["experiment"], r["profile"], r["seed"]) for r in recorded if r["status"] == "finished"}
    left = []
    for name, profile, seed in experiments.queue():
        experiment = experiments.get(name, profile)
        mine = run_folder(out, experiment, seed) / RECORD
        if (name, profile, seed) in finished:
            continue
        if mine.exists() and results.read_json(mine)["status"] == "finished":
            continue
        left.append((experiment, seed))
    return left
