"""What the KTH chapter shows: who beats whom, curves of memorisation, predictions beside the truth, and Table 2."""

from __future__ import annotations

import math

import matplotlib
import numpy as np
import pytest
from study.made import people

from vrnn3d.study.catalogue import EXPERIMENTS
from vrnn3d.study.figures import kth
from vrnn3d.study.paper import TABLE2

matplotlib.use("agg")


def test_names_are_those_of_the_chapter():
    ours = people("kth_vrnn3d_kl_ll")
    assert kth.title(ours) == "3D VRNN, KL-LL (the paper's)"
    assert kth.model_name(ours) == "vrnn3d_kl_ll"


def test_the_runs_of_one_scale_the_best_first():
    small = people("kth_vrnn3d_kl", 20.0, profile="small")
    half = [people("kth_vrnn3d_kl", 24.0, profile="half"), people("kth_copy_last", 25.0, profile="half")]
    again = people("kth_vrnn3d_kl", 30.0, profile="half", seed=1)
    at = kth.runs_at_scale([small, *half, again], "half")
    assert [kth.model_name(r) for r in at.runs] == ["copy_last", "vrnn3d_kl"], "seed 0 alone, the highest PSNR first"
    assert at.run("vrnn3d_kl").profile == "half" and at.run("e3d_lstm") is None
    assert [kth.title(r) for r in at.ours()] == ["3D VRNN, KL"] and at.words == "half scale"
    assert at.conditions().startswith("Half scale: frames of 64") and "parameters" not in at.conditions()
    none = kth.runs_at_scale([], "half")
    assert none.ours() == [] and none.conditions() == ""


def test_models_are_compared_window_by_window():
    copied = people("kth_copy_last", 25.0)
    better, same, worse = people("kth_vrnn3d_kl", 25.3), people("kth_vrnn2d", 25.0), people("kth_convlstm2d", 24.7)
    rows = kth.against([worse, copied, better, same], copied, "10->60", "psnr")
    assert [row.row()["name"] for row in rows] == ["vrnn3d_kl", "vrnn2d", "convlstm2d"]  # largest first
    assert [row.comparison.estimate for row in rows] == pytest.approx([0.3, 0.0, -0.3], abs=0.02)
    # The windows differ by 1 dB from each other: each model's own interval is wider than what the pairing finds.
    low, high = copied.measured("test", "10->60").scores["psnr"].interval
    assert high - low > 0.3
    found = kth.by_outcome(rows)
    assert "3D VRNN, KL" in found["better"] and "2D ConvLSTM" in found["worse"]
    assert kth.against([better], copied, "10->20", "psnr") == []  # not kept by window over 20 frames
    (ssim,) = kth.against([better], copied, "10->20", "ssim")
    assert ssim.comparison.estimate == pytest.approx(0.3 / 50, abs=1e-3)


def test_who_is_better_than_copying_and_what_was_not_compared():
    copied = people("kth_copy_last", 25.0)
    better, worse = people("kth_vrnn3d_kl", 25.3), people("kth_convlstm2d", 24.7)
    outcomes, averaged = kth.outcomes_against([worse, copied, better], copied, metrics=("psnr", "ssim"))
    assert averaged == ["PSNR at 10 → 20"], "the one measure that is not kept by window"
    assert outcomes["3D VRNN, KL"]["10 → 60", "PSNR"] == "better" and outcomes["2D ConvLSTM"]["10 → 40", "PSNR"] == "worse"
    assert ("10 → 20", "PSNR") not in outcomes["3D VRNN, KL"] and ("10 → 20", "SSIM") in outcomes["3D VRNN, KL"]
    assert kth.better_somewhere(outcomes) == ["3D VRNN, KL"]
    told = kth.outcomes_in_words(outcomes | {"level": {("10 → 20", "SSIM"): "undecided"}}, averaged)
    assert "in some measure: 3D VRNN, KL. " in told and "undecided in some: level. " in told
    assert "Worse in all that was compared: 2D ConvLSTM." in told and told.endswith("so not compared: PSNR at 10 → 20.")
    assert "Kept as an average" not in kth.outcomes_in_words(outcomes, [])


def test_slopes_and_pools_can_be_asked_for():
    ours, theirs = people("kth_vrnn3d_kl", 22.0, -0.08, seen=3.0), people("kth_e3d_lstm", 25.0, -0.10)
    (row,) = kth.against([ours], theirs, "10->60", "psnr", values="per_sequence_slope")
    assert row.comparison.estimate == pytest.approx(0.02, abs=1e-3) and row.comparison.outcome_over_test == "better"
    (on_seen,) = kth.against([ours], theirs, "10->40", "psnr", pool="train")
    (on_new,) = kth.against([ours], theirs, "10->40", "psnr")
    assert on_seen.comparison.estimate - on_new.comparison.estimate == pytest.approx(3.0, abs=0.01)


def test_differences_in_print():
    (row,) = kth.against([people("kth_vrnn3d_kl", 24.0)], people("kth_copy_last", 25.0), "10->60", "psnr")
    assert row.text(1) == "-1.0 [-1.0, -1.0]".replace("-", "\N{MINUS SIGN}")
    assert kth.difference_text(row.comparison, 0, factor=10).startswith("\N{MINUS SIGN}10 [")


def test_means_by_clip():
    assert kth.mean_by([1.0, 2.0, 6.0], ["b", "a", "b"]) == {"a": 2.0, "b": 3.5}
    with pytest.raises(ValueError, match="2 values cannot be sorted into groups named for 1"):
        kth.mean_by([1.0, 2.0], ["a"])


