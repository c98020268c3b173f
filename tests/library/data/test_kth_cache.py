"""KTH: clips are decoded once, resized by area, kept by their intervals; a damaged cache is named and made anew."""

from __future__ import annotations

import os
import shutil
import stat
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from kth_clips import LISTING, REAL, real, settings, write_clip, write_list

from vrnn3d.data.kth import cache, clips, dataset, decode
from vrnn3d.data.kth.report import prepare_kth
from vrnn3d.data.video import read_video

pytestmark = pytest.mark.slow  # decodes clips


def built(split, length=10):
    return dataset.build(settings(), split, None, length)


def test_decoded_once_and_the_data_folder_stays_as_it_is(kth, monkeypatch):
    def everything():
        return {path: path.stat().st_mtime_ns for path in kth.rglob("*")}

    before = everything()
    first = prepare_kth(16, progress=False, download=False)
    frames = np.load(first.cache, mmap_mode="r")
    assert frames.shape == (first.frames, 16, 16) and frames.dtype == np.uint8
    assert first.frames == 95 + 26 + 21 + 48 + 60  # the shared frames of overlapping intervals once, the rest not
    assert stat.S_IMODE(first.cache.stat().st_mode) == 0o644
    assert {path.suffix for path in first.cache.parent.iterdir()} == {".npy", ".json"}

    def never(*_):
        raise AssertionError("decoded a second time")

    for path in kth.rglob("*.avi"):
        os.utime(path, (0, 0))  # a copy with other times is the same data
    monkeypatch.setattr(decode, "read_video", never)
    assert prepare_kth(16, progress=False, download=False).cache == first.cache
    monkeypatch.undo()
    assert set(everything()) == set(before)


def test_the_cache_follows_size_files_and_list(kth, monkeypatch):
    def path(size=16):
        return prepare_kth(size, progress=False, download=False).cache

    paths = [path(), path(8)]
    write_list(kth, LISTING | {"person20_walking_d4": "1-30"})
    paths.append(path())
    shutil.rmtree(kth / "clips" / "boxing")
    paths.append(path())
    write_clip(kth / "clips" / "running" / "person01_running_d2_uncomp.avi", 60, base=90)
    paths.append(path())
    assert len(set(paths)) == 5


