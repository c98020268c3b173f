"""Moving MNIST: against a plain reference in Python numbers, its laws by statistics, and its determinism."""

from __future__ import annotations

import hashlib
import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from vrnn3d import data
from vrnn3d.data import ONLINE_COUNT, counter_random, mnist, moving_mnist
from vrnn3d.data.mnist import Digits
from vrnn3d.data.moving_mnist import MovingMNIST
from vrnn3d.data.moving_mnist_file import MovingMNISTFile
from vrnn3d.data.settings import MovingMNISTData

M64 = (1 << 64) - 1
pytestmark = pytest.mark.filterwarnings("ignore::vrnn3d.data.mnist.ExcerptWarning")


def blobs(count=50, side=28):
    """Random digits without zeros, so that every pixel of a digit shows."""
    generator = torch.Generator().manual_seed(0)
    size = (side, side) if isinstance(side, int) else side
    images = torch.randint(1, 256, (count, *size), generator=generator, dtype=torch.uint8)
    return Digits(images, torch.arange(count).to(torch.uint8) % 10, "train", "excerpt")


DIGITS = blobs()


# ---- the reference --------------------------------------------------------------------------------------------------


def mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & M64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & M64
    return x ^ (x >> 31)


GAMMA = 0x9E3779B97F4A7C15


def reference(images, index, made):
    """One sequence of `made`, pixel by pixel, in Python integers and floats; `images` are of their own size."""
    (height, width), (side, across) = made.size, images.shape[1:]
    free_y, free_x = height - side, width - across
    key = mix((mix((made.seed + GAMMA) & M64) + (moving_mnist.STREAMS.index(made.stream) + 1) * GAMMA) & M64)
    key = mix((index * GAMMA + key) & M64)
    frames = np.zeros((made.length, height, width), np.uint8)
    for d in range(made.num_digits):
        bits = [mix((key + (d * 5 + k + 1) * GAMMA) & M64) for k in range(5)]
        u = [(b >> 11) / 2**53 for b in bits]
        image = images[int(u[0] * len(images))].numpy()
        y, x = u[1] * free_y, u[2] * free_x
        low, high = made.speed_range
        step = 0.1 * min(free_y, free_x) if made.speed == "fixed" else u[4] * (high - low) + low
        vy, vx = velocity(bits[3], step)
        for t in range(made.length):
            y, x = y + vy, x + vx
            at = [int(y >= free_y) - int(y <= 0), int(x >= free_x) - int(x <= 0)]  # 1 at the far wall, -1 at the near one
            y, x = min(max(y, 0.0), float(free_y)), min(max(x, 0.0), float(free_x))
            if made.bounce == "mirror":
                vy, vx = (-vy if at[0] else vy), (-vx if at[1] else vx)
            elif any(at):
                turn = mix((key + (2**40 + d) * GAMMA) & M64)
                direction, speed = (mix((turn + (2 * t + k) * GAMMA) & M64) for k in (1, 2))
                vy, vx = velocity(direction, step if made.speed == "fixed" else (speed >> 11) / 2**53 * (high - low) + low)
                vy, vx = (-at[0] * abs(vy) if at[0] else vy), (-at[1] * abs(vx) if at[1] else vx)
            place = frames[t, int(y) : int(y) + side, int(x) : int(x) + across]
            np.maximum(place, image, out=place)
    return frames


def velocity(bits, step):
    angle = 2 * math.pi * (bits >> 48) / 65536
    return math.sin(angle) * step, math.cos(angle) * step


@pytest.mark.parametrize("bounce", ["mirror", "random"])
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
        (1, dict(size=8, num_digits=2, stream="online", count=ONLINE_COUNT)),
        (28, dict(size=(40, 90))),
        ((9, 21), dict(size=(70, 33), speed="fixed", num_digits=3)),
    ],
)
def test_equals_the_reference_pixel_by_pixel(side, settings, bounce):
    images = blobs(side=side).images
    made = MovingMNIST(images, bounce=bounce, **settings)
    indices = [0, 1, 17, 4095, made.count - 1]
    frames = made.batch(torch.tensor(indices))
    size = settings.get("size", 64)
    assert frames.shape == (5, made.length, 1, *(size if isinstance(size, tuple) else (size, size)))
    assert frames.dtype == torch.uint8 and frames.is_contiguous()
    for row, index in enumerate(indices):
        assert np.array_equal(frames[row, :, 0].numpy(), reference(images, index, made)), index


#: SHA-256 of frames as version 0.1 made them, which every record of the study rests on.
PINNED = {
    (64, 28, "uniform", "train", 0): "52f9b00390b742cc",
    (64, 28, "fixed", "train", 0): "40ae503cbb0ed69e",
    (64, 28, "uniform", "test", -7): "5ea965130192d4ed",
    (64, 28, "fixed", "online", 0): "d5bba0e3511e47c5",
    (32, 14, "uniform", "train", 0): "fe25d669f306f382",
    (32, 14, "fixed", "validation", 0): "460533f6a93a04e3",
}


