"""A distribution that stands around another one and is like it in all that it does not say itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints


class Around(Distribution):
    """What a distribution takes from the one inside: support, moments and draws; subclasses change some of it.

    Args:
        base: The distribution inside.
        batch_shape: Its own by default.
        event_shape: Its own by default.
    """

    base: Any

    def __init__(
        self, base: Distribution, batch_shape: tuple[int, ...] | None = None, event_shape: tuple[int, ...] | None = None
    ) -> None:
        self.base = base
        batch = base.batch_shape if batch_shape is None else torch.Size(batch_shape)
        event = base.event_shape if event_shape is None else torch.Size(event_shape)
        super().__init__(batch, event, validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Nothing: the base has its own."""
        return {}

    @property
    def support(self) -> constraints.Constraint | None:
        """Support of the base."""
        support: constraints.Constraint | None = self.base.support
        return support

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]  # torch: an attribute
        """Whether draws carry gradients."""
        return bool(self.base.has_rsample)

    @property
    def mean(self) -> Tensor:
        """Mean of the base."""
        mean: Tensor = self.base.mean
        return mean

    @property
    def mode(self) -> Tensor:
        """Mode of the base."""
        mode: Tensor = self.base.mode
        return mode

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw from the base, with gradients."""
        drawn: Tensor = self.base.rsample(sample_shape)
        return drawn

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw from the base."""
        drawn: Tensor = self.base.sample(sample_shape)
        return drawn
