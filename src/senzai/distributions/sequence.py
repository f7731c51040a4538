"""A distribution over sequences from one over steps; steps behind the end of a row do not count."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent
from torch.distributions.kl import kl_divergence, register_kl

from senzai.core.batch import prefixes

from .ops import elementwise, marginal, point, prefix, stand_in
from .wrapping import Around


@final
class Sequence(Around):
    """Independent steps, each with its own distribution.

    ``log_prob`` sums over the steps that a row has; value and gradient do not depend on what stands elsewhere, NaN
    included. Draws and moments are those of all steps.

    Args:
        base: Distribution with batch shape ``(*lead, B, T)``.
        valid: Which steps each row has, ``(B, T)``.

    Example:
        >>> from torch.distributions import Normal
        >>> steps = Independent(Normal(torch.zeros(1, 2, 3), 1.0), 1)
        >>> p = Sequence(steps, torch.tensor([[True, False]]))
        >>> p.batch_shape, p.event_shape, bool(p.log_prob(torch.zeros(1, 2, 3)) == steps.log_prob(torch.zeros(3))[0, 0])
        (torch.Size([1]), torch.Size([2, 3]), True)
    """

    def __init__(self, base: Distribution, valid: Tensor) -> None:
        *lead, steps = base.batch_shape
        super().__init__(base, tuple(lead), (steps, *base.event_shape))
        self.valid = valid

    @property
    def variance(self) -> Tensor:
        """Variance of each step."""
        variance: Tensor = self.base.variance
        return variance

    def _safe(self, x: Tensor) -> Tensor:
        inside = stand_in(self.base).detach().to(x.dtype)
        return torch.where(self.valid.view(*self.valid.shape, *[1] * len(self.base.event_shape)), x, inside)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density of the steps that a row has, ``(*lead, B)``."""
        log_p: Tensor = self.base.log_prob(self._safe(x))
        return torch.where(self.valid, log_p, torch.zeros((), dtype=log_p.dtype, device=log_p.device)).sum(-1)

    def elementwise(self, x: Tensor) -> Tensor:
        """Log density of each entry, zero behind the end."""
        log_p = elementwise(self.base, self._safe(x))
        return torch.where(self.valid.unsqueeze(-1), log_p, torch.zeros((), dtype=log_p.dtype, device=log_p.device))


@point.register(Sequence)
def _(p: Sequence) -> Tensor:
    return point(p.base)


@stand_in.register(Sequence)
def _(p: Sequence) -> Tensor:
    return stand_in(p.base)


@elementwise.register(Sequence)
def _(p: Sequence, x: Tensor) -> Tensor:
    return p.elementwise(x)


@marginal.register(Sequence)
def _(p: Sequence, observed: Tensor) -> Distribution:
    return Sequence(marginal(p.base, observed), p.valid)


@prefix.register(Sequence)
def _(p: Sequence, lengths: Tensor) -> Distribution:
    return Sequence(p.base, p.valid & prefixes(lengths, p.valid))


@register_kl(Sequence, Sequence)
def _kl_steps(q: Sequence, p: Sequence) -> Tensor:
    return summed(kl_divergence(q.base, p.base), q.valid)


def summed(values: Tensor, valid: Tensor) -> Tensor:
    """Sum ``(*lead, B, T)`` over the steps that a row has."""
    return torch.where(valid, values, torch.zeros((), dtype=values.dtype, device=values.device)).sum(-1)


def rate_of_entries(q: Sequence, p: Sequence) -> Tensor | None:
    """Return the KL of each latent entry, summed over the steps that a row has, ``(*lead, B, d)``."""
    if not (isinstance(q.base, Independent) and isinstance(p.base, Independent)):
        return None
    kl: Tensor = kl_divergence(q.base.base_dist, p.base.base_dist)
    return summed(kl.movedim(-1, 0), q.valid).movedim(0, -1)
