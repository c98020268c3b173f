"""Reading a clip, frame by frame, so that memory is spent on what is asked for and not on what the file holds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vrnn3d.data.sequences import pair, pixels
from vrnn3d.data.video.errors import UnreadableError
from vrnn3d.data.video.sources import DelayedFrame, VideoInfo, open_source

FITS = ("crop", "pad", "stretch")
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, red, green, blue


def read_video(
    path: Path | str,
    size: int | tuple[int, int] | None = None,
    start: int = 0,
    max_frames: int | None = None,
    channels: int = 1,
    fit: str = "crop",
    *,
    min_frames: int = 1,
) -> Tensor:
    """A clip as float32 (T, channels, H, W) in [0, 1].

    Arrays are (T, H, W), (T, H, W, C) or (T, C, H, W) with C = 1, 3 or 4, integers from 0 to the largest of an unsigned
    type, or floats in [0, 1]. Of animations every stored frame counts once, whatever its duration.
    Videos and pictures are turned as they say that they are to be shown.

    Args:
        path: a file, or a folder of numbered pictures.
        size: (H, W), or one number for both, to which every frame is resized (antialiased); None keeps the clip's own.
        start: how many frames at the beginning are passed over.
        max_frames: at most so many are read, the rest of the file is not.
        channels: 1 is grey (BT.601 luma), 3 is red, green, blue.
        fit: where the clip has another aspect ratio than `size`: "crop" cuts off what is too much, at both ends alike;
            "pad" adds black borders; "stretch" does not keep the ratio.
        min_frames: how many there must be.

    Raises:
        FileNotFoundError: when there is no such clip.
        ValueError: saying what is wrong with the clip (:class:`UnreadableError`) or with the arguments.
    """
    path, needed = Path(path), max(1, min_frames)
    if max_frames is not None and max_frames < needed:
        raise ValueError(f"max_frames is {max_frames}, and at least {needed} are needed")
    if start < 0:
        raise ValueError(f"start is {start}, and must be at least 0")
    stop = None if max_frames is None else start + max_frames
    chosen = islice(open_source(path).frames(start), None if stop is None else stop - start)
    frames = list(converted(path, chosen, size, channels, fit, first=start + 1))
    if len(frames) < needed:
        plural = "" if len(frames) == 1 else "s"
        after = f" from frame {start + 1} on" if start else ""
        raise UnreadableError(f"{path} has {len(frames)} frame{plural}{after}, and at least {needed} are needed")
    return torch.stack(frames)


def read_last(
    path: Path | str, count: int, size: int | tuple[int, int] | None = None, channels: int = 1, fit: str = "crop"
) -> Tensor:
    """The last `count` frames of a clip, float32 (count, channels, H, W) in [0, 1], in their order.

    No more than that is decoded where the format allows it, and no more than `count` frames are in memory. Arguments and
    errors: :func:`read_video`; ``ValueError`` too when the clip has fewer frames.
    """
    path = Path(path)
    if count < 1:
        raise ValueError(f"count is {count}, and must be at least 1")
    source = open_source(path)
    kept = deque(source.frames(max(0, source.count() - count)), maxlen=count)
    if len(kept) < count:  # a damaged file has fewer than it says
        kept = deque(source.frames(), maxlen=count)
    if len(kept) < count:
        raise UnreadableError(f"{path} has {len(kept)} frames, and the last {count} were asked for: ask for fewer")
    return torch.stack(list(converted(path, kept, size, channels, fit)))


def probe(path: Path | str) -> VideoInfo:
    """Number of frames and frames a second, as far as the file says, height and width as it is shown.

    No more than the first frame is decoded.

    Raises:
        FileNotFoundError: when there is no such clip.
        UnreadableError: when it is no clip, or a damaged one.
    """
    return open_source(Path(path)).info()


def count_frames(path: Path | str) -> int:
    """How many frames a clip has, without decoding them. Errors: :func:`probe`."""
    return open_source(Path(path)).count()


def converted(
    path: Path,
    frames: Iterable[DelayedFrame],
    size: int | tuple[int, int] | None,
    channels: int,
    fit: str,
    first: int = 1,
) -> Iterator[Tensor]:
    """Each frame as float32 (channels, H, W) in [0, 1], one at a time; `first` is the number of the first, for messages.

    Raises:
        UnreadableError: for a frame that cannot be read, or is of another size than the first.
        ValueError: for arguments that make no sense.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels is {channels}; a clip is read with 1 (grey) or 3 (colour)")
    if fit not in FITS:
        raise ValueError(f"no fit {fit!r}; known are: {', '.join(FITS)}")
    size = None if size is None else pair(size)
    if size is not None and min(size) < 1:
        raise ValueError(f"size {pixels(size)} is not a height and a width of at least 1 pixel")
    shape = None
    for number, delayed in enumerate(frames, first):
        frame = delayed()
        shape = shape or frame.shape[:2]
        check_size(path, number, frame, shape)
        yield convert(frame, size, channels, fit)


def check_size(path: Path, number: int, frame: np.ndarray, expected: Sequence[int]) -> None:
    """``UnreadableError`` for a frame of another size than the first, whose (H, W) is `expected`."""
    if frame.shape[:2] != expected:
        raise UnreadableError(
            f"{path}: frame {number} is {pixels(frame.shape[:2])} pixels and the first is "
            f"{pixels(expected)}; all frames of a clip must be of one size"
        )


def convert(frame: np.ndarray, size: tuple[int, int] | None, channels: int, fit: str) -> Tensor:
    """(H, W) or (H, W, 3), uint8 or float in [0, 1], to float32 (channels, height, width)."""
    if size is not None and fit == "crop":
        frame = _cropped(frame, size)
    tensor = torch.from_numpy(np.array(frame, order="C"))
    tensor = tensor.float().div_(255) if tensor.dtype == torch.uint8 else tensor.float()
    tensor = tensor[None] if tensor.ndim == 2 else tensor.permute(2, 0, 1)
    if channels == 1 and len(tensor) == 3:
        red, green, blue = (channel * weight for channel, weight in zip(tensor, _LUMA, strict=True))
        tensor = (red + green + blue)[None]
    if size is not None:
        tensor = _resized(tensor, size, fit)
    return tensor.expand(channels, -1, -1).clamp(0, 1)


def _cropped(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The largest part of (H, W, ...) around the centre that has the aspect ratio of `size`."""
    height, width = frame.shape[:2]
    kept_height = min(height, max(1, round(width * size[0] / size[1])))
    kept_width = min(width, max(1, round(height * size[1] / size[0])))
    top, left = (height - kept_height) // 2, (width - kept_width) // 2
    return frame[top : top + kept_height, left : left + kept_width]


def _resized(frame: Tensor, size: tuple[int, int], fit: str) -> Tensor:
    """(C, H, W) to (C, *size); with `fit` "pad" in black borders where it has another aspect ratio."""
    height, width = size
    if fit == "pad":
        height = min(height, max(1, round(width * frame.shape[1] / frame.shape[2])))
        width = min(width, max(1, round(size[0] * frame.shape[2] / frame.shape[1])))
    if tuple(frame.shape[1:]) != (height, width):
        frame = F.interpolate(frame[None], size=(height, width), mode="bilinear", antialias=True)[0]
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    if (height, width) == size:
        return frame
    return F.pad(frame, (left, size[1] - width - left, top, size[0] - height - top))
