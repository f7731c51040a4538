"""Importance-weighted bounds and the Rényi bound: identities at their limits, exact evidence, gradients."""

from __future__ import annotations

from math import inf, log

import pytest
import torch

from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import Noise, using
from senzai.core.spec import from_spec, to_spec
from senzai.distributions import FullNormalFamily
from senzai.objectives import ELBO, ImportanceWeighted, Renyi
from senzai.objectives.importance import grouped_bound
from senzai.objectives.renyi import renyi_bound
from senzai.parts import MixtureOfNormals

IW = ImportanceWeighted


@pytest.fixture
def log_w(model_of, batch):
    """Log weights of some draws of some model, computed without any objective."""

    def of(k):
        model = model_of()
        with using(Noise.seeded(1)):
            seen = model.infer(batch, k)
        return model, seen.log_lik + seen.groups[0].log_p - seen.groups[0].log_q

    return of


# --- values ---------------------------------------------------------------------------------------------------------
def test_iwae_is_the_log_of_the_mean_weight(log_w, batch, terms):
    model, w = log_w(7)
    torch.testing.assert_close(terms(IW(n_samples=7), model, batch).loss, -w.exp().mean(0).log())


def test_miwae_is_the_mean_over_groups_and_not_over_draws(log_w, batch, terms):
    model, w = log_w(12)
    by_hand = -torch.stack([w[i : i + 4].exp().mean(0).log() for i in (0, 4, 8)]).mean(0)
    torch.testing.assert_close(terms(IW(n_samples=4, n_groups=3), model, batch).loss, by_hand)


def test_one_group_is_iwae_and_groups_of_one_draw_are_the_elbo(log_w, batch, terms):
    model, w = log_w(12)
    assert torch.equal(
        terms(IW(n_samples=12, n_groups=1), model, batch).loss, terms(IW(n_samples=12), model, batch).loss
    )
    torch.testing.assert_close(terms(IW(n_samples=1, n_groups=12), model, batch).loss, -w.mean(0))


@pytest.mark.parametrize(
    "objective", [IW(n_samples=1, n_groups=6), IW(n_samples=6, elbo_share=1.0), Renyi(order=1.0, n_samples=6)]
)
def test_the_elbo_is_a_limit_of_each(model_of, batch, terms, objective):
    model = model_of(prior=MixtureOfNormals(3, n_components=2))  # no closed rate: both are estimated from the draws
    found, elbo = terms(objective, model, batch), terms(ELBO(n_samples=6), model, batch)
    torch.testing.assert_close(found.loss, elbo.loss)
    for name in ("distortion", "rate"):
        torch.testing.assert_close(found.watch[name], elbo.watch[name])


def test_ciwae_lies_between_its_ends_in_proportion(log_w, batch, terms):
    model, w = log_w(5)
    tight, loose = -(torch.logsumexp(w, 0) - log(5)), -w.mean(0)
    for share in (0.0, 0.3, 1.0):
        found = terms(IW(n_samples=5, elbo_share=share), model, batch).loss
        torch.testing.assert_close(found, (1 - share) * tight + share * loose)
    assert (loose > tight).all()


