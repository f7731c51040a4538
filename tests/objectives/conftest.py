"""A small flat model in float64 and the noise to call objectives with."""

from __future__ import annotations

import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.random import Noise, using
from senzai.dist import BernoulliFamily, NormalFamily
from senzai.models import Flat
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.parts import Likelihood, Posterior, StandardNormal


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
