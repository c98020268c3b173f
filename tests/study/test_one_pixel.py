"""What one pixel costs, against pictures whose cost is known and against a simulation."""

from __future__ import annotations

import pytest
import torch

from vrnn3d.study.one_pixel import one_pixel


def test_a_single_bright_pixel_is_paid_for_twice():
    frames = torch.zeros(1, 1, 8, 8)
    frames[0, 0, 3, 4] = 1.0
    found = one_pixel(frames)
    assert found.beside == pytest.approx(200)
    assert found.rounding == pytest.approx(100 * 5 / 9)  # all but the probability of being right twice, 2/3 on either axis


def test_a_large_even_picture_costs_its_edges():
    frames = torch.zeros(1, 1, 32, 32)
    frames[0, 0, 4:20, 4:20] = 1.0
    assert one_pixel(frames).beside == pytest.approx(100 * 2 * 16 / 16**2)


def test_the_cost_of_rounding_is_that_of_the_best_forecast():
    """Simulated: a uniform fraction on each axis, the mean of the four pictures as the forecast."""
    generator = torch.Generator().manual_seed(0)
    picture = torch.zeros(12, 12)
    picture[3:8, 3:8] = torch.rand(5, 5, generator=generator)
    pictures = torch.stack([picture.roll((dy, dx), (0, 1)) for dy in (0, 1) for dx in (0, 1)])
    fractions = torch.rand(20_000, 2, generator=generator)
    y, x = (torch.stack([1 - f, f], 1) for f in fractions.unbind(1))
    chances = (y[:, :, None] * x[:, None, :]).flatten(1)
    forecast = torch.einsum("nk,khw->nhw", chances, pictures)
    errors = (pictures - forecast[:, None]).square().sum((2, 3))
    simulated = 100 * ((chances * errors).sum(1) / picture.square().sum()).mean()
    assert one_pixel(picture[None, None]).rounding == pytest.approx(simulated.item(), rel=0.01)
