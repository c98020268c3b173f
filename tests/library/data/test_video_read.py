"""The user's own clips: every kind that is read, faults named, the folder as a dataset, and animations written."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vrnn3d import config, data
from vrnn3d.data import video
from vrnn3d.data.video import VideoFolder, list_clips, read_video, split_clips, write_webp

LUMA = np.array([0.299, 0.587, 0.114])


def clip(frames=6, height=24, width=32):
    """uint8 (T, H, W, 3): smooth gradients, so that lossy codecs keep them, that brighten from frame to frame."""
    y, x = np.mgrid[:height, :width]
    base = np.stack([x * 4, y * 5, x + y], -1)
    return np.stack([base + 12 * t for t in range(frames)]).clip(0, 255).astype(np.uint8)


def grey(frames):
    return (frames / 255 @ LUMA)[:, None]


def save_pillow(path, frames, **options):
    first, *rest = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=rest, **options)
    return path


def save_container(path, frames, codec):
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 8_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def close(read, frames, tolerance=1e-6):
    assert read.dtype == torch.float32 and tuple(read.shape) == frames.shape
    assert np.abs(read.numpy() - frames).max() <= tolerance


# ---- what is read ---------------------------------------------------------------------------------------------------


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


def test_containers_without_pyav(tmp_path, monkeypatch):
    frames = clip(8, 48, 64)
    path = save_container(tmp_path / "a.avi", frames, "mjpeg")
    tried = 0
    for module in ("av", "imageio_ffmpeg", "cv2"):
        with monkeypatch.context() as patch:
            for other in {"av", "imageio_ffmpeg", "cv2"} - {module}:
                patch.setitem(sys.modules, other, None)  # importing it fails
            try:
                __import__(module)
            except ImportError:
                continue
            close(read_video(path), grey(frames), 0.06)
            close(read_video(path, channels=3), frames.transpose(0, 3, 1, 2) / 255, 0.15)
            tried += 1
    assert tried
    for module in ("av", "imageio_ffmpeg", "cv2"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match="reading .avi needs PyAV.*pip install av"):
        read_video(path)


def test_a_real_kth_clip():
    clips = sorted((data.folder() / "kth").rglob("*boxing*.avi"))
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


# ---- faults ---------------------------------------------------------------------------------------------------------


def save(path, array):
    (np.save if path.suffix == ".npy" else np.savez)(path, array)


BAD_ARRAYS = {
    "two dimensions": (np.zeros((4, 5), np.uint8), "has shape"),
    "five dimensions": (np.zeros((2, 1, 4, 4, 1), np.uint8), "has shape"),
    "no channels": (np.zeros((2, 8, 8, 7), np.uint8), "C = 1, 3 or 4"),
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
    if name[-3:] in ("mp4", "avi"):
        pytest.importorskip("av")
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


# ---- a folder of clips ----------------------------------------------------------------------------------------------


def many(folder, count=12, frames=10):
    """Clips whose pixels all hold the clip's number, and in their corner the frame's."""
    folder.mkdir()
    for number in range(count):
        array = np.full((frames, 16, 16), number, np.uint8)
        array[:, :, 8:] = 100 + np.arange(frames)[:, None, None]
        np.save(folder / f"clip{number}.npy", array)
    return folder


def test_no_clip_is_in_two_splits(tmp_path):
    folder = many(tmp_path / "clips", 30, 5)
    parts = split_clips(list_clips(folder))
    assert {split: len(part) for split, part in parts.items()} == {"train": 24, "validation": 3, "test": 3}
    assert len({path for part in parts.values() for path in part}) == 30
    assert parts == split_clips(list_clips(folder)[::-1]) != split_clips(list_clips(folder), seed=1)
    with pytest.raises(ValueError, match="2 clips are too few"):
        split_clips(list_clips(folder)[:2])


def test_windows_of_a_folder(tmp_path):
    folder = many(tmp_path / "clips")
    settings = config.Data(name="video", path=str(folder), size=16, length=4)
    sets = {split: data.build(settings, split) for split in ("train", "validation", "test")}
    assert [len(made) for made in sets.values()] == [10 * 7, 2, 2]
    numbers = {}
    for split, made in sets.items():
        frames = made.batch(torch.arange(len(made)))
        assert frames.shape == (len(made), 4, 1, 16, 16) and frames.dtype == torch.uint8
        assert (frames[..., :8].flatten(1).amin(1) == frames[..., :8].flatten(1).amax(1)).all()  # within one clip
        assert (frames[:, 1:, 0, 0, 15].int() - frames[:, :-1, 0, 0, 15].int() == 1).all()  # in order
        numbers[split] = set(frames[:, 0, 0, 0, 0].tolist())
        assert not made.online and made.source == "clips" and str(tmp_path) not in made.description
    assert sorted(n for part in numbers.values() for n in part) == list(range(12))
    assert data.build(settings, "test", length=10).batch(torch.tensor([0])).shape == (1, 10, 1, 16, 16)


def test_clips_that_are_too_short(tmp_path):
    folder = many(tmp_path / "clips", 8)
    for path in split_clips(list_clips(folder))["train"][:2]:
        np.save(path, np.zeros((3, 16, 16), np.uint8))
    with pytest.warns(UserWarning, match="2 train clips are shorter than 4 frames and left out"):
        assert len(VideoFolder(folder, "train", length=4, size=16).clips) == 4
    with pytest.raises(ValueError, match="none of the 1 test clips .* has 11 frames"):
        VideoFolder(folder, "test", length=11)


def test_faults_of_a_folder(tmp_path):
    with pytest.raises(ValueError, match="data.path is empty"):
        data.build(config.Data(name="video"), "train")
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        data.build(config.Data(name="video", path=str(tmp_path / "nowhere")), "train")
    with pytest.raises(ValueError, match="0 clips are too few"):
        data.build(config.Data(name="video", path=str(tmp_path)), "train")


def test_a_subfolder_of_pictures_is_a_clip(tmp_path):
    for name in ("one", "two", "no clip"):
        (tmp_path / name).mkdir()
    for name in ("one", "two"):
        Image.new("L", (8, 8)).save(tmp_path / name / "0.png")
    save_pillow(tmp_path / "three.gif", clip()[..., 0])
    assert [path.name for path in list_clips(tmp_path)] == ["one", "three.gif", "two"]


# ---- writing --------------------------------------------------------------------------------------------------------


def test_an_animation_comes_back_as_it_was(tmp_path):
    frames = clip()
    path = write_webp(tmp_path / "new" / "colour.webp", frames, fps=10, scale=3)
    back = read_video(path, channels=3)
    close(back[..., 1::3, 1::3], frames.transpose(0, 3, 1, 2) / 255)
    assert back.shape[-2:] == (72, 96)
    with Image.open(path) as image:
        image.load()
        assert image.info["duration"] == 100 and image.info["loop"] == 0
    ramp = torch.linspace(-0.5, 1.5, 4)[:, None, None].expand(4, 8, 8)
    close(read_video(write_webp(tmp_path / "grey.webp", ramp)), np.round(ramp.clamp(0, 1)[:, None].numpy() * 255) / 255)
    assert sorted(os.listdir(tmp_path)) == ["grey.webp", "new"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (dict(path="a.gif"), "does not end in .webp"),
        (dict(frames=np.zeros((4, 4))), "cannot be written"),
        (dict(frames=np.zeros((0, 4, 4))), "cannot be written"),
        (dict(frames=np.zeros((2, 3, 4, 4))), "must be .T, H, W. or"),
        (dict(frames=np.zeros((2, 4, 4), np.int64)), "frames of int64"),
        (dict(frames=np.full((2, 4, 4), np.nan)), "NaN"),
        (dict(scale=0), "scale 0"),
        (dict(fps=0), "fps is 0"),
    ],
)
def test_what_cannot_be_written(tmp_path, arguments, words):
    arguments = dict(path="a.webp", frames=np.zeros((2, 4, 4))) | arguments
    arguments["path"] = tmp_path / arguments["path"]
    with pytest.raises(ValueError, match=words):
        write_webp(**arguments)
    assert not os.listdir(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_webp(tmp_path / "a.webp", clip())
    before = path.read_bytes()

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        write_webp(path, clip(3))
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.webp"]


def test_the_package_reads_arrays_without_any_video_library():
    """PyAV, imageio and OpenCV are imported only when a container is read."""
    source = Path(video.__file__).read_text()
    assert not [line for line in source.splitlines() if line.startswith(("import av", "import imageio", "import cv2"))]
