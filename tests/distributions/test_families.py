"""The exam of every family in the catalogue."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch.distributions import Independent

from senzai.core.errors import SettingError
from senzai.core.random import Noise
from senzai.core.spec import from_spec, make, registry, to_spec
from senzai.distributions import (
    Family,
    Unit,
    draw,
    elementwise,
    marginal,
    over_event,
    point,
    split_raw,
    stand_in,
)

SIGMAS = 5.0


def oracle(case, raw, x):
    """Log densities of ``x`` (rows, d) under raw numbers (rows, n_raw, d), one by one."""
    pairs = np.ndindex(*x.shape)
    return np.array([case.oracle(raw[i, :, j].numpy(), x[i, j].item()) for i, j in pairs]).reshape(x.shape)


# --- registry -------------------------------------------------------------------------------------------------------
def test_every_registered_family_is_in_the_catalogue(catalogue):
    families = registry("family")
    ours = {name for name in families if families[name].usual_prior == Family.usual_prior}
    assert catalogue == {name for name in ours if not name.endswith("_given_depth")}  # test_given_depth has these


def test_a_family_survives_its_spec(case):
    assert from_spec(to_spec(case.family)) == case.family


def test_raw_numbers_are_named_and_counted(case):
    names = case.family.raw_names
    assert len(set(names)) == len(names)
    assert case.family.raw_shape((3, 5)) == (len(names), 3, 5)


BAD = {
    "normal": {"floor": 0.0},
    "normal_fixed": {"scale": -1.0},
    "normal_optimal": {"floor": float("nan")},
    "laplace": {"floor": -1e-3},
    "student_t": {"least_df": 0.0},
    "log_normal": {"floor": float("inf")},
    "beta": {"margin": 0.5},
    "discretised_logistic": {"levels": 1},
    "discretised_logistic_mixture": {"components": 0},
    "categorical": {"n": 1},
    "ordinal": {"n": 1},
    "full_normal": {"floor": 0.0},
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_settings_check_themselves(name):
    (key,) = BAD[name]
    with pytest.raises(SettingError, match=f"`{key}`"):
        make(f"family/{name}", **BAD[name])


# --- densities ------------------------------------------------------------------------------------------------------
def test_log_prob_agrees_with_scipy(case):
    raw, x = case.raw(40), case.x(40, 2)
    log_p = elementwise(case.distribution(raw), x)
    np.testing.assert_allclose(log_p, oracle(case, raw, x), rtol=1e-9, atol=1e-9)


def test_log_prob_sums_over_the_event_only(case):
    raw, x = case.raw(3, event=(2, 4)), case.x(3, 2, 4)
    p = case.distribution(raw, (2, 4))
    np.testing.assert_allclose(p.log_prob(x), elementwise(p, x).sum((-2, -1)), rtol=1e-12)


def test_densities_add_up_to_one(case):
    p = case.distribution(case.raw(3, event=(1,)), (1,))
    if case.discrete:
        total = p.log_prob(torch.tensor(case.grid()).reshape(-1, 1, 1)).exp().sum(0)
        np.testing.assert_allclose(total, 1, rtol=1e-9)
        return
    for i in range(3):

        def density(t, i=i):
            return p.log_prob(torch.tensor([case.place(t)]))[i].exp().item() * case.slope(t)

        total, error = integrate.quad(density, *case.span, limit=400, points=[0.0])
        assert abs(total - 1) < 1e-6 + error


def test_log_prob_in_single_precision_is_close(case):
    raw, x = case.raw(40), case.x(40, 2)
    exact = case.distribution(raw).log_prob(x)
    single = case.distribution(raw.float()).log_prob(x.float())
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single, exact, rtol=2e-5, atol=2e-5)


def test_gradients_agree_with_finite_differences(case):
    raw, x = case.raw(3).requires_grad_(), case.x(3, 2)
    assert torch.autograd.gradcheck(lambda r: case.distribution(r).log_prob(x), (raw,))


def test_units_change_the_scale_and_the_density(case):
    if not case.family.has_unit:
        raw = case.raw(3)
        unit = Unit(torch.tensor(5.0), torch.tensor(3.0))
        assert torch.equal(case.distribution(raw).mode, case.distribution(raw, unit=unit).mode)
        return
    shift, scale = torch.tensor([5.0, -1.0]).double(), torch.tensor([3.0, 0.2]).double()
    raw, u = case.raw(6), case.x(6, 2)
    plain, changed = case.distribution(raw), case.distribution(raw, unit=Unit(shift, scale))
    expected = plain.log_prob(u) - scale.log().sum()
    np.testing.assert_allclose(changed.log_prob(shift + scale * u), expected, rtol=1e-10)
    np.testing.assert_allclose(changed.mean, shift + scale * plain.mean, rtol=1e-12)
    np.testing.assert_allclose(changed.stddev, scale * plain.stddev, rtol=1e-12)


@pytest.mark.parametrize("extreme", [50.0, 1e4])
def test_extreme_raw_numbers_have_finite_densities_and_gradients(case, extreme):
    n = len(case.family.raw_names)
    signs = torch.stack(torch.meshgrid(*[torch.tensor([-1.0, 0.0, 1.0])] * min(n, 4), indexing="ij"), -1)
    signs = signs.reshape(-1, min(n, 4)).repeat(1, 4)[:, :n]
    raw = (extreme * signs).unsqueeze(-1).requires_grad_()
    for value in case.values:
        log_p = case.family(raw, (1,)).log_prob(torch.full((len(raw), 1), value))
        (grad,) = torch.autograd.grad(log_p.sum(), raw)
        assert torch.isfinite(log_p).all()
        assert torch.isfinite(grad).all()


# --- moments and draws ----------------------------------------------------------------------------------------------
def test_mean_and_variance_agree_with_draws(case):
    if case.name == "categorical":
        pytest.skip("classes have no mean")
    n = 20_000
    p = case.distribution(case.raw(3))
    x = draw(p, (n,), grad=False, noise=Noise.seeded(1))
    assert x.shape == (n, 3, 2)
    centred = x - p.mean
    assert (centred.mean(0).abs() < SIGMAS * x.std(0) / n**0.5).all()
    square = centred.square()
    assert ((square.mean(0) - p.variance).abs() < SIGMAS * square.std(0) / n**0.5).all()


def test_the_mode_is_the_likeliest_value(case):
    raw = case.raw(40)
    p = case.distribution(raw)
    best = elementwise(p, p.mode.double())
    if case.name == "continuous_bernoulli":
        others = torch.tensor([0.0, 0.5, 1.0]).double()
    else:
        others = torch.tensor(case.grid()[:: 1 if case.discrete else 100])
    each = elementwise(p, others[:400].double().reshape(-1, 1, 1).expand(-1, 40, 2))
    assert (each <= best + 1e-12).all()


def test_draws_follow_the_density(case):
    """Chi-square or Kolmogorov-Smirnov; one of a million right samplers would fail."""
    n = 20_000
    p = case.distribution(case.raw(1, event=(1,)), (1,))
    x = draw(p, (n,), grad=False, noise=Noise.seeded(2)).double().flatten().numpy()
    grid = case.grid()
    mass = p.log_prob(torch.tensor(grid).reshape(-1, 1, 1)).exp().flatten().numpy()
    if case.discrete:
        counts = np.bincount(x.astype(int), minlength=len(grid))
        often = mass * n >= 10
        seen, due = counts[often], n * mass[often]
        rest = (n - seen.sum(), n - due.sum())
        statistic = ((seen - due) ** 2 / due).sum() + ((rest[0] - rest[1]) ** 2 / rest[1] if rest[1] > 1e-3 else 0)
        assert stats.chi2.sf(statistic, often.sum()) > 1e-6
        assert counts.sum() == n
        return
    steps = np.linspace(*case.span, len(grid))
    cdf = integrate.cumulative_trapezoid(mass * case.slope(steps), steps, initial=0)
    assert stats.kstest(x, lambda v: np.interp(v, grid, cdf)).pvalue > 1e-6


def test_a_row_draws_the_same_numbers_alone(case):
    raw = case.raw(6)
    whole = draw(case.distribution(raw), (4,), grad=False, noise=Noise.seeded(3))
    rows = draw(case.distribution(raw[2:5]), (4,), grad=False, noise=Noise.seeded(3, offset=2, total=6))
    # Vector instructions round the last elements of a tensor differently on some processors.
    torch.testing.assert_close(whole[:, 2:5], rows, rtol=1e-6, atol=1e-7)


def test_draws_are_differentiable_or_refused(case):
    raw = case.raw(5).requires_grad_()
    p = case.distribution(raw)
    assert p.has_rsample is not case.discrete
    if case.discrete:
        with pytest.raises(ValueError, match="cannot be reparameterised"):
            draw(p)
        with pytest.raises(NotImplementedError):
            p.rsample()
        assert not draw(p, grad=False).requires_grad
        return
    (grad,) = torch.autograd.grad(draw(p, (3,)).sum(), raw)
    assert torch.isfinite(grad).all()
    assert (grad[:, 0] != 0).all()
    assert p.rsample((3,)).requires_grad
    assert not p.sample((3,)).requires_grad


def test_draws_carry_the_gradient_of_the_quantile(case):
    """Reparameterised: d x / d raw at fixed noise equals -(dF / d raw) / p(x), so E[d f(x)] is d E[f(x)]."""
    if case.discrete or case.rejects:
        pytest.skip("a draw is no smooth function of the noise")
    raw = case.raw(2).requires_grad_()
    assert torch.autograd.gradcheck(lambda r: draw(case.distribution(r), (3,), noise=Noise.seeded(4)), (raw,))


def test_the_ends_of_the_noise_give_finite_draws(case):
    class Ends(Noise):
        def uniform(self, shape, *, row_dim=1, dtype=None, device=None):
            top = 1 - torch.finfo(dtype).eps / 2
            return torch.tensor([0.0, top], dtype=dtype).repeat(10)[: shape[-1]].expand(shape).clone()

    x = draw(case.distribution(case.raw(3, dtype=torch.float32)), grad=False, noise=Ends())
    assert torch.isfinite(x).all()


# --- shapes ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("event", [(), (3,), (2, 3)])
@pytest.mark.parametrize("lead", [(), (4,), (5, 4)])
def test_lead_and_event_shapes(case, lead, event):
    raw = case.raw(*lead, event=event)
    p = case.distribution(raw, event)
    assert p.batch_shape == lead
    assert p.event_shape == event
    assert p.log_prob(case.x(*lead[1:], *event)).shape == lead
    assert p.mode.shape == (*lead, *event)
    assert p.mean.shape == (*lead, *event)
    assert draw(p, (7,), grad=False).shape == (7, *lead, *event)
    assert p.sample((7,)).shape == (7, *lead, *event)
    wide = p.expand((6, *lead))
    assert wide.batch_shape == (6, *lead)
    assert wide.event_shape == event
    x = case.x(6, *lead, *event)
    np.testing.assert_allclose(wide.log_prob(x), p.log_prob(x), rtol=1e-12)


def test_rows_do_not_depend_on_each_other(case):
    raw, x = case.raw(4), case.x(4, 2)
    jacobian = torch.autograd.functional.jacobian(lambda r: case.distribution(r).log_prob(x), raw)
    mixed = jacobian.abs().sum((-1, -2))[~torch.eye(4, dtype=torch.bool)]
    assert (mixed == 0).all()


def test_per_row_gradients_by_vmap(case):
    raw, x = case.raw(4), case.x(4, 2)

    def loss(r, v):
        return case.distribution(r).log_prob(v)

    each = torch.func.vmap(torch.func.grad(loss))(raw, x)
    together = torch.autograd.functional.jacobian(lambda r: loss(r, x).sum(), raw)
    np.testing.assert_allclose(each, together, rtol=1e-10, atol=1e-12)


def test_the_representative_value_is_in_the_support(case):
    p = case.distribution(case.raw(5))
    value = point(p)
    assert torch.equal(value, p.mode if case.discrete else p.mean)
    assert torch.isfinite(p.log_prob(value)).all()
    assert torch.isfinite(p.log_prob(stand_in(p).double())).all()


def test_split_raw_and_over_event_are_inverse_to_stacking():
    raw = torch.randn(4, 3, 2, 5)
    assert torch.equal(torch.stack(split_raw(raw, (2, 5)), 1), raw)
    assert over_event(torch.distributions.Normal(raw, 1.0), (2, 5)).batch_shape == (4, 3)


# --- missing values -------------------------------------------------------------------------------------------------
def test_a_marginal_sums_over_what_was_observed(case):
    raw, x = case.raw(50), case.x(50, 2)
    observed = torch.rand(50, 2) < 0.5
    p = case.distribution(raw)
    expected = (elementwise(p, x) * observed).sum(-1)
    np.testing.assert_allclose(marginal(p, observed).log_prob(x), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("hole", [float("nan"), float("inf"), -3.0])
def test_nothing_depends_on_what_stands_in_a_hole(case, hole):
    raw, x = case.raw(50), case.x(50, 2)
    raw[:10] = 0.0  # the very start of training, where a torch Bernoulli has no mode
    observed = torch.rand(50, 2) < 0.5
    results = []
    for filled in (x, torch.where(observed, x, hole)):
        leaf = raw.clone().requires_grad_()
        log_p = marginal(case.family(leaf, (2,)), observed).log_prob(filled)
        (grad,) = torch.autograd.grad(log_p.sum(), leaf)
        results.append((log_p.detach(), grad))
    assert torch.isfinite(results[0][0]).all()
    assert torch.isfinite(results[0][1]).all()
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_holes_are_harmless_at_extreme_raw_numbers(case):
    n = len(case.family.raw_names)
    raw = torch.tensor([-1e4, 0.0, 1e4]).reshape(3, 1, 1).expand(3, n, 2).clone().requires_grad_()
    observed = torch.tensor([True, False])
    x = torch.where(observed, float(case.values[1]), float("nan")).expand(3, 2)
    log_p = marginal(case.family(raw, (2,)), observed.expand(3, 2)).log_prob(x)
    (grad,) = torch.autograd.grad(log_p.sum(), raw)
    assert torch.isfinite(log_p).all()
    assert torch.isfinite(grad).all()
    if not case.family.mixes_rows:
        assert (grad[..., 1] == 0).all()


def test_a_marginal_keeps_draws_and_moments(case):
    p = case.distribution(case.raw(5))
    m = marginal(p, torch.rand(5, 2) < 0.5)
    assert torch.equal(draw(m, grad=False, noise=Noise.seeded(5)), draw(p, grad=False, noise=Noise.seeded(5)))
    assert torch.equal(point(m), point(p))
    assert m.has_rsample == p.has_rsample


# --- starts ---------------------------------------------------------------------------------------------------------
def test_a_start_has_the_moments_of_the_data(case):
    if case.name == "categorical":
        pytest.skip("classes have no mean")
    n = 4000
    data = draw(case.distribution(case.inner_raw(), (3,)), (n,), grad=False, noise=Noise.seeded(6))
    p = case.distribution(case.family.start(data, torch.ones_like(data)), (3,))
    if case.name == "log_normal":
        data, p = data.log(), NormalOfLog(p)
    square = (data - data.mean(0)).square()
    rounding = 0.1 if case.family.support == "levels" else 0.0  # a bin has a variance of its own
    assert ((p.mean - data.mean(0)).abs() < 1e-3 + rounding).all()
    if case.name not in {"normal_fixed", "normal_optimal"}:
        assert ((p.variance - square.mean(0)).abs() < rounding + SIGMAS * square.std(0) / n**0.5).all()


class NormalOfLog:
    """The normal distribution of the logarithm of a log-normal."""

    def __init__(self, p: Independent) -> None:
        self.mean, self.variance = p.base_dist.loc, p.base_dist.scale.square()


def test_a_start_ignores_holes(case):
    data = case.x(60, 2)
    observed = torch.rand(60, 2) < 0.7
    weight = observed.double()
    with_holes = case.family.start(torch.where(observed, data, float("nan")), weight)
    others = case.family.start(torch.where(observed, data, float(case.values[0])), weight)
    assert torch.isfinite(with_holes).all()
    assert torch.equal(with_holes, others)


@pytest.mark.parametrize("which", [0, -1])
def test_a_start_is_finite_for_constant_and_empty_columns(case, which):
    data = torch.full((20, 2), float(case.values[which]))
    weight = torch.ones(20, 2)
    weight[:, 1] = 0
    raw = case.family.start(data, weight)
    assert raw.shape == case.family.raw_shape((2,))
    assert torch.isfinite(raw).all()
    assert raw.abs().max() < 200
    assert torch.isfinite(case.distribution(raw).log_prob(data)).all()


def test_a_start_is_better_than_none(case):
    if case.name == "normal_optimal":
        pytest.skip("a profile has no parameter to start but the mean")
    raw = case.inner_raw() + (case.family.support != "levels")
    data = draw(case.distribution(raw, (3,)), (500,), grad=False, noise=Noise.seeded(8)).double()
    started = case.family.start(data, torch.ones_like(data))
    gain = case.distribution(started, (3,)).log_prob(data) - case.distribution(0 * started, (3,)).log_prob(data)
    assert gain.mean() > 0
