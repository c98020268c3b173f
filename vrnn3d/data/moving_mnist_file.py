"""The public Moving MNIST test set, for whoever has put its file into the data folder."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vrnn3d.data.folders import folder
from vrnn3d.data.sequences import MappedArray, SequenceDataset, pair, pixels

TEST_FILE_SHA256 = "c2a3e8d3939c001ab77bf543f130157424efa486bb4d0974d2cebb773b13f8b3"


class MovingMNISTFile(SequenceDataset):
    """The public test file ``mnist_test_seq.npy``: 10,000 sequences of 20 frames, 64 x 64, two digits.

    Args:
        path: default ``<data folder>/moving_mnist/mnist_test_seq.npy``.
        length: the first `length` of the 20 frames.
        size: height and width that are expected; the file has 64 x 64.
        device: where batches are put.
        sha256: what the file must have (about a second is spent on it); None: not checked.

    Raises:
        FileNotFoundError: saying where to put the file.
        ValueError: saying what is wrong with the file or the arguments.
    """

    recordable = True
    source = "mnist_test_seq.npy"

    def __init__(
        self,
        path: Path | str | None = None,
        *,
        length: int = 20,
        size: int | tuple[int, int] = 64,
        device: torch.device | str = "cpu",
        sha256: str | None = TEST_FILE_SHA256,
    ):
        path = Path(path) if path else folder() / "moving_mnist" / "mnist_test_seq.npy"
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: put the public test file there, or use another pool")
        self._sha256 = sha256
        if sha256 is not None and (found := _sha256(path)) != sha256:
            raise ValueError(
                f"{path} has the wrong SHA-256 ({found[:12]}..., expected {sha256[:12]}...), so it is truncated "
                "or another file: replace it by the original"
            )
        try:
            self._file = MappedArray(path)  # (T, N, H, W)
        except (ValueError, EOFError, OSError):
            raise ValueError(f"{path} is truncated or no .npy file: replace it by the original") from None
        frames, self.size = self._file.array, pair(size)
        if frames.ndim != 4 or frames.dtype != np.uint8:
            raise ValueError(
                f"{path} holds {frames.dtype} of shape {frames.shape}, expected uint8 (20, 10000, 64, 64): "
                "replace it by the original"
            )
        if not 1 <= length <= len(frames):
            raise ValueError(f"{path.name} has {len(frames)} frames a sequence, and {length} were asked for")
        if frames.shape[2:] != self.size:
            raise ValueError(
                f"{path.name} has frames of {pixels(frames.shape[2:])}, and size {pixels(self.size)} was asked for"
            )
        self.length, self.device = length, torch.device(device)

    def __len__(self) -> int:
        return self._file.array.shape[1]

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the file."""
        return self._sha256 or _sha256(self._file.path)

    @property
    def description(self) -> str:
        return (
            f"Moving MNIST: the public test file mnist_test_seq.npy, {len(self):,} sequences of {self.length} frames, "
            f"{pixels(self.size)}"
        )

    def batch(self, indices: Any, epoch: int = 0) -> Tensor:
        """Frames uint8 (B, T, 1, H, W); indices: LongTensor (B,)."""
        numbers = self._numbers(torch.as_tensor(indices).cpu()).numpy()
        frames = torch.from_numpy(self._file.array[: self.length, numbers])
        return frames.transpose(0, 1)[:, :, None].contiguous().to(self.device)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
