"""Counts with too many zeros: the zero-inflated negative binomial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution, constraints

from senzai.core.random import Noise
from senzai.core.spec import part

from .bases import FromNoise
from .counts import LOG_DISPERSION_LIMIT, LOG_MEAN_LIMIT, NegativeBinomial, log_count, log_dispersion_of
from .family import Family, Support, Unit, over_event, split_raw, weighted_mean
from .numeric import between, half_count, tame, weighted_moments
from .ops import Shape


def zero_inflated_log_prob(x: Tensor, gate: Tensor, log_p: Tensor) -> Tensor:
    """Log probability when a count is zero for another reason with log odds ``gate``, and else has ``log_p``."""
    counted = F.logsigmoid(-gate) + log_p
    return torch.where(x == 0, torch.logaddexp(F.logsigmoid(gate), counted), counted)


@final
class ZeroInflatedNegativeBinomial(FromNoise):
    r"""Negative binomial counts, some of which were replaced by zero.

    .. math:: p(x) = \pi\,[x = 0] + (1 - \pi)\,\mathrm{NB}(x; \mu, r), \quad \pi = \sigma(\eta)

    Reference:
        Deep generative modeling for single-cell transcriptomics (Lopez et al., 2018).
        https://doi.org/10.1038/s41592-018-0229-2

    Args:
        log_mean: Logarithm of the mean of the counts that were not replaced, shape ``(*batch,)``.
        log_dispersion: Logarithm of their dispersion, same shape.
        gate: Log odds :math:`\eta` of being replaced, same shape.

    Example:
        >>> one = torch.zeros(())
        >>> ZeroInflatedNegativeBinomial(one, one, one).log_prob(torch.arange(3.0)).exp()
        tensor([0.7500, 0.1250, 0.0625])
    """

    tensors = ("log_mean", "log_dispersion", "gate")
    support = constraints.nonnegative_integer
    log_mean: Tensor
    log_dispersion: Tensor
    gate: Tensor

    @property
    def counted(self) -> NegativeBinomial:
        """Distribution of the counts that were not replaced."""
        return NegativeBinomial(self.log_mean, self.log_dispersion)

    @property
    def mean(self) -> Tensor:
        """Mean, zeros included."""
        return torch.sigmoid(-self.gate) * self.log_mean.exp()

    @property
    def variance(self) -> Tensor:
        """Variance, zeros included."""
        kept, inner = torch.sigmoid(-self.gate), self.counted
        return kept * (inner.variance + torch.sigmoid(self.gate) * inner.mean.square())

    @property
    def mode(self) -> Tensor:
        """The likelier of zero and the mode of the counts."""
        peak = self.counted.mode
        zero = torch.zeros_like(peak)
        return torch.where(self.log_prob(peak) > self.log_prob(zero), peak, zero)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability, elementwise."""
        return zero_inflated_log_prob(value, self.gate, self.counted.log_prob(value))

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Draw counts, and replace some."""
        return self.counted.from_noise(shape, noise) * (self._uniform(shape, noise) < torch.sigmoid(-self.gate))


@part("family", "zero_inflated_negative_binomial")
@final
@dataclass(frozen=True, kw_only=True)
class ZeroInflatedNegativeBinomialFamily(Family):
    """Counts with too many zeros; logarithms of mean and dispersion, and the log odds of a zero that is no count.

    Example:
        >>> family = ZeroInflatedNegativeBinomialFamily()
        >>> family(torch.zeros(3, 3, 4), (4,)).log_prob(torch.zeros(3, 4))
        tensor([-1.1507, -1.1507, -1.1507])
    """

    support: ClassVar[Support] = "count"

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Log mean, log dispersion and gate."""
        return ("log_mean", "log_dispersion", "gate")

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent zero-inflated negative binomials."""
        log_mean, log_dispersion, gate = split_raw(raw, event)
        log_mean, log_dispersion = tame(log_mean, LOG_MEAN_LIMIT), tame(log_dispersion, LOG_DISPERSION_LIMIT)
        return over_event(ZeroInflatedNegativeBinomial(log_mean, log_dispersion, gate), event)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Half of the observed zeros are put down to the gate; the rest has the observed mean and variance."""
        gate = between(0.5 * weighted_mean((x == 0).to(weight.dtype), weight), half_count(weight), 0.5)
        mean, variance = weighted_moments(x, weight)
        inner_mean = mean / (1 - gate)
        inner_variance = variance / (1 - gate) - gate * inner_mean.square()
        log_mean = log_count(x, weight) - torch.log1p(-gate)
        return torch.stack([log_mean, log_dispersion_of(inner_mean, inner_variance), torch.logit(gate)])
