"""What every posterior must do inside a flat model, whatever space its latents live on."""

from __future__ import annotations

import json

import pytest
import torch
from torch.distributions import MultivariateNormal

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError
from senzai.core.random import Noise, using
from senzai.core.spec import from_spec, make, registry, to_spec
from senzai.distributions import BernoulliFamily, NormalFixedFamily
from senzai.evaluation import elbo, log_likelihood
from senzai.models import Flat, verbs
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.parts import Likelihood, Posterior, StandardNormal, VampPrior

D, LATENT, N = 4, 2, 5
POSTERIORS = {
    "full_normal": {},
    "planar": {"n_steps": 2},
    "radial": {"n_steps": 2},
    "sylvester": {"n_steps": 2},
    "iaf": {"n_steps": 2, "n_context": 3, "hidden": (6,)},
    "nsf": {"n_steps": 2, "n_context": 3, "hidden": (6,)},
    "hamiltonian": {"n_steps": 2, "step_size": 0.2},
    "riemannian": {"n_steps": 2, "step_size": 0.2, "n_centres": 3, "n_fixed": 8},
    "semi_amortised": {"n_steps": 2, "differentiable": True},
    "von_mises_fisher": {},
    "wrapped_normal": {},
    "dirichlet": {},
    "logistic_normal": {},
    "class_codes": {},
    "bit_codes": {},
}
UNSCORED = ("hamiltonian", "riemannian")
"""Posteriors whose latents have no density of their own."""
BIASED = ("class_codes", "bit_codes")
"""Posteriors that draw relaxed values where gradients are needed: their gradient is not that of their value."""
IMPLICIT = ("von_mises_fisher", "dirichlet")
"""Posteriors drawn by rejection, whose gradient is right on average and not for every draw."""
REAL = [n for n in POSTERIORS if (registry("posterior") | registry("family"))[n].usual_prior == "standard_normal"]
SIGMA = 1.0


def posterior_of(name, d=LATENT, **settings):
    encoder = MLPEncoder((D,), (5,), activation="tanh")
    if name in registry("posterior"):
        return make(f"posterior/{name}", encoder=encoder, n_latent=d, **POSTERIORS[name], **settings)
    return Posterior(encoder, make(f"family/{name}", **POSTERIORS[name], **settings), d)


def model_of(name, d=LATENT, *, linear=False, **settings):
    posterior = posterior_of(name, d, **settings)
    usual = (posterior if name in registry('posterior') else posterior.family).usual_prior
    prior = make(f"prior/{usual}", n_latent=d)
    family = NormalFixedFamily(scale=SIGMA) if linear else BernoulliFamily()
    hidden = () if linear else (5,)
    likelihood = Likelihood(MLPDecoder(d, (1, D), hidden, activation="tanh"), family, (D,))
    if linear:  # a narrow evidence and a wide posterior near the prior: importance weights that do not degenerate
        with torch.no_grad():
            likelihood.decoder.out.weight.mul_(0.5)
            posterior.head.weight.mul_(0.2)
            posterior.head.bias.fill_(0.3)
    return Flat(prior, posterior, likelihood).double()


def with_noise(function, *args, seed=1, offset=0, total=None, **options):
    with using(Noise.seeded(seed, offset=offset, total=total)):
        return function(*args, **options)


def bound(model, batch, k=3):
    return model.infer(batch, k).bound()


@pytest.fixture(params=sorted(POSTERIORS))
def name(request):
    return request.param


@pytest.fixture
def model(name):
    return model_of(name)


@pytest.fixture
def batch():
    return Batch((torch.rand(N, D) < 0.5).double())


# --- against the exact evidence -------------------------------------------------------------------------------------
def exact_evidence(model, x):
    """log p(x) of a linear decoder under a standard normal prior."""
    W, out = model.likelihood.decoder.out.weight, model.likelihood.bias[0]
    covariance = W @ W.T + SIGMA**2 * torch.eye(D).double()
    return MultivariateNormal(model.likelihood.decoder.out.bias + out, covariance).log_prob(x).detach()


@pytest.mark.parametrize("name", REAL)
def test_the_estimated_likelihood_is_the_exact_evidence(name):
    model = model_of(name, linear=True)
    x = torch.randn(3, D).double()
    exact = exact_evidence(model, x)
    found = log_likelihood(model, Batch(x), k=4000)
    assert ((found.per_row - exact).abs() < 5 * found.monte_carlo_se + 1e-3).all()
    assert found.ess.min() > 50  # else the error bars would mean little
    split = elbo(model, Batch(x.repeat(200, 1)))
    assert split.means["elbo"] < float(exact.mean()) + 5 * split.ses["elbo"]


# --- rows and gradients ---------------------------------------------------------------------------------------------
def test_a_row_depends_on_itself_alone(model, batch):
    def loss(x):
        return with_noise(bound, model, batch.with_x(x))

    J = torch.autograd.functional.jacobian(loss, batch.tensor.clone()).abs().sum(-1)
    assert (J[~torch.eye(N, dtype=torch.bool)] == 0).all()
    assert (J.diagonal() > 0).all()


def test_pieces_give_what_the_whole_gives(model, batch):
    whole = with_noise(bound, model, batch, total=N)
    for start, stop in ((0, 2), (2, 5), (4, 5)):
        piece = with_noise(bound, model, batch.take(slice(start, stop)), offset=start, total=N)
        torch.testing.assert_close(piece, whole[start:stop], rtol=1e-8, atol=1e-8)


def test_estimates_do_not_depend_on_how_the_work_is_cut(model, batch):
    whole = log_likelihood(model, batch, k=12)
    pieces = log_likelihood(model, batch, k=12, memory_gb=1e-9)  # one draw of one row at a time
    torch.testing.assert_close(pieces.per_row, whole.per_row, rtol=1e-8, atol=1e-8)


