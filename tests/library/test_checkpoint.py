"""Published weights: parts, the card beside them, and what is left behind when something fails."""

from __future__ import annotations

import pytest
import torch

from vrnn3d import checkpoint, config
from vrnn3d.study import catalogue


def record(name="vrnn3d_kl_ll", profile="paper", **changes) -> dict:
    """A record as far as a model card shows it."""
    experiment = catalogue.get(name, profile)
    score = {"average": 45.678, "interval": [44.0, 47.25], "mean_frame": 40.125, "best": 39.0}
    entry = {"sequences": 1000, "samples": 50, "mse": score, "ssim": {"average": 0.8764}, "psnr": {"average": 20.5}}
    return {
        "experiment": name,
        "profile": profile,
        "seed": 2,
        "title": experiment.title,
        "status": "finished",
        "config": config.to_dict(experiment),
        "config_hash": "0123456789ab",
        "code": {"commit": "f" * 40, "dirty": True},
        "machine": {"device": "a device"},
        "versions": {"torch": "9.9"},
        "date": "2031-02-03",
        "parameters": {"total": 12_942_625, "prior": 5},
        "training": {"sequences": 600_000, "steps": 9_375, "seconds": 630.0, "precision": "bfloat16"},
        "data": {"description": "Moving MNIST: two digits"},
        "evaluation": {"test": {"10->10": entry}},
        **changes,
    }


def test_a_model_card_says_what_the_record_says():
    card = checkpoint.model_card("mine", record())
    for words in (
        "# 3D VRNN, KL-LL",
        "experiment `vrnn3d_kl_ll`, profile `paper`, seed 2",
        "not the weights of the paper's authors",
        "12,942,625",
        "Moving MNIST: two digits",
        "600,000 sequences in 9,375 steps of 64, Adam at 0.001",
        "10.5 minutes, bfloat16",
        "a device; PyTorch 9.9",
        "f" * 40 + " (modified)",
        "0123456789ab",
        "2031-02-03",
        "| test | 10->10 | 1,000 | 50 | 45.68 [44.00, 47.25] | 40.12 | 0.876 | 20.50 |",
        'vrnn3d.load("mine")',
        "torch.rand(1, 10, 1, 64, 64)",
        "64 x 64 pixels, with 5 or 10 frames of context",
        "Grey frames",
        "MIT",
    ):
        assert words in card, words
    assert "cut" not in card and "do not compare" not in card


def test_a_model_card_hides_no_weakness():
    short = checkpoint.model_card("m", record(profile="smoke", status="cut", evaluation={}))
    assert "**cut**" in short and "not evaluated" in short and "do not compare with any published ones" in short
    plain = checkpoint.model_card("m", record("convlstm2d", parameters={"total": 7}))
    assert "kl_" not in plain, "a deterministic model has no latent loss"


def test_a_card_is_written_whole_or_not_at_all(tmp_path):
    path = checkpoint.publish_card(record(), tmp_path / "mine")
    before = path.read_text(encoding="utf-8")
    assert path.name == "README.md" and "--model mine" in before
    broken = record()
    del broken["machine"]
    with pytest.raises(KeyError):
        checkpoint.publish_card(broken, tmp_path / "mine")
    assert path.read_text(encoding="utf-8") == before
    assert [p.name for p in path.parent.iterdir()] == ["README.md"]


def test_publishing_again_leaves_no_parts_of_a_larger_model(tmp_path, monkeypatch):
    experiment = catalogue.get("vrnn3d_kl_ll", "smoke")
    torch.manual_seed(0)
    model = checkpoint.model_of(experiment)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "PART_BYTES", 20_000)
        assert len(checkpoint.publish(model, experiment, tmp_path / "m", {})) > 2
    checkpoint.publish(model, experiment, tmp_path / "m", {})
    assert [p.name for p in (tmp_path / "m").glob("*.safetensors")] == ["model-00001-of-00001.safetensors"]
    again, _ = checkpoint.load_published("m", root=tmp_path)
    assert again.state_dict().keys() == model.state_dict().keys()
