"""A linear model trained on real data reaches the optimum of probabilistic PCA, which is known."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.decomposition import PCA
from sklearn.preprocessing import scale

from senzai.core.batch import Batch
from senzai.core.random import Noise, using
from senzai.distributions import NormalFamily, NormalOptimalFamily
from senzai.evaluation import elbo, log_likelihood
from senzai.models import Flat
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.objectives import ELBO
from senzai.parts import Likelihood, Posterior, StandardNormal

D, LATENT = 10, 3


@pytest.fixture(scope="module")
def x():
    return torch.tensor(scale(load_diabetes().data))


def linear_vae(x):
    likelihood = Likelihood(MLPDecoder(LATENT, (1, D), ()), NormalOptimalFamily(), (D,))
    model = Flat(StandardNormal(LATENT), Posterior(MLPEncoder((D,), ()), NormalFamily(), LATENT), likelihood).double()
    model.initialise(Batch(x))
    return model


def train(model, x, steps=600):
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-2)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    with using(Noise.seeded(0)):
        for step in range(steps):
            optimiser.zero_grad()
            ELBO()(model, Batch(x), step).loss.mean().backward()
            optimiser.step()
            falling.step()
    return model.eval()


def evidence(linear_of, model, x):
    p = model.likelihood
    W = p.scale.unsqueeze(1) * p.decoder.out.weight
    b = p.shift + p.scale * (p.decoder.out.bias + p.bias[0])
    return float(linear_of(W, b, p.sigma * p.scale).log_p(x).mean())


def test_a_linear_model_becomes_probabilistic_pca(linear_of, x):
    """Reference: Don't Blame the ELBO! (Lucas et al., 2019). https://arxiv.org/abs/1911.02469."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = train(linear_vae(x), x)
    best = PCA(LATENT).fit(x.numpy()).score(x.numpy())
    with torch.no_grad():
        reached = evidence(linear_of, model, x)
    assert best - 0.05 < reached < best + 0.01  # sklearn divides variances by n - 1, which is not the very maximum
    # The posterior is exact at the optimum, so that the bounds are tight.
    assert float(elbo(model, Batch(x), n_samples=20).elbo.mean()) > reached - 0.1
    assert log_likelihood(model, Batch(x), k=200).mean == pytest.approx(reached, abs=0.02)
