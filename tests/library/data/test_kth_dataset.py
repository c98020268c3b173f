"""KTH: windows within intervals, the splits, the order of test windows, and clips that are missing or bad."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from kth_clips import LISTING, settings, write_clip, write_list

from vrnn3d.data import build
from vrnn3d.data.kth import augment, cache, clips, dataset
from vrnn3d.data.kth.report import prepare_kth

pytestmark = pytest.mark.slow  # decodes clips


def built(split, length=10):
    return dataset.build(settings(), split, None, length)


@pytest.mark.parametrize("length", [5, 10, 20, 30])
def test_windows_stay_in_one_interval_and_hold_its_frames(kth, length):
    for split in ("train", "validation", "test"):
        source = built(split, length)
        assert len(source) == len(source.windows) == len(source.actions) and not source.online
        frames = source.batch(torch.arange(len(source)))
        assert frames.dtype == torch.uint8 and frames.shape == (len(source), length, 1, 16, 16)
        for (name, start), action, video in zip(source.windows, source.actions, frames):
            assert action == name.split("_")[1]
            intervals = [tuple(map(int, pair.split("-"))) for pair in LISTING[name].split(", ")]
            assert any(first - 1 <= start and start + length <= last for first, last in intervals)
            # frame t of a clip is 40 + t bright: these are the right frames of it, in order
            expected = 40 + start + torch.arange(length)
            assert (video.float().mean((1, 2, 3)) - expected).abs().max() <= 2


def test_strides_are_predrnns(kth):
    starts = {}
    for name, start in built("train", 20).windows:
        starts.setdefault(name, []).append(start)
    assert starts == {
        "person01_boxing_d1": [0, 20, 45, 59],  # 1-45: 0, 20; 46-70: 45; 60-95: 59
        "person01_running_d2": [0, 3, 6, 39],  # 1-26: 0, 3, 6; 40-60: 39
    }


def test_splits_of_the_data_set(kth):
    parts = {split: built(split) for split in ("train", "validation", "test")}
    names = {split: {name for name, _ in part.windows} for split, part in parts.items()}
    assert names == {
        "train": {"person01_boxing_d1", "person01_running_d2"},
        "validation": {"person11_handwaving_d1"},
        "test": {"person20_walking_d4"},
    }
    assert all(part.description.startswith("KTH, 4-clip subset: ") for part in parts.values())
    assert all(part.source == "VRNN3D_DATA" for part in parts.values())
    assert dataset.subset_name(599) == "KTH"


def test_test_windows_are_shuffled_alike_each_time(kth, monkeypatch):
    monkeypatch.setattr(dataset, "STRIDE", 1)
    windows = built("test", 10).windows
    assert windows == built("test", 10).windows
    assert windows != sorted(windows) and len(set(windows)) == len(windows) == 42


def test_build_goes_through_the_front_door(kth):
    assert len(build(settings(), "test", length=30)) == 2
    with pytest.raises(ValueError, match="no action interval of the 1 test clips .* has 31 frames"):
        build(settings(), "test", length=31)


def test_a_split_without_persons_is_named(kth):
    shutil.rmtree(kth / "clips" / "walking")
    with pytest.raises(ValueError, match="test split needs clips of persons 17-25"):
        built("test")


def test_no_clips_is_one_sentence_with_the_cure(tmp_path, monkeypatch):
    monkeypatch.setenv("VRNN3D_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for call in (lambda: built("train"), lambda: prepare_kth(16, False, download=False)):
        with pytest.raises(FileNotFoundError, match="no KTH clips in .*`vrnn3d data kth`.*VRNN3D_DATA") as info:
            call()
        assert "\n" not in str(info.value)


def test_a_missing_list_is_named(kth):
    (kth / clips.LIST).unlink()
    with pytest.raises(FileNotFoundError, match="00sequences.txt is missing"):
        built("train")


def test_bad_clips_are_named_and_skipped(kth):
    folder = kth / "clips"
    write_list(
        kth,
        LISTING
        | {
            "person02_boxing_d1": "1-40",
            "person02_boxing_d2": "1-40",
            "person02_boxing_d3": "1-20, 21-80, 81-90",
            "person02_boxing_d4": "50-80",
        },
    )
    (folder / "person02_boxing_d1_uncomp.avi").write_bytes(b"this is no video" * 50)
    (folder / "person02_boxing_d2_uncomp.avi").write_bytes(b"")
    write_clip(folder / "person02_boxing_d3_uncomp.mp4", 30, "mpeg4")
    write_clip(folder / "person02_boxing_d4_uncomp.mp4", 30, "mpeg4")
    source = folder / "boxing" / "person01_boxing_d1_uncomp.avi"
    shutil.copy(source, folder / "person1_boxing.avi")
    shutil.copy(source, folder / "person03_boxing_d1_uncomp.avi")
    shutil.copy(source, folder / "person13_handclapping_d3_uncomp.avi")
    write_clip(folder / "boxing" / "person01_boxing_d1_uncomp.mp4", 3, "mpeg4")
    with pytest.warns(cache.KTHWarning) as caught:
        found = prepare_kth(16, progress=False, download=False)
    reasons = dict((Path(file).name, reason) for file, reason in found.skipped)
    expected = {
        "person02_boxing_d1_uncomp.avi": "cannot be read",
        "person02_boxing_d2_uncomp.avi": "cannot be read",
        "person02_boxing_d4_uncomp.mp4": "it has 30 frames, and its first interval starts at 50",
        "person1_boxing.avi": "misnamed",
        "person03_boxing_d1_uncomp.avi": "unlisted",
        "person13_handclapping_d3_uncomp.avi": "unlisted",
        "person01_boxing_d1_uncomp.mp4": "a second file of one clip: person01_boxing_d1_uncomp.avi",
    }
    assert set(reasons) == set(expected)
    told = " ".join(str(warning.message) for warning in caught)
    for file, reason in expected.items():
        assert reason in reasons[file] and file in told and file in str(found)
    cut = [note for note in found.notes if "person02_boxing_d3" in note]
    assert len(cut) == 2 and "21-80" in cut[0] and "cut at frame 30" in cut[0] and "dropped" in cut[1]
    assert all(note in told for note in cut)
    assert found.clips == 5 and found.by_action["boxing"] == 2 and found.by_person == {1: 2, 2: 1, 11: 1, 20: 1}
    with pytest.warns(cache.KTHWarning) as again:  # said again when the cache is read
        windows = built("train", 10).windows
    assert {str(warning.message) for warning in again} == {str(warning.message) for warning in caught}
    assert [start for name, start in windows if name == "person02_boxing_d3"] == [0, 20]


def test_a_truncated_clip_is_never_silent(kth):
    path = kth / "clips" / "boxing" / "person01_boxing_d1_uncomp.avi"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.warns(cache.KTHWarning, match="person01_boxing_d1"):
        built("train")


def test_augmentation_is_a_setting_of_the_training_split(kth, monkeypatch):
    monkeypatch.setattr(dataset, "STRIDE", 1)
    plain = built("train").batch(torch.arange(20))
    source = dataset.build(settings(augment=("flip", "crop")), "train", None, 10)
    indices = torch.arange(20)
    both = source.batch(indices)
    assert both.shape == plain.shape and both.dtype == torch.uint8
    assert torch.equal(both, augment.augmented(plain, indices, flip=0.5, crop=0.2))
    assert torch.equal(source.batch(indices[3:5]), both[3:5])
    assert torch.equal(source.batch(indices, epoch=1), augment.augmented(plain, indices, flip=0.5, crop=0.2, epoch=1))
    assert not torch.equal(both, plain)
    for split, pool in (("validation", None), ("test", "test"), ("test", "train")):  # measured as they are
        augmented = dataset.build(settings(augment=("flip",)), split, pool, 10)
        assert torch.equal(augmented.batch([0]), dataset.build(settings(), split, pool, 10).batch([0]))
    with pytest.raises(ValueError, match="no augmentation blur; known are: flip, crop, reverse"):
        dataset.KTH(cache.load(16), "train", length=10, augment=("flip", "blur"))
    with pytest.raises(ValueError, match="augment the train split only"):
        dataset.KTH(cache.load(16), "test", length=10, augment=("flip",))


def test_the_train_pool_of_the_test_set_is_the_training_windows_shuffled(kth):
    train, pool = built("train"), dataset.build(settings(), "test", "train", 10)
    assert sorted(pool.windows) == sorted(train.windows) and pool.windows != train.windows


def test_the_identity_is_the_list_of_clips(kth, tmp_path, monkeypatch):
    before = {split: built(split).identity for split in ("train", "test")}
    shutil.copytree(kth, tmp_path / "moved" / "kth")
    monkeypatch.setenv("VRNN3D_DATA", str(tmp_path / "moved"))
    assert {split: built(split).identity for split in ("train", "test")} == before and len(set(before.values())) == 2
    shutil.rmtree(tmp_path / "moved" / "kth" / "clips" / "running")
    assert built("train").identity != before["train"] and built("test").identity == before["test"]


def test_frames_need_not_be_square(kth):
    made = dataset.build(settings(size=(12, 20)), "train", None, 10)
    frames = made.batch(torch.arange(len(made)))
    assert frames.shape == (len(made), 10, 1, 12, 20) and "12 x 20" in made.description
    square = built("train").batch(torch.arange(len(made)))
    assert (frames.float().mean((2, 3, 4)) - square.float().mean((2, 3, 4))).abs().max() <= 1
