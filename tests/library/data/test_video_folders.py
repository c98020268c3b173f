"""Own clips as a dataset: folders as people have them, splits, windows, what is skipped, colour and identity."""

from __future__ import annotations

import dataclasses
import os
import shutil
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from videos import clip, save_any, save_container, save_pictures, save_pillow

from trials import tiny
from vrnn3d import data
from vrnn3d.config import Eval
from vrnn3d.data.settings import VideoData
from vrnn3d.data.splits import SPLITS
from vrnn3d.data.video import VideoFolder, find_clips, list_clips, split_clips
from vrnn3d.data.video.sources import natural_order
from vrnn3d.evaluation.protocols import with_fitting_protocols


def numbered(number, frames=10):
    """A clip whose left half holds the clip's number, and whose right half 100 and the frame's."""
    array = np.full((frames, 16, 16), number, np.uint8)
    array[:, :, 8:] = 100 + np.arange(frames)[:, None, None]
    return array


def many(folder, count=12, frames=10, prefix=""):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        np.save(folder / f"{prefix}clip{number}.npy", numbered(number, frames))
    return folder


def names(clips):
    return [clip.name for clip in clips]


def shown(made):
    """(clips' numbers, frames' numbers) that the windows of a data set of `numbered` clips hold."""
    frames = made.batch(torch.arange(len(made)))[:, :, 0, 0]
    return set(frames[..., 0].flatten().tolist()), set((frames[..., 15].int() - 100).flatten().tolist())


# ---- splits and windows ---------------------------------------------------------------------------------------------


def test_no_clip_is_in_two_splits(tmp_path):
    folder = many(tmp_path / "clips", 30, 5)
    parts = split_clips(list_clips(folder))
    assert {split: len(part) for split, part in parts.items()} == {"train": 24, "validation": 3, "test": 3}
    assert len({clip.path for part in parts.values() for clip in part}) == 30
    assert parts == split_clips(list_clips(folder)[::-1]) != split_clips(list_clips(folder), seed=1)


def test_the_split_is_what_it_was(tmp_path):
    """By a hash of seed and name, so that a record's data can be made again: 12 clips as version 0.1 split them."""
    parts = split_clips(list_clips(many(tmp_path / "clips")))
    assert (names(parts["validation"]), names(parts["test"])) == (["clip5.npy"], ["clip4.npy"])


def test_windows_of_a_folder(tmp_path):
    folder = many(tmp_path / "clips")
    settings = VideoData(path=str(folder), size=16, length=4)
    sets = {split: data.build(settings, split) for split in SPLITS}
    assert [len(made) for made in sets.values()] == [10 * 7, 2, 2]
    numbers = {}
    for split, made in sets.items():
        frames = made.batch(torch.arange(len(made)))
        assert frames.shape == (len(made), 4, 1, 16, 16) and frames.dtype == torch.uint8
        assert (frames[..., :8].flatten(1).amin(1) == frames[..., :8].flatten(1).amax(1)).all()  # within one clip
        assert (frames[:, 1:, 0, 0, 15].int() - frames[:, :-1, 0, 0, 15].int() == 1).all()  # in order
        numbers[split] = shown(made)[0]
        assert not made.online and made.source == "clips" and str(tmp_path) not in made.description
    assert sorted(n for part in numbers.values() for n in part) == list(range(12))
    assert data.build(settings, "test", length=10).batch(torch.tensor([0])).shape == (1, 10, 1, 16, 16)


def test_clips_that_are_too_short(tmp_path):
    folder = many(tmp_path / "clips", 8)
    for found in split_clips(list_clips(folder))["train"][:2]:
        np.save(found.path, np.zeros((3, 16, 16), np.uint8))
    with pytest.warns(UserWarning, match="2 train clips are shorter than 4 frames and left out"):
        assert len(VideoFolder(folder, "train", length=4, size=16).clips) == 4
    with pytest.raises(ValueError, match="none of the 1 test clips .* has 11 frames .the longest, clip.*, has 10.: put longer"):
        VideoFolder(folder, "test", length=11)


# ---- folders as people have them ------------------------------------------------------------------------------------


def test_frame10_comes_after_frame2(tmp_path):
    save_pictures(tmp_path, numbered(1, 12))
    assert shown(VideoFolder(tmp_path, "train", length=9, size=16)) == ({1}, set(range(10)))
    folder = many(tmp_path / "clips", 12)
    assert names(list_clips(folder)) == [f"clip{n}.npy" for n in range(12)]


