"""Against a model whose evidence is known in closed form."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.preprocessing import scale

from senzai.core.batch import Batch
from senzai.distributions import NormalFamily
from senzai.distributions.numeric import positive_raw
from senzai.evaluation import elbo, log_likelihood
from senzai.parts import Posterior

N = 11


@pytest.fixture
def x(linear):
    return linear.sample(N)


@pytest.mark.parametrize("k", [1, 2, 7, 600])
def test_with_the_exact_posterior_every_bound_is_the_evidence(linear, x, k):
    found = log_likelihood(linear.model(), Batch(x), k=k)
    torch.testing.assert_close(found.per_row, linear.log_p(x), rtol=0, atol=1e-10)
    torch.testing.assert_close(found.ess, torch.full((N,), float(k)).double(), rtol=1e-9, atol=0)
    if k > 1:
        assert found.monte_carlo_se.max() < 1e-6


def test_the_elbo_of_the_exact_posterior_is_the_evidence(linear, x):
    found = elbo(linear.model(), Batch(x), n_samples=2000)
    error = (found.elbo.mean() - linear.log_p(x).mean()).abs()
    assert error < 5 * found.distortion.std() / (2000 * N) ** 0.5


def test_principal_components_have_the_evidence_that_sklearn_says(linear_of):
    x = scale(load_breast_cancer().data)
    pca = PCA(3).fit(x)
    W = pca.components_.T * np.sqrt(pca.explained_variance_ - pca.noise_variance_)
    sigma = torch.full((x.shape[1],), pca.noise_variance_**0.5)
    linear = linear_of(torch.tensor(W), torch.tensor(pca.mean_), sigma.double())
    found = log_likelihood(linear.model(), Batch(torch.tensor(x)), k=2)
    np.testing.assert_allclose(found.per_row, pca.score_samples(x), atol=1e-8)
    assert found.mean == pytest.approx(pca.score(x), abs=1e-9)


def test_bounds_of_a_wrong_posterior_rise_with_k_towards_the_evidence(linear, x):
    model, truth = linear.model(shift=0.4, stretch=1.3), linear.log_p(x).mean()
    found = [log_likelihood(model, Batch(x.repeat(60, 1)), k=k, seed=k) for k in (1, 4, 16, 64, 1000)]
    assert found[1].mean > found[0].mean
    assert all(b.mean > a.mean - 5 * a.mean_monte_carlo_se for a, b in pairwise(found[1:]))
    for f in found[1:]:
        assert f.mean < truth + 5 * f.mean_monte_carlo_se
    assert abs(found[-1].mean - truth) < 5 * found[-1].mean_monte_carlo_se + 1e-3
    assert found[0].mean < truth - 0.1


def test_the_mean_of_the_weights_is_the_evidence_without_bias(linear):
    x = linear.sample(1)
    model = linear.model(shift=0.2, stretch=1.2)
    few = log_likelihood(model, Batch(x.repeat(4000, 1)), k=3)
    p_hat = few.per_row.exp()
    assert (p_hat.mean() - linear.log_p(x).exp()).abs() < 5 * p_hat.std() / 4000**0.5


def test_the_monte_carlo_error_is_what_repetition_shows(linear):
    model, x = linear.model(shift=0.2, stretch=1.2), linear.sample(1)
    found = log_likelihood(model, Batch(x.repeat(300, 1)), k=100)
    assert found.per_row.std() == pytest.approx(float(found.monte_carlo_se.mean()), rel=0.2)
    assert found.mean_monte_carlo_se == pytest.approx(float(found.monte_carlo_se.mean()) / 300**0.5, rel=0.1)


def test_a_diagonal_posterior_that_is_exact_gives_the_evidence_too(orthogonal):
    model, x = orthogonal.model(), orthogonal.sample(N)
    full = model.posterior
    diagonal = Posterior(full.encoder, NormalFamily(), 2).double()
    scale = full(Batch(x)).variance[0].sqrt()
    with torch.no_grad():
        diagonal.head.weight.zero_()
        diagonal.head.weight[:2].copy_(full.head.weight[:2])
        diagonal.head.bias.copy_(torch.cat([full.head.bias[:2], positive_raw(scale, 1e-4)]))
    model.posterior = diagonal
    found = log_likelihood(model, Batch(x), k=3)
    torch.testing.assert_close(found.per_row, orthogonal.log_p(x), rtol=0, atol=1e-10)
