"""The baselines nobody may lose to. They run through the same rollout, training and evaluation code as the networks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vrnn3d.models.base import Latents, VideoModel, check_window


class _Baseline(VideoModel):
    """No recurrent state and no latent: frames are (batch, time, channel, height, width), values in [0, 1]."""

    def __init__(self, channels: int, window: int, horizon: int):
        super().__init__()
        fits = 1 <= horizon <= window
        check_window(type(self).__name__, window, horizon, "any window M >= 1 with 1 <= H <= M", fits)
        self.channels, self.window, self.horizon = channels, window, horizon

    @property
    def trainable(self) -> bool:
        """Whether there is anything to train."""
        return any(p.requires_grad for p in self.parameters())

    def initial_state(self, batch: int, height: int, width: int, device=None, dtype=None) -> tuple:
        """Nothing to remember: (). Raises ``ValueError`` for a size that does not fit."""
        self.check_size(height, width)
        return ()

    def advance(self, features: Tensor, state: tuple, target: Any = None) -> tuple[Tensor, tuple, Latents]:
        return features, state, ()


class CopyLast(_Baseline):
    """Every frame to come is the last one seen. No parameters, so nothing to train (``trainable`` is False).

    Args:
        channels: of a frame.
        window, horizon: any M >= 1 with 1 <= H <= M; they change no prediction.
    """

    TITLE = "Copy the last frame"

    def __init__(self, *, channels: int = 1, window: int = 1, horizon: int = 1):
        super().__init__(channels, window, horizon)

    def decode(self, output: Tensor) -> Tensor:
        """The clip (N, M, C, H, W) -> the clip `horizon` frames on, its new frames copies of the last known one."""
        return torch.cat([output[:, self.horizon :], output[:, -1:].expand(-1, self.horizon, -1, -1, -1)], dim=1)


class Black(_Baseline):
    """Every frame is black: what scores in percent are measured against. No parameters.

    Args:
        channels: of a frame.
        window, horizon: any M >= 1 with 1 <= H <= M; they change no prediction.
    """

    TITLE = "Black frames"

    def __init__(self, *, channels: int = 1, window: int = 1, horizon: int = 1):
        super().__init__(channels, window, horizon)

    def decode(self, output: Tensor) -> Tensor:
        """A clip (N, M, C, H, W) -> zeros of its shape."""
        return torch.zeros_like(output)


class PixelMean(_Baseline):
    """Every frame is one learned picture, whatever was seen.

    Under the squared error alone (``Loss(l1=0, l2=1)``) the picture that training settles on is the mean of each pixel
    over the training frames, which is what the name says; under L1 + L2 it lies between median and mean, and since the
    median of a Moving MNIST pixel is 0, much darker. Use the former.

    Args:
        channels: of a frame.
        window, horizon: any M >= 1 with 1 <= H <= M.
        size: height and width in pixels of the frames, one number for both or (height, width); a learned picture fits no
            other.
    """

    TITLE = "Mean of every pixel"

    def __init__(self, *, channels: int = 1, window: int = 1, horizon: int = 1, size: int | tuple[int, int] = 64):
        super().__init__(channels, window, horizon)
        height, width = (size, size) if isinstance(size, int) else size
        if min(height, width) < 1:
            raise ValueError(f"PixelMean needs the size of the frames, at least 1 pixel, not {size}")
        self.picture = nn.Parameter(torch.zeros(channels, height, width))

    def check_size(self, height: int, width: int) -> None:
        """Raise ``ValueError`` naming the one size that fits, for any other."""
        mine = tuple(self.picture.shape[-2:])
        if (height, width) != mine:
            raise ValueError(
                f"PixelMean was made for frames of {mine[0]} x {mine[1]}, not {height} x {width}; build it with"
                f" size=({height}, {width})"
            )

    def decode(self, output: Tensor) -> Tensor:
        """The clip (N, M, C, H, W) -> the picture, N x M times, in [0, 1]."""
        # Clamped in value only: a pixel that a noisy step has pushed below 0 keeps its gradient and can come back.
        picture = self.picture + (self.picture.clamp(0, 1) - self.picture).detach()
        return picture.expand(output.shape[:2] + picture.shape)
