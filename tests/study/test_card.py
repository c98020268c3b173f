"""The card of published weights says what the record says, weaknesses too."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from study.made import record

from vrnn3d.config import config_hash
from vrnn3d.study.card import model_card
from vrnn3d.study.provenance import Code


def made(**changes):
    found = record(mse=40.0, seed=2, description="Moving MNIST: two digits")
    return replace(
        found,
        parameters={"total": 12_942_625, "prior": 5},
        training=replace(found.training, sequences=600_000, updates=37_500, seconds=630.0, precision="bfloat16"),
        provenance=replace(found.provenance, code=Code("f" * 40, True), date="2031-02-03"),
        **changes,
    )


def test_a_card_says_what_the_record_says():
    entry = made().measured("test", "10->10")
    mse = entry.scores["mse"]
    card = model_card("mine", made())
    for words in (
        "# 3D VRNN, KL-LL",
        "experiment `vrnn3d_kl_ll`, profile `paper`, seed 2",
        "not the weights of the paper's authors",
        "12,942,625",
        "Moving MNIST: two digits",
        "600,000 sequences in 37,500 updates of 16; Adam, learning rate 0.001",
        "kl_ll, weight 1; L1 weight 1, L2 weight 1",
        "10.5 minutes, bfloat16",
        "CPU (test); PyTorch 2.6",
        "f" * 40 + " (modified)",
        made().config_hash,
        "2031-02-03",
        f"| test | 10->10 | 30 | 3 | {mse.average:.2f} [{mse.interval[0]:.2f}, {mse.interval[1]:.2f}] |",
        f"{100 * mse.average / 200:.0f}%",
        'vrnn3d.load("mine")',
        "vrnn3d predict my_clip.mp4 --model mine",
        "torch.rand(1, 10, 1, 64, 64)",
        "64 x 64 pixels, with 5 or 10 frames of context",
        "Grey frames",
        "MIT",
    ):
        assert words in card, words
    assert "cut" not in card and "do not compare" not in card


def test_a_card_says_whose_weights_they_are():
    assert "that this repository's study trained from scratch" in model_card("mine", made())
    assert "that a user of vrnn3d trained from scratch" in model_card("mine", made(group="own"))


def test_a_card_names_the_optimiser_and_what_the_training_started_from():
    assert "started from" not in model_card("mine", made())
    config = replace(made().config, train=replace(made().config.train, optimiser="muon", start="beyond"))
    card = model_card("mine", made(config=config, config_hash=config_hash(config)))
    assert "from scratch" not in card
    assert "updates of 16; Muon for inner convolutions, Adam for the rest, learning rate 0.001" in card
    assert "| started from | `beyond` |" in card


def test_a_hub_can_read_its_head():
    head = yaml.safe_load(model_card("mine", made()).split("---")[1])
    assert head["license"] == "mit" and "moving-mnist" in head["tags"]


@pytest.mark.parametrize("profile", ["smoke", "half", "own"])
def test_a_card_hides_no_weakness(profile):
    found = record(profile=profile, status="cut", evaluation={})
    card = model_card("m", found)
    assert "**cut** before its end" in card and "not evaluated" in card
    assert f"A run of the `{profile}` profile: its scores do not compare with any published ones" in card


def test_a_deterministic_model_has_no_latent_loss():
    assert "kl_" not in model_card("m", replace(record("convlstm2d"), parameters={"total": 7}))
