"""Mixtures of normals by matrix products agree with torch's mixture, values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal

from senzai.distributions.mixtures import Mixture, pairwise_log_prob

N, K, D = 7, 5, 3


def parameters(dtype=torch.float64, *, spread=1.0, width=0.3):
    loc = (spread * torch.randn(K, D, dtype=dtype)).requires_grad_()
    scale = (width * (0.5 + torch.rand(K, D, dtype=dtype))).requires_grad_()
    return loc, scale, torch.randn(K, dtype=dtype).requires_grad_()


def diagonal(loc, scale):
    return Independent(Normal(loc, scale), 1)


def full(loc, scale):
    tril = torch.diag_embed(scale) + 0.1 * torch.ones(D, D, dtype=loc.dtype).tril(-1)
    return MultivariateNormal(loc, scale_tril=tril)


def torchs(logits, components):
    return MixtureSameFamily(Categorical(logits=logits), components)


@pytest.mark.parametrize("components", [diagonal, full])
@pytest.mark.parametrize("lead", [(N,), (2, N), ()])
def test_values_and_gradients(components, lead):
    loc, scale, logits = parameters()
    z = torch.randn(*lead, D, dtype=torch.float64, requires_grad=True)
    ours, theirs = (make(logits, components(loc, scale)).log_prob(z) for make in (Mixture, torchs))
    assert ours.shape == lead
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    wanted = (z, loc, scale, logits)
    for a, b in zip(*(torch.autograd.grad(v.sum(), wanted, retain_graph=True) for v in (ours, theirs)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("components", [diagonal, full])
def test_narrow_normals_far_away_keep_single_precision(components):
    """The terms of the square are a million times as large as their sum."""
    loc, scale, logits = (v.detach() for v in parameters(torch.float32, spread=0.1, width=1e-3))
    loc = loc + 50
    z = loc[2] + scale[2] * torch.randn(N, D, dtype=torch.float32)
    exact = torchs(logits.double(), components(loc.double(), scale.double())).log_prob(z.double())
    found = Mixture(logits, components(loc, scale)).log_prob(z)
    assert found.dtype is torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)


def test_a_mixture_for_every_row():
    loc, scale = torch.randn(N, K, D), 0.1 + torch.rand(N, K, D)
    logits, z = torch.randn(N, K), torch.randn(2, N, D)
    torch.testing.assert_close(
        Mixture(logits, diagonal(loc, scale)).log_prob(z), torchs(logits, diagonal(loc, scale)).log_prob(z)
    )


def test_other_components_go_one_by_one():
    components = Independent(torch.distributions.Laplace(torch.randn(K, D), torch.ones(K, D)), 1)
    z = torch.randn(N, D)
    torch.testing.assert_close(
        Mixture(torch.zeros(K), components).log_prob(z), torchs(torch.zeros(K), components).log_prob(z)
    )
    assert pairwise_log_prob(components, z).shape == (N, K)
