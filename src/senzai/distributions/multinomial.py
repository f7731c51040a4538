"""Counts of a row given how many there are together: the multinomial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributions import Distribution, constraints

from senzai.core.arguments import at_least
from senzai.core.entries import Entries, entries_of
from senzai.core.random import Noise
from senzai.core.spec import part

from .bases import as_real
from .family import Family, Support, Unit, split_raw, weighted_mean
from .ops import Shape, elementwise, scores_whole_numbers, stand_in
from .vectors import Vector

LEAST_SHARE = 1e-3
"""Counts that an entry without any is taken to have at the start, in all rows together."""

MANY = 1 << 20
"""Shares from which, on a CPU, only those of what is in a row are looked at."""

AT_ONCE = 1 << 18
"""Shares of which the sum is taken at once, so that they stay in the cache."""


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
        self.logits, self.total = logits, total
        super().__init__(tuple(logits.shape[:-1]), logits.shape[-1], logits)

    @cached_property
    def log_share(self) -> Tensor:
        """Log shares, which add up to one."""
        return self.logits.log_softmax(-1)

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
        found = self._entries(value)
        if found is None:
            x = as_real(value, self.logits)
            return log_arrangements(x) + (x * self.log_share).sum(-1)
        count = found.value.to(self.logits.dtype)
        of = (self.logits, found.row, found.column, count)
        together: Tensor = _OfEntries.apply(*of)  # type: ignore[no-untyped-call]  # torch's
        return together + torch.lgamma(found.summed(count) + 1) - found.summed(torch.lgamma(count + 1))

    def _entries(self, x: Tensor) -> Entries | None:
        """Return what is in rows, where looking at that alone is worth it; ``None`` elsewhere."""
        logits = self.logits
        usual = logits.dtype is torch.float32 and logits.device.type == "cpu" and logits.ndim >= 2
        fits = x.ndim == 2 and x.shape == logits.shape[-2:]
        return entries_of(x) if usual and fits and logits.numel() >= MANY else None

    def expand(self, batch_shape: Any, _instance: Any = None) -> MultinomialGivenTotal:
        """Return the same distribution with a larger batch shape."""
        return MultinomialGivenTotal(self.logits.expand(*batch_shape, *self.event_shape), self.total)

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Drop ``total`` items one by one where the shares, laid end to end, say so."""
        u = self.numbers(shape, noise, uniform=True, width=(self.total,)).clamp(max=1 - 1e-7)
        ends = self.log_share.double().exp().cumsum(-1)
        ends = (ends / ends[..., -1:]).to(u.dtype).expand(*u.shape[:-1], -1).contiguous()
        at = torch.searchsorted(ends, u.contiguous(), right=True).clamp(max=self.event_shape[0] - 1)
        counts = torch.zeros_like(ends)
        return counts.scatter_add_(-1, at, torch.ones_like(u))


class _OfEntries(torch.autograd.Function):
    """Sum of counts times log shares of each row, by the counts that are not zero; a gradient has no gradient."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, row: Tensor, column: Tensor, value: Tensor) -> Tensor:
        flat = logits.reshape(-1, logits.shape[-1])
        total = flat.new_empty(len(flat))
        for some in _few(flat):
            torch.logsumexp(flat[some], -1, out=total[some])
        ctx.save_for_backward(logits, row, column, value)
        shown = logits[..., row, column] - total.view(logits.shape[:-1])[..., row]
        return logits.new_zeros(logits.shape[:-1]).index_add(-1, row, shown * value)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        logits, row, column, value = ctx.saved_tensors
        (slope,) = slopes
        n = logits.new_zeros(logits.shape[-2]).index_add(0, row, value)
        flat, weight = logits.reshape(-1, logits.shape[-1]), (-slope * n).reshape(-1, 1)
        found = torch.empty_like(flat)
        for some in _few(flat):
            torch.softmax(flat[some], -1, out=found[some])
            found[some] *= weight[some]
        found = found.view(logits.shape)
        found[..., row, column] += slope[..., row] * value
        return found, None, None, None


def _few(flat: Tensor) -> Iterator[slice]:
    """Yield rows that are gone through together."""
    at_once = max(1, AT_ONCE // flat.shape[1])
    for start in range(0, len(flat), at_once):
        yield slice(start, start + at_once)


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


@scores_whole_numbers.register(MultinomialGivenTotal)
def _(p: MultinomialGivenTotal) -> bool:
    return True


@stand_in.register(MultinomialGivenTotal)
def _(p: MultinomialGivenTotal) -> Tensor:
    return torch.zeros_like(p.logits)


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