def test_a_subfolder_of_pictures_is_a_clip(tmp_path):
    for name in ("one", "two"):
        save_pictures(tmp_path / name, clip(2)[..., 0])
    (tmp_path / "no clip").mkdir()
    save_pillow(tmp_path / "three.gif", clip()[..., 0])
    assert names(list_clips(tmp_path)) == ["one", "three.gif", "two"]


@pytest.mark.parametrize("kind", ["pictures", "npy", "npz", "webp", "mp4"])
def test_a_single_clip_is_cut_in_time(tmp_path, kind):
    frames = np.stack([numbered(1, 100)] * 3, -1)
    path = save_any(kind, tmp_path, frames)
    for place in (path, tmp_path):  # the clip itself, or a folder with nothing else in it
        sets = {split: VideoFolder(place, split, length=5, size=16) for split in SPLITS}
        assert {split: len(made) for split, made in sets.items()} == {"train": 76, "validation": 2, "test": 2}
        means = {split: made.batch(torch.arange(len(made)))[..., 12:].float().mean((2, 3, 4)) for split, made in sets.items()}
        for split, first, last in (("train", 0, 79), ("validation", 80, 89), ("test", 90, 99)):
            assert abs(means[split][0, 0] - 100 - first) < 2 and abs(means[split][-1, -1] - 100 - last) < 2
    assert "1 test clip cut from 90% to 100% of its frames" in sets["test"].description


def test_two_clips_are_each_cut_in_time(tmp_path):
    folder = many(tmp_path / "clips", 2, 50)
    assert shown(VideoFolder(folder, "validation", length=5, size=16)) == ({0, 1}, set(range(40, 45)))
    with pytest.raises(ValueError, match="the test part of clip0.npy has 5 frames, and windows of 6 .* needs 60 frames"):
        VideoFolder(folder, "test", length=6, size=16)


def test_how_long_a_clip_that_is_cut_must_be_holds_for_all_its_parts(tmp_path):
    """For what training asks for too, so that no one is sent from one error to the next."""

    def refusal(split, **options):
        with pytest.raises(ValueError, match="put a longer one there, or 3 clips, or .*data.length .* eval.protocols") as error:
            data.build(settings, split, **options)
        return str(error.value)

    settings = VideoData(path=str(many(tmp_path / "clips", 1, 12)), size=16, length=10)
    assert "the train part of clip0.npy has 10 frames, and windows of 11" in refusal("train", length=11)
    assert "needs 110 frames at least for all of its parts" in refusal("train", length=11)
    assert "needs 100 frames" in refusal("validation") and "needs 100 frames" in refusal("test", length=8)
    many(tmp_path / "clips", 1, 100)
    assert [len(data.build(settings, split)) for split in SPLITS] == [71, 1, 1]


@pytest.mark.parametrize("count, frames, told", [(1, 3, "the test part of clip0.npy has 0"), (3, 0, "the longest, .* has 0")])
def test_a_clip_without_frames_is_too_short(tmp_path, count, frames, told):
    with pytest.raises(ValueError, match=told):
        VideoFolder(many(tmp_path / "clips", count, frames), "test", length=4, size=16)


def test_class_folders(tmp_path):
    for name in ("boxing", "walking", "deep/er"):
        many(tmp_path / "clips" / name, 4)
    save_pictures(tmp_path / "clips" / "waving" / "person1", numbered(9))
    found = list_clips(tmp_path / "clips")
    assert len(found) == 13 and "boxing/clip0.npy" in names(found) and "deep/er/clip3.npy" in names(found)
    assert "waving/person1" in names(found)
    parts = find_clips(tmp_path / "clips")
    assert sorted(name for part in parts.values() for name in names(part)) == sorted(names(found))


@pytest.mark.parametrize(
    "called", [("train", "val", "test"), ("Training", "validation", "TESTING"), ("train", "valid", "test")]
)
def test_folders_that_are_the_splits(tmp_path, called):
    for number, name in enumerate(called):
        for kind in ("a", "b"):
            (tmp_path / name / kind).mkdir(parents=True)
            np.save(tmp_path / name / kind / "same name.npy", numbered(number))
    (tmp_path / "readme.txt").write_text("x")
    for number, split in enumerate(SPLITS):
        made = VideoFolder(tmp_path, split, length=4, size=16)
        assert shown(made)[0] == {number} and len(made.clips) == 2


