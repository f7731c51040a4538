"""Ordered values with known cut points: a logistic variable cut where the data's own shares are."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor
from torch.distributions import constraints

from senzai.core.random import Noise

from .bases import FromNoise
from .numeric import broadcast_shapes, log_logistic_mass
from .ops import Shape

WIDE = 1e4
"""Where cut points of columns with fewer levels than others are put: no logistic variable gets there."""


@final
class Steps(FromNoise):
    r"""One of ``n`` ordered values: a logistic variable with a location and a scale, cut at known points.

    .. math:: P(x \le k) = \sigma\big((c_k - \mu) / s\big)

    With the logits of the cumulative shares as cut points, location 0 and scale 1 give exactly those shares. Columns
    with fewer values than the longest are filled up with cut points out of reach.

    Reference:
        Regression models for ordinal data (McCullagh, 1980). https://doi.org/10.1111/j.2517-6161.1980.tb01109.x

    Args:
        loc: Location, shape ``(*batch,)``.
        scale: Scale, positive, same shape.
        cuts: Ascending cut points, ``(d, n - 1)``, where ``d`` is the last axis of the batch.

    Example:
        >>> cuts = torch.logit(torch.tensor([[0.5, 0.75]]))
        >>> Steps(torch.zeros(1), torch.ones(1), cuts).log_prob(torch.arange(3.0)[:, None]).exp().flatten()
        tensor([0.5000, 0.2500, 0.2500])
    """

    tensors = ("loc", "scale")
    support = constraints.nonnegative_integer
    loc: Tensor
    scale: Tensor

    def __init__(self, loc: Tensor, scale: Tensor, cuts: Tensor) -> None:
        super().__init__(loc, scale)
        self.cuts = cuts

    def settings(self) -> dict[str, Any]:
        """The cut points."""
        return {"cuts": self.cuts}

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability, elementwise; ``value`` holds positions."""
        shape = broadcast_shapes(value.shape, self.batch_shape)
        k = value.long().expand(shape)
        top = self.cuts.shape[-1]
        below, above = self._cut(k - 1), self._cut(k)
        lower, upper = (below - self.loc) / self.scale, (above - self.loc) / self.scale
        last = (k >= top) | (above >= WIDE)
        return log_logistic_mass(lower, upper, (above - below).clamp_min(1e-6) / self.scale, k == 0, last)

    def _cut(self, k: Tensor) -> Tensor:
        inside = k.clamp(0, self.cuts.shape[-1] - 1)
        columns = torch.arange(self.cuts.shape[0], device=k.device).expand(k.shape)
        return self.cuts[columns, inside]

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Count the cut points under a logistic variable."""
        return self._count(self.loc + self.scale * torch.logit(self._uniform(shape, noise)))

    def _count(self, y: Tensor) -> Tensor:
        if torch.compiler.is_compiling():  # runtimes have no search
            return (self.cuts.to(y.dtype) < y.unsqueeze(-1)).sum(-1).to(y.dtype)
        found = torch.searchsorted(self.cuts.to(y.dtype), y.movedim(-1, 0).reshape(y.shape[-1], -1).contiguous())
        return found.to(y.dtype).reshape(y.shape[-1], *y.shape[:-1]).movedim(0, -1)

    @property
    def mode(self) -> Tensor:
        """The median, which stands for ordered values better than the likeliest."""
        return self._count(self.loc)

    @property
    def mean(self) -> Tensor:
        """Not defined: positions have an order, but no distances."""
        raise NotImplementedError

    def expand(self, batch_shape: Any, _instance: Any = None) -> Steps:
        """Return the same distribution with a larger batch shape."""
        return Steps(self.loc.expand(*batch_shape), self.scale.expand(*batch_shape), self.cuts)
