"""Continue a user's own video: truth, mean of the predictions and single predictions side by side."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from vrnn3d.data.video import read_video
from vrnn3d.evaluation.evaluate import predict
from vrnn3d.models.base import VideoModel


def predict_video(
    model: VideoModel,
    clip: str | Path,
    *,
    context: int = 10,
    frames: int = 10,
    samples: int = 3,
    size: int | tuple[int, int] = 64,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Predict `frames` frames after the first `context` frames of a video file, folder of frames or .npy.

    Returns {row name: (context + frames, H, W) in [0, 1]}: "truth" (as far as the video goes, then black), "mean" and
    "sample 1" ... each starting with the context. The video is resized to `size`: (H, W), or one number for both.

    Raises:
        ValueError: when the video is shorter than the context, or the model's window longer.
    """
    video = read_video(clip, size=size, channels=model.channels)
    if len(video) < context:
        raise ValueError(f"{clip} has {len(video)} frames, fewer than the context of {context}; choose a smaller --context")
    torch.manual_seed(seed)
    place = next(model.parameters(), torch.zeros(0)).device
    drawn = predict(model, video[None].to(place), context, frames, samples)[0].cpu()  # (S, T, C, H, W)
    length = context + frames
    truth = torch.zeros(length, *video.shape[1:])
    truth[: min(length, len(video))] = video[:length]

    def continued(future: Tensor) -> Tensor:
        return torch.cat([video[:context], future]).mean(1)

    rows = {"truth": truth.mean(1), "mean": continued(drawn.mean(0))}
    if model.stochastic:
        rows |= {f"sample {i + 1}": continued(sample) for i, sample in enumerate(drawn)}
    return rows
