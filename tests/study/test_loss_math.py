"""Closed forms of what the losses ask for, against numerical optimisation and against the losses themselves."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.optimize import minimize, minimize_scalar

from vrnn3d.layers.gaussian import Gaussian
from vrnn3d.losses import VARIANTS, latent_loss
from vrnn3d.study import loss_math

NAMES = sorted(VARIANTS)
UNBOUNDED = {"kl_ll", "kl_ll_half", "kl_ll_mirror"}


def gaussian(mean, log_s):
    return Gaussian(torch.as_tensor(mean, dtype=torch.float64), torch.as_tensor(log_s, dtype=torch.float64).exp())


def value(variant, delta, u, v):
    return float(latent_loss(gaussian(0.0, u), gaussian(delta, v), variant))


@pytest.mark.parametrize("variant", NAMES)
@pytest.mark.parametrize("delta", [0.0, 0.4, 2.0])
def test_numerical_optimisation_finds_the_tabled_minimisers(variant, delta):
    best = minimize_scalar(lambda v: value(variant, delta, math.log(0.8), v), bounds=(-5, 5), options={"xatol": 1e-8})
    assert math.exp(2 * best.x) == pytest.approx(loss_math.best_prior_variance(variant, 0.64, delta), rel=1e-5)
    best = minimize_scalar(lambda u: value(variant, delta, u, math.log(0.8)), bounds=(-5, 5), options={"xatol": 1e-8})
    assert math.exp(2 * best.x) == pytest.approx(loss_math.best_posterior_variance(variant, 0.64, delta), rel=1e-5)


def test_the_table_as_the_audit_prints_it():
    s_q2, s_p2, d = 0.7, 1.9, 0.6
    table = {
        "kl_pq": (s_q2, s_p2 + d**2),
        "kl_qp": (s_q2 + d**2, s_p2),
        "kl_ll": (s_q2, (s_p2 + 3 * d**2) / 2),
        "kl_ll_half": (s_q2, s_p2 / 2 + d**2),
        "kl_ll_mirror": ((s_q2 + 3 * d**2) / 2, s_p2),
        "kl_ll_balanced": (2 * s_q2, (s_p2 + 3 * d**2) / 2),
        "kl_ll_mean": (s_q2, s_p2 + 3 * d**2),
    }
    assert set(table) == set(VARIANTS)
    for variant, (prior, posterior) in table.items():
        assert loss_math.best_prior_variance(variant, s_q2, d) == pytest.approx(prior)
        assert loss_math.best_posterior_variance(variant, s_p2, d) == pytest.approx(posterior)


@pytest.mark.parametrize("variant", NAMES)
def test_joint_minimum_for_fixed_delta(variant):
    joint = loss_math.joint_minimum(variant, 0.5)
    assert (joint is not None) == (variant in UNBOUNDED)
    assert loss_math.joint_minimum(variant, 0.0) is None
    if joint:
        found = minimize(lambda x: value(variant, 0.5, x[0], x[1]), [0.3, -0.2], method="Nelder-Mead",
                         options={"xatol": 1e-7, "fatol": 1e-12})  # fmt: skip
        assert found.x == pytest.approx([math.log(joint[1]), math.log(joint[0])], abs=1e-4)
    if variant == "kl_ll":
        assert joint == pytest.approx((math.sqrt(3) * 0.5, math.sqrt(3) * 0.5))


@pytest.mark.parametrize(
    "variant, infimum", [("kl_pq", 0), ("kl_qp", 0), ("kl_ll_mean", 0), ("kl_ll_balanced", 0.5 - math.log(2))]
)
def test_bounded_variants_reach_their_infimum_and_go_no_lower(variant, infimum):
    ratio = math.sqrt(loss_math.best_prior_variance(variant, 1.0))
    assert loss_math.infimum(variant) == pytest.approx(infimum)
    for log_s in (-8.0, 0.0, 5.0):
        assert value(variant, 0.0, log_s, log_s + math.log(ratio)) == pytest.approx(infimum, abs=1e-9)
    mean_q, u, mean_p, v = torch.randn(4, 500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert latent_loss(gaussian(mean_q, u), gaussian(mean_p, v), variant).min() >= infimum - 1e-12


@pytest.mark.parametrize("variant", sorted(UNBOUNDED))
def test_the_others_have_no_infimum(variant):
    assert loss_math.infimum(variant) == -math.inf


def test_slopes_of_the_figures_are_the_gradients():
    result, slopes = loss_math.value_and_slopes("kl_ll", 0.0, 0.1, 0.5, -0.2)
    step = 1e-6
    assert float(result) == pytest.approx(value("kl_ll", 0.5, 0.1, -0.2))
    assert float(slopes[1]) == pytest.approx((value("kl_ll", 0.5, 0.1 + step, -0.2) - float(result)) / step, rel=1e-4)


def test_gradient_flow_collapses_under_equation_13_only_where_predicted():
    ends = {variant: loss_math.drift(variant, [0, 8])[-1] for variant in VARIANTS}
    for variant, (mean_q, _, mean_p, log_p) in ends.items():
        assert abs(mean_p - mean_q) < 0.05
        assert (log_p < -3) == (variant in UNBOUNDED)
    balanced = ends["kl_ll_balanced"]
    assert balanced[3] - balanced[1] == pytest.approx(math.log(2) / 2, abs=1e-3)


def test_gradient_flow_begins_at_its_start_and_lowers_the_loss():
    path = loss_math.drift("kl_qp", [0, 0.1, 1, 3])
    assert path[0] == pytest.approx(loss_math.START)
    values = [float(loss_math.value_and_slopes("kl_qp", *state)[0]) for state in path]
    assert values == sorted(values, reverse=True)
