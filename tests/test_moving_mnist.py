"""Moving MNIST: against a plain reference in Python numbers, its laws by statistics, and its determinism."""

from __future__ import annotations

import hashlib
import math
import time
from itertools import pairwise

import numpy as np
import pytest
import torch

from vrnn3d import config, data
from vrnn3d.data import mnist, moving_mnist
from vrnn3d.data.mnist import Digits
from vrnn3d.data.moving_mnist import MovingMNIST, MovingMNISTFile

M64 = (1 << 64) - 1
pytestmark = pytest.mark.filterwarnings("ignore::vrnn3d.data.mnist.ExcerptWarning")


def blobs(count=50, side=28):
    """Random digits without zeros, so that every pixel of a digit shows."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(1, 256, (count, side, side), generator=generator, dtype=torch.uint8)
    return Digits(images, torch.arange(count).to(torch.uint8) % 10, "train", "excerpt")


DIGITS = blobs()


# ---- the reference --------------------------------------------------------------------------------------------------


def mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & M64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & M64
    return x ^ (x >> 31)


GAMMA = 0x9E3779B97F4A7C15


def reference(digits, index, size, length, count, speed, speed_range, seed, stream):
    """One sequence, pixel by pixel, in Python integers and floats; digits of their own size."""
    side = digits.images.shape[-1]
    free = size - side
    key = mix((mix((seed + GAMMA) & M64) + (moving_mnist.STREAMS.index(stream) + 1) * GAMMA) & M64)
    key = mix((index * GAMMA + key) & M64)
    frames = np.zeros((length, size, size), np.uint8)
    for d in range(count):
        bits = [mix((key + (d * 5 + k + 1) * GAMMA) & M64) for k in range(5)]
        u = [(b >> 11) / 2**53 for b in bits]
        image = digits.images[int(u[0] * len(digits))].numpy()
        y, x = u[1] * free, u[2] * free
        angle = 2 * math.pi * (bits[3] >> 48) / 65536
        step = 0.1 * free if speed == "fixed" else u[4] * (speed_range[1] - speed_range[0]) + speed_range[0]
        vy, vx = math.sin(angle) * step, math.cos(angle) * step
        for t in range(length):
            y, x = y + vy, x + vx
            if y <= 0 or y >= free:
                y, vy = min(max(y, 0.0), float(free)), -vy
            if x <= 0 or x >= free:
                x, vx = min(max(x, 0.0), float(free)), -vx
            place = frames[t, int(y) : int(y) + side, int(x) : int(x) + side]
            np.maximum(place, image, out=place)
    return frames


@pytest.mark.parametrize(
    "side, settings",
    [
        (28, dict()),
        (28, dict(speed="fixed", seed=7, stream="test")),
        (28, dict(num_digits=1, length=5)),
        (28, dict(num_digits=4, size=100, length=30, speed_range=(0.0, 9.5), seed=-3)),
        (14, dict(size=32, num_digits=3)),
        (9, dict(size=41, seed=2**63 + 5, stream="validation")),
        (28, dict(size=30, speed_range=(3.0, 5.0))),  # steps longer than the free range
        (1, dict(size=8, num_digits=2, stream="online", count=2**40)),
    ],
)
def test_equals_the_reference_pixel_by_pixel(side, settings):
    digits = blobs(side=side)
    made = MovingMNIST(digits, digit_size=side, **settings)
    indices = [0, 1, 17, 4095, made.count - 1]
    frames = made.batch(torch.tensor(indices))
    size = settings.get("size", 64)
    assert frames.shape == (5, made.length, 1, size, size) and frames.dtype == torch.uint8 and frames.is_contiguous()
    for row, index in enumerate(indices):
        expected = reference(
            digits, index, size, made.length, made.num_digits, made.speed, made.speed_range, made.seed, made.stream
        )
        assert np.array_equal(frames[row, :, 0].numpy(), expected), index


def test_the_hash_is_splitmix64():
    """Published outputs of the generator seeded with 0 and with 1234567."""
    for seed, outputs in ((0, [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]), (1234567, [6457827717110365317])):
        states = torch.tensor([seed]) + torch.arange(1, len(outputs) + 1) * moving_mnist._GAMMA
        assert [int(v) & M64 for v in moving_mnist._mix(states)] == outputs


# ---- determinism ----------------------------------------------------------------------------------------------------


def test_the_batch_does_not_matter():
    made = MovingMNIST(DIGITS)
    indices = torch.tensor([5, 9_999, 3, 3, 0, *range(40, 110)])  # more than one chunk of the CPU
    whole = made.batch(indices)
    assert torch.equal(whole, torch.cat([made.batch(part) for part in indices.split(7)]))
    assert torch.equal(whole[2], whole[3]) and not torch.equal(whole[0], whole[1])
    assert made.batch(torch.tensor([], dtype=torch.int64)).shape == (0, 20, 1, 64, 64)


def test_a_longer_sequence_starts_with_the_same_frames():
    indices = torch.arange(20)
    long, short = MovingMNIST(DIGITS, length=30).batch(indices), MovingMNIST(DIGITS, length=20).batch(indices)
    assert torch.equal(long[:, :20], short) and not torch.equal(long[:, 10:], short)


def test_more_digits_leave_the_first_as_they_were():
    indices = torch.arange(10)
    one, two = (MovingMNIST(DIGITS, num_digits=n).tracks(indices) for n in (1, 2))
    assert torch.equal(one.corner, two.corner[:, :, :1]) and torch.equal(one.digit, two.digit[:, :1])


def test_streams_and_seeds_share_no_sequence():
    seen = set()
    sets = [dict(stream=stream, seed=seed) for stream in moving_mnist.STREAMS for seed in (0, 1)]
    for settings in sets:
        tracks = MovingMNIST(DIGITS, **settings).tracks(torch.arange(500))
        seen |= {corner.numpy().tobytes() for corner in tracks.corner}
    assert len(seen) == 500 * len(sets)


def test_pools_show_the_same_motion():
    other = Digits(DIGITS.images.flip(0), DIGITS.labels.flip(0), "test", "excerpt")
    a, b = MovingMNIST(DIGITS, stream="test"), MovingMNIST(other, stream="test")
    assert torch.equal(a.tracks(torch.arange(9)).corner, b.tracks(torch.arange(9)).corner)
    assert not torch.equal(a.batch(torch.arange(9)), b.batch(torch.arange(9)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("settings", [dict(), dict(speed="fixed", num_digits=3, size=100, length=30)])
def test_the_gpu_makes_the_same_pixels_without_waiting(settings):
    indices = torch.arange(1000)
    here, there = MovingMNIST(DIGITS, **settings), MovingMNIST(DIGITS, device="cuda", **settings)
    on_device = indices.cuda()
    there.batch(on_device)
    torch.cuda.synchronize()
    try:
        torch.cuda.set_sync_debug_mode("error")
        frames = there.batch(on_device)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(frames.cpu(), here.batch(indices))


def test_nothing_asks_the_device_for_a_value():
    """Meta tensors hold no values: whatever needed one to go on would raise."""
    made = MovingMNIST(DIGITS, device="meta", num_digits=3)
    assert made.batch(torch.arange(6, device="meta")).shape == (6, 20, 1, 64, 64)


# ---- the laws -------------------------------------------------------------------------------------------------------


def test_digits_stay_inside_and_touch_every_wall():
    for settings in (dict(), dict(speed="fixed"), dict(speed_range=(0.0, 60.0))):
        corner = MovingMNIST(DIGITS, length=40, **settings).tracks(torch.arange(1000)).corner
        assert corner.amin((0, 1, 2)).tolist() == [0, 0] and corner.amax((0, 1, 2)).tolist() == [36, 36]


def measured_speeds(made, indices):
    """Pixels a frame over the first 8 steps of those digits that touch no wall meanwhile."""
    paths = made.tracks(indices).corner[:, :9].transpose(1, 2).flatten(0, 1).double()
    inside = ((paths > 0) & (paths < made.size - made.digit_size - 1)).flatten(1).all(1)
    return (paths[:, 8] - paths[:, 0])[inside].norm(dim=1) / 8


def test_speeds_measured_on_the_tracks():
    """On runs without a bounce; truncation changes a displacement by less than a pixel."""
    indices, most = torch.arange(6000), math.sqrt(2) / 8
    fixed = measured_speeds(MovingMNIST(DIGITS, speed="fixed"), indices)
    assert len(fixed) > 100 and (fixed - 3.6).abs().max() < most and abs(fixed.mean() - 3.6) < 0.03
    # Faster digits meet a wall sooner; on a large canvas that selection does not show.
    uniform = measured_speeds(MovingMNIST(DIGITS, size=1000), indices)
    assert len(uniform) > 10_000
    assert abs(uniform.mean() - 4.0) < 0.03 and abs(uniform.std() - 2 / math.sqrt(12)) < 0.03
    assert uniform.min() > 3 - most and uniform.max() < 5 + most


def test_directions_are_uniform_on_the_circle():
    made = MovingMNIST(DIGITS, size=2000, speed_range=(50.0, 50.0), length=2, count=20_000)
    corner = made.tracks(torch.arange(20_000)).corner
    step = (corner[:, 1] - corner[:, 0]).double().flatten(0, 1)
    angle = torch.atan2(step[:, 0], step[:, 1])[step.norm(dim=1) > 48]
    counts = torch.histc(angle, 8, -math.pi, math.pi)
    assert (counts / counts.sum() - 1 / 8).abs().max() < 0.012


def test_starts_and_digits_are_uniform():
    slow = MovingMNIST(DIGITS, speed_range=(0.0, 0.0), length=1, count=20_000).tracks(torch.arange(20_000))
    counts = torch.bincount(slow.corner.flatten(), minlength=36)
    assert len(counts) == 36  # 0..35: the truncated start
    assert (counts / counts.sum() * 36 - 1).abs().max() < 0.12
    chosen = torch.bincount(slow.digit.flatten(), minlength=50)
    assert (chosen / chosen.sum() * 50 - 1).abs().max() < 0.2
    assert abs(torch.corrcoef(slow.corner[:, 0].flatten(1).T.double()).fill_diagonal_(0).abs().max()) < 0.03


def test_the_wall_stops_a_digit_for_a_frame_and_turns_it():
    """In the fixed law a digit that leaves the wall at 0 is one velocity away from it in the next frame."""
    corner = MovingMNIST(DIGITS, speed="fixed", length=12, num_digits=1).tracks(torch.arange(4000)).corner[:, :, 0, 1]
    checked = 0
    for path in corner.tolist():
        for t, (before, here) in enumerate(pairwise(path)):
            if here == 36 and 0 < before and 2 <= t < 10 and 36 not in path[:t]:
                after = path[t + 2]
                speed = path[t - 1] - path[t - 2]  # within a pixel of the step
                assert abs((36 - after) - speed) <= 2 and after <= 36
                checked += 1
                break
    assert checked > 300


def test_digits_are_resized_and_others_are_kept():
    images = torch.zeros(1, 28, 28, dtype=torch.uint8)
    images[:, :, 14:] = 200
    digits = Digits(images, torch.zeros(1, dtype=torch.uint8), "train", "excerpt")
    for size in (14, 40):
        made = MovingMNIST(digits, digit_size=size, num_digits=1, length=3)
        (y, x) = made.tracks(torch.tensor([0])).corner[0, 0, 0].tolist()
        frame = made.batch(torch.tensor([0]))[0, 0, 0]
        sprite = frame[y : y + size, x : x + size]
        assert frame.int().sum() == sprite.int().sum()
        assert sprite[:, : size // 2 - 2].max() == 0 and sprite[:, size // 2 + 2 :].min() == 200
        assert abs(sprite.double().mean() - 100) < 2


# ---- speed ----------------------------------------------------------------------------------------------------------


def test_thousands_of_sequences_a_second_on_one_core():
    """The aim is 5,000; measured about 20,000. The bound is lenient: the best of some tries on a busy machine."""
    made, best = MovingMNIST(DIGITS), 0.0
    made.batch(torch.arange(64))
    for start in range(0, 640, 64):
        began = time.process_time()
        made.batch(torch.arange(start, start + 64))
        best = max(best, 64 / (time.process_time() - began + 1e-9))
    assert best >= 1500, f"{best:.0f} sequences a second"


# ---- bad input, and the front door ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings, words",
    [
        (dict(digit_size=64), "must be smaller"),
        (dict(length=0), "length is 0"),
        (dict(num_digits=0), "num_digits is 0"),
        (dict(count=0), "count is 0"),
        (dict(speed="fast"), "known are: uniform, fixed"),
        (dict(speed_range=(5.0, 3.0)), "low <= high"),
        (dict(stream="dev"), "known are: train, validation, test, online"),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        MovingMNIST(DIGITS, **settings)


@pytest.mark.parametrize("index", [-1, 10])
def test_a_sequence_outside_the_set(index):
    with pytest.raises(IndexError, match=f"sequence {index} does not exist"):
        MovingMNIST(DIGITS, count=10).batch(torch.tensor([0, index]))


def test_build_gives_the_three_splits_and_both_pools():
    settings = config.Data(sequences=(40, 8, 6), train_pool="train", length=12, size=48)
    train, validation = data.build(settings, "train"), data.build(settings, "validation")
    test = data.build(settings, "test", pool="test", length=30)
    assert [len(part) for part in (train, validation, test)] == [40, 8, 6]
    assert [part.stream for part in (train, validation, test)] == ["train", "validation", "test"]
    assert [part.digits.split for part in (train, validation, test)] == ["train", "train", "test"]
    assert not train.online
    assert train.batch(torch.arange(3)).shape == (3, 12, 1, 48, 48)
    assert test.batch(torch.arange(3)).shape == (3, 30, 1, 48, 48)
    for words in ("test digits", "speed uniform in 3-5 px", f"source: {test.source}", "6 sequences of 30"):
        assert words in test.description, test.description


def test_build_online():
    settings = config.Data(online=True, speed="fixed")
    train, validation = data.build(settings, "train"), data.build(settings, "validation")
    assert train.online and train.stream == "online" and len(train) == 2**40
    assert not validation.online and len(validation) == 1000
    assert "endless" in train.description and "speed 3.6 px" in train.description
    assert train.batch(torch.tensor([2**40 - 1, 0])).float().mean() > 1


@pytest.mark.parametrize(
    "settings, arguments, words",
    [
        (dict(name="cifar"), dict(split="train"), "known are: moving_mnist, kth, video"),
        (dict(), dict(split="dev"), "known are: train, validation, test"),
        (dict(), dict(split="test", pool="letters"), "known are: train, test, file"),
        (dict(), dict(split="train", pool="file"), "is a test set"),
    ],
)
def test_build_names_what_is_known(settings, arguments, words):
    with pytest.raises(ValueError, match=words):
        data.build(config.Data(**settings), **arguments)


# ---- the public test file -------------------------------------------------------------------------------------------


@pytest.fixture
def test_file(tmp_path, monkeypatch):
    monkeypatch.setenv("VRNN3D_DATA", str(tmp_path))
    frames = np.random.default_rng(0).integers(0, 256, (20, 7, 64, 64), np.uint8)
    path = tmp_path / "moving_mnist" / "mnist_test_seq.npy"
    path.parent.mkdir()
    np.save(path, frames)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(MovingMNISTFile.__init__.__kwdefaults__, "sha256", digest)
    return path, frames


def test_the_public_test_file(test_file):
    _, frames = test_file
    made = data.build(config.Data(), "test", pool="file", length=15)
    assert len(made) == 7 and "mnist_test_seq.npy" in made.description and not made.online
    assert np.array_equal(made.batch(torch.tensor([6, 2]))[:, :, 0], frames[:15, [6, 2]].swapaxes(0, 1))
    with pytest.raises(IndexError):
        made.batch(torch.tensor([7]))


def test_a_wrong_test_file(test_file):
    path, frames = test_file
    with pytest.raises(ValueError, match="20 frames a sequence, and 30"):
        MovingMNISTFile(length=30)
    with pytest.raises(ValueError, match="size 32"):
        MovingMNISTFile(size=32)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="wrong SHA-256.*replace it"):
        MovingMNISTFile()
    with pytest.raises(ValueError, match="truncated"):
        MovingMNISTFile(sha256=None)
    np.save(path, frames[0])
    with pytest.raises(ValueError, match="expected uint8 .20, 10000, 64, 64."):
        MovingMNISTFile(sha256=None)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="mnist_test_seq.npy is missing"):
        MovingMNISTFile()


def test_real_digits_move():
    made = MovingMNIST(mnist.load_mnist("train"))
    frames = made.batch(torch.arange(100)).float() / 255
    per_frame = frames.sum((2, 3, 4))
    assert 150 < per_frame.mean() < 220  # two digits of about 103 units of ink each, less their overlap
    assert (per_frame.std(1) / per_frame.mean(1)).median() < 0.1  # ink is only hidden by overlap, never lost
