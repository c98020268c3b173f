"""What every test starts from: one thread, no downloads, the data folder beside the repository if there is one."""

from __future__ import annotations

import os
from pathlib import Path

import torch

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
if not os.environ.get("VRNN3D_DATA") and _SHARED.is_dir():
    os.environ["VRNN3D_DATA"] = str(_SHARED)
os.environ.setdefault("VRNN3D_OFFLINE", "1")  # tests use what is there, or the packaged excerpt; 0 lets them download

torch.set_num_threads(1)
