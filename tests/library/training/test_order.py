"""What a step draws: every epoch holds every sequence once, online data never repeat, masks have their shares."""

from __future__ import annotations

import pytest
import torch

from trials import tiny
from vrnn3d import data as sets
from vrnn3d.data import ONLINE_COUNT
from vrnn3d.training import order, schedules


class Sequences:
    """As much of a data set as the order of a training looks at."""

    def __init__(self, count: int, online: bool = False):
        self.count, self.online = count, online

    def __len__(self) -> int:
        return self.count


def test_every_epoch_holds_every_sequence_once():
    experiment, data = tiny(**{"train.sequences": 100}), Sequences(10)
    seen = torch.cat([order.batch_indices(experiment, 5, step, data) for step in range(5)])  # 5 batches of 4, 2 epochs of 10
    assert seen[:10].sort().values.tolist() == seen[10:].sort().values.tolist() == list(range(10))
    assert seen[:10].tolist() != seen[10:].tolist()
    assert [order.epoch_of(experiment, step, data) for step in range(6)] == [0, 0, 0, 1, 1, 2]


def test_online_data_never_repeat():
    experiment, data = tiny(), Sequences(ONLINE_COUNT, online=True)
    a, b = (order.batch_indices(experiment, 0, step, data) for step in (0, 1))
    assert a.tolist() == [0, 1, 2, 3] and b.tolist() == [4, 5, 6, 7]
    assert not set(order.batch_indices(experiment, 1, 0, data).tolist()) & set(range(10_000_000))
    assert order.batch_indices(experiment, 255, 1, data).tolist() == [255 * 2**32 + k for k in (4, 5, 6, 7)]


@pytest.mark.parametrize("seed", [256, 12345, 2**30 - 1, 2**31 + 1, 2**64 + 3, -1])
def test_every_seed_has_online_data(seed):
    """Numbers within the stream, and others than those of seed 0."""
    experiment = tiny(**{"data.online": True})
    data = sets.build(experiment.data, "train")
    frames, mask = order.batch(experiment, seed, 0, data, 1.0, 12, slice(0, 4))
    assert frames.shape == (4, 12, 1, 16, 16) and mask.shape == (4, 12)
    assert not frames.equal(order.batch(experiment, 0, 0, data, 1.0, 12, slice(0, 4))[0])


@pytest.mark.parametrize("data", [Sequences(10), Sequences(ONLINE_COUNT, online=True)], ids=["fixed", "online"])
def test_what_was_seen_before_is_passed_over(data):
    whole, rest = tiny(), tiny(**{"train.skip": 12})
    for step in range(5):  # 12 sequences are three batches, and more than an epoch of the fixed data
        assert order.batch_indices(rest, 5, step, data).equal(order.batch_indices(whole, 5, step + 3, data))
        assert order.epoch_of(rest, step, data) == order.epoch_of(whole, step + 3, data)


def test_updates_cover_all_sequences():
    assert order.total_updates(tiny(**{"train.sequences": 9, "train.batch": 4})) == 3


def test_forcing_mask():
    mask = order.forcing_mask((5, 10), 0.25, 4000, 20, torch.Generator().manual_seed(0))
    assert mask[:, :5].all()
    assert mask[:, 5:10].float().mean() == pytest.approx(0.5 + 0.5 * 0.25, abs=0.02)
    assert mask[:, 10:].float().mean() == pytest.approx(0.25, abs=0.02)


def test_what_is_drawn_depends_on_seed_step_and_purpose_alone():
    def drawn(seed, step):
        order.seed_noise(seed, step)
        return torch.rand(4).tolist()

    assert drawn(0, 1) == drawn(0, 1)
    assert len({tuple(drawn(*key)) for key in ((0, 0), (0, 1), (1, 0), (1, 1))}) == 4
    masks = [torch.rand(4, generator=order.mask_generator(*key)).tolist() for key in ((0, 1), (0, 1), (1, 0))]
    assert masks[0] == masks[1] != masks[2] and masks[0] != drawn(0, 1)


def test_evenly_spaced():
    assert order.evenly_spaced(4, 100).tolist() == [0, 25, 50, 75]
    assert order.evenly_spaced(3, 3).tolist() == [0, 1, 2]


def test_schedules():
    assert [schedules.beta(at, 2.0, 0.5) for at in (0.0, 0.25, 0.5, 1.0)] == [0, 1, 2, 2]
    assert schedules.beta(0.0, 2.0, 0.0) == 2
    assert [schedules.forcing_probability(at, 0.5) for at in (0.0, 0.25, 0.5, 1.0)] == [1, 0.5, 0, 0]
    assert schedules.forcing_probability(0.0, 0.0) == 0
    assert [schedules.learning_rate(at, 1.0, 0.5, "none") for at in (0.25, 0.5, 1.0)] == [0.5, 1, 1]
    assert [schedules.learning_rate(at, 1.0, 0.0, "cosine") for at in (0.0, 0.5, 1.0)] == pytest.approx([1, 0.5, 0])
    assert 0 < schedules.learning_rate(0.0, 1.0, 0.5, "none") < 1e-4
    with pytest.raises(ValueError, match="there are: none, cosine"):
        schedules.learning_rate(0.5, 1.0, 0.0, "steps")
