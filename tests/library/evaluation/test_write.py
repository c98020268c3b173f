"""What a predicted video is written as: whole or not at all."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from PIL import Image

from vrnn3d.evaluation import write as module
from vrnn3d.evaluation.predict import Continued
from vrnn3d.evaluation.write import write


def continued(frames: int = 3) -> Continued:
    generator = torch.Generator().manual_seed(0)
    videos = [torch.rand(count, 1, 8, 8, generator=generator) for count in (2, frames, frames)]
    return Continued(videos[0], torch.stack(videos[1:]), videos[1], 8.0, True)


def test_a_folder_holds_the_pictures_of_each_row(tmp_path):
    made = continued()
    written = write(made, tmp_path / "new" / "pictures")
    folders = ("mean", "sample_1", "sample_2", "truth")
    assert written == [tmp_path / "new" / "pictures" / row / f"{i:04d}.png" for row in folders for i in range(1, 6)]
    with Image.open(written[-1]) as picture:
        assert np.array_equal(np.asarray(picture), (made.truth[-1, 0] * 255).round().byte().numpy())
    assert os.listdir(tmp_path / "new") == ["pictures"]


def test_nothing_of_a_longer_prediction_stays_and_other_files_do(tmp_path):
    for frames in (4, 2):
        write(continued(frames), tmp_path / "pictures")
        (tmp_path / "pictures" / "mean" / "note.txt").write_text("mine")
    assert sorted(os.listdir(tmp_path / "pictures" / "mean")) == ["0001.png", "0002.png", "0003.png", "0004.png", "note.txt"]
    assert os.listdir(tmp_path) == ["pictures"]


@pytest.mark.parametrize("name", ["pictures", "x.npz", "x.npy", "x.webp"])
def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch, name):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_pictures", stop)
    for library, function in ((np, "save"), (np, "savez_compressed"), (os, "replace")):
        monkeypatch.setattr(library, function, stop)
    with pytest.raises(KeyboardInterrupt):
        write(continued(), tmp_path / name)
    assert os.listdir(tmp_path) == []
