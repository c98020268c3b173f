"""Clips in .npy and .npz files: which axes they have, and their frames one after another.

A clip is (T, H, W), (T, H, W, C) or (T, C, H, W) with C = 1, 3 or 4; several clips are (N, T, H, W), (N, T, H, W, C) or
(N, T, C, H, W). Of four axes the second or the last is taken for channels where it has 1, 3 or 4 entries. The public test file
of Moving MNIST, whose first axis is time, is known by its name or its shape.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vrnn3d.data.video.errors import UnreadableError, unreadable

_CHANNELS = (1, 3, 4)
_PUBLIC_TEST_FILE, _PUBLIC_TEST_SHAPE = "mnist_test_seq.npy", (20, 10_000, 64, 64)  # (T, N, H, W)
_AXES = "a clip is (T, H, W), (T, H, W, C) or (T, C, H, W) with C = 1, 3 or 4"
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class Stored(NamedTuple):
    """An array in a file: its shape and type, and a function that goes through its first axis, item by item.

    Given a number, the function goes through the item of that number instead.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    items: Callable[[int | None], Iterator[np.ndarray]]


def open_array(path: Path) -> Stored:
    """The array of a .npy file, or the one called "frames" or the only one of a .npz file.

    Raises:
        UnreadableError: for a damaged file, or several arrays of which none is called "frames".
    """
    try:
        if path.suffix.lower() == ".npz":
            return _open_npz(path)
        array = np.load(path, allow_pickle=False, mmap_mode="r")
        if array.shape == _PUBLIC_TEST_SHAPE or (path.name == _PUBLIC_TEST_FILE and array.ndim == 4):
            array = array.swapaxes(0, 1)
        return Stored(array.shape, array.dtype, lambda number: iter(array if number is None else array[number]))
    except UnreadableError:
        raise
    except Exception as error:  # whatever a damaged file makes zipfile, zlib or NumPy raise
        raise unreadable(path, error) from None


def _open_npz(path: Path) -> Stored:
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        if "frames" not in names and len(names) != 1:
            raise UnreadableError(f"{path} holds {len(names)} arrays ({', '.join(names)}); name the clip 'frames'")
        member = f"{'frames' if 'frames' in names else names[0]}.npy"
        with archive.open(member) as stream:
            shape, columns_first, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
    if dtype.hasobject:
        raise UnreadableError(f"{path} cannot be read (it holds Python objects): save one array of numbers")
    whole = columns_first or not shape or axes_of(path, shape).several
    return Stored(shape, dtype, partial(_unpacked if whole else _stream, path, member))


def _stream(path: Path, member: str, number: None) -> Iterator[np.ndarray]:
    """The items of the first axis, unpacked one at a time."""
    with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
        shape, _, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
        size = int(np.prod(shape[1:])) * dtype.itemsize
        for _ in range(shape[0]):
            data = stream.read(size)
            if len(data) < size:
                raise EOFError("it ends within the array")
            yield np.frombuffer(data, dtype).reshape(shape[1:])


@lru_cache(maxsize=1)
def _whole(path: Path, member: str, changed: float) -> np.ndarray:
    with np.load(path, allow_pickle=False) as archive:
        return archive[member.removesuffix(".npy")]


def _unpacked(path: Path, member: str, number: int | None) -> Iterator[np.ndarray]:
    """As `Stored.items`, out of the whole array, which stays in memory for the next clip of the file."""
    array = _whole(path, member, path.stat().st_mtime)
    return iter(array if number is None else array[number])


class Axes(NamedTuple):
    """What the axes of an array are: several clips or one, and where the channels are, "last", "first" or "none"."""

    several: bool
    channels: str


def axes_of(path: Path, shape: tuple[int, ...]) -> Axes:
    """How an array's shape is understood.

    Raises:
        UnreadableError: when it is neither a clip nor several; the message says what a clip is.
    """
    several = len(shape) == 5 or (len(shape) == 4 and not {shape[1], shape[-1]} & set(_CHANNELS))
    clip = shape[1:] if several else shape
    if len(clip) not in (3, 4):
        raise UnreadableError(f"{path} has shape {shape}; {_AXES}")
    channels = "none" if len(clip) == 3 else "last" if clip[-1] in _CHANNELS else "first"
    if (channels == "first" and clip[1] not in _CHANNELS) or 0 in (
        clip[1:] if channels == "none" else clip[1:3] if channels == "last" else clip[2:]
    ):
        raise UnreadableError(f"{path} has shape {shape}; {_AXES}")
    return Axes(several, channels)


def clips_in(path: Path) -> int | None:
    """How many clips an array holds, None where it is a single one. Errors: :func:`open_array`, :func:`axes_of`."""
    stored = open_array(path)
    return stored.shape[0] if axes_of(path, stored.shape).several else None


class ArrayClip:
    """A clip in an array; `number` chooses among several.

    Raises:
        UnreadableError: saying what is wrong with the file.
    """

    def __init__(self, path: Path, number: int | None = None):
        stored = open_array(path)
        axes = axes_of(path, stored.shape)
        if axes.several and number is None:
            raise UnreadableError(f"{path} has shape {stored.shape}, which is several clips (N, T, H, W); {_AXES}")
        if stored.dtype.kind not in "buif":
            raise UnreadableError(f"{path} holds {stored.dtype}; a clip is of unsigned integers, or of floats in [0, 1]")
        self.path, self.number, self._stored, self._channels = path, number, stored, axes.channels
        shape = stored.shape[1:] if axes.several else stored.shape
        self.length, self.top = shape[0], _top(stored.dtype)
        self.height, self.width = shape[2:] if self._channels == "first" else shape[1:3]

    def frames(self) -> Iterator[Callable[[], np.ndarray]]:
        """Functions that return (H, W) or (H, W, 3), uint8, or float32 in [0, 1]."""
        for number, item in enumerate(self._stored.items(self.number), 1):
            yield partial(self._frame, number, item)

    def _frame(self, number: int, item: np.ndarray) -> np.ndarray:
        frame = np.moveaxis(item, 0, -1) if self._channels == "first" else item
        if frame.ndim == 3:
            frame = frame[..., 0] if frame.shape[-1] == 1 else frame[..., :3]
        return _scaled(f"{self.path}: frame {number}", np.asarray(frame))


def _top(dtype: np.dtype) -> int:
    """The number that is white."""
    return int(np.iinfo(dtype).max) if dtype.kind == "u" else 255 if dtype.kind == "i" else 1


def _scaled(where: str, frame: np.ndarray) -> np.ndarray:
    """uint8 as it is, anything else as float32 in [0, 1]."""
    kind = frame.dtype.kind
    top = _top(frame.dtype)
    if kind == "f" and not np.isfinite(frame).all():
        raise UnreadableError(f"{where} holds NaN or infinite values; replace them before reading")
    if kind in "if" and (frame.min() < 0 or frame.max() > top):
        raise UnreadableError(
            f"{where} has values from {frame.min():g} to {frame.max():g}, and {frame.dtype} must "
            f"lie in 0..{top}: rescale the clip"
        )
    return frame if frame.dtype == np.uint8 else frame.astype(np.float32) / top
