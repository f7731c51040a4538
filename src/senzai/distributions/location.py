"""Distributions over intervals that torch computes less exactly: Student's t, log-normal, beta."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch import Tensor
from torch.distributions import Dirichlet, constraints

from senzai.core.random import Noise

from .bases import FromNoise
from .numeric import LOG_SQRT_2PI, log_rising
from .ops import Shape, _draw


def normal_log_prob(x: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """Log density of the normal distribution; ``scale`` may be smaller than ``loc`` and is then broadcast."""
    u = (x - loc) / scale
    return torch.addcmul(-(scale.log() + LOG_SQRT_2PI), u, u, value=-0.5)


def student_t_log_prob(x: Tensor, loc: Tensor, scale: Tensor, df: Tensor) -> Tensor:
    """Log density of Student's t; for large ``df`` the normal's, without cancellation of gamma functions."""
    u = (x - loc) / scale
    half = torch.full_like(df, 0.5)
    constant = log_rising(0.5 * df, half) - 0.5 * (math.pi * df).log() - scale.log()
    return constant - 0.5 * (df + 1) * torch.log1p(u * (u / df))


def beta_log_prob(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Log density of the beta distribution, ``x`` strictly between 0 and 1; large terms cancel in double precision."""
    dtype, x, a, b = a.dtype, x.double(), a.double(), b.double()
    normaliser = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
    return ((a - 1) * x.log() + (b - 1) * torch.log1p(-x) - normaliser).to(dtype)


@final
class StudentT(FromNoise):
    r"""Student's t: a normal with heavy tails, for data with outliers.

    .. math:: p(x) = \frac{\Gamma(\frac{\nu + 1}{2})}{\Gamma(\frac{\nu}{2}) \sqrt{\pi \nu}\, \sigma}
        \Big(1 + \frac{(x - \mu)^2}{\nu \sigma^2}\Big)^{-\frac{\nu + 1}{2}}

    Drawn in closed form from two uniform numbers, so differentiably, and a row's draw does not depend on other rows.

    Reference:
        Polar generation of random variates with the t-distribution (Bailey, 1994).
        https://doi.org/10.1090/S0025-5718-1994-1219702-8

    Args:
        loc: Location :math:`\mu`, shape ``(*batch,)``.
        scale: Scale :math:`\sigma`, positive, same shape; the standard deviation only as ``df`` grows.
        df: Degrees of freedom :math:`\nu`, positive, same shape.

    Example:
        >>> p = StudentT(torch.zeros(()), torch.ones(()), torch.tensor(3.0))
        >>> p.log_prob(torch.tensor(0.0)), p.variance
        (tensor(-1.0009), tensor(3.))
    """

    tensors = ("loc", "scale", "df")
    support = constraints.real
    has_rsample = True
    loc: Tensor
    scale: Tensor
    df: Tensor

    @property
    def mean(self) -> Tensor:
        """The location; NaN up to one degree of freedom."""
        return torch.where(self.df > 1, self.loc, math.nan)

    @property
    def mode(self) -> Tensor:
        """The location."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """Variance; infinite up to two degrees of freedom, NaN up to one."""
        spread = self.scale.square() * self.df / (self.df - 2).clamp_min(0)
        return torch.where(self.df > 1, spread, math.nan)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density, elementwise."""
        return student_t_log_prob(value, self.loc, self.scale, self.df)

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Polar method: a radius and an angle."""
        radius, turn = self._uniform(shape, noise), self._uniform(shape, noise)
        return self.loc + noise.spread * self.scale * student_t_polar(radius, turn, self.df)

    def inside(self) -> Tensor:
        """The location."""
        return self.loc


def student_t_polar(radius: Tensor, turn: Tensor, df: Tensor) -> Tensor:
    """Standard t from two uniform numbers."""
    square = df * torch.expm1(radius.log() * (-2 / df))
    return square.sqrt() * torch.cos(2 * math.pi * turn)


@final
class LogNormal(FromNoise):
    r"""Positive numbers whose logarithm is normal.

    .. math:: \log p(x) = \log \mathcal N(\log x; \mu, \sigma) - \log x

    Args:
        loc: Mean :math:`\mu` of the logarithm, shape ``(*batch,)``.
        scale: Standard deviation :math:`\sigma` of the logarithm, positive, same shape.

    Example:
        >>> LogNormal(torch.zeros(()), torch.ones(())).log_prob(torch.tensor(1.0))
        tensor(-0.9189)
    """

    tensors = ("loc", "scale")
    support = constraints.positive
    has_rsample = True
    loc: Tensor
    scale: Tensor

    @property
    def mean(self) -> Tensor:
        """Mean."""
        return (self.loc + 0.5 * self.scale.square()).exp()

    @property
    def mode(self) -> Tensor:
        """Likeliest value."""
        return (self.loc - self.scale.square()).exp()

    @property
    def variance(self) -> Tensor:
        """Variance."""
        return torch.expm1(self.scale.square()) * self.mean.square()

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density, elementwise; zero counts as the least positive number."""
        log_x = value.clamp_min(torch.finfo(self.loc.dtype).tiny).log()
        return normal_log_prob(log_x, self.loc, self.scale) - log_x

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Exponentiate normal numbers."""
        full = (*shape, *self.batch_shape)
        eps = noise.normal(full, row_dim=len(shape), dtype=self.loc.dtype, device=self.loc.device)
        return torch.addcmul(self.loc, self.scale, eps).exp()

    def inside(self) -> Tensor:
        """One."""
        return torch.ones_like(self.loc)


@final
class OpenBeta(FromNoise):
    r"""Beta distribution; values are kept ``margin`` away from 0 and 1, where its density may be zero or infinite.

    .. math:: p(x) = \frac{\Gamma(a + b)}{\Gamma(a)\,\Gamma(b)}\, x^{a - 1} (1 - x)^{b - 1}

    Args:
        a: First concentration, positive, shape ``(*batch,)``.
        b: Second concentration, positive, same shape.
        margin: ``log_prob`` takes values below ``margin`` for ``margin``, and those above ``1 - margin`` likewise.

    Example:
        >>> OpenBeta(torch.tensor(2.0), torch.tensor(1.0)).log_prob(torch.tensor([0.5, 1.0]))
        tensor([0.0000, 0.6931])
    """

    tensors = ("a", "b")
    support = constraints.unit_interval
    has_rsample = True
    a: Tensor
    b: Tensor

    def __init__(self, a: Tensor, b: Tensor, *, margin: float = 1e-6) -> None:
        self.margin = margin
        super().__init__(a, b)

    def settings(self) -> dict[str, Any]:
        """The margin."""
        return {"margin": self.margin}

    @property
    def mean(self) -> Tensor:
        """Mean."""
        return self.a / (self.a + self.b)

    @property
    def mode(self) -> Tensor:
        """Likeliest value; the heavier end where the density is infinite at an end."""
        inner = (self.a - 1) / (self.a + self.b - 2)
        end = (self.a > self.b).to(self.a.dtype)
        return torch.where((self.a > 1) & (self.b > 1), inner, end)

    @property
    def variance(self) -> Tensor:
        """Variance."""
        return self.mean * (1 - self.mean) / (self.a + self.b + 1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density, elementwise."""
        return beta_log_prob(value.clamp(self.margin, 1 - self.margin), self.a, self.b)

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Draw differentiably: the first of two shares."""
        shares = Dirichlet(torch.stack([self.a, self.b], -1), validate_args=False)
        return _draw(shares, shape, noise)[..., 0]

    def inside(self) -> Tensor:
        """One half."""
        return torch.full_like(self.a, 0.5)