@pytest.mark.parametrize("size, side, speed, stream, seed", PINNED)
def test_frames_stay_what_they_were(size, side, speed, stream, seed):
    made = MovingMNIST(blobs(side=side), size=size, digit_size=side, speed=speed, stream=stream, seed=seed)
    frames = made.batch(torch.tensor([0, 1, 17, 4095, 9999]))
    assert hashlib.sha256(frames.numpy().tobytes()).hexdigest()[:16] == PINNED[size, side, speed, stream, seed]


def test_the_hash_is_splitmix64():
    """Published outputs of the generator seeded with 0 and with 1234567."""
    for seed, outputs in ((0, [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]), (1234567, [6457827717110365317])):
        states = torch.tensor([seed]) + torch.arange(1, len(outputs) + 1) * counter_random.GAMMA
        assert [int(v) & M64 for v in counter_random.mix(states)] == outputs


# ---- determinism ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bounce", ["mirror", "random"])
def test_the_batch_does_not_matter(bounce):
    made = MovingMNIST(DIGITS, bounce=bounce)
    indices = torch.tensor([5, 9_999, 3, 3, 0, *range(40, 110)])  # more than one chunk of the CPU
    whole = made.batch(indices)
    assert torch.equal(whole, torch.cat([made.batch(part) for part in indices.split(7)]))
    assert torch.equal(whole[2], whole[3]) and not torch.equal(whole[0], whole[1])
    assert made.batch(torch.tensor([], dtype=torch.int64)).shape == (0, 20, 1, 64, 64)


@pytest.mark.parametrize("bounce", ["mirror", "random"])
def test_a_longer_sequence_starts_with_the_same_frames(bounce):
    indices = torch.arange(20)
    long, short = (MovingMNIST(DIGITS, length=length, bounce=bounce).batch(indices) for length in (30, 20))
    assert torch.equal(long[:, :20], short) and not torch.equal(long[:, 10:], short)


@pytest.mark.parametrize("bounce", ["mirror", "random"])
def test_more_digits_leave_the_first_as_they_were(bounce):
    indices = torch.arange(10)
    one, two = (MovingMNIST(DIGITS, num_digits=n, bounce=bounce).tracks(indices) for n in (1, 2))
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
@pytest.mark.parametrize(
    "settings", [dict(), dict(speed="fixed", num_digits=3, size=100, length=30), dict(bounce="random", size=(40, 64))]
)
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
    assert torch.equal(there.futures(5, 8, 16).cpu(), here.futures(5, 8, 16))


def test_nothing_asks_the_device_for_a_value():
    """Meta tensors hold no values: whatever needed one to go on would raise."""
    for bounce in ("mirror", "random"):
        made = MovingMNIST(DIGITS, device="meta", num_digits=3, bounce=bounce)
        assert made.batch(torch.arange(6, device="meta")).shape == (6, 20, 1, 64, 64)
        assert made.futures(3, 10, 4).shape == (4, 20, 1, 64, 64)


# ---- the laws -------------------------------------------------------------------------------------------------------


def test_digits_stay_inside_and_touch_every_wall():
    for settings in (dict(), dict(speed="fixed"), dict(speed_range=(0.0, 60.0))):
        corner = MovingMNIST(DIGITS, length=40, **settings).tracks(torch.arange(1000)).corner
        assert corner.amin((0, 1, 2)).tolist() == [0, 0] and corner.amax((0, 1, 2)).tolist() == [36, 36]


def measured_speeds(made, indices):
    """Pixels a frame over the first 8 steps of those digits that touch no wall meanwhile."""
    paths = made.tracks(indices).corner[:, :9].transpose(1, 2).flatten(0, 1).double()
    inside = ((paths > 0) & (paths < made.free[0] - 1)).flatten(1).all(1)
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
        (dict(bounce="soft"), "no bounce 'soft'; known are: mirror, random"),
        (dict(size=(64, 28)), "digits of 28 x 28 pixels cannot move in frames of 64 x 28"),
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
    settings = MovingMNISTData(sequences=(40, 8, 6), train_pool="train", length=12, size=48)
    train, validation = data.build(settings, "train"), data.build(settings, "validation")
    test = data.build(settings, "test", pool="test", length=30)
    assert [len(part) for part in (train, validation, test)] == [40, 8, 6]
    assert [part.stream for part in (train, validation, test)] == ["train", "validation", "test"]
    assert [part.identity.split()[1] for part in (train, validation, test)] == ["train", "train", "test"]
    assert not train.online
    assert train.batch(torch.arange(3)).shape == (3, 12, 1, 48, 48)
    assert test.batch(torch.arange(3)).shape == (3, 30, 1, 48, 48)
    for words in ("test digits", "speed uniform in 3-5 px", "mirror bounces", f"source: {test.source}", "6 sequences of 30"):
        assert words in test.description, test.description


