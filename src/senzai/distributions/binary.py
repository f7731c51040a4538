"""Yes or no, and numbers between them: Bernoulli and continuous Bernoulli."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, constraints

from senzai.core.random import Noise
from senzai.core.spec import part

from .bases import FromNoise
from .family import Family, Support, Unit, over_event, split_raw, weighted_mean
from .numeric import between, half_count, log_one_minus_exp
from .ops import Shape, stand_in

SERIES_BELOW = 0.2
"""Half-logit under which the continuous Bernoulli's formulas are taken from their series (error below 1e-12)."""


# --- distributions --------------------------------------------------------------------------------------------------
@final
class StableBernoulli(Bernoulli):
    r"""Bernoulli from logits, with a log density in three passes over memory and a mode that is never NaN.

    .. math:: \log p(x) = x \eta - \log(1 + e^\eta)

    Values between 0 and 1 are scored by the same formula (the cross-entropy), which is not a density there: see
    :class:`ContinuousBernoulli`.

    Args:
        logits: Log odds :math:`\eta`, shape ``(*batch,)``.

    Example:
        >>> p = StableBernoulli(logits=torch.tensor([0.0, 200.0]), validate_args=False)
        >>> p.log_prob(torch.tensor([1.0, 1.0])), p.mode
        (tensor([-0.6931, 0.0000]), tensor([0., 1.]))
    """

    @property
    def mode(self) -> Tensor:
        """1 where it is more likely than 0."""
        return (self.logits > 0).to(self.logits.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability, elementwise."""
        return bernoulli_log_prob(self.logits, value)


def bernoulli_log_prob(logits: Tensor, x: Tensor) -> Tensor:
    """Minus the cross-entropy of ``x`` with the probabilities of ``logits``.

    Above the threshold ``log(1 + exp(logit))`` is ``logit`` to the last bit, in double precision too.
    """
    return torch.addcmul(F.softplus(logits, threshold=40).neg_(), x.to(logits.dtype), logits)


@stand_in.register(Bernoulli)
def _(p: Bernoulli) -> Tensor:
    return torch.zeros_like(p.logits)


@final
class ContinuousBernoulli(FromNoise):
    r"""A density on [0, 1] with the Bernoulli's log density up to a constant that depends on the logits.

    .. math:: \log p(x) = x \eta - A(\eta), \quad
        A(\eta) = \log \frac{e^\eta - 1}{\eta} = \frac{\eta}{2} + \log \frac{\sinh a}{a}, \quad a = \frac{|\eta|}{2}

    Torch's class goes through probabilities, which saturate, and switches to a short series at a width that costs
    digits; here everything is a function of the logits.

    Reference:
        The continuous Bernoulli: fixing a pervasive error in variational autoencoders (Loaiza-Ganem and Cunningham,
        2019). https://arxiv.org/abs/1907.06845

    Args:
        logits: Natural parameter :math:`\eta`, shape ``(*batch,)``.

    Example:
        >>> p = ContinuousBernoulli(torch.tensor([0.0, 1e4]))
        >>> p.log_prob(torch.tensor([0.7, 1.0])), p.mean
        (tensor([0.0000, 9.2103]), tensor([0.5000, 0.9999]))
    """

    tensors = ("logits",)
    support = constraints.unit_interval
    has_rsample = True
    logits: Tensor

    @property
    def mean(self) -> Tensor:
        """First derivative of ``A``."""
        return 0.5 + 0.5 * self.logits.sign() * langevin(0.5 * self.logits.abs())

    @property
    def mode(self) -> Tensor:
        """The likelier end of the interval."""
        return (self.logits > 0).to(self.logits.dtype)

    @property
    def variance(self) -> Tensor:
        """Second derivative of ``A``."""
        return 0.25 * langevin_slope(0.5 * self.logits.abs())

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density, elementwise."""
        return continuous_bernoulli_log_prob(self.logits, value)

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Quantiles of uniform numbers."""
        return continuous_bernoulli_quantile(self._uniform(shape, noise), self.logits)

    def inside(self) -> Tensor:
        """Any number between 0 and 1."""
        return torch.full_like(self.logits, 0.5)


def continuous_bernoulli_log_prob(logits: Tensor, x: Tensor) -> Tensor:
    """Log density: a series near zero, elsewhere the decay from the likelier end, so that nothing large cancels."""
    near = logits.abs() < 2 * SERIES_BELOW
    gentle = logits.clamp(-2 * SERIES_BELOW, 2 * SERIES_BELOW)
    end = (logits > 0).to(logits.dtype)
    steep = torch.where(near, torch.ones_like(logits), logits)
    return torch.where(near, (x - 0.5) * gentle - log_sinhc(0.5 * gentle), (x - end) * steep - log_decay(steep.abs()))


def log_sinhc(a: Tensor) -> Tensor:
    """Return ``log(sinh(a) / a)`` for small ``a``."""
    s = a.square()
    return s * (1 / 6 - s * (1 / 180 - s * (1 / 2835 - s * (1 / 37800 - s / 467775))))


def log_decay(t: Tensor) -> Tensor:
    """Return the log of the integral of ``exp(-t x)`` over [0, 1], for ``t`` away from zero."""
    return log_one_minus_exp(t) - t.log()


def langevin(a: Tensor) -> Tensor:
    """Return ``coth(a) - 1 / a`` for ``a >= 0``, the derivative of the log of ``sinh(a) / a``."""
    near = a < SERIES_BELOW
    c, t = a.clamp(max=SERIES_BELOW), a.clamp(min=SERIES_BELOW)
    s = c.square()
    series = c * (1 / 3 - s * (1 / 45 - s * (2 / 945 - s * (1 / 4725 - s * 2 / 93555))))
    return torch.where(near, series, 1 / torch.tanh(t) - 1 / t)


def langevin_slope(a: Tensor) -> Tensor:
    """Return ``1 / a**2 - 1 / sinh(a)**2`` for ``a >= 0``, the derivative of :func:`langevin`."""
    near = a < SERIES_BELOW
    s, t = a.clamp(max=SERIES_BELOW).square(), a.clamp(min=SERIES_BELOW)
    series = 1 / 3 - s * (1 / 15 - s * (2 / 189 - s * (1 / 675 - s * 2 / 10395)))
    return torch.where(near, series, t.square().reciprocal() - (2 * torch.exp(-t) / torch.expm1(-2 * t)).square())


def continuous_bernoulli_quantile(u: Tensor, logits: Tensor) -> Tensor:
    """Invert the distribution function: on the side where the exponential decays, a series near zero."""
    up = logits > 0
    falling = -logits.abs()
    near = falling > -1e-3
    steep = falling.clamp(max=-1e-3)
    v = torch.where(up, 1 - u, u)
    x = torch.where(near, v + 0.5 * falling * v * (1 - v), torch.log1p(v * torch.expm1(steep)) / steep)
    return torch.where(up, 1 - x, x)


# --- families -------------------------------------------------------------------------------------------------------
def mean_logit(x: Tensor, weight: Tensor, least: Tensor | float) -> Tensor:
    """Logit of the mean, kept ``least`` away from 0 and 1."""
    return torch.logit(between(weighted_mean(x, weight), least, 1 - least))


@part("family", "bernoulli")
@final
@dataclass(frozen=True, kw_only=True)
class BernoulliFamily(Family):
    """Zeros and ones; the raw number is the log odds.

    Example:
        >>> BernoulliFamily()(torch.zeros(3, 1, 4), (4,)).log_prob(torch.ones(3, 4))
        tensor([-2.7726, -2.7726, -2.7726])
    """

    support: ClassVar[Support] = "binary"

    @property
    def raw_names(self) -> tuple[str, ...]:
        """The log odds."""
        return ("logit",)

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent Bernoullis."""
        (logits,) = split_raw(raw, event)
        return over_event(StableBernoulli(logits=logits, validate_args=False), event)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Log odds of the observed frequencies, at least half an observation from certainty."""
        return mean_logit(x, weight, half_count(weight)).unsqueeze(0)


@part("family", "continuous_bernoulli")
@final
@dataclass(frozen=True, kw_only=True)
class ContinuousBernoulliFamily(Family):
    """Numbers in [0, 1], both ends included; the raw number is the natural parameter.

    Example:
        >>> ContinuousBernoulliFamily()(torch.zeros(3, 1, 4), (4,)).log_prob(torch.rand(3, 4))
        tensor([0., 0., 0.])
    """

    support: ClassVar[Support] = "unit"

    @property
    def raw_names(self) -> tuple[str, ...]:
        """The natural parameter."""
        return ("logit",)

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent continuous Bernoullis."""
        (logits,) = split_raw(raw, event)
        return over_event(ContinuousBernoulli(logits), event)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Natural parameter whose mean is the observed mean, itself kept within [0.01, 0.99]."""
        return continuous_bernoulli_logit(between(weighted_mean(x, weight), 0.01, 0.99)).unsqueeze(0)


def continuous_bernoulli_logit(mean: Tensor, steps: int = 60) -> Tensor:
    """Natural parameter of a mean between 0.01 and 0.99, by bisection (it has no closed form)."""
    low, high = torch.full_like(mean, -200.0), torch.full_like(mean, 200.0)
    for _ in range(steps):
        middle = 0.5 * (low + high)
        below = ContinuousBernoulli(middle).mean < mean
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return 0.5 * (low + high)