def test_renyi_is_iwae_at_zero_and_the_best_draw_at_minus_infinity(log_w, batch, terms):
    model, w = log_w(5)
    torch.testing.assert_close(
        terms(Renyi(order=0.0, n_samples=5), model, batch).loss, terms(IW(n_samples=5), model, batch).loss
    )
    torch.testing.assert_close(terms(Renyi(order=-inf, n_samples=5), model, batch).loss, -w.max(0).values)
    torch.testing.assert_close(renyi_bound(w, 1 + 1e-9), w.mean(0), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(renyi_bound(w, -300.0), w.max(0).values, rtol=0, atol=log(5) / 300 + 1e-9)


def test_renyi_falls_with_its_order(log_w):
    _, w = log_w(6)
    values = torch.stack([renyi_bound(w, a) for a in (-inf, -2.0, 0.0, 0.5, 1.0, 3.0)])
    assert (values[:-1] >= values[1:]).all()
    assert (values[:-1] > values[1:]).any()


def test_weighted_draws_weigh_as_much_as_copies(log_w):
    _, w = log_w(3)
    copies, mix = torch.cat([w, w[:1]]), torch.tensor([[0.5], [0.25], [0.25]]).double().log()
    torch.testing.assert_close(grouped_bound(w, mix, 1), grouped_bound(copies, None, 1))
    for order in (-1.0, 0.5, 1.0):
        torch.testing.assert_close(renyi_bound(w, order, mix), renyi_bound(copies, order))


@pytest.mark.parametrize(
    "objective", [IW(n_samples=4), IW(n_samples=2, n_groups=2), IW(gradient="dreg"), Renyi(), Renyi(order=-1.0)]
)
def test_with_the_exact_posterior_every_bound_is_the_evidence(linear_of, terms, objective):
    model, batch = linear_of(3)
    torch.testing.assert_close(terms(objective, model, batch).loss, -model.likelihood.log_evidence(batch.tensor))


def test_more_draws_come_nearer_to_the_evidence(linear_of, terms):
    model, batch = linear_of(4000, shift=0.4, stretch=1.3)
    exact = float(model.likelihood.log_evidence(batch.tensor)[0].detach())
    gaps = [float((terms(IW(n_samples=k), model, batch).loss + exact).mean().detach()) for k in (1, 4, 32)]
    assert gaps[0] > gaps[1] > gaps[2] > 0
    assert gaps[2] < 0.03 * gaps[0] + 0.02


# --- gradients ------------------------------------------------------------------------------------------------------
def gradients(model, batch, objective, seed=3):
    """Per-row gradient of the loss by the posterior's location and scale, and the gradient by W."""
    model.zero_grad()
    with using(Noise.seeded(seed)):
        objective(model, batch, 0).loss.sum().backward()
    q = model.posterior
    return torch.cat([q.loc.grad, q.scale.grad], 1), model.likelihood.W.grad / len(batch)


@pytest.mark.parametrize(
    "settings", [{"n_samples": 4}, {"n_samples": 3, "n_groups": 2}, {"n_samples": 4, "elbo_share": 0.4}],
    ids=["iwae", "miwae", "ciwae"],
)
def test_doubly_reparameterised_gradients_are_the_same_in_the_mean_and_vary_less(linear_of, settings):
    n = 40_000
    model, batch = linear_of(n, shift=0.4, stretch=1.3)
    plain, W_plain = gradients(model, batch, IW(**settings))
    doubly, W_doubly = gradients(model, batch, IW(**settings, gradient="dreg"), seed=4)
    error = ((plain.var(0) + doubly.var(0)) / n).sqrt()
    assert ((plain.mean(0) - doubly.mean(0)).abs() < 5 * error).all()
    assert (doubly.mean(0).abs() > 10 * error).any()  # there is something to be right about
    assert (doubly.var(0) < plain.var(0)).all()
    torch.testing.assert_close(W_plain, W_doubly, rtol=0.05, atol=0.02)


def test_both_gradients_have_one_value_and_one_decoder_gradient(linear_of):
    model, batch = linear_of(50, shift=0.4)
    values = []
    for gradient in ("plain", "dreg"):
        objective = IW(n_samples=3, n_groups=2, elbo_share=0.2, gradient=gradient)
        _, W = gradients(model, batch, objective)
        with using(Noise.seeded(3)):
            values.append((objective(model, batch, 0).loss, W))
    torch.testing.assert_close(values[0], values[1])


def test_with_the_exact_posterior_the_encoder_gets_exactly_no_gradient(linear_of):
    model, batch = linear_of(20)
    assert gradients(model, batch, IW(n_samples=4, gradient="dreg"))[0].abs().max() < 1e-12
    assert gradients(model, batch, IW(n_samples=4))[0].abs().max() > 0.01


def test_the_decoder_climbs_the_evidence(linear_of):
    """With the exact posterior the mean gradient by W is that of log p(x)."""
    model, batch = linear_of(20_000)
    model.likelihood.log_evidence(batch.tensor[:1]).sum().backward()
    exact = -model.likelihood.W.grad.clone()
    for gradient in ("plain", "dreg"):
        _, found = gradients(model, batch, IW(n_samples=4, gradient=gradient))
        torch.testing.assert_close(found, exact, rtol=0, atol=0.02)


def test_doubly_reparameterised_gradients_need_no_normal_posterior(model_of, batch, terms):
    model = model_of(FullNormalFamily())
    model.double()
    found = [terms(IW(n_samples=3, gradient=g), model, batch) for g in ("plain", "dreg")]
    torch.testing.assert_close(found[0].loss, found[1].loss)
    found[1].loss.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_without_gradients_the_value_is_the_same(model_of, batch, terms):
    model = model_of()
    with torch.no_grad():
        found = terms(IW(gradient="dreg"), model, batch).loss
    torch.testing.assert_close(found, terms(IW(), model, batch).loss)


# --- players --------------------------------------------------------------------------------------------------------
def test_partially_weighted_the_decoder_has_one_group_and_the_encoder_several(model_of, batch, terms):
    model = model_of()
    decoder, encoder = IW(n_samples=4, n_groups=3, partial=True).players(model)
    assert (decoder.name, encoder.name) == ("decoder", "encoder")
    assert {id(p) for p in encoder.parameters} == {id(p) for p in model.posterior.parameters()}
    assert {id(p) for p in decoder.parameters} == {id(p) for p in model.likelihood.parameters()}
    assert torch.equal(terms(decoder.loss, model, batch).loss, terms(IW(n_samples=12), model, batch).loss)
    assert torch.equal(terms(encoder.loss, model, batch).loss, terms(IW(n_samples=4, n_groups=3), model, batch).loss)


# --- settings -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "wrong",
    [{"n_samples": 0}, {"n_groups": 0}, {"elbo_share": 1.5}, {"elbo_share": float("nan")}, {"gradient": "triple"}],
)
def test_settings_check_themselves(wrong):
    with pytest.raises(SettingError):
        IW(**wrong)


@pytest.mark.parametrize("wrong", [{"order": inf}, {"order": float("nan")}, {"n_samples": 0}])
def test_settings_of_renyi_check_themselves(wrong):
    with pytest.raises(SettingError):
        Renyi(**wrong)


def test_an_infinite_order_survives_its_spec():
    assert from_spec(to_spec(Renyi(order=-inf))) == Renyi(order=-inf)


def test_a_draw_without_a_gradient_is_refused_when_built(linear_of):
    model, _ = linear_of(2)
    model.posterior.example = lambda: torch.distributions.Categorical(torch.ones(1, 3))
    with pytest.raises(CombinationError, match="reparameterised"):
        IW(gradient="dreg").check(model)
    IW().check(model)
