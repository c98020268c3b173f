"""Moving MNIST, generated on the CPU or the GPU, the same everywhere.

Each sequence is a function of (seed, stream, index) and of nothing else: not of the batch it comes in, its
neighbours, the device or the length asked for (a longer sequence starts with the same frames). To that end random
draws are a counter-based hash (SplitMix64) in int64 arithmetic, directions come from one table, and positions are
float64 whose products and sums are rounded one by one. Nothing waits for the GPU.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vrnn3d.data import ONLINE_COUNT
from vrnn3d.data.folders import folder
from vrnn3d.data.mnist import Digits, load_mnist
from vrnn3d.data.settings import SPLITS, MovingMNISTData

STREAMS = ("train", "validation", "test", "online")
FIXED_STEP = 0.1  # of the free range per frame, the public generator's: 3.6 pixels at 64 and 28
TEST_FILE_SHA256 = "c2a3e8d3939c001ab77bf543f130157424efa486bb4d0974d2cebb773b13f8b3"

_ANGLE_BITS = 16  # the circle in 65,536 directions
_DRAWS = 5  # per digit: which digit, start y, start x, direction, speed
_WORD = 8  # bytes of an int64
_CPU_CHUNK = 32  # sequences drawn at a time, so that the work stays in the processor's cache


def _signed(value: int) -> int:
    """The int64 with the low 64 bits of `value`."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


