"""Continue a user's own video: which frames are given, what is predicted, and how good it is where the truth is known."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vrnn3d.config import Experiment
from vrnn3d.data.video import probe, read_last, read_video
from vrnn3d.evaluation import metrics
from vrnn3d.evaluation.evaluate import predict, seed_noise
from vrnn3d.models.base import VideoModel

_USUAL_RATE = 8.0  # frames a second of what is written where the source does not say


@dataclass(frozen=True)
class Continued:
    """A continued clip. Videos are (time, channel, height, width), values in [0, 1].

    `given` are the frames the model saw; `samples` (samples, time, channel, height, width) what it drew; `truth` the frames
    that really came, as far as the clip goes: it may be shorter than a sample, and empty.
    """

    given: Tensor
    samples: Tensor
    truth: Tensor
    rate: float  #: frames a second of the source
    stochastic: bool

    def rows(self) -> dict[str, Tensor]:
        """{row: video} for pictures: truth (black where there is none), mean, and single samples, each after the context."""
        length = self.samples.shape[1]
        missing = length - len(self.truth)
        truth = torch.cat([self.given, self.truth, torch.zeros(missing, *self.given.shape[1:])])
        rows = {"truth": truth} if len(self.truth) else {}
        rows["mean" if self.stochastic else "prediction"] = torch.cat([self.given, self.samples.mean(0)])
        if self.stochastic:
            rows |= {f"sample {i + 1}": torch.cat([self.given, sample]) for i, sample in enumerate(self.samples)}
        return rows

    def scores(self) -> dict[str, dict[str, float]]:
        """{forecast: {metric: value}} over the frames whose truth is known, the last frame repeated among the forecasts."""
        known = len(self.truth)
        if not known:
            return {}
        truth = self.truth[None]
        drawn = metrics.sample_metrics(self.samples[None, :, :known], truth)
        found = {"prediction": {name: values["average"].mean().item() for name, values in drawn.items() if name in _SHOWN}}
        if self.stochastic:
            found["mean of the samples"] = {name: drawn[name]["mean_frame"].mean().item() for name in _SHOWN}
        last = self.given[-1:].expand_as(self.truth)[None]
        found["last frame repeated"] = {name: getattr(metrics, name)(last, truth).mean().item() for name in _SHOWN}
        return found


_SHOWN = ("mse", "ssim", "psnr")


def continue_video(
    model: VideoModel,
    experiment: Experiment,
    clip: str | Path,
    *,
    context: int = 10,
    frames: int = 10,
    samples: int = 3,
    start: int | None = None,
    size: int | tuple[int, int] | None = None,
    fit: str = "crop",
    seed: int = 0,
    progress: bool = False,
) -> Continued:
    """Predict `frames` frames after `context` frames of a clip.

    Args:
        model: with its weights, on the device to compute on.
        experiment: what the model was trained as; says the size and colours it knows.
        clip: a file, or a folder of numbered pictures.
        context: frames given.
        frames: frames predicted.
        samples: predictions drawn; a deterministic model makes one.
        start: first frame given, counted from 0. None: the last `context` frames of the clip are given, so that its end is
            continued. No more of the file is decoded than is needed.
        size: (height, width) or one number, to which frames are resized; default: the size the model was trained at.
        fit: "crop", "pad" or "stretch", where the clip has another aspect ratio.
        seed: of the noise.
        progress: show a bar.

    Raises:
        ValueError: when the clip is shorter than asked for, or the model's window longer than the context.
    """
    usual = experiment.data.height_width
    size = usual if size is None else (size, size) if isinstance(size, int) else size
    if size != usual:
        warnings.warn(
            f"the model was trained on frames of {usual[0]} x {usual[1]} and is given {size[0]} x {size[1]};"
            " it was not measured there",
            stacklevel=2,
        )
    if context < model.window:
        raise ValueError(f"a context of {context} frames is shorter than the model's window of {model.window}; give more")
    if start is None:
        video = read_last(clip, context, size, model.channels, fit)
    else:
        video = read_video(clip, size, start, context + frames, model.channels, fit, min_frames=context)
    seed_noise(seed)
    place = next(model.parameters(), torch.zeros(0)).device
    drawn = predict(model, video[None].to(place), context, frames, samples, progress=progress)[0].cpu()
    rate = probe(clip).rate
    return Continued(video[:context], drawn, video[context:], float(rate) if rate else _USUAL_RATE, model.stochastic)
