"""Imputation against the exact conditional normal of a linear-Gaussian model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.errors import SettingError
from senzai.distributions import NormalFamily, NormalFixedFamily
from senzai.models import Flat
from senzai.models.impute import conditional_draws, conditional_mean, weighted
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.parts import Likelihood, Posterior, StandardNormal

D, L, SIGMA = 5, 2, 0.5
R = np.random.default_rng(0)
W, B = R.normal(size=(D, L)), R.normal(size=D)
COVARIANCE = W @ W.T + SIGMA**2 * np.eye(D)
X = R.multivariate_normal(B, COVARIANCE, size=6)
SEEN = np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 1], [0] * 5], bool)


@pytest.fixture
def exact():
    """p(x | z) = N(W z + b, sigma); its encoder says N(0, 1), so that the weights have all the work."""
    family = NormalFixedFamily(scale=SIGMA)
    likelihood = Likelihood(MLPDecoder(L, (1, D), ()), family, (D,))
    posterior = Posterior(MLPEncoder((D,), (), masked=True), NormalFamily(), L)
    with torch.no_grad():
        likelihood.decoder.out.weight.copy_(torch.tensor(W))
        likelihood.decoder.out.bias.zero_()
        likelihood.bias.copy_(torch.tensor(B)[None])
        posterior.head.weight.zero_()
        posterior.head.bias.copy_(torch.tensor([0.0, 0.0, 0.5413, 0.5413]))
    return Flat(StandardNormal(L), posterior, likelihood).eval()


def conditional(x, seen):
    """Mean and covariance of what is missing given what is observed."""
    o, m = np.flatnonzero(seen), np.flatnonzero(~seen)
    gain = COVARIANCE[np.ix_(m, o)] @ np.linalg.inv(COVARIANCE[np.ix_(o, o)]) if len(o) else np.zeros((len(m), 0))
    mean = B[m] + gain @ (x[o] - B[o])
    return m, mean, COVARIANCE[np.ix_(m, m)] - gain @ COVARIANCE[np.ix_(o, m)]


def batch(hidden=0.0):
    x = np.where(SEEN, X, hidden)
    return Batch(torch.tensor(x), mask=torch.tensor(SEEN))


def test_means_are_those_of_the_conditional_normal(exact):
    found = conditional_mean(exact, batch(), k=20_000, seed=0)
    for i in range(len(X)):
        m, mean, covariance = conditional(X[i], SEEN[i])
        error = 5 * np.sqrt(np.diag(covariance).max() / 300)
        np.testing.assert_allclose(found[i, m], mean, atol=error)


def test_draws_have_mean_and_covariance_of_the_conditional_normal(exact):
    found = conditional_draws(exact, batch(), draws=4000, k=8_000, seed=0).numpy()
    assert found.shape == (4000, len(X), D)
    for i in range(len(X)):
        m, mean, covariance = conditional(X[i], SEEN[i])
        np.testing.assert_allclose(found[:, i, m].mean(0), mean, atol=0.2)
        np.testing.assert_allclose(np.cov(found[:, i, m].T).reshape(len(m), -1), covariance, atol=0.4)


def test_one_draw_without_weights_would_be_wrong(exact):
    m, mean, _ = conditional(X[3], SEEN[3])
    found = conditional_mean(exact, batch(), k=20_000, seed=0)[3, m].item()
    assert abs(found - mean[0]) < abs(found - B[m][0]) / 4


@pytest.mark.parametrize("hidden", [float("nan"), 1e6])
def test_placeholders_do_not_matter(exact, hidden):
    assert torch.equal(conditional_mean(exact, batch(), k=50), conditional_mean(exact, batch(hidden), k=50))
    assert torch.equal(conditional_draws(exact, batch(), draws=3, k=50),
                       conditional_draws(exact, batch(hidden), draws=3, k=50))


def test_weights_add_up_and_say_how_many_draws_count(exact):
    with torch.no_grad():
        (w,) = weighted(exact, batch(), k=64, seed=1)
    torch.testing.assert_close(w.log_weight.exp().sum(0), torch.ones(6, dtype=w.log_weight.dtype))
    assert ((w.ess >= 1) & (w.ess <= 64 + 1e-6)).all()
    assert w.ess[5] == pytest.approx(64, rel=1e-3)  # nothing observed: the prior, and every draw counts
    with pytest.raises(SettingError, match="k >= 1"):
        conditional_mean(exact, batch(), k=0)
    with pytest.raises(SettingError, match="draws >= 1"):
        conditional_draws(exact, batch(), draws=0)
