"""Gaps of inference and curves of bounds against what is known of linear-Gaussian models."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.errors import SettingError
from senzai.distributions import NormalFamily
from senzai.evaluation import convergence, elbo, inference_gaps, log_likelihood, rate_distortion
from senzai.evaluation.curves import grouped_bound


def test_a_spoilt_encoder_loses_the_rate_between_it_and_the_exact_posterior(linear):
    x = linear.sample(8)
    found = inference_gaps(linear.model(shift=0.7), Batch(x), steps=150, log_p=linear.log_p(x))
    precision = torch.linalg.inv(linear.posterior(x[:1]).covariance_matrix).reshape(linear.d, linear.d)
    shift = torch.full((linear.d,), 0.7).double()
    assert found.amortisation.value == pytest.approx(0.5 * float(shift @ precision @ shift), rel=0.05)
    assert abs(found.approximation.value) < 0.03
    assert found.family == "full"


def test_a_diagonal_family_loses_the_correlations_of_the_exact_posterior(linear, made):
    x = linear.sample(6)
    model = made(linear.D, linear.d, family=NormalFamily(), q=NormalFamily()).double()
    exact = linear.model()
    model = replace_likelihood(model, exact)
    found = inference_gaps(model, Batch(x), steps=400, lr=0.1, log_p=linear.log_p(x))
    precision = torch.linalg.inv(linear.posterior(x[:1]).covariance_matrix).reshape(linear.d, linear.d)
    lost = 0.5 * float(precision.diagonal().log().sum() - torch.logdet(precision))
    assert found.family == "diagonal"
    assert lost > 0.01
    assert found.approximation.value == pytest.approx(lost, abs=0.06)  # of 256 draws
    assert found.amortisation.value > 0.1


def replace_likelihood(model, exact):
    from senzai.models import Flat

    return Flat(exact.prior, model.posterior, exact.likelihood)


def test_both_gaps_are_the_whole_gap(linear):
    x = linear.sample(5)
    found = inference_gaps(linear.model(shift=0.3), Batch(x), steps=5)
    torch.testing.assert_close(found.log_p, log_likelihood(linear.model(shift=0.3), Batch(x), k=1000).per_row)
    whole = found.amortisation.value + found.approximation.value
    assert whole == pytest.approx(float((found.log_p - found.elbo).mean()))


def test_the_curve_rises_to_the_evidence_and_begins_at_the_bound(linear):
    x = linear.sample(60)
    model = linear.model(shift=0.3, stretch=1.2)
    found = convergence(model, Batch(x), k=300)
    assert found.ks == (1, 2, 4, 8, 16, 32, 64, 128, 256)
    values = [b.value for b in found.bounds]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(float(linear.log_p(x).mean()), abs=0.02)
    split = elbo(model, Batch(x), n_samples=256)
    assert values[0] == pytest.approx(split.means["elbo"], abs=0.05)
    assert values[-1] - values[0] > 0.1
    assert found.tail_slope.value == pytest.approx(values[-1] - values[-2])
    last = log_likelihood(model, Batch(x), k=256)
    assert values[-1] == pytest.approx(last.mean)


def test_groups_of_draws_are_disjoint_by_hand():
    w = torch.tensor([[1.0], [3.0], [5.0], [7.0]]).double()
    found = grouped_bound(w.log(), 2)
    assert float(found) == pytest.approx(0.5 * (torch.tensor(2.0).log() + torch.tensor(6.0).log()))


def test_a_curve_needs_two_draws(linear):
    with pytest.raises(SettingError, match="k >= 2"):
        convergence(linear.model(), Batch(linear.sample(2)), k=1)


def test_rate_and_distortion_of_a_family_lie_in_order(linear):
    x = linear.sample(30)
    wide = replace(linear, sigma=linear.sigma * 2).model()
    found = rate_distortion([(4.0, wide), (1.0, linear.model())], Batch(x))
    assert [p.beta for p in found] == [1.0, 4.0]
    assert found[0].rate.value > found[1].rate.value
    split = elbo(linear.model(), Batch(x))
    assert found[0].rate.value == pytest.approx(split.means["rate"])
    assert found[0].distortion.se == pytest.approx(split.ses["distortion"])
