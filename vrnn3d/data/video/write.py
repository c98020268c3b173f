"""Writing a clip as a small animation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from vrnn3d.files import atomic_write


def write_webp(path: Path | str, frames: Tensor | np.ndarray, fps: float = 8, scale: int = 1) -> Path:
    """Write an endless, lossless WebP animation, atomically; returns its path.

    frames: (T, H, W) grey or (T, H, W, 3) colour, uint8, or float in [0, 1] (values outside are clipped). scale: whole
    number of pixels by which each pixel is enlarged. WebP merges equal neighbouring frames into one longer one.
    """
    path = Path(path)
    array = frames.detach().cpu().numpy() if isinstance(frames, Tensor) else np.asarray(frames)
    if path.suffix.lower() != ".webp":
        raise ValueError(f"{path.name} does not end in .webp")
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[-1] != 3) or 0 in array.shape:
        raise ValueError(f"frames of shape {array.shape} cannot be written; they must be (T, H, W) or (T, H, W, 3)")
    if fps <= 0 or scale < 1 or scale != int(scale):
        raise ValueError(f"fps is {fps} and scale {scale}; fps must be positive and scale a whole number of at least 1")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise ValueError(f"the frames for {path.name} hold NaN or infinite values")
        array = (array.clip(0, 1) * 255).round().astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ValueError(f"frames of {array.dtype} cannot be written; they must be uint8, or float in [0, 1]")
    array = array.repeat(int(scale), axis=1).repeat(int(scale), axis=2)
    first, *rest = [Image.fromarray(frame).convert("RGB") for frame in array]
    options = dict(save_all=True, append_images=rest, duration=round(1000 / fps), loop=0, lossless=True)
    return atomic_write(path, lambda temporary: first.save(temporary, format="WEBP", **options))
