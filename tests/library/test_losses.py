"""The losses against algebra, oracles, numerical optimisation and extreme numbers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import gaussian_nll_loss

from vrnn3d.layers.gaussian import SIGMA_MIN, Gaussian, gaussian_from_raw
from vrnn3d.losses import VARIANTS, latent_loss, latent_total, reconstruction_loss, sequence_loss

NAMES = sorted(VARIANTS)
UNBOUNDED = {"kl_ll", "kl_ll_half", "kl_ll_mirror"}
LOG_S, MEAN = st.floats(-4, 4), st.floats(-5, 5)


def gaussian(mean, log_s, dtype=torch.float64):
    return Gaussian(torch.as_tensor(mean, dtype=dtype), torch.as_tensor(log_s, dtype=dtype).exp())


def by_hand(variant, mean_q, u, mean_p, v):
    """The formula of loss-audit, in plain Python, written out once more."""
    a, b, c, w = {"kl_pq": (1, 1, 1, 1), "kl_qp": (1, 1, 1, 1), "kl_ll": (2, 1, 1, 3), "kl_ll_half": (2, 1, 1, 2),
                  "kl_ll_mirror": (2, 1, 1, 3),
                  "kl_ll_balanced": (2, 2, 1, 3), "kl_ll_mean": (1, 1, 1, 3)}[variant]  # fmt: skip
    if variant in ("kl_qp", "kl_ll_mirror"):
        u, v = v, u
    constant = 0.5 * math.log(2 * math.pi) if variant == "kl_ll_half" else 0.0
    squares = c * math.exp(2 * v) + w * (mean_p - mean_q) ** 2
    return a * u - b * v + squares / (2 * math.exp(2 * u)) - 0.5 + constant


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    mean_q, u, mean_p, v = torch.randn(4, 500, generator=generator, dtype=torch.float64)
    return gaussian(mean_q, u), gaussian(mean_p, v)


# --- identities -------------------------------------------------------------------------------------------------------


@given(MEAN, LOG_S, MEAN, LOG_S)
@settings(max_examples=60, deadline=None)
def test_every_variant_is_the_formula(mean_q, u, mean_p, v):
    for variant in VARIANTS:
        ours = float(latent_loss(gaussian(mean_q, u), gaussian(mean_p, v), variant))
        assert ours == pytest.approx(by_hand(variant, mean_q, u, mean_p, v), rel=1e-9, abs=1e-9)


def test_equation_9_is_kl_p_q_and_equation_8_the_reverse(pair):
    q, p = pair
    P, Q = Normal(*p), Normal(*q)
    assert torch.allclose(latent_loss(q, p, "kl_pq"), kl_divergence(P, Q), atol=1e-12)
    assert torch.allclose(latent_loss(q, p, "kl_qp"), kl_divergence(Q, P), atol=1e-12)
    assert (latent_loss(q, p, "kl_pq") - kl_divergence(Q, P)).abs().max() > 1  # the direction matters


def test_corrected_equation_13_is_kl_plus_the_true_likelihood(pair):
    q, p = pair
    nll = gaussian_nll_loss(q.mean, p.mean, q.std**2, full=True, reduction="none", eps=0)
    assert torch.allclose(latent_loss(q, p, "kl_ll_half"), kl_divergence(Normal(*p), Normal(*q)) + nll, atol=1e-10)


def test_equation_13_is_an_entropy_penalty(pair):
    q, p = pair
    delta2 = (p.mean - q.mean) ** 2 / q.std**2
    identity = kl_divergence(Normal(*p), Normal(*q)) + Normal(*q).entropy() - math.log(2 * math.pi * math.e) / 2 + delta2
    assert torch.allclose(latent_loss(q, p, "kl_ll"), identity, atol=1e-10)


def test_the_printed_and_the_corrected_form_differ_by_half_delta_squared_and_a_constant(pair):
    q, p = pair
    difference = latent_loss(q, p, "kl_ll") - latent_loss(q, p, "kl_ll_half")
    expected = (p.mean - q.mean) ** 2 / (2 * q.std**2) - math.log(2 * math.pi) / 2
    assert torch.allclose(difference, expected, atol=1e-10)


def test_the_mirror_exchanges_the_labels(pair):
    q, p = pair
    assert torch.equal(latent_loss(q, p, "kl_ll_mirror"), latent_loss(p, q, "kl_ll"))
    assert torch.equal(latent_loss(q, p, "kl_qp"), latent_loss(p, q, "kl_pq"))


@pytest.mark.parametrize("variant", NAMES)
def test_change_of_unit_adds_a_minus_b_log_lambda(pair, variant):
    q, p = pair
    scaled = [Gaussian(0.01 * g.mean, 0.01 * g.std) for g in (q, p)]
    change = latent_loss(*scaled, variant) - latent_loss(q, p, variant)
    expected = (VARIANTS[variant].a - VARIANTS[variant].b) * math.log(0.01)
    assert torch.allclose(change, torch.full_like(change, expected), atol=1e-9)


def test_monte_carlo():
    generator = torch.Generator().manual_seed(1)
    q, p = gaussian(-0.3, -0.2), gaussian(0.5, 0.3)
    draws = p.sample(torch.randn(400_000, generator=generator, dtype=torch.float64))
    ratio = Normal(*p).log_prob(draws) - Normal(*q).log_prob(draws)
    assert abs(float(ratio.mean() - latent_loss(q, p, "kl_pq"))) < 4 * float(ratio.std()) / len(draws) ** 0.5


# --- what the losses ask for ------------------------------------------------------------------------------------------


def value(variant, delta, u, v):
    return float(latent_loss(gaussian(0.0, u), gaussian(delta, v), variant))


def test_a_equals_b_for_exactly_the_bounded_variants():
    assert {name for name, k in VARIANTS.items() if k.a != k.b} == UNBOUNDED
    for variant in UNBOUNDED:
        assert value(variant, 0.0, -50.0, -50.0) < -45


def test_equation_13_is_log_s_on_the_diagonal_and_log_floor_at_the_floor():
    for log_s in (-3.0, math.log(SIGMA_MIN), 1.0):
        assert value("kl_ll", 0.0, log_s, log_s) == pytest.approx(log_s)
    # With the floor, nothing is lower: log_s >= log sigma_min for both
    grid = torch.linspace(math.log(SIGMA_MIN), 2, 60, dtype=torch.float64)
    u, v = torch.meshgrid(grid, grid, indexing="ij")
    assert float(latent_loss(gaussian(0 * u, u), gaussian(0 * v, v), "kl_ll").min()) == pytest.approx(math.log(SIGMA_MIN))


def test_best_response_of_the_posterior_leaves_the_priors_entropy():
    for v in (-2.0, 0.0, 1.0):
        best = minimize_scalar(lambda u, v=v: value("kl_ll", 0.0, u, v), bounds=(-6, 6), options={"xatol": 1e-9})
        assert best.fun == pytest.approx(v + 0.5 - math.log(2), abs=1e-8)
        assert best.x == pytest.approx(v - math.log(2) / 2, abs=1e-4)


# --- gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", NAMES)
def test_gradients_against_finite_differences_and_the_analytic_form(variant):
    generator = torch.Generator().manual_seed(2)
    leaves = [t.clone().requires_grad_() for t in torch.randn(4, 5, generator=generator, dtype=torch.float64)]

    def loss(mean_q, u, mean_p, v):
        return latent_loss(Gaussian(mean_q, u.exp()), Gaussian(mean_p, v.exp()), variant)

    assert torch.autograd.gradcheck(loss, leaves)
    found = torch.autograd.grad(loss(*leaves).sum(), leaves)
    a, b, c, w, mirrored, _ = VARIANTS[variant]
    mean_q, u, mean_p, v = (leaves[i].detach() for i in ((2, 3, 0, 1) if mirrored else (0, 1, 2, 3)))
    pull = w * (mean_p - mean_q) * (-2 * u).exp()
    fraction = (c * (2 * v).exp() + w * (mean_p - mean_q) ** 2) * (-2 * u).exp()
    expected = [-pull, a - fraction, pull, -b + c * (2 * (v - u)).exp()]
    expected = [expected[i] for i in ((2, 3, 0, 1) if mirrored else (0, 1, 2, 3))]
    for ours, theirs in zip(found, expected):
        assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-9)


# --- numbers at the edge ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", NAMES)
def test_float32_is_finite_and_right_wherever_the_result_can_be_held(variant):
    log_s = torch.linspace(-60, 20, 81)
    u, v, delta = torch.meshgrid(log_s, log_s, torch.tensor([0.0, 1e-20, 1e-3, 1.0, 1e3]), indexing="ij")
    q32, p32 = Gaussian(torch.zeros_like(u), u.exp()), Gaussian(delta, v.exp())
    assert q32.std.min() > 0 and q32.std.isfinite().all()
    exact = latent_loss(Gaussian(*(t.double() for t in q32)), Gaussian(*(t.double() for t in p32)), variant)
    assert exact.isfinite().all()
    holds = exact.abs() < torch.finfo(torch.float32).max / 2
    ours = latent_loss(q32, p32, variant)
    assert ours.dtype == torch.float32
    assert ours[holds].isfinite().all() and not ours.isnan().any()
    # Rounding log s (up to 60) by one part in 2^24 moves exp(2 (v - u)) by about 1e-5 of itself
    assert torch.allclose(ours[holds].double(), exact[holds], rtol=1e-4, atol=1e-4)
    assert holds.float().mean() > 0.5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_are_computed_in_float32(dtype):
    # The direct formula in half precision is inf or NaN here: s^2 underflows
    q = Gaussian(torch.tensor([0.0, 0.25]), torch.tensor([2.0**-12, 0.5]))
    p = Gaussian(torch.tensor([0.0, -0.5]), torch.tensor([2.0**-12, 2.0]))
    half = [Gaussian(*(t.to(dtype) for t in g)) for g in (q, p)]
    for variant in VARIANTS:
        ours = latent_loss(*half, variant)
        assert ours.dtype == torch.float32
        assert torch.equal(ours, latent_loss(q, p, variant))  # these inputs are exact in both


def test_autocast_does_not_lower_the_precision():
    q, p = gaussian(0.3, -6.0, torch.float32), gaussian(0.3001, -5.0, torch.float32)
    plain = latent_loss(q, p, "kl_ll")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = latent_loss(q, p, "kl_ll")
    assert cast.dtype == torch.float32 and torch.equal(plain, cast)


def test_float64_stays_float64_and_shapes_broadcast():
    q = Gaussian(torch.zeros(3, 1, dtype=torch.float64), torch.ones(3, 1, dtype=torch.float64))
    p = Gaussian(torch.zeros(4), torch.ones(4))
    loss = latent_loss(q, p, "kl_ll")
    assert loss.shape == (3, 4) and loss.dtype == torch.float64


def test_the_floor_keeps_every_variant_bounded():
    raw = torch.full((1, 2, 1), -1e4)
    q = gaussian_from_raw(raw)
    assert float(q.std) == pytest.approx(SIGMA_MIN)
    for variant in VARIANTS:
        assert latent_loss(q, q, variant).isfinite().all()


def test_unknown_variant_lists_the_known_ones():
    q = gaussian(0.0, 0.0)
    with pytest.raises(ValueError, match="no latent loss 'kl'; there are: kl_pq, .*kl_ll_mean"):
        latent_loss(q, q, "kl")


# --- sums, means, terms -----------------------------------------------------------------------------------------------


def test_what_is_no_gaussian_is_told():
    mean, log_variance = torch.zeros(2, 3), torch.full((2, 3), -1.5)
    right = Gaussian(mean, torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"posterior's standard deviation falls to -1.5.*pass \(0.5 \* log_variance\).exp\(\)"):
        latent_loss(Gaussian(mean, log_variance), right, "kl_qp")
    with pytest.raises(ValueError, match="the prior's standard deviation falls to 0; it must be above 0"):
        latent_loss(right, Gaussian(mean, torch.zeros(2, 3)), "kl_qp")
    with pytest.raises(ValueError, match=r"there is no posterior: .* rollout\(..., posterior=True\)"):
        latent_loss(None, right, "kl_qp")


def test_reconstruction_sums_over_pixels_and_averages_over_frames():
    target = torch.zeros(2, 3, 1, 4, 5)
    prediction = target.clone()
    prediction[0, 1] = 0.5  # 20 pixels, one frame of three
    prediction[1] = -2.0
    loss, terms = reconstruction_loss(prediction, target, l1=10.0, l2=3.0)
    assert terms["l1"].tolist() == pytest.approx([20 * 0.5 / 3, 20 * 2])
    assert terms["l2"].tolist() == pytest.approx([20 * 0.25 / 3, 20 * 4])
    assert torch.allclose(loss, 10 * terms["l1"] + 3 * terms["l2"])


def test_reconstruction_in_half_precision_is_summed_in_float32():
    target = torch.zeros(1, 1, 1, 128, 128, dtype=torch.bfloat16)
    loss, terms = reconstruction_loss(target + 1, target)
    assert loss.dtype == torch.float32 and terms["l1"].item() == 128 * 128 and loss.item() == 2 * 128 * 128


def test_reconstruction_refuses_shapes_that_would_broadcast():
    with pytest.raises(ValueError, match=r"prediction is \(2, 1, 4, 4\); it must be \(batch, time, channel, height, width\)"):
        reconstruction_loss(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4))
    with pytest.raises(ValueError, match=r"prediction \(2, 1, 1, 4, 4\) and target \(2, 3, 1, 4, 4\)"):
        reconstruction_loss(torch.zeros(2, 1, 1, 4, 4), torch.zeros(2, 3, 1, 4, 4))
    with pytest.raises(ValueError, match="target is torch.uint8; losses take floats"):
        reconstruction_loss(torch.zeros(2, 1, 1, 4, 4), torch.zeros(2, 1, 1, 4, 4, dtype=torch.uint8))


def _latents(steps=3, levels=1, batch=2):
    generator = torch.Generator().manual_seed(4)
    draw = lambda: torch.randn(batch, 4, 1, 2, 2, generator=generator)  # noqa: E731
    return [
        tuple((Gaussian(draw(), draw().exp()), Gaussian(draw(), draw().exp())) for _ in range(levels)) for _ in range(steps)
    ]


def test_latent_total_sums_over_dimensions_levels_and_steps_and_is_per_predicted_frame():
    latents = _latents(steps=3, levels=2)
    for variant in VARIANTS:
        expected = torch.zeros(2)
        for pairs in latents:
            for q, p in pairs:
                for b in range(2):
                    expected[b] += latent_loss(q, p, variant)[b].sum() / 6
        assert torch.allclose(latent_total(latents, variant, frames=6), expected, rtol=1e-5)


def test_sequence_loss_is_equation_7():
    prediction, target = torch.rand(2, 5, 1, 4, 4), torch.rand(2, 5, 1, 4, 4)
    latents = _latents()
    loss, terms = sequence_loss(prediction, target, latents, variant="kl_ll", l1=0.5, l2=2.0, beta=0.1)
    assert set(terms) == {"l1", "l2", "reconstruction", "latent"} and loss.shape == (2,)
    assert all(term.shape == (2,) for term in terms.values())
    assert torch.allclose(loss, 0.5 * terms["l1"] + 2 * terms["l2"] + 0.1 * terms["latent"])
    as_tensor, _ = sequence_loss(prediction, target, latents, variant="kl_ll", l1=0.5, l2=2.0, beta=torch.tensor(0.1))
    assert torch.allclose(loss, as_tensor)


def test_sequence_loss_of_a_deterministic_model_has_no_latent_term():
    prediction, target = torch.rand(2, 5, 1, 4, 4), torch.rand(2, 5, 1, 4, 4)
    loss, terms = sequence_loss(prediction, target, [(), ()])
    assert "latent" not in terms and torch.equal(loss, terms["reconstruction"])


# --- the wiring, on the real model ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wiring", ["z_p", "z_q"])
def test_under_z_p_the_reconstruction_sends_no_gradient_to_the_posterior(wiring):
    from vrnn3d.models import build_model
    from vrnn3d.rollout import rollout

    torch.manual_seed(0)
    model = build_model("vrnn3d", widths=(4, 8), hidden=8, latent=2, head=8, wiring=wiring)
    frames = torch.rand(1, 6, 1, 8, 8)
    prediction, latents = rollout(model, frames, 4, 6, forcing="teacher", posterior=True)
    _, terms = sequence_loss(prediction, frames[:, model.window :], latents)
    parts = [*model.posterior.parameters(), *model.posterior_encoder.parameters()]
    reconstruction = torch.autograd.grad(terms["reconstruction"].sum(), parts, retain_graph=True, allow_unused=True)
    latent = torch.autograd.grad(terms["latent"].sum(), parts, allow_unused=True)
    size = lambda gradients: sum(float(g.abs().sum()) for g in gradients if g is not None)  # noqa: E731
    assert size(latent) > 0
    assert (size(reconstruction) == 0) == (wiring == "z_p")


def test_a_loss_of_one_s_own_gives_a_value_for_each_element():
    gaussian = Gaussian(torch.zeros(2, 3, 1, 4, 4), torch.ones(2, 3, 1, 4, 4))
    assert latent_total([((gaussian, gaussian),)], lambda q, p: q.mean + 1, 1).tolist() == [48, 48]
    for wrong in (lambda q, p: q.mean.sum(), lambda q, p: q.mean.flatten(1).sum(1)):
        with pytest.raises(ValueError, match="the latent loss <lambda> gives .* it must give one value for each element"):
            latent_total([((gaussian, gaussian),)], wrong, 1)
