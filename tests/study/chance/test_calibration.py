"""Rank histograms: flat for draws from the truth's own distribution, and what they look like otherwise."""

from __future__ import annotations

import pytest
import torch

from vrnn3d.study.chance import calibration as cal


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def positions(truth_scale: float, sequences: int = 400, samples: int = 9):
    """Calibration of standard normal samples against a truth of another width, (B, S, T, 2)."""
    generator = drawn(3)
    samples_ = torch.randn(sequences, samples, 3, 2, generator=generator)
    truth = truth_scale * torch.randn(sequences, 3, 2, generator=generator)
    return cal.calibration(cal.position_counts(samples_, truth, torch.ones(sequences, 3, dtype=torch.bool), drawn(1)))


def test_the_truth_among_its_like_has_any_rank():
    found = positions(1.0)
    assert found.samples == 9 and found.ranked == 400 * 3 * 2
    assert found.outside == pytest.approx(found.expected_outside, abs=0.03) and found.expected_outside == 0.2
    assert found.calibrated and found.index <= found.noise < 0.15


def test_samples_too_alike_leave_the_truth_outside_and_too_wide_ones_do_not():
    narrow, wide = positions(3.0), positions(0.3)
    assert narrow.outside > 0.5 and not narrow.calibrated
    assert wide.outside < 0.05 and not wide.calibrated


def test_coverage_is_the_diagonal_for_calibrated_samples_and_below_it_for_narrow_ones():
    nominal, observed = cal.Calibration((0.25,) * 4, 0.0, 0.0, 4).coverage()
    assert nominal == (0.5, 1.0) == observed
    nominal, observed = cal.Calibration((0.4, 0.05, 0.1, 0.05, 0.4), 0.9, 0.1, 4).coverage()
    assert nominal == pytest.approx((0.2, 0.6, 1.0)) and observed == pytest.approx((0.1, 0.2, 1.0))


def test_ranks_count_the_samples_below_and_break_ties_at_random():
    samples = torch.tensor([[1.0], [2.0], [3.0]]).T[:, :, None].expand(1, 3, 1)
    for value, rank in ((0.5, 0), (1.5, 1), (9.0, 3)):
        assert cal.ranks(samples, torch.tensor([[value]]), drawn()).item() == rank
    equal = cal.ranks(torch.zeros(1, 3, 4000), torch.zeros(1, 4000), drawn())
    assert torch.bincount(equal.flatten(), minlength=4).min() > 900, "all equal: any of the four ranks"
    again = cal.ranks(torch.zeros(1, 3, 4000), torch.zeros(1, 4000), drawn())
    assert torch.equal(equal, again)


def test_each_sequence_has_a_histogram_of_the_frames_that_count():
    found = torch.tensor([[0, 2, 1], [2, 2, 0]])
    counted = torch.tensor([[True, True, False], [True, True, True]])
    assert cal.rank_counts(found, counted, 2).tolist() == [[1, 0, 1], [1, 0, 2]]


def test_black_ground_and_faint_noise_on_it_are_not_ranked():
    truth = torch.zeros(1, 1, 1, 4, 4)
    truth[..., 0, 0] = 1.0
    samples = 0.02 * torch.rand(1, 5, 1, 1, 4, 4, generator=drawn())
    counts = cal.pixel_counts(samples, truth, torch.ones(1, 1, dtype=torch.bool), drawn())
    assert counts.tolist() == [[0, 0, 0, 0, 0, 1]], "one bright pixel, above all samples"
    assert cal.pixel_counts(samples, truth, torch.zeros(1, 1, dtype=torch.bool), drawn()).sum() == 0


def test_the_centre_of_mass_of_a_spot_is_the_spot_and_haze_hardly_moves_it():
    frame = torch.zeros(1, 32, 32)
    frame[0, 4:7, 20:23] = 1.0
    assert cal.centre_of_mass(frame).tolist() == [5.0, 21.0]
    hazy = cal.centre_of_mass((frame + 0.05).clamp(0, 1))
    assert (hazy - torch.tensor([5.0, 21.0])).abs().max() < 3
    assert cal.centre_of_mass(torch.zeros(1, 32, 32)).tolist() == [15.5, 15.5]


def test_values_of_one_sequence_that_hang_together_make_more_noise():
    counts = torch.zeros(200, 5).scatter_(1, torch.randint(5, (200, 1), generator=drawn()), 1.0)
    few = cal.calibration(10 * counts)
    many = cal.calibration(torch.cat([counts] * 10))
    assert few.ranked == many.ranked and few.index == pytest.approx(many.index)
    assert few.noise > 2 * many.noise


def test_nothing_to_rank_is_told():
    with pytest.raises(ValueError, match="no value was ranked"):
        cal.calibration(torch.zeros(3, 4))
