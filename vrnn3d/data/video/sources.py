"""The frames of a clip one after another, as they are stored, whatever kind of file it is.

A source hands out its frames as functions that still have to be called, so that a frame which is passed over costs no
conversion, and no more than one frame need be held at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, dropwhile, islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import Image, ImageOps, ImageSequence

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
    """A clip of some kind; frames, height and width are upright, as a viewer shows them."""

    @property
    def top(self) -> int:
        """The largest number that a pixel of its kind can hold, where its frames are not uint8."""
        ...

    def info(self) -> VideoInfo:
        """What it says about itself; no more than its first frame is decoded."""
        ...

    def frames(self, first: int = 0) -> Iterator[DelayedFrame]:
        """Its frames, from number `first` on; what stands before that is decoded only where the format demands it."""
        ...

    def count(self) -> int:
        """How many frames there are, without decoding them."""
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


def _turned(image: Image.Image) -> Image.Image:
    """A picture as its EXIF data say that it is to be shown."""
    try:
        return ImageOps.exif_transpose(image)
    except SyntaxError:  # these data are damaged, which the picture need not be
        return image


class _Pictures:
    """A folder of numbered pictures."""

    top = 65535

    def __init__(self, path: Path):
        self.paths = pictures(path)
        if not self.paths:
            raise UnreadableError(f"{path} holds no pictures ({' '.join(PICTURES)}): a folder is read as one clip of frames")

    def info(self) -> VideoInfo:
        height, width = _called(self.paths[0], partial(self._read, self.paths[0])).shape[:2]
        return VideoInfo(len(self.paths), None, height, width)

    def frames(self, first: int = 0) -> Iterator[DelayedFrame]:
        return iter([partial(_called, path, partial(self._read, path)) for path in self.paths[first:]])

    def count(self) -> int:
        return len(self.paths)

    @staticmethod
    def _read(path: Path) -> np.ndarray:
        with Image.open(path) as image:
            # a phone's jpeg (MPO) is one picture, with a preview or a map of brightness behind it
            if image.format != "MPO" and (pages := getattr(image, "n_frames", 1)) > 1:
                raise UnreadableError(
                    f"{path} holds {pages} pages, and a picture is one frame: save its pages as single pictures, or as one"
                    " npy array"
                )
            return _pixels(_turned(image))


class _Animation:
    """A gif, webp or apng file; every stored frame counts once, whatever its duration."""

    top = 255

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

    def frames(self, first: int = 0) -> Iterator[DelayedFrame]:
        return _guarded(self.path, self._frames(first))

    def _frames(self, first: int) -> Iterator[DelayedFrame]:
        with Image.open(self.path) as image:
            for frame in islice(ImageSequence.Iterator(image), first, None):  # each frame is built upon the one before
                yield partial(_pixels, frame.copy())  # the iterator hands out one and the same picture

    def count(self) -> int:
        return self.info().frames or 0


class _Array:
    """A npy or npz file."""

    def __init__(self, path: Path, number: int | None):
        self.clip = ArrayClip(path, number)
        self.top = self.clip.top

    def info(self) -> VideoInfo:
        return VideoInfo(self.clip.length, None, self.clip.height, self.clip.width)

    def frames(self, first: int = 0) -> Iterator[DelayedFrame]:
        return _guarded(self.clip.path, islice(self.clip.frames(), first, None))

    def count(self) -> int:
        return self.clip.length


class _Container:
    """A video file, by PyAV."""

    top = 255

    def __init__(self, path: Path):
        self.path = path

    def info(self) -> VideoInfo:
        import av

        try:
            with av.open(str(self.path)) as container:
                stream = _video_stream(container)
                rate = stream.average_rate or stream.guessed_rate
                first = next(container.decode(stream), None)  # a stream does not tell how it is turned
                lying = first is not None and _quarter_turns(first) % 2
                height, width = (stream.width, stream.height) if lying else (stream.height, stream.width)
                return VideoInfo(stream.frames or None, float(rate) if rate else None, height, width)
        except Exception as error:  # see _guarded
            raise unreadable(self.path, error) from None

    def frames(self, first: int = 0) -> Iterator[DelayedFrame]:
        return _guarded(self.path, self._frames(first))

    def _frames(self, first: int) -> Iterator[DelayedFrame]:
        import av

        with av.open(str(self.path)) as container:
            stream = _video_stream(container)
            frames = self._sought(container, stream, first) if first else None
            for frame in frames or islice(_decoded(container, stream), first, None):
                yield partial(_upright, frame)

    def _sought(self, container: Any, stream: Any, first: int) -> Iterator[Any] | None:
        """The frames from number `first` on, decoded from the key frame before it; None, and back at the beginning, where
        the file has no such order in time."""
        start = self._time_of(first)
        if start is None:
            return None
        container.seek(start, stream=stream)
        frames = dropwhile(lambda frame: frame.pts is None or frame.pts < start, _decoded(container, stream))
        found = next(frames, None)
        if found is not None and found.pts == start:
            return chain([found], frames)
        container.seek(0, stream=stream)
        return None

    def _time_of(self, number: int) -> int | None:
        """The time at which a frame is shown, in the stream's units; None where only counting finds it."""
        times = self._times()
        usable = None not in times and len(set(times)) == len(times) and number < len(times)
        return sorted(time for time in times if time is not None)[number] if usable else None

    def _times(self) -> list[int | None]:
        """When each stored frame is shown, without decoding them."""
        import av

        try:
            with av.open(str(self.path)) as container:
                return [packet.pts for packet in container.demux(_video_stream(container)) if _is_shown(packet)]
        except Exception as error:  # see _guarded
            raise unreadable(self.path, error) from None

    def count(self) -> int:
        return len(self._times())  # what the header says may be an estimate


def _upright(frame: Any) -> np.ndarray:
    return np.rot90(frame.to_ndarray(format="rgb24"), _quarter_turns(frame))


def _quarter_turns(frame: Any) -> int:
    """By how many quarters a player turns a frame, counter-clockwise: a phone that is held upright films lying frames."""
    return round(getattr(frame, "rotation", 0) / 90)  # old versions of PyAV do not tell


def _is_shown(packet: Any) -> bool:
    """Whether a packet holds a frame that is shown: the last one is empty, and an editor may have cut others off."""
    return bool(packet.size) and not packet.is_discard


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    """The frames of a video from where it was sought to."""
    yield from container.decode(stream)


def _video_stream(container: Any) -> Any:
    if not container.streams.video:
        raise ValueError("it has no video stream")
    return container.streams.video[0]
