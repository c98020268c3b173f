"""What a video must be to be computed with: floats in [0, 1]. Frames of another kind are told in one sentence."""

from __future__ import annotations

from torch import Tensor

_KIND = "floats in [0, 1] (divide 8-bit frames by 255)"


def require_floats(what: str, video: Tensor, takers: str) -> None:
    """``ValueError`` for whole numbers; `what` begins the sentence, as "frames are", `takers` are those that want floats."""
    if not video.is_floating_point():
        raise ValueError(f"{what} {video.dtype}; {takers} take {_KIND}")


def require_range(whose: str, low: float, high: float, beyond: float, takers: str) -> None:
    """``ValueError`` for values that leave [0, 1] by more than `beyond`: they were not scaled to it.

    `whose` begins the sentence, as "frames have"; NaN is let pass.
    """
    if low < -beyond or high > 1 + beyond:
        raise ValueError(f"{whose} values from {low:.3g} to {high:.3g}; {takers} take {_KIND}")
