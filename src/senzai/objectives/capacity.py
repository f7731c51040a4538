"""A rate that is driven to a capacity, which grows during training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from ..core.batch import Batch
from ..core.spec import part
from ..models.base import LatentModel
from .base import Objective, Terms
from .regularised import distortion_and_rate, need_weights, raw, total
from .warmup import Constant, Warmup


@part("objective", "capacity")
@final
@dataclass(frozen=True, kw_only=True)
class Capacity(Objective):
    r"""Distortion plus the distance of the rate from a capacity that grows, in nats per row.

    .. math:: L(x) = \mathbb{E}_q[-\log p(x|z)] + \gamma \, |\mathrm{KL}(q(z|x) \| p(z)) - w_t C|

    with the warm-up factor :math:`w_t` rising from 0 to 1. Taken row by row, as the paper writes it, so that no row
    mixes with another. :math:`\gamma = 0` leaves the distortion alone; :math:`C = 0` is the beta-VAE with
    :math:`\beta = \gamma`.

    Reference:
        Understanding disentangling in beta-VAE (Burgess et al., 2018). https://arxiv.org/abs/1804.03599

    Args:
        gamma: Weight of the distance.
        capacity: Rate that is aimed at in the end, C, in nats.
        warmup: How the capacity rises over optimisation steps.
    """

    gamma: float = 1000.0
    capacity: float = 25.0
    warmup: Warmup = Constant()  # noqa: RUF009 - frozen and without state

    def __post_init__(self) -> None:
        need_weights(gamma=self.gamma, capacity=self.capacity)

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        seen = model.infer(batch)
        found = distortion_and_rate(seen)
        away = self.gamma * (found["rate"] - self.capacity * self.warmup.factor(step)).abs()
        parts = {"distortion": found["distortion"], "capacity": away, **seen.extras}
        return Terms(total(parts), parts, raw(found))

    @property
    def settled_after(self) -> int:
        """End of the warm-up."""
        return self.warmup.end