def test_split_folders_of_frames_arrays_and_missing_ones(tmp_path):
    save_pictures(tmp_path / "frames" / "train", numbered(0))
    save_pictures(tmp_path / "frames" / "val", numbered(1))
    save_pictures(tmp_path / "frames" / "test", numbered(2))
    assert [shown(VideoFolder(tmp_path / "frames", split, length=4, size=16))[0] for split in SPLITS] == [{0}, {1}, {2}]
    (tmp_path / "arrays").mkdir()
    for name, numbers in (("train", range(20)), ("test", range(50, 53))):
        np.savez(tmp_path / "arrays" / f"{name}.npz", np.stack([numbered(n) for n in numbers]))
    with pytest.warns(UserWarning, match="has no folder validation: 2 clips of train are held out for it"):
        sets = {split: shown(VideoFolder(tmp_path / "arrays", split, length=4, size=16))[0] for split in SPLITS}
    assert sets["train"] | sets["validation"] == set(range(20)) and len(sets["validation"]) == 2
    assert sets["test"] == {50, 51, 52}
    shutil.rmtree(tmp_path / "frames" / "val")
    with pytest.raises(ValueError, match="has no clips for validation: add a folder frames/validation"):
        find_clips(tmp_path / "frames")
    (tmp_path / "frames" / "val").mkdir()
    with pytest.raises(ValueError, match="there are no clips in .*val, which holds nothing"):
        find_clips(tmp_path / "frames")


def test_clips_beside_the_split_folders_are_named(tmp_path):
    for name in ("train", "val", "test"):
        many(tmp_path / name, 2)
    np.save(tmp_path / "stray.npy", numbered(0))
    with pytest.warns(UserWarning, match="stray.npy beside them is ignored"):
        assert sum(map(len, find_clips(tmp_path).values())) == 6


def test_a_class_called_train_is_no_split(tmp_path):
    for name in ("train", "bus", "tram"):
        many(tmp_path / name, 3)
    assert len(list_clips(tmp_path)) == 9 and sum(map(len, find_clips(tmp_path).values())) == 9


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("colour", [False, True])
def test_an_array_of_clips(tmp_path, suffix, colour):
    array = np.stack([numbered(number) for number in range(12)])  # (N, T, H, W)
    array = np.stack([array] * 3, -1) if colour else array
    path = tmp_path / f"clips{suffix}"
    (np.save if suffix == ".npy" else np.savez_compressed)(path, array)
    found = list_clips(path)
    assert names(found) == [f"clips{suffix}[{number}]" for number in range(12)]
    sets = [VideoFolder(path, split, length=10, size=16, channels=3 if colour else 1) for split in SPLITS]
    numbers = [shown(made)[0] for made in sets]
    assert [len(part) for part in numbers] == [10, 1, 1] and set().union(*numbers) == set(range(12))
    assert sets[0].batch([0]).shape == (1, 10, 3 if colour else 1, 16, 16)


def test_what_is_no_clip_is_named(tmp_path):
    with pytest.raises(ValueError, match="data.path is empty"):
        data.build(VideoData(), "train")
    with pytest.raises(FileNotFoundError, match="nowhere does not exist: data.path must name a folder of clips, or a clip"):
        data.build(VideoData(path=str(tmp_path / "nowhere")), "train")
    for name in ("a.zip", "b.zip", "notes.txt", "README"):
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="1 x .txt, 2 x .zip, 1 x file without suffix, 1 x folder; a clip is") as error:
        data.build(VideoData(path=str(tmp_path)), "train")
    assert ".mp4" in str(error.value) and ".png" in str(error.value)
    with pytest.raises(ValueError, match="holds a file of kind .zip"):
        list_clips(tmp_path / "a.zip")


def test_pictures_beside_clips_are_ignored_and_named(tmp_path):
    many(tmp_path, 3)
    Image.new("L", (8, 8)).save(tmp_path / "thumbnail.png")
    with pytest.warns(UserWarning, match=r"1 pictures beside them \(thumbnail.png"):
        assert len(list_clips(tmp_path)) == 3


def test_pictures_of_several_series_in_one_folder_are_named(tmp_path):
    for name in ("left_01", "left_02", "right_01", "right_02"):
        Image.new("L", (8, 8)).save(tmp_path / f"{name}.png")
    with pytest.warns(UserWarning, match=r"4 pictures of 2 series \(left_\*.png, right_\*.png\), which are read as one clip"):
        assert len(list_clips(tmp_path)) == 1


