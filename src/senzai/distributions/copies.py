"""Distributions over several copies of a batch, with the copies as an axis of their own."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

from senzai.core.random import CopiedRows, LaterRows, Noise

from .ops import Shape, _draw
from .wrapping import Around


class SplitCopies(Around):
    """A distribution over ``k`` copies of a batch, one after the other, with batch shape ``(k, B, ...)``.

    Args:
        base: Distribution with batch shape ``(k * B, ...)``.
        k: Number of copies.
    """

    def __init__(self, base: Distribution, k: int) -> None:
        rows, *rest = base.batch_shape
        super().__init__(base, (k, rows // k, *rest))
        self.k = k

    @property
    def mean(self) -> Tensor:
        """Mean of each copy."""
        return _split(self.base.mean, 0, self.k)

    @property
    def mode(self) -> Tensor:
        """Mode of each copy."""
        return _split(self.base.mode, 0, self.k)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density, ``(*lead, k, B, ...)``."""
        full = (*self.batch_shape, *self.event_shape)
        value = value.expand(*value.shape[: max(0, value.ndim - len(full))], *full)
        at = value.ndim - len(full)
        log_p: Tensor = self.base.log_prob(value.flatten(at, at + 1))
        return _split(log_p, at, self.k)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw without gradient."""
        n = len(tuple(sample_shape))
        return _split(self.base.sample(sample_shape), n, self.k)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw with gradients."""
        n = len(tuple(sample_shape))
        return _split(self.base.rsample(sample_shape), n, self.k)


@_draw.register(SplitCopies)
def _(p: SplitCopies, shape: Shape, noise: Noise) -> Tensor:
    inner = noise.inner if isinstance(noise, LaterRows) else noise  # the axis of the copies leads no longer
    return _split(_draw(p.base, shape, CopiedRows.of(inner, draws=p.k)), len(shape), p.k)


def _split(values: Tensor, axis: int, k: int) -> Tensor:
    rows = values.shape[axis]
    return values.reshape(*values.shape[:axis], k, rows // k, *values.shape[axis + 1 :])


def split_copies(p: Distribution, k: int) -> Distribution:
    """Return a distribution over ``k`` copies of a batch with its batch shape ``(k * B,)`` changed to ``(k, B)``.

    A distribution without a batch is returned unchanged.

    Example:
        >>> import torch
        >>> split_copies(Independent(Normal(torch.zeros(6, 2), 1.0), 1), 3).batch_shape
        torch.Size([3, 2])
    """
    return _split_copies(p, k) if p.batch_shape else p


@singledispatch
def _split_copies(p: Distribution, k: int) -> Distribution:
    return SplitCopies(p, k)


@_split_copies.register(Independent)
def _(p: Independent[Any], k: int) -> Distribution:
    return Independent(_split_copies(p.base_dist, k), p.reinterpreted_batch_ndims, validate_args=False)


@_split_copies.register(Normal)
def _(p: Normal, k: int) -> Distribution:
    return Normal(p.loc.unflatten(0, (k, -1)), p.scale.unflatten(0, (k, -1)), validate_args=False)


@_split_copies.register(MultivariateNormal)
def _(p: MultivariateNormal, k: int) -> Distribution:
    tril = p._unbroadcasted_scale_tril
    full = tril.expand(*p.batch_shape, *tril.shape[-2:]).unflatten(0, (k, -1))
    return MultivariateNormal(p.loc.unflatten(0, (k, -1)), scale_tril=full, validate_args=False)
