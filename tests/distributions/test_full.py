"""The normal with a full covariance, and the closed KLs between normals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from senzai.core.errors import CombinationError, ShapeError
from senzai.core.random import Noise
from senzai.distributions import (
    FullNormalFamily,
    NormalFamily,
    Unit,
    closed,
    draw,
    factorised,
    factors,
    marginal,
    point,
)

SIGMAS = 5.0
FAMILY = FullNormalFamily()


def raw_of(*lead, d=3):
    return torch.randn(*lead, *FAMILY.raw_shape((d,)), dtype=torch.float64)


def full(*lead, d=3):
    return FAMILY(raw_of(*lead, d=d), (d,))


def diagonal(*lead, d=3):
    return NormalFamily()(torch.randn(*lead, 2, d, dtype=torch.float64), (d,))


@pytest.mark.parametrize("d", [1, 2, 5])
def test_log_prob_agrees_with_scipy(d):
    raw, x = raw_of(6, d=d), torch.randn(6, d, dtype=torch.float64)
    p = FAMILY(raw, (d,))
    for i in range(6):
        tril = np.zeros((d, d))
        tril[np.tril_indices(d, -1)] = raw[i, 2 * d :]
        tril[np.diag_indices(d)] = np.logaddexp(0, raw[i, d : 2 * d].numpy()) + 1e-4
        expected = stats.multivariate_normal(raw[i, :d].numpy(), tril @ tril.T).logpdf(x[i].numpy())
        np.testing.assert_allclose(p.log_prob(x)[i], expected, rtol=1e-8)


def test_gradients_agree_with_finite_differences():
    raw, x = raw_of(2).requires_grad_(), torch.randn(2, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda r: FAMILY(r, (3,)).log_prob(x), (raw,))
    assert torch.autograd.gradcheck(lambda r: draw(FAMILY(r, (3,)), (2,), noise=Noise.seeded(0)), (raw,))


def test_draws_have_the_mean_and_the_covariance():
    p, n = full(2), 20_000
    x = draw(p, (n,), noise=Noise.seeded(1))
    assert ((x.mean(0) - p.mean).abs() < SIGMAS * x.std(0) / n**0.5).all()
    products = (x - p.mean).unsqueeze(-1) * (x - p.mean).unsqueeze(-2)
    assert ((products.mean(0) - p.covariance_matrix).abs() < SIGMAS * products.std(0) / n**0.5).all()


def test_a_row_draws_the_same_numbers_alone():
    raw = raw_of(6)
    whole = draw(FAMILY(raw, (3,)), (4,), noise=Noise.seeded(2))
    rows = draw(FAMILY(raw[2:5], (3,)), (4,), noise=Noise.seeded(2, offset=2, total=6))
    np.testing.assert_allclose(whole[:, 2:5], rows, rtol=1e-12)


@pytest.mark.parametrize("extreme", [50.0, 1e4])
def test_extreme_raw_numbers_have_finite_densities_and_gradients(extreme):
    signs = torch.tensor([-1.0, 1.0])
    raw = torch.cartesian_prod(signs, signs, signs, signs, signs).mul(extreme).requires_grad_()
    log_p = FAMILY(raw, (2,)).log_prob(torch.ones(2))
    (grad,) = torch.autograd.grad(log_p.sum(), raw)
    assert torch.isfinite(log_p).all()
    assert torch.isfinite(grad).all()


def test_units_change_the_scale_and_the_density():
    raw, u = raw_of(4), torch.randn(4, 3, dtype=torch.float64)
    unit = Unit(torch.tensor([1.0, 2.0, 3.0]).double(), torch.tensor([0.1, 2.0, 5.0]).double())
    changed = FAMILY(raw, (3,), unit).log_prob(unit.shift + unit.scale * u)
    np.testing.assert_allclose(changed, FAMILY(raw, (3,)).log_prob(u) - unit.scale.log().sum(), rtol=1e-9)


def test_a_start_has_the_moments_of_the_data():
    x = torch.tensor([2.0, 0.5, 3.0]) * torch.randn(500, 3) + torch.tensor([1.0, 0.0, -4.0])
    x[:, 1] = 0.0
    p = FAMILY(FAMILY.start(x, torch.ones_like(x)), (3,))
    np.testing.assert_allclose(p.mean, x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(p.stddev, x.std(0, correction=0).clamp_min(0.01), rtol=1e-4)


def test_events_are_vectors():
    with pytest.raises(ShapeError, match="Flatten"):
        FAMILY.raw_shape((2, 3))
    assert full(5, 4).batch_shape == (5, 4)


def test_per_row_gradients_by_vmap():
    raw, x = raw_of(4), torch.randn(4, 3, dtype=torch.float64)
    each = torch.func.vmap(torch.func.grad(lambda r, v: FAMILY(r, (3,)).log_prob(v)))(raw, x)
    together = torch.autograd.functional.jacobian(lambda r: FAMILY(r, (3,)).log_prob(x).sum(), raw)
    np.testing.assert_allclose(each, together, rtol=1e-9)


# --- closed forms ---------------------------------------------------------------------------------------------------
def as_full(p):
    if isinstance(p, MultivariateNormal):
        return p
    return MultivariateNormal(p.mean, scale_tril=torch.diag_embed(p.stddev))


PAIRS = {"full to diagonal": (full, diagonal), "diagonal to full": (diagonal, full), "diagonal": (diagonal, diagonal)}


@pytest.mark.parametrize("pair", PAIRS)
def test_closed_agrees_with_two_full_normals(pair):
    q, p = (make(6) for make in PAIRS[pair])
    np.testing.assert_allclose(closed(q, p), kl_divergence(as_full(q), as_full(p)), rtol=1e-9)


@pytest.mark.parametrize("pair", PAIRS)
def test_closed_agrees_with_monte_carlo(pair):
    n = 20_000
    q, p = (make(3) for make in PAIRS[pair])
    x = draw(q, (n,), noise=Noise.seeded(3))
    terms = q.log_prob(x) - p.log_prob(x)
    assert ((terms.mean(0) - closed(q, p)).abs() < SIGMAS * terms.std(0) / n**0.5).all()


@pytest.mark.parametrize("pair", PAIRS)
def test_closed_broadcasts_over_a_single_prior_and_is_zero_for_itself(pair):
    make_q, make_p = PAIRS[pair]
    q, p = make_q(5, 4), make_p()
    assert closed(q, p).shape == (5, 4)
    assert (closed(q, p) >= 0).all()
    loc, scale = torch.randn(3).double(), torch.rand(3).double() + 0.1
    same = {full: MultivariateNormal(loc, scale_tril=scale.diag()), diagonal: Independent(Normal(loc, scale), 1)}
    assert closed(same[make_q], same[make_p]).abs() < 1e-12


def test_closed_is_none_where_no_form_is_known():
    laplace = Independent(torch.distributions.Laplace(torch.zeros(3), torch.ones(3)), 1)
    assert closed(full(), laplace) is None
    assert closed(laplace, full()) is None
    assert closed(full(), Independent(Normal(torch.zeros(2, 3), 1.0), 2)) is None


def test_factors_are_the_marginals():
    p = full(4)
    one = factors(p)
    assert one.batch_shape == (4, 3)
    np.testing.assert_allclose(one.variance, p.covariance_matrix.diagonal(dim1=-2, dim2=-1), rtol=1e-10)
    assert not factorised(p)
    assert factorised(diagonal(4))
    assert factors(diagonal(4)).batch_shape == (4, 3)
    assert torch.equal(point(p), p.mean)


def test_a_marginal_of_dependent_entries_is_refused():
    with pytest.raises(CombinationError, match="elementwise family"):
        marginal(full(2), torch.ones(2, 3, dtype=torch.bool))
