"""Which columns of a table change along a path through the latent space, and by how much, in the user's own values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, Independent

from ..data import KINDS, RowFeatures, Schema
from ..distributions import MixedFamily
from ..distributions.columns import MixedColumns
from ..distributions.ops import expected
from ..models.base import LatentModel, Latents
from ..models.modes import judging
from .vectors import vectors

LEAST = 0.05
"""Changes smaller than this (standard deviations, or twice a probability) are none."""


@dataclass(frozen=True)
class Change:
    """One column along a path.

    Args:
        column: Its name.
        size: How much it changes: numbers in about standard deviations, categories by twice the probability that moves.
        values: The user's value at every step: what is expected of numbers, the likeliest of categories.
        sure: Probability of that value at every step, for columns with categories.
    """

    column: str | int
    size: float
    values: tuple[Any, ...]
    sure: tuple[float, ...] | None = None

    def text(self, step: int) -> str:
        """Return the value at a step for people: ``Ulm (62 %)``.

        Example:
            >>> Change("city", 0.4, ("Ulm", "Bonn"), (0.62, 0.55)).text(-1)
            'Bonn (55 %)'
        """
        value = self.values[step]
        told = "missing" if value is None or value != value else str(value)
        if isinstance(value, float) and told != "missing":
            told = f"{value:.6g}"
        return told if self.sure is None else f"{told} ({100 * self.sure[step]:.0f} %)"

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON: column, size, from, to, and what categories are worth at both ends."""
        found = {"column": self.column, "size": round(self.size, 4), "from": self.values[0], "to": self.values[-1]}
        if self.sure is not None:
            found |= {"from_probability": round(self.sure[0], 4), "to_probability": round(self.sure[-1], 4)}
        return found


def along(
    model: LatentModel, z: Latents, c: Tensor | None, schema: Schema, *, most: int | None = None
) -> list[Change]:
    """Return the columns that change along latents of one row, those that change most first.

    Args:
        model: Trained model of rows with features.
        z: Latents of every step, ``(steps, *event)`` per group.
        c: Their condition.
        schema: What the rows are.
        most: At most so many columns.
    """
    family = getattr(getattr(model, "likelihood", None), "family", None)
    features = KINDS[schema.kind].features(schema)
    if features is None or not isinstance(family, MixedFamily):
        return []
    with judging(model):
        p = model.generate(z, c)
        x = expected(p).double()
    size, sure = measured(p, x, family)
    order = [int(j) for j in np.argsort(-size, kind="stable") if size[j] > LEAST and j < len(features.names)]
    return [_change(x[:, j].numpy(), j, features, float(size[j]), sure.get(j)) for j in order[:most]]


def measured(p: Distribution, x: Tensor, family: MixedFamily) -> tuple[NDArray[np.float64], dict[int, Tensor]]:
    """Return how much each column changes along the steps, and the probability of what stands for each category."""
    flat, owner = vectors(family, x, None)
    span = torch.zeros(x.shape[1]).index_add_(0, owner, flat.max(0).values - flat.min(0).values)
    size, sure = span.double().numpy(), {}
    inner = p.base_dist if isinstance(p, Independent) else p
    for columns, group in inner.groups if isinstance(inner, MixedColumns) else []:
        if not isinstance(group, Categorical | Bernoulli):
            continue
        probs = group.probs if isinstance(group, Categorical) else torch.stack([1 - group.probs, group.probs], -1)
        moves = 0.5 * (probs - probs[:1]).abs().sum(-1).max(0).values
        best = probs.max(-1).values
        for at, j in enumerate(columns.tolist()):
            size[j], sure[j] = 2 * float(moves[at]), best[:, at]
    return size, sure


def _change(codes: NDArray[np.float64], j: int, features: RowFeatures, size: float, sure: Tensor | None) -> Change:
    values = features.decode(j, codes)
    plain = tuple(v.isoformat() if hasattr(v, "isoformat") else v for v in values)
    return Change(features.names[j], size, plain, None if sure is None else tuple(sure.tolist()))
