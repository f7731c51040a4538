"""Latents on a sphere, in a ball, on a simplex, as classes and bits: densities, draws, rates and gradients."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import ive
from torch.distributions import Dirichlet, Independent, Normal
from torch.distributions.kl import kl_divergence

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import Noise, using
from senzai.core.spec import make
from senzai.data import Choice, Proposal
from senzai.distributions import BernoulliFamily, closed, draw
from senzai.distributions.ball import Ball, WrappedNormal, log_stretch
from senzai.distributions.codes import BitCode, Bits, ClassCode, OneHot
from senzai.distributions.simplex import LogisticNormal, Simplex
from senzai.distributions.sphere import Sphere, UniformSphere, VonMisesFisher, log_area, log_bessel
from senzai.evaluation import elbo, log_likelihood
from senzai.models import Flat, verbs
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.parts import Likelihood, Posterior
from senzai.recipes import Frame, Settings
from senzai.recipes.registry import build

N = 20_000


def vmf(d, kappa):
    loc = torch.nn.functional.normalize(torch.arange(1.0, d + 1).double(), dim=0)
    return VonMisesFisher(loc, torch.tensor(kappa).double())


def close_to_zero(values, factor=5.0):
    """Whether the mean of independent values is zero within five standard errors."""
    return bool((values.mean(0).abs() < factor * values.std(0) / len(values) ** 0.5 + 1e-12).all())


# --- von Mises-Fisher -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("d", [2, 3, 5, 16, 64])
@pytest.mark.parametrize("kappa", [0.01, 1.0, 10.0, 300.0, 1e4])
def test_bessel_functions_agree_with_scipy(d, kappa):
    order = d / 2 - 1
    expected = math.log(ive(order, kappa)) + kappa - order * math.log(kappa)
    log_f, ratio = log_bessel(order, torch.tensor(kappa).double())
    assert float(log_f) == pytest.approx(expected, rel=1e-9, abs=1e-8)
    assert float(ratio) == pytest.approx(ive(order + 1, kappa) / ive(order, kappa) / kappa, rel=1e-9)


@pytest.mark.parametrize("kappa", [0.0, 2.0, 50.0])
def test_the_von_mises_fisher_density_integrates_to_one(kappa):
    theta = (torch.arange(4000).double() + 0.5) * math.pi / 4000
    for d in (2, 3, 6):
        q = VonMisesFisher(torch.eye(d)[0].double(), torch.tensor(kappa).double())
        z = torch.zeros(4000, d).double()
        z[:, 0], z[:, 1] = theta.cos(), theta.sin()
        ring = math.exp(log_area(d - 1)) if d > 2 else 2.0
        mass = (q.log_prob(z).exp() * ring * theta.sin() ** (d - 2)).sum() * math.pi / 4000
        assert float(mass) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("d", [2, 3, 10])
@pytest.mark.parametrize("kappa", [0.5, 5.0, 200.0])
def test_draws_follow_the_von_mises_fisher_density(d, kappa):
    q = vmf(d, kappa)
    z = draw(q, (N,), grad=False)
    torch.testing.assert_close(z.norm(dim=-1), torch.ones(N).double())
    assert close_to_zero(z - q.mean)
    assert close_to_zero((z - q.mean).square() - q.variance)
    angles = np.linspace(0, np.pi, 400_001)
    density = np.exp(kappa * (np.cos(angles) - 1)) * np.sin(angles) ** (d - 2)
    cdf = np.cumsum(density) / density.sum()
    found = 2 * np.arcsin(np.clip((z - q.loc).norm(dim=-1).numpy() / 2, 0, 1))
    assert stats.kstest(found, lambda t: np.interp(t, angles, cdf)).pvalue > 1e-3


@pytest.mark.parametrize("d", [2, 3, 20])
@pytest.mark.parametrize("kappa", [0.1, 3.0, 100.0])
def test_the_closed_rate_on_the_sphere_agrees_with_monte_carlo(d, kappa):
    q, p = vmf(d, kappa), UniformSphere(torch.zeros(d).double())
    z = draw(q, (N,), grad=False)
    assert close_to_zero(q.log_prob(z) - p.log_prob(z) - closed(q, p))


@pytest.mark.parametrize("d", [2, 3, 10])
@pytest.mark.parametrize("kappa", [0.5, 5.0, 200.0])
def test_draws_on_the_sphere_carry_the_gradient_of_their_mean(d, kappa):
    """Implicit gradients of all draws average to the derivative of the mean height, which is known."""
    each = torch.full((N,), kappa).double().requires_grad_()
    q = VonMisesFisher(torch.eye(d)[0].double().expand(N, d), each)
    (found,) = torch.autograd.grad(draw(q)[:, 0].sum(), each)
    one = torch.tensor(kappa).double().requires_grad_()
    (expected,) = torch.autograd.grad(VonMisesFisher(torch.eye(d)[0].double(), one).length, one)
    assert close_to_zero(found - expected)
    ratio = log_bessel(d / 2 - 1, torch.tensor(kappa).double())[1]
    known = 1 - (kappa * ratio) ** 2 - (d - 1) * ratio
    torch.testing.assert_close(expected, known, rtol=1e-5, atol=1e-9)


def test_the_sphere_is_finite_however_many_dimensions_and_however_concentrated():
    for d, kappa in product((2, 3, 100, 1000), (0.0, 1e-6, 1.0, 1e3, 1e6)):
        k = torch.tensor(kappa, dtype=torch.float32, requires_grad=True)
        q = VonMisesFisher(torch.eye(d)[0], k)
        with using(Noise.seeded(0)):
            z = draw(q, (20,))
        kl = closed(q, UniformSphere(torch.zeros(d)))
        value = kl + q.log_prob(z).sum() + z.sum()
        (slope,) = torch.autograd.grad(value, k)
        assert torch.isfinite(value), (d, kappa)
        assert torch.isfinite(slope), (d, kappa)
        assert kl > -1e-3


def test_the_rate_on_the_sphere_has_the_right_gradient():
    kappa = torch.tensor([0.3, 4.0, 80.0]).double().requires_grad_()

    def rate(k):
        return closed(VonMisesFisher(torch.eye(5)[0].double().expand(3, 5), k), UniformSphere(torch.zeros(5).double()))

    assert torch.autograd.gradcheck(rate, (kappa,))


# --- wrapped normal -------------------------------------------------------------------------------------------------
@pytest.fixture(params=[0.5, 1.0, 2.0])
def ball(request):
    return Ball(request.param)


def off_centre(ball, d=2, n=()):
    loc = ball.from_vector(torch.tensor([0.7, -0.4, 0.2])[:d].double()).expand(*n, d)
    return WrappedNormal(loc, torch.tensor([0.5, 0.8, 0.6])[:d].double().expand(*n, d), ball)


def test_the_wrapped_normal_integrates_to_one(ball):
    radius = 1 / math.sqrt(ball.curvature)
    axis = (torch.arange(1200).double() + 0.5) / 600 * radius - radius
    grid = torch.cartesian_prod(axis, axis)
    grid = grid[grid.norm(dim=-1) < 0.9999 * radius]
    volume = (2 / (1 - ball.curvature * grid.square().sum(-1))) ** 2 * (axis[1] - axis[0]) ** 2
    mass = (off_centre(ball).log_prob(grid).exp() * volume).sum()
    assert float(mass) == pytest.approx(1, abs=2e-3)


def test_wrapped_draws_follow_the_density(ball):
    q = off_centre(ball, 3)
    z = draw(q, (N,), grad=False)
    back = ball.seen_from(q.loc, z) / q.scale
    for i in range(3):
        assert stats.kstest(back[:, i].numpy(), "norm").pvalue > 1e-3
    p = WrappedNormal(torch.zeros(3).double(), torch.full((3,), 1.2).double(), ball)
    assert close_to_zero((p.log_prob(z) - q.log_prob(z)).exp() - 1)  # importance weights from one to the other


def test_hyperbolic_geometry(ball):
    a, b = (ball.from_vector(v) for v in torch.randn(2, 6, 3).double())
    c = ball.curvature

    def distance(u, v):
        inner = 1 + 2 * c * (u - v).square().sum(-1) / (1 - c * u.square().sum(-1)) / (1 - c * v.square().sum(-1))
        return torch.acosh(inner) / math.sqrt(c)

    torch.testing.assert_close(ball.seen_from(a, b).norm(dim=-1), distance(a, b))
    torch.testing.assert_close(ball.move(a, ball.seen_from(a, b)), b)
    for weight in (0.25, 0.8):
        torch.testing.assert_close(distance(a, ball.between(a, b, weight)), weight * distance(a, b))
        torch.testing.assert_close(distance(ball.between(a, b, weight), b), (1 - weight) * distance(a, b))
    torch.testing.assert_close(ball.as_vector(a).norm(dim=-1), distance(a, torch.zeros_like(a)))
    for r in (0.01, 0.0499, 0.05001):
        assert float(log_stretch(torch.tensor(r).double())) == pytest.approx(math.log(math.sinh(r) / r), rel=1e-7)


def test_a_flat_ball_is_the_normal_distribution():
    flat = Ball(1e-8)
    q = WrappedNormal(torch.tensor([0.15, -0.1]).double(), torch.tensor([0.5, 0.8]).double(), flat)
    z = torch.randn(5, 2).double()  # near the origin the ball's coordinates are half of orthonormal ones
    expected = Independent(Normal(2 * q.loc, q.scale), 1).log_prob(2 * z)
    torch.testing.assert_close(q.log_prob(z), expected, rtol=1e-5, atol=1e-5)


# --- simplex --------------------------------------------------------------------------------------------------------
ALPHA = torch.tensor([0.3, 1.0, 4.0]).double()


def test_dirichlet_draws_follow_the_density():
    z = draw(Dirichlet(ALPHA), (N,), grad=False)
    torch.testing.assert_close(z.sum(-1), torch.ones(N).double())
    for i in range(3):
        law = stats.beta(float(ALPHA[i]), float(ALPHA.sum() - ALPHA[i]))
        assert stats.kstest(z[:, i].numpy(), law.cdf).pvalue > 1e-3


def test_dirichlet_draws_carry_the_gradient_of_their_mean():
    alpha = ALPHA.expand(N, 3).clone().requires_grad_()
    z = draw(Dirichlet(alpha))
    for i in range(3):
        (found,) = torch.autograd.grad(z[:, i].sum(), alpha, retain_graph=True)
        total = ALPHA.sum()
        expected = (torch.eye(3).double()[i] * total - ALPHA[i]) / total**2
        assert close_to_zero(found - expected)


def test_rates_on_the_simplex_agree_with_monte_carlo():
    q, p = Dirichlet(ALPHA), Dirichlet(torch.full((3,), 0.9).double())
    z = draw(q, (N,), grad=False)
    assert close_to_zero(q.log_prob(z) - p.log_prob(z) - closed(q, p))
    prior = make("prior/logistic_normal", n_latent=3, scale=1.3).double()()
    q = LogisticNormal(Independent(Normal(torch.tensor([0.5, -1.0]).double(), torch.tensor([0.4, 0.9]).double()), 1))
    z = draw(q, (N,), grad=False)
    assert close_to_zero(q.log_prob(z) - prior.log_prob(z) - closed(q, prior))


def test_the_logistic_normal_integrates_to_one_and_its_prior_treats_all_shares_alike():
    q = make("prior/logistic_normal", n_latent=3, scale=0.8).double()()
    axis = (torch.arange(800).double() + 0.5) / 800
    grid = torch.cartesian_prod(axis, axis)
    grid = torch.cat([grid, 1 - grid.sum(-1, keepdim=True)], -1)
    grid = grid[grid[:, 2] > 1e-9]
    assert float(q.log_prob(grid).exp().sum() / 800**2) == pytest.approx(1, abs=3e-3)
    z = torch.tensor([[0.2, 0.3, 0.5], [0.5, 0.2, 0.3], [0.3, 0.5, 0.2]]).double()
    torch.testing.assert_close(q.log_prob(z), q.log_prob(z)[:1].expand(3))


# --- classes and bits -----------------------------------------------------------------------------------------------
LOGITS = torch.tensor([[0.5, -1.0, 0.3, 2.0, 0.0, -0.7]]).double()
CODES = {
    "classes": lambda **s: ClassCode(LOGITS, 3, **s),
    "bits": lambda **s: BitCode(LOGITS, **s),
}


def every_code(name):
    if name == "bits":
        return torch.tensor(list(product((0.0, 1.0), repeat=6))).double()
    eye = torch.eye(3).double()
    return torch.stack([torch.cat([a, b]) for a in eye for b in eye])


@pytest.mark.parametrize("name", CODES)
def test_codes_are_exact_without_gradients(name):
    q, every = CODES[name](), every_code(name)
    log_p = q.log_prob(every.unsqueeze(1)).squeeze(1)
    assert float(log_p.logsumexp(0)) == pytest.approx(0, abs=1e-12)
    with torch.no_grad():
        z = draw(q, (N,))[:, 0]
    counts = (z.unsqueeze(1) == every).all(-1).sum(0).double()
    assert counts.sum() == N
    assert stats.chisquare(counts.numpy(), (N * log_p.exp()).numpy()).pvalue > 1e-3
    p = (ClassCode(torch.zeros(6).double(), 3) if name == "classes" else BitCode(torch.zeros(6).double()))
    expected = (log_p.exp() * (log_p - p.log_prob(every))).sum()
    torch.testing.assert_close(kl_divergence(q, p).squeeze(), expected)


@pytest.mark.parametrize("name", CODES)
def test_relaxed_codes_at_the_limits_of_their_temperature(name):
    def drawn(temperature):
        with using(Noise.seeded(0)):
            return draw(CODES[name](temperature=temperature), (200,))

    with torch.no_grad():
        exact = drawn(1.0)
    torch.testing.assert_close(drawn(1e-4), exact, rtol=0, atol=1e-2)
    assert not torch.equal(drawn(1.0), exact)
    flat = torch.full_like(exact, 1 / 3 if name == "classes" else 0.5)
    torch.testing.assert_close(drawn(1e5), flat, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", CODES)
def test_straight_through_has_the_exact_value_and_the_relaxed_gradient(name):
    weight = torch.randn(6).double()
    values, slopes = [], []
    for estimator in ("straight_through", "relaxed"):
        logits = LOGITS.clone().requires_grad_()
        q = ClassCode(logits, 3, 0.8, estimator) if name == "classes" else BitCode(logits, 0.8, estimator)
        with using(Noise.seeded(0)):
            z = draw(q, (50,))
        values.append(z.detach())
        slopes.append(torch.autograd.grad((z * weight).sum(), logits)[0])
    assert ((values[0] - values[0].round()).abs() < 1e-12).all()
    assert not torch.equal(values[0], values[1])
    torch.testing.assert_close(slopes[0], slopes[1])
    assert (slopes[0] != 0).any()


# --- the evidence of whole models -----------------------------------------------------------------------------------
def grid_of(name):
    """Points of a two-dimensional space, with the log of the volume each stands for."""
    if name in ("class_codes", "bit_codes"):
        z = torch.eye(2) if name == "class_codes" else torch.tensor(list(product((0.0, 1.0), repeat=2)))
        return z.double(), torch.zeros(len(z)).double()
    t = (torch.arange(20_000).double() + 0.5) / 20_000
    if name == "von_mises_fisher":
        turn = 2 * math.pi * t
        return torch.stack([turn.cos(), turn.sin()], -1), torch.full_like(t, math.log(2 * math.pi / 20_000))
    if name != "wrapped_normal":
        return torch.stack([t, 1 - t], -1), torch.full_like(t, -math.log(20_000))
    axis = (torch.arange(400).double() + 0.5) / 200 - 1
    z = torch.cartesian_prod(axis, axis)
    z = z[z.norm(dim=-1) < 0.9999]
    return z, 2 * torch.log(2 / (1 - z.square().sum(-1))) + 2 * math.log(1 / 200)


PLACES = ("von_mises_fisher", "wrapped_normal", "dirichlet", "logistic_normal", "class_codes", "bit_codes")


@pytest.mark.parametrize("name", PLACES)
def test_estimated_likelihoods_are_the_evidence_by_quadrature(name):
    family = make(f"family/{name}")
    posterior = Posterior(MLPEncoder((4,), (5,), activation="tanh"), family, 2)
    with torch.no_grad():  # wide posteriors near their priors, for importance weights that do not degenerate
        posterior.head.weight.mul_(0.2)
        if name in ("wrapped_normal", "logistic_normal"):
            posterior.head.bias[len(posterior.head.bias) // 2 :] = 1.5
    likelihood = Likelihood(MLPDecoder(2, (1, 4), (5,), activation="tanh"), BernoulliFamily(), (4,))
    model = Flat(make(f"prior/{family.usual_prior}", n_latent=2), posterior, likelihood).double()
    batch = Batch((torch.rand(3, 4) < 0.5).double())
    z, log_volume = grid_of(name)
    with torch.no_grad():
        log_joint = model.generate((z.unsqueeze(1),)).log_prob(batch.x) + model.prior().log_prob(z).unsqueeze(1)
        exact = (log_joint + log_volume.unsqueeze(1)).logsumexp(0)
    found = log_likelihood(model, batch, k=4000)
    assert ((found.per_row - exact).abs() < 5 * found.monte_carlo_se + 3e-3).all()
    assert found.ess.min() > 50
    split = elbo(model, batch, n_samples=2000)
    assert (split.elbo < exact + 0.02).all()


# --- spaces ---------------------------------------------------------------------------------------------------------
def test_ways_and_coordinates_stay_in_their_space():
    a, b = torch.nn.functional.normalize(torch.randn(2, 5, 4).double(), dim=-1)
    for weight in (0.0, 0.3, 1.0):
        on = Sphere().between(a, b, weight)
        torch.testing.assert_close(on.norm(dim=-1), torch.ones(5).double())
        angles = [torch.acos((u * v).sum(-1).clamp(-1, 1)) for u, v in ((a, on), (a, b))]
        torch.testing.assert_close(angles[0], weight * angles[1], rtol=1e-6, atol=1e-6)
    value = torch.full((5,), 0.4).double()
    turned = Sphere().with_coordinate(a, 1, value)
    torch.testing.assert_close(turned[:, 1], value)
    torch.testing.assert_close(turned.norm(dim=-1), torch.ones(5).double())
    shares = Simplex().with_coordinate(a.abs() / a.abs().sum(-1, keepdim=True), -1, value)
    torch.testing.assert_close(shares.sum(-1), torch.ones(5).double())
    torch.testing.assert_close(shares[:, 0] / shares[:, 1], (a[:, 0] / a[:, 1]).abs())
    code = OneHot(2).with_coordinate(torch.tensor([[1.0, 0, 0, 1.0]]).double().repeat(5, 1), 2, value)
    torch.testing.assert_close(code[0], torch.tensor([1.0, 0.0, 0.4, 0.6]).double())
    last = OneHot(2).with_coordinate(torch.tensor([1.0, 0, 0, 1.0]).repeat(5, 3, 1), -1, torch.full((5, 3), 0.4))
    torch.testing.assert_close(last[4, 2], torch.tensor([1.0, 0.0, 0.6, 0.4]))  # of every step of a sequence
    for space, bad in ((Sphere(), 1.5), (Simplex(), -0.1), (OneHot(2), 2.0), (Bits(), 2.0)):
        with pytest.raises(SettingError, match="coordinate"):
            space.with_coordinate(a, 0, torch.full((5,), bad).double())


def frame_of(settings):
    return Frame((6,), Proposal(likelihood=Choice("bernoulli")), settings=Settings(settings))


@pytest.mark.parametrize("name", PLACES)
def test_a_chosen_posterior_brings_its_prior_and_another_one_is_refused(name):
    def made(**settings):
        chosen = {"n_latent": 4, "hidden": (5,), **settings}
        return build("vae", frame_of(chosen))[0]

    model = made(posterior=name)
    assert model.prior.space == model.posterior.space
    with pytest.raises(CombinationError, match="same space"):
        made(posterior=name, prior="standard_normal")
    if name != "wrapped_normal":
        with pytest.raises(CombinationError, match="temperature"):
            verbs.sample(model, 2, seed=0, temperature=0.5)


def test_shared_settings_reach_prior_and_posterior():
    for settings, space in (
        ({"posterior": "class_codes", "n_categories": 2}, OneHot(2)),
        ({"posterior": "wrapped_normal", "curvature": 0.5}, Ball(0.5)),
    ):
        frame = frame_of({"n_latent": 4, "hidden": (5,), **settings})
        model = build("vae", frame)[0]
        assert model.posterior.space == model.prior.space == space
    bad = {"n_latent": 4, "hidden": (5,), "posterior": "wrapped_normal", "prior.curvature": 2.0}
    with pytest.raises(CombinationError, match="curvature"):
        build("vae", frame_of(bad))
    bad = {"n_latent": 5, "hidden": (5,), "posterior": "class_codes", "n_categories": 2}
    with pytest.raises(SettingError, match="multiple"):
        build("vae", frame_of(bad))
