"""Whole numbers without an upper end: Poisson and negative binomial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution, constraints

from senzai.core.random import Noise
from senzai.core.spec import part

from .bases import FromNoise, as_real
from .family import Family, Support, Unit, over_event, split_raw, weighted_mean
from .gamma_poisson import log_gamma_variate, poisson_variate
from .numeric import between, half_count, log_rising, poisson_log_prob, tame, weighted_moments
from .ops import Shape

LOG_MEAN_LIMIT = 30.0
LOG_DISPERSION_LIMIT = 10.0


# --- distributions --------------------------------------------------------------------------------------------------
def negative_binomial_log_prob(x: Tensor, log_mean: Tensor, log_dispersion: Tensor) -> Tensor:
    """Log probability of counts with a mean and a dispersion given by their logarithms.

    Computed in double precision, because terms as large as ``x log x`` cancel; given in the precision of ``log_mean``.
    """
    dtype, x, log_mean, log_dispersion = log_mean.dtype, x.double(), log_mean.double(), log_dispersion.double()
    r, ratio = log_dispersion.exp(), log_mean - log_dispersion
    log_p = log_rising(r, x) - torch.lgamma(x + 1) - r * F.softplus(ratio, threshold=40) + x * F.logsigmoid(ratio)
    return log_p.to(dtype)


@final
class LogPoisson(FromNoise):
    r"""Poisson from the logarithm of its rate, so that a rate that underflows still has a density.

    .. math:: \log p(x) = x \eta - e^\eta - \log x!

    Args:
        log_rate: Logarithm :math:`\eta` of the rate, shape ``(*batch,)``.

    Example:
        >>> LogPoisson(torch.tensor([0.0, -200.0])).log_prob(torch.tensor([0.0, 1.0]))
        tensor([  -1., -200.])
    """

    tensors = ("log_rate",)
    support = constraints.nonnegative_integer
    log_rate: Tensor

    @property
    def mean(self) -> Tensor:
        """The rate."""
        return self.log_rate.exp()

    @property
    def variance(self) -> Tensor:
        """The rate."""
        return self.log_rate.exp()

    @property
    def mode(self) -> Tensor:
        """The rate, rounded down."""
        return self.log_rate.exp().floor()

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability, elementwise."""
        return poisson_log_prob(as_real(value, self.log_rate), self.log_rate)

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Draw counts."""
        return poisson_variate(self.mean.expand(*shape, *self.batch_shape), noise, len(shape))


@final
class NegativeBinomial(FromNoise):
    r"""Overdispersed counts with mean :math:`\mu` and dispersion :math:`r`; Poisson as :math:`r \to \infty`.

    .. math:: p(x) = \frac{\Gamma(r + x)}{\Gamma(r)\, x!} \Big(\frac{r}{r + \mu}\Big)^r
        \Big(\frac{\mu}{r + \mu}\Big)^x, \quad \mathrm{Var}(x) = \mu + \mu^2 / r

    Reference:
        Deep generative modeling for single-cell transcriptomics (Lopez et al., 2018), whose inverse dispersion
        :math:`\theta` is :math:`r`. https://doi.org/10.1038/s41592-018-0229-2

    Args:
        log_mean: Logarithm of the mean, shape ``(*batch,)``.
        log_dispersion: Logarithm of the dispersion, same shape.

    Example:
        >>> NegativeBinomial(torch.tensor(0.0), torch.tensor(0.0)).log_prob(torch.arange(3.0)).exp()
        tensor([0.5000, 0.2500, 0.1250])
    """

    tensors = ("log_mean", "log_dispersion")
    support = constraints.nonnegative_integer
    log_mean: Tensor
    log_dispersion: Tensor

    @property
    def mean(self) -> Tensor:
        """Mean."""
        return self.log_mean.exp()

    @property
    def variance(self) -> Tensor:
        """Mean plus its square over the dispersion."""
        return self.mean + (2 * self.log_mean - self.log_dispersion).exp()

    @property
    def mode(self) -> Tensor:
        """Likeliest count; zero for a dispersion up to one."""
        return (self.mean * -torch.expm1(-self.log_dispersion)).clamp_min(0).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability, elementwise."""
        return negative_binomial_log_prob(as_real(value, self.log_mean), self.log_mean, self.log_dispersion)

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Draw counts: Poisson, the rate drawn from a gamma."""
        full = (*shape, *self.batch_shape)
        log_rate = self.log_mean - self.log_dispersion
        log_rate = log_rate + log_gamma_variate(self.log_dispersion.exp().expand(full), noise, len(shape))
        return poisson_variate(log_rate.exp(), noise, len(shape))


# --- families -------------------------------------------------------------------------------------------------------
def log_count(x: Tensor, weight: Tensor) -> Tensor:
    """Logarithm of the mean, which is taken to be at least half a count among all rows."""
    return between(weighted_mean(x, weight), half_count(weight), float("inf")).log()


def log_dispersion_of(mean: Tensor, variance: Tensor) -> Tensor:
    """Logarithm of the dispersion with these moments, within [-3, 5]; 5 where there is no overdispersion."""
    excess = variance - mean
    r = mean.square() / torch.where(excess > 0, excess, torch.ones_like(excess))
    return torch.where(excess > 0, r.clamp_min(1e-9).log().clamp(-3.0, 5.0), 5.0)


@part("family", "poisson")
@final
@dataclass(frozen=True, kw_only=True)
class PoissonFamily(Family):
    """Counts; the raw number is the logarithm of the rate.

    Example:
        >>> PoissonFamily()(torch.zeros(3, 1, 4), (4,)).log_prob(torch.zeros(3, 4))
        tensor([-4., -4., -4.])
    """

    support: ClassVar[Support] = "count"

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Log rate."""
        return ("log_rate",)

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent Poissons."""
        (log_rate,) = split_raw(raw, event)
        return over_event(LogPoisson(tame(log_rate, LOG_MEAN_LIMIT)), event)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Logarithm of the observed mean."""
        return log_count(x, weight).unsqueeze(0)


@part("family", "negative_binomial")
@final
@dataclass(frozen=True, kw_only=True)
class NegativeBinomialFamily(Family):
    """Counts that vary more than a Poisson's; logarithms of mean and dispersion.

    Example:
        >>> NegativeBinomialFamily()(torch.zeros(3, 2, 4), (4,)).log_prob(torch.zeros(3, 4))
        tensor([-2.7726, -2.7726, -2.7726])
    """

    support: ClassVar[Support] = "count"

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Log mean and log dispersion."""
        return ("log_mean", "log_dispersion")

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent negative binomials."""
        log_mean, log_dispersion = split_raw(raw, event)
        base = NegativeBinomial(tame(log_mean, LOG_MEAN_LIMIT), tame(log_dispersion, LOG_DISPERSION_LIMIT))
        return over_event(base, event)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Mean and dispersion with the observed mean and variance."""
        return torch.stack([log_count(x, weight), log_dispersion_of(*weighted_moments(x, weight))])
