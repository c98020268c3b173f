"""What the KTH chapter computes: who beats whom, how a curve decays, what a model learnt by heart, and Table 2."""

from __future__ import annotations

import math

import matplotlib
import numpy as np
import pytest
import torch

from vrnn3d.evaluation import metrics
from vrnn3d.study import catalogue, results
from vrnn3d.study.figures import kth

matplotlib.use("agg")

FRAMES = np.arange(60)


def entry(level, slope=-0.1, frames=60, seed=0):
    """A record's entry of 23 windows whose PSNR starts at `level` and falls by `slope` dB a frame; SSIM is a 50th."""
    shared = torch.randn(23, 1, generator=torch.Generator().manual_seed(3))  # how hard each window is, for all models
    own = 0.05 * torch.randn(23, frames, generator=torch.Generator().manual_seed(seed))
    psnr = level + shared + slope * torch.arange(frames) + own
    values = {"mse": psnr, "psnr": psnr, "ssim": psnr / 50}
    return metrics.summarise({metric: {"average": value} for metric, value in values.items()}, samples=1)


def record(name, level=25.0, profile="small", clips="KTH, 20-clip subset", seed=0, seen=0.0, kept=None, **kwargs):
    """A KTH record; on persons seen it is better by `seen` dB."""
    return {
        "experiment": name,
        "profile": profile,
        "seed": seed,
        "status": "finished",
        "title": catalogue.get(name).title,
        "config": {"data": {"name": "kth"}},
        "data": {"description": f"{clips}: some clips of persons 1, 2"},
        "training": {"curves": kept or {}},
        "evaluation": {
            pool: {f"10->{n}": entry(level + better, frames=n, seed=sum(name.encode()), **kwargs) for n in (20, 40, 60)}
            for pool, better in (("test", 0.0), ("train", seen))
        },
    }


