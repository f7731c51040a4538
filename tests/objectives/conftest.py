"""A small flat model in float64 and the noise to call objectives with."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal

from senzai.core.batch import Batch
from senzai.core.random import Noise, using
from senzai.distributions import BernoulliFamily, NormalFamily
from senzai.models import Flat
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.parts import Likelihood, Posterior, StandardNormal
from senzai.parts.base import AnyLikelihood, AnyPosterior


@pytest.fixture
def model_of():
    def make(q=None, prior=None):
        posterior = Posterior(MLPEncoder((4,), (6,), activation="tanh"), q or NormalFamily(), 3)
        likelihood = Likelihood(MLPDecoder(3, (1, 4), (6,), activation="tanh"), BernoulliFamily(), (4,))
        return Flat(prior or StandardNormal(3), posterior, likelihood).double()

    return make


@pytest.fixture
def batch():
    return Batch((torch.rand(6, 4) < 0.5).double())


@pytest.fixture
def terms():
    """Terms of an objective with the same latent noise every time."""

    def call(objective, model, batch, step=0, *, offset=0, total=None):
        with using(Noise.seeded(1, offset=offset, total=total)):
            return objective(model, batch, step)

    return call


class FreePosterior(AnyPosterior):
    """A normal with a location and a scale of its own for each row: gradients come row by row."""

    def __init__(self, loc, scale):
        super().__init__()
        self.event = (loc.shape[-1],)
        self.loc, self.scale = torch.nn.Parameter(loc), torch.nn.Parameter(scale)

    def forward(self, batch):
        return Independent(Normal(self.loc, self.scale), 1)

    def example(self):
        return Independent(Normal(self.loc[:1], self.scale[:1]), 1)


class LinearLikelihood(AnyLikelihood):
    """x = W z + b + sigma noise; W is a parameter."""

    def __init__(self, W, b, sigma):
        super().__init__()
        self.event = (len(b),)
        self.W, self.b, self.sigma = torch.nn.Parameter(W), b, sigma

    def forward(self, z, c=None):
        return Independent(Normal(z @ self.W.T + self.b, self.sigma), 1)

    def log_evidence(self, x):
        cov = self.W @ self.W.T + self.sigma**2 * torch.eye(len(self.b)).double()
        return MultivariateNormal(self.b, cov).log_prob(x)


@pytest.fixture
def linear_of():
    """A linear-Gaussian model of ``n`` equal rows whose exact posterior is diagonal; ``shift`` makes q wrong."""

    def make(n, *, shift=0.0, stretch=1.0):
        W = torch.tensor([[1.0, 0.5], [1.0, -0.5], [0.0, 0.0]]).double()  # orthogonal columns
        b, sigma = torch.tensor([0.1, -0.2, 0.3]).double(), 0.8
        precision = torch.eye(2).double() + W.T @ W / sigma**2
        x = torch.tensor([0.9, -0.4, 0.2]).double()
        covariance = torch.linalg.inv(precision)
        loc = covariance @ W.T @ (x - b) / sigma**2 + shift
        scale = stretch * covariance.diagonal().sqrt()
        q = FreePosterior(loc.expand(n, 2).clone(), scale.expand(n, 2).clone())
        return Flat(StandardNormal(2).double(), q, LinearLikelihood(W, b, sigma)), Batch(x.expand(n, 3))

    return make
