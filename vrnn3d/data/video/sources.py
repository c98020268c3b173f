"""The frames of a clip one after another, as they are stored, whatever kind of file it is.

A source hands out its frames as functions that still have to be called, so that a frame which is passed over costs no
conversion, and no more than one frame need be held at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import Image, ImageSequence

from vrnn3d.data.video.arrays import ArrayClip
from vrnn3d.data.video.errors import UnreadableError, unreadable

ANIMATIONS = (".gif", ".webp", ".apng")
ARRAYS = (".npy", ".npz")
CONTAINERS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm", ".ppm")

#: Call it for the frame: (H, W) or (H, W, 3), uint8, or float32 in [0, 1]; :class:`UnreadableError` for a bad one.
DelayedFrame = Callable[[], np.ndarray]


class VideoInfo(NamedTuple):
    """What a clip says about itself."""

    frames: int | None  #: their number, None where the container does not say
    rate: float | None  #: frames a second, None where nothing is said
    height: int  #: of a frame in pixels
    width: int  #: of a frame in pixels


class Source(Protocol):
    """A clip of some kind."""

    def info(self) -> VideoInfo:
        """What it says about itself, without decoding it."""
        ...

    def frames(self) -> Iterator[DelayedFrame]:
        """All its frames."""
        ...


def open_source(path: Path, number: int | None = None) -> Source:
    """The clip at `path`, or of an array that holds several the one of that number.

    Raises:
        FileNotFoundError: when there is nothing.
        UnreadableError: when it is no clip, or a damaged one; reading its frames may raise it later too.
    """
    suffix = path.suffix.lower()
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: check the path of the clip")
    if path.is_dir():
        return _Pictures(path)
    if suffix in ANIMATIONS:
        return _Animation(path)
    if suffix in ARRAYS:
        return _Array(path, number)
    if suffix in CONTAINERS:
        return _Container(path)
    known = " ".join((*ANIMATIONS, *ARRAYS, *CONTAINERS))
    raise UnreadableError(f"{path}: clips of kind {suffix or '(no suffix)'} are not read; known are a folder and {known}")


def natural_order(name: str) -> tuple[list[Any], str]:
    """A sort key by which frame2 comes before frame10."""
    parts: list[Any] = re.split(r"(\d+)", name.lower())
    parts[1::2] = map(int, parts[1::2])
    return parts, name


def pictures(folder: Path) -> list[Path]:
    """The pictures in a folder, in the order of their numbers."""
    found = [p for p in folder.iterdir() if p.suffix.lower() in PICTURES and not p.name.startswith(".")]
    return sorted(found, key=lambda path: natural_order(path.name))


def _guarded(path: Path, frames: Iterator[DelayedFrame]) -> Iterator[DelayedFrame]:
    """The same frames; whatever a library raises becomes an :class:`UnreadableError` that names the clip."""
    while True:
        try:
            frame = next(frames, None)
        except UnreadableError:
            raise
        except Exception as error:  # each library has errors of its own; damaged files make Pillow raise IndexError
            raise unreadable(path, error) from None
        if frame is None:
            return
        yield partial(_called, path, frame)


def _called(path: Path, frame: DelayedFrame) -> np.ndarray:
    try:
        return frame()
    except UnreadableError:
        raise
    except Exception as error:  # see _guarded
        raise unreadable(path, error) from None


def _pixels(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I;16"):
        return np.asarray(image, dtype=np.float32) / 65535
    if image.mode in ("I", "F"):
        raise ValueError(f"pictures with {image.mode!r} pixels (32 bit) have no known range; save 8 or 16 bits")
    grey = image.mode in ("1", "L")
    return np.asarray(image.convert("L" if grey else "RGB"))


class _Pictures:
    """A folder of numbered pictures."""

    def __init__(self, path: Path):
        self.paths = pictures(path)
        if not self.paths:
            raise UnreadableError(f"{path} holds no pictures ({' '.join(PICTURES)}): a folder is read as one clip of frames")

    def info(self) -> VideoInfo:
        try:
            with Image.open(self.paths[0]) as image:
                return VideoInfo(len(self.paths), None, image.height, image.width)
        except Exception as error:  # see _guarded
            raise unreadable(self.paths[0], error) from None

    def frames(self) -> Iterator[DelayedFrame]:
        return iter([partial(_called, path, partial(self._read, path)) for path in self.paths])

    @staticmethod
    def _read(path: Path) -> np.ndarray:
        with Image.open(path) as image:
            return _pixels(image)


class _Animation:
    """A gif, webp or apng file; every stored frame counts once, whatever its duration."""

    def __init__(self, path: Path):
        self.path = path

    def info(self) -> VideoInfo:
        try:
            with Image.open(self.path) as image:
                image.load()  # webp tells its duration only then
                duration, count = image.info.get("duration"), int(image.n_frames)  # type: ignore[attr-defined]
                return VideoInfo(count, 1000 / duration if duration else None, image.height, image.width)
        except Exception as error:  # see _guarded
            raise unreadable(self.path, error) from None

    def frames(self) -> Iterator[DelayedFrame]:
        return _guarded(self.path, self._frames())

    def _frames(self) -> Iterator[DelayedFrame]:
        with Image.open(self.path) as image:
            for frame in ImageSequence.Iterator(image):
                yield partial(_pixels, frame.copy())  # the iterator hands out one and the same picture


class _Array:
    """A npy or npz file."""

    def __init__(self, path: Path, number: int | None):
        self.clip = ArrayClip(path, number)

    def info(self) -> VideoInfo:
        return VideoInfo(self.clip.length, None, self.clip.height, self.clip.width)

    def frames(self) -> Iterator[DelayedFrame]:
        return _guarded(self.clip.path, self.clip.frames())


class _Container:
    """A video file, by PyAV."""

    def __init__(self, path: Path):
        self.path = path

    def info(self) -> VideoInfo:
        import av

        try:
            with av.open(str(self.path)) as container:
                stream = _video_stream(container)
                rate = stream.average_rate or stream.guessed_rate
                return VideoInfo(stream.frames or None, float(rate) if rate else None, stream.height, stream.width)
        except Exception as error:  # see _guarded
            raise unreadable(self.path, error) from None

    def frames(self) -> Iterator[DelayedFrame]:
        return _guarded(self.path, self._frames())

    def _frames(self) -> Iterator[DelayedFrame]:
        import av

        with av.open(str(self.path)) as container:
            for frame in container.decode(_video_stream(container)):
                yield partial(frame.to_ndarray, format="rgb24")

    def packets(self) -> int:
        """How many frames are stored, counted without decoding them."""
        import av

        try:
            with av.open(str(self.path)) as container:
                return sum(1 for packet in container.demux(_video_stream(container)) if packet.size)
        except Exception as error:  # see _guarded
            raise unreadable(self.path, error) from None


def _video_stream(container: Any) -> Any:
    if not container.streams.video:
        raise ValueError("it has no video stream")
    return container.streams.video[0]


def count_frames(path: Path, number: int | None = None) -> int:
    """How many frames a clip has, without decoding it. Errors: :func:`open_source`."""
    source = open_source(path, number)
    if isinstance(source, _Container):  # what its header says may be an estimate
        return source.packets()
    return source.info().frames or 0
