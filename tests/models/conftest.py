"""Small flat models in float64, with smooth activations so that finite differences are exact."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.random import Noise, using
from senzai.distributions import BernoulliFamily, FullNormalFamily, NormalFamily
from senzai.models import Flat
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.parts import LearnedNormal, Likelihood, MixtureOfNormals, Posterior, StandardNormal

D, LATENT = 4, 2
PRIORS = {
    "standard": StandardNormal,
    "learned": LearnedNormal,
    "mixture": lambda d: MixtureOfNormals(d, n_components=3),
}
POSTERIORS = {"diagonal": NormalFamily(), "full": FullNormalFamily()}
LIKELIHOODS = {
    "bernoulli": (BernoulliFamily(), ()),
    "normal": (NormalFamily(), ()),
    "shared": (NormalFamily(), ("scale",)),
}
COMBINATIONS = list(product(PRIORS, POSTERIORS, LIKELIHOODS))


def flat(prior="standard", posterior="diagonal", likelihood="bernoulli", *, n_condition=0, **network):
    family, shared = LIKELIHOODS[likelihood]
    raw_shape = (len(family.raw_names) - len(shared), D)
    options = {"activation": "tanh", "n_condition": n_condition}
    return Flat(
        PRIORS[prior](LATENT),
        Posterior(MLPEncoder((D,), (5,), **options, **network), POSTERIORS[posterior], LATENT),
        Likelihood(MLPDecoder(LATENT, raw_shape, (5,), **options), family, (D,), shared=shared),
    ).double()


@pytest.fixture
def flat_of():
    return flat


@pytest.fixture(params=COMBINATIONS, ids="-".join)
def model(request):
    """Every combination of prior, posterior and likelihood."""
    return flat(*request.param)


@pytest.fixture
def batch():
    return Batch((torch.rand(5, D) < 0.5).double())


@pytest.fixture
def with_noise():
    """Calls a function with the same latent noise every time."""

    def call(function, *args, seed=1, offset=0, total=None, **options):
        with using(Noise.seeded(seed, offset=offset, total=total)):
            return function(*args, **options)

    return call
