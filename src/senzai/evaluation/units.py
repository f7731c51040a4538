"""From the model's numbers back to the units of the data, where strange rows are farther away.

A column of real numbers goes to the model by its quantiles, which puts an income of a billion next to one of a
million. In the units of the data it is a thousand times as far.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..data import KINDS, Schema
from ..data.features import Scale
from ..distributions import MixedFamily
from ..models.base import LatentModel
from ..parts.likelihoods.decoded import Likelihood
from .vectors import middles, vectors

Coder: TypeAlias = Callable[[Tensor], Tensor]
"""From model values of rows to the lengths of a lossless code of them, in nats."""


@dataclass(frozen=True)
class Units:
    """A map of each place of a vector, piecewise straight, that goes on beyond its ends with its average slope.

    Args:
        model: Ascending numbers of the model, ``(D, K)``; the last one is repeated where there are fewer.
        data: Numbers of the data that belong to them, likewise, in units of about the column's spread.

    Example:
        >>> units = Units(torch.tensor([[-1.0, 0.0, 1.0]]), torch.tensor([[0.0, 1.0, 10.0]]))
        >>> units(torch.tensor([[-1.0], [0.5], [2.0]])).flatten()
        tensor([ 0.0000,  5.5000, 15.0000])
    """

    model: Tensor
    data: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Return vectors, ``(N, D)``, in the units of the data; what is missing stays NaN."""
        z = x.T.contiguous().to(self.model.dtype)
        at = torch.searchsorted(self.model, z).clamp(1, self.model.shape[1] - 1)
        left, right = self.model.gather(1, at - 1), self.model.gather(1, at)
        low, high = self.data.gather(1, at - 1), self.data.gather(1, at)
        gap = right - left
        share = ((z - left) / torch.where(gap > 0, gap, 1.0)).clamp(0, 1)
        first, last = self.model[:, :1], self.model[:, -1:]
        slope = (self.data[:, -1:] - self.data[:, :1]) / (last - first)
        beyond = slope * ((z - last).clamp_min(0) - (first - z).clamp_min(0))
        return (low + share * (high - low) + beyond).T.to(x.dtype)


def units_of(model: LatentModel, schema: Schema) -> Units | None:
    """Return the map of the vectors of rows with features, or that of real numbers to multiples of their spread.

    ``None`` where there are no units: bits, levels, counts.
    """
    likelihood = getattr(model, "likelihood", None)
    family = getattr(likelihood, "family", None)
    features = KINDS[schema.kind].features(schema)
    if features is None and isinstance(likelihood, Likelihood) and likelihood.family.has_unit:
        shift, scale = likelihood.shift.flatten(), likelihood.scale.flatten()
        return Units(torch.stack([shift, shift + scale], 1), torch.tensor([0.0, 1.0]).expand(len(shift), 2))
    if features is None or not isinstance(family, MixedFamily):
        return None
    _, owner = vectors(family, torch.zeros(1, len(family.sorts)), None)
    cuts = iter(family.cuts)
    maps = [_map(features.scale(j), next(cuts) if s == "steps" else ()) for j, s in enumerate(family.sorts)]
    longest = max(len(model) for model, _ in maps)
    ours, theirs = (
        torch.from_numpy(np.stack([np.pad(m[i], (0, longest - len(m[i])), mode="edge") for m in maps])) for i in (0, 1)
    )
    return Units(ours[owner].float().contiguous(), theirs[owner].float().contiguous())


def coder_of(schema: Schema) -> Coder | None:
    """Return how long rows are in a lossless code, in nats; ``None`` where rows of the kind have none."""
    code = KINDS[schema.kind].coder(schema)
    return None if code is None else lambda x: torch.from_numpy(code(x.detach().cpu().numpy())).to(torch.float32)


_SAME = (np.array([-1.0, 1.0]), np.array([-1.0, 1.0]))


def _map(scale: Scale | None, cuts: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers of the model and of the data for a feature; the same where it has no numbers of its own."""
    if scale is None:
        return _SAME
    model = middles(cuts).double().numpy() if scale.model is None else scale.model
    data, weight = scale.data, scale.weight
    model, first = np.unique(model, return_index=True)
    data, weight = data[first], weight[first]
    mean = np.average(data, weights=weight)
    spread = np.average((data - mean) ** 2, weights=weight) ** 0.5
    return (model, (data - mean) / spread) if len(model) > 1 and spread > 0 else _SAME
