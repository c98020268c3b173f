"""What the data sets of this package have in common. A data set of your own need not derive from it."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset


class SequenceDataset(Dataset[Tensor]):
    """Single sequences, and lists of them for a ``DataLoader``, out of :meth:`batch`."""

    online = False

    def __len__(self) -> int:
        raise NotImplementedError

    def batch(self, indices: Tensor, epoch: int = 0) -> Tensor:
        """Frames uint8 (B, T, C, H, W), values 0..255, of a LongTensor (B,) of numbers."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> Tensor:
        """One sequence, uint8 (T, C, H, W); ``IndexError`` where there is none of that number."""
        return self.batch(torch.tensor([operator.index(index)]))[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Tensor]:
        """Several sequences at once: what a ``DataLoader`` asks for, where it may."""
        return list(self.batch(torch.tensor(indices)))

    def _numbers(self, indices: Any) -> Tensor:
        """Sequence numbers as a LongTensor.

        Raises:
            IndexError: for a number outside 0 .. len - 1. Numbers on a GPU are not looked at: that would wait for it.
        """
        indices = torch.as_tensor(indices, dtype=torch.int64)
        if indices.device.type == "cpu" and indices.numel():
            low, high = int(indices.min()), int(indices.max())
            if low < 0 or high >= len(self):
                raise IndexError(f"sequence {low if low < 0 else high} does not exist: there are {len(self):,}")
        return indices


class MappedArray:
    """A .npy file left on the disk. Pickled (for the workers of a ``DataLoader``) it is a path, and no copy of the frames."""

    def __init__(self, path: Path):
        self.path = path
        self.array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)

    def __reduce__(self) -> tuple[type[MappedArray], tuple[Path]]:
        return MappedArray, (self.path,)


def pair(size: int | Sequence[int]) -> tuple[int, int]:
    """(height, width) of a size that may be one number for both."""
    if isinstance(size, int):
        return size, size
    height, width = size
    return int(height), int(width)


def pixels(size: Sequence[int]) -> str:
    """ "64 x 48", height first."""
    return f"{size[0]} x {size[1]}"
