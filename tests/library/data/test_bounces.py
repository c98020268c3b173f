"""Random bounces: their laws by statistics with fixed seeds, and the many futures of one context."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from vrnn3d.data import motion
from vrnn3d.data.moving_mnist import MovingMNIST

PICTURES = torch.randint(1, 256, (10, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
DOT = torch.full((1, 1, 1), 255, dtype=torch.uint8)
SURE = 1e-3  # draws are fixed: a law that holds passes always, and one that does not is far below


def wide(**settings) -> MovingMNIST:
    """A frame so large that whole pixels hide nothing of direction and speed, and corners are hardly ever met."""
    options = dict(size=100_001, speed_range=(300.0, 500.0), length=30, count=20_000, bounce="random") | settings
    return MovingMNIST(DOT, **options)


def turns(corner, free=100_000):
    """Of digits that meet one wall: their steps (N, 2) before and after, as (along the wall, away from it)."""
    corner = corner.double().transpose(1, 2).flatten(0, 1)  # (digits, T, 2)
    steps = corner.diff(dim=1)
    at = (corner == free).double() - (corner == 0).double()
    before, after = [], []
    for axis in (0, 1):
        alone = (at[:, 1:-1, axis] != 0) & (at[:, 2:] == 0).all(-1) & (at[:, 1:-1, 1 - axis] == 0)
        inwards = -at[:, 1:-1, axis][alone]
        for found, kept in ((steps[:, :-1], before), (steps[:, 1:], after)):
            kept.append(torch.stack([found[..., 1 - axis][alone], found[..., axis][alone] * inwards], -1))
    return torch.cat(before), torch.cat(after)


def angle(step):
    """From -90 to 90 degrees around the direction straight away from the wall, as a number in [0, 1]."""
    return torch.atan2(step[:, 0], step[:, 1]) / math.pi + 0.5


def test_a_new_direction_is_uniform_over_the_half_circle_and_a_new_speed_over_the_range():
    before, after = turns(wide().tracks(torch.arange(20_000)).corner)
    assert len(after) > 4000 and (after[:, 1] > 0).all()
    speed = after.norm(dim=1)
    assert stats.kstest(angle(after), "uniform").pvalue > SURE
    assert stats.kstest((speed - 300) / 200, "uniform").pvalue > SURE
    known = torch.stack([angle(after), speed, torch.atan2(before[:, 0], before[:, 1])])
    assert torch.corrcoef(known).fill_diagonal_(0).abs().max() < 0.05


def test_a_mirror_keeps_direction_along_the_wall_and_speed():
    before, after = turns(wide(bounce="mirror", speed_range=(400.0, 400.0)).tracks(torch.arange(2000)).corner)
    assert len(after) > 400 and (before[:, 0] - after[:, 0]).abs().max() <= 1
    assert (after.norm(dim=1) - 400).abs().max() <= 2


def test_at_fixed_speed_only_the_direction_is_new():
    made = wide(speed="fixed", length=200, count=300)  # a tenth of the frame at each step
    _, after = turns(made.tracks(torch.arange(300)).corner)
    assert len(after) > 4000 and (after.norm(dim=1) - 10_000).abs().max() <= 2
    assert angle(after).std() > 0.2


def test_in_a_corner_the_new_direction_is_uniform_over_the_quarter_circle():
    count, free = 4000, torch.tensor([100.0, 100.0], dtype=torch.float64)
    table = motion.directions()
    drawn = table[torch.randint(len(table), (count,), generator=torch.Generator().manual_seed(0))][:, None, None]
    start = torch.tensor([0.5, 99.5], dtype=torch.float64).expand(count, 1, 2)
    path = motion.paths(start, torch.tensor([-1.0, 1.0]).expand(count, 1, 2), free, 2, drawn.expand(-1, 2, 1, 2))
    assert torch.equal(path[:, 0, 0], torch.tensor([0.0, 100.0], dtype=torch.float64).expand(count, 2))
    away = (path[:, 1, 0] - path[:, 0, 0]) * torch.tensor([1.0, -1.0])
    assert away.min() >= 0
    assert stats.kstest(torch.atan2(away[:, 0], away[:, 1]) / (math.pi / 2), "uniform").pvalue > SURE


@pytest.mark.parametrize("settings", [dict(), dict(speed="fixed"), dict(size=(40, 90)), dict(speed_range=(0.0, 60.0))])
def test_digits_stay_within_the_walls_and_never_jump(settings):
    made = MovingMNIST(PICTURES, length=60, bounce="random", **settings)
    corner = made.tracks(torch.arange(500)).corner
    assert corner.amin((0, 1, 2)).tolist() == [0, 0] and corner.amax((0, 1, 2)).tolist() == list(made.free)
    top = made.step if made.speed == "fixed" else made.speed_range[1]
    assert corner.double().diff(dim=1).norm(dim=-1).max() <= top + math.sqrt(2)  # truncation to whole pixels


# ---- futures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("context", [1, 5, 10, 20])
def test_futures_share_their_context(context):
    made = MovingMNIST(PICTURES, bounce="random")
    for index in (0, 7):
        futures, truth = made.futures(index, context, 6), made.batch([index])
        assert futures.shape == (6, 20, 1, 64, 64) and futures.dtype == torch.uint8
        assert torch.equal(futures[:, :context], truth[:, :context].expand(6, -1, -1, -1, -1))
    if context < 15:
        assert len({future.numpy().tobytes() for future in (*futures, truth[0])}) == 7


def test_with_mirrors_there_is_one_future():
    made = MovingMNIST(PICTURES)
    assert torch.equal(made.futures(3, 2, 4), made.batch([3]).expand(4, -1, -1, -1, -1))


def test_a_future_depends_on_seed_stream_index_and_its_number_alone():
    made = MovingMNIST(PICTURES, bounce="random")
    some = made.futures(4, 6, 3)
    assert torch.equal(some, made.futures(4, 6, 50)[:3])
    assert torch.equal(some, made.futures(4, 6, 3, length=45)[:, :20])
    assert torch.equal(some, MovingMNIST(PICTURES, bounce="random", length=7).futures(4, 6, 3, length=20))
    for other in (dict(seed=1), dict(stream="test")):
        assert not torch.equal(some, MovingMNIST(PICTURES, bounce="random", **other).futures(4, 6, 3))


def first_turns(made, context, n, length):
    """Of every index: the first steps after a wall that its one digit meets in the context's last frame."""
    met = []
    corner = made.tracks(torch.arange(made.count)).corner
    at = (corner == 0) | (corner == 100_000)
    arrived = at[:, context - 1, 0].any(-1) & ~at[:, context - 2, 0].any(-1)  # and does not creep along the wall
    for index in arrived.nonzero().flatten().tolist():
        found = made.future_tracks(index, context, n, length).corner
        step = (found[:, context, 0] - found[:, context - 1, 0]).double()
        wall = at[index, context - 1, 0]
        if wall.sum() == 1:
            axis = int(wall.nonzero())
            inwards = 1 if corner[index, context - 1, 0, axis] == 0 else -1
            met.append(torch.stack([step[:, 1 - axis], step[:, axis] * inwards], -1))
    return met


