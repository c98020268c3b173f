"""Frame-wise metrics of predicted videos, on the CPU or the GPU: the paper's, and those that belong beside them.

Videos are (batch, time, channel, height, width). Predictions are clipped to [0, 1] first; the truth must be in [0, 1].
Everything returned is (batch, time) in float32, averaged or summed over the pixels of a frame only.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

#: Metrics of one prediction, and whether a larger value is better.
LARGER_IS_BETTER = {"mse": False, "mae": False, "ssim": True, "psnr": True}
WINDOW = 7  # pixels: scikit-image's default uniform window, used by PredRNN and E3D-LSTM
PSNR_MAX = 100.0  # dB; a perfect frame's PSNR is infinite, which no record can hold
LONG = 40  # predicted frames from which on each sequence's decay is recorded (KTH)
_CHUNK = 1 << 23  # pixels worked on at a time: about 0.3 GB of temporaries


def _check(prediction: Tensor, truth: Tensor) -> None:
    if prediction.shape != truth.shape or prediction.ndim != 5:
        raise ValueError(
            f"prediction {tuple(prediction.shape)} and truth {tuple(truth.shape)} must have one shape"
            " (batch, time, channel, height, width)"
        )
    for name, video in (("prediction", prediction), ("truth", truth)):
        if not video.is_floating_point():
            raise ValueError(f"the {name} is {video.dtype}; metrics take floats in [0, 1] (divide 8-bit frames by 255)")


def _difference(prediction: Tensor, truth: Tensor) -> Tensor:
    _check(prediction, truth)
    return prediction.float().clamp(0, 1) - truth.float()


def mse(prediction: Tensor, truth: Tensor) -> Tensor:
    """Squared error summed over the pixels and channels of a frame, (B, T); the paper's MSE."""
    return _difference(prediction, truth).square().sum((2, 3, 4))


def mae(prediction: Tensor, truth: Tensor) -> Tensor:
    """Absolute error summed over the pixels and channels of a frame, (B, T)."""
    return _difference(prediction, truth).abs().sum((2, 3, 4))


