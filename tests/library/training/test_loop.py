"""Training: it learns, it can be cut anywhere, it stops when it diverges, and it knows what it was asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vrnn3d import checkpoint, config
from vrnn3d.study import catalogue
from vrnn3d.training.loop import TrainingDiverged, batch_indices, forcing_mask, total_steps, train


def tiny(name="vrnn3d_kl_ll", **changes) -> config.Experiment:
    """The smoke experiment, shorter still."""
    settings = {
        "train.sequences": 24,
        "train.batch": 4,
        "train.checkpoint_minutes": 60.0,
        "data.length": 12,
        "train.context": (5, 6),
        "data.sequences": (10, 4, 4),
    }
    return config.override(catalogue.get(name, "smoke"), settings | changes)


def weights(folder) -> dict[str, torch.Tensor]:
    return checkpoint.load_state(folder)["model"]


@pytest.mark.parametrize("name, changes", [("vrnn3d_kl_ll", {}), ("beyond", {}), ("convlstm2d", {"train.ema": 0.9})])
def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path, name, changes):
    experiment = tiny(name, **changes)
    whole = train(experiment, 3, tmp_path / "whole", progress=False)
    first = train(experiment, 3, tmp_path / "cut", max_steps=2, progress=False)
    train(experiment, 3, tmp_path / "cut", max_steps=1, progress=False)
    second = train(experiment, 3, tmp_path / "cut", progress=False)
    assert not first["finished"] and first["training"]["steps"] == 2 and second["finished"]
    a, b = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(a[key], b[key]) for key in a)
    if experiment.train.ema:
        a, b = (checkpoint.load_state(tmp_path / f)["ema"] for f in ("whole", "cut"))
        assert all(torch.equal(a[key], b[key]) for key in a)
    assert second["training"]["curves"] == whole["training"]["curves"]


def test_a_finished_run_trains_no_further(tmp_path):
    done = train(tiny(), 0, tmp_path, progress=False)
    again = train(tiny(), 0, tmp_path, progress=False)
    assert again["finished"] and again["training"]["seconds"] == done["training"]["seconds"]


def test_the_loss_falls(tmp_path):
    experiment = tiny(**{"train.sequences": 240, "train.lr": 3e-3, "data.sequences": (8, 4, 4)})
    curve = train(experiment, 0, tmp_path, progress=False)["training"]["curves"]
    assert curve["reconstruction"][-1] < 0.4 * curve["reconstruction"][0]
    assert curve["validation_sequences"][-1] == 240


def test_seeds_differ(tmp_path):
    for seed in (0, 1):
        train(tiny(), seed, tmp_path / str(seed), max_steps=1, progress=False)
    a, b = weights(tmp_path / "0"), weights(tmp_path / "1")
    assert not torch.equal(a["level1.gates.weight"], b["level1.gates.weight"])


def test_divergence_stops_with_step_and_checkpoint(tmp_path):
    experiment = tiny(**{"train.lr": 1e30, "train.lr_warmup": 0.0, "train.clip": 0.0})
    with pytest.raises(TrainingDiverged, match=r"at step \d.*no checkpoint was written yet.*train.lr"):
        train(experiment, 0, tmp_path, progress=False)
    assert not (tmp_path / checkpoint.CHECKPOINT).exists()


def test_another_experiment_in_the_folder_is_refused(tmp_path):
    train(tiny(), 0, tmp_path, max_steps=1, progress=False)
    with pytest.raises(ValueError, match="other settings"):
        train(tiny(**{"train.lr": 0.5}), 0, tmp_path, progress=False)
    with pytest.raises(ValueError, match="seed 0"):
        train(tiny(), 1, tmp_path, progress=False)


def test_damaged_checkpoint_is_named(tmp_path):
    train(tiny(), 0, tmp_path, max_steps=1, progress=False)
    path = tmp_path / checkpoint.CHECKPOINT
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="damaged"):
        train(tiny(), 0, tmp_path, progress=False)
    with pytest.raises(FileNotFoundError, match="vrnn3d train"):
        checkpoint.load_run(tmp_path / "nowhere")


def test_time_budget_stops_cleanly(tmp_path):
    done = train(tiny(), 0, tmp_path, max_minutes=0.0, progress=False)
    assert not done["finished"] and done["training"]["steps"] == 1
    assert checkpoint.load_state(tmp_path)["step"] == 1


def test_every_epoch_holds_every_sequence_once():
    experiment = tiny(**{"train.sequences": 100})
    steps = [batch_indices(experiment, 5, step, 10) for step in range(5)]  # 5 batches of 4 = 2 epochs of 10
    seen = torch.cat(steps)
    assert seen[:10].sort().values.tolist() == seen[10:].sort().values.tolist() == list(range(10))
    assert seen[:10].tolist() != seen[10:].tolist()


def test_online_data_never_repeats():
    experiment = tiny("beyond")
    a, b = (batch_indices(experiment, 0, step, 2**40) for step in (0, 1))
    assert a.tolist() == [0, 1, 2, 3] and b.tolist() == [4, 5, 6, 7]
    assert not set(batch_indices(experiment, 1, 0, 2**40).tolist()) & set(range(10_000_000))


def test_forcing_mask():
    g = torch.Generator().manual_seed(0)
    mask = forcing_mask((5, 10), 0.25, 4000, 20, g)
    assert mask[:, :5].all()
    assert mask[:, 5:10].float().mean() == pytest.approx(0.5 + 0.5 * 0.25, abs=0.02)
    assert mask[:, 10:].float().mean() == pytest.approx(0.25, abs=0.02)


TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]


def command(root, *options: str) -> list[str]:
    """A short training as its command line, without the interpreter in front."""
    # A small rate: at 3e-3 Adam blows rounding errors up past 1e-4 within six steps.
    settings = ["train.lr=3e-4", "train.batch=4", "data.length=12", "train.context=[6]", "data.sequences=[10,4,4]"]
    settings += ["eval.sequences=2", "eval.protocols=[[5,5]]", *options]
    return ["-m", "vrnn3d", "train", "vrnn3d_kl_ll", "--quiet", "--out", str(root), "--set", *settings]


def record_in(root) -> dict:
    return json.loads((root / "smoke" / "vrnn3d_kl_ll" / "seed0" / "record.json").read_text())


def test_two_processes_equal_one(tmp_path):
    """torchrun with two gloo processes: same global batch, same curve within 1e-4."""
    curves = []
    for out, start, processes in (("one", [sys.executable], 1), ("two", TORCHRUN, 2)):
        line = [*start, *command(tmp_path / out, "train.sequences=24")]
        subprocess.run(line, check=True, capture_output=True, timeout=120)
        record = record_in(tmp_path / out)
        assert record["training"]["processes"] == processes
        curves.append(record["training"]["curves"]["loss"])
    assert len(curves[0]) == 6
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the workers in /proc")
def test_a_killed_process_ends_the_run_and_the_command_resumes_it(tmp_path):
    line = [*TORCHRUN, *command(tmp_path, "train.sequences=120", "train.checkpoint_minutes=0.0")]
    saved = tmp_path / "smoke" / "vrnn3d_kl_ll" / "seed0" / checkpoint.CHECKPOINT
    run = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not saved.exists():
            assert run.poll() is None and time.monotonic() < deadline, "no checkpoint was written"
            time.sleep(0.02)
        workers = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        assert len(workers) == 2
        os.kill(int(workers[1]), signal.SIGKILL)
        run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode != 0
    left = [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert not left, "the other process lives on"
    step = checkpoint.load_state(saved)["step"]
    assert 0 < step < 30, "the run was over before it was killed"
    subprocess.run(line, check=True, capture_output=True, timeout=180)
    record = record_in(tmp_path)
    assert record["status"] == "finished" and record["training"]["steps"] == 30


def test_batch_must_be_shareable(monkeypatch, tmp_path):
    from vrnn3d.training import loop as module

    monkeypatch.setattr(module.Team, "join", staticmethod(lambda device: module.Team(0, 3)))
    with pytest.raises(ValueError, match="cannot be shared by 3 processes"):
        train(tiny(), 0, tmp_path, progress=False)


@pytest.mark.parametrize("name", [n for n in catalogue.names() if not n.startswith("kth_")])
def test_every_experiment_takes_a_step(tmp_path, name):
    experiment = catalogue.get(name, "smoke")
    experiment = replace(experiment, train=replace(experiment.train, batch=2, sequences=4, validate_every=0.0))
    done = train(experiment, 0, tmp_path, max_steps=1, progress=False)
    assert done["training"]["steps"] == (0 if name == "copy_last" else 1)
    assert total_steps(experiment) == 2


def test_bf16_training_ends_where_float32_does(tmp_path):
    """Within the spread that other seeds give."""
    changes = {"data.size": 16, "data.digit_size": 8, "train.sequences": 160, "data.length": 8, "train.context": (4,)}
    ends = {}
    for precision, seeds in (("float32", (0, 1, 2)), ("bfloat16", (0,))):
        experiment = tiny("convlstm2d", **changes, **{"train.precision": precision, "train.validate_every": 0.0})
        for seed in seeds:
            curves = train(experiment, seed, tmp_path / f"{precision}{seed}", progress=False)["training"]["curves"]
            ends[precision, seed] = sum(curves["loss"][-10:]) / 10
    others = [ends["float32", s] for s in (0, 1, 2)]
    assert abs(ends["bfloat16", 0] - ends["float32", 0]) <= max(others) - min(others)


@pytest.mark.parametrize("half", [False, True])
def test_the_objective_is_one_graph(half):
    """Nothing in a training step branches on values: torch.compile takes it whole, also under autocast."""
    from vrnn3d.training.loop import objective

    experiment = tiny()
    torch.manual_seed(0)
    model = checkpoint.model_of(experiment)
    frames = torch.randint(0, 255, (2, 8, 1, 32, 32), dtype=torch.uint8)
    mask = torch.rand(2, 8) < 0.5
    torch._dynamo.reset()
    losses = []
    for compute in (objective(model, experiment, 8), torch.compile(objective(model, experiment, 8), backend="eager", fullgraph=True)):
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            losses.append(compute(frames, mask, torch.tensor(0.5))[0].item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
