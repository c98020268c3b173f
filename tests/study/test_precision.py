"""What is said of trainings in bfloat16 beside others in float32."""

from __future__ import annotations

from study.made import record, seeds

from vrnn3d.study.precision import mixed_precision

WINDOWS = ("window_M1_H1", "window_M4_H1")


def test_which_were_trained_in_bfloat16_and_what_that_does():
    runs = [record("window_M1_H1", 40.0, profile="half"), record("window_M4_H1", 44.0, profile="half")]
    note = mixed_precision(runs, WINDOWS, "half")
    told = "M = 4, H = 1: trained in bfloat16, the others in float32."
    assert note == f"{told} What that does was not measured."
    assert mixed_precision([*runs, record("vrnn3d_kl_bfloat16", 41.0, profile="half")], WINDOWS, "half") == note
    both = [*seeds("vrnn3d_kl", [40.0, 42.0], profile="half"), record("vrnn3d_kl_bfloat16", 41.0, profile="half")]
    half, whole = both[-1].score("test", "10->10"), [run.score("test", "10->10") for run in both[:2]]
    measured = mixed_precision([*runs, *both], WINDOWS, "half")
    assert measured.startswith(told) and "10 → 10" in measured
    assert f"on Variational 3D ConvLSTM: an MSE of {half:.2f} in bfloat16 and of {sum(whole) / 2:.2f} ± " in measured


def test_nothing_is_said_where_all_were_trained_alike():
    one, other = record("window_M1_H1", 40.0, profile="half"), record("window_M4_H1", 44.0, profile="half")
    assert mixed_precision([one], WINDOWS, "half") == "" == mixed_precision([other], WINDOWS, "half")
    assert mixed_precision([], WINDOWS, "half") == ""
