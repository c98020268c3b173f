"""Reading the user's own clips: every kind that is read, parts of a clip, sizes, and faults named."""

from __future__ import annotations

import struct
import subprocess
import sys
import weakref
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from videos import clip, close, grey, save_any, save_container, save_pillow

from vrnn3d.data.folders import folder
from vrnn3d.data.video import UnreadableError, probe, read, read_last, read_video, sources

pytestmark = pytest.mark.slow  # encodes and decodes clips


def test_arrays_of_every_shape(tmp_path):
    frames = clip()
    path = tmp_path / "clip.npy"
    for array in (frames, frames.transpose(0, 3, 1, 2), frames / 255, (frames / 255).astype(np.float16)):
        np.save(path, array)
        close(read_video(path), grey(frames), 1e-3 if array.dtype == np.float16 else 1e-6)
        close(read_video(path, channels=3), frames.transpose(0, 3, 1, 2) / 255, 1e-3)
    flat = frames[..., 0]
    integers = flat.astype(np.int64), flat.astype(np.uint16) * 257
    for array in (flat, flat[..., None], flat[:, None], *integers, flat / 255):
        np.save(path, array)
        close(read_video(path), flat[:, None] / 255)
        close(read_video(path, channels=3), np.repeat(flat[:, None], 3, 1) / 255)
    np.save(path, flat > 100)
    close(read_video(path), (flat > 100)[:, None].astype(float))
    np.savez(tmp_path / "one.npz", anything=flat)
    np.savez_compressed(tmp_path / "more.npz", frames=flat, fps=np.array(8))
    for name in ("one.npz", "more.npz"):
        close(read_video(tmp_path / name), flat[:, None] / 255)


def test_animations(tmp_path):
    frames = clip()
    close(read_video(save_pillow(tmp_path / "a.webp", frames, lossless=True)), grey(frames))
    path = save_pillow(tmp_path / "a.apng", frames, format="PNG")
    close(read_video(path, channels=3), frames.transpose(0, 3, 1, 2) / 255)
    flat = frames[..., 0]  # a gif holds 256 greys exactly
    close(read_video(save_pillow(tmp_path / "a.gif", flat)), flat[:, None] / 255)


def test_a_folder_of_pictures_in_natural_order(tmp_path):
    frames = clip(12)[..., 0]
    for number, frame in enumerate(frames, 1):
        Image.fromarray(frame).save(tmp_path / f"frame{number}.png")  # frame10 sorts before frame2 as text
    (tmp_path / "notes.txt").write_text("not a frame")
    close(read_video(tmp_path), frames[:, None] / 255)
    deep = tmp_path / "deep"
    deep.mkdir()
    Image.fromarray(frames[0].astype(np.uint16) * 257).save(deep / "0.png")
    close(read_video(deep), frames[:1, None] / 255)


@pytest.mark.parametrize("name, codec", [("a.mp4", "mpeg4"), ("a.avi", "mpeg4"), ("a.mov", "mjpeg"), ("a.mkv", "mpeg4")])
def test_containers(tmp_path, name, codec):
    frames = clip(8, 48, 64)
    path = save_container(tmp_path / name, frames, codec)
    close(read_video(path), grey(frames), 0.06)
    close(read_video(path, max_frames=3), grey(frames[:3]), 0.06)
    assert read_video(path, 16).shape == (8, 1, 16, 16)


def test_a_real_kth_clip():
    clips = sorted((folder() / "kth").rglob("*boxing*.avi"))
    if not clips:
        pytest.skip("no KTH clip is here")
    frames = read_video(clips[0], max_frames=5)
    assert frames.shape == (5, 1, 120, 160) and 0.05 < frames.std() < 0.5
    assert 0 < (frames[1:] - frames[:-1]).abs().mean() < 0.05


def test_resizing_averages(tmp_path):
    fine = np.indices((32, 32)).sum(0) % 2 * 255  # a chessboard of single pixels: without antialiasing it would alias
    np.save(tmp_path / "chess.npy", np.stack([fine] * 2).astype(np.uint8))
    small = read_video(tmp_path / "chess.npy", size=8)
    assert small.shape == (2, 1, 8, 8) and (small[..., 1:-1, 1:-1] - 0.5).abs().max() < 0.02
    assert read_video(tmp_path / "chess.npy", size=(16, 40)).shape == (2, 1, 16, 40)
    assert torch.equal(read_video(tmp_path / "chess.npy", size=32), read_video(tmp_path / "chess.npy"))


