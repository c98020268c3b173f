"""Changes to training windows of KTH: mirrored left to right, cropped, played backwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

#: Arms that wave or clap come back as they went. A punch need not look like its return, and nobody walks backwards.
REVERSIBLE = ("handwaving", "handclapping")
#: What ``data.augment`` may name, and with which arguments of :func:`augmented` it is done.
AUGMENTATIONS: dict[str, dict[str, float]] = {"flip": {"flip": 0.5}, "crop": {"crop": 0.2}, "reverse": {"reverse": 0.5}}


def arguments(names: tuple[str, ...]) -> dict[str, Any]:
    """The keyword arguments of :func:`augmented` that do what `names` say.

    Raises:
        ValueError: for a name that is not in `AUGMENTATIONS`.
    """
    if unknown := [name for name in names if name not in AUGMENTATIONS]:
        raise ValueError(f"no augmentation {', '.join(unknown)}; known are: {', '.join(AUGMENTATIONS)}")
    chosen: dict[str, Any] = {"flip": 0.0}
    for name in names:
        chosen |= AUGMENTATIONS[name]
    return chosen


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
    """The batch with each sequence changed as a whole; same shape and type. Meant for training only.

    What happens to sequence b depends on (seed, indices[b], epoch) alone.

    Args:
        batch: (B, T, C, H, W), uint8 or float.
        indices: LongTensor (B,), the numbers of the sequences.
        seed: of the data.
        epoch: how often the data were seen.
        flip: probability of a left-right mirror image (every action is as likely either way).
        crop: at most this fraction of height and width is cut off, at a random place, and the rest is enlarged again.
        reverse: probability of playing backwards, of the actions in `REVERSIBLE` only. Elsewhere time has a direction:
            played backwards, people would walk backwards, which no test clip shows.
        actions: the action of each sequence, which `reverse` needs.

    Raises:
        ValueError: naming the argument that makes no sense.
    """
    if batch.ndim != 5 or len(indices) != len(batch):
        raise ValueError(f"a batch (B, T, C, H, W) and B indices are needed, not {tuple(batch.shape)}, {len(indices)}")
    for name, value in (("flip", flip), ("crop", crop), ("reverse", reverse)):
        if not 0 <= value <= 1 or (name == "crop" and value == 1):
            raise ValueError(f"{name} is {value}; it must lie in [0, 1{')' if name == 'crop' else ']'}")
    if reverse and (actions is None or len(actions) != len(batch)):
        raise ValueError("reverse needs actions, one for each sequence: only some actions may be played backwards")
    changed = []
    for number, (video, index) in enumerate(zip(batch, indices.tolist(), strict=True)):
        chance = _chances(seed, index, epoch)
        if chance[0] < flip:
            video = video.flip(-1)
        if actions is not None and chance[1] < reverse and actions[number] in REVERSIBLE:
            video = video.flip(0)
        changed.append(_cropped(video, 1 - crop * chance[2], chance[3], chance[4]) if crop else video)
    return torch.stack(changed) if changed else batch


def _chances(seed: int, index: int, epoch: int) -> list[float]:
    """Five numbers in [0, 1)."""
    # arrays, because NumPy would turn a list with a number beyond 2**63 into floats and round it
    key, counter = np.array([seed % 2**64, index], np.uint64), np.array([0, 0, 0, epoch], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter)).random(5).tolist()


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