@pytest.mark.parametrize("of_a_run", ["checkpoint.pt", "calls.json", "record.json"])
def test_folders_of_runs_are_named_and_left_out(tmp_path, of_a_run):
    """They hold pictures of the truth that was held out."""
    folder = many(tmp_path / "clips", 2)
    run = folder / "runs" / "own" / "seed0"
    many(run / "deeper", 1)
    save_pillow(run / "own_clips.webp", clip())
    np.savez(run / "clips.npz", frames=numbered(3))
    (run / of_a_run).touch()
    with pytest.warns(UserWarning, match="seed0 is the folder of a run of vrnn3d and is left out of the clips"):
        assert names(list_clips(folder)) == ["clip0.npy", "clip1.npy"]


def test_links_to_their_own_folder_and_to_nothing_end(tmp_path):
    many(tmp_path / "clips", 1)
    (tmp_path / "clips" / "gone.npy").symlink_to(tmp_path / "nothing.npy")
    (tmp_path / "clips" / "loop").symlink_to(tmp_path / "clips", target_is_directory=True)
    assert names(list_clips(tmp_path / "clips")) == ["clip0.npy"]


def test_names_of_all_sorts_are_sorted():
    names = ["a", "a1", "a2", "a10", "A10b", "a10B", "1", "1a", "01", "", "²", "b²3", "ä10", "ä9"]
    assert sorted(names[::-1], key=natural_order) == [
        "",
        "01",
        "1",
        "1a",
        "a",
        "a1",
        "a2",
        "a10",
        "A10b",
        "a10B",
        "b²3",
        "²",
        "ä9",
        "ä10",
    ]


# ---- what is bad is named and skipped -------------------------------------------------------------------------------


def test_a_bad_clip_is_named_and_skipped(tmp_path):
    folder = many(tmp_path / "clips", 3)
    for split in ("train", "val", "test"):
        (tmp_path / "split" / split).mkdir(parents=True)
        shutil.copy(folder / "clip0.npy", tmp_path / "split" / split)
    train = tmp_path / "split" / "train"
    (train / "empty.npy").touch()
    (train / "text.mp4").write_text("no video")
    np.save(train / "odd.npy", np.zeros((4, 5), np.uint8))
    with pytest.warns(UserWarning) as caught:
        made = VideoFolder(tmp_path / "split", "train", length=4, size=16)
    (message,) = [str(warning.message) for warning in caught]
    assert "3 frames or clips of split are skipped" in message
    assert all(name in message for name in ("empty.npy", "text.mp4", "odd.npy"))
    assert names(made.clips) == ["train/clip0.npy"]
    (train / "clip0.npy").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="none of the 3 train clips in split could be read"):
            VideoFolder(tmp_path / "split", "train", length=4, size=16)


def test_where_none_can_be_read_clips_and_reason_are_named(tmp_path):
    folder = many(tmp_path / "clips", 4)
    (held,) = split_clips(list_clips(folder))["test"]
    held.path.write_text("no array")
    told = f"none of the 1 test clips in clips could be read .{held.name}., the first because .*{held.name} cannot be read"
    with pytest.raises(ValueError, match=f"{told}.*; mend them, or move them out of the folder"):
        VideoFolder(folder, "test", length=4, size=16)
    held.path.unlink()
    assert len(VideoFolder(folder, "test", length=4, size=16)) == 2, "another takes its place"


def test_clips_that_are_too_short_are_named_and_may_be_moved(tmp_path):
    folder = many(tmp_path / "clips", 5)
    with pytest.raises(ValueError, match="move clip0.npy, clip1.npy, clip2.npy and 2 more out of the folder, or ask for"):
        VideoFolder(folder, "test", length=11, size=16, use="test")
    np.savez(tmp_path / "clips.npz", np.stack([numbered(n) for n in range(4)]))
    with pytest.raises(ValueError, match="put longer ones there, or ask for"):
        VideoFolder(tmp_path / "clips.npz", "test", length=11, size=16)


def test_what_is_wrong_with_the_clips_is_told_where_no_protocol_fits(tmp_path):
    """Warnings of attempts are held back, but those of the last come before the error."""
    for split in ("train", "val", "test"):
        many(tmp_path / split, 2)
    (tmp_path / "test" / "text.mp4").write_text("no video")
    settings = VideoData(path=str(tmp_path), size=16, length=8)
    experiment = dataclasses.replace(tiny(), data=settings, eval=Eval(((5, 8), (5, 9))))
    with warnings.catch_warnings(record=True) as caught, pytest.raises(ValueError, match="has 13 frames .the longest, test/"):
        warnings.simplefilter("always")
        with_fitting_protocols(experiment)
    assert sum("text.mp4" in str(warning.message) for warning in caught) == 1
    for path in (tmp_path / "test").glob("*.npy"):
        path.unlink()
    with pytest.raises(ValueError, match="could be read .test/text.mp4., the first because .*text.mp4 cannot be read"):
        with_fitting_protocols(experiment)


