"""Counts far from zero, variates made from noise, and rows that do not see each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import Binomial, Gamma, Multinomial, VonMises

from senzai.core.random import Noise
from senzai.core.spec import registry
from senzai.distributions import draw, point
from senzai.distributions.copies import split_copies
from senzai.distributions.counts import LogPoisson, NegativeBinomial
from senzai.distributions.gamma_poisson import log_gamma_variate, poisson_variate
from senzai.distributions.location import OpenBeta
from senzai.distributions.ops import expected
from senzai.distributions.zero_inflated import ZeroInflatedNegativeBinomial
from senzai.testing.looking import GlobalDraws

SIZES = 10.0 ** np.arange(10)


def around(mean):
    return torch.tensor([0.0, mean // 3, mean, mean + 2 * mean**0.5, 2 * mean]).floor().float()


# --- densities ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mean", SIZES)
def test_densities_of_large_counts_are_those_of_scipy(mean):
    x, log_mean, log_r, gate = around(mean), torch.tensor(mean).float().log(), torch.tensor(2.5), torch.tensor(-1.0)
    mu, r, share, v = log_mean.double().exp().item(), float(np.exp(2.5)), 1 / (1 + np.e), x.double().numpy()
    counted = stats.nbinom.logpmf(v, r, r / (r + mu))
    inflated = np.where(v == 0, np.logaddexp(np.log(share), np.log1p(-share) + counted), np.log1p(-share) + counted)
    full = [t.expand(len(x)) for t in (log_mean, log_r, gate)]
    for p, oracle in (
        (LogPoisson(full[0]), stats.poisson.logpmf(v, mu)), (NegativeBinomial(*full[:2]), counted),
        (ZeroInflatedNegativeBinomial(*full), inflated),
    ):
        np.testing.assert_allclose(p.log_prob(x).double().numpy(), oracle, rtol=3e-7, atol=2e-5)


@pytest.mark.parametrize("mean", SIZES)
def test_gradients_of_large_counts_are_residuals(mean):
    x = around(mean)
    log_mean = torch.full((5,), float(np.log(mean))).requires_grad_()
    mu = log_mean.detach().double().exp()
    (slope,) = torch.autograd.grad(LogPoisson(log_mean).log_prob(x).sum(), log_mean)
    np.testing.assert_allclose(slope.double(), x.double() - mu, rtol=1e-5, atol=1e-5 * mean)
    (slope,) = torch.autograd.grad(NegativeBinomial(log_mean, torch.ones(5)).log_prob(x).sum(), log_mean)
    np.testing.assert_allclose(slope.double(), (x.double() - mu) / (1 + mu / np.e), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("total", [1.0, 1e3, 1e6])
def test_densities_of_concentrated_shares_are_those_of_scipy(total):
    a, b = torch.tensor([0.3, 0.5]) * total, torch.tensor([0.7, 0.5]) * total
    x = torch.tensor([0.3, 0.499])
    oracle = stats.beta.logpdf(x.double().numpy(), a.double().numpy(), b.double().numpy())
    np.testing.assert_allclose(OpenBeta(a, b).log_prob(x).double().numpy(), oracle, rtol=3e-7, atol=1e-5)


# --- draws ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rate", [0.0, 0.4, 9.9, 10.0, 37.0, 1e6])
def test_poisson_variates_follow_the_poisson(rate):
    x = poisson_variate(torch.full((100_000,), rate, dtype=torch.float64), Noise.seeded(3), 0).numpy()
    edges = np.unique(stats.poisson.ppf(np.linspace(0.01, 0.99, 30), rate))
    counts = np.diff([0, *np.searchsorted(np.sort(x), edges, side="right"), len(x)])
    shares = np.diff([0, *stats.poisson.cdf(edges, rate), 1])
    assert rate == 0 or stats.chisquare(counts[shares > 0], len(x) * shares[shares > 0]).pvalue > 1e-4
    assert counts[shares == 0].sum() == 0


@pytest.mark.parametrize("shape", [0.05, 1.0, 300.0])
def test_gamma_variates_follow_the_gamma(shape):
    x = log_gamma_variate(torch.full((50_000,), shape, dtype=torch.float64), Noise.seeded(4), 0).exp().numpy()
    assert stats.kstest(x, stats.gamma(shape).cdf).pvalue > 1e-4


def test_a_slow_row_does_not_move_the_numbers_of_others():
    """However often one row has to propose, what its neighbours and later distributions draw stays the same."""

    def drawn(first):
        noise = Noise.seeded(5)
        rate = torch.tensor([[first] * 40, [50.0] * 40])
        return poisson_variate(rate, noise, 0)[1], noise.normal((3, 2))

    for a, b in zip(drawn(0.1), drawn(11.0), strict=True):
        assert torch.equal(a, b)


def test_copies_of_a_batch_draw_what_belongs_to_their_rows():
    p = split_copies(LogPoisson(torch.full((3 * 4,), 2.0)), 3)
    part = split_copies(LogPoisson(torch.full((3 * 2,), 2.0)), 3)
    whole = draw(p, grad=False, noise=Noise.seeded(1, total=4), lead=1)
    assert torch.equal(draw(part, grad=False, noise=Noise.seeded(1, offset=2, total=4), lead=1), whole[:, 2:])


@pytest.mark.parametrize(
    "p",
    [
        Gamma(torch.ones(3), 1.0), Binomial(5, torch.full((3,), 0.5)), Multinomial(5, torch.ones(3, 4)),
        VonMises(torch.zeros(3), 1.0),
    ],
    ids=lambda p: type(p).__name__,
)
def test_samplers_that_are_not_ours_take_their_numbers_from_the_seed_alone(p):
    with GlobalDraws() as taken:
        first = draw(p, (5,), grad=False, noise=Noise.seeded(1))
    torch.rand(3)
    assert torch.equal(first, draw(p, (5,), grad=False, noise=Noise.seeded(1)))
    assert not torch.equal(first, draw(p, (5,), grad=False, noise=Noise.seeded(2)))
    assert not taken.names


# --- rows by themselves ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("look", [expected, point])
def test_a_row_is_shown_the_same_beside_one_that_overflows(look):
    family, raw = registry("family")["log_normal"](), torch.full((2, 2, 3), 0.5)
    alone = look(family(raw, (3,)))[0].clone()
    raw[1, 1] = 1000.0
    both = look(family(raw, (3,)))
    assert torch.equal(both[0], alone)
    assert torch.isfinite(both).all()
