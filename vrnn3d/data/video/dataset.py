"""The user's own clips as a dataset of windows."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from vrnn3d.data.sequences import SequenceDataset, pair, pixels
from vrnn3d.data.settings import USES, VideoData
from vrnn3d.data.splits import check_split
from vrnn3d.data.video.clips import CUTS, WHOLE, Clip, find_clips, list_clips
from vrnn3d.data.video.errors import UnreadableError
from vrnn3d.data.video.identity import add_clip
from vrnn3d.data.video.read import FITS, check_size, convert
from vrnn3d.data.video.sources import DelayedFrame, Source, open_source

_NAMED = 8  # clips that a warning lists
_FEW = 3  # clips that an error lists
_DARK = 0.1  # of its range, below which the brightest value of a clip is worth a warning
_BAR_FROM = 5  # clips from which on a progress bar is shown
_FITTED = {"crop": "cropped to shape", "pad": "with black borders", "stretch": "stretched to shape"}


class VideoFolder(SequenceDataset):
    """Windows of `length` frames of the clips of one split, held in memory as uint8.

    Training windows start at every frame; those of validation and test do not overlap. A frame or clip that cannot be
    read, and a clip shorter than `length`, is named in a warning and left out; no window spans the gap. Clips that use next
    to nothing of the range of their type are named too.

    Args:
        path: a folder of clips, or one clip; see :mod:`vrnn3d.data.video.clips`.
        split: "train", "validation" or "test".
        length: frames of a window.
        size: (height, width) of the frames, or one number for both.
        channels: 1 for grey, 3 for colour.
        fit: what is done about another aspect ratio; see :func:`~vrnn3d.data.video.read.read_video`.
        seed: of the split.
        use: "shared" between the splits, or all clips for the "test": then every split holds all of them.
        device: where the frames are held.
        other_length: frames of the windows that are asked of other splits, where known; only told in messages.

    Raises:
        FileNotFoundError: when there is nothing at `path`.
        ValueError: when there is no clip, none of the split has `length` frames, or an argument makes no sense.
    """

    recordable = False  # the user's own

    def __init__(
        self,
        path: Path | str,
        split: str,
        *,
        length: int = 20,
        size: int | tuple[int, int] = 64,
        channels: int = 1,
        fit: str = "crop",
        seed: int = 0,
        use: str = "shared",
        device: torch.device | str = "cpu",
        other_length: int = 0,
    ):
        check_split(split)
        if length < 1 or min(pair(size)) < 1:
            raise ValueError(f"length is {length} and size {pixels(pair(size))}; both must be at least 1")
        if channels not in (1, 3) or fit not in FITS:
            raise ValueError(f"channels is {channels} and fit {fit!r}; they must be 1 or 3, and one of: {', '.join(FITS)}")
        if use not in USES:
            raise ValueError(f"use is {use!r}; it must be one of: {', '.join(USES)}")
        if not str(path):
            raise ValueError("data.path is empty: it must name a folder of clips, or a clip")
        self.length, self.size, self.channels, self.fit = length, pair(size), channels, fit
        self.split, self.device = split, torch.device(device)
        self.source = Path(path).expanduser().absolute().name
        self.clips: list[Clip] = []
        digest = hashlib.sha256()
        problems: list[str] = []
        dark: list[str] = []
        pieces: list[Tensor] = []
        short: list[tuple[str, int]] = []
        clips = find_clips(path, seed)[split] if use == "shared" else list_clips(path)
        for clip in tqdm(
            clips, desc=f"{split} clips", unit="clip", leave=False, disable=True if len(clips) < _BAR_FROM else None
        ):
            if (known := _length_in_array(clip)) is not None and known < length:
                short.append((clip.name, known))
                continue
            told = len(problems)
            read = list(_read_pieces(clip, self.size, channels, fit, problems, dark))
            long_enough = [piece for piece in read if len(piece) >= length]
            if not long_enough and (read or len(problems) == told):  # else it cannot be read, which is told
                short.append((clip.name, max(map(len, read), default=0)))
            if long_enough:
                self.clips.append(clip)
                pieces += long_enough
                add_clip(digest, clip)
        if not (pieces or short):
            raise ValueError(_unreadable(self.source, split, clips, problems))
        _warn(f"{len(problems)} frames or clips of {self.source} are skipped", problems)
        if not pieces:
            raise ValueError(_too_short(self.source, split, clips, length, short, max(length, other_length)))
        _warn(f"{len(short)} {split} clips are shorter than {length} frames and left out", [name for name, _ in short])
        _warn(f"{len(dark)} {split} clips are read as nearly black, and should be rescaled if they are not meant to be", dark)
        self.identity = digest.hexdigest()[:16]  #: of the contents of the clips, wherever they lie
        self._frames = torch.cat(pieces).to(self.device)
        self._starts = torch.tensor(_starts(pieces, length, 1 if split == "train" else length)).to(self.device)

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def description(self) -> str:
        """One line for a reader."""
        start, stop = self.clips[0].part
        part = "" if self.clips[0].part == WHOLE else f" cut from {start}% to {stop}% of its frames"
        plural = "" if len(self.clips) == 1 else "s"
        return (
            f"own clips from {self.source}: {len(self.clips)} {self.split} clip{plural}{part}, {len(self):,} windows of "
            f"{self.length} frames, {'grey' if self.channels == 1 else 'colour'}, {_FITTED[self.fit]}, {pixels(self.size)}"
        )

    def batch(self, indices: Any, epoch: int = 0) -> Tensor:
        """Frames uint8 (B, T, channels, H, W), values 0..255; indices: LongTensor (B,)."""
        starts = self._starts[self._numbers(indices).to(self.device)]
        return self._frames[starts[:, None] + torch.arange(self.length, device=self.device)]


def _length_in_array(clip: Clip) -> int | None:
    """Frames of one of several clips in an array, of which there may be thousands: none need be read to know; else None."""
    return None if clip.number is None or clip.part != WHOLE else open_source(clip.path, clip.number).count()


def _starts(pieces: list[Tensor], length: int, step: int) -> list[int]:
    """Where windows of `length` frames begin in the pieces laid end to end, none across two of them."""
    starts: list[int] = []
    position = 0
    for piece in pieces:
        starts += range(position, position + len(piece) - length + 1, step)
        position += len(piece)
    return starts


def _read_pieces(
    clip: Clip, size: tuple[int, int], channels: int, fit: str, problems: list[str], dark: list[str]
) -> Iterator[Tensor]:
    """The runs of good frames of a clip, uint8 (T, channels, *size).

    What is bad is added to `problems`, and a clip that is nearly black with its brightest value to `dark`.
    """
    run: list[Tensor] = []
    shape, good, brightest, top = None, 0, 0.0, 255
    try:
        source = open_source(clip.path, clip.number)
        for number, delayed in _frames(clip, source):
            try:
                frame = delayed()
                shape = shape or frame.shape[:2]
                check_size(clip.path, number, frame, shape)
            except UnreadableError as error:  # one frame; the next may be good again
                problems.append(str(error))
                if run:
                    yield torch.stack(run)
                run = []
            else:
                run.append((convert(frame, size, channels, fit) * 255).round().to(torch.uint8))
                good += 1
                brightest = max(brightest, frame.max() / (255 if frame.dtype == np.uint8 else 1))
                top = 255 if frame.dtype == np.uint8 else source.top
    except UnreadableError as error:  # nothing more comes out of the file
        problems.append(f"{error}; {good} frames before that are used" if good else str(error))
    if 0 < brightest < _DARK:
        dark.append(f"{clip.name} (its brightest value is {brightest * top:.4g} of 0..{top})")
    if run:
        yield torch.stack(run)


def _frames(clip: Clip, source: Source) -> Iterator[tuple[int, DelayedFrame]]:
    """The frames of the part of a clip that is used, with their numbers, from 1."""
    if clip.part == WHOLE:
        return enumerate(source.frames(), 1)
    count = source.count()
    start, stop = (round(count * percent / 100) for percent in clip.part)
    return enumerate(islice(source.frames(start), stop - start), start + 1)


def _warn(what: str, names: list[str]) -> None:
    if names:
        warnings.warn(f"{what}: {_listed(names, _NAMED)}", stacklevel=3)


def _listed(names: list[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def _unreadable(source: str, split: str, clips: list[Clip], problems: list[str]) -> str:
    """Why there is no frame, and what to do."""
    return (
        f"none of the {len(clips)} {split} clips in {source} could be read ({_listed([clip.name for clip in clips], _FEW)}), "
        f"the first because {problems[0]}; mend them, or move them out of the folder"
    )


def _too_short(source: str, split: str, clips: list[Clip], length: int, short: list[tuple[str, int]], longest: int) -> str:
    """Why there is no window, and what to do; `longest` is the most frames that any split is asked for."""
    name, most = max(short, key=lambda found: found[1])
    shorter = "ask for shorter windows (data.length in training, eval.protocols in the test)"
    names = _listed([name for name, _ in short], _FEW)
    if clips[0].part == WHOLE:
        moved = "" if clips[0].number is not None else f" move {names} out of the folder,"  # the clips of an array stay
        return (
            f"none of the {len(clips)} {split} clips in {source} has {length} frames (the longest, {name}, has {most}): "
            f"put longer ones there,{moved} or {shorter}"
        )
    needed = max(ceil(100 * longest / (stop - start)) for start, stop in CUTS.values())
    return (
        f"the {split} part of {name} has {most} frames, and windows of {length} are asked for: too few clips are there to "
        f"share out, so each is cut in time, and one needs {needed} frames at least for all of its parts; "
        f"put a longer one there, or {len(CUTS)} clips, or {shorter}"
    )


def build(settings: VideoData, split: str, pool: str | None, length: int, device: Any = "cpu") -> VideoFolder:
    """The dataset of one split of the clips at ``settings.path``.

    Asked for the same one twice in a row, it reads the clips once: a test set is looked at before it is measured on.
    """
    return _read(settings, split, length, str(device), settings.contents())


@lru_cache(maxsize=1)
def _read(settings: VideoData, split: str, length: int, device: str, contents: str) -> VideoFolder:
    return VideoFolder(
        settings.path,
        split,
        length=length,
        size=settings.size,
        channels=settings.channels,
        fit=settings.fit,
        seed=settings.seed,
        use=settings.use,
        device=device,
        other_length=settings.length,
    )
