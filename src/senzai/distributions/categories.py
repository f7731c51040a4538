"""One of n: unordered (categorical) and ordered (ordinal)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Categorical, Distribution

from senzai.core.random import Noise
from senzai.core.spec import part

from .family import Family, Support, Unit, over_event, weighted_mean
from .levels import Levels
from .numeric import (
    broadcast_shapes,
    half_count,
    log_logistic_mass,
    need_at_least,
    need_positive,
    positive,
    positive_raw,
)
from .ops import Shape, stand_in


def last(raw: Tensor, event: tuple[int, ...]) -> Tensor:
    """Move the axis of the raw numbers behind the axes of the event."""
    return raw.movedim(raw.ndim - len(event) - 1, -1)


def frequencies(x: Tensor, weight: Tensor, n: int) -> Tensor:
    """Observed share of each class, ``(n, *event)``, with half an observation spread over all of them."""
    shares = torch.stack([weighted_mean((x == k).to(weight.dtype), weight) for k in range(n)])
    least = half_count(weight)
    return shares * (1 - least) + least / n


# --- categorical ----------------------------------------------------------------------------------------------------
@stand_in.register(Categorical)
def _(p: Categorical) -> Tensor:
    return p.logits.new_zeros(p.batch_shape)


@part("family", "categorical")
@final
@dataclass(frozen=True, kw_only=True)
class CategoricalFamily(Family):
    r"""One of ``n`` unordered classes, stored as its index (float or long); the raw numbers are logits.

    .. math:: \log p(x = k) = \eta_k - \log \sum_j e^{\eta_j}

    Args:
        n: Number of classes.

    Example:
        >>> p = CategoricalFamily(n=4)(torch.zeros(3, 4, 2), (2,))
        >>> p.log_prob(torch.tensor([0.0, 3.0]))
        tensor([-2.7726, -2.7726, -2.7726])
    """

    n: int
    support: ClassVar[Support] = "category"

    def __post_init__(self) -> None:
        need_at_least("n", self.n, 2)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """One logit per class."""
        return tuple(f"logit_{k}" for k in range(self.n))

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent categoricals; draws and modes are long."""
        return over_event(Categorical(logits=last(raw, event), validate_args=False), event)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Logs of the observed shares."""
        return frequencies(x, weight, self.n).log()


# --- ordinal --------------------------------------------------------------------------------------------------------
@final
class Ordinal(Levels):
    r"""Ordered classes, cut out of a logistic variable around ``loc``.

    .. math:: P(x \le k) = \sigma(c_{k+1} - \mu), \quad c_1 = 0, \quad c_{k+1} = c_k + g_k, \quad g_k > 0

    The first cut point is fixed, because moving all of them is what the location does.

    Reference:
        Regression models for ordinal data (McCullagh, 1980). https://doi.org/10.1111/j.2517-6161.1980.tb01109.x

    Args:
        loc: Location of the logistic variable, shape ``(*batch,)``.
        gaps: Distances between neighbouring cut points, positive, shape ``(*batch, n - 2)``.

    Example:
        >>> p = Ordinal(torch.tensor(0.0), torch.tensor([1.0, 1.0]))
        >>> p.log_prob(torch.arange(4.0)).exp()
        tensor([0.5000, 0.2311, 0.1497, 0.1192])
    """

    tensors = ("loc",)
    loc: Tensor
    gaps: Tensor
    cuts: Tensor

    def __init__(self, loc: Tensor, gaps: Tensor) -> None:
        shape = broadcast_shapes(loc.shape, gaps.shape[:-1])
        self.loc, self.gaps = loc.expand(shape), gaps.expand(*shape, gaps.shape[-1])
        self.cuts = F.pad(self.gaps.cumsum(-1), (1, 0))
        Distribution.__init__(self, shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Ordinal:
        """Return the same distribution with a larger batch shape."""
        return Ordinal(self.loc.expand(*batch_shape), self.gaps.expand(*batch_shape, self.gaps.shape[-1]))

    @property
    def n(self) -> int:
        """Number of classes."""
        return self.cuts.shape[-1] + 1

    def at_most(self, k: int | Tensor) -> Tensor:
        """Probability of a class up to ``k``."""
        if isinstance(k, Tensor):
            return torch.sigmoid(self.cuts[..., k.flatten().long()].movedim(-1, 0) - self.loc)
        return torch.sigmoid(self.cuts[..., k] - self.loc)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability, elementwise; ``value`` holds class indices."""
        shape = broadcast_shapes(value.shape, self.batch_shape)
        k = value.long().expand(shape)
        lower, upper = self._cut(k - 1), self._cut(k)
        return log_logistic_mass(lower - self.loc, upper - self.loc, self._gap(k - 1), k == 0, k == self.n - 1)

    def _cut(self, k: Tensor) -> Tensor:
        return _choose(self.cuts, k)

    def _gap(self, k: Tensor) -> Tensor:
        return _choose(self.gaps, k) if self.n > 2 else torch.ones_like(self.loc)

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Count the cut points under a logistic variable."""
        y = self.loc + torch.logit(self._uniform(shape, noise))
        return (y.unsqueeze(-1) > self.cuts).sum(-1).to(y.dtype)


def _choose(table: Tensor, k: Tensor) -> Tensor:
    inside = k.clamp(0, table.shape[-1] - 1).unsqueeze(-1)
    return table.expand(*k.shape, table.shape[-1]).gather(-1, inside).squeeze(-1)


@part("family", "ordinal")
@final
@dataclass(frozen=True, kw_only=True)
class OrdinalFamily(Family):
    """One of ``n`` ordered classes, stored as its index; a location, and gaps between cut points.

    Args:
        n: Number of classes.
        floor: Least gap between two cut points.

    Example:
        >>> p = OrdinalFamily(n=5)(torch.zeros(3, 4, 2), (2,))
        >>> p.log_prob(torch.tensor([0.0, 4.0])).shape
        torch.Size([3])
    """

    n: int
    floor: float = 1e-4
    support: ClassVar[Support] = "ordinal"

    def __post_init__(self) -> None:
        need_at_least("n", self.n, 2)
        need_positive("floor", self.floor)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """The location and the gaps."""
        return ("loc", *(f"gap_{k}" for k in range(1, self.n - 1)))

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent ordinals."""
        numbers = last(raw, event)
        return over_event(Ordinal(numbers[..., 0], positive(numbers[..., 1:], self.floor)), event)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Cut points at the logits of the observed cumulative shares."""
        cuts = torch.logit(frequencies(x, weight, self.n).cumsum(0)[:-1], eps=1e-6)
        return torch.cat([-cuts[:1], positive_raw(cuts.diff(dim=0), self.floor)])
