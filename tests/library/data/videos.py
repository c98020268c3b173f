"""What the tests of own clips share: small clips, and ways to save them."""

from __future__ import annotations

import av
import numpy as np
import torch
from PIL import Image

LUMA = np.array([0.299, 0.587, 0.114])


def clip(frames=6, height=24, width=32):
    """uint8 (T, H, W, 3): smooth gradients, so that lossy codecs keep them, that brighten from frame to frame."""
    y, x = np.mgrid[:height, :width]
    base = np.stack([x * 4, y * 5, x + y], -1)
    return np.stack([base + 12 * t for t in range(frames)]).clip(0, 255).astype(np.uint8)


def grey(frames):
    return (frames / 255 @ LUMA)[:, None]


def save_pillow(path, frames, **options):
    first, *rest = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=rest, **options)
    return path


def save_container(path, frames, codec):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate, stream.gop_size = 8_000_000, 12
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def close(read, frames, tolerance=1e-6):
    assert read.dtype == torch.float32 and tuple(read.shape) == frames.shape
    assert np.abs(read.numpy() - frames).max() <= tolerance


def save_pictures(folder, frames):
    """Frames as a folder of pictures that sort wrongly as text."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, 1):
        Image.fromarray(frame).save(folder / f"frame{number}.png")
    return folder


def save_any(kind, folder, frames):
    """Frames (T, H, W, 3) as a clip of some kind that keeps them, or nearly."""
    path = folder / f"clip.{kind}"
    if kind == "pictures":
        return save_pictures(path, frames)
    if kind in ("npy", "npz"):
        (np.save if kind == "npy" else np.savez_compressed)(path, frames)
        return path
    if kind in ("webp", "apng"):
        return save_pillow(path, frames, **({"lossless": True} if kind == "webp" else {"format": "PNG"}), duration=40)
    return save_container(path, frames, "mpeg4")
