"""Mixtures of latents given a condition: known densities, and which way held-out codes choose."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from senzai.parts import GivenMixture, MixtureOfNormals
from senzai.training import densities, mixtures
from senzai.training.mixtures import NEVER


def one_hot(y, n):
    return torch.nn.functional.one_hot(y, n).float()


def test_the_density_is_that_of_its_components():
    torch.manual_seed(0)
    prior = GivenMixture(2, n_components=3, n_condition=2, full=True)
    with torch.no_grad():
        for p in prior.parameters():
            p.add_(0.3 * torch.randn_like(p))
    c, z = torch.randn(4, 2), torch.randn(4, 2)
    for i in range(4):
        log_pi = torch.log_softmax(prior.logits + prior.gates @ c[i], 0)
        each = torch.stack([
            MultivariateNormal(prior.loc[j] + prior.shift @ c[i], scale_tril=prior.scales()[j]).log_prob(z[i])
            for j in range(3)
        ])
        assert torch.allclose(prior(c).log_prob(z)[i], torch.logsumexp(log_pi + each, 0), atol=1e-5)
    plain = GivenMixture(2, n_components=3)
    same = MixtureOfNormals(2, n_components=3)
    same.load_state_dict({k: plain.state_dict()[k] for k in same.state_dict()})
    assert torch.allclose(plain().log_prob(z), same().log_prob(z), atol=1e-5)


def of_two_classes(n=1500):
    """Two classes at one mean: a narrow normal, and a pair of normals; nothing linear tells them apart."""
    y = torch.arange(n) % 2
    side = torch.randint(0, 2, (n, 1)) * 2.0 - 1
    z = torch.where(y.unsqueeze(1) == 0, 0.3 * torch.randn(n, 2), 3 * side + 0.5 * torch.randn(n, 2))
    return densities.PosteriorDraws(z, one_hot(y, 2)), y


def test_classes_that_differ_in_form_have_mixtures_of_their_own():
    torch.manual_seed(0)
    codes, _ = of_two_classes()
    prior = densities.fitted("mixture", codes, 0)
    assert isinstance(prior, GivenMixture)
    other, y = of_two_classes(3000)
    with torch.no_grad():
        found = densities.rows_of_log_prob(prior, other)
    narrow = Normal(0.0, 0.3).log_prob(other.z).sum(1)
    pair = torch.stack([Normal(s, 0.5).log_prob(other.z).sum(1) for s in (-3.0, 3.0)]).logsumexp(0) - 0.6931
    assert (found - torch.where(y == 0, narrow, pair)).mean().abs() < 0.05
    draws = prior(one_hot(torch.ones(2000, dtype=torch.long), 2)).sample()
    assert draws.abs().mean() == pytest.approx(3.0, abs=0.1)  # of the pair, none of the narrow one
    both = prior(torch.zeros(1, 2)).log_prob(other.z)  # no class: all together
    assert (both - torch.stack([narrow, pair]).logsumexp(0) + 0.6931).abs().mean() < 0.2


def test_means_that_are_linear_in_a_condition_are_found():
    torch.manual_seed(0)
    c = torch.randn(1200, 3)
    slopes = torch.tensor([[1.0, -2.0, 0.0], [0.0, 0.5, 3.0]])
    prior = densities.fitted("mixture", densities.PosteriorDraws(4 + c @ slopes.T + 0.2 * torch.randn(1200, 2), c), 0)
    assert isinstance(prior, GivenMixture)
    assert torch.allclose(prior.shift, slopes, atol=0.05)
    p = prior(torch.tensor([[1.0, 1.0, 1.0]]))
    assert torch.allclose(p.mean, torch.tensor([[3.0, 7.5]]), atol=0.1)


def test_a_condition_that_says_nothing_is_left_out():
    torch.manual_seed(0)
    y = torch.randint(0, 3, (600,))
    prior = densities.fitted("mixture", densities.PosteriorDraws(torch.randn(600, 2), one_hot(y, 3)), 0)
    c = one_hot(torch.arange(3), 3)
    z = torch.randn(200, 1, 2)
    p = prior(c) if isinstance(prior, GivenMixture) else prior()
    log_p = p.log_prob(z).expand(200, 3)
    assert (log_p - log_p.mean(1, keepdim=True)).abs().max() < 0.35


def test_classes_of_few_rows_have_none_of_their_own():
    torch.manual_seed(0)
    y = (torch.arange(300) < 10).long()
    codes = densities.PosteriorDraws(torch.randn(300, 2) + y.unsqueeze(1), one_hot(y, 2))
    prior = densities.fitted("mixture", codes, 0)
    assert not isinstance(prior, GivenMixture) or bool((prior.gates > NEVER).all())


def test_classes_that_differ_in_place_share_their_forms():
    """Five classes of two parts each, everywhere else, of two forms: few rows of each tell the forms together."""
    torch.manual_seed(0)
    means = 3 * torch.randn(5, 2, 4)
    forms = torch.stack([torch.eye(4), torch.eye(4)])
    forms[0, 3, 0], forms[1, 3, 1] = 2.0, -2.0  # below the diagonal of the Cholesky factors

    def drawn(n):
        y, j = torch.randint(0, 5, (n,)), torch.randint(0, 2, (n,))
        return means[y, j] + (forms[j] @ torch.randn(n, 4, 1)).squeeze(-1), y

    z, y = drawn(500)
    codes = densities.PosteriorDraws(z, one_hot(y, 5))
    prior = densities.fitted("mixture", codes, 0)
    assert isinstance(prior, GivenMixture)
    other, of = drawn(4000)
    each = torch.stack([MultivariateNormal(means[of, j], scale_tril=forms[j]).log_prob(other) for j in range(2)])
    with torch.no_grad():
        found = densities.rows_of_log_prob(prior, densities.PosteriorDraws(other, one_hot(of, 5)))
    assert 0 < (each.logsumexp(0) - 0.6931 - found).mean() < 0.8  # nats: means and forms are estimated
    standardised = codes.z.double().numpy(), one_hot(y, 5).double().numpy()
    assert mixtures.in_common(*standardised, 0)[0] > mixtures.of_classes(standardised[0], y.numpy(), 0)[0]
    assert mixtures.in_common(*standardised, 0)[0] > mixtures.moved_by(*standardised, 0)[0]
