"""KTH clips decoded once: the frames of all action intervals in one memory-mapped file, and an index beside it.

Both lie in the cache folder under ``kth-decoded``, named by the size of the frames and a hash of what decides them. The
index is written last: where it is missing, the decoding was interrupted and is done again.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vrnn3d.data.folders import cache_folder, given_folder
from vrnn3d.data.kth.clips import LIST, Sequences, parse_name, read_sequences
from vrnn3d.data.kth.decode import VERSION, Clip, Index, decode
from vrnn3d.data.sequences import pair, pixels
from vrnn3d.data.video import CONTAINERS

REMEDY = "run `vrnn3d data kth` to download KTH Actions, or set VRNN3D_DATA to the folder that holds kth/ with the clips"
_SAMPLE = 1 << 15  # bytes at each end of a clip that go into the key of the cache


class KTHWarning(UserWarning):
    """Clips that are skipped, or intervals that are cut."""


@dataclass(frozen=True)
class Cache:
    """The decoded clips.

    Attributes:
        frames: uint8 (N, height, width), memory-mapped, read only.
        size: (height, width) of the frames.
        clips: those that can be used, sorted by name.
        skipped: (file, reason) of those that cannot.
        notes: sentences about cut intervals and the list.
        source: "VRNN3D_DATA" or "cache".
        folder: where the clips lie.
        path: where the frames lie.
    """

    frames: np.ndarray
    size: tuple[int, int]
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
    found: dict[str, Path] = {}
    skipped = []
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


def load(size: int | tuple[int, int], progress: bool = True) -> Cache:
    """The decoded clips; decodes them when no cache fits the files that are there now.

    Every clip that is not used and every interval that is cut is named in a :class:`KTHWarning`, and so is a cache that
    is damaged; it is made anew.

    Args:
        size: of the frames, one number for both sides or (height, width).
        progress: show a bar while decoding.

    Raises:
        FileNotFoundError: when there are no clips or no list, saying what to do.
        ValueError: for a size below 1.
    """
    size = pair(size)
    if min(size) < 1:
        raise ValueError(f"size is {pixels(size)}, and must be at least 1 pixel")
    source, folder = clips_folder()
    if not _videos(folder):
        given = given_folder()
        where = f"{given / 'kth'} and {folder}" if given else folder
        raise FileNotFoundError(f"there are no KTH clips in {where}: {REMEDY}")
    listing = folder / LIST
    if not listing.is_file():
        raise FileNotFoundError(f"{listing} is missing: put the official list of intervals there, or {REMEDY}")
    sequences = read_sequences(listing)
    files, unused = scan(folder, sequences)
    named = str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"
    path = cache_folder() / "kth-decoded" / f"kth-{named}-{_key(named, files, sequences)}.npy"
    index = _read_index(path, size) or decode(path, size, files, sequences, progress)
    skipped, notes = (*unused, *index.skipped), (*sequences.problems, *index.notes)
    if skipped:
        listed = "; ".join(f"{file} ({reason})" for file, reason in skipped)
        warnings.warn(f"{len(skipped)} files in {folder} are skipped: {listed}", KTHWarning, stacklevel=3)
    if notes:
        warnings.warn(f"KTH in {folder}: {'; '.join(notes)}", KTHWarning, stacklevel=3)
    if not index.clips:
        raise FileNotFoundError(f"none of the KTH clips in {folder} can be used: {REMEDY}")
    return Cache(np.load(path, mmap_mode="r"), size, index.clips, skipped, notes, source, folder, path)


def _key(size: str, files: dict[str, Path], sequences: Sequences) -> str:
    """A hash of all that decides what the cache holds. Contents, not times: a copy of the files has the same key."""
    digest = hashlib.sha256(f"{VERSION} {size}".encode())
    for name, path in files.items():
        length = path.stat().st_size
        digest.update(f"\n{name} {path.suffix} {length} {sequences.intervals[name]} ".encode())
        with path.open("rb") as stream:
            digest.update(stream.read(_SAMPLE))
            stream.seek(max(0, length - _SAMPLE))
            digest.update(stream.read(_SAMPLE))
    return digest.hexdigest()[:16]


def _read_index(path: Path, size: tuple[int, int]) -> Index | None:
    """The index of a cache whose two files fit each other; None where there is none, or with a warning a damaged one."""
    if not path.is_file() or not path.with_suffix(".json").is_file():
        return None
    damaged = path.with_suffix(".json")
    try:
        index = Index.from_json(json.loads(damaged.read_text("utf-8")))
        damaged = path
        frames = np.load(path, mmap_mode="r")
        last = max((i.offset + i.stop - i.start for clip in index.clips for i in clip.intervals), default=0)
        if frames.shape == (index.frames, *size) and frames.dtype == np.uint8 and last <= len(frames):
            return index
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        pass
    warnings.warn(f"{damaged} is damaged: the clips are decoded again", KTHWarning, stacklevel=4)
    return None
