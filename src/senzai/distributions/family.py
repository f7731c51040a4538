"""What a family is: a pure function from raw numbers to a distribution, with the facts networks need about it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from .spaces import Discrete, Real, Space

Support: TypeAlias = Literal[
    "binary", "unit", "levels", "category", "ordinal", "real", "positive", "count", "interval", "mixed"
]


@dataclass(frozen=True)
class Unit:
    """Affine change to the units of the data, for families with a location and a scale: ``x = shift + scale * u``.

    The family applies it to its parameters, so that densities are exact in data units without a Jacobian to remember.
    """

    shift: Tensor
    scale: Tensor


class Family(ABC):
    """Raw numbers in, distribution out; no parameters of its own. Subclasses are frozen dataclasses.

    ``raw`` has shape ``(*lead, *raw_shape(event))``; the distribution has ``batch_shape == lead`` and
    ``event_shape == event``. All elementwise families have ``raw_shape(event) == (n_raw, *event)``.
    """

    support: ClassVar[Support]
    has_unit: ClassVar[bool] = False
    mixes_rows: ClassVar[bool] = False
    usual_prior: ClassVar[str] = "standard_normal"
    """Name of the prior for latents of this family, where nobody names one."""

    @property
    @abstractmethod
    def raw_names(self) -> tuple[str, ...]:
        """Names of the raw numbers of one element, e.g. ``("loc", "scale")``."""

    @abstractmethod
    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return the distribution that ``raw`` describes."""

    @abstractmethod
    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return raw numbers, ``raw_shape(event)``, that describe the marginal of each element of the data.

        Networks start from these (an output bias), so that training begins at the data mean.

        Args:
            x: Data in the units of the family, ``(N, *event)``, placeholders where nothing was observed.
            weight: 1 where observed, 0 elsewhere, same shape.
        """

    @property
    def usually_shared(self) -> tuple[str, ...]:
        """Raw numbers that are learned once for all rows where nobody says otherwise; by default none."""
        return ()

    def raw_shape(self, event: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the raw numbers of one row."""
        return (len(self.raw_names), *event)

    def space(self, event: tuple[int, ...]) -> Space:
        """Return where latents of this family live; numbers on an interval count as real ones."""
        return Discrete() if self.support in ("binary", "levels", "category", "ordinal", "count", "mixed") else Real()

    def __call__(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return the distribution that ``raw`` describes."""
        return self.distribution(raw, event, unit)


def split_raw(raw: Tensor, event: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Return the raw numbers one by one, each ``(*lead, *event)``."""
    return raw.unbind(raw.ndim - len(event) - 1)


def over_event(base: Distribution, event: tuple[int, ...]) -> Independent[Any]:
    """Make the last ``len(event)`` axes of an elementwise distribution its event."""
    return Independent(base, len(event), validate_args=False)


def weighted_mean(x: Tensor, weight: Tensor) -> Tensor:
    """Mean over rows of the observed entries; zero where nothing was observed."""
    total = weight.sum(0)
    return torch.where(weight > 0, x, torch.zeros_like(x)).mul(weight).sum(0) / total.clamp_min(1e-12)