def test_build_online():
    settings = MovingMNISTData(online=True, speed="fixed")
    train, validation = data.build(settings, "train"), data.build(settings, "validation")
    assert train.online and train.stream == "online" and len(train) == ONLINE_COUNT
    assert not validation.online and len(validation) == 1000
    assert "endless" in train.description and "speed 3.6 px" in train.description
    assert train.batch(torch.tensor([ONLINE_COUNT - 1, 0])).float().mean() > 1


@pytest.mark.parametrize("bounce", ["mirror", "random"])
def test_for_an_apple_gpu_which_has_no_float64_the_cpu_makes_the_frames(bounce):
    settings = MovingMNISTData(bounce=bounce, sequences=(40, 8, 6))
    made, expected = (data.build(settings, "train", device=device) for device in ("mps", "cpu"))
    indices = torch.arange(3)
    assert made.device == made.batch(indices).device == torch.device("cpu")
    assert made.batch(indices).equal(expected.batch(indices))


def test_build_names_what_is_known():
    for arguments, words in (
        (dict(split="dev"), "there are: train, validation, test"),
        (dict(split="test", pool="letters"), "no test set 'letters' in data.moving_mnist; there are: train, test"),
        (dict(split="test", pool="file"), "no test set 'file'"),
    ):
        with pytest.raises(ValueError, match=words):
            data.build(MovingMNISTData(), **arguments)


def test_build_takes_the_bounce():
    made = data.build(MovingMNISTData(bounce="random", sequences=(5, 5, 5)), "train")
    assert made.bounce == "random" and made.description.startswith("Stochastic Moving MNIST: ")
    with pytest.raises(ValueError, match="data.bounce is 'soft', but must be one of: mirror, random"):
        MovingMNISTData(bounce="soft")


# ---- pictures of the user's own -------------------------------------------------------------------------------------


def test_plain_pictures_move_as_digits_do():
    made, digits = MovingMNIST(DIGITS.images), MovingMNIST(DIGITS)
    indices = torch.arange(20)
    assert torch.equal(made.batch(indices), digits.batch(indices))
    for same in (DIGITS.images.double() / 255, (DIGITS.images / 255).numpy(), DIGITS.images.numpy()):
        assert torch.equal(MovingMNIST(same).batch(indices), digits.batch(indices))
    stencil = MovingMNIST(DIGITS.images > 100)
    assert stencil.images.unique().tolist() == [0, 255]
    assert (
        made.description.startswith("Moving pictures: 2 pictures of 28 px in 64 x 64") and "(source: given)" in made.description
    )


def test_the_identity_of_pictures_is_their_content():
    made = MovingMNIST(DIGITS.images)
    assert made.identity == MovingMNIST(DIGITS.images.clone(), seed=5, size=48).identity
    other = DIGITS.images.clone()
    other[-1, -1, -1] ^= 1
    different = [made, MovingMNIST(other), MovingMNIST(DIGITS.images.view(50, 14, 56)), MovingMNIST(DIGITS)]
    assert len({part.identity for part in different}) == 4
    letters = Digits(DIGITS.images, DIGITS.labels, "train", "letters")
    assert MovingMNIST(letters).identity == made.identity and "another set" in letters.description


@pytest.mark.parametrize(
    "images, words",
    [
        (torch.zeros(28, 28), r"shape \(28, 28\); pictures are \(N, height, width\)"),
        (torch.zeros(0, 28, 28), "one at least"),
        (torch.zeros(2, 28, 28, dtype=torch.int64), "images are of torch.int64"),
        (torch.full((2, 28, 28), 255.0), "values from 255 to 255; floats must lie from 0 to 1"),
        (torch.full((2, 28, 28), float("nan")), "floats must lie from 0 to 1"),
    ],
)
def test_pictures_that_are_none(images, words):
    with pytest.raises(ValueError, match=words):
        MovingMNIST(images)


def test_frames_need_not_be_square():
    made = MovingMNIST(DIGITS, size=(40, 100), length=60)
    corner = made.tracks(torch.arange(300)).corner
    assert made.free == (12, 72) and "in 40 x 100" in made.description
    assert corner.amin((0, 1, 2)).tolist() == [0, 0] and corner.amax((0, 1, 2)).tolist() == [12, 72]
    assert data.build(MovingMNISTData(size=(32, 48), sequences=(5, 5, 5)), "train").batch([0]).shape == (1, 20, 1, 32, 48)
    assert MovingMNIST(DIGITS, size=(40, 100), speed="fixed").step == pytest.approx(1.2)


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
    made = data.build(MovingMNISTData(test_pools=("train", "file")), "test", pool="file", length=15)
    assert len(made) == 7 and "mnist_test_seq.npy" in made.description and not made.online
    assert np.array_equal(made.batch(torch.tensor([6, 2]))[:, :, 0], frames[:15, [6, 2]].swapaxes(0, 1))
    with pytest.raises(IndexError):
        made.batch(torch.tensor([7]))


def test_a_wrong_test_file(test_file):
    path, frames = test_file
    with pytest.raises(ValueError, match="20 frames a sequence, and 30"):
        MovingMNISTFile(length=30)
    with pytest.raises(ValueError, match="size 32 x 32"):
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