def test_names_are_those_of_the_chapter():
    ours = record("kth_vrnn3d_kl_ll")
    assert kth.title(ours) == "3D VRNN, KL-LL (the paper's)"
    assert kth.model_name(ours) == "vrnn3d_kl_ll"
    assert [kth.in_words(list(names)) for names in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a; b and c"]


def test_models_are_compared_window_by_window():
    copied = record("kth_copy_last", 25.0)
    better, same, worse = record("kth_vrnn3d_kl", 25.3), record("kth_vrnn2d", 25.0), record("kth_convlstm2d", 24.7)
    rows = kth.against([worse, copied, better, same], copied, "10->60", "psnr")
    assert [row["name"] for row in rows] == ["vrnn3d_kl", "vrnn2d", "convlstm2d"]  # largest first
    assert [row["estimate"] for row in rows] == pytest.approx([0.3, 0.0, -0.3], abs=0.02)
    # The windows differ by 1 dB from each other: each model's own interval is wider than what the pairing finds.
    low, high = copied["evaluation"]["test"]["10->60"]["psnr"]["interval"]
    assert high - low > 0.3
    found = kth.sides(rows)
    assert "3D VRNN, KL" in found["above"] and "2D ConvLSTM" in found["below"]
    assert kth.against([better], copied, "10->20", "psnr") == []  # not kept by window over 20 frames
    assert kth.against([better], copied, "10->20", "ssim")[0]["estimate"] == pytest.approx(0.3 / 50, abs=1e-3)


def test_an_interval_that_holds_zero_decides_nothing():
    rows = [{"label": name, "interval": interval} for name, interval in
            (("a", [0.1, 0.2]), ("b", [-0.1, 0.1]), ("c", [-0.2, -0.1]), ("d", [0.0, 0.1]))]  # fmt: skip
    assert kth.sides(rows) == {"above": ["a"], "undecided": ["b", "d"], "below": ["c"]}


def test_slopes_and_pools_can_be_asked_for():
    ours, theirs = record("kth_vrnn3d_kl", 22.0, slope=-0.08, seen=3.0), record("kth_e3d_lstm", 25.0, slope=-0.10)
    (row,) = kth.against([ours], theirs, "10->60", "psnr", values="per_sequence_slope")
    assert row["estimate"] == pytest.approx(0.02, abs=1e-3) and row["interval"][0] > 0
    (on_seen,) = kth.against([ours], theirs, "10->40", "psnr", pool="train")
    (on_new,) = kth.against([ours], theirs, "10->40", "psnr")
    assert on_seen["estimate"] - on_new["estimate"] == pytest.approx(3.0, abs=1e-3)


def test_means_by_clip():
    assert kth.mean_by([1.0, 2.0, 6.0], ["b", "a", "b"]) == {"a": 2.0, "b": 3.5}
    with pytest.raises(ValueError, match="2 values cannot be sorted into groups named for 1"):
        kth.mean_by([1.0, 2.0], ["a"])


def test_a_measurement_is_printed_with_its_interval():
    text = kth.measured(record("kth_vrnn3d_kl", 25.0, slope=0.0), "test", "10->20", "psnr", 2)
    average, low, high = (float(part.strip("[],")) for part in text.split())
    assert low < average < high and average == pytest.approx(25.0, abs=0.5)


def noisy(curve):
    return curve + 0.02 * np.random.default_rng(0).standard_normal(len(curve))


def test_an_exponential_is_told_from_a_line():
    found = kth.decay_form(noisy(20 + 9 * np.exp(-FRAMES / 12)))
    assert found["time_constant"] == pytest.approx(12, rel=0.05)
    assert found["exponential"]["residual"] == pytest.approx(0.02, rel=0.3)
    assert found["linear"]["residual"] > 20 * found["exponential"]["residual"]
    assert found["linear"]["foretold"] > 20 * found["exponential"]["foretold"]


def test_a_line_needs_no_exponential():
    found = kth.decay_form(noisy(28 - 0.1 * FRAMES))
    assert found["linear"]["residual"] == pytest.approx(0.02, rel=0.3)
    assert found["linear"]["foretold"] < 0.06
    # The longest time constants are lines to the eye: hardly worse, as the docstring says, and the constant says so.
    assert found["exponential"]["residual"] < 1.1 * found["linear"]["residual"]
    assert found["time_constant"] > kth.STRAIGHT


def test_a_forecast_never_looks_at_what_it_foretells():
    curve = 28 - 0.1 * FRAMES
    jump = curve + np.where(FRAMES >= 40, 5.0, 0.0)
    for form in ("linear", "exponential"):
        (a, _), (b, _) = (kth.decay_fit(values, form, 40) for values in (curve, jump))
        np.testing.assert_allclose(a, b)
    assert kth.decay_form(jump)["linear"]["foretold"] == pytest.approx(5.0, abs=1e-6)
    with pytest.raises(ValueError, match="no form 'cubic'"):
        kth.decay_fit(curve, "cubic")


def test_the_picture_of_curves_has_a_panel_each_and_one_legend():
    figure = kth.curves([record("kth_vrnn3d_kl"), record("kth_copy_last", 24.0)], "10->60")
    assert [len(axes.lines) for axes in figure.axes] == [2, 2]
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_xdata(), np.arange(11, 71))
    assert figure.axes[0].lines[0].get_ydata()[0] == pytest.approx(25.0, abs=0.5)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["3D VRNN, KL", "Copy the last frame"]
    # The legend stands below the axes, not on the curves.
    figure.canvas.draw()
    assert legend.get_window_extent().y1 <= min(axes.get_window_extent().y0 for axes in figure.axes)


def test_the_picture_of_learning_by_heart():
    kept = {"validation_sequences": [400, 4000], "validation_mse": [50.0, 60.0], "seen_mse": [45.0, 20.0]}
    both, copied = record("kth_vrnn3d_kl", kept=kept), record("kth_copy_last")
    assert kth.has_both(both) and not kth.has_both(copied)
    figure = kth.heart([both, copied])
    (axes,) = figure.axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[45.0, 20.0], [50.0, 60.0]]
    assert list(axes.lines[0].get_xdata()) == [400, 4000]
    with pytest.raises(ValueError, match="no record holds"):
        kth.heart([copied])


