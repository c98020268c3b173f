"""Moving MNIST, generated on the CPU or the GPU, the same everywhere.

Each sequence is a function of (seed, stream, index) and of nothing else: not of the batch it comes in, its
neighbours, the device or the length asked for (a longer sequence starts with the same frames). To that end random
draws are a counter-based hash (:mod:`vrnn3d.data.counter_random`), and motion is computed alike everywhere
(:mod:`vrnn3d.data.motion`). Nothing waits for the GPU.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vrnn3d.data import ONLINE_COUNT
from vrnn3d.data.counter_random import GAMMA, mix, signed, uniform, upper_bits
from vrnn3d.data.mnist import Digits, content_hash, load_mnist
from vrnn3d.data.motion import BOUNCES, DIRECTION_BITS, directions, paths
from vrnn3d.data.moving_mnist_file import MovingMNISTFile
from vrnn3d.data.overlay import overlay
from vrnn3d.data.sequences import SequenceDataset, pair, pixels
from vrnn3d.data.settings import MovingMNISTData
from vrnn3d.data.splits import SPLITS

STREAMS = ("train", "validation", "test", "online")
SPEEDS = ("uniform", "fixed")
FIXED_STEP = 0.1  # of the free range per frame, the public generator's: 3.6 pixels at 64 and 28

_DRAWS = 5  # per digit: which digit, start y, start x, direction, speed
#: Counters of further draws, far from those of the digits: the bounces of a digit, the futures of a sequence.
_BOUNCES_FROM, _FUTURES_FROM = 1 << 40, 1 << 41
_CPU_CHUNK = 32  # sequences drawn at a time, so that the work stays in the processor's cache


class Tracks(NamedTuple):
    """What moves where: digit, LongTensor (B, D), rows of ``images``; corner, LongTensor (B, T, D, 2), pixels (y, x) of
    each digit's upper left corner."""

    digit: Tensor
    corner: Tensor


