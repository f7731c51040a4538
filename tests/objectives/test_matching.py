"""Total correlation, moments, discrepancy, capacity: against closed forms and sums over everything."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal

from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import Noise, using
from senzai.distributions import FullNormalFamily, NormalFixedFamily, factors
from senzai.objectives import (
    DIP,
    ELBO,
    MMD,
    RAE,
    Aggressive,
    Capacity,
    ImportanceWeighted,
    LinearWarmup,
    ShareWarmup,
    TotalCorrelation,
)
from senzai.objectives.dip import covariance, moment_penalty
from senzai.objectives.labels import ProbedBound
from senzai.objectives.mmd import kernel_of, prior_draws, squared_mmd
from senzai.objectives.rae import squared_jacobian
from senzai.objectives.total_correlation import log_aggregate, log_weights


def rows_of(n, scale=0.5, correlation=0.8):
    """Normal posteriors with fixed scale around normal, correlated means; the aggregate is normal too."""
    S = torch.tensor([[1.0, correlation], [correlation, 1.0]]).double()
    loc = MultivariateNormal(torch.zeros(2).double(), S).sample((n,))
    return loc, torch.full_like(loc, scale), S + scale**2 * torch.eye(2).double()


def q_of(loc, scale):
    return Independent(Normal(loc, scale), 1)


# --- total correlation ----------------------------------------------------------------------------------------------
def test_the_total_correlation_of_a_normal_is_known():
    loc, scale, C = rows_of(1200)
    z = loc + scale * torch.randn_like(loc)
    q = q_of(loc, scale)
    values = log_aggregate(q, factors(q), z, 1200).total_correlation
    exact = 0.5 * (C.diagonal().log().sum() - torch.logdet(C))
    assert abs(float(values.mean() - exact)) < 5 * float(values.std()) / 1200**0.5
    assert exact > 0.2


def test_of_independent_dimensions_it_is_nothing():
    loc, scale, _ = rows_of(1200, correlation=0.0)
    z = loc + scale * torch.randn_like(loc)
    q = q_of(loc, scale)
    values = log_aggregate(q, factors(q), z, 1200).total_correlation
    assert abs(float(values.mean())) < 5 * float(values.std()) / 1200**0.5 + 0.01


def test_stratified_sampling_is_unbiased_over_all_batches_with_the_row():
    """Every batch of four of seven rows that contains row 0, exactly."""
    loc, scale, _ = rows_of(7)
    z = loc + scale * torch.randn_like(loc)
    exact = q_of(loc, scale).log_prob(z[:1].unsqueeze(1)).exp().mean(1)
    exact_each = Normal(loc, scale).log_prob(z[:1].unsqueeze(1)).exp().mean(1)
    found, each = [], []
    for others in combinations(range(1, 7), 3):
        i = torch.tensor([*others, 0])
        q = q_of(loc[i], scale[i])
        a = log_aggregate(q, factors(q), z[i], 7)
        found.append(a.joint[-1].exp())
        each.append(a.by_dimension[-1].exp())
    torch.testing.assert_close(torch.stack(found).mean(), exact[0])
    torch.testing.assert_close(torch.stack(each).mean(0), exact_each[0])


def test_with_the_whole_data_as_batch_it_is_exact():
    loc, scale, _ = rows_of(9)
    z = loc + scale * torch.randn_like(loc)
    q = q_of(loc, scale)
    pairs = torch.stack([q.log_prob(z[i].expand(9, 2)) for i in range(9)])
    a = log_aggregate(q, factors(q), z, 9)
    torch.testing.assert_close(a.joint, pairs.exp().mean(1).log())
    exact = torch.stack([Normal(loc, scale).log_prob(z[i].expand(9, 2)).exp().mean(0).log() for i in range(9)])
    torch.testing.assert_close(a.by_dimension, exact)


def test_weights_stand_on_the_diagonal_and_add_up():
    W = log_weights(4, 10, "stratified").exp()
    torch.testing.assert_close(W.diagonal(), torch.full((4,), 0.1))
    off = W[~torch.eye(4, dtype=torch.bool)]
    torch.testing.assert_close(off, torch.full((12,), 9 / 30))
    torch.testing.assert_close(log_weights(4, 10, "weighted").exp(), torch.full((4, 4), 1 / 40))
    assert torch.isfinite(log_weights(1, 10, "stratified")).all()


@pytest.mark.parametrize("sampling", ["stratified", "weighted"])
@pytest.mark.parametrize("family", [None, FullNormalFamily()], ids=["diagonal", "full"])
def test_with_equal_weights_the_parts_are_the_one_draw_bound(model_of, batch, terms, sampling, family):
    model = model_of(family)
    found = terms(TotalCorrelation(n_rows=50, beta=1.0, sampling=sampling), model, batch)
    with using(Noise.seeded(1)):
        seen = model.infer(batch)
    torch.testing.assert_close(found.loss, -seen.log_w[0])
    torch.testing.assert_close(found.watch["rate"], seen.groups[0].rate()[0])


def test_each_part_has_its_own_weight(model_of, batch, terms):
    model = model_of()
    one = terms(TotalCorrelation(n_rows=50, beta=1.0), model, batch).parts
    names = {
        "information_weight": "mutual_information", "beta": "total_correlation",
        "dimension_weight": "dimension_wise_rate",
    }
    for setting, name in names.items():
        found = terms(TotalCorrelation(**{"n_rows": 50, "beta": 1.0, setting: 3.0}), model, batch).parts
        for k in one:
            torch.testing.assert_close(found[k], (3 if k == name else 1) * one[k])


# --- capacity -------------------------------------------------------------------------------------------------------
def test_capacity_is_the_distance_from_a_growing_rate(model_of, batch, terms):
    model = model_of()
    plain = terms(ELBO(), model, batch)
    for step, target in ((0, 0.0), (5, 1.0), (10, 2.0), (99, 2.0)):
        found = terms(Capacity(gamma=7.0, capacity=2.0, warmup=LinearWarmup(10)), model, batch, step)
        expected = plain.parts["distortion"] + 7 * (plain.parts["rate"] - target).abs()
        torch.testing.assert_close(found.loss, expected)
    assert Capacity(warmup=LinearWarmup(10)).settled_after == 10


def test_capacity_limits(model_of, batch, terms):
    model = model_of()
    torch.testing.assert_close(terms(Capacity(gamma=0.0), model, batch).loss, terms(ELBO(beta=0.0), model, batch).loss)
    at_zero = terms(Capacity(gamma=4.0, capacity=0.0), model, batch).loss
    torch.testing.assert_close(at_zero, terms(ELBO(beta=4.0), model, batch).loss)


def test_a_share_of_training_becomes_steps():
    told = Capacity(warmup=ShareWarmup(0.5)).over(40)
    assert told == Capacity(warmup=LinearWarmup(20))
    assert ProbedBound(Aggressive(until=0.5)).over(40) == ProbedBound(Aggressive(until=20.0))
    assert ELBO().over(40) == ELBO()
    with pytest.raises(SettingError, match="length"):
        ShareWarmup(0.5).factor(0)
    with pytest.raises(SettingError, match="length"):
        ShareWarmup(0.5).end  # noqa: B018
    with pytest.raises(SettingError):
        ShareWarmup(0.0)


# --- moments --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dip", ["i", "ii"])
@pytest.mark.parametrize("family", [None, FullNormalFamily()], ids=["diagonal", "full"])
def test_the_penalty_is_that_of_numpys_covariance(model_of, batch, terms, dip, family):
    model = model_of(family)
    q = model.posterior(batch)
    C = np.cov(q.mean.detach().numpy().T, bias=True)
    if dip == "ii":
        L = q.scale_tril if family else torch.diag_embed(q.stddev)
        C = C + (L @ L.mT).mean(0).detach().numpy()
    off = C - np.diag(np.diag(C))
    by_hand = 3.0 * (off**2).sum() + 5.0 * ((np.diag(C) - 1) ** 2).sum()
    found = terms(DIP(off_diagonal=3.0, diagonal=5.0, dip=dip), model, batch)
    assert float(found.parts["moments"][0].detach()) == pytest.approx(by_hand)
    torch.testing.assert_close(found.loss - found.parts["moments"], terms(ELBO(), model, batch).loss)


def test_no_penalty_where_the_codes_are_standard():
    assert float(moment_penalty(torch.eye(3), 10.0, 10.0)) == 0
    loc = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]).double()
    q = q_of(loc, torch.full_like(loc, 0.5**0.5))
    torch.testing.assert_close(covariance(q, within=True), torch.eye(2).double())


# --- discrepancy ----------------------------------------------------------------------------------------------------
def normal_rbf(m, s, t, d, c):
    """E k(a, b) of the rbf kernel for a ~ N(m 1, s^2), b ~ N(0, t^2) in d dimensions."""
    wide = c + 2 * (s**2 + t**2)
    return (c / wide) ** (d / 2) * np.exp(-d * m**2 / wide)


def test_the_discrepancy_of_two_normals_is_known():
    n, d, m, s = 800, 2, 0.7, 0.6
    c = 2 * d
    exact = normal_rbf(0, s, s, d, c) + normal_rbf(0, 1, 1, d, c) - 2 * normal_rbf(m, s, 1, d, c)
    values = [
        float(squared_mmd(m + s * torch.randn(n, d), torch.randn(n, d), kernel_of("rbf")).mean()) for _ in range(5)
    ]
    assert abs(np.mean(values) - exact) < 5 * np.std(values) / 5**0.5 + 0.002
    assert exact > 0.05


@pytest.mark.parametrize("kernel", ["rbf", "imq", "multi_rbf", "multi_imq"])
def test_of_equal_distributions_it_is_zero_in_the_mean(kernel):
    k = kernel_of(kernel)
    values = torch.stack([squared_mmd(torch.randn(20, 3), torch.randn(20, 3), k).mean() for _ in range(400)])
    assert abs(float(values.mean())) < 5 * float(values.std()) / 20
    assert (values < 0).any()  # unbiased, so not always positive


@pytest.mark.parametrize("kernel", ["rbf", "imq", "multi_rbf", "multi_imq"])
def test_its_mean_over_rows_is_the_double_sum(kernel):
    a, b, n = torch.randn(5, 2).double(), torch.randn(5, 2).double() + 1, 5
    k = kernel_of(kernel, 0.7)

    def one(u, v):
        return float(k(u[None], v[None]))

    within = sum(one(s[i], s[j]) for s in (a, b) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    across = sum(one(a[i], b[j]) for i in range(n) for j in range(n)) / n**2
    assert float(squared_mmd(a, b, k).mean()) == pytest.approx(within - 2 * across)
    assert one(a[0], a[0]) == pytest.approx(1)


def test_kernels_by_hand():
    a, b = torch.zeros(1, 3).double(), torch.ones(1, 3).double()  # squared distance 3, c = 6 * bandwidth^2
    assert float(kernel_of("rbf", 2.0)(a, b)) == pytest.approx(np.exp(-3 / 24))
    assert float(kernel_of("imq", 2.0)(a, b)) == pytest.approx(24 / 27)


def test_draws_from_the_prior_are_a_rows_own(model_of, batch):
    p = model_of().prior()
    with using(Noise.seeded(2)):
        whole = prior_draws(p, 6)
    with using(Noise.seeded(2, offset=4, total=6)):
        part = prior_draws(p, 2)
    assert whole.shape == (6, 3)
    assert torch.equal(whole[4:], part)


def test_without_the_discrepancy_it_is_the_weighted_bound(model_of, batch, terms):
    model = model_of()
    found = terms(MMD(beta=0.3, mmd_weight=0.0), model, batch)
    torch.testing.assert_close(found.loss, terms(ELBO(beta=0.3), model, batch).loss)


def test_a_single_row_has_a_finite_loss(model_of, batch, terms):
    for objective in (MMD(), DIP(), TotalCorrelation(n_rows=9)):
        assert torch.isfinite(terms(objective, model_of(), batch.take(slice(0, 1))).loss).all()


# --- regularised autoencoders ---------------------------------------------------------------------------------------
def test_the_code_is_the_posteriors_point(model_of, batch, terms):
    model = model_of()
    found = terms(RAE(code_weight=3.0, decoder_weight=0.0), model, batch)
    mean = model.posterior(batch).mean
    torch.testing.assert_close(found.parts["code_size"], 1.5 * mean.square().sum(-1))
    torch.testing.assert_close(found.parts["distortion"], -model.likelihood(mean).log_prob(batch.tensor))
    with using(Noise.seeded(99)):
        assert torch.equal(RAE(decoder_weight=0.0)(model, batch, 0).loss, RAE(decoder_weight=0.0)(model, batch, 0).loss)


def test_the_weights_of_the_decoder_count_once(model_of, batch, terms):
    model = model_of()
    found = terms(RAE(decoder_weight=2.0), model, batch)
    by_hand = 2 * sum(p.square().sum() for p in model.likelihood.decoder.parameters() if p.ndim > 1)
    by_hand = by_hand + 2 * model.likelihood.bias.square().sum()
    torch.testing.assert_close(found.parts["decoder"], by_hand.expand(6))
    assert (terms(RAE(smoothing="none"), model, batch).parts["decoder"] == 0).all()


def test_the_gradient_penalty_is_the_jacobians_squared_norm(linear_of):
    model, batch = linear_of(20_000)
    z = model.posterior(batch).mean
    with using(Noise.seeded(1)):
        found = squared_jacobian(model, z)
    exact = float(model.likelihood.W.detach().square().sum())
    found = found.detach()
    assert abs(float(found.mean()) - exact) < 5 * float(found.std()) / 20_000**0.5
    with torch.no_grad(), using(Noise.seeded(1)):
        torch.testing.assert_close(squared_jacobian(model, z.detach()), found)


def test_the_gradient_penalty_trains_the_decoder(model_of, batch, terms):
    model = model_of()
    terms(RAE(smoothing="gradient"), model, batch).parts["decoder"].sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.likelihood.decoder.parameters() if p.ndim > 1)


# --- what cannot work -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("objective", [MMD(), DIP(), TotalCorrelation(n_rows=9), RAE()])
def test_codes_are_refused_when_built(linear_of, objective):
    model, _ = linear_of(2)
    model.posterior.example = lambda: Independent(torch.distributions.Categorical(torch.ones(1, 2, 3)), 1)
    with pytest.raises(CombinationError, match="posterior is Categorical"):
        objective.check(model)


def test_a_posterior_without_factors_is_refused_when_built_or_at_the_first_batch(linear_of):
    from torch.distributions import LowRankMultivariateNormal

    model, batch = linear_of(2)
    q = LowRankMultivariateNormal(*(torch.ones(2, 2, *more).double() for more in ((), (1,), ())))
    model.posterior.example = lambda: q
    for objective in (TotalCorrelation(n_rows=9), DIP()):
        with pytest.raises(CombinationError, match="LowRank"):
            objective.check(model)
    model.posterior.example, model.posterior.forward = (lambda: None), (lambda batch: q)
    TotalCorrelation(n_rows=9).check(model)
    with pytest.raises(CombinationError, match="LowRank"):
        TotalCorrelation(n_rows=9)(model, batch, 0)


@pytest.mark.parametrize("objective", [DIP(), TotalCorrelation(n_rows=9), ImportanceWeighted(gradient="dreg")])
def test_latents_without_a_density_of_their_own_are_refused(linear_of, monkeypatch, objective):
    model, _ = linear_of(2)
    objective.check(model)
    monkeypatch.setattr(type(model.posterior), "needs_joint", True)
    with pytest.raises(CombinationError, match="FreePosterior"):
        objective.check(model)
    MMD().check(model)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TotalCorrelation(n_rows=0), lambda: TotalCorrelation(n_rows=5, sampling="all"),
        lambda: TotalCorrelation(n_rows=5, beta=-1.0), lambda: DIP(dip="iii"), lambda: DIP(diagonal=-1.0),
        lambda: MMD(kernel="linear"), lambda: MMD(bandwidth=0.0), lambda: MMD(mmd_weight=float("nan")),
        lambda: Capacity(gamma=-1.0), lambda: Capacity(capacity=-1.0), lambda: RAE(smoothing="much"),
        lambda: RAE(code_weight=-1.0),
    ],
)
def test_settings_check_themselves(make):
    with pytest.raises(SettingError):
        make()


def test_a_nearly_deterministic_posterior_is_welcome(model_of, batch, terms):
    model = model_of(NormalFixedFamily(scale=0.01))
    for objective in (MMD(), RAE()):
        objective.check(model)
        assert torch.isfinite(terms(objective, model, batch).loss).all()
