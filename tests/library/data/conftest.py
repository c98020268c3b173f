"""Fixtures that several test files of the data sets use."""

from __future__ import annotations

import shutil

import pytest
from kth_clips import FRAMES, write_clip, write_list


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Synthetic KTH clips, written once."""
    folder = tmp_path_factory.mktemp("written") / "kth"
    write_list(folder)
    for name, frames in FRAMES.items():
        write_clip(folder / "clips" / name.split("_")[1] / f"{name}_uncomp.avi", frames)
    return folder


@pytest.fixture
def kth(written, tmp_path, monkeypatch):
    """VRNN3D_DATA/kth of the test's own, an empty cache folder."""
    shutil.copytree(written, tmp_path / "data" / "kth")
    monkeypatch.setenv("VRNN3D_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "data" / "kth"
