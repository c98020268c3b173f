"""Paired differences and spreads over seeds, on records whose answers are known."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.stats import norm, t, ttest_1samp
from study.made import digits, people, record, seeds

from vrnn3d.evaluation import metrics
from vrnn3d.study import spread
from vrnn3d.study.compare import Comparison, compare_curves, compare_runs, describe


def test_a_difference_is_paired_by_seed_and_by_sequence():
    found = compare_runs(
        seeds("vrnn3d_kl_ll", [3.0, 5.0, 4.0]), [*seeds("vrnn3d_kl", [2.0, 4.0, 3.0]), record("vrnn3d_kl", 99.0, seed=7)]
    )
    assert found.estimate == pytest.approx(1, abs=0.02) and found.seeds == (0, 1, 2)
    assert found.by_seed == pytest.approx((1, 1, 1), abs=0.03)
    assert (found.ours, found.theirs) == pytest.approx((5.5, 4.5), abs=0.1)
    # Seeds differ by 2 among themselves, and sequences by 3; pairs by nothing.
    for low, high in (found.seed_interval, found.test_interval):
        assert low < found.estimate < high and high - low < 0.1
    assert found.outcome == "worse" and found.quantity == "MSE of a frame"
    back = compare_runs(seeds("vrnn3d_kl", [2.0, 4.0, 3.0]), seeds("vrnn3d_kl_ll", [3.0, 5.0, 4.0]))
    assert found.reversed().estimate == pytest.approx(back.estimate)
    assert found.reversed().test_interval == pytest.approx(back.test_interval, abs=1e-3)
    assert found.reversed().outcome == back.outcome == "better"


def test_without_a_seed_in_common_all_are_averaged():
    found = compare_runs(seeds("vrnn3d_kl_ll", [3.0, 5.0]), [record("vrnn3d_kl", 2.0, seed=5)])
    assert found.estimate == pytest.approx(2, abs=0.02)
    assert found.seeds == () and found.by_seed == () and found.seed_interval is None
    assert "2 seeds against one" in describe(found) and found.outcome == "undecided"
    others = seeds("vrnn2d", [1.0, 2.0])
    known = compare_runs(seeds("vrnn3d_kl_ll", [3.0, 5.0]), [record("vrnn3d_kl", 2.0, seed=5)], others=others)
    noise = spread.training_noise(others)
    half = 12.706 * math.sqrt(noise.usual.value * (1 / 2 + 1))  # Student's factor for 1 degree of freedom
    assert known.pooled and known.seed_interval == pytest.approx((known.estimate - half, known.estimate + half), rel=1e-3)
    assert "over 2 seeds against one with the spread of all" in describe(known)


def test_one_seed_is_judged_by_how_far_the_seeds_of_others_are_apart():
    """The others' seeds have a common standard deviation of 1 over 3 degrees of freedom; Student's factor for 3 is 3.182."""
    others = [*seeds("vrnn2d", [7.0, 8.0, 9.0]), *seeds("convlstm2d", [4.0, 4.0 + math.sqrt(2)])]
    noise = spread.training_noise(others)
    assert noise.usual == (pytest.approx(1, abs=0.03), math.inf) and noise.freedom == 3
    alone = compare_runs(seeds("vrnn3d_kl_ll", [3.0]), seeds("vrnn3d_kl", [5.0]))
    assert alone.seed_interval is None and alone.outcome == "undecided", "nothing is known of other trainings"
    assert alone.outcome_over_test == "better"
    far, near = (
        compare_runs(seeds("vrnn3d_kl_ll", [3.0]), seeds("vrnn3d_kl", [theirs]), others=others) for theirs in (9.0, 5.0)
    )
    half = 3.182 * math.sqrt(2)
    assert near.seed_interval == pytest.approx((-2 - half, -2 + half), abs=0.1) and near.pooled
    assert (near.outcome, far.outcome) == ("undecided", "better")
    assert "over one seed with the spread of all" in describe(near) and near.reversed().pooled
    two = compare_runs(seeds("vrnn3d_kl_ll", [3.0, 3.0]), seeds("vrnn3d_kl", [5.0, 5.0]), others=others)
    assert two.seed_interval == pytest.approx((-2 - half / math.sqrt(2), -2 + half / math.sqrt(2)), abs=0.1)
    three = compare_runs(seeds("vrnn3d_kl_ll", [3.0] * 3), seeds("vrnn3d_kl", [5.0]), others=others)
    half = 3.182 * math.sqrt(1 / 3 + 1)
    assert three.seed_interval == pytest.approx((-2 - half, -2 + half), abs=0.1) and three.trainings == (3, 1)


def test_unlike_experiments_say_less_of_each_other():
    """Many quiet experiments must not make two seeds of a wild one look sure, nor one wild experiment hide all differences."""
    quiet = [r for name in ("vrnn2d", "convlstm2d", "predrnnpp", "e3d_lstm") for r in seeds(name, [7.0, 7.1, 7.2])]
    wild = seeds("improved_vrnn", [1.0, 9.0, 17.0])
    like, unlike = (spread.training_noise(runs) for runs in (quiet, [*quiet, *wild]))
    assert like.usual.freedom == math.inf and unlike.usual.freedom == 1
    ours, theirs = seeds("vrnn3d_kl_ll", [3.0, 3.1, 3.2]), seeds("vrnn3d_kl", [5.0, 5.2, 5.1])
    assert compare_runs(ours, theirs, others=quiet).outcome == "better"
    assert compare_runs(wild, theirs, others=[*quiet, *wild]).outcome == "undecided", "as far apart as its own seeds"
    assert compare_runs(wild[:1], theirs[:1], others=[*quiet, *wild]).outcome == "undecided", "nobody knows which kind it is"
    own = [*quiet, *wild, *ours, *theirs]
    assert compare_runs(ours, theirs, others=own).freedom == pytest.approx(spread.training_noise(own).usual.freedom + 2)


def test_both_uncertainties_add_as_variances():
    found = Comparison("x", False, 5.0, 0.0, (), (), (2.0, 8.0), (1.0, 9.0))
    assert found.interval == pytest.approx((0.0, 10.0)) and found.outcome == "undecided", "3 and 4 make 5"
    assert dataclasses.replace(found, ours=5.1).outcome == "worse"
    assert dataclasses.replace(found, test_interval=None).interval == pytest.approx((1.0, 9.0))


def test_the_noise_of_trainings_is_that_of_the_same_scale_and_test_set():
    ours, theirs = seeds("vrnn3d_kl_ll", [3.0]), seeds("vrnn3d_kl", [5.0])
    elsewhere = [
        *seeds("vrnn2d", [1.0, 9.0], profile="ablation"),
        *seeds("convlstm2d", [1.0, 9.0], changes={"data.speed": "fixed"}),
        dataclasses.replace(seeds("convlstm2d", [1.0, 9.0])[1], status="cut"),
        *seeds("vrnn2d", [7.0]),
    ]
    assert compare_runs(ours, theirs, others=elsewhere).seed_interval is None
    assert spread.training_noise([]) is None and spread.training_noise(seeds("vrnn2d", [7.0])) is None


def test_a_change_is_ruled_out_where_the_interval_ends_short_of_it():
    found = Comparison("x", False, 8.0, 10.0, (0, 1), (), (-2.5, -1.5), (-3.0, -1.0))
    assert found.rules_out(-0.32) and not found.rules_out(-0.31), "the interval ends at -2 - hypot(1, 0.5)"
    assert not found.rules_out(-0.05), "what was measured is larger"
    assert found.reversed().rules_out(0.5) and not found.reversed().rules_out(0.1)
    assert dataclasses.replace(found, seed_interval=None).rules_out(-0.31) is None


def test_trainings_in_unlike_precision_are_marked():
    ours, theirs = record("vrnn3d_kl_bfloat16", 3.0, "half"), record("vrnn3d_kl", 2.0, "half")
    found = compare_runs([ours], [theirs])
    assert found.precision == ("bfloat16", "float32") and found.reversed().precision == ("float32", "bfloat16")
    assert describe(found).endswith("trained in bfloat16 against float32)")
    assert compare_runs([theirs], [theirs]).precision is None


def test_what_was_not_measured_is_not_compared():
    ours = [record()]
    assert compare_runs(ours, []) is None and compare_runs([], ours) is None
    assert compare_runs(ours, ours, protocol="10->30") is None and compare_runs(ours, ours, pool="file") is None
    assert compare_runs(ours, ours, metric="crps").test_interval is None
    with pytest.raises(ValueError, match="no per-sequence values 'per_frame'; there are: per_sequence, per_sequence_slope"):
        compare_runs(ours, ours, values="per_frame")


def test_other_test_sequences_are_refused():
    with pytest.raises(ValueError, match="paper/vrnn3d_kl_ll/seed0 and paper/vrnn3d_kl/seed0 were measured on different"):
        compare_runs([record()], [record("vrnn3d_kl", changes={"data.speed": "fixed"})])
    short = dataclasses.replace(record("vrnn3d_kl"), evaluation={"test": digits(3.0)})
    entry = short.evaluation["test"]["10->10"]
    cut = {"mse": dataclasses.replace(entry.scores["mse"], per_sequence=entry.scores["mse"].per_sequence[:9])}
    fewer = dataclasses.replace(entry, sequences=9, scores=cut)
    with pytest.raises(ValueError, match="different numbers of test sequences"):
        compare_runs([record()], [dataclasses.replace(short, evaluation={"test": {"10->10": fewer}})])


def test_settings_of_the_training_data_change_no_test_set():
    other = record("vrnn3d_kl", changes={"data.online": True, "data.length": 30, "data.test_pools": ("test",)})
    assert compare_runs([record()], [other]) is not None
    plain, augmented = people("kth_vrnn3d_kl"), people("kth_vrnn3d_kl_augmented", start=27.0)
    assert compare_runs([augmented], [plain], "10->40", "psnr").estimate == pytest.approx(-1, abs=0.01)
    with pytest.raises(ValueError, match="different test sequences"):
        compare_runs([plain], [people("kth_e3d_lstm", clips="KTH, 30-clip subset")], "10->40", "psnr")


def test_slopes_are_paired_over_the_test_windows():
    ours, theirs = people(slope=-0.10), people("kth_e3d_lstm", slope=-0.105)
    found = compare_runs([ours], [theirs], "10->60", "psnr", values="per_sequence_slope")
    assert found.estimate == pytest.approx(0.005, abs=5e-4) and found.outcome_over_test == "better"
    # Each side alone is uncertain by more than the difference: only the pairing tells them apart.
    low, high = metrics.bootstrap(ours.measured("test", "10->60").scores["psnr"].per_sequence_slope)
    assert high - low > 0.01 > 10 * (found.test_interval[1] - found.test_interval[0])
    # A short protocol keeps no slope: that is "not measured", not an error.
    assert compare_runs([ours], [theirs], "10->20", "psnr", values="per_sequence_slope") is None


def outcome(test, seed, larger=False):
    middle = sum(test or seed or (0, 0)) / 2
    return Comparison("x", larger, middle, 0.0, (0,), (0.0,), test, seed).outcome


@pytest.mark.parametrize(
    ("test", "seed", "expected"),
    [
        ((-2, -1), (-2.5, -0.5), "better"),
        ((1, 2), (0.5, 2.5), "worse"),
        ((-2, -1), (-3.5, 0.5), "undecided"),  # seeds disagree
        ((-4.5, 0.5), (-3, -1), "undecided"),  # the test set is too small
        ((-2, -1), None, "undecided"),  # nothing tells what another training would give
        (None, (-3, -1), "better"),  # no value of each sequence: the seeds alone can
        (None, None, "undecided"),
        ((-1, 0), None, "undecided"),
    ],
)
def test_the_interval_must_leave_out_zero(test, seed, expected):
    assert outcome(test, seed) == expected
    mirrored = {"better": "worse", "worse": "better"}.get(expected, expected)
    assert outcome(test, seed, larger=True) == mirrored


def test_the_direction_is_the_metrics():
    ours, theirs = [record(mse=3.0)], [record("vrnn3d_kl", mse=4.0)]
    found = [compare_runs(ours, theirs, metric=metric).outcome_over_test for metric in ("mse", "ssim")]
    assert found == ["better", "better"]


def test_a_hair_between_two_single_seeds_decides_nothing():
    ours, theirs = record(variance=1.0001, log_std=-1.9999), record("vrnn3d_kl", variance=1.0, log_std=-2.0)
    assert compare_runs([ours], [theirs], metric="sample_variance").outcome == "undecided"
    found = compare_curves([ours], [theirs], "log_std_prior", "log std", larger_is_better=True)
    assert found.estimate == pytest.approx(1e-4) and found.outcome == "undecided" and found.seeds == (0,)


def test_the_ends_of_curves_are_compared_by_seed():
    ours = [record(log_std=x, seed=s) for s, x in enumerate((-1.0, -1.1, -1.2))]
    theirs = [record("vrnn3d_kl", log_std=x - 0.5, seed=s) for s, x in enumerate((-1.0, -1.1, -1.2))]
    found = compare_curves(ours, theirs, "log_std_prior", "log std", larger_is_better=True)
    assert found.by_seed == pytest.approx((0.5, 0.5, 0.5)) and found.outcome == "better"
    assert compare_curves(ours, [record(log_std=None)], "log_std_prior", "log std", larger_is_better=True) is None
    long = record(curves={"loss": tuple(float(i) for i in range(30))}, log_std=None)
    assert spread.end_of(long, "loss") == 28 and math.isnan(spread.end_of(long, "latent"))


def test_the_p_value_is_students_over_seeds_widened_by_the_test_set():
    by_seed = [0.3, 0.5, 0.9]
    mean = sum(by_seed) / 3
    alone = Comparison("x", False, mean, 0.0, (0, 1, 2), tuple(by_seed), None, spread.seed_interval(by_seed), freedom=2)
    assert alone.p_value == pytest.approx(ttest_1samp(by_seed, 0).pvalue, rel=1e-9)
    both = dataclasses.replace(alone, test_interval=(mean - 1, mean + 1))
    error = math.hypot(np.std(by_seed, ddof=1) / math.sqrt(3), 1 / norm.ppf(0.975))
    assert both.p_value > alone.p_value and 2 * norm.sf(mean / error) < both.p_value < 2 * t.sf(mean / error, 2)
    assert both.p_value == both.reversed().p_value and dataclasses.replace(alone, seed_interval=None).p_value == 1
    same = dataclasses.replace(alone, seed_interval=(mean, mean))
    assert (same.p_value, dataclasses.replace(same, ours=0.0).p_value) == (0, 1)


def test_a_comparison_knows_the_freedom_of_its_spread():
    ours, theirs = seeds("vrnn3d_kl_ll", [40.0, 44.0, 48.0]), seeds("vrnn3d_kl", [50.0, 51.0, 52.0])
    assert compare_runs(ours, theirs).freedom == 2
    assert compare_runs(ours[:1], theirs[:1], others=[*ours, *theirs]).freedom == 4, "that of the noise it borrows"


def test_words_hold_both_intervals():
    three = Comparison("x", False, 3.5, 4.0, (0, 1, 2), (-1.0, -0.5, 0.0), (-0.6, -0.4), (-1.74, 0.742), trainings=(3, 3))
    text = "-0.5 (95%: -1.75 to +0.745; over test sequences -0.6 to -0.4; over 3 seeds -1.74 to +0.742)"
    assert describe(three) == text.replace("-", "\N{MINUS SIGN}")
    one = Comparison("x", False, 1234.0, 4.0, (0,), (1230.0,), None, None)
    assert describe(one) == "+1,230 (one seed)"


def test_trainings_of_unequal_length_are_marked():
    ours, theirs = seeds("vrnn3d_kl_ll", [3.0]), seeds("vrnn3d_kl", [5.0])
    assert compare_runs(ours, theirs).trained is None
    shorter = [dataclasses.replace(r, training=dataclasses.replace(r.training, sequences=7_500)) for r in theirs]
    found = compare_runs(ours, shorter)
    assert found.trained == (ours[0].training.sequences, 7_500) and found.reversed().trained == found.trained[::-1]
    assert describe(found).endswith(f"trained on {ours[0].training.sequences:,} against 7,500 sequences)")
