"""One run of the study from its name to its record: train, evaluate, write down what was done and where."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

from vrnn3d import checkpoint, config, experiments, results
from vrnn3d.evaluate import evaluate, examples
from vrnn3d.train import Team, pick_device, train

RECORD = "record.json"
CLIPS = "clips.npz"


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
        The record, as written to ``record.json`` in the run's folder; ``clips.npz`` beside it holds a few predictions.
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
        # A sweep is ranked, not looked at; and a copied frame would be one of real people.
        people = experiment.data.name == "video" or (experiment.data.name, experiment.model.name) == ("kth", "copy_last")
        if not people and experiment.profile != "tune":
            results.write_arrays(examples(model, experiment, record["evaluation"], device=device), folder / CLIPS)
    results.write_json(record, folder / RECORD)
    return record


def unfinished(out: str | Path, recorded: list[dict], queue: str = "full") -> list[tuple[config.Experiment, int]]:
    """What is left of a queue: runs without a finished record in `recorded` or in ROOT `out`."""
    finished = {(r["experiment"], r["profile"], r["seed"]) for r in recorded if r["status"] == "finished"}
    left = []
    for name, profile, seed in experiments.queue(queue):
        experiment = experiments.get(name, profile)
        if (name, profile, seed) not in finished and not is_finished(out, experiment, seed):
            left.append((experiment, seed))
    return left


def is_finished(out: str | Path, experiment: config.Experiment, seed: int) -> bool:
    """Whether ROOT `out` holds a finished record of the run."""
    record = run_folder(out, experiment, seed) / RECORD
    return record.exists() and results.read_json(record)["status"] == "finished"


@contextmanager
def claim(out: str | Path, experiment: config.Experiment, seed: int):
    """Hold a run in ROOT `out` for this process: yields False where another process of any machine holds it.

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
