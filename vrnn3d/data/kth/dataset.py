"""KTH Actions (Schuldt, Laptev, Caputo, ICPR 2004): people who walk, jog, run, box, wave and clap, as grey frames.

Clips are ``$VRNN3D_DATA/kth`` or what ``vrnn3d data kth`` downloaded; any subset works and is called so. A window lies
within one action interval of one clip, and a person belongs to one split: 1-16 to training (of them 11 and 15 to
validation), 17-25 to the test; test windows start as far apart as training windows do. Frames are resized
without keeping the aspect ratio of 160 x 120, as PredRNN and E3D-LSTM do, but by area where they shrink.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vrnn3d.data.kth.augment import arguments, augmented
from vrnn3d.data.kth.cache import REMEDY, Cache, Clip, load
from vrnn3d.data.kth.clips import TOTAL, split_persons
from vrnn3d.data.sequences import MappedArray, SequenceDataset, pixels
from vrnn3d.data.settings import KTHData
from vrnn3d.data.splits import check_split

#: Frames between the starts of two windows (PredRNN's): fast actions leave the picture soon, so they get more.
STRIDE, FAST_STRIDE, FAST = 20, 3, ("jogging", "running")


def subset_name(clips: int) -> str:
    """What results on so many of the 599 clips are called: "KTH", or "KTH, N-clip subset"."""
    return "KTH" if clips >= TOTAL else f"KTH, {clips}-clip subset"


class KTH(SequenceDataset):
    """Windows of `length` frames of one split.

    Training windows are in the order of the clips; those of validation and test are in a fixed shuffled order (of
    `seed`), so that the first N of them are a sample of all.

    Attributes:
        windows: (clip name, first frame in the clip, from 0) of each window.
        actions: the action of each window.
        clips: names of the clips of the split.
        persons: numbers of the persons of the split.

    Args:
        cache: the decoded clips.
        split: "train", "validation" or "test".
        length: frames of a window.
        seed: of the order and of the augmentation.
        device: where batches are put.
        augment: any of "flip", "crop" and "reverse" (see :func:`~vrnn3d.data.kth.augment.augmented`), in training only.
        shuffled: whether the order is shuffled, by default all but the training split.

    Raises:
        ValueError: when no clip is of use to the split, or for an argument that makes no sense.
    """

    recordable = False  # frames show real people

    def __init__(
        self,
        cache: Cache,
        split: str,
        *,
        length: int = 20,
        seed: int = 0,
        device: torch.device | str = "cpu",
        augment: tuple[str, ...] = (),
        shuffled: bool | None = None,
    ):
        check_split(split)
        if length < 1:
            raise ValueError(f"length is {length}, and must be at least 1")
        if augment and split != "train":
            raise ValueError(f"the {split} split is measured as it is: augment the train split only")
        persons = split_persons({clip.person for clip in cache.clips})[split]
        clips = [clip for clip in cache.clips if clip.person in persons]
        if not clips:
            wanted = "1-16 (two at least)" if split != "test" else "17-25"
            raise ValueError(
                f"the {split} split needs clips of persons {wanted}, and {cache.folder} has none left for it: {REMEDY}"
            )
        found = [(clip, start, at) for clip in clips for start, at in clip_windows(clip, length)]
        if not found:
            raise ValueError(
                f"no action interval of the {len(clips)} {split} clips of KTH in {cache.folder} has {length} frames: "
                "ask for a shorter length, or add clips"
            )
        if split != "train" if shuffled is None else shuffled:
            found.sort(key=lambda w: hashlib.sha256(f"{seed}/{w[0].name}/{w[1]}".encode()).digest())
        self._augment = arguments(augment) if augment else None
        self.length, self.split, self.seed, self.device = length, split, seed, torch.device(device)
        self.size, self.source = cache.size, cache.source
        self.windows = [(clip.name, start) for clip, start, _ in found]
        self.actions = [clip.action for clip, _, _ in found]
        self.clips = [clip.name for clip in clips]
        self.persons = sorted(persons)
        self._file, self._name = MappedArray(cache.path), subset_name(len(cache.clips))
        self._offsets = np.array([at for _, _, at in found])

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def identity(self) -> str:
        """Which clips the windows are of."""
        return hashlib.sha256(" ".join(self.clips).encode()).hexdigest()[:16]

    @property
    def description(self) -> str:
        """One line for a reader."""
        persons = ", ".join(map(str, self.persons))
        return (
            f"{self._name}: {len(self.clips)} {self.split} clips of persons {persons}, {len(self):,} windows of "
            f"{self.length} frames, starts {STRIDE} apart ({FAST_STRIDE} for {' and '.join(FAST)}), grey, "
            f"{pixels(self.size)}"
        )

    def batch(self, indices: Any, epoch: int = 0) -> Tensor:
        """Frames uint8 (B, T, 1, H, W), values 0..255, on ``device``; indices: LongTensor (B,) of window numbers.

        What augmentation does to a window depends on (data seed, index, epoch) alone.
        """
        indices = self._numbers(torch.as_tensor(indices).cpu())
        chosen = self._offsets[indices.numpy()]
        frames = torch.from_numpy(self._file.array[chosen[:, None] + np.arange(self.length)])[:, :, None]
        if self._augment is not None:
            actions = [self.actions[index] for index in indices.tolist()]
            frames = augmented(frames, indices, seed=self.seed, epoch=epoch, actions=actions, **self._augment)
        return frames.to(self.device)


def clip_windows(clip: Clip, length: int) -> list[tuple[int, int]]:
    """(first frame in the clip, first frame in the cache) of every window of `length` frames, none across intervals."""
    stride = FAST_STRIDE if clip.action in FAST else STRIDE
    return [
        (start, interval.offset + start - interval.start)
        for interval in clip.intervals
        for start in range(interval.start, interval.stop - length + 1, stride)
    ]


def build(settings: KTHData, split: str, pool: str | None, length: int, device: Any = "cpu") -> KTH:
    """The dataset of one split; decodes the clips at the first call, never downloads.

    As a test set, the pool "train" holds windows of the persons that training saw.

    Raises:
        FileNotFoundError: when there are no clips, saying what to do.
        ValueError: when no clip is of use to the split.
    """
    cache = load(settings.size)
    if split == "test" and pool == "train":
        return KTH(cache, "train", length=length, seed=settings.seed, device=device, shuffled=True)
    augment = settings.augment if split == "train" else ()
    return KTH(cache, split, length=length, seed=settings.seed, device=device, augment=augment)
