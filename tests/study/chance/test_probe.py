"""The probe finds what features say of a direction, no more; bounces are found where there are some."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from vrnn3d.data.moving_mnist import MovingMNIST
from vrnn3d.study.chance.probe import CEILING, DIRECTIONS, around, find_bounces, probe

DOT = torch.full((1, 4, 4), 255, dtype=torch.uint8)


def world(**settings) -> MovingMNIST:
    options = dict(size=20, num_digits=1, speed_range=(1.5, 2.5), length=20, count=300, bounce="random") | settings
    return MovingMNIST(DOT, **options)


@pytest.fixture(scope="module")
def bounces():
    made = world()
    return find_bounces(made.positions(torch.arange(300))[:, :, 0], made.free)


def test_bounces_lie_at_their_wall_and_lead_away_from_it(bounces):
    assert len(bounces.frame) > 500
    at = torch.stack(
        [bounces.corner[:, 0] == 0, bounces.corner[:, 0] == 16, bounces.corner[:, 1] == 0, bounces.corner[:, 1] == 16]
    )
    assert at.gather(0, bounces.wall[None]).all()
    # Sectors count from "to the right" over "down": down is 0-3, up 4-7; to the left is 2-5.
    away = {0: {0, 1, 2, 3}, 1: {4, 5, 6, 7}, 2: {0, 1, 6, 7}, 3: {2, 3, 4, 5}}
    for wall, allowed in away.items():
        counts = torch.bincount(bounces.direction[bounces.wall == wall], minlength=DIRECTIONS)
        assert set(counts.nonzero().flatten().tolist()) == allowed
        assert counts[list(allowed)].min() > 0.4 * counts[list(allowed)].float().mean()


def test_bounces_agree_with_the_tracks(bounces):
    corner = world().tracks(torch.arange(300)).corner[:, :, 0]
    assert torch.equal(corner[bounces.sequence, bounces.frame], bounces.corner)
    step = corner[bounces.sequence, bounces.frame + 1] - bounces.corner
    for wall, axis, sign in ((0, 0, 1), (1, 0, -1), (2, 1, 1), (3, 1, -1)):
        assert (sign * step[bounces.wall == wall, axis] >= 0).all()


def test_a_probe_finds_all_of_what_is_plain_to_see_and_nothing_in_noise(bounces):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(len(bounces.frame), 10, generator=generator)
    told = torch.cat([F.one_hot(bounces.direction, DIRECTIONS), noise], 1)
    everything = probe(told, bounces.wall, bounces.direction)
    assert everything.nats == pytest.approx(CEILING, abs=0.15) and everything.accuracy == 1.0
    nothing = probe(noise, bounces.wall, bounces.direction)
    assert abs(nothing.nats) < 0.06 and nothing.interval[0] < 0.02
    assert 0.1 < nothing.accuracy < 0.4


def test_a_probe_finds_half_of_it_in_one_bit(bounces):
    """One bit about four equally probable sectors leaves two of them."""
    bit = (bounces.direction % 2)[:, None].double()
    found = probe(bit, bounces.wall, bounces.direction)
    assert found.nats == pytest.approx(math.log(2), abs=0.12)
    assert found.bounces == len(bounces.frame)


def test_too_few_bounces_are_told():
    with pytest.raises(ValueError, match="99 bounces are too few"):
        probe(torch.zeros(99, 2), torch.zeros(99, dtype=torch.long), torch.zeros(99, dtype=torch.long))


@pytest.mark.parametrize("corner", [(0, 0), (18, 18), (5, 9)])
def test_the_part_around_a_digit_moves_with_it(corner):
    """Cells of four pixels in a frame of 32: a digit of 14 pixels covers at most five, with one more on either side."""
    y, x = corner
    maps = torch.zeros(1, 1, 8, 8)
    maps[0, 0, y // 4, x // 4] = 1.0
    cut = around(maps, torch.tensor([corner]), 14, 4).view(7, 7)
    assert cut[1, 1] == 1.0 and cut.sum() == 1.0
    assert around(torch.ones(1, 2, 8, 8), torch.tensor([corner]), 14, 4).sum() <= 2 * 49
