"""Posteriors whose rate cannot vanish."""

from __future__ import annotations

from math import log

import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.distributions.closed import closed
from senzai.models import Flat
from senzai.nn import MLPEncoder
from senzai.parts import BatchNormedNormal, CommittedNormal, LearnedNormal, StandardNormal
from senzai.parts.posteriors.collapse_free import scale_bounds


def rates(q):
    """Rate of each dimension by the formula for a normal."""
    base = q.base_dist
    return 0.5 * (base.loc**2 + base.scale**2 - 1) - base.scale.log()


@pytest.mark.parametrize("delta", [0.01, 0.1, 1.0, 5.0])
def test_every_dimension_of_every_row_pays_at_least_delta_whatever_the_network_says(delta):
    posterior = CommittedNormal(MLPEncoder((4,), (6,)), 3, delta=delta).double()
    with torch.no_grad():
        posterior.head.weight.mul_(30)
    q = posterior(Batch(torch.randn(200, 4).double()))
    assert (rates(q) >= delta - 1e-6).all()
    assert float(rates(q).min().detach()) < 2 * delta + 0.5
    torch.testing.assert_close(closed(q, StandardNormal(3).double()()), rates(q).sum(-1))


def test_the_rate_is_delta_plus_half_a_softplus():
    posterior = CommittedNormal(MLPEncoder((4,), ()), 2, delta=0.3).double()
    batch = Batch(torch.randn(50, 4).double())
    a, _ = posterior.numbers(batch)
    torch.testing.assert_close(rates(posterior(batch)), 0.3 + 0.5 * torch.nn.functional.softplus(a))


@pytest.mark.parametrize("delta", [0.001, 0.3, 20.0])
def test_scales_end_where_a_centred_normal_pays_delta(delta):
    for s in scale_bounds(delta):
        assert 0.5 * (s**2 - 1) - log(s) == pytest.approx(delta, abs=1e-9)
    low, high = scale_bounds(delta)
    assert low < 1 < high


def test_gradients_stay_finite_at_both_ends():
    posterior = CommittedNormal(MLPEncoder((4,), ()), 2)
    with torch.no_grad():
        posterior.head.bias.copy_(torch.tensor([-80.0, -80.0, 80.0, -80.0]))
    q = posterior(Batch(torch.randn(5, 4)))
    (q.base_dist.loc.sum() + q.base_dist.scale.log().sum()).backward()
    assert all(torch.isfinite(p.grad).all() for p in posterior.parameters())


def normed(**more):
    posterior = BatchNormedNormal(MLPEncoder((4,), (6,)), 3, **more).double()
    with torch.no_grad():
        posterior.shift.copy_(torch.tensor([0.0, 1.0, -2.0]))
    return posterior, Batch(torch.randn(40, 4).double())


def test_means_have_their_spread_over_the_batch_and_the_mean_rate_its_floor():
    posterior, batch = normed(gamma=0.7)
    q = posterior(batch)
    torch.testing.assert_close(q.mean.mean(0), posterior.shift.detach())
    torch.testing.assert_close(q.mean.std(0, correction=0), torch.full((3,), 0.7).double(), rtol=1e-4, atol=1e-4)
    floor = 0.5 * (0.7**2 + posterior.shift.detach() ** 2)
    assert (rates(q).mean(0) >= floor - 1e-5).all()


def test_afterwards_running_moments_are_used_and_rows_are_their_own():
    posterior, batch = normed(momentum=1.0)
    trained = posterior(batch).mean
    posterior.eval()
    torch.testing.assert_close(posterior(batch).mean, trained)
    torch.testing.assert_close(posterior(batch.take(slice(3, 4))).mean, trained[3:4])
    posterior.train()
    assert not torch.allclose(posterior(batch.take(slice(0, 9))).mean, trained[:9])


def test_running_moments_follow():
    posterior, batch = normed(momentum=0.25)
    a, _ = posterior.numbers(batch)
    posterior(batch)
    torch.testing.assert_close(posterior.running_mean, 0.25 * a.mean(0))
    torch.testing.assert_close(posterior.running_var, 0.75 + 0.25 * a.var(0, correction=0))


def test_rows_mix_and_it_says_so(model_of_part):
    model = model_of_part(BatchNormedNormal(MLPEncoder((4,), (6,)), 3))
    assert model.mixes_rows
    assert not model_of_part(CommittedNormal(MLPEncoder((4,), (6,)), 3)).mixes_rows


@pytest.mark.parametrize("kind", [BatchNormedNormal, CommittedNormal])
def test_another_prior_is_refused_in_training_only(model_of_part, kind):
    posterior = kind(MLPEncoder((4,), (6,)), 3)
    model_of_part(posterior).check()
    other = model_of_part(posterior, LearnedNormal(3))  # a density fitted to the codes afterwards is welcome
    with pytest.raises(CombinationError, match="standard normal"):
        other.check()


@pytest.fixture
def model_of_part():
    def make(posterior, prior=None):
        return Flat(prior or StandardNormal(3), posterior, likelihood())

    return make


def likelihood():
    from senzai.distributions import BernoulliFamily
    from senzai.nn import MLPDecoder
    from senzai.parts import Likelihood

    return Likelihood(MLPDecoder(3, (1, 4), ()), BernoulliFamily(), (4,))


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (CommittedNormal, {"delta": 0.0}), (CommittedNormal, {"delta": 60.0}), (BatchNormedNormal, {"gamma": 0.0}),
        (BatchNormedNormal, {"momentum": 0.0}), (BatchNormedNormal, {"momentum": 1.5}),
    ],
)
def test_settings_check_themselves(kind, wrong):
    with pytest.raises(SettingError):
        kind(MLPEncoder((4,), ()), 2, **wrong)
