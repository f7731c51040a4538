"""Formulas where a naive one overflows, cancels or divides by zero, against high-precision arithmetic."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch
from scipy import stats

from senzai.distributions import (
    BernoulliFamily,
    CategoricalFamily,
    ContinuousBernoulli,
    DiscretisedLogistic,
    LogPoisson,
    NegativeBinomial,
    OpenBeta,
    Ordinal,
    PoissonFamily,
    StableBernoulli,
    StudentT,
    ZeroInflatedNegativeBinomial,
    draw,
    logistic,
    point,
)
from senzai.distributions.numeric import log_rising, positive, positive_raw, tame

mpmath.mp.dps = 50


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_tame_is_the_identity_inside_and_smooth_outside():
    raw = f64(-3.0, -2.0, 0.0, 1.0, 2.0, 2.1, 50.0).requires_grad_()
    out = tame(raw, 2.0)
    expected = f64(-2 - np.log(2), -2, 0, 1, 2, 2 + np.log(1.1), 2 + np.log(49))
    np.testing.assert_allclose(out.detach(), expected, rtol=1e-12)
    (slope,) = torch.autograd.grad(out.sum(), raw)
    np.testing.assert_allclose(slope, f64(0.5, 1, 1, 1, 1, 1 / 1.1, 1 / 49), rtol=1e-12)


def test_positive_raw_undoes_positive():
    for floor in (1e-4, 1e-2):
        value = f64(0.02, 0.5, 3.0, 100.0, 1e6)
        np.testing.assert_allclose(positive(positive_raw(value, floor), floor), value, rtol=1e-8)


@pytest.mark.parametrize("a", [1e-3, 0.7, 5.0, 19.99, 20.01, 300.0, 1e6, 1e12])
@pytest.mark.parametrize("x", [0.0, 0.5, 1.0, 17.0, 4000.0])
def test_log_rising(a, x):
    exact = float(mpmath.loggamma(mpmath.mpf(a) + x) - mpmath.loggamma(mpmath.mpf(a)))
    np.testing.assert_allclose(log_rising(f64(a), f64(x)).item(), exact, rtol=2e-12, atol=1e-12)


def continuous_bernoulli(eta, x):
    eta = mpmath.mpf(eta)
    if eta == 0:
        return 0.0, 0.5, 1 / 12
    log_p = eta * mpmath.mpf(x) - mpmath.log(mpmath.expm1(eta) / eta)
    mean = 1 / (1 - mpmath.exp(-eta)) - 1 / eta
    variance = 1 / eta**2 - 1 / (4 * mpmath.sinh(eta / 2) ** 2)
    return float(log_p), float(mean), float(variance)


@pytest.mark.parametrize("eta", [0.0, 1e-12, 1e-5, 1e-2, 0.39, 0.4, 0.41, 1.0, 30.0, 800.0, 1e4])
@pytest.mark.parametrize("sign", [-1, 1])
def test_continuous_bernoulli(eta, sign):
    eta = sign * eta
    for x in (0.0, 0.25, 1.0):
        log_p, mean, variance = continuous_bernoulli(eta, x)
        p = ContinuousBernoulli(f64(eta))
        np.testing.assert_allclose(p.log_prob(f64(x)), log_p, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(p.mean, mean, rtol=1e-11)
        np.testing.assert_allclose(p.variance, variance, rtol=1e-9)
        single = ContinuousBernoulli(torch.tensor([eta]))
        np.testing.assert_allclose(single.log_prob(torch.tensor([x])), log_p, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(single.mean, mean, rtol=1e-5, atol=1e-6)


def test_continuous_bernoulli_gradients_exist_at_zero():
    eta = f64(0.0, 1e-9, 0.4, -0.4).requires_grad_()
    x = f64(0.3, 0.3, 0.3, 0.3)
    p = ContinuousBernoulli(eta)
    (grad,) = torch.autograd.grad(p.log_prob(x).sum(), eta)
    np.testing.assert_allclose(grad, x - p.mean.detach(), rtol=1e-10)
    assert torch.autograd.gradcheck(lambda e: ContinuousBernoulli(e).mean, (f64(0.3, -0.5, 2.0).requires_grad_(),))


def test_bernoulli_far_out():
    logits = torch.tensor([-1e4, -50.0, 50.0, 1e4])
    p = StableBernoulli(logits=logits, validate_args=False)
    np.testing.assert_allclose(p.log_prob(torch.zeros(4)), [0, 0, -50, -1e4], atol=1e-20)
    np.testing.assert_allclose(p.log_prob(torch.ones(4)), [-1e4, -50, 0, 0], atol=1e-20)


def test_bernoulli_has_a_mode_at_even_odds():
    assert torch.equal(BernoulliFamily()(torch.zeros(2, 1, 3), (3,)).mode, torch.zeros(2, 3))


def test_the_mean_of_a_bernoulli_is_a_probability_and_its_point_a_value():
    p = BernoulliFamily()(torch.full((2, 1, 3), 2.0), (3,))
    np.testing.assert_allclose(p.mean, torch.full((2, 3), 0.880797), rtol=1e-5)
    assert torch.equal(point(p), torch.ones(2, 3))


@pytest.mark.parametrize(("loc", "scale"), [(0.1, 1e-2), (0.1, 1e-6), (30.0, 0.1), (-30.0, 0.1), (0.3, 1e5)])
@pytest.mark.parametrize("level", [0, 1, 140, 254, 255])
def test_discretised_logistic_in_the_tails(loc, scale, level):
    got = DiscretisedLogistic(f64(loc), f64(scale), n=256).log_prob(f64(level)).item()
    with mpmath.workdps(700):  # digits enough to subtract numbers next to one
        edges = [(mpmath.mpf(2) * level + side) / 255 - 1 for side in (-1, 1)]
        low, high = (1 / (1 + mpmath.exp((loc - edge) / mpmath.mpf(scale))) for edge in edges)
        mass = (1 if level == 255 else high) - (0 if level == 0 else low)
        exact = float(mpmath.log(mass)) if mass > mpmath.mpf(10) ** -600 else None
    assert np.isfinite(got)
    if exact is not None:
        np.testing.assert_allclose(got, exact, rtol=1e-9, atol=1e-12)


def test_discretised_logistic_counts_two_levels_and_many():
    for n in (2, 3, 65536):
        p = DiscretisedLogistic(f64(0.2), f64(0.3), n=n)
        np.testing.assert_allclose(p.log_prob(torch.arange(n)).exp().sum(), 1, rtol=1e-9)


def test_negative_binomial_becomes_poisson():
    x = torch.arange(0.0, 30.0)
    close = NegativeBinomial(torch.tensor(2.0), torch.tensor(16.0))  # single precision
    np.testing.assert_allclose(close.log_prob(x), stats.poisson(np.exp(2)).logpmf(x), atol=2e-4)
    np.testing.assert_allclose(LogPoisson(torch.tensor(2.0)).log_prob(x), stats.poisson(np.exp(2)).logpmf(x), rtol=1e-5)


def test_zero_inflation_vanishes_with_its_gate():
    one, x = f64(0.7), torch.arange(10)
    without = NegativeBinomial(one, one)
    np.testing.assert_allclose(ZeroInflatedNegativeBinomial(one, one, f64(-50)).log_prob(x), without.log_prob(x))


def test_student_t_becomes_normal():
    x = torch.linspace(-4, 4, 9)
    p = StudentT(torch.zeros(()), torch.ones(()), torch.tensor(1e7))  # single precision
    np.testing.assert_allclose(p.log_prob(x), stats.norm().logpdf(x), atol=1e-5)


@pytest.mark.parametrize("df", [0.5, 1.5, 2.0, 3.0])
def test_student_t_moments_where_there_are_none(df):
    p = StudentT(f64(1.0), f64(2.0), f64(df))
    np.testing.assert_allclose(p.mean, stats.t(df, 1, 2).mean() if df > 1 else np.nan)
    np.testing.assert_allclose(p.variance, stats.t(df, 1, 2).var())


def test_beta_is_finite_at_the_ends():
    p = OpenBeta(f64(0.5), f64(3.0))
    inside = stats.beta(0.5, 3.0).logpdf([1e-6, 1 - 1e-6])
    np.testing.assert_allclose(p.log_prob(f64(0.0, 1.0)), inside, rtol=1e-9)
    assert p.mode == 0


def test_two_ordered_classes_are_a_bernoulli():
    loc = f64(-1.0, 0.3)
    p = Ordinal(loc, torch.zeros(2, 0, dtype=torch.float64))
    np.testing.assert_allclose(p.log_prob(f64(1, 1)), torch.nn.functional.logsigmoid(loc))


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float32])
def test_whole_numbers_may_be_stored_as_such(dtype):
    x = torch.tensor([[0, 2]], dtype=dtype)
    for family, n in ((PoissonFamily(), 1), (CategoricalFamily(n=3), 3)):
        p = family(torch.zeros(1, n, 2, dtype=torch.float64), (2,))
        assert p.log_prob(x).dtype == torch.float64
        np.testing.assert_allclose(p.log_prob(x), p.log_prob(x.double()))


def test_classes_are_long():
    p = CategoricalFamily(n=3)(torch.zeros(1, 3, 2), (2,))
    assert draw(p, grad=False).dtype == torch.int64
    assert point(p).dtype == torch.int64


@pytest.mark.parametrize("n", [1, 2, 5])
def test_places_of_components_are_even_with_mean_zero_and_variance_three_fifths(n):
    places = logistic.spread(n, like=torch.zeros((), dtype=torch.float64))
    np.testing.assert_allclose((places.mean(), places.var(unbiased=False)), (0, 0.6 if n > 1 else 0), atol=1e-12)
    np.testing.assert_allclose(places.diff().diff(), 0, atol=1e-12)