# ---- parts of a clip ------------------------------------------------------------------------------------------------

KINDS = ("pictures", "npy", "npz", "webp", "apng", "mp4", "avi")


@pytest.mark.parametrize("kind", KINDS)
def test_parts_of_a_clip_are_its_frames(tmp_path, kind):
    path = save_any(kind, tmp_path, clip(12))
    whole = read_video(path)
    close(whole, grey(clip(12)), 0.06)
    for start, count in ((0, 4), (3, None), (5, 2), (11, 1), (9, 100)):
        part = read_video(path, start=start, max_frames=count)
        assert torch.equal(part, whole[start : None if count is None else start + count])
    assert torch.equal(read_video(path, 16, channels=3, start=10), read_video(path, 16, channels=3)[10:])
    for count in (1, 5, 12):
        assert torch.equal(read_last(path, count), whole[-count:])
    assert torch.equal(read_last(path, 2, size=8, channels=3, fit="pad"), read_video(path, 8, channels=3, fit="pad")[-2:])
    with pytest.raises(ValueError, match="has 0 frames from frame 13 on, and at least 1 are needed"):
        read_video(path, start=12)
    with pytest.raises(ValueError, match="has 12 frames, and the last 13 were asked for"):
        read_last(path, 13)


@pytest.mark.parametrize("kind", KINDS)
def test_probe_says_what_the_clip_says(tmp_path, kind):
    info = probe(save_any(kind, tmp_path, clip(12)))
    assert (info.frames, info.height, info.width) == (12, 24, 32)
    rates = {"mp4": 10, "avi": 10, "webp": 25, "apng": 25}
    assert info.rate == (pytest.approx(rates[kind]) if kind in rates else None)


def test_probe_of_a_container_that_does_not_say(tmp_path):
    path = save_container(tmp_path / "a.mkv", clip(5), "mpeg4")
    assert probe(path) == (None, 10.0, 24, 32)
    assert sources.open_source(path).count() == 5


@pytest.mark.parametrize("name", ["a.mp4", "a.webp", "a.npy", "a.npz", "a.txt", "pictures"])
def test_probe_of_what_is_no_clip(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        probe(tmp_path / name)
    if name == "pictures":
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"nothing")
    else:
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(UnreadableError, match="cannot be read|not read"):
        probe(tmp_path / name)


def frames_counted(count, converted, alive):
    """A source of frames that notes which are converted, and how many are in memory at once."""

    class Counted(np.ndarray):
        pass

    living = []

    def frame(number):
        made = np.full((40, 60, 3), number, np.uint8).view(Counted)
        living.append(weakref.ref(made))
        converted.append(number)
        alive.append(sum(reference() is not None for reference in living))
        return made

    class Source:
        def frames(self, first=0):
            return (partial(frame, number) for number in range(first, count))

        def count(self):
            return count

    return lambda path, number=None: Source()


def test_no_more_is_converted_than_is_asked_for_and_no_more_is_held(monkeypatch):
    converted, alive = [], []
    monkeypatch.setattr(read, "open_source", frames_counted(200, converted, alive))
    assert read_video("clip", 8, start=150, max_frames=20).shape == (20, 1, 8, 8)
    assert converted == list(range(150, 170))
    converted.clear()
    assert read_last("clip", 30, 8).shape == (30, 1, 8, 8)
    assert converted == list(range(170, 200))
    read_video("clip", 8)
    assert max(alive) <= 2


CODECS = [("a.mp4", "h264"), ("a.mp4", "mpeg4"), ("a.mkv", "h264"), ("a.avi", "mjpeg"), ("a.avi", "mpeg4")]


