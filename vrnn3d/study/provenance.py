"""On what a run was made: commit, machine, library versions and date."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Code:
    """The commit of the checkout, and whether the package differed from it; None outside a git checkout."""

    commit: str | None = None
    dirty: bool | None = None


@dataclass(frozen=True)
class Machine:
    """`device` is a GPU's name, or "CPU (model)"."""

    device: str
    cores: int
    threads: int


@dataclass(frozen=True)
class Provenance:
    """Where and with what a run was made."""

    code: Code
    machine: Machine
    versions: dict[str, str | None]
    date: str  #: ISO, of the day the run began


def checkout() -> Path | None:
    """The repository this package runs from, or None where it is installed elsewhere."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / ".git").exists() else None


def provenance(device: Any = "cpu") -> Provenance:
    """What a record says of the run's origin, for a run on `device` ("cpu", "cuda:0", torch.device)."""
    import torch

    device = torch.device(device)
    affinity = getattr(os, "sched_getaffinity", None)
    status = _git("status", "--porcelain", "--", "vrnn3d")
    return Provenance(
        code=Code(commit=_git("rev-parse", "HEAD"), dirty=None if status is None else bool(status)),
        machine=Machine(
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({_cpu_name()})",
            cores=len(affinity(0)) if affinity else os.cpu_count() or 1,
            threads=torch.get_num_threads(),
        ),
        versions={
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "vrnn3d": _version("vrnn3d"),
        },
        date=datetime.date.today().isoformat(),
    )


def _git(*arguments: str) -> str | None:
    folder = checkout()
    if folder is None:
        return None
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()