def finite_difference(function, parameter, direction, step=1e-5):
    def at(t):
        with torch.no_grad():
            old = parameter.clone()
            parameter.add_(t * direction)
        value = float(function().detach())
        with torch.no_grad():
            parameter.copy_(old)
        return value

    return (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step)


def test_gradients_agree_with_finite_differences(name, model, batch):
    if name in BIASED + IMPLICIT:
        pytest.skip("its gradient is not that of its value at fixed noise: see test_manifold_priors")

    def loss():
        return with_noise(bound, model, batch).mean()

    loss().backward()
    for label, parameter in model.named_parameters():
        direction = torch.randn_like(parameter)
        found = float((parameter.grad * direction).sum())
        assert found == pytest.approx(finite_difference(loss, parameter, direction), rel=2e-5, abs=1e-7), label


def test_nothing_is_drawn_from_outside_the_noise(model, batch):
    state = torch.get_rng_state()
    assert torch.equal(with_noise(bound, model, batch), with_noise(bound, model, batch))
    assert torch.equal(torch.get_rng_state(), state)


def test_without_gradients_the_numbers_are_the_same(name, model, batch):
    expected = with_noise(bound, model, batch).detach()
    if name in BIASED:
        pytest.skip("it draws relaxed values where gradients are needed, and says so")
    with torch.no_grad():
        found = with_noise(bound, model, batch)
    assert not found.requires_grad
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


# --- contract -------------------------------------------------------------------------------------------------------
def test_shapes(model, batch):
    seen = model.infer(batch, 7)
    g = seen.groups[0]
    assert seen.log_w.shape == g.log_q.shape == g.log_p.shape == (7, N)
    assert g.z.shape == (7, N, LATENT)
    assert g.q.batch_shape == (N,)
    (z,) = model.sample_prior(11)
    assert z.shape == (11, LATENT)
    assert type(model.posterior.example() or g.q) is type(g.q)


def test_given_latents_are_scored_or_refused_with_the_reason(name, model, batch):
    z = model.sample_prior(3 * N)[0].reshape(3, N, LATENT)
    seen = model.infer(batch, z=(z,))
    assert torch.equal(seen.groups[0].z, z)
    torch.testing.assert_close(seen.groups[0].log_p, model.prior().log_prob(z))
    if name in UNSCORED:
        with pytest.raises(CombinationError, match="density"):
            _ = seen.groups[0].log_q
        return
    drawn = with_noise(model.infer, batch, 3)
    again = with_noise(model.infer, batch, z=(drawn.groups[0].z,))
    torch.testing.assert_close(again.log_w, drawn.log_w, rtol=1e-6, atol=1e-6)


def test_a_saved_model_is_the_same(model, batch):
    spec = json.loads(json.dumps(to_spec(model)))
    again = from_spec(spec).double()
    again.load_state_dict(model.state_dict())
    assert torch.equal(with_noise(bound, again, batch), with_noise(bound, model, batch))


def test_single_precision_is_finite_and_close(name, batch):
    model = model_of(name)
    exact = with_noise(elbo, model, batch, n_samples=400).elbo.mean()
    single = elbo(model.float(), Batch(batch.tensor.float()), n_samples=400).elbo.mean()
    assert abs(single - exact) < 0.25


# --- verbs ----------------------------------------------------------------------------------------------------------
def test_verbs_work_and_stay_in_the_space(model, batch):
    other = batch.with_x(1 - batch.tensor)
    (z,) = verbs.encode(model, batch)
    assert torch.equal(z, verbs.encode(model, batch)[0])
    assert z.shape == (N, LATENT)
    assert torch.isfinite(model.prior().log_prob(z)).all()
    shown = verbs.reconstruct(model, batch), verbs.reconstruct(model, batch, seed=1), verbs.sample(model, N, seed=0)
    for found in shown:
        assert found.shape == (N, D)
        assert torch.isfinite(found).all()
    assert verbs.interpolate(model, batch, other, steps=3).shape == (3, N, D)
    assert verbs.traverse(model, batch, dim=1).shape == (7, N, D)
    assert (verbs.posterior_scales(model, batch)[0] >= 0).all()


def test_interpolation_ends_where_the_rows_are(model, batch):
    other = batch.with_x(1 - batch.tensor)
    way = verbs.interpolate(model, batch, other, steps=4)
    for end, rows in ((0, batch), (-1, other)):
        torch.testing.assert_close(way[end], verbs.reconstruct(model, rows), rtol=1e-6, atol=1e-6)


def test_a_prior_may_hold_the_very_posterior(name):
    model = model_of(name)
    if name in UNSCORED:
        return
    prior = VampPrior(LATENT, (D,), model.posterior, n_components=3).double()
    vamp = Flat(prior, model.posterior, model.likelihood).double()
    found = vamp.infer(Batch((torch.rand(N, D) < 0.5).double()), 2)
    assert torch.isfinite(found.log_w).all()
    assert verbs.sample(vamp, 3, seed=0).shape == (3, D)


# --- choosing -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(set(POSTERIORS) - set(REAL)))
def test_a_prior_on_another_space_is_refused(name):
    model = model_of(name)
    with pytest.raises(CombinationError, match="same space"):
        Flat(StandardNormal(LATENT), model.posterior, model.likelihood)
    with pytest.raises(CombinationError, match="same space"):
        Flat(model.prior, posterior_of("planar"), model.likelihood)


def test_a_discrete_family_is_no_posterior_for_a_normal_prior():
    posterior = Posterior(MLPEncoder((D,), (5,)), BernoulliFamily(), LATENT)
    with pytest.raises(CombinationError, match="discrete"):
        Flat(StandardNormal(LATENT), posterior, model_of("planar").likelihood)
