"""The average over samples is taken apart, and records whose numbers do not add up are told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from synthetic import record, score

from vrnn3d.evaluation.scores import Evaluation
from vrnn3d.study.error_parts import error_parts, shares_in_words


def evaluated(seed: int, average: float, variance: float, samples: int = 5, **more):
    mse = replace(score(average), mean_frame=average - 10.0, best=average - 12.0)
    entry = Evaluation(3, samples, {"mse": mse, "sample_variance": score(variance)})
    return replace(record(seed=seed, **more), evaluation={"test": {"10->3": entry}})


def test_parts_are_means_over_seeds():
    (parts,) = error_parts([evaluated(0, 30.0, 10.0), evaluated(1, 40.0, 10.0)], "10->3")
    assert (parts.seeds, parts.average, parts.mean_frame, parts.variance, parts.best) == (2, 35.0, 25.0, 10.0, 23.0)


def test_models_with_a_single_prediction_have_no_parts():
    assert error_parts([evaluated(0, 30.0, 10.0, samples=1)], "10->3") == []
    assert error_parts([evaluated(0, 30.0, 10.0)], "10->10") == []


def test_the_lowest_average_comes_first():
    found = error_parts([evaluated(0, 40.0, 10.0), evaluated(0, 30.0, 10.0, experiment="vrnn2d")], "10->3")
    assert [parts.average for parts in found] == [30.0, 40.0]


def test_the_largest_share_of_the_variance_is_told_for_each_way_of_decoding():
    runs = [
        evaluated(0, 40.0, 10.0),
        evaluated(0, 30.0, 10.0, experiment="loss_kl_pq_z_q"),
        evaluated(0, 200.0, 10.0, experiment="improved_vrnn"),
    ]
    told = shares_in_words(error_parts(runs, "10->3"), {"loss_kl_pq_z_q": "ours"})
    assert "at full size 25.0% where $z_p$ is decoded" in told
    assert "33.3% where $z_q$ is (ours)" in told and "5.0% in other models" in told
    assert shares_in_words([]) == ""


def test_numbers_that_do_not_add_up_are_told():
    with pytest.raises(
        ArithmeticError, match="in paper/vrnn3d_kl_ll/seed0, test, 10->3, the average MSE 30 is not .* variance, 11"
    ):
        error_parts([evaluated(0, 30.0, 11.0)], "10->3")
