"""Models whose evidence is known: everything linear and normal, made from the real parts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from senzai.core.batch import Batch
from senzai.distributions import BernoulliFamily, NormalFamily
from senzai.models import Flat
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.parts import Likelihood, Posterior, StandardNormal
from senzai.testing import LinearGaussian


@pytest.fixture
def linear() -> LinearGaussian:
    return LinearGaussian.random()


@pytest.fixture
def linear_of():
    """The class itself, for tests that set W, b and sigma."""
    return LinearGaussian


@pytest.fixture
def orthogonal(linear) -> LinearGaussian:
    """Columns of W orthogonal and noise isotropic: the exact posterior is diagonal."""
    Q, _ = torch.linalg.qr(linear.W)
    return replace(linear, W=Q * torch.tensor([2.0, 0.5]).double(), sigma=torch.full_like(linear.b, 0.7))


@pytest.fixture
def made():
    """Makes a small flat model with random weights."""

    def make(D: int = 6, d: int = 2, *, family=None, q=None, prior=None, **network) -> Flat:
        family = BernoulliFamily() if family is None else family
        return Flat(
            StandardNormal(d) if prior is None else prior,
            Posterior(MLPEncoder((D,), (8,), activation="tanh", **network), q or NormalFamily(), d),
            Likelihood(MLPDecoder(d, family.raw_shape((D,)), (8,), activation="tanh"), family, (D,)),
        )

    return make


@pytest.fixture
def binary() -> Batch:
    return Batch((torch.rand(30, 6) < 0.4).float())
