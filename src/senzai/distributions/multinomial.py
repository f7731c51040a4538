"""Counts of a row given how many there are together: the multinomial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from senzai.core.arguments import at_least
from senzai.core.random import Noise
from senzai.core.spec import part

from .bases import as_real
from .family import Family, Support, Unit, split_raw, weighted_mean
from .ops import Shape, elementwise, stand_in
from .vectors import Vector

LEAST_SHARE = 1e-3
"""Counts that an entry without any is taken to have at the start, in all rows together."""


@final
class MultinomialGivenTotal(Vector):
    r"""How the counts of a row are divided among its entries, given their sum.

    .. math:: \log p(x \mid n) = \log n! - \sum_i \log x_i! + \sum_i x_i \log \pi_i, \quad n = \sum_i x_i

    The sum of a row is given, not modelled: a row is scored given its own, and new rows are drawn with ``total``.

    Args:
        logits: Log shares up to a constant, shape ``(*batch, n_entries)``.
        total: Sum of a row that is drawn.

    Example:
        >>> p = MultinomialGivenTotal(torch.zeros(2), total=3)
        >>> p.log_prob(torch.tensor([[1.0, 1.0], [2.0, 0.0]])).exp()
        tensor([0.5000, 0.2500])
    """

    def __init__(self, logits: Tensor, total: int) -> None:
        self.log_share, self.total = logits.log_softmax(-1), total
        super().__init__(tuple(logits.shape[:-1]), logits.shape[-1], logits)

    @property
    def support(self) -> constraints.Constraint:
        """Whole numbers from 0 up."""
        counts: constraints.Constraint = constraints.independent(constraints.nonnegative_integer, 1)
        return counts

    @property
    def mean(self) -> Tensor:
        """Shares times the total."""
        return self.total * self.log_share.exp()

    @property
    def variance(self) -> Tensor:
        """Of each entry by itself."""
        return self.mean * -torch.expm1(self.log_share)

    @property
    def mode(self) -> Tensor:
        """The total divided as the shares are, the largest remainders rounded up: likely, if not the likeliest."""
        low = self.mean.floor()
        left = (self.total - low.sum(-1, keepdim=True)).round()
        rank = (self.mean - low).argsort(-1, descending=True).argsort(-1)
        return low + (rank < left)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability of rows given their sums, ``(*lead,)``."""
        x = as_real(value, self.log_share)
        return log_arrangements(x) + (x * self.log_share).sum(-1)

    def expand(self, batch_shape: Any, _instance: Any = None) -> MultinomialGivenTotal:
        """Return the same distribution with a larger batch shape."""
        return MultinomialGivenTotal(self.log_share.expand(*batch_shape, *self.event_shape), self.total)

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Drop ``total`` items one by one where the shares, laid end to end, say so."""
        u = self.numbers(shape, noise, uniform=True, width=(self.total,)).clamp(max=1 - 1e-7)
        ends = self.log_share.double().exp().cumsum(-1)
        ends = (ends / ends[..., -1:]).to(u.dtype).expand(*u.shape[:-1], -1).contiguous()
        at = torch.searchsorted(ends, u.contiguous(), right=True).clamp(max=self.event_shape[0] - 1)
        counts = torch.zeros_like(ends)
        return counts.scatter_add_(-1, at, torch.ones_like(u))


def log_arrangements(x: Tensor) -> Tensor:
    """Return log n! - sum of log x! over the last axis; entries up to one add nothing and are not looked up.

    Example:
        >>> log_arrangements(torch.tensor([2.0, 1.0, 0.0])).exp()
        tensor(3.)
    """
    total = torch.lgamma(x.sum(-1) + 1)
    traced = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
    if not traced and not bool((x > 1).any()):
        return total  # rows of items: no logarithm of a factorial for each of millions of zeros
    return total - torch.lgamma(x + 1).sum(-1)


@stand_in.register(MultinomialGivenTotal)
def _(p: MultinomialGivenTotal) -> Tensor:
    return torch.zeros_like(p.log_share)


@elementwise.register(MultinomialGivenTotal)
def _(p: MultinomialGivenTotal, x: Tensor) -> Tensor:
    """Return what each entry adds to the log probability: the arrangements of a row are shared by what is in it."""
    n = x.sum(-1, keepdim=True)
    shared = x / n.clamp_min(1) * torch.lgamma(n + 1)
    return shared - torch.lgamma(x + 1) + x * p.log_share


@part("family", "multinomial")
@final
@dataclass(frozen=True, kw_only=True)
class MultinomialFamily(Family):
    """Counts of a row that share what there is: items of a user, words of a text; given their sum.

    Reference:
        Variational Autoencoders for Collaborative Filtering (Liang et al., 2018). https://arxiv.org/abs/1802.05814

    Args:
        total: Sum of a row that is drawn; kinds of data set it to what rows usually have.

    Example:
        >>> MultinomialFamily()(torch.zeros(3, 1, 4), (4,)).log_prob(torch.eye(4)[:3]).exp()
        tensor([0.2500, 0.2500, 0.2500])
    """

    total: int = 4
    support: ClassVar[Support] = "count"

    def __post_init__(self) -> None:
        at_least(1, total=self.total)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Log share, up to a constant."""
        return ("logits",)

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return the multinomial given its total."""
        (logits,) = split_raw(raw, event)
        return MultinomialGivenTotal(logits, self.total)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Log shares of all rows together."""
        mean = weighted_mean(x, weight)
        share = mean.clamp_min(LEAST_SHARE / max(1, len(x)))
        return (share / share.sum()).log().unsqueeze(0)