_GAMMA, _MUL1, _MUL2 = map(_signed, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical shift to the right (the one of int64 repeats the sign)."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    """The output function of SplitMix64 (Steele, Lea and Flood 2014); int64 products wrap around."""
    x = (x ^ _shift(x, 30)) * _MUL1
    x = (x ^ _shift(x, 27)) * _MUL2
    return x ^ _shift(x, 31)


def _directions() -> Tensor:
    """float64 (65536, 2): (sin, cos) of equidistant angles; from one table, as sines differ between devices."""
    angles = [2 * math.pi * k / (1 << _ANGLE_BITS) for k in range(1 << _ANGLE_BITS)]
    return torch.tensor([(math.sin(a), math.cos(a)) for a in angles], dtype=torch.float64)


def _resized(images: Tensor, size: int) -> Tensor:
    """uint8 (N, size, size), antialiased; on the CPU once, so that all devices draw the same digits."""
    if size == images.shape[-1]:
        return images
    parts = [
        F.interpolate(part[:, None].float(), size=(size, size), mode="bilinear", antialias=True)[:, 0]
        for part in images.cpu().split(4096)
    ]
    return torch.cat(parts).round().clamp(0, 255).to(torch.uint8)


class Tracks(NamedTuple):
    """What moves where: digit, LongTensor (B, D), rows of ``digits.images``; corner, LongTensor (B, T, D, 2), pixels
    (y, x) of each digit's upper left corner."""

    digit: Tensor
    corner: Tensor


class MovingMNIST:
    """Sequences of digits that fly straight, bounce off the walls and overlap by maximum.

    digits: the pool they are drawn from. size: height and width of the frames; digit_size: of the digits, both in
    pixels. speed "fixed": a tenth of the free range (size - digit_size) per frame, as the public generator does;
    "uniform": for each digit a speed uniform over `speed_range`, in pixels per frame. stream: "train",
    "validation", "test" or "online", independent random streams under the same seed. count: number of sequences.

    As in the public generator: the start is uniform over the free range, the direction over the circle; the first
    frame is one step after the start; a digit that reaches a wall stays at it for that frame, and its velocity across
    the wall is reversed; positions are truncated to whole pixels. Two data sets that differ in `digits` only show the
    same motions, which makes the two pools comparable sequence by sequence.
    """

    def __init__(
        self,
        digits: Digits,
        *,
        size: int = 64,
        length: int = 20,
        num_digits: int = 2,
        digit_size: int = 28,
        speed: str = "uniform",
        speed_range: tuple[float, float] = (3.0, 5.0),
        seed: int = 0,
        stream: str = "train",
        count: int = 10_000,
        device: torch.device | str = "cpu",
    ):
        if not 1 <= digit_size < size:
            raise ValueError(f"digits of {digit_size} pixels cannot move in frames of {size}: they must be smaller")
        for name, value in (("length", length), ("num_digits", num_digits), ("count", count)):
            if value < 1:
                raise ValueError(f"{name} is {value}, and must be at least 1")
        if speed not in ("uniform", "fixed"):
            raise ValueError(f"no speed law {speed!r}; known are: uniform, fixed")
        if not 0 <= speed_range[0] <= speed_range[1]:
            raise ValueError(f"speed_range {tuple(speed_range)} must be (low, high) with 0 <= low <= high")
        if stream not in STREAMS:
            raise ValueError(f"no stream {stream!r}; known are: {', '.join(STREAMS)}")
        self.digits, self.size, self.length, self.num_digits = digits, size, length, num_digits
        self.digit_size, self.speed, self.speed_range = digit_size, speed, tuple(speed_range)
        self.seed, self.stream, self.count, self.device = seed, stream, count, torch.device(device)
        self.source = digits.source

        seeded = _mix(torch.tensor(_signed(seed)) + _GAMMA)
        self._key = int(_mix(seeded + _signed(_GAMMA * (STREAMS.index(stream) + 1))))
        draws = torch.arange(1, num_digits * _DRAWS + 1).view(num_digits, _DRAWS) * _GAMMA
        self._draws = draws.to(self.device)
        self._directions = _directions().to(self.device)
        self._images = _resized(digits.images, digit_size).to(self.device)

        # A digit's row is written as whole words: at any of the 8 phases it fits into `words` of them.
        self._words = -(-(digit_size + _WORD - 1) // _WORD)
        self._stride = (size - digit_size) // _WORD + self._words  # words of a canvas row
        rows = torch.arange(digit_size)[:, None] * self._stride + torch.arange(self._words)
        self._offsets = rows.flatten().to(self.device)

    recordable = True

    @property
    def identity(self) -> str:
        """Which digits move: everything else about the frames is a setting."""
        return f"{len(self.digits)} {self.digits.split} digits, {'excerpt' if self.source == 'excerpt' else 'MNIST'}"

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        """One sequence, uint8 (T, 1, H, W)."""
        return self.batch(torch.tensor([index]))[0]

    @property
    def online(self) -> bool:
        return self.stream == "online"

    @property
    def description(self) -> str:
        low, high = self.speed_range
        law = f"uniform in {low:g}-{high:g}" if self.speed == "uniform" else f"{FIXED_STEP * self._free:.3g}"
        count = "endless fresh sequences" if self.online else f"{self.count:,} sequences"
        plural = "s" if self.num_digits > 1 else ""
        return (
            f"Moving MNIST: {self.num_digits} digit{plural} of {self.digit_size} px in {self.size} x {self.size}, "
            f"speed {law} px a frame, drawn from {self.digits.description} (source: {self.source}); "
            f"stream {self.stream}, {count} of {self.length} frames, seed {self.seed}"
        )

    @property
    def _free(self) -> int:
        """Pixels over which a digit's corner can move."""
        return self.size - self.digit_size

    def tracks(self, indices: Tensor) -> Tracks:
        """Which digits move in these sequences and where they are; indices: LongTensor (B,)."""
        indices = torch.as_tensor(indices, dtype=torch.int64)
        if indices.device.type == "cpu" and indices.numel():  # elsewhere the check would wait for the device
            low, high = int(indices.min()), int(indices.max())
            if low < 0 or high >= self.count:
                raise IndexError(f"sequence {low if low < 0 else high} does not exist: there are {self.count:,}")
        key = _mix(indices.to(self.device, non_blocking=True) * _GAMMA + self._key)
        bits = _mix(key[:, None, None] + self._draws)  # (B, D, draws)
        uniform = _shift(bits, 11).to(torch.float64) * 2.0**-53  # in [0, 1)
        digit = (uniform[..., 0] * len(self._images)).to(torch.int64).clamp(max=len(self._images) - 1)
        position = uniform[..., 1:3] * self._free
        velocity = self._directions[_shift(bits[..., 3], 64 - _ANGLE_BITS)]
        if self.speed == "fixed":
            velocity = velocity * (FIXED_STEP * self._free)
        else:
            low, high = self.speed_range
            velocity = velocity * (uniform[..., 4:] * (high - low) + low)
        path = []
        for _ in range(self.length):
            position = position + velocity
            outside = (position <= 0) | (position >= self._free)
            velocity = torch.where(outside, -velocity, velocity)
            position = position.clamp(0, self._free)
            path.append(position)
        return Tracks(digit, torch.stack(path, dim=1).to(torch.int64))

    def batch(self, indices: Tensor, epoch: int = 0) -> Tensor:
        """Frames uint8 (B, T, 1, size, size), values 0..255; indices: LongTensor (B,).

        ``IndexError`` for a sequence outside the set, where `indices` lies on the CPU.
        """
        digit, corner = self.tracks(indices)
        frames = torch.empty(
            len(digit), self.length, self.size, self.size, dtype=torch.uint8, device=self.device
        )
        step = _CPU_CHUNK if self.device.type == "cpu" else max(1, len(digit))
        for start in range(0, len(digit), step):
            part = slice(start, start + step)
            self._draw(digit[part], corner[part], frames[part])
        return frames[:, :, None]

    def _draw(self, digit: Tensor, corner: Tensor, frames: Tensor) -> None:
        """Draw (B, D) digits at (B, T, D, 2) corners into frames (B, T, size, size).

        Rows are copied as 64-bit words, of which a digit has 140 and not 784: each digit is first shifted to all
        8 phases within a word. Every digit has a canvas of its own, so that no word is written twice.
        """
        batch, length, count, _ = corner.shape
        side, words = self.digit_size, self._words
        phases = torch.zeros(batch * count, _WORD, side, words * _WORD, dtype=torch.uint8, device=self.device)
        sprites = self._images[digit.flatten()]
        for phase in range(_WORD):
            phases[:, phase, :, phase : phase + side] = sprites
        y, x = corner.transpose(1, 2).flatten(0, 1).unbind(-1)  # (B * D, T)
        which = torch.arange(batch * count, device=self.device)[:, None]
        rows = phases.view(torch.int64).view(-1, side * words)
        rows = rows.index_select(0, (which * _WORD + x % _WORD).flatten())

        frame = which * length + torch.arange(length, device=self.device)
        first = frame * (self.size * self._stride) + y * self._stride + x // _WORD
        where = first.flatten()[:, None] + self._offsets
        canvas = torch.zeros(
            batch * count * length * self.size * self._stride, dtype=torch.int64, device=self.device
        )
        canvas.scatter_(0, where.flatten(), rows.flatten())
        canvas = canvas.view(torch.uint8).view(batch, count, length, self.size, self._stride * _WORD)
        layers = canvas[..., : self.size].unbind(1)
        if count == 1:
            frames.copy_(layers[0])
            return
        torch.maximum(layers[0], layers[1], out=frames)
        for layer in layers[2:]:
            torch.maximum(frames, layer, out=frames)


class MovingMNISTFile:
    """The public test file ``mnist_test_seq.npy``: 10,000 sequences of 20 frames, 64 x 64, two digits.

    path: default ``<data folder>/moving_mnist/mnist_test_seq.npy``. length: the first `length` of the 20 frames.
    size: 64 only. sha256: what the file must have (about a second is spent on it); None: not checked. Raises
    ``FileNotFoundError`` or ``ValueError`` saying what is wrong and the cure.
    """

    online = False
    recordable = True
    source = "mnist_test_seq.npy"
    identity = TEST_FILE_SHA256

    def __init__(
        self,
        path: Path | str | None = None,
        *,
        length: int = 20,
        size: int = 64,
        device: torch.device | str = "cpu",
        sha256: str | None = TEST_FILE_SHA256,
    ):
        path = Path(path) if path else folder() / "moving_mnist" / "mnist_test_seq.npy"
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: put the public test file there, or use another pool")
        if sha256 is not None:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if digest != sha256:
                raise ValueError(
                    f"{path} has the wrong SHA-256 ({digest[:12]}..., expected {sha256[:12]}...), so it is truncated "
                    "or another file: replace it by the original"
                )
        try:
            self._frames = np.load(path, mmap_mode="r", allow_pickle=False)  # (T, N, H, W)
        except (ValueError, EOFError, OSError):
            raise ValueError(f"{path} is truncated or no .npy file: replace it by the original") from None
        if self._frames.ndim != 4 or self._frames.dtype != np.uint8:
            raise ValueError(
                f"{path} holds {self._frames.dtype} of shape {self._frames.shape}, expected uint8 (20, 10000, 64, 64): "
                "replace it by the original"
            )
        if not 1 <= length <= len(self._frames):
            raise ValueError(f"{path.name} has {len(self._frames)} frames a sequence, and {length} were asked for")
        if self._frames.shape[2:] != (size, size):
            raise ValueError(f"{path.name} has frames of {self._frames.shape[2:]}, and size {size} was asked for")
        self.length, self.size, self.device = length, size, torch.device(device)

    def __len__(self) -> int:
        return self._frames.shape[1]

    def __getitem__(self, index: int) -> Tensor:
        """One sequence, uint8 (T, 1, H, W)."""
        return self.batch(torch.tensor([index]))[0]

    @property
    def description(self) -> str:
        return (
            f"Moving MNIST: the public test file mnist_test_seq.npy, {len(self):,} sequences of {self.length} frames, "
            f"{self.size} x {self.size}"
        )

    def batch(self, indices: Tensor, epoch: int = 0) -> Tensor:
        """Frames uint8 (B, T, 1, H, W); indices: LongTensor (B,)."""
        indices = torch.as_tensor(indices, dtype=torch.int64).cpu()
        if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < len(self):
            raise IndexError(f"a sequence outside 0..{len(self) - 1} was asked for")
        frames = torch.from_numpy(self._frames[: self.length, indices.numpy()])
        return frames.transpose(0, 1)[:, :, None].contiguous().to(self.device)


def build(settings: MovingMNISTData, split: str, pool: str | None, length: int, device="cpu"):
    """The dataset of one split: its own stream of motions; of the test split, of the digits that `pool` names."""
    if pool == "file":
        return MovingMNISTFile(length=length, size=settings.size, device=device)
    online = split == "train" and settings.online
    return MovingMNIST(
        load_mnist(pool if split == "test" else settings.train_pool),
        size=settings.size,
        length=length,
        num_digits=settings.digits,
        digit_size=settings.digit_size,
        speed=settings.speed,
        speed_range=settings.speed_range,
        seed=settings.seed,
        stream="online" if online else split,
        count=ONLINE_COUNT if online else settings.sequences[SPLITS.index(split)],
        device=device,
    )
