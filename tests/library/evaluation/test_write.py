"""A continued video is written as what its name says."""

from __future__ import annotations

import os
from dataclasses import replace

import av
import numpy as np
import pytest
import torch
from PIL import Image

from vrnn3d.evaluation import write as module
from vrnn3d.evaluation.predict import Continued
from vrnn3d.evaluation.write import check_name, write


def continued(channels: int = 1, rate: float = 20.0) -> Continued:
    """Two frames given, three predicted by two samples, of which the truth of two is known."""
    torch.manual_seed(0)
    parts = (torch.rand(2, channels, 8, 12), torch.rand(2, 3, channels, 8, 12), torch.rand(2, channels, 8, 12))
    return Continued(*parts, rate, stochastic=True)


@pytest.mark.parametrize("name", ["a.webp", "a.gif", "A.WEBP"])
def test_an_animation_keeps_the_rate_of_the_clip(tmp_path, name):
    (path,) = write(continued(), tmp_path / name)
    with Image.open(path) as image:
        image.load()
        assert image.n_frames == 5 and image.info["duration"] == 50
        assert image.width > 4 * 12, "truth, mean and two samples side by side"


@pytest.mark.parametrize("rate", [25.0, 30000 / 1001])
def test_a_video_keeps_the_rate_of_the_clip(tmp_path, rate):
    (path,) = write(continued(rate=rate), tmp_path / "a.mp4")
    with av.open(str(path)) as container:
        assert float(container.streams.video[0].average_rate) == pytest.approx(rate, rel=1e-3)
        assert sum(1 for _ in container.decode(video=0)) == 5


def test_apart_each_row_has_a_file(tmp_path):
    written = write(continued(), tmp_path / "a.gif", apart=True)
    assert [path.name for path in written] == ["a-truth.gif", "a-mean.gif", "a-sample_1.gif", "a-sample_2.gif"]


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_hold_the_numbers(tmp_path, channels):
    found = continued(channels)
    np.testing.assert_array_equal(np.load(write(found, tmp_path / "a.npy")[0]), found.samples)
    with np.load(write(found, tmp_path / "a.npz")[0]) as arrays:
        assert set(arrays) == {"samples", "given", "truth", "rate"} and arrays["rate"] == 20
        for name in ("samples", "given", "truth"):
            np.testing.assert_array_equal(arrays[name], getattr(found, name))


@pytest.mark.parametrize("channels", [1, 3])
def test_without_a_suffix_pictures_are_written(tmp_path, channels):
    found = continued(channels)
    written = write(found, tmp_path / "frames")
    assert len(written) == 4 * 5 and {path.parent.name for path in written} == {"truth", "mean", "sample_1", "sample_2"}
    with Image.open(tmp_path / "frames" / "sample_2" / "0003.png") as image:
        expected = (found.samples[1, 0] * 255).round().byte().permute(1, 2, 0).squeeze(-1)
        np.testing.assert_array_equal(np.asarray(image), expected)


@pytest.mark.parametrize("name", ["a.avi", "a.txt", "a.webm"])
def test_another_suffix_is_told_before_anything_is_predicted(name):
    with pytest.raises(ValueError, match="known are .webp .gif .mp4 .npy .npz, and a name without a suffix: a folder"):
        check_name(name)


def test_nothing_of_a_longer_prediction_stays_and_other_files_do(tmp_path):
    found = continued()
    write(replace(found, samples=torch.rand(2, 5, 1, 8, 12)), tmp_path / "frames")
    (tmp_path / "frames" / "mean" / "note.txt").write_text("mine")
    write(found, tmp_path / "frames")
    assert sorted(os.listdir(tmp_path / "frames" / "mean")) == [*(f"000{i}.png" for i in range(1, 6)), "note.txt"]
    assert os.listdir(tmp_path) == ["frames"]


def test_nothing_of_a_prediction_with_more_samples_stays_and_other_files_do(tmp_path):
    found, path = continued(), tmp_path / "frames"
    write(replace(found, samples=torch.rand(4, 3, 1, 8, 12)), path)
    for own in ("sample_3/note.txt", "mine/0001.png", "sample_3b/0001.png"):
        (path / own).parent.mkdir(exist_ok=True)
        (path / own).write_text("mine")
    write(found, path)
    assert sorted(os.listdir(path)) == ["mean", "mine", "sample_1", "sample_2", "sample_3", "sample_3b", "truth"]
    assert os.listdir(path / "sample_3") == ["note.txt"] and os.listdir(path / "mine") == ["0001.png"]
    write(replace(found, stochastic=False), path)
    assert sorted(os.listdir(path)) == ["mine", "prediction", "sample_3", "sample_3b", "truth"]


@pytest.mark.parametrize("name", ["frames", "a.npz", "a.npy", "a.webp"])
def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch, name):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_pictures", stop)
    for library, function in ((np, "save"), (np, "savez_compressed"), (os, "replace")):
        monkeypatch.setattr(library, function, stop)
    with pytest.raises(KeyboardInterrupt):
        write(continued(), tmp_path / name)
    assert os.listdir(tmp_path) == []
