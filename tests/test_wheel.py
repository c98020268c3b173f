"""The wheel: published weights of a clone go into it, and are found where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from test_packaging import ROOT, _knows_setuptools

from trials import tiny
from vrnn3d import published
from vrnn3d.checkpoint import model_of

#: What a wheel is built from.
SOURCES = ("vrnn3d", "pyproject.toml", "setup.py", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The files of a wheel built from a clone that has published weights."""
    if not _knows_setuptools():
        pytest.skip("setuptools 77 or newer is not installed")
    root = tmp_path_factory.mktemp("wheel")
    clone = root / "clone"
    for name in SOURCES:
        path = ROOT / name
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(path, clone / name, ignore=ignore) if path.is_dir() else shutil.copy(path, clone)
    experiment = tiny()
    published.publish(model_of(experiment).state_dict(), experiment, "vrnn3d", {}, "# A card\n", clone / "weights")
    (clone / "weights" / ".vrnn3d.before").mkdir()  # left by an interrupted publication
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--quiet", "-w", str(root)]
    subprocess.run(command, cwd=clone, check=True, capture_output=True, text=True)
    (built,) = root.glob("*.whl")
    return built


@pytest.mark.slow
def test_it_holds_weights_excerpt_and_nothing_of_the_tests(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for file in (published.WEIGHTS, published.CONFIG, published.CARD):
        assert f"vrnn3d/weights/vrnn3d/{file}" in names
    assert {"vrnn3d/py.typed", "vrnn3d/data/excerpt/ATTRIBUTION.md", "vrnn3d/cli/__init__.py"} <= names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"vrnn3d"}
    assert not [name for name in names if ".before" in name]


@pytest.mark.slow
def test_a_clip_is_continued_out_of_the_box_where_it_is_installed(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "here").mkdir()
    np.save(tmp_path / "here" / "clip.npy", np.zeros((12, 16, 16), np.uint8))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-m", "vrnn3d", "predict", "clip.npy"]
    done = subprocess.run(command, cwd=tmp_path / "here", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "10 predicted, 16 x 16, grey; vrnn3d: A tiny experiment" in done.stdout
    assert (tmp_path / "here" / "prediction.webp").is_file() and Path(ROOT) not in tmp_path.parents
