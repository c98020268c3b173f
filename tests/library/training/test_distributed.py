"""Several processes: what they compute is what one computes, and a killed one ends the run, which can be resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from trials import tiny
from vrnn3d import checkpoint
from vrnn3d.device import pick_device
from vrnn3d.layers.depth_folding import BatchNorm3d
from vrnn3d.training import loop
from vrnn3d.training.distributed import Team
from vrnn3d.training.loop import train

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]


def command(root, *options: str) -> list[str]:
    """A short training as its command line, without the interpreter in front."""
    # A small rate: at 3e-3 Adam blows rounding errors up past 1e-4 within six steps.
    settings = ["train.lr=3e-4", "train.batch=4", "data.length=12", "train.context=[6]", "data.sequences=[10,4,4]"]
    settings += ["eval.sequences=2", "eval.batch=1", "eval.protocols=[[5,5]]", *options]
    return ["-m", "vrnn3d", "train", "vrnn3d_kl_ll", "--quiet", "--out", str(root), "--set", *settings]


def record_in(root) -> dict:
    (path,) = root.rglob("record.json")
    return json.loads(path.read_text())


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    """torchrun with two gloo processes: same global batch, same curve within 1e-4, and both evaluate."""
    curves, scores = [], []
    for out, start, processes in (("one", [sys.executable], 1), ("two", TORCHRUN, 2)):
        line = [*start, *command(tmp_path / out, "train.sequences=24")]
        subprocess.run(line, check=True, capture_output=True)
        record = record_in(tmp_path / out)
        assert record["training"]["processes"] == processes
        curves.append(record["training"]["curves"]["loss"])
        scores.append(record["evaluation"]["test"]["5->5"]["scores"]["mse"]["per_frame"])
    assert len(curves[0]) == 6
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)
    assert scores[1] == pytest.approx(scores[0], rel=1e-3)


def normalise(clips: torch.Tensor, grad: torch.Tensor) -> dict[str, torch.Tensor]:
    """What batch normalisation makes of clips, and the gradients for a gradient of its result."""
    norm, clips = BatchNorm3d(3), clips.clone().requires_grad_()
    torch.nn.init.uniform_(norm.weight, 0.5, 2.0, generator=torch.Generator().manual_seed(0))
    result = norm(clips)
    result.backward(grad)
    assert clips.grad is not None and norm.weight.grad is not None and norm.bias.grad is not None
    sums = {"weight": norm.weight.grad, "bias": norm.bias.grad}
    return {"result": result.detach(), "grad": clips.grad, **sums, **dict(norm.named_buffers())}


def _normalise_a_part(rank: int, folder: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    clips, grad = torch.load(folder / "batch.pt")
    mine = slice(2 * rank, 2 * rank + 2)
    torch.save(normalise(clips[mine], grad[mine]), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("folded", [True, False])
def test_batch_norm_of_two_processes_is_that_of_the_whole_batch(tmp_path, folded):
    """Results, gradients and running statistics, with means far from zero and different in the two halves."""
    clips = torch.randn(4, 3, 2, 5, 5) * 2 + torch.tensor([10.0, -5.0, 0.0]).view(3, 1, 1, 1)
    clips[2:] = clips[2:] * 3 + 1
    if folded:  # the memory order of the layers: channels and depth side by side
        clips = clips.permute(0, 3, 4, 2, 1).contiguous().permute(0, 4, 3, 1, 2)
    grad = torch.randn_like(clips)
    torch.save((clips, grad), tmp_path / "batch.pt")
    torch.multiprocessing.spawn(_normalise_a_part, (tmp_path,), nprocs=2)
    whole, (first, second) = normalise(clips, grad), (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    for key, expected in whole.items():
        if key in ("result", "grad"):
            found = torch.cat([first[key], second[key]])
        else:
            found = first[key] + second[key] if key in ("weight", "bias") else first[key]
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the workers in /proc")
def test_a_killed_process_ends_the_run_and_the_command_resumes_it(tmp_path):
    line = [*TORCHRUN, *command(tmp_path, "train.sequences=120", "train.checkpoint_minutes=0.0")]
    run = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        while not (saved := list(tmp_path.rglob(checkpoint.CHECKPOINT))):
            assert run.poll() is None, "it ended before a checkpoint was written"
            time.sleep(0.02)
        workers = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        assert len(workers) == 2
        os.kill(int(workers[1]), signal.SIGKILL)
        run.communicate()
    finally:
        run.kill()
    assert run.returncode != 0
    left = [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert not left, "the other process lives on"
    step = checkpoint.load_state(saved[0])["step"]
    assert 0 < step < 30, "the run was over before it was killed"
    subprocess.run(line, check=True, capture_output=True)
    record = record_in(tmp_path)
    assert record["status"] == "finished" and record["training"]["updates"] == 30


def test_each_process_of_torchrun_sets_the_gpu_that_it_has(monkeypatch):
    """``--device cuda`` names no GPU, and PyTorch sets none without a number."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name, value in (("WORLD_SIZE", "2"), ("LOCAL_WORLD_SIZE", "2"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    chosen = []

    def meet(backend):  # what comes after it needs the other process
        chosen.append(backend)
        raise InterruptedError

    monkeypatch.setattr(torch.cuda, "set_device", lambda device: chosen.append(device.index))
    monkeypatch.setattr(torch.distributed, "init_process_group", meet)
    with pytest.raises(InterruptedError):
        Team.join(pick_device("cuda"))
    assert chosen == [1, "nccl"]


def test_a_batch_must_be_shareable(monkeypatch, tmp_path):
    monkeypatch.setattr(loop.Team, "join", staticmethod(lambda device: Team(0, 3)))
    with pytest.raises(ValueError, match="a batch of 4 cannot be shared by 3 processes; choose a multiple"):
        train(tiny(), 0, tmp_path, progress=False)


def test_shares_are_parts_of_the_batch():
    parts = [Team(rank, 3).share(12) for rank in range(3)]
    assert [list(range(12))[part] for part in parts] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    alone, values = Team(), [torch.tensor([1.0, 2.0])]
    alone.mean_(values)
    assert alone.leads and values[0].tolist() == [1, 2] and alone.any(True, torch.device("cpu"))
