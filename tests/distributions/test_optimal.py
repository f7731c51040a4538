"""The normal with the optimal scale."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal

from senzai.core.errors import CombinationError
from senzai.distributions import (
    NormalOptimalFamily,
    Observed,
    OptimalNormal,
    Unit,
    elementwise,
    marginal,
    optimal,
    with_scale,
)

FAMILY = NormalOptimalFamily()


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def test_the_optimal_scale_maximises_the_density():
    loc, x = numbers(5, 3), numbers(5, 3) * 2
    p = OptimalNormal(loc)
    best = p.optimal_scale(x)
    np.testing.assert_allclose(best, (x - loc).square().mean().sqrt())
    at = [Normal(loc, best * f).log_prob(x).sum() for f in (0.99, 1.0, 1.01)]
    assert at[1] > max(at[0], at[2])
    np.testing.assert_allclose(p.log_prob(x).sum(), at[1], rtol=1e-12)


def test_the_value_is_the_profiled_one():
    loc, x = numbers(5, 3), numbers(5, 3)
    mean_square = (x - loc).square().mean()
    expected = -0.5 * x.numel() * (torch.log(2 * torch.pi * mean_square) + 1)
    np.testing.assert_allclose(OptimalNormal(loc).log_prob(x).sum(), expected, rtol=1e-12)


@pytest.mark.parametrize("holes", [False, True])
def test_the_detached_scale_has_the_gradient_of_the_profile(holes):
    """Envelope theorem: the gradient through the scale is zero, so leaving it out changes nothing."""
    raw, x = numbers(6, 1, 4).requires_grad_(), numbers(6, 4)
    observed = torch.rand(6, 4) < (0.6 if holes else 2.0)
    unit = Unit(numbers(4), numbers(4).exp())
    p = marginal(FAMILY(raw, (4,), unit), observed)
    (detached,) = torch.autograd.grad(p.log_prob(x).sum(), raw)

    error = ((x - unit.shift - unit.scale * raw[:, 0]) / unit.scale)[observed]
    total = -0.5 * error.numel() * torch.log(error.square().mean())
    (through,) = torch.autograd.grad(total, raw)
    np.testing.assert_allclose(detached, through, rtol=1e-10, atol=1e-12)


def test_only_observed_entries_count():
    raw, x = numbers(6, 1, 4), numbers(6, 4)
    observed = torch.rand(6, 4) < 0.5
    error = (x - raw[:, 0])[observed]
    p = marginal(FAMILY(raw, (4,)), observed)
    filled = torch.where(observed, x, float("nan"))
    np.testing.assert_allclose(optimal(p).optimal_scale(filled), error.square().mean().sqrt(), rtol=1e-12)
    expected = -0.5 * error.numel() * (torch.log(2 * torch.pi * error.square().mean()) + 1)
    np.testing.assert_allclose(p.log_prob(filled).sum(), expected, rtol=1e-12)


def test_units_make_the_scale_relative():
    raw, u = numbers(6, 1, 2), numbers(6, 2)
    unit = Unit(torch.tensor([1.0, -2.0]).double(), torch.tensor([100.0, 0.1]).double())
    plain, changed = FAMILY(raw, (2,)), FAMILY(raw, (2,), unit)
    x = unit.shift + unit.scale * u
    np.testing.assert_allclose(optimal(changed).optimal_scale(x), optimal(plain).optimal_scale(u), rtol=1e-10)
    np.testing.assert_allclose(changed.log_prob(x), plain.log_prob(u) - unit.scale.log().sum(), rtol=1e-10)
    given = with_scale(changed, 2.0)
    np.testing.assert_allclose(given.stddev, (2 * unit.scale).expand(6, 2), rtol=1e-12)


def test_a_given_scale_ends_the_profile():
    loc, x = numbers(5, 3), numbers(5, 3)
    p = with_scale(Independent(OptimalNormal(loc), 1), 0.3)
    np.testing.assert_allclose(p.log_prob(x), Independent(Normal(loc, 0.3), 1).log_prob(x), rtol=1e-12)
    m = with_scale(marginal(FAMILY(numbers(5, 1, 3), (3,)), torch.ones(5, 3, dtype=torch.bool)), 0.3)
    assert isinstance(m, Observed)
    assert not optimal(m).profile


def test_squares_add_up_over_batches():
    loc, x = numbers(10, 3), numbers(10, 3)
    parts = [OptimalNormal(loc[i]).squares(x[i]) for i in (slice(4), slice(4, 10))]
    total, count = map(sum, zip(*parts, strict=True))
    np.testing.assert_allclose((total / count).sqrt(), OptimalNormal(loc).optimal_scale(x), rtol=1e-12)


def test_a_perfect_fit_stops_at_the_floor():
    loc = numbers(5, 3).requires_grad_()
    p = OptimalNormal(loc, floor=0.01)
    assert p.optimal_scale(loc.detach()) == 0.01
    (grad,) = torch.autograd.grad(p.log_prob(loc.detach()).sum(), loc)
    assert (grad == 0).all()


def test_several_draws_of_the_latent_share_one_scale():
    raw, x = numbers(7, 5, 1, 3), numbers(5, 3)
    p = FAMILY(raw, (3,))
    assert p.log_prob(x).shape == (7, 5)
    np.testing.assert_allclose(optimal(p).optimal_scale(x), (x - raw[:, :, 0]).square().mean().sqrt(), rtol=1e-12)
    observed = torch.rand(5, 3) < 0.5
    error = (x - raw[:, :, 0])[observed.expand(7, 5, 3)]
    m = marginal(p, observed)
    np.testing.assert_allclose(optimal(m).optimal_scale(x), error.square().mean().sqrt(), rtol=1e-12)
    assert elementwise(m, x).shape == (7, 5, 3)


def test_it_mixes_rows_and_says_so():
    assert FAMILY.mixes_rows
    loc, x = numbers(4, 2), numbers(4, 2)
    moved = x.clone()
    moved[0] += 10
    assert not torch.equal(OptimalNormal(loc).log_prob(x)[1:], OptimalNormal(loc).log_prob(moved)[1:])


def test_other_distributions_have_no_optimal_scale():
    with pytest.raises(CombinationError, match="normal_optimal"):
        with_scale(Independent(Normal(torch.zeros(2, 3), 1.0), 1), 1.0)
