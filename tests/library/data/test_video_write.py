"""Animations that are written come back as they were."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from PIL import Image
from videos import clip, close

from vrnn3d.data.video import read_video, write_webp


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
