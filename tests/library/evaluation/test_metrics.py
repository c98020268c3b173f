"""Metrics: equal to scikit-image's and to their definitions, and what is recorded of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vrnn3d.evaluation import metrics

#: Metrics of one prediction, of which average, best and mean frame are taken.
SINGLE = ("mse", "mae", "ssim", "psnr")


def reference(prediction, truth, data_range=1.0):
    """scikit-image in float64, frame by frame."""
    b, t = truth.shape[:2]
    out = np.empty((b, t))
    for i in range(b):
        for j in range(t):
            out[i, j] = structural_similarity(truth[i, j], prediction[i, j], data_range=data_range, win_size=7, channel_axis=0)
    return out


def sparse(generator, *shape):
    """Mostly black with saturated strokes, as Moving MNIST is."""
    x = torch.rand(*shape, generator=generator)
    smooth = torch.nn.functional.avg_pool2d(x.flatten(0, -4), 5, 1, 2).view(shape)
    return ((smooth - 0.55) * 12).clamp(0, 1)


def pairs():
    g = torch.Generator().manual_seed(0)
    shape = (2, 3, 1, 40, 36)
    noise = torch.rand(shape, generator=g)
    digits = sparse(g, *shape)
    flat = torch.zeros(shape)
    return {
        "random": (torch.rand(shape, generator=g), noise),
        "close": ((noise + 1e-3 * torch.randn(shape, generator=g)).clamp(0, 1), noise),
        "sparse": ((digits * 0.8 + 0.05 * noise).clamp(0, 1), digits),
        "shifted": (digits.roll(2, -1), digits),
        "black": (flat, flat),
        "white": (flat + 1, flat + 1),
        "grey, same": (flat + 0.3, flat + 0.3),
        "black and white": (flat, flat + 1),
        "black and sparse": (flat, digits),
        "faint": (flat + 0.002 * noise, flat),
        "nearly flat bright": (0.9 + 0.003 * noise, 0.9 + 0.003 * noise.roll(1, -1)),
        "colour": (torch.rand(2, 2, 3, 16, 16, generator=g), torch.rand(2, 2, 3, 16, 16, generator=g)),
        "smallest": (torch.rand(1, 2, 1, 7, 7, generator=g), torch.rand(1, 2, 1, 7, 7, generator=g)),
    }


@pytest.mark.parametrize("name", list(pairs()))
def test_ssim_is_that_of_scikit_image(name):
    prediction, truth = pairs()[name]
    expected = reference(prediction.double().numpy(), truth.double().numpy())
    np.testing.assert_allclose(metrics.ssim(prediction, truth).numpy(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", list(pairs()))
def test_uint8_ssim_is_that_of_the_public_predrnn_protocol(name):
    prediction, truth = pairs()[name]
    expected = reference((prediction * 255).numpy().astype(np.uint8), (truth * 255).numpy().astype(np.uint8), data_range=255)
    np.testing.assert_allclose(metrics.ssim_uint8(prediction, truth).numpy(), expected, rtol=0, atol=1e-5)


def test_eight_bit_truth_survives_quantisation():
    levels = torch.arange(256).float() / 255
    assert torch.equal((metrics._quantised(levels) * 255).round(), torch.arange(256).float())


def test_ssim_does_not_depend_on_how_the_work_is_cut(monkeypatch):
    g = torch.Generator().manual_seed(1)
    samples, truth = torch.rand(2, 3, 4, 1, 16, 16, generator=g), torch.rand(2, 4, 1, 16, 16, generator=g)
    whole = metrics.sample_metrics(samples, truth)
    monkeypatch.setattr(metrics, "_CHUNK", 1000)
    pieces = metrics.sample_metrics(samples, truth)
    for metric, statistics in whole.items():
        for name, value in statistics.items():
            torch.testing.assert_close(pieces[metric][name], value, rtol=1e-6, atol=1e-6)


def test_sums_and_decibels():
    prediction, truth = torch.zeros(1, 2, 1, 8, 8), torch.zeros(1, 2, 1, 8, 8)
    prediction[0, 0] = 0.5
    prediction[0, 1] = 7.0  # clipped to 1
    assert metrics.mse(prediction, truth).tolist() == [[16.0, 64.0]]
    assert metrics.mae(prediction, truth).tolist() == [[32.0, 64.0]]
    torch.testing.assert_close(metrics.psnr(prediction, truth), torch.tensor([[10 * np.log10(4), 0.0]]).float())
    assert metrics.psnr(truth, truth).tolist() == [[metrics.PSNR_MAX] * 2]
    p, t = pairs()["sparse"]
    assert metrics.psnr(p, t)[1, 2].item() == pytest.approx(
        peak_signal_noise_ratio(t[1, 2].numpy(), p[1, 2].numpy(), data_range=1), abs=1e-4
    )


@pytest.mark.parametrize("s", [1, 2, 7])
def test_crps_is_the_double_sum(s):
    g = torch.Generator().manual_seed(s)
    samples, truth = torch.rand(2, s, 3, 1, 5, 4, generator=g), torch.rand(2, 3, 1, 5, 4, generator=g)
    x, y = samples.double(), truth.double()
    expected = (x - y[:, None]).abs().mean(1)
    if s > 1:
        expected = expected - (x[:, :, None] - x[:, None]).abs().sum((1, 2)) / (2 * s * (s - 1))
    torch.testing.assert_close(metrics.crps(samples, truth).double(), expected.sum((2, 3, 4)), rtol=1e-5, atol=1e-5)


def test_crps_prefers_the_calibrated_sampler_where_average_mse_prefers_the_collapsed_one():
    g = torch.Generator().manual_seed(0)

    def draw(*shape):
        return (0.5 + 0.1 * torch.randn(*shape, generator=g)).clamp(0, 1)

    truth = draw(4, 5, 1, 16, 16)
    honest = metrics.sample_metrics(draw(4, 20, 5, 1, 16, 16), truth)
    collapsed = metrics.sample_metrics(torch.full((4, 20, 5, 1, 16, 16), 0.5), truth)
    assert honest["crps"]["average"].mean() < 0.95 * collapsed["crps"]["average"].mean()
    # The average charges the sampler twice the irreducible variance (loss-audit, point 6).
    ratio = honest["mse"]["average"].mean() / collapsed["mse"]["average"].mean()
    assert ratio.item() == pytest.approx(2, rel=0.1)


def test_average_is_mean_frame_plus_variance():
    g = torch.Generator().manual_seed(0)
    samples = torch.randn(3, 6, 4, 1, 16, 16, generator=g)  # partly outside [0, 1]: clipped first
    values = metrics.sample_metrics(samples, torch.rand(3, 4, 1, 16, 16, generator=g))
    together = values["mse"]["mean_frame"] + values["sample_variance"]["average"]
    torch.testing.assert_close(values["mse"]["average"], together, rtol=1e-5, atol=0)


def test_best_is_one_sample_per_sequence_and_metric():
    g = torch.Generator().manual_seed(3)
    samples, truth = torch.rand(3, 5, 4, 1, 16, 16, generator=g), torch.rand(3, 4, 1, 16, 16, generator=g)
    values = metrics.sample_metrics(samples, truth)
    for metric in SINGLE:
        larger = metrics.METRICS[metric].larger_is_better
        each = torch.stack([getattr(metrics, metric)(samples[:, s], truth) for s in range(5)], 1)  # (B, S, T)
        torch.testing.assert_close(values[metric]["average"], each.mean(1), rtol=1e-5, atol=1e-6)
        for b in range(3):
            score = each[b].mean(1)
            pick = score.argmax() if larger else score.argmin()
            torch.testing.assert_close(values[metric]["best"][b], each[b, pick], rtol=1e-5, atol=1e-6)
        direct = getattr(metrics, metric)(samples.mean(1), truth)
        torch.testing.assert_close(values[metric]["mean_frame"], direct, rtol=1e-5, atol=1e-6)


def test_a_deterministic_model_has_one_value_for_all_statistics():
    g = torch.Generator().manual_seed(4)
    samples, truth = torch.rand(2, 1, 3, 1, 16, 16, generator=g), torch.rand(2, 3, 1, 16, 16, generator=g)
    values = metrics.sample_metrics(samples, truth)
    for metric in SINGLE:
        torch.testing.assert_close(values[metric]["average"], values[metric]["best"])
        torch.testing.assert_close(values[metric]["average"], values[metric]["mean_frame"])
    assert values["sample_variance"]["average"].abs().max() == 0
    torch.testing.assert_close(values["crps"]["average"], values["mae"]["average"])


def test_half_precision_predictions_are_measured_in_float32():
    g = torch.Generator().manual_seed(5)
    prediction, truth = torch.rand(1, 2, 1, 32, 32, generator=g), torch.rand(1, 2, 1, 32, 32, generator=g)
    rounded = prediction.bfloat16()
    for metric in SINGLE:
        value = getattr(metrics, metric)(rounded, truth)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, getattr(metrics, metric)(rounded.float(), truth))


def test_a_metric_that_gives_no_value_for_each_frame_is_told_before_a_training(monkeypatch):
    metrics.try_metrics(3)
    for wrong in (
        metrics.Metric(lambda x, y: (x - y).square().mean()),
        metrics.Metric(lambda x, y: (x - y).square().mean((-2, -1))),
        metrics.Metric(lambda x, y: x.mean((1, 3, 4, 5)).mean(), ensemble=True),
    ):
        monkeypatch.setitem(metrics.METRICS, "mine", wrong)
        with pytest.raises(ValueError, match="the metric 'mine' gives values of .* are wanted: one for each frame"):
            metrics.try_metrics()


def test_frames_that_are_not_scaled_are_refused():
    """All clipped to 1, they would have a score like any other."""
    truth = torch.rand(1, 2, 1, 8, 8)
    for wrong in ((truth * 255, truth), (truth, truth * 255), (truth, 2 * truth - 1)):
        with pytest.raises(ValueError, match=r"has values from .* metrics take floats in \[0, 1\]"):
            metrics.mse(*wrong)
    with pytest.raises(ValueError, match="the truth has values"):
        metrics.crps(truth[:, None], truth * 255)
    with pytest.raises(ValueError, match="the same without the samples"):
        metrics.crps(truth[:, None], truth[:, :1])


def test_the_bootstrap_interval_is_that_of_the_mean():
    x = np.random.default_rng(0).normal(3.0, 2.0, (400, 2))
    low, high = metrics.bootstrap(x)
    standard_error = x.std(0) / 20
    np.testing.assert_allclose(high - low, 2 * 1.96 * standard_error, rtol=0.1)
    assert (low < x.mean(0)).all() and (x.mean(0) < high).all()
    np.testing.assert_array_equal(metrics.bootstrap(x), metrics.bootstrap(x))  # seeded
    np.testing.assert_array_equal(metrics.bootstrap(np.ones((1, 3))), np.ones((2, 3)))


def test_summary_of_a_test_set():
    g = torch.Generator().manual_seed(6)
    parts = [
        metrics.sample_metrics(torch.rand(n, 2, 3, 1, 8, 8, generator=g), torch.rand(n, 3, 1, 8, 8, generator=g))
        for n in (4, 3)
    ]
    values = metrics.concatenate(parts)
    entry = metrics.summarise(values, samples=2, baselines={"black": 3.0})
    assert (entry.sequences, entry.samples, entry.baselines) == (7, 2, {"black": 3.0})
    for metric in SINGLE:
        one = entry.scores[metric]
        assert one.average == pytest.approx(values[metric]["average"].mean().item(), rel=1e-5)
        assert one.average == pytest.approx(np.mean(one.per_frame))
        assert one.best == pytest.approx(values[metric]["best"].mean().item(), rel=1e-5)
        assert one.mean_frame == pytest.approx(values[metric]["mean_frame"].mean().item(), rel=1e-5)
        assert one.interval[0] < one.average < one.interval[1]
        assert len(one.per_frame) == len(one.per_frame_interval) == 3 and one.per_sequence_slope is None
        assert (one.per_sequence is not None) == metrics.METRICS[metric].paired
        if one.per_sequence is not None:
            assert len(one.per_sequence) == 7
            assert one.average == pytest.approx(np.mean(one.per_sequence), rel=1e-3)
        for value, (low, high) in zip(one.per_frame, one.per_frame_interval):
            assert low <= value <= high
    for metric in ("ssim_uint8", "sample_variance", "crps"):
        assert len(entry.scores[metric].per_frame) == 3 and entry.scores[metric].best is None
    assert entry.scores["mse"].best < entry.scores["mse"].average
    assert entry.scores["ssim"].best > entry.scores["ssim"].average


def test_a_slope_is_that_of_least_squares():
    values = np.random.default_rng(0).normal(size=(3, 6))
    expected = [np.polyfit(np.arange(6), row, 1)[0] for row in values]
    np.testing.assert_allclose(metrics.slope(values), expected)


def test_long_predictions_keep_each_sequences_decay():
    """PSNR falls by 0.1 and 0.2 dB a frame over 40 frames: that is what the record holds."""
    time = torch.arange(40.0)
    decay = torch.tensor([[0.1], [0.2]])
    decibels = 30 - decay * time
    videos = (10 ** (-decibels / 20)).view(2, 1, 40, 1, 1, 1).expand(2, 1, 40, 1, 7, 7)
    entry = metrics.summarise(metrics.sample_metrics(videos, torch.zeros(2, 40, 1, 7, 7)), samples=1)
    assert entry.scores["psnr"].per_sequence_slope == pytest.approx([-0.1, -0.2], rel=1e-3)
    assert entry.scores["psnr"].per_sequence == pytest.approx([30 - 1.95, 30 - 3.9], rel=1e-3)


def test_nan_predictions_are_named():
    samples = torch.rand(2, 1, 2, 1, 8, 8)
    samples[1, 0, 0, 0, 0, 0] = float("nan")
    values = metrics.sample_metrics(samples, torch.rand(2, 2, 1, 8, 8))
    with pytest.raises(ValueError, match="test sequence 1 is not a finite number"):
        metrics.summarise(values, samples=1)


def test_bad_input_is_told():
    x = torch.rand(1, 2, 1, 8, 8)
    with pytest.raises(ValueError, match="must have one shape"):
        metrics.mse(x, x[:, :1])
    with pytest.raises(ValueError, match="divide 8-bit frames by 255"):
        metrics.mse(x, (x * 255).byte())
    with pytest.raises(ValueError, match="at least 7 x 7 pixels; these are 6 x 8"):
        metrics.ssim(x[..., :6, :], x[..., :6, :])
    with pytest.raises(ValueError, match="the same without the samples"):
        metrics.sample_metrics(x, x)
