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
def clone(tmp_path_factory):
    """What a wheel is built from, with published weights that are called as the package is."""
    clone = tmp_path_factory.mktemp("wheel") / "clone"
    for name in SOURCES:
        path = ROOT / name
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(path, clone / name, ignore=ignore) if path.is_dir() else shutil.copy(path, clone)
    experiment = tiny()
    published.publish(model_of(experiment).state_dict(), experiment, "vrnn3d", {}, "# A card\n", clone / "weights")
    (clone / "weights" / ".vrnn3d.before").mkdir()  # left by an interrupted publication
    return clone


@pytest.fixture(scope="module")
def wheel(clone):
    """A wheel built from it."""
    if not _knows_setuptools():
        pytest.skip("setuptools 77 or newer is not installed")
    root = clone.parent
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


def continued(package: Path, here: Path) -> None:
    """Predict a clip in the folder `here` with the package in another, and nothing but its own weights."""
    np.save(here / "clip.npy", np.zeros((12, 16, 16), np.uint8))
    environment = {**os.environ, "PYTHONPATH": str(package)}
    command = [sys.executable, "-m", "vrnn3d", "predict", "clip.npy"]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "10 predicted, 16 x 16, grey; vrnn3d: A tiny experiment" in done.stdout
    assert (here / "prediction.webp").is_file()


@pytest.mark.slow
def test_a_clip_is_continued_out_of_the_box_where_it_is_installed(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "here").mkdir()
    continued(tmp_path / "site", tmp_path / "here")


@pytest.mark.slow
def test_a_clip_is_continued_from_a_clone_and_in_its_root(clone, tmp_path):
    """There a folder of the weights' name lies in the way: the package."""
    continued(clone, tmp_path)
    continued(clone, clone)
    code = "import vrnn3d; print(vrnn3d.load('vrnn3d').window)"
    environment = {**os.environ, "PYTHONPATH": str(clone)}
    done = subprocess.run([sys.executable, "-c", code], cwd=clone, env=environment, capture_output=True, text=True)
    assert done.stdout == "2\n", done.stderr
