"""Statistics of rows that are computed in parts and merged, where the rows cannot be in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.errors import ShapeError

ROUNDINGS = 4.0
"""Relative roundings up to which a spread says nothing."""


@final
@dataclass(frozen=True)
class Statistics:
    """Count, mean, sum of squared deviations, and range of each entry of a row, over the observed ones.

    Args:
        count: Observed rows of each entry, ``(*event)``.
        mean: Their mean.
        deviation: Sum of their squared deviations from it.
        low: Their least value; infinity where there is none.
        high: Their greatest value; minus infinity where there is none.
        dtype: Precision of the data.

    Example:
        >>> x = torch.tensor([[0.0, 10.0], [2.0, 30.0], [7.0, 5.0]])
        >>> parts = Statistics.of(x[:2]).merged(Statistics.of(x[2:]))
        >>> torch.allclose(parts.moments()[1], Statistics.of(x).moments()[1])
        True
    """

    count: Tensor
    mean: Tensor
    deviation: Tensor
    low: Tensor
    high: Tensor
    dtype: torch.dtype

    @classmethod
    def of(cls, x: Tensor, mask: Tensor | None = None) -> Statistics:
        """Return the statistics of rows ``(N, *event)``; ``mask`` is True where they were observed."""
        kept = x.dtype if x.is_floating_point() else torch.get_default_dtype()
        x = x.double()  # squares of large values overflow in single precision
        seen = torch.ones_like(x, dtype=torch.bool) if mask is None else mask
        safe = x if mask is None else torch.where(mask, x, torch.zeros_like(x))
        count = seen.to(x.dtype).sum(0)
        mean = safe.sum(0) / count.clamp_min(1)
        deviation = ((safe - mean).square() * seen).sum(0)
        none = not len(x)
        low = torch.full_like(mean, torch.inf) if none else torch.where(seen, x, torch.inf).amin(0)
        high = torch.full_like(mean, -torch.inf) if none else torch.where(seen, x, -torch.inf).amax(0)
        return cls(count, mean, deviation, low, high, kept)

    def merged(self, other: Statistics) -> Statistics:
        """Return the statistics of the rows of both.

        Reference:
            Updating Formulae and a Pairwise Algorithm for Computing Sample Variances (Chan, Golub and LeVeque, 1982).

        Raises:
            ShapeError: They are of rows of different shapes.
        """
        if self.mean.shape != other.mean.shape:
            raise ShapeError(
                f"Statistics are merged of rows of one shape, but got {tuple(self.mean.shape)} and "
                f"{tuple(other.mean.shape)}. Give rows with the same entries."
            )
        count, gap = self.count + other.count, other.mean - self.mean
        share = other.count / count.clamp_min(1)
        return Statistics(
            count, self.mean + gap * share, self.deviation + other.deviation + gap.square() * self.count * share,
            torch.minimum(self.low, other.low), torch.maximum(self.high, other.high), self.dtype,
        )

    def moments(self, *, per_element: bool = True) -> tuple[Tensor, Tensor]:
        """Mean per element, and standard deviation per element or shared (root mean square over elements).

        Constant elements get a standard deviation of one, so that dividing by it is always safe. What is constant
        depends on the precision of the data alone, and so not on units: see :func:`varies`.
        """
        var = self.deviation / self.count.clamp_min(1)
        if not per_element:
            var = var.mean().expand_as(var)
        size = self.mean if per_element else self.mean.square().mean().sqrt()
        std = var.sqrt()
        spread = torch.where(varies(std, size, self.dtype), std, torch.ones_like(std))
        return self.mean.to(self.dtype), spread.to(self.dtype)

    def width(self) -> Tensor:
        """Return the distance from the least to the largest observed entry of all; one if they are equal."""
        span = self.high.max() - self.low.min() if bool((self.count > 0).any()) else torch.zeros(())
        return torch.where(span > 0, span, torch.ones_like(span)).to(self.dtype)


def varies(std: Tensor, mean: Tensor, dtype: torch.dtype) -> Tensor:
    """Whether a spread is more than the rounding of numbers of ``dtype`` around a mean.

    Example:
        >>> varies(torch.tensor([1e-9, 1e-9, 0.0]), torch.tensor([0.0, 1.0, 0.0]), torch.float32)
        tensor([ True, False, False])
    """
    about = torch.finfo(dtype)
    return (std > ROUNDINGS * about.eps * mean.abs()) & (std > about.tiny)
