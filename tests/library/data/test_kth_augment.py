"""KTH: what augmentation does to a window, and what it depends on."""

from __future__ import annotations

import pytest
import torch

from vrnn3d.data.kth import augment, clips


def test_augmentation_depends_on_seed_and_index_alone():
    batch = torch.randint(0, 256, (1, 4, 1, 12, 10), dtype=torch.uint8).expand(64, -1, -1, -1, -1)
    indices = torch.arange(64)
    options = dict(flip=0.5, crop=0.3, reverse=0.5, actions=["handwaving"] * 64)
    whole = augment.augmented(batch, indices, seed=3, **options)
    assert whole.shape == batch.shape and whole.dtype == torch.uint8
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(augment.augmented(batch, order, seed=3, **options), whole[order])
    assert not torch.equal(augment.augmented(batch, indices, seed=4, **options), whole)
    last = [augment.augmented(batch, indices, seed=seed, **options) for seed in (-1, -2)]
    assert not torch.equal(*last)
    assert not torch.equal(augment.augmented(batch, indices, seed=3, epoch=1, **options), whole)


def test_flips_crops_and_reversals_are_what_they_say():
    batch = torch.rand(400, 3, 1, 6, 8)
    indices = torch.arange(400)
    assert torch.equal(augment.augmented(batch, indices, flip=0), batch)
    assert torch.equal(augment.augmented(batch, indices, flip=1), batch.flip(-1))
    half = augment.augmented(batch, indices, flip=0.5)
    flipped = torch.tensor([torch.equal(new, old.flip(-1)) for new, old in zip(half, batch)])
    same = torch.tensor([torch.equal(new, old) for new, old in zip(half, batch)])
    assert bool((flipped ^ same).all()) and 150 < int(flipped.sum()) < 250
    actions = list(clips.ACTIONS) * 70
    back = augment.augmented(batch, indices, flip=0, reverse=1, actions=actions[:400])
    for old, new, action in zip(batch, back, actions):
        assert torch.equal(new, old.flip(0) if action in ("handwaving", "handclapping") else old)
    # every frame is cropped alike, and what is seen is a part of the picture: a ramp stays a ramp in its range
    ramp = torch.linspace(0, 1, 20).expand(400, 2, 1, 20, 20)
    cut = augment.augmented(ramp, indices, flip=0, crop=0.4)
    assert torch.equal(cut[:, 0], cut[:, 1]) and cut.min() >= 0 and cut.max() <= 1
    span = (cut[:, 0, 0, 0, -1] - cut[:, 0, 0, 0, 0]) * 19 + 1  # columns seen
    assert span.min() < 14 and span.min() > 11.9 and span.max() > 19 and bool((cut.diff(dim=-1) >= 0).all())


@pytest.mark.parametrize("wrong", [dict(flip=1.5), dict(crop=1.0), dict(reverse=-0.1), dict(reverse=0.5)])
def test_augmentation_refuses_nonsense(wrong):
    with pytest.raises(ValueError):
        augment.augmented(torch.rand(2, 3, 1, 4, 4), torch.arange(2), **wrong)
    with pytest.raises(ValueError, match="B indices"):
        augment.augmented(torch.rand(2, 3, 1, 4, 4), torch.arange(3))
