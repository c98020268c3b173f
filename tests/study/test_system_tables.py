"""The tables of systems, on records whose answers are known."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from study.made import record, seeds

from vrnn3d.study import paper, tables
from vrnn3d.study.spread import black_spread


def test_table_1_puts_ours_beside_the_papers():
    records = [*seeds("vrnn3d_kl_ll", [40.0, 50.0]), record("e3d_lstm", 45.0), record("convlstm2d", status="cut")]
    table = tables.paper_table(records, counts={"predrnnpp": 15_375_000})
    ours = np.mean([r.score("train", "10->10") for r in records[:2]])
    row = table.loc["Variational 3D ConvLSTM + LL"]
    assert row["10 → 10", "MSE", "paper"] == 39.4 and row["10 → 10", "MSE", "ours"] == pytest.approx(ours)
    assert row["10 → 10", "MSE", "difference"] == pytest.approx(ours - 39.4)
    assert row["10 → 10", "% of black", "paper"] == pytest.approx(paper.percent_of_black(39.4))
    assert row["10 → 10", "% of black", "ours"] == pytest.approx(ours / 2)
    assert row["", "", "seeds"] == 2 and row["parameters", "million", "ours"] == pytest.approx(12.942)
    for title in ("PredRNN++", "2D ConvLSTM"):  # not run, and cut
        assert math.isnan(table.loc[title]["5 → 15", "SSIM", "ours"]) and table.loc[title]["", "", "seeds"] == 0
    assert table.loc["2D ConvLSTM"]["5 → 15", "SSIM", "paper"] == 0.482
    assert table.loc["PredRNN++"]["parameters", "million", "ours"] == pytest.approx(15.375)


def test_a_row_that_the_paper_lacks_has_ours_alone():
    row = tables.paper_table([record("beyond", 20.0)], ("beyond",)).loc["3D ConvLSTM, beyond the paper"]
    assert math.isnan(row["10 → 10", "MSE", "paper"]) and not math.isnan(row["10 → 10", "MSE", "ours"])


def test_small_runs_never_join_the_papers_numbers():
    for profile in ("smoke", "small", "tune"):
        with pytest.raises(ValueError, match=f"'{profile}' records cannot stand beside the paper's numbers"):
            tables.paper_table([], profile=profile)
    small = record(profile="small", changes={"data.size": 32})
    table = tables.paper_table([small, record(source="excerpt"), record(profile="ablation")])
    assert (table["", "", "seeds"] == 0).all()


def test_systems_are_ranked_with_what_they_cost():
    runs = [*seeds("convlstm2d", [30.0, 32.0], profile="small"), record("loss_kl_pq_z_p", 20.0, profile="small", parameters=7)]
    runs[2] = dataclasses.replace(runs[2], gigaflops=2.0)
    first, second = tables.systems(runs, ("convlstm2d", "vrnn2d", "vrnn3d_kl"), "small")
    assert (first.name, first.title, first.parameters) == ("vrnn3d_kl", "Variational 3D ConvLSTM", 7)
    assert second.mse.seeds == (0, 1) and second.mse.mean == pytest.approx(32.5, abs=0.1)
    assert second.test_interval[0] < second.mse.mean < second.test_interval[1]
    assert second.best == pytest.approx(second.mse.mean - 1) and second.percent_of_black.mean == pytest.approx(16.25, abs=0.1)
    assert (second.updates, second.sequences) == (9375, 600_000)
    assert second.processor_hours == pytest.approx(np.mean([r.processor_hours for r in runs[:2]]))
    assert second.teraflops is None and first.teraflops == 1_200
    table = tables.system_table([first, second])
    assert list(table.index) == [first.title, second.title]
    assert table.loc[second.title, "MSE"] == second.mse.text() and "±" in table.loc[second.title, "% of black"]
    assert (table.loc[first.title, "TFLOP"], table.loc[second.title, "TFLOP"]) == ("1,200", "")


def test_a_reduced_scale_stands_beside_the_paper_in_percent_of_black():
    runs = seeds("vrnn3d_kl", [40.0, 42.0], profile="half", black=200.0)
    table = tables.scaled_table(runs, ("vrnn3d_kl", "convlstm3d", "vrnn2d"), "half")
    ours, printed = table["10 → 10", "ours, %"], table["10 → 10", "paper, %"]
    (spread,) = [black_spread(runs, "10->10")]
    assert list(ours) == [spread.text(1), "not run", "not run"]
    assert list(printed) == ["24", "", "35"], "41.8 and 60.7 of 172.5; the row between is not the paper's"
    mse = tables.mse_table(runs, ("vrnn3d_kl", "vrnn2d"), "half")
    assert list(mse["seeds"]) == [2, 0] and mse["5 → 10"].iloc[1] == "not run" and "±" in mse["5 → 10"].iloc[0]


def test_windows_with_what_they_come_to():
    first, second = seeds("window_M1_H1", [30.0, 32.0], profile="ablation"), [record("window_M4_H4", 40.0, profile="ablation")]
    second[0] = dataclasses.replace(second[0], gigaflops=2.0)
    names = ["window_M4_H4", "window_M10_H10", "window_M1_H1"]
    table = tables.windows_table([*first, *second], names, "ablation")
    assert list(table.index) == ["M = 4, H = 4", "M = 1, H = 1"], "in the order asked for, without what was not run"
    assert list(dict.fromkeys(head for head, _ in table.columns)) == ["10 → 10", "10 → 20", "training"]
    (one,) = tables.systems(second, names, "ablation")
    row = table.loc[one.title]
    assert row["10 → 10", "MSE"] == one.mse.text() and row["training", "TFLOP"] == f"{one.teraflops:,.0f}"
    assert float(row["10 → 10", "95%"].split(" to ")[0]) < float(row["10 → 10", "MSE"])
    both = table.loc["M = 1, H = 1"]
    assert "±" in both["10 → 20", "% of black"] and both["training", "TFLOP"] == ""
    assert tables.windows_table([], names, "ablation").empty


def test_encoders_with_what_more_of_them_come_to():
    half = dict(profile="half", changes={"data.size": 32})
    ours = seeds("vrnn3d_kl_ll", [40.0, 42.0], **half)
    whole = dataclasses.replace(record("encoder_stages4", 50.0, **half), gigaflops=2.0)
    table = tables.encoders_table([*ours, whole], ("vrnn3d_kl_ll", "encoder_stages3", "encoder_stages4"), "half")
    assert list(table.index) == ["two (the paper)", "all four"], "without what was not run"
    assert list(table["cells a side"]) == [8, 2], "of a frame of 32 x 32 pixels"
    assert table["% of black 10 → 10"].iloc[0] == black_spread(ours, "10->10").text(1) and list(table["TFLOP"]) == ["", "1,200"]
    assert tables.encoders_table([], ("vrnn3d_kl_ll",), "half").empty
