"""Models whose evidence is known: everything linear and normal, made from the real parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from senzai.core.batch import Batch
from senzai.dist import BernoulliFamily, FullNormalFamily, NormalFamily
from senzai.dist.numeric import positive_raw
from senzai.models import Flat
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.parts import Likelihood, Posterior, StandardNormal


@dataclass(frozen=True)
class Linear:
    """x = W z + b + sigma noise, with a posterior that is exact unless it is spoilt."""

    W: Tensor
    b: Tensor
    sigma: Tensor

    @property
    def d(self) -> int:
        return self.W.shape[1]

    @property
    def D(self) -> int:
        return self.W.shape[0]

    def marginal(self) -> MultivariateNormal:
        return MultivariateNormal(self.b, self.W @ self.W.T + torch.diag(self.sigma.square()))

    def log_p(self, x: Tensor) -> Tensor:
        return self.marginal().log_prob(x)

    def sample(self, n: int) -> Tensor:
        return self.marginal().sample((n,))

    def posterior(self, x: Tensor) -> MultivariateNormal:
        precision = torch.eye(self.d).double() + (self.W.T / self.sigma.square()) @ self.W
        covariance = torch.linalg.inv(precision)
        return MultivariateNormal(((x - self.b) / self.sigma.square()) @ self.W @ covariance, covariance)

    def model(self, *, shift: float = 0.0, stretch: float = 1.0) -> Flat:
        """The same model from senzai's parts in float64; ``shift`` and ``stretch`` make the posterior wrong."""
        d, D = self.d, self.D
        likelihood = Likelihood(MLPDecoder(d, (1, D), ()), NormalFamily(), (D,), shared=("scale",))
        model = Flat(StandardNormal(d), Posterior(MLPEncoder((D,), ()), FullNormalFamily(), d), likelihood).double()
        q = self.posterior(torch.zeros(1, D).double())
        slope = (self.posterior(torch.eye(D).double()).loc - q.loc).T
        tril = stretch * q.scale_tril[0] if q.scale_tril.ndim == 3 else stretch * q.scale_tril
        rows, columns = torch.tril_indices(d, d, -1)
        with torch.no_grad():
            model.likelihood.decoder.out.weight.copy_(self.W)
            model.likelihood.decoder.out.bias.zero_()
            model.likelihood.bias[0].copy_(self.b)
            model.likelihood.bias[1].copy_(positive_raw(self.sigma, NormalFamily().floor))
            model.posterior.head.weight.zero_()
            model.posterior.head.weight[:d].copy_(slope)
            diagonal = positive_raw(tril.diagonal(), FullNormalFamily().floor)
            model.posterior.head.bias.copy_(torch.cat([q.loc[0] + shift, diagonal, tril[rows, columns]]))
        return model


def linear_gaussian(D: int = 5, d: int = 2, *, sigma: float | None = None) -> Linear:
    noise = 0.3 + torch.rand(D).double() if sigma is None else torch.full((D,), sigma).double()
    return Linear(torch.randn(D, d).double(), torch.randn(D).double(), noise)


@pytest.fixture
def linear() -> Linear:
    return linear_gaussian()


@pytest.fixture
def linear_of():
    """The class itself, for tests that set W, b and sigma."""
    return Linear


@pytest.fixture
def orthogonal(linear) -> Linear:
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
