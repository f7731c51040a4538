from __future__ import annotations

import pytest
import torch
from torch.distributions import kl_divergence

from senzai.core.errors import SettingError
from senzai.core.spec import from_spec, to_spec
from senzai.distributions import closed, draw, factors
from senzai.parts import LearnedNormal, MixtureOfNormals, StandardNormal

PRIORS = [StandardNormal(3), LearnedNormal(3), MixtureOfNormals(3, n_components=4)]


@pytest.mark.parametrize("prior", PRIORS, ids=lambda p: type(p).__name__)
def test_a_prior_is_a_density_that_can_be_drawn(prior):
    p = prior()
    assert p.event_shape == (3,)
    assert p.batch_shape == ()
    z = draw(p, (7,), grad=False)
    assert z.shape == (7, 3)
    assert p.log_prob(z).isfinite().all()
    assert type(from_spec(to_spec(prior))) is type(prior)


def test_a_learned_prior_starts_standard():
    assert kl_divergence(LearnedNormal(3)(), StandardNormal(3)()).item() == 0


def test_the_density_of_a_mixture_is_the_mean_of_its_components():
    prior = MixtureOfNormals(2, n_components=3)
    with torch.no_grad():
        prior.logits.copy_(torch.tensor([0.0, 1.0, 2.0]))
    z = torch.randn(5, 2)
    scale = torch.nn.functional.softplus(prior.raw_scale) + 1e-4
    parts = torch.distributions.Normal(prior.loc, scale).log_prob(z.unsqueeze(1)).sum(-1)
    exact = torch.logsumexp(parts + prior.logits.log_softmax(0), 1)
    torch.testing.assert_close(prior().log_prob(z), exact)


def test_draws_of_a_mixture_have_its_mean():
    prior = MixtureOfNormals(2, n_components=3)
    z = draw(prior(), (40_000,), grad=False)
    assert ((z.mean(0) - prior().mean).abs() < 5 * z.std(0) / 200).all()


def test_a_mixture_has_no_closed_rate_and_every_parameter_a_gradient():
    prior = MixtureOfNormals(2, n_components=3)
    assert closed(StandardNormal(2)(), prior()) is None
    assert factors(prior()) is None
    prior().log_prob(torch.randn(9, 2)).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in prior.parameters())


@pytest.mark.parametrize("wrong", [0, -1, 2.0, None])
def test_widths_are_checked(wrong):
    for kind in (StandardNormal, LearnedNormal, MixtureOfNormals):
        with pytest.raises(SettingError):
            kind(wrong)


def test_a_mixture_needs_a_component():
    with pytest.raises(SettingError):
        MixtureOfNormals(2, n_components=0)