def test_a_measurement_is_printed_with_its_interval():
    run = people("kth_vrnn3d_kl", 25.0, 0.0)
    average, low, high = (float(part.strip("[],")) for part in kth.measured(run, "test", "10->20", "psnr", 2).split())
    assert low < average < high and average == pytest.approx(25.0, abs=0.5)
    assert kth.measured(run, "test", "10->30", "psnr", 2) == "not run"


def test_the_picture_of_curves_has_a_panel_each_and_one_legend():
    figure = kth.curves([people("kth_vrnn3d_kl", 25.0), people("kth_copy_last", 24.0)], "10->60")
    assert [len(axes.lines) for axes in figure.axes] == [2, 2]
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_xdata(), np.arange(11, 71))
    assert figure.axes[0].lines[0].get_ydata()[0] == pytest.approx(25.0, abs=0.5)
    assert figure.axes[0].get_ylabel() == "PSNR (dB) (higher is better)"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["3D VRNN, KL", "Copy the last frame"]
    # The legend stands below the axes, not on the curves.
    figure.canvas.draw()
    assert legend.get_window_extent().y1 <= min(axes.get_window_extent().y0 for axes in figure.axes)


KEPT = {"validation_sequences": (400.0, 4000.0, 8000.0), "validation_mse": (50.0, 40.0, 60.0), "seen_mse": (45.0, 30.0, 20.0)}


def test_memorisation_in_a_picture_and_in_numbers():
    both, copied = people("kth_vrnn3d_kl", curves=KEPT), people("kth_copy_last")
    assert kth.has_both(both) and not kth.has_both(copied)
    (axes,) = kth.memorisation([both, copied]).axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[45, 30, 20], [50, 40, 60]]
    assert list(axes.lines[0].get_xdata()) == [400, 4000, 8000]
    with pytest.raises(ValueError, match="no record holds"):
        kth.memorisation([copied])
    found = kth.memorised(both)
    assert (found.seen, found.held_out, found.lowest_at, found.sequences) == (20, 60, 4000, 8000)
    assert (found.first_ratio, found.last_ratio) == pytest.approx((50 / 45, 3.0))


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
    assert (found.still, found.moving, found.part) == pytest.approx((0.0, 0.5 * 2 * 0.4**2, 14 / 16))
    grey = kth.error_by_motion(np.full_like(truth, 153), truth)
    assert (grey.still, grey.moving, grey.part) == pytest.approx((14 * 0.2**2, 2 * 0.2**2, 14 / 16))
    both = kth.mean_motion_error([found, grey])
    assert (both.still, both.part) == pytest.approx((14 * 0.2**2 / 2, 14 / 16))
    faint = np.full_like(truth, 102)
    faint[::2] = 104  # below the threshold: noise of the camera
    assert kth.error_by_motion(faint, faint).part == 1
    with pytest.raises(ValueError, match="cannot be measured"):
        kth.error_by_motion(copied[:5], truth)


def test_table_2_holds_full_data_at_full_size_only():
    titles = {name: EXPERIMENTS[name].title for name in TABLE2}
    runs = [
        people("kth_vrnn3d_kl_ll", 26.0, profile="paper", clips="KTH"),
        people("kth_vrnn3d_kl_ll", 28.0, profile="paper", clips="KTH", seed=1),
        people("kth_vrnn3d_kl_ll", 10.0, profile="ablation", clips="KTH"),  # gives way to the paper's length
        people("kth_e3d_lstm", 24.0, profile="ablation", clips="KTH"),
        people("kth_vrnn3d_kl", 25.0, profile="paper"),  # 20 clips
        people("kth_vrnn2d", 25.0, profile="small", clips="KTH", changes={"data.size": 64}),
        people("kth_convlstm2d", 25.0, profile="paper", clips="KTH", status="cut"),
    ]
    table = kth.table2(runs, titles)
    psnr = table["10 → 20", "PSNR", "ours"]
    ours = [r.score("test", "10->20", "psnr") for r in runs[:2]]
    assert psnr[titles["kth_vrnn3d_kl_ll"]] == pytest.approx(np.mean(ours))
    assert psnr[titles["kth_e3d_lstm"]] == pytest.approx(runs[3].score("test", "10->20", "psnr"))
    missing = {name for name in titles if math.isnan(psnr[titles[name]])}
    assert missing == {"kth_convlstm2d", "kth_vrnn2d", "kth_vrnn3d_kl", "kth_copy_last"}
    assert table["", "", "profile"][titles["kth_e3d_lstm"]] == "ablation"
    assert table["", "", "seeds"][titles["kth_vrnn3d_kl_ll"]] == 2
    assert kth.table2([], titles)["10 → 60", "SSIM", "ours"].isna().all()


def test_tables_have_two_header_rows_and_a_column_for_every_measure():
    outcomes = {"a": {("10 → 20", "SSIM"): "worse", ("10 → 40", "MSE"): "better"}, "b": {("10 → 20", "MSE"): "undecided"}}
    table = kth.outcomes_table(outcomes)
    assert list(table.columns) == [("10 → 20", "MSE"), ("10 → 20", "SSIM"), ("10 → 40", "MSE")]
    assert list(table.loc["a"]) == ["not kept by window", "worse", "better"] and table.index.name == "model"


def test_results_on_persons_seen_and_not_seen():
    runs = [people("kth_vrnn3d_kl"), people("kth_e3d_lstm")]
    table = kth.results_table(runs, "10->20")
    assert len(table) == 2 and list(dict.fromkeys(head for head, _ in table.columns)) == ["persons not seen", "persons seen"]
    assert table.iloc[0, 0] == kth.measured(runs[0], "test", "10->20", "psnr", 2)
