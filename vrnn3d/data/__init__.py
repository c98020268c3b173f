"""Frames to learn from: Moving MNIST, KTH Actions, and a folder of the user's own clips.

:func:`build` turns the data part of a configuration into a dataset. Every dataset has

- ``batch(indices)``: a LongTensor of B sequence numbers to uint8 frames (B, T, C, H, W), values 0..255, on ``device``;
- ``len()``, ``description`` (one line: pool, speed law, source, sizes), ``source``, ``device`` and
- ``online``: True where every index is a fresh sequence and the length is only a bound (2**40).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from vrnn3d import config

ONLINE_COUNT = 2**40  # sequences of an online stream: more than any training can use
_NAMES = ("moving_mnist", "kth", "video")
_SPLITS = ("train", "validation", "test")
_POOLS = ("train", "test", "file")


def cache_folder() -> Path:
    """Where downloads are kept: the platform's cache directory, then ``vrnn3d`` (it need not exist yet)."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "vrnn3d"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "vrnn3d"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "vrnn3d" / "Cache"
    return Path.home() / ".cache" / "vrnn3d"


def given_folder() -> Path | None:
    """The folder that ``VRNN3D_DATA`` names, or None; ``NotADirectoryError`` when it names no folder."""
    if not (value := os.environ.get("VRNN3D_DATA")):
        return None
    path = Path(value).expanduser()
    if not path.is_dir():
        raise NotADirectoryError(f"VRNN3D_DATA names {path}, which is not a folder: correct the variable or unset it")
    return path


def folder() -> Path:
    """The data folder: ``$VRNN3D_DATA`` where that is set, else :func:`cache_folder`."""
    return given_folder() or cache_folder()


def build(data: config.Data, split: str, *, pool: str | None = None, length: int | None = None, device="cpu"):
    """The dataset of one split.

    split: "train", "validation" or "test". pool: which MNIST digits move, "train" or "test" (default
    ``data.train_pool``), or "file" for the public test file ``mnist_test_seq.npy``; only Moving MNIST has pools.
    length: frames of a sequence (default ``data.length``); the first frames of Moving MNIST do not depend on it.
    Raises ``ValueError`` naming what is known for an unknown name, split or pool.
    """
    if data.name not in _NAMES:
        raise ValueError(f"no data named {data.name!r}; known are: {', '.join(_NAMES)}")
    if split not in _SPLITS:
        raise ValueError(f"no split {split!r}; known are: {', '.join(_SPLITS)}")
    length = data.length if length is None else length
    if data.name == "kth":
        from vrnn3d.data.kth import build_kth

        return build_kth(data, split, length, device)
    if data.name == "video":
        from vrnn3d.data.video import VideoFolder

        return VideoFolder(data.path, split, length=length, size=data.size, seed=data.seed, device=device)
    return _moving_mnist(data, split, data.train_pool if pool is None else pool, length, device)


def _moving_mnist(data: config.Data, split: str, pool: str, length: int, device):
    from vrnn3d.data.mnist import load_mnist
    from vrnn3d.data.moving_mnist import MovingMNIST, MovingMNISTFile

    if pool not in _POOLS:
        raise ValueError(f"no pool of digits {pool!r}; known are: {', '.join(_POOLS)}")
    if pool == "file":
        if split != "test":
            raise ValueError(f"mnist_test_seq.npy is a test set; the {split} split needs pool 'train' or 'test'")
        return MovingMNISTFile(length=length, size=data.size, device=device)
    online = split == "train" and data.online
    return MovingMNIST(
        load_mnist(pool),
        size=data.size,
        length=length,
        num_digits=data.digits,
        digit_size=data.digit_size,
        speed=data.speed,
        speed_range=data.speed_range,
        seed=data.seed,
        stream="online" if online else split,
        count=ONLINE_COUNT if online else data.sequences[_SPLITS.index(split)],
        device=device,
    )
