"""Frame-wise metrics of predicted videos, on the CPU or the GPU: the paper's, and those that belong beside them.

Videos are (batch, time, channel, height, width). Predictions are clipped to [0, 1] first; the truth must be in [0, 1].
Everything returned is (batch, time) in float32, averaged or summed over the pixels of a frame only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vrnn3d.evaluation.scores import Evaluation, Score
from vrnn3d.frames import require_floats, require_range

WINDOW = 7  # pixels: scikit-image's default uniform window, used by PredRNN and E3D-LSTM
PSNR_MAX = 100.0  # dB; a perfect frame's PSNR is infinite, which no record can hold
LONG = 40  # predicted frames from which on each sequence's decay is recorded (KTH)
#: How far values may leave [0, 1] before they are taken for frames that are not scaled to it: a network that has just begun to
#: learn may predict anything, the truth is a picture.
_BEYOND = {"prediction": 16.0, "truth": 0.5}
_CHUNK = 1 << 23  # pixels worked on at a time: about 0.3 GB of temporaries


def _check(prediction: Tensor, truth: Tensor) -> None:
    if prediction.shape != truth.shape or prediction.ndim != 5:
        raise ValueError(
            f"prediction {tuple(prediction.shape)} and truth {tuple(truth.shape)} must have one shape"
            " (batch, time, channel, height, width)"
        )
    for name, video in (("prediction", prediction), ("truth", truth)):
        require_floats(f"the {name} is", video, "metrics")
        _check_range(name, video)


def _check_range(name: str, video: Tensor) -> None:
    """Refuse what is not scaled to [0, 1]; NaN is told elsewhere, and on a GPU looking would cost a wait."""
    if video.device.type != "cpu" or not video.numel():
        return
    require_range(f"the {name} has", video.amin().item(), video.amax().item(), _BEYOND[name], "metrics")


def _check_samples(samples: Tensor, truth: Tensor) -> None:
    if samples.ndim != 6 or samples.shape[:1] + samples.shape[2:] != truth.shape:
        raise ValueError(
            f"samples {tuple(samples.shape)} must be (batch, sample, time, channel, height, width) and truth"
            f" {tuple(truth.shape)} the same without the samples"
        )
    if samples.shape[1] == 0:
        raise ValueError("there are no samples; draw at least one prediction per sequence")
    _check(samples[:, 0], truth)


def _measured(name: str, prediction: Tensor, truth: Tensor) -> Tensor:
    _check(prediction, truth)
    return METRICS[name].compute(prediction.float().clamp(0, 1), truth.float())


def mse(prediction: Tensor, truth: Tensor) -> Tensor:
    """Squared error summed over the pixels and channels of a frame, (B, T); the paper's MSE."""
    return _measured("mse", prediction, truth)


def mae(prediction: Tensor, truth: Tensor) -> Tensor:
    """Absolute error summed over the pixels and channels of a frame, (B, T)."""
    return _measured("mae", prediction, truth)


