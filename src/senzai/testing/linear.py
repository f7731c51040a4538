"""The touchstone: a linear model with normal noise, whose evidence and posterior are known exactly."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from ..core.random import forked
from ..distributions import FullNormalFamily, NormalFamily
from ..distributions.numeric import positive_raw
from ..models import Flat
from ..nn import MLPDecoder, MLPEncoder
from ..parts import Likelihood, Posterior, StandardNormal


@dataclass(frozen=True)
class LinearGaussian:
    r"""The model :math:`x = W z + b + \sigma \odot \epsilon` with standard normal :math:`z` and :math:`\epsilon`.

    .. math:: p(x) = \mathcal N(b, W W^\top + \mathrm{diag}\,\sigma^2), \quad
        p(z | x) = \mathcal N(\Sigma W^\top \mathrm{diag}\,\sigma^{-2} (x - b), \Sigma), \quad
        \Sigma = (I + W^\top \mathrm{diag}\,\sigma^{-2} W)^{-1}

    With the exact posterior every bound of the evidence equals it.

    Reference:
        Probabilistic Principal Component Analysis (Tipping and Bishop, 1999).
        https://doi.org/10.1111/1467-9868.00196

    Args:
        W: Loadings, ``(D, d)``, float64.
        b: Mean, ``(D,)``.
        sigma: Standard deviation of the noise of each entry, ``(D,)``.

    Example:
        >>> from senzai.core.batch import Batch
        >>> from senzai.evaluation import log_likelihood
        >>> oracle = LinearGaussian.random(D=5, d=2, seed=0)
        >>> x = oracle.sample(3, seed=1)
        >>> estimate = log_likelihood(oracle.model(), Batch(x), k=7).per_row
        >>> bool(torch.allclose(estimate, oracle.log_p(x)))
        True
    """

    W: Tensor
    b: Tensor
    sigma: Tensor

    @classmethod
    def random(cls, D: int = 5, d: int = 2, *, sigma: float | None = None, seed: int | None = None) -> LinearGaussian:
        """Return one with random loadings, and noise of ``sigma`` or of 0.3 to 1.3 for each entry."""
        with forked(seed):
            noise = 0.3 + torch.rand(D).double() if sigma is None else torch.full((D,), sigma).double()
            return cls(torch.randn(D, d).double(), torch.randn(D).double(), noise)

    @property
    def d(self) -> int:
        """Number of latents."""
        return self.W.shape[1]

    @property
    def D(self) -> int:
        """Number of entries of a row."""
        return self.W.shape[0]

    def marginal(self) -> MultivariateNormal:
        """Return p(x)."""
        return MultivariateNormal(self.b, self.W @ self.W.T + torch.diag(self.sigma.square()))

    def log_p(self, x: Tensor) -> Tensor:
        """Return the exact log p(x) of each row, in nats."""
        found: Tensor = self.marginal().log_prob(x)
        return found

    def sample(self, n: int, *, seed: int | None = None) -> Tensor:
        """Draw rows, ``(n, D)``."""
        with forked(seed):
            return self.marginal().sample((n,))

    def posterior(self, x: Tensor) -> MultivariateNormal:
        """Return the exact p(z | x)."""
        precision = torch.eye(self.d).double() + (self.W.T / self.sigma.square()) @ self.W
        covariance = torch.linalg.inv(precision)
        return MultivariateNormal(((x - self.b) / self.sigma.square()) @ self.W @ covariance, covariance)

    def model(self, *, shift: float = 0.0, stretch: float = 1.0) -> Flat:
        """Return the same model made of senzai's parts, in float64.

        Args:
            shift: Added to the posterior's mean, to make it wrong.
            stretch: Factor on the posterior's scale, to make it wrong.
        """
        d, D = self.d, self.D
        likelihood = Likelihood(MLPDecoder(d, (1, D), ()), NormalFamily(), (D,), shared=("scale",))
        posterior = Posterior(MLPEncoder((D,), ()), FullNormalFamily(), d)
        q = self.posterior(torch.zeros(1, D).double())
        slope = (self.posterior(torch.eye(D).double()).loc - q.loc).T
        tril = stretch * (q.scale_tril[0] if q.scale_tril.ndim == 3 else q.scale_tril)
        rows, columns = torch.tril_indices(d, d, -1)
        diagonal = positive_raw(tril.diagonal(), FullNormalFamily().floor)
        state = {
            "decoder.out.weight": self.W, "decoder.out.bias": torch.zeros(D),
            "bias": torch.stack([self.b, positive_raw(self.sigma, NormalFamily().floor)]),
        }
        head = torch.zeros_like(posterior.head.weight).double()
        head[:d] = slope
        aims = {"head.weight": head, "head.bias": torch.cat([q.loc[0] + shift, diagonal, tril[rows, columns]])}
        likelihood.double().load_state_dict({**likelihood.state_dict(), **state})
        posterior.double().load_state_dict({**posterior.state_dict(), **aims})
        return Flat(StandardNormal(d).double(), posterior, likelihood)
