"""What every test starts from: one thread, no downloads, the data folder beside the repository if there is one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
if not os.environ.get("VRNN3D_DATA") and _SHARED.is_dir():
    os.environ["VRNN3D_DATA"] = str(_SHARED)
os.environ.setdefault("VRNN3D_OFFLINE", "1")  # tests use what is there, or the packaged excerpt; 0 lets them download

torch.set_num_threads(1)


@pytest.fixture
def mini(monkeypatch, tmp_path) -> Callable[..., Path]:
    """A profile of two updates, and a queue of it: ``mini("black", "vrnn3d_kl")`` says which runs the queue has.

    Records go to a folder of the test's own, which the call returns.
    """
    from trials import MINI, mini_profile
    from vrnn3d.study import profiles, queue

    monkeypatch.setitem(profiles.PROFILES, MINI, mini_profile())
    results = tmp_path / "results"
    monkeypatch.setenv("VRNN3D_RESULTS", str(results))

    def holding(*names: str, seeds: tuple[int, ...] = (0,)) -> Path:
        monkeypatch.setitem(queue.QUEUES, MINI, queue.Queue("for tests", (queue.Step(MINI, names, seeds),)))
        return results

    holding("black")
    return holding
