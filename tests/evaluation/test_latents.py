from __future__ import annotations

from math import log

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError
from senzai.distributions import FullNormalFamily, NormalFamily
from senzai.distributions.mixtures import broadcast_log_prob
from senzai.distributions.numeric import positive_raw
from senzai.evaluation import active_units, aggregate_log_prob, elbo, mutual_information, pairwise_log_prob
from senzai.evaluation.latents import variance_of_means
from senzai.models import Group, Inference
from senzai.models.base import LatentModel
from senzai.nn import MLPEncoder
from senzai.parts import Posterior


@pytest.fixture
def copying(made):
    """A model with q(z | x) = N(x, s²) in each of two dimensions."""

    def make(s):
        model = made(D=2, d=2, family=NormalFamily()).double()
        model.posterior = Posterior(MLPEncoder((2,), ()), NormalFamily(), 2).double()
        with torch.no_grad():
            head = model.posterior.head
            head.weight.zero_()
            head.weight[:2].copy_(torch.eye(2))
            head.bias.copy_(torch.cat([torch.zeros(2), positive_raw(torch.full((2,), s), 1e-4)]))
        return model

    return make


# --- mutual information ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("s", [0.5, 1.0, 3.0])
def test_mutual_information_and_gap_of_normals(copying, s):
    variance = torch.tensor([1.5, 0.4]).double()
    x = torch.randn(3000, 2).double() * variance.sqrt()
    found = mutual_information(copying(s), Batch(x), n_samples=2)
    truth = float(0.5 * torch.log1p(variance / s**2).sum())
    total = variance + s**2
    gap = float(0.5 * (total - 1 - total.log()).sum())
    slack = 0.02  # 3000 rows are not all rows: their mixture and their own variance differ a little
    assert abs(found.mutual_information - truth) < 5 * found.mutual_information_se + slack
    assert abs(found.aggregate_gap - gap) < 5 * found.aggregate_gap_se + slack
    assert found.rate == pytest.approx(found.mutual_information + found.aggregate_gap)


@pytest.mark.parametrize("q", [NormalFamily(), FullNormalFamily()], ids=["diagonal", "full"])
def test_the_two_parts_make_the_closed_rate(made, binary, q):
    model = made(q=q)
    found = mutual_information(model, binary, n_samples=300)
    closed = elbo(model, binary)
    assert abs(found.rate - closed.means["rate"]) < 5 * 2 / (30 * 300) ** 0.5
    assert 0 <= found.mutual_information < found.ceiling


def test_codes_that_ignore_the_data_share_nothing_with_them(made, binary):
    model = made()
    with torch.no_grad():
        model.posterior.head.weight.zero_()
    found = mutual_information(model, binary)
    assert found.mutual_information == pytest.approx(0, abs=1e-6)
    assert found.aggregate_gap == pytest.approx(found.rate, abs=1e-6)


def test_codes_far_apart_reach_the_ceiling(copying):
    x = 1000.0 * torch.arange(16).double().view(-1, 1).expand(-1, 2)
    found = mutual_information(copying(0.1), Batch(x))
    assert found.mutual_information == pytest.approx(log(16), abs=1e-6)
    assert found.ceiling == pytest.approx(log(16))


@pytest.mark.parametrize("memory_gb", [1e-4, 1e-6])
def test_memory_does_not_change_the_result(made, binary, memory_gb):
    model, batch = made().double(), binary.map(lambda t: t.double())
    whole, pieces = (mutual_information(model, batch, n_samples=40, memory_gb=gb) for gb in (0.5, memory_gb))
    assert pieces.mutual_information == pytest.approx(whole.mutual_information, abs=1e-12)
    assert pieces.aggregate_gap == pytest.approx(whole.aggregate_gap, abs=1e-12)


@pytest.mark.parametrize("far", [0.0, 1e3])
@pytest.mark.parametrize("scale", [1.0, 1e-3])
@pytest.mark.parametrize("full", [True, False])
def test_pairwise_densities_agree_with_broadcasting(full, scale, far):
    loc, z = far + torch.randn(5, 3).double(), far + torch.randn(7, 3).double()
    tril = scale * torch.linalg.cholesky(torch.eye(3) + torch.ones(5, 3, 3)).double()
    q = MultivariateNormal(loc, scale_tril=tril) if full else Independent(Normal(loc, tril.diagonal(0, 1, 2)), 1)
    exact = broadcast_log_prob(q, z)
    torch.testing.assert_close(pairwise_log_prob(q, z), exact, rtol=1e-9, atol=1e-7)
    assert exact.shape == (7, 5)


def test_the_aggregate_is_a_density():
    q = Independent(Normal(torch.randn(9, 1).double(), 0.3), 1)
    z = torch.linspace(-9, 9, 9001).double().view(1, -1, 1)
    mass = aggregate_log_prob([q, q], z).exp().sum() * 18 / 9000
    assert float(mass) == pytest.approx(1, abs=1e-6)


class Upper(LatentModel):
    """One group whose posterior depends on a draw, and one without a posterior."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def infer(self, batch, n_samples=1, *, seen=None, z=None):
        found = self.inner.infer(batch, n_samples)
        g = found.groups[0]
        dependent = Independent(Normal(g.z, 1.0), 1)
        return Inference((Group("code", g.z, None, g.p), Group("low", g.z, dependent, g.p)), found.likelihood, found.x)

    generate = sample_prior = encoder_parameters = None


@pytest.mark.parametrize("group", [None, "low", "code", "none"])
def test_what_has_no_aggregate_is_refused(made, binary, group):
    with pytest.raises(CombinationError):
        mutual_information(Upper(made()), binary, group=group)


# --- active units ---------------------------------------------------------------------------------------------------
def test_units_that_move_are_active(copying):
    x = torch.randn(400, 2).double() * torch.tensor([1.0, 0.05]).double()
    found = active_units(copying(0.7), Batch(x))
    torch.testing.assert_close(found.variances["z"], x.var(0), rtol=1e-10, atol=0)
    assert (found.count, found.n_latent) == (1, 2)
    assert active_units(copying(0.7), Batch(x), 1e-4).count == 2
    assert active_units(copying(0.7), Batch(x), 10.0).count == 0


def test_the_noise_of_a_posterior_is_not_activity(made, binary):
    model = made()
    with torch.no_grad():
        model.posterior.head.weight.zero_()
    found = active_units(model, binary)
    assert found.count == 0
    assert found.n_latent == 2


def test_a_posterior_without_a_mean_is_judged_by_two_draws(copying, monkeypatch):
    x = torch.randn(20_000, 2).double() * torch.tensor([1.0, 0.0]).double()

    def no_mean(self):
        raise NotImplementedError

    monkeypatch.setattr(Independent, "mean", property(no_mean))
    found = active_units(copying(0.7), Batch(x)).variances["z"]
    assert abs(found[0] - 1) < 0.06
    assert abs(found[1]) < 5 * 0.7**2 / 20_000**0.5


def test_variance_of_means_is_unbiased_for_draws():
    values = torch.randn(1, 50_000, 1) + torch.randn(2, 50_000, 1)
    assert float(variance_of_means(values)) == pytest.approx(1, abs=0.05)