def psnr(prediction: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each frame in dB, (B, T), for a peak of 1; at most `PSNR_MAX`."""
    return _measured("psnr", prediction, truth)


def ssim(prediction: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity of each frame, (B, T), equal to scikit-image's to 1e-5.

    That is ``structural_similarity(truth, prediction, data_range=1, win_size=7, channel_axis=...)`` with its defaults:
    a uniform 7 x 7 window, the sample covariance, the border of 3 pixels left out, channels averaged. Height and width
    must be at least 7.
    """
    return _measured("ssim", prediction, truth)


def ssim_uint8(prediction: Tensor, truth: Tensor) -> Tensor:
    """SSIM as PredRNN's and E3D-LSTM's public code computes it, (B, T): both videos cut (not rounded) to whole numbers
    from 0 to 255 first, range 255."""
    return _measured("ssim_uint8", prediction, truth)


def _squares(prediction: Tensor, truth: Tensor) -> Tensor:
    return (prediction - truth).square().sum((-3, -2, -1))


def _absolute(prediction: Tensor, truth: Tensor) -> Tensor:
    return (prediction - truth).abs().sum((-3, -2, -1))


def _decibels(prediction: Tensor, truth: Tensor) -> Tensor:
    pixels = truth[..., 0, :, :, :].flatten(-3).shape[-1]
    return (-10 * (_squares(prediction, truth) / pixels).clamp_min(1e-12).log10()).clamp_max(PSNR_MAX)


def _ssim_uint8(prediction: Tensor, truth: Tensor) -> Tensor:
    return _ssim(prediction, truth, _quantised)


def _quantised(video: Tensor) -> Tensor:
    # Range 255 on whole numbers is the same as range 1 on their 255ths. k / 255 * 255 returns to k in float32, all k.
    return (video * 255).floor() / 255


def _box(x: Tensor) -> Tensor:
    """Mean over every 7 x 7 window: (..., H, W) -> (..., H - 6, W - 6)."""
    pooled = F.avg_pool2d(F.avg_pool2d(x.flatten(0, -3), (WINDOW, 1), 1), (1, WINDOW), 1)
    return pooled.view(*x.shape[:-2], *pooled.shape[-2:])


def _ssim(prediction: Tensor, truth: Tensor, prepare: Callable[[Tensor], Tensor] = lambda video: video) -> Tensor:
    """(..., T, C, H, W) twice, of shapes that broadcast, values in [0, 1] -> (..., T)."""
    height, width = truth.shape[-2:]
    if min(height, width) < WINDOW:
        raise ValueError(f"SSIM needs frames of at least {WINDOW} x {WINDOW} pixels; these are {height} x {width}")
    bessel = WINDOW**2 / (WINDOW**2 - 1)
    c1, c2 = 0.01**2, 0.03**2
    # A variance is the small difference of two large numbers; moments about 0.5 instead of 0 keep it exact on a black or
    # white ground and four times smaller in error elsewhere.
    x, y = prepare(prediction) - 0.5, prepare(truth) - 0.5
    mean_x, mean_y = _box(x), _box(y)
    var_x = bessel * (_box(x * x) - mean_x * mean_x)
    var_y = bessel * (_box(y * y) - mean_y * mean_y)
    cov = bessel * (_box(x * y) - mean_x * mean_y)
    mean_x, mean_y = mean_x + 0.5, mean_y + 0.5
    similarity = (2 * mean_x * mean_y + c1) * (2 * cov + c2)
    similarity = similarity / ((mean_x * mean_x + mean_y * mean_y + c1) * (var_x + var_y + c2))
    return similarity.mean((-3, -2, -1))


def crps(samples: Tensor, truth: Tensor) -> Tensor:
    """Continuous ranked probability score of an ensemble, summed over the pixels of a frame, (B, T); lower is better.

    samples (B, S, T, C, H, W), truth (B, T, C, H, W). Per pixel the fair form, unbiased for any S:
    ``mean |x_s - y| - sum over s < r of |x_s - x_r| / (S (S - 1))``. With S = 1 it is the absolute error.
    A calibrated sampler minimises it in expectation; a collapsed one does not.
    """
    _check_samples(samples, truth)
    return _crps(samples, truth)


def _crps(samples: Tensor, truth: Tensor) -> Tensor:
    s = samples.shape[1]
    ordered = samples.float().clamp(0, 1).sort(dim=1).values
    score = (ordered - truth[:, None].float()).abs().mean(1)
    if s > 1:
        # sum over i < j of (x_j - x_i) = sum over i of (2 i - S - 1) x_i for x_1 <= ... <= x_S
        # (No matrix product, which a GPU may be set to compute in TF32.)
        weight = torch.arange(1 - s, s, 2, device=samples.device, dtype=torch.float32) / (s * (s - 1))
        score = score - (weight.view(s, 1, 1, 1, 1) * ordered).sum(1)
    return score.sum((2, 3, 4))


def _variance(samples: Tensor, truth: Tensor) -> Tensor:
    return (samples - samples.mean(1, keepdim=True)).square().mean(1).sum((-3, -2, -1))


class Metric(NamedTuple):
    """A metric of the registry.

    `compute` takes predictions and truth in [0, 1]. With `ensemble` it judges all samples of a sequence together:
    (B, S, T, C, H, W), (B, T, C, H, W) -> (B, T). Without, it judges one prediction, and must work on any leading axes:
    (..., T, C, H, W) twice, of shapes that broadcast -> (..., T).
    """

    compute: Callable[[Tensor, Tensor], Tensor]
    larger_is_better: bool = False
    ensemble: bool = False
    label: str = ""  #: on the axes of figures, with its unit
    statistics: bool = True  #: also of the best sample and of the mean frame
    paired: bool = False  #: records keep its value for every test sequence, so that runs can be compared in pairs
    paired_if_long: bool = False  #: the same where `LONG` frames or more are predicted, with the decay per frame


#: Every metric of an evaluation by name. Add one with ``METRICS["name"] = Metric(...)``.
METRICS: dict[str, Metric] = {
    "mse": Metric(_squares, label="MSE of a frame", paired=True),
    "mae": Metric(_absolute, label="MAE of a frame"),
    "ssim": Metric(_ssim, larger_is_better=True, label="SSIM", paired=True),
    "psnr": Metric(_decibels, larger_is_better=True, label="PSNR (dB)", paired_if_long=True),
    "ssim_uint8": Metric(_ssim_uint8, larger_is_better=True, label="SSIM, 8 bit", statistics=False),
    "sample_variance": Metric(_variance, larger_is_better=True, ensemble=True, label="sample variance"),
    "crps": Metric(_crps, ensemble=True, label="CRPS of a frame"),
}


def sample_metrics(samples: Tensor, truth: Tensor) -> dict[str, dict[str, Tensor]]:
    """Every metric of S predictions per sequence: {metric: {statistic: (B, T)}}.

    Args:
        samples: (B, S, T, C, H, W) predictions, clipped to [0, 1] here; S = 1 for a deterministic model.
        truth: (B, T, C, H, W) in [0, 1].

    For "mse", "mae", "ssim" and "psnr" there are three statistics:

    - "average": the metric averaged over the samples (the paper's protocol);
    - "best": the metric of one sample per sequence, that with the best average over the sequence's frames, chosen
      anew for each metric;
    - "mean_frame": the metric of the mean of the clipped samples.

    "ssim_uint8", "sample_variance" and "crps" have "average" only. The variance divides by S and is summed over pixels,
    so that mse average = mse mean_frame + sample_variance for every frame.
    """
    _check_samples(samples, truth)
    at_once = max(1, _CHUNK // samples[0].numel())
    parts = [_sample_metrics(x, y) for x, y in zip(samples.split(at_once), truth.split(at_once))]
    return concatenate(parts)


def _sample_metrics(samples: Tensor, truth: Tensor) -> dict[str, dict[str, Tensor]]:
    samples, truth = samples.float().clamp(0, 1), truth.float()
    middle = samples.mean(1)
    out = {}
    for name, metric in METRICS.items():
        if metric.ensemble:
            out[name] = {"average": _of_frames(name, metric.compute(samples, truth), truth.shape[:2])}
            continue
        values = _of_frames(name, metric.compute(samples, truth[:, None]), samples.shape[:3])  # (B, S, T)
        out[name] = {"average": values.mean(1)}
        if metric.statistics:
            score = values.mean(2)
            pick = score.argmax(1) if metric.larger_is_better else score.argmin(1)
            out[name]["best"] = values[torch.arange(len(values), device=values.device), pick]
            out[name]["mean_frame"] = metric.compute(middle, truth)
    return out


def _of_frames(name: str, values: Tensor, wanted: torch.Size) -> Tensor:
    """``ValueError`` where a metric, a user's own perhaps, does not give a value for each frame."""
    if values.shape != wanted:
        raise ValueError(
            f"the metric {name!r} gives values of {tuple(values.shape)} where {tuple(wanted)} are wanted: one for each frame,"
            " and for each sample unless it is registered with ensemble=True"
        )
    return values


def try_metrics(channels: int = 1) -> None:
    """``ValueError`` where a registered metric does not give a value for each frame, before a training that ends in them."""
    samples = torch.zeros(1, 2, 2, channels, WINDOW, WINDOW)
    sample_metrics(samples, samples[:, 0])


def concatenate(parts: list[dict[str, dict[str, Tensor]]]) -> dict[str, dict[str, Tensor]]:
    """Join what :func:`sample_metrics` returned for several batches, along the sequences."""
    return {
        metric: {statistic: torch.cat([part[metric][statistic] for part in parts]) for statistic in parts[0][metric]}
        for metric in parts[0]
    }


def bootstrap(values, resamples: int = 1000, seed: int = 0) -> np.ndarray:
    """Percentile 95% interval of the mean over the first axis, by resampling it: (N, ...) -> (2, ...), low and high.

    What varies is which test sequences were drawn; it says nothing of what another training seed would give.
    """
    values = np.asarray(values, np.float64)
    n = len(values)
    means = _draws(n, resamples, seed) @ values.reshape(n, -1) / n
    return np.percentile(means, (2.5, 97.5), axis=0).reshape(2, *values.shape[1:])


@lru_cache(maxsize=4)  # megabytes each, and the same for all metrics of a test set
def _draws(n: int, resamples: int, seed: int) -> np.ndarray:
    """How often each of n is drawn in each resample, (resamples, n)."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)


def summarise(
    values: dict[str, dict[str, Tensor]],
    samples: int,
    resamples: int = 1000,
    seed: int = 0,
    baselines: dict[str, float] | None = None,
) -> Evaluation:
    """What is recorded of one test set and protocol.

    Args:
        values: what :func:`sample_metrics` returned, :func:`concatenate`-d over the test set.
        samples: how many predictions per sequence went into it.
        resamples, seed: of the bootstrap over sequences (95% intervals of "average").
        baselines: MSE of trivial baselines on the same sequences.

    Raises:
        ValueError: naming metric and sequence, when a value is NaN or infinite.
    """
    scores, count = {}, 0
    for name, statistics in values.items():
        table = {key: value.double().cpu().numpy() for key, value in statistics.items()}  # (N, T)
        count = len(table["average"])
        for key, value in table.items():
            bad = np.flatnonzero(~np.isfinite(value).all(axis=1))
            if len(bad):
                raise ValueError(
                    f"{name} ({key}) of test sequence {bad[0]} is not a finite number; {len(bad)} of {count}"
                    " sequences are so: the model's predictions hold NaN, look at its training"
                )
        scores[name] = _score(METRICS[name], table, resamples, seed)
    return Evaluation(count, samples, scores, baselines or {})


def _score(metric: Metric, table: dict[str, np.ndarray], resamples: int, seed: int) -> Score:
    average = table["average"]
    low, high = bootstrap(np.column_stack([average.mean(1), average]), resamples, seed)
    long = metric.paired_if_long and average.shape[1] >= LONG
    # What pairs models on the same sequences; the rest is left out, for a record of 1,000 sequences is large enough.
    return Score(
        average=float(average.mean()),
        interval=(float(low[0]), float(high[0])),
        per_frame=tuple(average.mean(0).tolist()),
        per_frame_interval=tuple(zip(low[1:].tolist(), high[1:].tolist())),
        best=float(table["best"].mean()) if "best" in table else None,
        mean_frame=float(table["mean_frame"].mean()) if "mean_frame" in table else None,
        per_sequence=_short(average.mean(1)) if metric.paired or long else None,
        per_sequence_slope=_short(slope(average)) if long else None,
    )


def slope(values: np.ndarray) -> np.ndarray:
    """Least-squares slope of each row over its columns, per column: (N, T) -> (N,); how fast a metric decays per frame."""
    time = np.arange(values.shape[1]) - (values.shape[1] - 1) / 2
    return values @ time / (time @ time)


def _short(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.4g}") for value in values)
