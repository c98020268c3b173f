"""Profiles: what each changes, in which order, and that the narrow networks of the half scale cost alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vrnn3d import checkpoint, config
from vrnn3d.config import config_hash, override
from vrnn3d.rollout import rollout
from vrnn3d.study import profiles
from vrnn3d.study.catalogue import EXPERIMENTS, IDEAS, RECIPE, RIVAL, TRIALS, trial_name
from vrnn3d.study.profiles import PROFILES, Profile, customised, get, names

pytestmark = pytest.mark.slow  # counts operations of every network


@pytest.mark.parametrize("profile", PROFILES)
def test_every_experiment_comes_back_from_json(profile):
    assert names(profile)
    for name in names(profile):
        experiment = get(name, profile)
        assert experiment.name == name and experiment.profile == profile and experiment.title
        assert config.from_dict(config.to_dict(experiment)) == experiment


@pytest.mark.parametrize("profile", PROFILES)
def test_every_model_of_a_profile_can_be_built(profile):
    for name in names(profile):
        with torch.device("meta"):
            checkpoint.model_of(get(name, profile))


def test_the_paper_profile_is_the_catalogue():
    assert all(get(name, "paper") == EXPERIMENTS[name] for name in names("paper"))


def test_what_is_more_particular_takes_precedence(monkeypatch):
    profile = Profile(
        "for a test", "a test",
        everything={"train.batch": 1, "train.lr": 1.0, "train.clip": 1.5, "loss.beta": 1.5, "eval.samples": 1},
        by_data={"moving_mnist": {"train.batch": 2}},
        by_model={"vrnn3d": {"train.lr": 2.0, "model.options": {"hidden": 4, "wiring": "z_p"}}},
        by_group={"losses": {"train.clip": 2.5}},
        by_experiment={"loss_kl_pq_z_q": {"loss.beta": 2.5}},
    )  # fmt: skip
    monkeypatch.setitem(PROFILES, "made", profile)
    found = get("loss_kl_pq_z_q", "made")
    assert (found.train.batch, found.train.lr, found.train.clip, found.loss.beta, found.eval.samples) == (2, 2.0, 2.5, 2.5, 1)
    assert found.model.options == {"hidden": 4, "wiring": "z_q"}, "an experiment's own options stay"
    assert get("convlstm2d", "made").train.lr == 1.0


def test_unknown_names_are_told_with_those_there_are():
    with pytest.raises(ValueError, match="no experiment 'vrnn4d'; there are: vrnn3d_kl_ll, vrnn3d_kl"):
        get("vrnn4d")
    with pytest.raises(ValueError, match="no experiment 'tune_l2' at profile 'smoke'; there are: "):
        get("tune_l2", "smoke")
    with pytest.raises(ValueError, match=f"no profile 'huge'; there are: {', '.join(PROFILES)}"):
        get("vrnn3d_kl", "huge")


def test_trials_of_the_recipe_change_what_their_title_says():
    recipe = get(trial_name("the recipe"), "half_short")
    for title, changes in {**RECIPE, **IDEAS}.items():
        found = get(trial_name(title), "half_short")
        assert found.title == title and config_hash(found) == config_hash(override(recipe, changes))
    rival = get(trial_name("PredRNN++"), "half_short")
    assert rival.model == get("predrnnpp", "half").model
    for title, changes in RIVAL.items():
        assert config_hash(get(trial_name(title), "half_short")) == config_hash(override(rival, changes))
    hashes = [config_hash(get(trial_name(title), "half_short")) for title in TRIALS]
    assert len(set(hashes)) == len(hashes), "two trials are the same computation"


def test_a_user_s_own_settings_get_a_name_of_their_own():
    row = get("vrnn3d_kl", "smoke")
    changed = customised(row, {"train.lr": 0.5})
    assert changed.name == f"vrnn3d_kl+{config_hash(changed)[:8]}" and changed.group == "own"
    assert changed.title == f"{row.title}, train.lr = 0.5"
    assert customised(row, {"train.lr": row.train.lr}) == row, "what changes nothing is no change"
    other = customised(row, {"model.name": "predrnnpp", "model.window": 1, "model.horizon": 1})
    assert row.model.options and not other.model.options, "the options of one model mean nothing to another"
    assert customised(other, {"model.name": "predrnnpp", "model.options.patch": 2}).model.options == {"patch": 2}
    assert customised(row, {"eval.batch": 3}).name == row.name, "what changes no result neither"


def test_own_clips_name_their_run_by_what_they_hold(tmp_path):
    """A copy of a folder is the same run, other clips are another one; where they lie is in no title."""
    row = get("vrnn3d_kl", "smoke")
    frames = np.random.default_rng(0).integers(0, 256, (2, 24, 32, 32), np.uint8)
    for folder, clip in (("here", frames[0]), ("moved", frames[0]), ("others", frames[1])):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "clip.npy", clip)
    here, moved, others = (
        customised(row, {"data.name": "video", "data.path": str(tmp_path / folder)}) for folder in ("here", "moved", "others")
    )
    assert here.name == moved.name != row.name and here.name != others.name and here.title == row.title
    assert config_hash(here) == config_hash(others), "the settings are the same, the data are not"


# --- the cost of the half scale ---------------------------------------------------------------------------------------


def gigaflops(experiment: config.Experiment) -> float:
    """Of a forward pass over eight frames after four given ones: in the same proportion as a training sequence."""
    frames = torch.zeros(1, 8, 1, *experiment.data.height_width, device="meta")
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model = checkpoint.model_of(experiment)
        rollout(model, frames, 4, 8, posterior=model.stochastic)
    return counter.get_total_flops() / 1e9


@pytest.mark.parametrize(
    "name",
    [
        "vrnn3d_kl",
        "vrnn2d",
        "convlstm2d",
        "convlstm3d",
        "predrnnpp",
        "e3d_lstm",
        pytest.param("improved_vrnn", marks=pytest.mark.slow),
    ],
)
def test_half_scale_costs_a_hundred_and_fiftieth_of_full_size(name):
    """As nearly as whole channels allow: so no system of a table gets more computation than another one."""
    assert 130 < gigaflops(get(name, "paper")) / gigaflops(get(name, "half")) < 175


def test_half_scale_halves_every_length():
    full, half = (get("vrnn3d_kl", profile).data for profile in ("paper", "half"))
    assert (half.size, half.digit_size) == (full.size / 2, full.digit_size / 2)
    assert half.speed_range == tuple(speed / 2 for speed in full.speed_range)
    changed = {"size": full.size, "digit_size": full.digit_size, "speed_range": full.speed_range}
    assert replace(half, **changed) == full


def test_only_profiles_at_full_size_compare_with_the_paper():
    comparable = [name for name, profile in PROFILES.items() if profile.comparable]
    assert comparable == ["ablation", "paper"]
    for name in comparable:
        assert all(get(row, name).model == EXPERIMENTS[row].model for row in names(name))


def test_every_profile_is_described():
    assert all(profile.summary and profile.scale for profile in profiles.PROFILES.values())