DAMAGES = {
    "half a file": ("npy", lambda content: content[: len(content) // 2]),
    "an empty file": ("npy", lambda content: b""),
    "other frames": ("npy", lambda content: content.replace(b"(250, 16, 16)", b"(125, 32, 16)")),
    "half an index": ("json", lambda content: content[:20]),
    "an empty index": ("json", lambda content: b""),
    "a list": ("json", lambda content: b"[]"),
    "a number": ("json", lambda content: b"3"),
    "no clips": ("json", lambda content: content.replace(b'"clips"', b'"klips"')),
    "another clip": ("json", lambda content: content.replace(b'"person": 1', b'"persona": 1')),
    "intervals beyond the end": ("json", lambda content: content.replace(b"[[0, 45, 0]", b"[[0, 45, 220]")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_named_and_made_anew(kth, damage):
    path = prepare_kth(16, progress=False, download=False).cache
    good = {suffix: path.with_suffix(f".{suffix}").read_bytes() for suffix in ("npy", "json")}
    suffix, change = DAMAGES[damage]
    damaged = path.with_suffix(f".{suffix}")
    damaged.write_bytes(change(good[suffix]))
    assert damaged.read_bytes() != good[suffix]
    with pytest.warns(cache.KTHWarning, match="is damaged: the clips are decoded again") as caught:
        assert prepare_kth(16, progress=False, download=False).cache == path
    if damage != "intervals beyond the end":  # there the frames are named: either file may be the wrong one
        assert str(damaged) in str(caught[0].message)
    assert {suffix: path.with_suffix(f".{suffix}").read_bytes() for suffix in good} == good


def test_a_decoding_that_never_came_to_its_index_is_done_again(kth):
    path = prepare_kth(16, progress=False, download=False).cache
    path.with_suffix(".json").unlink()
    path.write_bytes(b"")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert prepare_kth(16, progress=False, download=False).frames == 250


def test_the_next_writer_sweeps_what_a_killed_one_left(kth):
    path = prepare_kth(16, progress=False, download=False).cache
    left = path.with_name(".kth-16-0123456789abcdef.k1ll3d")
    left.touch()
    os.utime(left, (0, 0))
    prepare_kth(8, progress=False, download=False)
    assert not left.exists() and path.exists()


def test_an_interrupted_decoding_leaves_nothing(kth, monkeypatch):
    calls = []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return read_video(*args)

    monkeypatch.setattr(decode, "read_video", interrupted)
    with pytest.raises(KeyboardInterrupt):
        built("train")
    assert list((Path(os.environ["XDG_CACHE_HOME"]) / "vrnn3d" / "kth-decoded").iterdir()) == []


def test_sides_that_shrink_are_resized_by_area():
    video = torch.rand(3, 1, 12, 16)
    assert torch.allclose(decode.resize(video, 4), F.avg_pool2d(video, (3, 4)), atol=1e-6)
    # 12 to 8: a new pixel covers one and a half old ones
    row = torch.tensor([0.0, 0.3, 0.6, 0.9, 0.2, 0.1] * 2)
    shrunk = decode.resize(row.expand(1, 1, 8, 12), 8)[0, 0, 0]
    expected = [(row[0] + row[1] / 2) / 1.5, (row[1] / 2 + row[2]) / 1.5]
    assert torch.allclose(shrunk[:2], torch.stack(expected), atol=1e-6)
    assert torch.allclose(decode.resize(video, 7).mean((-2, -1)), video.mean((-2, -1)), atol=1e-6)
    # 120 x 160 to 128 x 128: the height grows; a slope stays a slope
    slope = torch.linspace(0, 1, 120)[:, None].expand(1, 1, 120, 160)
    grown = decode.resize(slope, 128)
    assert grown.shape == (1, 1, 128, 128) and bool((grown.diff(dim=-2) >= 0).all())
    assert torch.allclose(grown[..., 4:-4, :].diff(dim=-2), torch.tensor(1 / 119 * 120 / 128), atol=1e-5)
    assert torch.equal(decode.resize(video[..., :12], 12), video[..., :12])


def test_every_kept_frame_is_where_its_interval_says():
    generator = np.random.default_rng(0)
    for _ in range(200):
        count = int(generator.integers(5, 60))
        starts = np.sort(generator.integers(0, count, 4))
        listed = [(int(start), int(start + generator.integers(1, 25))) for start in starts]
        kept, intervals, notes = decode.cut_intervals("clip", listed, count, 1000)
        assert len(notes) == sum(stop > count for _, stop in listed)
        for (first, last), interval in zip(listed, intervals, strict=True):
            assert (interval.start, interval.stop) == (first, min(last, count))
            at = interval.offset - 1000
            assert kept[at : at + interval.stop - interval.start].tolist() == list(range(interval.start, interval.stop))


@real
def test_a_real_clip(tmp_path, monkeypatch):
    source = sorted(REAL.rglob("person*_boxing_d*_uncomp.avi"))[0]
    folder = tmp_path / "data" / "kth"
    folder.mkdir(parents=True)
    shutil.copy(source, folder)
    shutil.copy(REAL / clips.LIST, folder)
    monkeypatch.setenv("VRNN3D_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a whole clip needs no warning
        found = prepare_kth(32, progress=False, download=False)
        loaded = cache.load(32, progress=False)
    name = source.stem.removesuffix("_uncomp")
    listed = clips.read_sequences(REAL / clips.LIST).intervals[name]
    (clip,) = loaded.clips
    assert found.clips == 1 and str(found).startswith("KTH, 1-clip subset")
    assert clip.name == name and clip.frames >= listed[-1][1]
    assert [(interval.start, interval.stop) for interval in clip.intervals] == list(listed)
    whole = read_video(source, max_frames=listed[0][1])
    assert whole.shape[1:] == (1, 120, 160)
    frames = (decode.resize(whole, 32)[:, 0] * 255).round().byte()
    first = clip.intervals[0]
    assert np.array_equal(loaded.frames[first.offset : first.offset + len(frames)], frames.numpy())
    assert frames.float().std() > 10 and (frames[:-1] != frames[1:]).any()