@pytest.mark.parametrize("name, codec", CODECS)
def test_a_video_is_decoded_from_the_key_frame_before(tmp_path, monkeypatch, name, codec):
    """Key frames every twelfth: of 120 frames no more than those between are decoded beside what is asked for."""
    frames = clip(1, 48, 64) // 2 + np.arange(120, dtype=np.uint8)[:, None, None, None]
    path = save_container(tmp_path / name, frames, codec)
    whole = read_video(path, channels=3)
    assert len(whole) == sources.open_source(path).count() == 120
    decoded, plain = [], sources._decoded

    def counted(*arguments):
        for frame in plain(*arguments):
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr(sources, "_decoded", counted)
    for start in (0, 1, 11, 12, 50, 118):
        assert torch.equal(read_video(path, channels=3, start=start, max_frames=2), whole[start : start + 2])
    assert torch.equal(read_last(path, 7, channels=3), whole[-7:])
    if name != "a.avi":  # where times are not stored the frames before are counted
        decoded.clear()
        read_last(path, 7)
        assert 7 <= len(decoded) < 7 + 12 + 4


def test_frames_of_all_kinds_from_within(tmp_path):
    frames = clip(9)
    for kind in ("pictures", "npy", "npz", "webp", "apng"):
        path = save_any(kind, tmp_path, frames)
        assert torch.equal(read_video(path, start=4), read_video(path)[4:]), kind
        assert torch.equal(read_last(path, 3), read_video(path)[-3:]), kind
        assert sources.open_source(path).count() == 9


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="asks Unix how much memory a process used")
@pytest.mark.parametrize("name", ["a.mp4", "a.npz", "a.npy"])
def test_a_large_source_is_not_held_in_memory(tmp_path, name):
    """60 frames of 1920 x 1080: 370 MB as they are stored in colour, 1.5 GB as floats."""
    frames = np.broadcast_to(np.arange(60, dtype=np.uint8)[:, None, None, None], (60, 1080, 1920, 3))
    if name == "a.mp4":
        path = save_container(tmp_path / name, frames, "mpeg4")
    else:
        path = tmp_path / name
        (np.save if name == "a.npy" else np.savez_compressed)(path, frames)
    code = (
        "import resource, sys, torch; from vrnn3d.data.video import read_video, read_last; torch.set_num_threads(1)\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"path = {str(path)!r}; read_video(path, 64, max_frames=1); before = peak()\n"
        "assert read_video(path, 64).shape == (60, 1, 64, 64); assert read_last(path, 2, 64).shape == (2, 1, 64, 64)\n"
        "print(peak() - before)"
    )
    unit = 1 if sys.platform == "darwin" else 1024
    grown = int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout) * unit
    mapped = path.stat().st_size if name == "a.npy" else 0  # pages of a file that the system may drop
    assert grown - mapped < 200e6


# ---- aspect ratio ---------------------------------------------------------------------------------------------------


