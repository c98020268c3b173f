"""KTH Actions (Schuldt, Laptev, Caputo, ICPR 2004): people who walk, jog, run, box, wave and clap, as grey frames.

Clips are ``$VRNN3D_DATA/kth`` or what ``vrnn3d data kth`` downloaded; any subset works and is called so. A window lies
within one action interval of one clip, and a person belongs to one split: 1-16 to training (of them 11 and 15 to
validation), 17-25 to the test; test windows start as far apart as training windows do. Frames are resized to
size x size without keeping the aspect ratio of 160 x 120, as PredRNN and E3D-LSTM do, but by area where they shrink.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vrnn3d.data.folders import cache_folder
from vrnn3d.data.kth.cache import CURE, Cache, Clip, KTHWarning, clips_folder, load
from vrnn3d.data.kth.fetch import fetch_kth
from vrnn3d.data.settings import KTHData
from vrnn3d.data.kth.clips import ACTIONS, TOTAL, split_persons

__all__ = ["ACTIONS", "KTH", "KTHReport", "KTHWarning", "augmented", "build", "fetch_kth", "prepare_kth"]

#: Frames between the starts of two windows (PredRNN's): fast actions leave the picture soon, so they get more.
STRIDE, FAST_STRIDE, FAST = 20, 3, ("jogging", "running")
#: Arms that wave or clap come back as they went. A punch need not look like its return, and nobody walks backwards.
REVERSIBLE = ("handwaving", "handclapping")
#: What :meth:`KTH.batch` can do to training windows, and with which arguments of :func:`augmented`.
AUGMENTATIONS = {"flip": dict(flip=0.5), "crop": dict(crop=0.2), "reverse": dict(reverse=0.5)}
_SPLITS = ("train", "validation", "test")


def subset_name(clips: int) -> str:
    """What results on so many of the 599 clips are called: "KTH", or "KTH, N-clip subset"."""
    return "KTH" if clips >= TOTAL else f"KTH, {clips}-clip subset"


class KTH:
    """Windows of `length` frames of one split; ``windows`` has (clip name, first frame in the clip, from 0) of each.

    Training windows are in the order of the clips; those of validation and test are in a fixed shuffled order (of
    `seed`), so that the first N of them are a sample of all. ``actions``: the action of each window.
    """

    online = False
    recordable = False  # frames show real people

    def __init__(
        self,
        cache: Cache,
        split: str,
        *,
        length: int = 20,
        seed: int = 0,
        device="cpu",
        augment: tuple[str, ...] = (),
        shuffled: bool | None = None,
    ):
        if split not in _SPLITS:
            raise ValueError(f"no split {split!r}; known are: {', '.join(_SPLITS)}")
        if length < 1:
            raise ValueError(f"length is {length}, and must be at least 1")
        persons = split_persons({clip.person for clip in cache.clips})[split]
        clips = [clip for clip in cache.clips if clip.person in persons]
        if not clips:
            wanted = "1-16 (two at least)" if split != "test" else "17-25"
            raise ValueError(
                f"the {split} split needs clips of persons {wanted}, and {cache.folder} has none left for it: {CURE}"
            )
        found = [(clip, start, at) for clip in clips for start, at in clip_windows(clip, length)]
        if not found:
            raise ValueError(
                f"no action interval of the {len(clips)} {split} clips of KTH in {cache.folder} has {length} frames: "
                "ask for a shorter length, or add clips"
            )
        if split != "train" if shuffled is None else shuffled:
            found.sort(key=lambda w: hashlib.sha256(f"{seed}/{w[0].name}/{w[1]}".encode()).digest())
        self.augment = augment
        self.length, self.split, self.seed, self.device = length, split, seed, torch.device(device)
        self.size, self.source = cache.frames.shape[1], cache.source
        self.windows = [(clip.name, start) for clip, start, _ in found]
        self.actions = [clip.action for clip, _, _ in found]
        self.clips = [clip.name for clip in clips]
        self.persons = sorted(persons)
        self._frames, self._name = cache.frames, subset_name(len(cache.clips))
        self._offsets = np.array([at for _, _, at in found])

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> Tensor:
        """One window, uint8 (T, 1, H, W)."""
        return self.batch(torch.tensor([index]))[0]

    @property
    def identity(self) -> str:
        """Which clips the windows are of."""
        return hashlib.sha256(" ".join(self.clips).encode()).hexdigest()[:16]

    @property
    def description(self) -> str:
        persons = ", ".join(map(str, self.persons))
        return (
            f"{self._name}: {len(self.clips)} {self.split} clips of persons {persons}, {len(self):,} windows of "
            f"{self.length} frames, starts {STRIDE} apart ({FAST_STRIDE} for {' and '.join(FAST)}), grey, "
            f"{self.size} x {self.size}"
        )

    def batch(self, indices: Tensor, epoch: int = 0) -> Tensor:
        """Frames uint8 (B, T, 1, H, W), values 0..255, on ``device``; indices: LongTensor (B,) of window numbers.

        augment: any of "flip", "crop", "reverse" (see :func:`augmented`; only of the training split). What is done to
        a window depends on (data seed, index, epoch) alone. Raises ``ValueError`` naming an unknown augmentation.
        """
        indices = torch.as_tensor(indices, dtype=torch.int64).cpu()
        chosen = self._offsets[indices.numpy()]
        frames = torch.from_numpy(self._frames[chosen[:, None] + np.arange(self.length)])[:, :, None]
        if augment := self.augment:
            if unknown := [name for name in augment if name not in AUGMENTATIONS]:
                raise ValueError(f"no augmentation {', '.join(unknown)}; known are: {', '.join(AUGMENTATIONS)}")
            if self.split != "train":
                raise ValueError(f"the {self.split} split is measured as it is: augment the train split only")
            options = dict(flip=0.0, actions=[self.actions[index] for index in indices.tolist()])
            for name in augment:
                options |= AUGMENTATIONS[name]
            frames = augmented(frames, indices, seed=self.seed, epoch=epoch, **options)
        return frames.to(self.device)


def clip_windows(clip: Clip, length: int) -> list[tuple[int, int]]:
    """(first frame in the clip, first frame in the cache) of every window of `length` frames, none across intervals."""
    stride = FAST_STRIDE if clip.action in FAST else STRIDE
    return [
        (start, interval.offset + start - interval.start)
        for interval in clip.intervals
        for start in range(interval.start, interval.stop - length + 1, stride)
    ]


def build(settings: KTHData, split: str, pool: str | None, length: int, device="cpu") -> KTH:
    """The dataset of one split; decodes the clips at the first call, never downloads.

    As a test set, the pool "train" holds windows of the persons that training saw.

    Raises ``FileNotFoundError`` with the cure when there are no clips, ``ValueError`` when none is of use to the split.
    """
    cache = load(settings.size)
    if split == "test" and pool == "train":
        return KTH(cache, "train", length=length, seed=settings.seed, device=device, shuffled=True)
    augment = settings.augment if split == "train" else ()
    return KTH(cache, split, length=length, seed=settings.seed, device=device, augment=augment)


# ---- augmentation ---------------------------------------------------------------------------------------------------


def augmented(
    batch: Tensor,
    indices: Tensor,
    *,
    seed: int = 0,
    epoch: int = 0,
    flip: float = 0.5,
    crop: float = 0.0,
    reverse: float = 0.0,
    actions: list[str] | None = None,
) -> Tensor:
    """The batch (B, T, C, H, W), uint8 or float, with each sequence changed as a whole; same shape and type.

    flip: probability of a left-right mirror image (every action is as likely either way). crop: at most this fraction
    of height and width is cut off, at a random place, and the rest is enlarged again. reverse: probability of playing
    backwards, 0 by default, and only of the actions in ``REVERSIBLE``; ``actions`` then names the action of each
    sequence. Elsewhere time has a direction: played backwards, people would walk backwards, which no test clip shows.
    What happens to sequence b depends on (seed, indices[b], epoch) alone. Meant for training only.
    """
    if batch.ndim != 5 or len(indices) != len(batch):
        raise ValueError(f"a batch (B, T, C, H, W) and B indices are needed, not {tuple(batch.shape)}, {len(indices)}")
    for name, value in (("flip", flip), ("crop", crop), ("reverse", reverse)):
        if not 0 <= value <= 1 or (name == "crop" and value == 1):
            raise ValueError(f"{name} is {value}; it must lie in [0, 1{')' if name == 'crop' else ']'}")
    if reverse and (actions is None or len(actions) != len(batch)):
        raise ValueError("reverse needs actions, one for each sequence: only some actions may be played backwards")
    changed = []
    for number, (video, index) in enumerate(zip(batch, indices.tolist())):
        # arrays, because NumPy would turn a list with a number beyond 2**63 into floats and round it
        key, counter = np.array([seed % 2**64, index], np.uint64), np.array([0, 0, 0, epoch], np.uint64)
        chance = np.random.Generator(np.random.Philox(key=key, counter=counter)).random(5)
        if chance[0] < flip:
            video = video.flip(-1)
        if reverse and chance[1] < reverse and actions[number] in REVERSIBLE:
            video = video.flip(0)
        changed.append(_cropped(video, 1 - crop * chance[2], chance[3], chance[4]) if crop else video)
    return torch.stack(changed)


def _cropped(video: Tensor, part: float, down: float, right: float) -> Tensor:
    """A box of `part` of height and width of (T, C, H, W), at the fractions `down`, `right` of its free way."""
    height, width = video.shape[-2:]
    h, w = max(1, round(part * height)), max(1, round(part * width))
    top, left = round(down * (height - h)), round(right * (width - w))
    box = video[..., top : top + h, left : left + w]
    if (h, w) == (height, width):
        return box
    whole = F.interpolate(box.float(), size=(height, width), mode="bilinear", align_corners=False)
    return whole.round().clamp(0, 255).to(video.dtype) if video.dtype == torch.uint8 else whole.to(video.dtype)


# ---- what there is --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KTHReport:
    """What of KTH Actions is there; ``str()`` of it is a few lines for a reader."""

    clips: int  # that can be used, of TOTAL
    frames: int  # in the cache
    size: int
    by_action: dict[str, int]  # clips
    by_person: dict[int, int]
    persons: dict[str, set[int]]  # by split
    windows: dict[str, int]  # of 20 frames, by split
    skipped: tuple[tuple[str, str], ...]  # (file, reason)
    notes: tuple[str, ...]
    download: str  # why something could not be fetched; empty when nothing went wrong
    source: str
    folder: Path
    cache: Path

    def __str__(self) -> str:
        lines = [
            f"{subset_name(self.clips)}: {self.clips} of {TOTAL} clips, from {self.folder} ({self.source})",
            "by action: " + ", ".join(f"{action} {count}" for action, count in self.by_action.items()),
            "by person: " + ", ".join(f"{person}: {count}" for person, count in self.by_person.items()),
        ]
        for split, persons in self.persons.items():
            named = ", ".join(map(str, sorted(persons))) or "none"
            lines.append(f"{split}: persons {named}; {self.windows[split]:,} windows of 20 frames")
        lines.append(f"{self.frames:,} frames of {self.size} x {self.size} in {self.cache}")
        lines += [f"skipped: {file}: {reason}" for file, reason in self.skipped]
        lines += [f"note: {note}" for note in self.notes]
        if self.download:
            lines.append(f"not downloaded: {self.download}")
        return "\n".join(lines)


def prepare_kth(size: int = 128, progress: bool = True, download: bool = True) -> KTHReport:
    """Download what is missing (unless ``download`` is False), decode, and report what is there.

    Clips in ``$VRNN3D_DATA/kth`` are used alone and never added to. A download that fails is told in the report when
    there are clips to go on with, else ``ConnectionError``. Raises ``FileNotFoundError`` when there are no clips.
    """
    source, folder = clips_folder()
    failed = ""
    if download and source == "VRNN3D_DATA":
        failed = f"{folder} is used as it is; unset VRNN3D_DATA to download the whole data set to {cache_folder()}"
    elif download:
        try:
            fetch_kth(folder, progress)
        except (ValueError, OSError) as error:
            failed = str(error)
    try:
        cache = load(size, progress)
    except FileNotFoundError:
        if not failed or source == "VRNN3D_DATA":
            raise
        raise ConnectionError(
            f"KTH Actions could not be downloaded ({failed}) and there are no clips of it: run `vrnn3d data kth` again "
            "later (it continues where it broke off), or set VRNN3D_DATA to the folder that holds kth/ with the clips"
        ) from None
    persons = split_persons({clip.person for clip in cache.clips})
    actions = Counter(clip.action for clip in cache.clips)
    return KTHReport(
        clips=len(cache.clips),
        frames=len(cache.frames),
        size=size,
        by_action={action: actions[action] for action in ACTIONS},
        by_person=dict(sorted(Counter(clip.person for clip in cache.clips).items())),
        persons=persons,
        windows={
            split: sum(len(clip_windows(clip, 20)) for clip in cache.clips if clip.person in chosen)
            for split, chosen in persons.items()
        },
        skipped=cache.skipped,
        notes=cache.notes,
        download="" if len(cache.clips) >= TOTAL else failed,
        source=cache.source,
        folder=cache.folder,
        cache=cache.path,
    )
