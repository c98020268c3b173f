"""The catalogue, its profiles, its settings, the queue."""

from __future__ import annotations

import pytest

from vrnn3d import config
from vrnn3d.study import catalogue


@pytest.mark.parametrize("profile", catalogue.PROFILES)
def test_every_experiment_survives_json(profile):
    assert catalogue.names(profile)
    for name in catalogue.names(profile):
        experiment = catalogue.get(name, profile)
        assert experiment.name == name and experiment.profile == profile and experiment.title
        assert config.from_dict(config.to_dict(experiment)) == experiment


def test_hash_names_the_settings_but_not_the_title():
    from dataclasses import replace

    experiment = catalogue.get("vrnn3d_kl_ll", "paper")
    assert config.config_hash(replace(experiment, title="other words")) == config.config_hash(experiment)
    changed = config.override(experiment, {"train.lr": 2e-3})
    assert config.config_hash(changed) != config.config_hash(experiment)


def test_paper_settings_are_the_papers():
    e = catalogue.get("vrnn3d_kl_ll", "paper")
    assert (e.train.lr, e.train.lr_decay, e.loss.variant) == (1e-3, "none", "kl_ll")
    assert e.data.sequences == (10_000, 1_000, 1_000) and e.eval.samples == 50
    assert e.eval.protocols == ((5, 10), (5, 15), (10, 10), (10, 20))
    assert not e.model.options, "the paper's model at full size"


def test_experiments_that_are_compared_differ_in_one_thing():
    ours, kl = (config.to_dict(catalogue.get(n, "paper")) for n in ("vrnn3d_kl_ll", "vrnn3d_kl"))
    assert {k for k in ours if ours[k] != kl[k]} == {"name", "title", "loss"}


@pytest.mark.parametrize("which", catalogue.QUEUES)
def test_queues_hold_known_runs_once(which):
    runs = catalogue.queue(which)
    assert len(runs) == len(set(runs))
    for name, profile, _ in runs:
        assert (profile == which) if which in ("small", "tune") else profile in ("ablation", "paper")
        assert name.startswith("kth_") or which != "kth"
        catalogue.get(name, profile)


def test_queues_are_complete():
    """Table 3 first; every loss with either wiring has three seeds, at full size and small."""
    assert [r[0] for r in catalogue.queue()[:5]] == ["vrnn3d_kl_ll", "vrnn3d_kl", "convlstm2d", "vrnn2d", "beyond"]
    for which, profile in (("full", "ablation"), ("small", "small")):
        runs = catalogue.queue(which)
        for variant in catalogue.LATENT_LOSSES:
            for wiring in ("z_p", "z_q"):
                assert {(f"loss_{variant}_{wiring}", profile, seed) for seed in range(3)} <= set(runs)
    with pytest.raises(ValueError, match="there are: full, small, tune, kth"):
        catalogue.queue("huge")


def test_small_rows_of_table_3_are_runs_of_the_loss_grid():
    """The small queue leaves them out, because they would be the same computation again."""
    for row, same in (("vrnn3d_kl", "loss_kl_pq_z_p"), ("vrnn3d_kl_ll", "loss_kl_ll_z_p")):
        a, b = catalogue.get(row, "small"), catalogue.get(same, "small")
        options = {"wiring": "z_p", **a.model.options}
        assert (a.data, a.loss, a.train, a.eval, options) == (b.data, b.loss, b.train, b.eval, b.model.options)


def test_override_names_what_exists():
    experiment = catalogue.get("vrnn3d_kl_ll", "smoke")
    assert config.override(experiment, {"model.options.hidden": 4}).model.options["hidden"] == 4
    with pytest.raises(ValueError, match="no setting 'train.speed'.*train.lr"):
        config.override(experiment, {"train.speed": 1})
    with pytest.raises(ValueError, match="there are: vrnn3d_kl_ll"):
        catalogue.get("vrnn4d")
    with pytest.raises(ValueError, match="smoke, small, tune, ablation, paper"):
        catalogue.get("vrnn3d_kl", "huge")
