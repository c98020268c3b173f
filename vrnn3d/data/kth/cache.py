"""KTH clips decoded once: the frames of all action intervals in one memory-mapped file, and an index beside it."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from vrnn3d.data.folders import cache_folder, given_folder
from vrnn3d.data.kth.clips import LIST, Identity, Sequences, parse_name, read_sequences
from vrnn3d.data.video import CONTAINERS, read_video
from vrnn3d.files import atomic_write

CURE = "run `vrnn3d data kth` to download KTH Actions, or set VRNN3D_DATA to the folder that holds kth/ with the clips"
_VERSION = 2  # of the cache's layout and of the decoding
_SAMPLE = 1 << 15  # bytes at each end of a clip that go into the key of the cache


class KTHWarning(UserWarning):
    """Clips that are skipped, or intervals that are cut."""


@dataclass(frozen=True)
class Interval:
    """Frames [start, stop) of a clip, counted from 0; in the cache they lie from frame `offset` on."""

    start: int
    stop: int
    offset: int


@dataclass(frozen=True)
class Clip:
    name: str  # personNN_ACTION_dM
    person: int
    action: str
    frames: int  # decoded frames of the whole clip
    intervals: tuple[Interval, ...]


@dataclass(frozen=True)
class Cache:
    """frames: uint8 (N, size, size), memory-mapped, read only; clips: those that can be used, sorted by name; skipped:
    (file, reason); notes: sentences about cut intervals and the list; source: "VRNN3D_DATA" or "cache"."""

    frames: np.ndarray
    clips: tuple[Clip, ...]
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    source: str
    folder: Path
    path: Path


def clips_folder() -> tuple[str, Path]:
    """(source, folder) of the clips: ``$VRNN3D_DATA/kth`` alone where it holds a video, else ``kth`` in the cache."""
    if (given := given_folder()) and _videos(given / "kth"):
        return "VRNN3D_DATA", given / "kth"
    return "cache", cache_folder() / "kth"


def _videos(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in CONTAINERS and not path.name.startswith(".") and path.is_file()
    )


def scan(folder: Path, sequences: Sequences) -> tuple[dict[str, Path], list[tuple[str, str]]]:
    """Files by clip name, and (file, reason) of each video below `folder` that is not used."""
    found, skipped = {}, []
    # the official .avi first, so that of two files of one clip it is the one that is used
    for path in sorted(_videos(folder), key=lambda path: (path.suffix.lower() != ".avi", path)):
        file = path.relative_to(folder).as_posix()
        identity = parse_name(path.stem, "_uncomp")
        if identity is None:
            skipped.append((file, "misnamed: KTH clips are called personNN_ACTION_dM_uncomp"))
        elif identity.name not in sequences.intervals:
            skipped.append((file, f"unlisted: {LIST} has no intervals for it"))
        elif identity.name in found:
            skipped.append((file, f"a second file of one clip: {found[identity.name].name} is used"))
        else:
            found[identity.name] = path
    return dict(sorted(found.items())), skipped


def load(size: int, progress: bool = True) -> Cache:
    """The decoded clips, size x size; decodes them when no cache fits the files that are there now.

    Every clip that is not used and every interval that is cut is named in a :class:`KTHWarning`. Raises
    ``FileNotFoundError`` with the cure when there are no clips or no list.
    """
    if size < 1:
        raise ValueError(f"size is {size}, and must be at least 1 pixel")
    source, folder = clips_folder()
    if not _videos(folder):
        where = f"{given_folder() / 'kth'} and {folder}" if given_folder() else folder
        raise FileNotFoundError(f"there are no KTH clips in {where}: {CURE}")
    listing = folder / LIST
    if not listing.is_file():
        raise FileNotFoundError(f"{listing} is missing: put the official list of intervals there, or {CURE}")
    sequences = read_sequences(listing)
    files, skipped = scan(folder, sequences)
    key = _key(size, files, sequences)
    path = cache_folder() / "kth-decoded" / f"kth-{size}-{key}.npy"
    index = _read_index(path, size)
    if index is None:
        index = _decode(path, size, files, sequences, progress)
    clips = tuple(
        Clip(**{**clip, "intervals": tuple(Interval(*interval) for interval in clip["intervals"])})
        for clip in index["clips"]
    )
    skipped = (*skipped, *((file, reason) for file, reason in index["skipped"]))
    notes = (*sequences.problems, *index["notes"])
    if skipped:
        named = "; ".join(f"{file} ({reason})" for file, reason in skipped)
        warnings.warn(f"{len(skipped)} files in {folder} are skipped: {named}", KTHWarning, stacklevel=3)
    if notes:
        warnings.warn(f"KTH in {folder}: {'; '.join(notes)}", KTHWarning, stacklevel=3)
    if not clips:
        raise FileNotFoundError(f"none of the KTH clips in {folder} can be used: {CURE}")
    return Cache(np.load(path, mmap_mode="r"), clips, skipped, notes, source, folder, path)


def _key(size: int, files: dict[str, Path], sequences: Sequences) -> str:
    """A hash of all that decides what the cache holds. Contents, not times: a copy of the files has the same key."""
    digest = hashlib.sha256(f"{_VERSION} {size}".encode())
    for name, path in files.items():
        length = path.stat().st_size
        digest.update(f"\n{name} {path.suffix} {length} {sequences.intervals[name]} ".encode())
        with path.open("rb") as stream:
            digest.update(stream.read(_SAMPLE))
            stream.seek(max(0, length - _SAMPLE))
            digest.update(stream.read(_SAMPLE))
    return digest.hexdigest()[:16]


def _read_index(path: Path, size: int) -> dict | None:
    """The index of a cache whose two files fit each other, else None."""
    try:
        index = json.loads(path.with_suffix(".json").read_text("utf-8"))
        frames = np.load(path, mmap_mode="r")
        return index if frames.shape == (index["frames"], size, size) and frames.dtype == np.uint8 else None
    except (OSError, ValueError, KeyError):
        return None


def _decode(path: Path, size: int, files: dict[str, Path], sequences: Sequences, progress: bool) -> dict:
    clips, skipped, notes, total = [], [], [], 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.")
    except OSError as error:
        raise OSError(f"{path.parent} cannot be written ({error.strerror}): set XDG_CACHE_HOME to a folder") from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            start = _header(stream, 0, size)
            for name, file in tqdm(files.items(), desc=f"decoding KTH at {size} x {size}", disable=not progress):
                try:
                    video = (resize(read_video(file), size)[:, 0] * 255).round().byte().numpy()
                    kept, intervals, cut = _cut(name, sequences.intervals[name], len(video), total)
                except ValueError as error:
                    skipped.append((file.name, str(error).removeprefix(f"{file} ")))
                    continue
                notes += cut
                stream.write(video[kept].tobytes())
                total += len(kept)
                identity: Identity = parse_name(name)
                clips.append(
                    dict(
                        name=name,
                        person=identity.person,
                        action=identity.action,
                        frames=len(video),
                        intervals=intervals,
                    )
                )
            stream.seek(0)
            if _header(stream, total, size) != start:
                raise RuntimeError("the .npy header changed its length: report this with the version of NumPy")
        index = dict(version=_VERSION, size=size, frames=total, clips=clips, skipped=skipped, notes=notes)
        if clips:
            os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner reads
            os.replace(temporary, path)
            # Last: it says that the cache is whole.
            atomic_write(path.with_suffix(".json"), lambda part: part.write_text(json.dumps(index), encoding="utf-8"))
    finally:
        Path(temporary).unlink(missing_ok=True)
    return index


def resize(video: Tensor, size: int) -> Tensor:
    """(T, 1, H, W) to (T, 1, size, size): a side that shrinks by area, one that grows (120 to 128) by interpolation.

    By area, a new pixel is the mean of the old ones under it, each weighted by how much of it is covered.
    """
    height, width = (min(size, side) for side in video.shape[-2:])
    video = _area(video.shape[-2], height) @ video @ _area(video.shape[-1], width).T
    if (height, width) != (size, size):
        video = F.interpolate(video, size=(size, size), mode="bilinear", align_corners=False)
    return video.clamp(0, 1)


def _area(old: int, new: int) -> Tensor:
    """(new, old) weights; row i covers [i, i + 1) old / new, and column j is the pixel [j, j + 1)."""
    edges = torch.arange(new + 1, dtype=torch.float64)[:, None] * old / new
    pixels = torch.arange(old, dtype=torch.float64)
    covered = torch.minimum(edges[1:], pixels + 1) - torch.maximum(edges[:-1], pixels)
    return (covered.clamp(min=0) * new / old).float()


def _header(stream, count: int, size: int) -> int:
    """Write a .npy header for uint8 (count, size, size); NumPy pads it so that its length does not depend on count."""
    np.lib.format.write_array_header_1_0(stream, dict(descr="|u1", fortran_order=False, shape=(count, size, size)))
    return stream.tell()


def _cut(name: str, listed, count: int, offset: int) -> tuple[np.ndarray, list[tuple[int, int, int]], list[str]]:
    """Which frames of a clip of `count` frames are kept, each interval as (start, stop, offset), and what was cut.

    A frame that two overlapping intervals share is kept once. ``ValueError`` when no interval has a frame.
    """
    notes, inside = [], []
    for start, stop in listed:
        if stop > count:
            fate = f"cut at frame {count}" if start < count else "dropped"
            notes.append(f"{name}: interval {start + 1}-{stop} ends beyond the clip's {count} frames and is {fate}")
        if start < count:
            inside.append((start, min(stop, count)))
    if not inside:
        raise ValueError(f"it has {count} frames, and its first interval starts at {listed[0][0] + 1}: truncated")
    keep = np.zeros(count, bool)
    for start, stop in inside:
        keep[start:stop] = True
    before = np.concatenate([[0], keep.cumsum()])
    return np.flatnonzero(keep), [(start, stop, offset + int(before[start])) for start, stop in inside], notes
