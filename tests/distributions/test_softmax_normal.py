"""The softmax of normals, and the Dirichlet, against independent formulas and integrals."""

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats
from torch.distributions import Dirichlet, MultivariateNormal, kl_divergence

from senzai.core.random import Noise, using
from senzai.distributions import LogisticNormal, SoftmaxNormal, SoftmaxNormalFamily
from senzai.distributions.ops import draw, point
from senzai.parts import LogisticNormalPrior, SoftmaxNormalPrior


def ratios(loc, scale):
    """The normal over log ratios to the last share."""
    cov = torch.diag_embed(scale[..., :-1] ** 2) + (scale[..., -1:] ** 2).unsqueeze(-1)
    return MultivariateNormal(loc[..., :-1] - loc[..., -1:], cov)


@pytest.fixture
def two():
    g = torch.Generator().manual_seed(0)
    loc, scale = torch.randn(2, 3, 5, generator=g, dtype=torch.float64), torch.rand(
        2, 3, 5, generator=g, dtype=torch.float64) + 0.2
    return SoftmaxNormal(loc[0], scale[0]), SoftmaxNormal(loc[1], scale[1])


def test_density_is_that_of_a_normal_over_log_ratios(two):
    p, _ = two
    z = torch.softmax(torch.randn(7, 3, 5, dtype=torch.float64), -1)
    known = LogisticNormal(ratios(p.loc, p.scale))
    assert torch.allclose(p.log_prob(z), known.log_prob(z))


def test_density_integrates_to_one():
    p = SoftmaxNormal(torch.tensor([0.3, -0.5], dtype=torch.float64), torch.tensor([0.7, 1.1], dtype=torch.float64))
    whole, _ = integrate.quad(
        lambda a: float(p.log_prob(torch.tensor([a, 1 - a], dtype=torch.float64)).exp()), 1e-9, 1 - 1e-9, limit=200
    )
    assert abs(whole - 1) < 1e-6


def test_rate_is_that_of_normals_over_log_ratios(two):
    q, p = two
    known = kl_divergence(ratios(q.loc, q.scale), ratios(p.loc, p.scale))
    assert torch.allclose(kl_divergence(q, p), known)
    assert torch.allclose(kl_divergence(q, q), torch.zeros(3, dtype=torch.float64))


def test_rate_is_the_mean_of_the_difference_of_log_densities(two):
    q, p = two
    z = draw(q, (40_000,), noise=Noise.seeded(0))
    found = q.log_prob(z) - p.log_prob(z)
    assert ((found.mean(0) - kl_divergence(q, p)).abs() < 5 * found.std(0) / 200).all()


def test_no_share_is_special(two):
    q, p = two
    order = torch.tensor([4, 0, 3, 1, 2])
    turned = [SoftmaxNormal(d.loc[:, order], d.scale[:, order]) for d in (q, p)]
    assert torch.allclose(kl_divergence(*turned), kl_divergence(q, p))
    moved = SoftmaxNormal(q.loc + 3, q.scale)  # adding a number to all changes no share
    assert torch.allclose(kl_divergence(moved, p), kl_divergence(q, p))
    assert torch.allclose(point(moved), point(q))


def test_gradients_of_draws_agree_with_differences(two):
    q, _ = two
    loc = q.loc.clone().requires_grad_()

    def f(loc):
        with using(Noise.seeded(1)):
            return SoftmaxNormal(loc, q.scale).rsample((2,)).pow(2).sum()

    assert torch.autograd.gradcheck(f, (loc,))


def test_the_prior_is_laplaces_approximation():
    p = SoftmaxNormalPrior(4, concentration=0.5)()
    assert torch.allclose(p.scale**2, torch.full((4,), (1 / 0.5) * (1 - 1 / 4)))  # 1/a (1 - 2/K) + 1/K^2 sum 1/a
    z = torch.softmax(torch.randn(6, 4), -1)
    same = LogisticNormalPrior(4, scale=float(p.scale[0]))()
    assert torch.allclose(p.log_prob(z), same.log_prob(z), atol=1e-5)


def test_the_family_starts_where_it_is_told():
    family = SoftmaxNormalFamily()
    raw = family.start(torch.tensor([[0.2, 0.8], [0.4, 0.6]]), torch.ones(2, 2))
    assert torch.allclose(point(family(raw.unsqueeze(0), (2,)))[0], torch.tensor([0.3, 0.7]))


# --- Dirichlet --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("a", "b"), [([0.3, 2.0, 1.1], [0.1, 0.1, 0.1]), ([5.0, 0.02, 0.9], [1.0, 2.0, 3.0])])
def test_the_dirichlet_rate_is_its_closed_form(a, b):
    a, b = np.array(a), np.array(b)
    known = (
        special.gammaln(a.sum()) - special.gammaln(a).sum() - special.gammaln(b.sum()) + special.gammaln(b).sum()
        + ((a - b) * (special.digamma(a) - special.digamma(a.sum()))).sum()
    )
    assert float(kl_divergence(Dirichlet(torch.tensor(a)), Dirichlet(torch.tensor(b)))) == pytest.approx(known)


def test_the_dirichlet_rate_is_its_integral():
    q, p = stats.beta(2.5, 1.4), stats.beta(0.6, 0.6)
    known, _ = integrate.quad(lambda x: q.pdf(x) * (q.logpdf(x) - p.logpdf(x)), 0, 1)
    found = kl_divergence(Dirichlet(torch.tensor([2.5, 1.4])), Dirichlet(torch.tensor([0.6, 0.6])))
    assert float(found) == pytest.approx(known, abs=1e-5)
