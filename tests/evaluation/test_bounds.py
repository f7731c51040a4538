from __future__ import annotations

import pytest
import torch

from senzai.core.batch import Batch
from senzai.distributions import FullNormalFamily, NormalFamily
from senzai.evaluation import elbo, log_likelihood
from senzai.models.base import Group, Inference, LatentModel
from senzai.parts import LearnedNormal, MixtureOfNormals, StandardNormal


def learned(n_latent=2):
    prior = LearnedNormal(n_latent)
    with torch.no_grad():
        prior.loc.normal_()
        prior.log_scale.normal_(std=0.5)
    return prior


@pytest.mark.parametrize("q", [NormalFamily(), FullNormalFamily()], ids=["diagonal", "full"])
@pytest.mark.parametrize("prior", [StandardNormal, learned], ids=["standard", "learned"])
def test_the_closed_rate_agrees_with_monte_carlo(made, binary, q, prior):
    model = made(q=q, prior=prior(2)).double()
    group = model.infer(binary.map(lambda t: t.double()), 20_000).groups[0]
    sampled = group.monte_carlo_rate()
    assert group.closed is not None
    assert (group.closed >= 0).all()
    assert ((sampled.mean(0) - group.closed).abs() < 5 * sampled.std(0) / 20_000**0.5).all()


def test_a_mixture_of_one_has_the_rate_of_its_component(made, binary):
    prior = MixtureOfNormals(2, n_components=1)
    single = LearnedNormal(2)
    with torch.no_grad():
        prior.loc.normal_()
        single.loc.copy_(prior.loc[0])
        single.log_scale.copy_((torch.nn.functional.softplus(prior.raw_scale[0]) + 1e-4).log())
    model = made(prior=prior).double()
    found = elbo(model, binary.map(lambda t: t.double()), n_samples=20_000)
    model.prior = single.double()
    closed = elbo(model, binary.map(lambda t: t.double()))
    assert found.rate_per_dimension == {}
    assert abs(found.means["rate"] - closed.means["rate"]) < 5 * 3 / (30 * 20_000) ** 0.5


def test_a_mixture_rate_agrees_with_the_integral(made):
    prior = MixtureOfNormals(1, n_components=3)
    model = made(d=1, prior=prior).double()
    batch = Batch(torch.ones(2, 6).double())
    group = model.infer(batch, 40_000).groups[0]
    assert group.closed is None
    z = torch.linspace(-12, 12, 20_001).double().view(-1, 1, 1).expand(-1, 2, 1)
    log_q, log_p = group.q.log_prob(z), group.p.log_prob(z)
    exact = (log_q.exp() * (log_q - log_p)).sum(0) * 24 / 20_000
    sampled = group.rate()
    assert ((sampled.mean(0) - exact).abs() < 5 * sampled.std(0) / 40_000**0.5).all()


def test_parts_add_up(made, binary):
    found = elbo(made(), binary, n_samples=3)
    torch.testing.assert_close(found.elbo, -(found.distortion + found.rate))
    assert found.means["elbo"] == pytest.approx(-found.means["distortion"] - found.means["rate"])
    assert found.means["rate"] == pytest.approx(sum(found.rate_per_group.values()))
    assert found.means["rate"] == pytest.approx(float(found.rate_per_dimension["z"].sum()), rel=1e-5)
    assert found.means["distortion"] == pytest.approx(float(found.distortion_per_feature.sum()), rel=1e-5)
    assert found.ses["distortion"] == pytest.approx(float(found.distortion.std()) / 30**0.5)


def test_features_that_were_not_seen_cost_nothing(made):
    mask = torch.ones(8, 6, dtype=torch.bool)
    mask[:, 2] = False
    found = elbo(made(), Batch(torch.ones(8, 6), mask=mask))
    assert found.distortion_per_feature[2] == 0
    assert found.means["distortion"] == pytest.approx(float(found.distortion_per_feature.sum()), rel=1e-5)


def test_memory_does_not_change_the_result(made, binary):
    model, batch = made().double(), binary.map(lambda t: t.double())
    whole, pieces = (elbo(model, batch, n_samples=40, memory_gb=gb) for gb in (0.5, 1e-6))
    torch.testing.assert_close(pieces.distortion, whole.distortion)
    torch.testing.assert_close(pieces.rate, whole.rate)
    torch.testing.assert_close(pieces.distortion_per_feature, whole.distortion_per_feature)
    torch.testing.assert_close(pieces.rate_per_dimension["z"], whole.rate_per_dimension["z"])


def test_a_full_posterior_has_no_rate_per_dimension(made, binary):
    assert elbo(made(q=FullNormalFamily()), binary).rate_per_dimension == {}


def test_the_elbo_lies_below_the_likelihood(made, binary):
    model = made()
    low, high = elbo(model, binary, n_samples=500), log_likelihood(model, binary, k=500)
    assert low.means["elbo"] < high.mean


class TwoGroups(LatentModel):
    """The same latents twice, to see that groups are told apart and added up."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def infer(self, batch, n_samples=1, *, seen=None, z=None):
        found = self.inner.infer(batch, n_samples)
        g = found.groups[0]
        return Inference((Group("a", g.z, g.q, g.p), Group("b", g.z, g.q, g.p)), found.likelihood, found.x)

    generate = sample_prior = encoder_parameters = None


def test_groups_add_up(made, binary):
    model = made()
    one, two = elbo(model, binary), elbo(TwoGroups(model), binary)
    torch.testing.assert_close(two.rate, 2 * one.rate)
    assert set(two.rate_per_group) == set(two.rate_per_dimension) == {"a", "b"}