def quarters(height, width):
    """One frame: left half 0.2, right half 0.6, and a white border of the eighth part on all four sides."""
    frame = np.full((height, width), 0.2, np.float32)
    frame[:, width // 2 :] = 0.6
    frame[: height // 8] = frame[-(height // 8) :] = frame[:, : width // 8] = frame[:, -(width // 8) :] = 1
    return frame[None]


@pytest.mark.parametrize("shape, size", [((64, 128), (64, 64)), ((128, 64), (32, 32)), ((64, 64), (24, 48)), ((96, 64), 16)])
def test_fit(tmp_path, shape, size):
    np.save(tmp_path / "a.npy", quarters(*shape))
    crop, pad, stretch = (read_video(tmp_path / "a.npy", size, fit=fit)[0, 0] for fit in ("crop", "pad", "stretch"))
    height, width = (size, size) if isinstance(size, int) else size
    assert crop.shape == pad.shape == stretch.shape == (height, width)
    cut_across = shape[1] * height > shape[0] * width  # the clip is wider than what is asked for
    middle = height // 2, width // 4
    left, right, top, bottom = (middle[0], 0), (middle[0], -1), (0, middle[1]), (-1, middle[1])
    across, down = (left, right), (top, bottom)
    cut, kept = (across, down) if cut_across else (down, across)
    assert all(stretch[at] > 0.99 for at in (*cut, *kept))  # the whole border is there
    assert all(crop[at] < 0.9 for at in cut) and all(crop[at] > 0.99 for at in kept)  # two sides of it are cut off
    assert all(pad[at] == 0 for at in kept) and all(pad[at] > 0.99 for at in cut)  # it lies within black
    shown = (pad > 0).float().mean()
    assert abs(shown - min(shape[0] * width / (shape[1] * height), shape[1] * height / (shape[0] * width))) < 0.05


def test_fit_changes_nothing_where_the_ratio_is_right(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, clip(2, 48, 64))
    made = [read_video(path, (24, 32), channels=3, fit=fit) for fit in ("crop", "pad", "stretch")]
    assert torch.equal(made[0], made[1]) and torch.equal(made[0], made[2])
    with pytest.raises(ValueError, match="no fit 'squeeze'; known are: crop, pad, stretch"):
        read_video(path, 16, fit="squeeze")


@pytest.mark.parametrize("shape", [(1, 500), (500, 1), (3, 7), (1, 1)])
@pytest.mark.parametrize("size", [(64, 64), (1, 9), (9, 1)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_extreme_shapes_fit_too(tmp_path, shape, size, fit):
    np.save(tmp_path / "a.npy", np.full((1, *shape), 255, np.uint8))
    made = read_video(tmp_path / "a.npy", size, fit=fit)
    assert made.shape == (1, 1, *size) and made.max() == 1


# ---- faults ---------------------------------------------------------------------------------------------------------


def save(path, array):
    (np.save if path.suffix == ".npy" else np.savez)(path, array)


BAD_ARRAYS = {
    "two dimensions": (np.zeros((4, 5), np.uint8), "has shape"),
    "five dimensions": (np.zeros((2, 1, 4, 4, 1), np.uint8), "has shape"),
    "several clips": (np.zeros((2, 8, 8, 7), np.uint8), "which is several clips .N, T, H, W.; a clip is"),
    "no channels": (np.zeros((2, 3, 8, 8, 7), np.uint8), "C = 1, 3 or 4"),
    "empty": (np.zeros((0, 8, 8), np.uint8), "has 0 frames"),
    "no pixels": (np.zeros((2, 0, 8), np.uint8), "has shape"),
    "nan": (np.array([[[0.1]], [[np.nan]]]), "frame 2 holds NaN"),
    "infinite": (np.full((1, 2, 2), np.inf), "holds NaN or infinite"),
    "0..255 floats": (np.full((1, 2, 2), 200.0), "rescale the clip"),
    "negative": (np.full((1, 2, 2), -1), "from -1 to -1"),
    "complex": (np.zeros((1, 2, 2), complex), "holds complex128"),
    "text": (np.full((1, 2, 2), "a"), "a clip is of unsigned integers"),
    "objects": (np.full((1, 2, 2), None), "cannot be read"),
}


@pytest.mark.parametrize("kind", BAD_ARRAYS)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_bad_arrays(tmp_path, kind, suffix):
    array, words = BAD_ARRAYS[kind]
    path = tmp_path / f"clip{suffix}"
    save(path, array)
    with pytest.raises(ValueError, match=words) as error:
        read_video(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.gif", "a.webp", "a.mp4", "a.avi"])
@pytest.mark.parametrize("content", [b"", b"this is no video at all"])
def test_files_that_are_not_what_they_say(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read|has 0 frames") as error:
        read_video(tmp_path / name)
    assert name in str(error.value)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.webp", "a.gif"])
def test_truncated_files(tmp_path, name):
    path, frames = tmp_path / name, np.random.default_rng(0).integers(0, 256, (5, 32, 32), np.uint8)
    save(path, frames) if "np" in name else save_pillow(path, frames)
    whole = path.read_bytes()
    for part in (0.1, 0.33, 0.66, 0.97):
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(ValueError, match="cannot be read"):
            read_video(path)


def test_faults_of_the_call(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.mp4 does not exist"):
        read_video(tmp_path / "nothing.mp4")
    with pytest.raises(ValueError, match="holds no pictures"):
        read_video(tmp_path)
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(ValueError, match="kind .txt are not read; known are"):
        read_video(tmp_path / "a.txt")
    np.save(tmp_path / "a.npy", np.zeros((3, 4, 4)))
    with pytest.raises(ValueError, match="has 3 frames, and at least 10 are needed"):
        read_video(tmp_path / "a.npy", min_frames=10)
    with pytest.raises(ValueError, match="max_frames is 2, and at least 3"):
        read_video(tmp_path / "a.npy", max_frames=2, min_frames=3)
    with pytest.raises(ValueError, match="start is -1"):
        read_video(tmp_path / "a.npy", start=-1)
    with pytest.raises(ValueError, match="count is 0"):
        read_last(tmp_path / "a.npy", 0)
    with pytest.raises(ValueError, match="channels is 2"):
        read_video(tmp_path / "a.npy", channels=2)
    with pytest.raises(ValueError, match="size"):
        read_video(tmp_path / "a.npy", size=0)
    np.savez(tmp_path / "b.npz", x=np.zeros(3), y=np.zeros(3))
    with pytest.raises(ValueError, match="holds 2 arrays .x, y.; name the clip 'frames'"):
        read_video(tmp_path / "b.npz")


def test_pictures_of_two_sizes(tmp_path):
    for number, size in enumerate([(8, 8), (8, 8), (9, 8)]):
        Image.new("L", size).save(tmp_path / f"{number}.png")
    with pytest.raises(ValueError, match="frame 3 is 8 x 9 pixels and the first is 8 x 8"):
        read_video(tmp_path)


# ---- what is to be turned, and what is more than a picture ----------------------------------------------------------

#: Quarters counter-clockwise, and the matrix by which a phone says so in the header of a track: where it puts
#: x and y, with y pointing down.
TURNS = {1: (0, -1, 1, 0), 2: (-1, 0, 0, -1), 3: (0, 1, -1, 0)}


def save_turned(path, frames, quarters):
    """A video as a phone writes it that was held another way: the frames lie, and the header says how to turn them."""
    save_container(path, frames, "mpeg4")
    content = path.read_bytes()
    plain, turned = (struct.pack(">9i", *numbers) for numbers in (matrix(1, 0, 0, 1), matrix(*TURNS[quarters])))
    start = content.index(plain, content.index(b"tkhd"))
    path.write_bytes(content[:start] + turned + content[start + len(plain) :])
    return path


def matrix(a, b, c, d):
    """All nine numbers, in fixed point."""
    return a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
@pytest.mark.parametrize("quarters", TURNS)
def test_a_phones_video_is_turned_upright(tmp_path, name, quarters):
    frames = clip(15)
    plain = read_video(save_container(tmp_path / f"plain {name}", frames, "mpeg4"), channels=3)
    path = save_turned(tmp_path / name, frames, quarters)
    assert torch.equal(read_video(path, channels=3), plain.rot90(quarters, (2, 3)))
    assert torch.equal(read_last(path, 2, channels=3), plain[-2:].rot90(quarters, (2, 3)))
    height, width = (32, 24) if quarters % 2 else (24, 32)
    assert probe(path) == (15, 10.0, height, width)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_pictures_are_turned_as_they_say(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6  # the first row is the right side
    frames = clip(2)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"{number}.{suffix}", exif=exif, **({"quality": 95} if suffix == "jpg" else {}))
    turned = np.rot90(frames, -1, (1, 2)).transpose(0, 3, 1, 2) / 255
    close(read_video(tmp_path, channels=3), turned, 0.05 if suffix == "jpg" else 1e-6)
    assert probe(tmp_path) == (2, None, 32, 24)


def test_damaged_exif_data_do_not_spoil_a_picture(tmp_path):
    Image.new("L", (8, 6)).save(tmp_path / "a.png", exif=b"Exif\0\0nonsense")
    assert read_video(tmp_path).shape == (1, 1, 6, 8)


def test_a_picture_of_several_pages_is_refused(tmp_path):
    save_pillow(tmp_path / "stack.tif", clip(3))
    told = "stack.tif holds 3 pages, .*: save its pages as single pictures, or as one npy array"
    with pytest.raises(UnreadableError, match=told):
        read_video(tmp_path)
    with pytest.raises(UnreadableError, match=told):
        probe(tmp_path)


def test_a_phones_picture_is_one_whatever_lies_behind_it(tmp_path):
    save_pillow(tmp_path / "a.jpg", clip(2), format="MPO")
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "MPO" and image.n_frames == 2
    assert read_video(tmp_path).shape == (1, 1, 24, 32)