def psnr(prediction: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each frame in dB, (B, T), for a peak of 1; at most `PSNR_MAX`."""
    return _psnr(mse(prediction, truth), truth[0, 0].numel())


def _psnr(summed_squares: Tensor, pixels: int) -> Tensor:
    return (-10 * (summed_squares / pixels).clamp_min(1e-12).log10()).clamp_max(PSNR_MAX)


def ssim(prediction: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity of each frame, (B, T), equal to scikit-image's to 1e-5.

    That is ``structural_similarity(truth, prediction, data_range=1, win_size=7, channel_axis=...)`` with its defaults:
    a uniform 7 x 7 window, the sample covariance, the border of 3 pixels left out, channels averaged. Height and width
    must be at least 7.
    """
    _check(prediction, truth)
    return _ssim(prediction[:, None], truth, lambda video: video)[:, 0]


def ssim_uint8(prediction: Tensor, truth: Tensor) -> Tensor:
    """SSIM as PredRNN's and E3D-LSTM's public code computes it, (B, T): both videos cut (not rounded) to whole numbers
    from 0 to 255 first, range 255."""
    _check(prediction, truth)
    return _ssim(prediction[:, None], truth, _quantised)[:, 0]


def _quantised(video: Tensor) -> Tensor:
    # Range 255 on whole numbers is the same as range 1 on their 255ths. k / 255 * 255 returns to k in float32, all k.
    return (video * 255).floor() / 255


def _box(x: Tensor) -> Tensor:
    """Mean over every 7 x 7 window: (..., H, W) -> (..., H - 6, W - 6)."""
    pooled = F.avg_pool2d(F.avg_pool2d(x.flatten(0, -3), (WINDOW, 1), 1), (1, WINDOW), 1)
    return pooled.view(*x.shape[:-2], *pooled.shape[-2:])


def _ssim(samples: Tensor, truth: Tensor, prepare) -> Tensor:
    """(B, S, T, C, H, W), (B, T, C, H, W) -> (B, S, T); what depends on the truth alone is computed once."""
    b, s, t, c, h, w = samples.shape
    if min(h, w) < WINDOW:
        raise ValueError(f"SSIM needs frames of at least {WINDOW} x {WINDOW} pixels; these are {h} x {w}")
    samples, truth = samples.transpose(1, 2).reshape(b * t, s, c, h, w), truth.reshape(b * t, 1, c, h, w)
    at_once = max(1, _CHUNK // (s * c * h * w))
    bessel = WINDOW**2 / (WINDOW**2 - 1)
    c1, c2 = 0.01**2, 0.03**2
    out = []
    for x, y in zip(samples.split(at_once), truth.split(at_once)):
        # A variance is the small difference of two large numbers; moments about 0.5 instead of 0 keep it exact on a
        # black or white ground and four times smaller in error elsewhere.
        x, y = prepare(x.float().clamp(0, 1)) - 0.5, prepare(y.float()) - 0.5
        mean_x, mean_y = _box(x), _box(y)
        var_x = bessel * (_box(x * x) - mean_x * mean_x)
        var_y = bessel * (_box(y * y) - mean_y * mean_y)
        cov = bessel * (_box(x * y) - mean_x * mean_y)
        mean_x, mean_y = mean_x + 0.5, mean_y + 0.5
        similarity = (2 * mean_x * mean_y + c1) * (2 * cov + c2)
        similarity = similarity / ((mean_x * mean_x + mean_y * mean_y + c1) * (var_x + var_y + c2))
        out.append(similarity.mean((2, 3, 4)))
    return torch.cat(out).view(b, t, s).transpose(1, 2)


def crps(samples: Tensor, truth: Tensor) -> Tensor:
    """Continuous ranked probability score of an ensemble, summed over the pixels of a frame, (B, T); lower is better.

    samples (B, S, T, C, H, W), truth (B, T, C, H, W). Per pixel the fair form, unbiased for any S:
    ``mean |x_s - y| - sum over s < r of |x_s - x_r| / (S (S - 1))``. With S = 1 it is the absolute error.
    A calibrated sampler minimises it in expectation; a collapsed one does not.
    """
    s = samples.shape[1]
    ordered = samples.float().clamp(0, 1).sort(dim=1).values
    score = (ordered - truth[:, None].float()).abs().mean(1)
    if s > 1:
        # sum over i < j of (x_j - x_i) = sum over i of (2 i - S - 1) x_i for x_1 <= ... <= x_S
        # (No matrix product, which a GPU may be set to compute in TF32.)
        weight = torch.arange(1 - s, s, 2, device=samples.device, dtype=torch.float32) / (s * (s - 1))
        score = score - (weight.view(s, 1, 1, 1, 1) * ordered).sum(1)
    return score.sum((2, 3, 4))


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
    if samples.ndim != 6 or samples.shape[:1] + samples.shape[2:] != truth.shape:
        raise ValueError(
            f"samples {tuple(samples.shape)} must be (batch, sample, time, channel, height, width) and truth"
            f" {tuple(truth.shape)} the same without the samples"
        )
    _check(samples[:, 0], truth)
    if samples.shape[1] == 0:
        raise ValueError("there are no samples; draw at least one prediction per sequence")
    at_once = max(1, _CHUNK // samples[0].numel())
    parts = [_sample_metrics(x, y) for x, y in zip(samples.split(at_once), truth.split(at_once))]
    return concatenate(parts)


def _sample_metrics(samples: Tensor, truth: Tensor) -> dict[str, dict[str, Tensor]]:
    samples, truth = samples.float().clamp(0, 1), truth.float()
    middle = samples.mean(1)
    difference = samples - truth[:, None]
    squares = difference.square().sum((3, 4, 5))
    pixels = truth[0, 0].numel()
    per_sample = {
        "mse": squares,
        "mae": difference.abs().sum((3, 4, 5)),
        "ssim": _ssim(samples, truth, lambda video: video),
        "psnr": _psnr(squares, pixels),
    }
    of_mean = {metric: globals()[metric](middle, truth) for metric in per_sample}
    out = {}
    for metric, values in per_sample.items():  # (B, S, T)
        score = values.mean(2)
        pick = score.argmax(1) if LARGER_IS_BETTER[metric] else score.argmin(1)
        best = values[torch.arange(len(values), device=values.device), pick]
        out[metric] = {"average": values.mean(1), "best": best, "mean_frame": of_mean[metric]}
    out["ssim_uint8"] = {"average": _ssim(samples, truth, _quantised).mean(1)}
    out["sample_variance"] = {"average": (samples - middle[:, None]).square().mean(1).sum((2, 3, 4))}
    out["crps"] = {"average": crps(samples, truth)}
    return out


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
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    means = counts @ values.reshape(n, -1) / n
    return np.percentile(means, (2.5, 97.5), axis=0).reshape(2, *values.shape[1:])


def summarise(
    values: dict[str, dict[str, Tensor]], samples: int, resamples: int = 1000, seed: int = 0
) -> dict[str, object]:
    """The record's entry for one pool and protocol, from the metrics of all test sequences, in JSON types.

    Args:
        values: what :func:`sample_metrics` returned, :func:`concatenate`-d over the test set.
        samples: how many predictions per sequence went into it.
            "mse" and "ssim" also get their value per sequence, and over `LONG` frames "psnr" that and its slope in dB a frame.
        resamples, seed: of the bootstrap over sequences (95% intervals of "average").

    Raises:
        ValueError: naming metric and sequence, when a value is NaN or infinite.
    """
    entry: dict[str, object] = {}
    for metric, statistics in values.items():
        table = {name: value.double().cpu().numpy() for name, value in statistics.items()}  # (N, T)
        for name, value in table.items():
            bad = np.flatnonzero(~np.isfinite(value).all(axis=1))
            if len(bad):
                raise ValueError(
                    f"{metric} ({name}) of test sequence {bad[0]} is not a finite number; {len(bad)} of {len(value)}"
                    " sequences are so: the model's predictions hold NaN, look at its training"
                )
        average = table["average"]
        entry.setdefault("sequences", len(average))
        entry.setdefault("samples", samples)
        low, high = bootstrap(np.column_stack([average.mean(1), average]), resamples, seed)
        entry[metric] = {
            **{name: float(value.mean()) for name, value in table.items()},
            "interval": [float(low[0]), float(high[0])],
            "per_frame": average.mean(0).tolist(),
            "per_frame_interval": np.column_stack([low, high])[1:].tolist(),
        }
        frames = average.shape[1]
        # What pairs models on the same sequences; the rest is left out, for a record of 1,000 sequences is large enough.
        if metric in ("mse", "ssim") or (metric == "psnr" and frames >= LONG):
            entry[metric]["per_sequence"] = _short(average.mean(1))
        if metric == "psnr" and frames >= LONG:
            entry[metric]["per_sequence_slope"] = _short(slope(average))
    return entry


def slope(values: np.ndarray) -> np.ndarray:
    """Least-squares slope of each row over its columns, per column: (N, T) -> (N,); how fast a metric decays per frame."""
    time = np.arange(values.shape[1]) - (values.shape[1] - 1) / 2
    return values @ time / (time @ time)


def _short(values: np.ndarray) -> list[float]:
    return [float(f"{value:.4g}") for value in values]
