"""Draws from the posteriors of rows, which samplers are fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.batch import Batch
from ..models.base import LatentModel


@dataclass(frozen=True)
class PosteriorDraws:
    """Draws from the posteriors of some rows.

    Args:
        z: Latents of the topmost group, ``(N, d)``.
        c: Condition of each row.
        of: The model and the rows, where these are all of their codes.
    """

    z: Tensor
    c: Tensor | None = None
    of: tuple[LatentModel, Batch] | None = None

    def __len__(self) -> int:
        return len(self.z)

    def take(self, index: Tensor) -> PosteriorDraws:
        """Return some of them."""
        return PosteriorDraws(self.z[index], None if self.c is None else self.c[index])

    @property
    def n_condition(self) -> int:
        """Width of the condition."""
        return 0 if self.c is None else self.c.shape[1]


def standard(z: Tensor) -> tuple[Tensor, Tensor]:
    """Return location and scale of every dimension; a dimension that does not vary has scale one."""
    scale = z.std(0) if len(z) > 1 else torch.ones_like(z[0])
    return z.mean(0), torch.where(scale > 1e-6, scale, torch.ones_like(scale))