def test_what_the_context_does_not_show_is_drawn_anew_and_independently():
    """The digit meets the wall in the last frame of the context, so that its way out is not seen in it."""
    found = first_turns(wide(num_digits=1, count=5000, length=12), context=10, n=200, length=12)
    assert len(found) > 20
    angles = torch.stack([angle(step) for step in found])  # (index, future)
    speeds = torch.stack([(step.norm(dim=1) - 300) / 200 for step in found])
    for drawn in (angles, speeds):
        assert stats.kstest(drawn.flatten(), "uniform").pvalue > SURE
        neighbours = torch.stack([drawn[:, :-1].flatten(), drawn[:, 1:].flatten()])
        counts = torch.histogramdd(neighbours.T.contiguous(), bins=[4, 4], range=[0, 1, 0, 1]).hist
        assert stats.chisquare(counts.flatten()).pvalue > SURE  # future k + 1 does not follow future k
        sequences = torch.corrcoef(drawn)  # nor one sequence's future k another's
        assert sequences.fill_diagonal_(0).abs().max() < 5 / math.sqrt(drawn.shape[1])
    assert torch.corrcoef(torch.stack([angles.flatten(), speeds.flatten()]))[0, 1].abs() < 0.05


def test_futures_are_as_likely_as_the_truth():
    """Where digits are 15 frames after the context, over many sequences: the truth against one future of each."""
    made = MovingMNIST(PICTURES, bounce="random", count=400, length=25)
    truth = made.tracks(torch.arange(400)).corner[:, -1].double()
    future = torch.cat([made.future_tracks(index, 10, 1).corner[:, -1] for index in range(400)]).double()
    for axis in (0, 1):
        assert stats.ks_2samp(truth[..., axis].flatten(), future[..., axis].flatten()).pvalue > SURE
    assert abs(torch.corrcoef(torch.stack([truth.flatten(), future.flatten()]))[0, 1]) < 0.9


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ((0, 0, 3), ValueError, "context 0"),
        ((0, 21, 3), ValueError, "context from 1 to length 20"),
        ((0, 5, 0), ValueError, "n is 0"),
        ((10_000, 5, 2), IndexError, "sequence 10000 does not exist"),
    ],
)
def test_futures_of_nonsense(arguments, error, words):
    with pytest.raises(error, match=words):
        MovingMNIST(PICTURES, bounce="random").futures(*arguments)


def test_positions_are_those_of_the_tracks_and_lie_at_walls_exactly():
    made = wide(size=60, speed_range=(3.0, 5.0), count=50)
    position, corner = made.positions(torch.arange(50)), made.tracks(torch.arange(50)).corner
    assert torch.equal(position.long(), corner)
    touching = (position == 0) | (position == 59)
    assert touching.any() and ((position >= 0) & (position <= 59)).all()
    turned = position.diff(dim=1).sign().diff(dim=1) != 0
    assert (touching[:, 1:-1].any(-1) | ~turned.any(-1)).all(), "no digit turns but at a wall"
