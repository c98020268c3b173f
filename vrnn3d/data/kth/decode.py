"""Decoding KTH clips: which of their frames are kept, how they are resized, and the index of what lies where."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from vrnn3d.data.download import sweep
from vrnn3d.data.kth.clips import Sequences, parse_name
from vrnn3d.data.sequences import pair, pixels
from vrnn3d.data.video import read_video
from vrnn3d.files import atomic_write

VERSION = 2  # of the cache's layout and of the decoding


@dataclass(frozen=True)
class Interval:
    """Frames [start, stop) of a clip, counted from 0; in the cache they lie from frame `offset` on."""

    start: int
    stop: int
    offset: int


@dataclass(frozen=True)
class Clip:
    """A clip whose frames are in the cache."""

    name: str  # personNN_ACTION_dM
    person: int
    action: str
    frames: int  # decoded frames of the whole clip
    intervals: tuple[Interval, ...]


@dataclass(frozen=True)
class Index:
    """What lies where in the file of frames, and what was wrong with the clips it was made of."""

    frames: int
    clips: tuple[Clip, ...]
    skipped: tuple[tuple[str, str], ...]  # (file, reason)
    notes: tuple[str, ...]  # sentences about intervals that were cut

    @staticmethod
    def from_json(values: Any) -> Index:
        """The index that :meth:`to_json` made; ``KeyError``, ``TypeError`` or ``ValueError`` for anything else."""
        clips = [Clip(**{**clip, "intervals": tuple(Interval(*i) for i in clip["intervals"])}) for clip in values["clips"]]
        skipped = tuple((str(file), str(reason)) for file, reason in values["skipped"])
        return Index(int(values["frames"]), tuple(clips), skipped, tuple(map(str, values["notes"])))

    def to_json(self, size: tuple[int, int]) -> dict[str, Any]:
        """JSON types; a square size is one number."""
        clips = [{**vars(clip), "intervals": [tuple(vars(i).values()) for i in clip.intervals]} for clip in self.clips]
        side = size[0] if size[0] == size[1] else size
        return {"version": VERSION, "size": side, **vars(self), "clips": clips}


def decode(path: Path, size: tuple[int, int], files: dict[str, Path], sequences: Sequences, progress: bool) -> Index:
    """Decode all clips into `path`, and write their index beside it; neither where no clip can be used."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent, ".kth-*")
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.")
    except OSError as error:
        raise OSError(f"{path.parent} cannot be written ({error.strerror}): set XDG_CACHE_HOME to a folder") from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            start = _header(stream, 0, size)
            index = _write_frames(stream, size, files, sequences, progress)
            stream.seek(0)
            if _header(stream, index.frames, size) != start:
                raise RuntimeError("the .npy header changed its length: report this with the version of NumPy")
        if index.clips:
            os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner reads
            os.replace(temporary, path)
            text = json.dumps(index.to_json(size))
            atomic_write(path.with_suffix(".json"), lambda part: part.write_text(text, encoding="utf-8"))
    finally:
        Path(temporary).unlink(missing_ok=True)
    return index


def _write_frames(
    stream: BinaryIO, size: tuple[int, int], files: dict[str, Path], sequences: Sequences, progress: bool
) -> Index:
    clips: list[Clip] = []
    skipped, notes, total = [], [], 0
    for name, file in tqdm(files.items(), desc=f"decoding KTH at {pixels(size)}", disable=not progress):
        try:
            video = (resize(read_video(file), size)[:, 0] * 255).round().byte().numpy()
            kept, intervals, cut = cut_intervals(name, sequences.intervals[name], len(video), total)
        except ValueError as error:
            skipped.append((file.name, str(error).removeprefix(f"{file} ")))
            continue
        notes += cut
        stream.write(video[kept].tobytes())
        total += len(kept)
        identity = parse_name(name)
        assert identity is not None  # `scan` takes no other names
        clips.append(Clip(name, identity.person, identity.action, len(video), intervals))
    return Index(total, tuple(clips), tuple(skipped), tuple(notes))


def resize(video: Tensor, size: int | tuple[int, int]) -> Tensor:
    """(T, 1, H, W) to (T, 1, height, width): a side that shrinks by area, one that grows (120 to 128) by interpolation.

    By area, a new pixel is the mean of the old ones under it, each weighted by how much of it is covered.
    """
    size = pair(size)
    height, width = min(size[0], video.shape[-2]), min(size[1], video.shape[-1])
    video = _area(video.shape[-2], height) @ video @ _area(video.shape[-1], width).T
    if (height, width) != size:
        video = F.interpolate(video, size=size, mode="bilinear", align_corners=False)
    return video.clamp(0, 1)


def _area(old: int, new: int) -> Tensor:
    """(new, old) weights; row i covers [i, i + 1) old / new, and column j is the pixel [j, j + 1)."""
    edges = torch.arange(new + 1, dtype=torch.float64)[:, None] * old / new
    pixels = torch.arange(old, dtype=torch.float64)
    covered = torch.minimum(edges[1:], pixels + 1) - torch.maximum(edges[:-1], pixels)
    return (covered.clamp(min=0) * new / old).float()


def _header(stream: BinaryIO, count: int, size: tuple[int, int]) -> int:
    """Write a .npy header for uint8 (count, *size); NumPy pads it so that its length does not depend on count."""
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": (count, *size)})
    return stream.tell()


def cut_intervals(
    name: str, listed: Sequence[tuple[int, int]], count: int, offset: int
) -> tuple[np.ndarray, tuple[Interval, ...], list[str]]:
    """Which frames of a clip of `count` frames are kept, where its intervals then lie, and what was cut.

    A frame that two overlapping intervals share is kept once.

    Raises:
        ValueError: when no interval has a frame.
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
    return np.flatnonzero(keep), tuple(Interval(a, b, offset + int(before[a])) for a, b in inside), notes