def test_rows_show_a_window_only_where_it_was_kept():
    def kept(*indices):
        videos = [np.full((60, 1, 8, 8), i, np.uint8) for i in indices]
        return {"indices": np.array(indices), "sample": np.stack(videos)}

    truth = np.full((60, 1, 8, 8), 99, np.uint8)
    rows = kth.window_rows({"ours": kept(0, 1, 2, 7), "theirs": kept(0, 1, 2, 5)}, 7, truth, frames=40)
    assert list(rows) == ["truth", "ours"] and {len(video) for video in rows.values()} == {40}
    assert (rows["ours"] == 7).all() and (rows["truth"] == 99).all()
    assert list(kth.window_rows({"ours": kept(0), "theirs": kept(0, 1)}, 0)) == ["ours", "theirs"]


def test_the_error_is_told_apart_by_what_moves():
    truth = np.full((10, 1, 4, 4), 102, np.uint8)
    truth[::2, 0, 0, :2] = 204  # two of sixteen pixels flicker
    copied = np.repeat(truth[:1], 10, axis=0)
    found = kth.error_by_motion(copied, truth)
    # Half of the frames differ by 0.4 in two pixels; nothing else does.
    assert found == pytest.approx({"still": 0.0, "moving": 0.5 * 2 * 0.4**2, "part": 14 / 16})
    grey = kth.error_by_motion(np.full_like(truth, 153), truth)
    assert grey == pytest.approx({"still": 14 * 0.2**2, "moving": 2 * 0.2**2, "part": 14 / 16})
    faint = np.full_like(truth, 102)
    faint[::2] = 104  # below the threshold: noise of the camera
    assert kth.error_by_motion(faint, faint)["part"] == 1
    with pytest.raises(ValueError, match="cannot be measured"):
        kth.error_by_motion(copied[:5], truth)


def test_table_2_holds_full_data_at_full_size_only():
    pytest.importorskip("pandas")
    titles = {name: catalogue.get(name).title for name in kth.TABLE2}
    full = dict(profile="paper", clips="KTH")
    runs = [
        record("kth_vrnn3d_kl_ll", 26.0, **full),
        record("kth_vrnn3d_kl_ll", 28.0, seed=1, **full),
        record("kth_vrnn3d_kl_ll", 10.0, profile="ablation", clips="KTH"),  # gives way to the paper's length
        record("kth_e3d_lstm", 24.0, profile="ablation", clips="KTH"),
        record("kth_vrnn3d_kl", 25.0, profile="paper"),  # 20 clips
        record("kth_vrnn2d", 25.0, clips="KTH"),  # small
        record("kth_convlstm2d", 25.0, **full) | {"status": "cut"},
    ]
    table = kth.table2(runs, titles)
    psnr = table["10 → 20", "PSNR", "ours"]
    ours = [results.value(r, "test", "10->20", "psnr") for r in runs[:2]]
    assert psnr[titles["kth_vrnn3d_kl_ll"]] == pytest.approx(np.mean(ours))
    assert psnr[titles["kth_e3d_lstm"]] == pytest.approx(results.value(runs[3], "test", "10->20", "psnr"))
    assert [name for name in titles if math.isnan(psnr[titles[name]])] == [
        "kth_convlstm2d", "kth_vrnn2d", "kth_vrnn3d_kl", "kth_copy_last"
    ]  # fmt: skip
    assert table["", "", "profile"][titles["kth_e3d_lstm"]] == "ablation"
    assert table["", "", "seeds"][titles["kth_vrnn3d_kl_ll"]] == 2
    assert kth.table2([], titles)["10 → 60", "SSIM", "ours"].isna().all()