def test_clips_that_are_nearly_black_are_named_once(tmp_path):
    """Masks of 0 and 1, and twelve bits in sixteen."""
    np.save(tmp_path / "masks.npy", np.eye(16, dtype=np.uint8)[None].repeat(5, 0))
    np.save(tmp_path / "deep.npy", np.full((5, 16, 16), 4095, np.uint16))
    np.save(tmp_path / "numbers.npy", np.eye(16, dtype=np.int64)[None].repeat(5, 0))
    save_pictures(tmp_path / "pictures", np.full((5, 16, 16), 4095, np.uint16))
    np.save(tmp_path / "black.npy", np.zeros((5, 16, 16), np.uint8))
    np.save(tmp_path / "fades in.npy", np.arange(0, 50, 10, dtype=np.uint8)[:, None, None].repeat(16, 1).repeat(16, 2))
    np.save(tmp_path / "switch.npy", np.eye(16, dtype=bool)[None].repeat(5, 0))
    with pytest.warns(UserWarning) as caught:
        VideoFolder(tmp_path, "test", length=5, size=16, use="test")
    (told,) = [str(warning.message) for warning in caught]
    assert told.startswith("4 test clips are read as nearly black, and should be rescaled")
    for name, value in (
        ("masks.npy", "1 of 0..255"),
        ("deep.npy", "4095 of 0..65535"),
        ("numbers.npy", "1 of 0..255"),
        ("pictures", "4095 of 0..65535"),
    ):
        assert f"{name} (its brightest value is {value})" in told


@pytest.mark.parametrize("fault", ["damaged", "another size"])
def test_a_bad_frame_is_named_and_no_window_spans_the_gap(tmp_path, fault):
    folder = save_pictures(tmp_path / "train" / "clip", numbered(1, 20))
    for split in ("val", "test"):
        save_pictures(tmp_path / split / "clip", numbered(1, 5))
    if fault == "damaged":
        (folder / "frame9.png").write_bytes((folder / "frame9.png").read_bytes()[:40])
    else:
        Image.new("L", (20, 16)).save(folder / "frame9.png")
    with pytest.warns(UserWarning, match="1 frames or clips of .* skipped: .*frame9.png|frame 9 is 16 x 20"):
        made = VideoFolder(tmp_path, "train", length=5, size=16)
    frames = made.batch(torch.arange(len(made)))[:, :, 0, 0, 15].int() - 100
    assert frames[:, 0].tolist() == [0, 1, 2, 3, *range(9, 16)] and (frames.diff(dim=1) == 1).all()


def test_a_video_that_breaks_off_is_used_as_far_as_it_goes(tmp_path):
    for split in ("train", "val", "test"):
        (tmp_path / split).mkdir()
        save_container(tmp_path / split / "a.avi", np.stack([numbered(1, 40)] * 3, -1), "mjpeg")
    whole = len(VideoFolder(tmp_path, "train", length=5, size=16))
    path = tmp_path / "train" / "a.avi"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whether the cut is noticed is the container's affair
        assert 0 < len(VideoFolder(tmp_path, "train", length=5, size=16)) < whole


# ---- colour, shape, identity ----------------------------------------------------------------------------------------


def test_colour_end_to_end(tmp_path):
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", clip(6))
    settings = VideoData(path=str(tmp_path), size=(24, 32), length=4, colour=True)
    made = data.build(settings, "test")
    assert settings.channels == 3 and made[0].shape == (4, 3, 24, 32)
    assert np.array_equal(made[0].permute(0, 2, 3, 1), clip(6)[:4])
    grey = data.build(VideoData(path=str(tmp_path), size=(24, 32), length=4), "test")
    assert grey[0].shape == (4, 1, 24, 32)
    assert "colour, cropped to shape, 24 x 32" in made.description and "grey, cropped to shape" in grey.description


