"""The README's picture is made by one command, with a model or without."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from lively import lively
from PIL import Image

from vrnn3d import published
from vrnn3d.study import profiles

SCRIPT = Path(__file__).resolve().parents[2] / "book" / "hero.py"


@pytest.fixture
def hero(tmp_path, monkeypatch):
    """The script, which writes into `tmp_path`."""
    spec = importlib.util.spec_from_file_location("hero", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "TARGET", tmp_path / "hero.webp")
    monkeypatch.chdir(tmp_path)
    return module


def test_without_a_model_it_shows_the_data(hero, monkeypatch, capsys):
    monkeypatch.setattr(published, "names", lambda: [])
    hero.main([])
    assert Image.open(hero.TARGET).n_frames == 20 and capsys.readouterr().out.startswith("hero.webp: ")


def test_the_published_model_s_predictions_stand_beside_the_truth(hero, tmp_path, monkeypatch):
    published.publish(
        lively(seed=0).state_dict(), profiles.get("vrnn3d_kl", "half"), published.DEFAULT, {}, "# A card\n", tmp_path
    )
    monkeypatch.setattr(published, "places", lambda: [tmp_path])
    hero.main([])
    assert Image.open(hero.TARGET).n_frames == 20
    shown = list(hero.rows(published.DEFAULT).values())
    assert len(shown) == 4 and all((truth[:10] == made[:10]).all() for truth, made in zip(shown[::2], shown[1::2]))
    assert not (shown[0][10:] == shown[1][10:]).all(), "after the frames given it is a prediction"
