"""The catalogue: what is compared differs in one thing, and every row can be trained."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vrnn3d import config, losses
from vrnn3d.models import REGISTRY, arguments, vrnn
from vrnn3d.study import catalogue
from vrnn3d.study.catalogue import EXPERIMENTS, names
from vrnn3d.study.profiles import get
from vrnn3d.study.profiles import names as names_at
from vrnn3d.training.loop import train


def test_paper_settings_are_the_paper_s():
    e = EXPERIMENTS["vrnn3d_kl_ll"]
    assert (e.train.lr, e.train.optimiser, e.loss.variant, e.loss.l1, e.loss.l2) == (1e-3, "adam", "kl_ll", 1, 1)
    assert e.data.sequences == (10_000, 1_000, 1_000) and e.eval.samples == 50
    assert e.eval.protocols == ((5, 10), (5, 15), (10, 10), (10, 20)) and e.train.context == (5, 10)
    assert not e.model.options, "the paper's model at full size"
    assert EXPERIMENTS["batch_6"].train.batch == 6


def differing(one: str, other: str) -> set[str]:
    """The groups of settings, or other parts, in which two rows differ; names and titles left out."""
    a, b = (config.to_dict(EXPERIMENTS[name]) for name in (one, other))
    return {part for part in a if a[part] != b[part]} - {"name", "title", "group"}


@pytest.mark.parametrize(
    "one, other, part",
    [
        ("vrnn3d_kl_ll", "vrnn3d_kl", {"loss"}),
        ("vrnn3d_kl", "convlstm3d", {"model", "loss"}),  # a model without a latent does not use the latent loss
        ("vrnn3d_kl_ll", "speed_fixed", {"data"}),
        ("vrnn3d_kl_ll", "context_10", {"train"}),
        ("loss_kl_pq_z_p", "loss_kl_pq_z_q", {"model"}),
        ("loss_kl_pq_z_p", "loss_kl_ll_z_p", {"loss"}),
        ("kth_vrnn3d_kl", "kth_vrnn3d_kl_augmented", {"data"}),
        ("chance_kl_pq_z_p", "vrnn3d_kl", {"data"}),
        ("chance_kl_pq_z_p", "chance_kl_ll_z_p", {"loss"}),
        ("chance_kl_ll_z_p", "chance_kl_ll_z_q", {"model"}),
        ("chance_kl_pq_z_p", "chance_no_latent", {"model"}),
    ],
)
def test_experiments_that_are_compared_differ_in_one_thing(one, other, part):
    assert differing(one, other) == part


def test_rows_of_table_3_are_points_of_the_loss_ablation():
    for row, point in (("vrnn3d_kl", "loss_kl_pq_z_p"), ("vrnn3d_kl_ll", "loss_kl_ll_z_p")):
        assert differing(row, point) == set()


def test_every_loss_is_tried_with_either_wiring():
    assert set(names("losses")) == {f"loss_{loss}_{wiring}" for loss in catalogue.LATENT_LOSSES for wiring in catalogue.WIRINGS}
    assert set(catalogue.LATENT_LOSSES) == set(losses.VARIANTS)
    assert catalogue.WIRINGS == vrnn.WIRINGS
    assert {(loss, "z_p") for loss in catalogue.SWEPT_LOSSES} <= {
        (row.loss.variant, row.model.options.get("wiring", "z_p")) for row in EXPERIMENTS.values() if row.group == "sweeps"
    }


def test_names_are_unique_and_say_what_they_are():
    assert all(name == row.name and row.title and row.group and row.profile == "paper" for name, row in EXPERIMENTS.items())
    assert names("table3")[:2] == ["vrnn3d_kl_ll", "vrnn3d_kl"]
    assert names() == list(EXPERIMENTS) and names("table1", "baselines") == names("table1") + names("baselines")
    assert all(row.data.NAME == "kth" for name, row in EXPERIMENTS.items() if name.startswith("kth_"))


def test_every_row_names_a_model_that_takes_its_options_and_a_loss_that_there_is():
    for row in EXPERIMENTS.values():
        assert row.model.name in REGISTRY and set(row.model.options) <= set(arguments(row.model.name)), row.name
        assert row.loss.variant in losses.LATENT_LOSSES, row.name


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in names_at("smoke") if EXPERIMENTS[n].data.NAME == "moving_mnist"])
def test_every_experiment_takes_an_update(tmp_path, name):
    experiment = get(name, "smoke")
    experiment = replace(experiment, train=replace(experiment.train, batch=2, sequences=4, validate_every=0.0, weights="last"))
    done = train(experiment, 0, tmp_path, max_steps=1, progress=False)
    assert done.updates == (1 if done.parameters["total"] else 0)
