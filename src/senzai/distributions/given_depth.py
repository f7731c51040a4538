"""Counts of a row given how deep it was read: shares of the row's own sum, under Poisson or negative binomial noise."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, final

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, constraints

from senzai.core.random import Noise
from senzai.core.spec import part

from .bases import Elementwise, as_real
from .counts import LOG_DISPERSION_LIMIT, LogPoisson, NegativeBinomial
from .family import Family, Support, Unit, split_raw, weighted_mean
from .multinomial import LEAST_SHARE
from .numeric import need_positive, tame
from .ops import Observed, Shape, _draw, elementwise, given_row, marginal, stand_in
from .vectors import Vector
from .zero_inflated import ZeroInflatedNegativeBinomial

Make: TypeAlias = Callable[..., Elementwise]


@final
class CountsGivenDepth(Vector):
    r"""Counts whose means are shares of the depth of their row, the sum of what was counted in it.

    .. math:: \log p(x \mid n) = \sum_g \log p(x_g \mid n \pi_g), \qquad n = \sum_g x_g

    with independent :math:`p` of the mean :math:`n \pi_g`. As in single-cell models with an observed library size the
    depth is given and not modelled: a row is scored given its own, and new rows are drawn with depths that are usual.

    Reference:
        Deep generative modeling for single-cell transcriptomics (Lopez et al., 2018).
        https://doi.org/10.1038/s41592-018-0229-2

    Args:
        logits: Log shares up to a constant, shape ``(*batch, n_entries)``.
        more: Other numbers of each entry, same shape: log dispersion, log odds of a zero.
        make: From log means and ``more`` to elementwise counts.
        depth: Depth of rows that are drawn, the median.
        spread: Standard deviation of the logarithm of their depth.
        log_depth: Logarithm of the depth, ``(*batch,)``, where it is known and not that of what is scored.

    Example:
        >>> p = CountsGivenDepth(torch.zeros(2), (), LogPoisson, depth=10.0)
        >>> p.mean, p.log_prob(torch.tensor([2.0, 2.0])).exp()
        (tensor([5., 5.]), tensor(0.0733))
    """

    def __init__(
        self, logits: Tensor, more: tuple[Tensor, ...], make: Make, *, depth: float, spread: float = 0.0,
        log_depth: Tensor | None = None,
    ) -> None:
        self.log_share, self.more, self.make = logits.log_softmax(-1), more, make
        self.depth, self.spread, self.log_depth = depth, spread, log_depth
        super().__init__(tuple(logits.shape[:-1]), logits.shape[-1], logits)

    @property
    def support(self) -> constraints.Constraint:
        """Whole numbers from 0 up."""
        counts: constraints.Constraint = constraints.independent(constraints.nonnegative_integer, 1)
        return counts

    def at_depth(self, log_depth: Tensor) -> CountsGivenDepth:
        """Return the same shares at a depth that is known, ``(*batch,)``."""
        return self._again(self.log_share, self.more, log_depth)

    def _again(self, log_share: Tensor, more: tuple[Tensor, ...], log_depth: Tensor | None) -> CountsGivenDepth:
        return CountsGivenDepth(
            log_share, more, self.make, depth=self.depth, spread=self.spread, log_depth=log_depth
        )

    def counted(self, log_depth: Tensor | None = None) -> Elementwise:
        """Return the counts of single entries at a depth: the one that is known, a given one, or the usual one."""
        log_depth = self.log_depth if self.log_depth is not None else log_depth
        if log_depth is None:
            return self.make(self.log_share + math.log(self.depth), *self.more)
        return self.make(self.log_share + log_depth.unsqueeze(-1), *self.more)

    @property
    def mean(self) -> Tensor:
        """Shares times the depth."""
        return self.counted().mean

    @property
    def variance(self) -> Tensor:
        """Of each entry at that depth."""
        return self.counted().variance

    @property
    def mode(self) -> Tensor:
        """Of each entry at that depth."""
        return self.counted().mode

    def elementwise(self, value: Tensor) -> Tensor:
        """Log probability of each entry, given the depth of its row."""
        x = as_real(value, self.log_share)
        return self.counted(log_depth_of(x)).log_prob(x)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability of rows given their depth, ``(*lead,)``."""
        return self.elementwise(value).sum(-1)

    def expand(self, batch_shape: Any, _instance: Any = None) -> CountsGivenDepth:
        """Return the same distribution with a larger batch shape."""
        log_share, *more = (v.expand(*batch_shape, *self.event_shape) for v in (self.log_share, *self.more))
        return self._again(
            log_share, tuple(more), None if self.log_depth is None else self.log_depth.expand(*batch_shape)
        )

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Draw a depth for each row, unless it is known, and counts at that depth."""
        log_depth = None
        if self.log_depth is None and self.spread > 0:
            log_depth = math.log(self.depth) + self.spread * self.numbers(shape, noise, width=())
        p = self.counted(log_depth)
        return _draw(p, () if log_depth is not None else shape, noise)


def log_depth_of(x: Tensor, observed: Tensor | None = None, log_share: Tensor | None = None) -> Tensor:
    """Return the logarithm of the sum of each row; of one without a count, that of one count.

    Where some entries were not observed, what the others have is divided by the share that is expected of them.

    Example:
        >>> log_depth_of(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
        tensor([0., 0.])
    """
    if observed is None or log_share is None:
        return x.sum(-1).clamp_min(1.0).log()
    seen = torch.where(observed, x, torch.zeros_like(x)).sum(-1).clamp_min(1.0).log()
    there = torch.where(observed, log_share, torch.full_like(log_share, -torch.inf)).logsumexp(-1)
    return torch.where(torch.isfinite(there), seen - there, seen)


@stand_in.register(CountsGivenDepth)
def _(p: CountsGivenDepth) -> Tensor:
    return torch.zeros_like(p.log_share)


@elementwise.register(CountsGivenDepth)
def _(p: CountsGivenDepth, x: Tensor) -> Tensor:
    return p.elementwise(x)


@given_row.register(CountsGivenDepth)
def _(p: CountsGivenDepth, x: Tensor, observed: Tensor | None) -> Distribution:
    """Return the counts at the depth of the row, with independent entries."""
    own = as_real(x, p.log_share)
    return Independent(p.counted(log_depth_of(own, observed, p.log_share)), 1, validate_args=False)


@marginal.register(CountsGivenDepth)
def _(p: CountsGivenDepth, observed: Tensor) -> Distribution:
    return Observed(Independent(p.counted(), 1, validate_args=False), observed)


# --- families -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class GivenDepth(Family, ABC):
    """Counts that are shares of the depth of their row; the first raw number is a log share, up to a constant.

    Args:
        usual_depth: Median depth of rows that are drawn; kinds of data set it to what rows usually have.
        depth_spread: Standard deviation of the logarithm of their depth.
    """

    usual_depth: float = 1000.0
    depth_spread: float = 0.0
    support: ClassVar[Support] = "count"
    make: ClassVar[Make]

    def __post_init__(self) -> None:
        need_positive("usual_depth", self.usual_depth)
        if self.depth_spread != 0:
            need_positive("depth_spread", self.depth_spread)

    @property
    def usually_shared(self) -> tuple[str, ...]:
        """The dispersion, of each entry, where there is one."""
        return tuple(n for n in self.raw_names if n == "log_dispersion")

    @abstractmethod
    def others(self, raw: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return what there is beside the shares, from its raw numbers."""

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return the counts given the depth."""
        logits, *more = split_raw(raw, event)
        return CountsGivenDepth(
            logits, self.others(tuple(more)), type(self).make, depth=self.usual_depth, spread=self.depth_spread
        )


def shares_of(x: Tensor, weight: Tensor) -> Tensor:
    """Return log shares of all rows together; an entry without a count is taken to have a fraction of one."""
    mean = weighted_mean(x, weight)
    share = mean.clamp_min(LEAST_SHARE / max(1, len(x)))
    return (share / share.sum()).log()


UNEXPLAINED = 0.25
"""Share of the variance beyond a Poisson's that a start leaves to noise: codes will explain the rest, and a start that
leaves all of it to noise hides from the gradient what there is to explain."""


def dispersion_given_depth(x: Tensor, weight: Tensor, log_share: Tensor) -> Tensor:
    """Return the log dispersion of each entry by the moments of its rows, each at its own depth; within [-3, 5]."""
    seen = torch.where(weight > 0, x, torch.zeros_like(x))
    mean = log_share.exp() * log_depth_of(seen).exp().unsqueeze(-1)
    excess = UNEXPLAINED * (((seen - mean).square() - mean) * weight).sum(0)
    square = (mean.square() * weight).sum(0)
    return torch.where(excess > 0, (square / excess.clamp_min(1e-12)).clamp_min(1e-9).log().clamp(-3.0, 5.0), 5.0)


@part("family", "poisson_given_depth")
@final
@dataclass(frozen=True, kw_only=True)
class PoissonGivenDepthFamily(GivenDepth):
    """Counts as technical noise alone makes them, given the depth of the row.

    Args:
        usual_depth: Median depth of rows that are drawn.
        depth_spread: Standard deviation of the logarithm of their depth.

    Example:
        >>> PoissonGivenDepthFamily()(torch.zeros(3, 1, 4), (4,)).log_prob(torch.ones(3, 4))
        tensor([-4., -4., -4.])
    """

    make: ClassVar[Make] = LogPoisson

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Log share, up to a constant."""
        return ("logits",)

    def others(self, raw: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Nothing."""
        return ()

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Log shares of all rows together."""
        return shares_of(x, weight).unsqueeze(0)


@part("family", "negative_binomial_given_depth")
@final
@dataclass(frozen=True, kw_only=True)
class NegativeBinomialGivenDepthFamily(GivenDepth):
    """Overdispersed counts given the depth of the row: reads of genes in cells.

    Args:
        usual_depth: Median depth of rows that are drawn.
        depth_spread: Standard deviation of the logarithm of their depth.

    Example:
        >>> p = NegativeBinomialGivenDepthFamily()(torch.zeros(3, 2, 4), (4,))
        >>> p.log_prob(torch.ones(3, 4))
        tensor([-5.5452, -5.5452, -5.5452])
    """

    make: ClassVar[Make] = NegativeBinomial

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Log share and log dispersion."""
        return ("logits", "log_dispersion")

    def others(self, raw: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Log dispersion."""
        return (tame(raw[0], LOG_DISPERSION_LIMIT),)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Log shares of all rows, and the dispersion about the depth of each."""
        log_share = shares_of(x, weight)
        return torch.stack([log_share, dispersion_given_depth(x, weight, log_share)])


@part("family", "zero_inflated_negative_binomial_given_depth")
@final
@dataclass(frozen=True, kw_only=True)
class ZeroInflatedNegativeBinomialGivenDepthFamily(GivenDepth):
    """Overdispersed counts given the depth of the row, some of which were replaced by zero.

    Args:
        usual_depth: Median depth of rows that are drawn.
        depth_spread: Standard deviation of the logarithm of their depth.

    Example:
        >>> p = ZeroInflatedNegativeBinomialGivenDepthFamily()(torch.zeros(3, 3, 4), (4,))
        >>> p.log_prob(torch.ones(3, 4))
        tensor([-8.3178, -8.3178, -8.3178])
    """

    make: ClassVar[Make] = ZeroInflatedNegativeBinomial

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Log share, log dispersion and the log odds of a zero that is no count."""
        return ("logits", "log_dispersion", "gate")

    def others(self, raw: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Log dispersion and gate."""
        return tame(raw[0], LOG_DISPERSION_LIMIT), raw[1]

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """As without such zeros, of which there are few at the start."""
        log_share = shares_of(x, weight)
        few = torch.full_like(log_share, math.log(0.05 / 0.95))
        return torch.stack([log_share, dispersion_given_depth(x, weight, log_share), few])
