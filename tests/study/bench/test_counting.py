"""Operations and memory traffic, against what is counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vrnn3d.layers import depth_folding
from vrnn3d.models import build_model
from vrnn3d.study import profiles
from vrnn3d.study.bench import counting, record
from vrnn3d.study.bench.jobs import COUNTED, FAST, Job, counted_part

pytestmark = pytest.mark.slow  # counts operations of every network

TINY: dict = {"widths": [4, 4], "hidden": 4}


def job(**changes) -> Job:
    return Job(**{"model": "convlstm2d", "options": TINY, "size": 16, "length": 4, "context": 2} | changes)


def test_operations_of_a_fully_convolutional_network_grow_with_the_pixels():
    small, large = (counting.gigaflops(job(size=size)) for size in (16, 32))
    assert large == pytest.approx(4 * small, rel=1e-6)


@pytest.mark.slow
def test_operations_of_the_full_size_network():
    """167 GFLOP are what folding by hand comes to for M = H = 2 at 64 x 64, 10 -> 10; and the record has what is counted."""
    counted = counting.gigaflops(Job(model="vrnn3d", window=2, horizon=2))
    assert counted == pytest.approx(167, rel=0.02)
    rows = record.read_all()["cpu"].rows
    (recorded,) = (row for row in rows if (row.model, row.form) == ("vrnn3d", FAST))
    assert recorded.useful_gflop_per_sequence == pytest.approx(counted, rel=1e-4)


def test_operations_of_one_convolution():
    with torch.device("meta"):
        level = build_model("convlstm2d").get_submodule("level2")
        with FlopCounterMode(display=False) as counter:
            level((torch.empty(1, 128, 1, 16, 16),), level.initial_state(1, (1, 16, 16), "meta"))
    assert counter.get_total_flops() == 2 * 256 * 512 * 9 * 16 * 16


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vrnn3d", "vrnn2d", "convlstm2d", "e3d_lstm"])
def test_the_models_of_table_2_take_its_size(model):
    """128 x 128 costs ours and the 2D ones four times as much as 64 x 64; E3D-LSTM's attention grows faster."""
    sizes = [counting.gigaflops(Job(model=model, length=4, context=2, size=size)) for size in (64, 128)]
    if model == "e3d_lstm":
        assert sizes[1] > 4 * sizes[0]
    else:
        assert sizes[1] / sizes[0] == pytest.approx(4, rel=1e-3)


def test_traffic_counted_by_hand():
    """A product reads two matrices and writes one, a sum in place likewise; views and allocations move nothing."""
    with counting.Traffic() as counter:
        a, b = torch.empty(2, 3), torch.empty(3, 5)
        assert counter.bytes == 0
        product = a @ b
        assert counter.bytes == 4 * (6 + 15 + 10)
        product.t().reshape(5, 2)[1:].add_(torch.empty(4, 2, dtype=torch.float64))
    assert counter.bytes == 4 * (6 + 15 + 10) + 4 * (8 + 8) + 8 * 8


def test_traffic_of_a_training_sequence():
    def batch(count):
        return counting.gigabytes(job(batch=count)) * count

    weights = sum(p.numel() for p in build_model("convlstm2d", **TINY).parameters())
    assert batch(1) * 1e9 > 8 * 4 * weights, "Adam alone reads weights, gradients and moments, and writes three of them"
    assert batch(3) - batch(2) == pytest.approx(batch(2) - batch(1), rel=0.02), "a part per batch, a part per sequence"
    assert 0.5 < counting.gigabytes(job(precision="bfloat16")) / counting.gigabytes(job(precision="float32")) < 1


@pytest.mark.slow
def test_folding_saves_traffic():
    """Of the full-size network, most of whose weights at depth 1 would be read at every step for nothing."""
    full: dict = dict(model="vrnn3d", options={}, length=20, context=10, size=32)
    plain = job(**full, plain=True, batched=False, folding="never")
    assert counting.gigabytes(job(**full)) < 0.6 * counting.gigabytes(plain)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vrnn2d", "predrnnpp", "e3d_lstm", "improved_vrnn"])
def test_every_model_can_be_counted(model):
    options = profiles.get(model, "smoke").model.options
    assert counting.gigabytes(job(model=model, options=options, size=32, length=5, context=3)) > 0


@pytest.mark.slow
def test_counting_folds_as_the_device_does():
    """A count for a GPU folds as deep as a GPU does, without one; the setting of this device is as before."""
    small: dict = dict(model="vrnn3d", options=dict(widths=(8, 8), hidden=8, latent=2, head=8), size=16, length=12)
    deep = dict(small, window=4, horizon=4, context=4, precision="float32")  # depths 4, 2: above 2 a CPU folds nothing
    before = dict(depth_folding.AUTO_MAX_DEPTH)
    gpu, cpu = counting.gigabytes(job(**deep, device="cuda")), counting.gigabytes(job(**deep))
    assert gpu == counting.gigabytes(job(**deep, deepest=4)) != cpu
    assert depth_folding.AUTO_MAX_DEPTH == before


def test_counts_are_made_once_for_jobs_that_count_the_same():
    assert counted_part(job(repeats=1)) == counted_part(job(repeats=7, compile="yes", threads=3))
    assert all(counted_part(job(**change)) != counted_part(job()) for change in ({"size": 32}, {"plain": True}, {"batch": 2}))
    assert set(COUNTED) <= set(Job.__dataclass_fields__)