def test_fit_is_a_setting(tmp_path):
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", np.full((5, 8, 16), 200, np.uint8))
    made = {
        fit: data.build(VideoData(path=str(tmp_path), size=8, length=4, fit=fit), "test") for fit in ("crop", "pad", "stretch")
    }
    assert made["crop"][0].unique().tolist() == made["stretch"][0].unique().tolist() == [200]
    assert made["pad"][0].unique().tolist() == [0, 200]
    assert "with black borders" in made["pad"].description and "stretched to shape" in made["stretch"].description
    assert data.build(VideoData(path=str(tmp_path), size=8, length=4), "test").fit == "crop"
    with pytest.raises(ValueError, match="data.fit is 'squeeze', but must be one of: crop, pad, stretch"):
        VideoData(fit="squeeze")


def test_the_identity_is_the_contents_wherever_they_lie(tmp_path):
    def identity(folder, split="train"):
        return VideoFolder(folder, split, length=4, size=16).identity

    folder = many(tmp_path / "clips", 6)
    before = {split: identity(folder, split) for split in SPLITS}
    shutil.copytree(folder, tmp_path / "elsewhere" / "moved")
    moved = tmp_path / "elsewhere" / "moved"
    for path in moved.iterdir():
        os.utime(path, (0, 0))
    assert {split: identity(moved, split) for split in SPLITS} == before and len(set(before.values())) == 3
    changed = split_clips(list_clips(moved))["train"][-1].path
    frames = np.load(changed)
    frames[5, 3, 3] ^= 1
    np.save(changed, frames)
    assert identity(moved) != before["train"] and identity(moved, "test") == before["test"]


def test_two_places_of_clips_are_told_apart_by_what_they_hold(tmp_path):
    folder = many(tmp_path / "clips", 6)
    before = VideoData(path=str(folder)).contents()
    assert len(before) == 16 and before == VideoData(path=str(folder), size=16, colour=True).contents()
    shutil.copytree(folder, tmp_path / "moved")
    assert VideoData(path=str(tmp_path / "moved")).contents() == before
    np.save(tmp_path / "moved" / "clip3.npy", numbered(77))
    assert VideoData(path=str(tmp_path / "moved")).contents() != before
    save_pictures(tmp_path / "one clip", numbered(1))
    alone = VideoData(path=str(tmp_path / "one clip")).contents()
    (tmp_path / "one clip").rename(tmp_path / "renamed")
    assert VideoData(path=str(tmp_path / "renamed")).contents() == alone


def test_clips_are_read_once_where_the_same_are_asked_for_again_and_anew_where_they_changed(tmp_path):
    folder = many(tmp_path / "clips", 5)
    settings = VideoData(path=str(folder), size=16, length=10, use="test")
    made = data.build(settings, "test")
    assert data.build(settings, "test") is made and data.build(settings, "test", length=9) is not made
    np.save(folder / "clip3.npy", numbered(77))
    assert shown(data.build(settings, "test"))[0] == {0, 1, 2, 77, 4}


def test_all_clips_may_be_for_the_test(tmp_path):
    folder = many(tmp_path / "clips", 5)
    made = data.build(VideoData(path=str(folder), size=16, length=10, use="test"), "test")
    assert shown(made)[0] == set(range(5)) and len(made) == 5
    single = data.build(VideoData(path=str(folder / "clip0.npy"), size=16, length=10, use="test"), "test")
    assert len(single) == 1, "it is not cut in time"


def test_the_public_test_file_is_read_along_time(tmp_path):
    """The clips are what the data set of that file has, frame by frame."""
    from vrnn3d.data.moving_mnist_file import MovingMNISTFile

    path = tmp_path / "mnist_test_seq.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (20, 7, 64, 64), np.uint8))
    official = MovingMNISTFile(path, sha256=None)
    ours = data.build(VideoData(path=str(path), size=64, length=20, use="test"), "test")
    assert len(ours) == len(official) == 7
    assert torch.equal(ours.batch(torch.arange(7)), official.batch(torch.arange(7)))
    with pytest.raises(ValueError, match="none of the 7 test clips in mnist_test_seq.npy has 21 frames .*, has 20"):
        data.build(VideoData(path=str(path), size=64, length=21, use="test"), "test")


WRONG = [dict(use="all"), dict(split="dev"), dict(length=0), dict(size=0), dict(channels=2), dict(fit="squeeze")]


@pytest.mark.parametrize("wrong", WRONG)
def test_arguments_that_make_no_sense(tmp_path, wrong):
    with pytest.raises(ValueError):
        VideoFolder(**(dict(path=many(tmp_path / "clips"), split="train") | wrong))
