"""Variance before and after the first bounce: taken apart, aligned and ordered."""

from __future__ import annotations

import math

import pytest
import torch

from vrnn3d.study.chance.spread import spread


def test_a_forecaster_that_spreads_at_the_bounce_has_nothing_before():
    first = torch.tensor([2, 4, 6])
    after = torch.arange(8) >= first[:, None]
    found = spread(3.0 * after, 4.0 * after + 1.0, first)
    assert (found.before, found.after, found.error_before, found.error_after) == (0.0, 3.0, 1.0, 5.0)
    assert found.order == 1.0 and found.frames == (12, 12)
    assert found.offsets[0] == -6 and found.variance[found.offsets.index(-1)] == 0.0
    assert found.variance[found.offsets.index(0)] == 3.0


def test_spread_that_only_grows_with_time_is_ordered_by_chance():
    first = torch.tensor([2, 4, 6, 3])
    found = spread(torch.arange(8.0).expand(4, -1), torch.ones(4, 8), first)
    assert found.after > found.before and found.order == 0.5


def test_variance_over_error_is_one_for_draws_from_the_right_distribution():
    generator = torch.Generator().manual_seed(0)
    samples, truth = torch.randn(6000, 5, 4, generator=generator), torch.randn(6000, 4, generator=generator)
    variance, error = samples.var(1, correction=0), (samples.mean(1) - truth).square()
    found = spread(variance, error, torch.arange(6000) % 4 + 1)
    assert found.over_error(5) == pytest.approx(1.0, abs=0.05)
    assert math.isnan(found.over_error(1))


@pytest.mark.parametrize("first", [0, 8])
def test_one_side_alone_is_told(first):
    with pytest.raises(ValueError, match="all predicted frames lie on one side"):
        spread(torch.ones(2, 8), torch.ones(2, 8), torch.tensor([first, first]))