class MovingMNIST(SequenceDataset):
    """SequenceDataset of digits that fly straight, bounce off the walls and overlap by maximum.

    As in the public generator: the start is uniform over the free range, the direction over the circle; the first
    frame is one step after the start; a digit that reaches a wall stays at it for that frame and then leaves it;
    positions are truncated to whole pixels. Two data sets that differ in `images` only show the same motions, which
    makes the two pools of MNIST comparable sequence by sequence.

    Args:
        images: what moves: :class:`~vrnn3d.data.mnist.Digits`, or any pictures (N, h, w), uint8 or float in [0, 1].
        size: height and width of the frames in pixels, one number for both or (height, width).
        length: frames of a sequence.
        num_digits: digits of a sequence.
        digit_size: height and width to which the pictures are resized, by default their own.
        speed: "uniform": for each digit a speed uniform over `speed_range`; "fixed": for all a tenth of the free range
            (frame minus digit, the smaller of both axes) per frame, as the public generator has it.
        speed_range: lowest and highest speed in pixels a frame.
        bounce: "mirror": the velocity across the wall is reversed, so that the future is fixed once the past is known;
            "random", after Stochastic Moving MNIST (Denton and Fergus, "Stochastic video generation with a learned
            prior", ICML 2018): at each bounce the digit takes a new direction, uniform over those that lead away from
            the walls it touches, and with `speed` "uniform" a new speed.
        seed: of the whole data set.
        stream: "train", "validation", "test" or "online", independent random streams under the same seed.
        count: number of sequences.
        device: where batches are made; on an Apple GPU ("mps") it is the CPU that makes them.

    Raises:
        ValueError: naming the argument, its value and what it may be.
    """

    recordable = True

    def __init__(
        self,
        images: Digits | Tensor | np.ndarray,
        *,
        size: int | tuple[int, int] = 64,
        length: int = 20,
        num_digits: int = 2,
        digit_size: int | tuple[int, int] | None = None,
        speed: str = "uniform",
        speed_range: tuple[float, float] = (3.0, 5.0),
        bounce: str = "mirror",
        seed: int = 0,
        stream: str = "train",
        count: int = 10_000,
        device: torch.device | str = "cpu",
    ):
        self._digits = images if isinstance(images, Digits) else None
        self.images = images.images if isinstance(images, Digits) else _as_pictures(images)
        self.size = pair(size)
        self.digit_size = pair(digit_size) if digit_size is not None else pair(self.images.shape[1:])
        self.free = (self.size[0] - self.digit_size[0], self.size[1] - self.digit_size[1])
        if min(self.digit_size) < 1 or min(self.free) < 1:
            raise ValueError(
                f"digits of {pixels(self.digit_size)} pixels cannot move in frames of {pixels(self.size)}: they must be smaller"
            )
        for name, value in (("length", length), ("num_digits", num_digits), ("count", count)):
            if value < 1:
                raise ValueError(f"{name} is {value}, and must be at least 1")
        for name, chosen, known in (("speed", speed, SPEEDS), ("bounce", bounce, BOUNCES), ("stream", stream, STREAMS)):
            if chosen not in known:
                raise ValueError(f"no {name} {chosen!r}; known are: {', '.join(known)}")
        if not 0 <= speed_range[0] <= speed_range[1]:
            raise ValueError(f"speed_range {tuple(speed_range)} must be (low, high) with 0 <= low <= high")
        self.length, self.num_digits, self.count = length, num_digits, count
        self.speed, self.speed_range, self.bounce = speed, tuple(speed_range), bounce
        self.seed, self.stream = seed, stream
        # Positions are float64 numbers, which Apple's GPUs do not have.
        self.device = torch.device("cpu" if torch.device(device).type == "mps" else device)
        self.online = stream == "online"
        self.source = self._digits.source if self._digits else "given"

        seeded = mix(torch.tensor(signed(seed)) + GAMMA)
        self._key = int(mix(seeded + signed(GAMMA * (STREAMS.index(stream) + 1))))
        draws = torch.arange(1, num_digits * _DRAWS + 1).view(num_digits, _DRAWS) * GAMMA
        self._draws = draws.to(self.device)
        self._free = torch.tensor(self.free, dtype=torch.float64).to(self.device)
        self._directions = directions().to(self.device)
        self._images = _resized(self.images, self.digit_size).to(self.device)

    def __len__(self) -> int:
        return self.count

    @cached_property
    def identity(self) -> str:
        """Which pictures move: everything else about the frames is a setting."""
        return self._digits.identity if self._digits else content_hash(self.images)

    @property
    def step(self) -> float:
        """Pixels a frame of speed "fixed"."""
        return FIXED_STEP * min(self.free)

    @property
    def description(self) -> str:
        low, high = self.speed_range
        law = f"uniform in {low:g}-{high:g}" if self.speed == "uniform" else f"{self.step:.3g}"
        count = "endless fresh sequences" if self.online else f"{self.count:,} sequences"
        side = str(self.digit_size[0]) if self.digit_size[0] == self.digit_size[1] else pixels(self.digit_size)
        what = "digit" if self._digits else "picture"
        name = "Moving MNIST" if self._digits else "Moving pictures"
        given = f"{len(self.images):,} pictures of {pixels(pair(self.images.shape[1:]))} pixels"
        return (
            f"{'Stochastic ' if self.bounce == 'random' else ''}{name}: "
            f"{self.num_digits} {what}{'s' if self.num_digits > 1 else ''} of {side} px in {pixels(self.size)}, "
            f"speed {law} px a frame, {self.bounce} bounces, drawn from "
            f"{self._digits.description if self._digits else given} (source: {self.source}); "
            f"stream {self.stream}, {count} of {self.length} frames, seed {self.seed}"
        )

    # ---- motion -----------------------------------------------------------------------------------------------------

    def _keys(self, indices: Any) -> Tensor:
        """int64 (B,): what all draws of a sequence are made of."""
        return mix(self._numbers(indices).to(self.device, non_blocking=True) * GAMMA + self._key)

    def _velocity(self, direction: Tensor, speed: Tensor) -> Tensor:
        """(..., 2) pixels a frame, of random bits (...) each for direction and speed."""
        velocity = self._directions[upper_bits(direction, DIRECTION_BITS)]
        if self.speed == "fixed":
            return velocity * self.step
        low, high = self.speed_range
        return velocity * (uniform(speed)[..., None] * (high - low) + low)

    def _starts(self, keys: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Which digits (B, D), where they start (B, D, 2) and how fast they move (B, D, 2)."""
        bits = mix(keys[:, None, None] + self._draws)  # (B, D, draws)
        last = len(self._images) - 1
        digit = (uniform(bits[..., 0]) * len(self._images)).to(torch.int64).clamp(max=last)
        return digit, uniform(bits[..., 1:3]) * self._free, self._velocity(bits[..., 3], bits[..., 4])

    def _turns(self, keys: Tensor, length: int) -> Tensor | None:
        """The velocities (B, length, D, 2) that digits take up at random bounces, a function of key, digit and frame."""
        if self.bounce == "mirror":
            return None
        digits = torch.arange(self.num_digits, device=self.device) + _BOUNCES_FROM
        of_digit = mix(keys[:, None] + digits * GAMMA)[:, None, :, None]  # (B, 1, D, 1)
        draws = torch.arange(1, 2 * length + 1, device=self.device).view(length, 1, 2)  # direction and speed of each frame
        bits = mix(of_digit + draws * GAMMA)
        return self._velocity(bits[..., 0], bits[..., 1])

    def positions(self, indices: Any) -> Tensor:
        """Where digits are before truncation to whole pixels, float64 (B, T, D, 2) within [0, free]; indices: LongTensor (B,).

        A digit that touches a wall in a frame is at 0 or at ``free`` exactly.
        """
        keys = self._keys(indices)
        _, start, velocity = self._starts(keys)
        return paths(start, velocity, self._free, self.length, self._turns(keys, self.length))

    def tracks(self, indices: Any) -> Tracks:
        """Which digits move in these sequences and where they are; indices: LongTensor (B,)."""
        digit, _, _ = self._starts(self._keys(indices))
        return Tracks(digit, self.positions(indices).to(torch.int64))

    def future_tracks(self, index: int, context: int, n: int, length: int | None = None) -> Tracks:
        """:meth:`tracks` of what :meth:`futures` shows, with B = n."""
        length = self.length if length is None else length
        if n < 1 or not 1 <= context <= length:
            raise ValueError(f"n is {n} and context {context}; n must be at least 1, and context from 1 to length {length}")
        keys = self._keys([index])
        digit, start, velocity = self._starts(keys)
        futures = torch.arange(n, device=self.device) + _FUTURES_FROM
        turns, drawn = self._turns(keys, length), self._turns(mix(keys + futures * GAMMA), length)
        if turns is not None and drawn is not None:
            # Where a digit leaves the wall that it met in the last frame of the context is first seen after it.
            unseen = torch.arange(length, device=self.device) >= context - 1
            turns = torch.where(unseen[:, None, None], drawn, turns)
        corner = paths(start.expand(n, -1, -1), velocity.expand(n, -1, -1), self._free, length, turns)
        return Tracks(digit.expand(n, -1), corner.to(torch.int64))

    # ---- frames -----------------------------------------------------------------------------------------------------

    def batch(self, indices: Tensor, epoch: int = 0) -> Tensor:
        """Frames uint8 (B, T, 1, H, W), values 0..255; indices: LongTensor (B,).

        Raises:
            IndexError: for a sequence outside the set, where `indices` lies on the CPU.
        """
        return self._drawn(self.tracks(indices))

    def futures(self, index: int, context: int, n: int, length: int | None = None) -> Tensor:
        """Continuations of one sequence, uint8 (n, length, 1, H, W), that agree in its first `context` frames.

        Each is as likely as the sequence itself, which is not one of them: bounces whose outcome is not seen in the
        context are drawn anew, future k's as a function of (seed, stream, index, k). With bounce "mirror" nothing is
        left to draw, and all are equal to the sequence.

        Args:
            index: number of the sequence.
            context: how many frames are common to all.
            n: how many continuations.
            length: frames of each, context included; by default those of a sequence.

        Raises:
            IndexError: for a sequence outside the set.
            ValueError: for n below 1, or a context that is not within 1 .. length.
        """
        return self._drawn(self.future_tracks(index, context, n, length))

    def _drawn(self, tracks: Tracks) -> Tensor:
        count, length = tracks.corner.shape[:2]
        frames = torch.empty(count, length, *self.size, dtype=torch.uint8, device=self.device)
        step = _CPU_CHUNK if self.device.type == "cpu" else max(1, count)
        for start in range(0, count, step):
            part = slice(start, start + step)
            overlay(self._images[tracks.digit[part]], tracks.corner[part], frames[part])
        return frames[:, :, None]


def _as_pictures(images: Tensor | np.ndarray) -> Tensor:
    """uint8 (N, h, w) on the CPU, of pictures that are uint8, bool, or float in [0, 1]."""
    pictures = torch.as_tensor(images).detach().cpu()
    if pictures.ndim != 3 or 0 in pictures.shape:
        raise ValueError(f"images have shape {tuple(pictures.shape)}; pictures are (N, height, width), one at least")
    if pictures.dtype == torch.uint8:
        return pictures
    if pictures.dtype == torch.bool:
        return pictures.to(torch.uint8) * 255
    if not pictures.is_floating_point():
        raise ValueError(f"images are of {pictures.dtype}; pictures are uint8 from 0 to 255, or float from 0 to 1")
    if not bool(((pictures >= 0) & (pictures <= 1)).all()):  # NaN neither
        raise ValueError(f"images have values from {pictures.min():g} to {pictures.max():g}; floats must lie from 0 to 1")
    return (pictures * 255).round().to(torch.uint8)


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """uint8 (N, *size), antialiased; on the CPU once, so that all devices draw the same digits."""
    if size == tuple(images.shape[1:]):
        return images
    parts = [
        F.interpolate(part[:, None].float(), size=size, mode="bilinear", antialias=True)[:, 0]
        for part in images.cpu().split(4096)
    ]
    return torch.cat(parts).round().clamp(0, 255).to(torch.uint8)


def build(
    settings: MovingMNISTData, split: str, pool: str | None, length: int, device: Any = "cpu"
) -> MovingMNIST | MovingMNISTFile:
    """The dataset of one split: its own stream of motions; of the test split, of the digits that `pool` names."""
    if split == "test" and pool == "file":
        return MovingMNISTFile(length=length, size=settings.size, device=device)
    online = split == "train" and settings.online
    return MovingMNIST(
        load_mnist((pool or "test") if split == "test" else settings.train_pool),
        size=settings.size,
        length=length,
        num_digits=settings.digits,
        digit_size=settings.digit_size,
        speed=settings.speed,
        speed_range=settings.speed_range,
        bounce=settings.bounce,
        seed=settings.seed,
        stream="online" if online else split,
        count=ONLINE_COUNT if online else settings.sequences[SPLITS.index(split)],
        device=device,
    )
