"""Annealing and bidirectional Monte Carlo against the exact evidence of linear-Gaussian models."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Categorical, Independent, OneHotCategorical

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.evaluation import Annealing, annealed_log_likelihood, bidirectional, simulate
from senzai.evaluation.annealing import AnnealingPath, _scales, check_continuous
from senzai.models import Group, Inference


@pytest.mark.parametrize("start", ["posterior", "prior"])
def test_annealing_finds_the_exact_evidence(linear, start):
    x = linear.sample(12)
    spoilt = linear.model(shift=0.6, stretch=1.4)
    steps = 60 if start == "posterior" else 150
    found = annealed_log_likelihood(spoilt, Batch(x), Annealing(steps, 16, 5, start))
    assert abs(float((found.per_row - linear.log_p(x)).mean())) < 0.05
    assert 0.3 < float(found.acceptance.mean()) <= 1
    assert found.ess_median > 8


def test_with_the_exact_posterior_every_weight_is_the_evidence(linear):
    x = linear.sample(4)
    found = annealed_log_likelihood(linear.model(), Batch(x), Annealing(5, 3))
    torch.testing.assert_close(found.per_row, linear.log_p(x), atol=1e-5, rtol=0)
    assert bool((found.monte_carlo_se < 1e-4).all())


def test_weights_average_to_the_evidence_without_bias(linear):
    """Few steps, a poor start: the mean of the weights must still be p(x), within five standard errors."""
    x = linear.sample(1)
    batch = Batch(x.expand(400, -1))
    found = annealed_log_likelihood(linear.model(shift=0.8), batch, Annealing(4, 8, 2), rows_at_once=400)
    ratio = (found.per_row - linear.log_p(x)).exp()
    assert abs(float(ratio.mean()) - 1) < 5 * float(ratio.std()) / 20
    assert float(ratio.std()) > 0.05


def test_numbers_do_not_depend_on_the_rows_beside_them(linear):
    x = linear.sample(5)
    model, settings = linear.model(shift=0.5), Annealing(8, 3)
    whole = annealed_log_likelihood(model, Batch(x), settings)
    pieces = annealed_log_likelihood(model, Batch(x), settings, rows_at_once=2)
    torch.testing.assert_close(whole.per_row, pieces.per_row)
    other = annealed_log_likelihood(model, Batch(x), Annealing(8, 3, seed=1))
    assert not torch.equal(whole.per_row, other.per_row)


def test_both_sides_bracket_the_exact_evidence(linear):
    model = linear.model(shift=0.4, stretch=1.3)
    settings = Annealing(60, 16, 5)
    found = bidirectional(model, 40, settings, k=200)
    exact = linear.log_p(simulate(model, 40, seed=0)[0].tensor)
    for distance in (exact - found.lower, found.upper - exact):
        assert -4 * float(distance.std()) / 40**0.5 < float(distance.mean()) < 0.05
    assert abs(found.gap.value) < 0.05
    assert found.gap.n == 40


def test_the_bracket_is_wide_and_on_the_right_sides_when_annealing_is_short(linear):
    model = linear.model(shift=1.0)
    found = bidirectional(model, 300, Annealing(2, 1, 1), k=1)
    exact = linear.log_p(simulate(model, 300, seed=0)[0].tensor)
    for difference in (exact - found.lower, found.upper - exact):
        assert float(difference.mean()) > 5 * float(difference.std()) / 300**0.5
    assert found.elbo_looseness.value > found.looseness.value - 0.3


def test_the_looseness_of_the_elbo_is_the_rate_to_the_true_posterior(linear):
    model = linear.model(shift=0.5)
    found = bidirectional(model, 60, Annealing(60, 8, 5))
    precision = torch.linalg.inv(linear.posterior(torch.zeros(1, linear.D).double()).covariance_matrix)
    shift = torch.full((linear.d,), 0.5).double()
    exact = 0.5 * float(shift @ precision.reshape(linear.d, linear.d) @ shift)
    assert found.elbo_looseness.value == pytest.approx(exact, abs=5 * found.elbo_looseness.se + 0.05)


@pytest.mark.parametrize(("start", "first"), [("posterior", 0.2), ("prior", 3.0)])
def test_moves_are_as_wide_as_what_they_move_in(start, first):
    q, p = (Independent(torch.distributions.Normal(torch.zeros(2, 1), s), 1) for s in (0.2, 3.0))
    scales = _scales(Group("z", q.sample((3,)), q, p), start)
    path = AnnealingPath(None, None, Annealing(start=start), 0, (scales,), torch.empty(0))
    for beta, width in ((0.0, first), (0.5, (0.5 / first**2 + 0.5 / 0.2**2) ** -0.5), (1.0, 0.2)):
        torch.testing.assert_close(path.widths(torch.tensor(beta))[0], torch.full((2, 1), width))


def test_what_cannot_be_annealed_is_refused():
    x = torch.zeros(2, 1)
    p = Independent(torch.distributions.Normal(torch.zeros(3, 2, 1), 1.0), 1)
    codes = OneHotCategorical(logits=torch.zeros(2, 4))
    group = Group("code", codes.sample((3,)), codes, codes)
    with pytest.raises(CombinationError, match="continuous latents"):
        check_continuous(Inference((group,), p, x))
    whole = Categorical(logits=torch.zeros(2, 4))
    with pytest.raises(CombinationError, match="'index'"):
        check_continuous(Inference((Group("index", whole.sample((3,)), whole, whole),), p, x))
    normal = Independent(torch.distributions.Normal(torch.zeros(2, 1), 1.0), 1)
    weighed = Inference((Group("z", torch.zeros(3, 2, 1), normal, normal),), p, x, log_mix=torch.zeros(3, 1))
    with pytest.raises(CombinationError, match="enumerated"):
        check_continuous(weighed)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"chains": 0}, {"leapfrog": 0}, {"start": "nowhere"}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(SettingError, match="Annealing needs"):
        Annealing(**wrong)
