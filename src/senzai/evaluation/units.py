"""From the model's numbers back to the units of the data, where strange rows are farther away.

A column of real numbers goes to the model by its quantiles, which puts an income of a billion next to one of a
million. In the units of the data it is a thousand times as far.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data.column import Column, Table
from ..distributions import MixedFamily
from ..models.base import LatentModel
from ..parts.likelihoods.decoded import Likelihood
from .vectors import middles, vectors


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


def units_of(model: LatentModel, table: Table | None) -> Units | None:
    """Return the map of the vectors of a table's rows, or that of real numbers to multiples of their spread.

    ``None`` where there are no units: bits, levels, counts.
    """
    likelihood = getattr(model, "likelihood", None)
    family = getattr(likelihood, "family", None)
    if table is None and isinstance(likelihood, Likelihood) and likelihood.family.has_unit:
        shift, scale = likelihood.shift.flatten(), likelihood.scale.flatten()
        return Units(torch.stack([shift, shift + scale], 1), torch.tensor([0.0, 1.0]).expand(len(shift), 2))
    if table is None or not isinstance(family, MixedFamily):
        return None
    _, owner = vectors(family, torch.zeros(1, len(family.sorts)), None)
    cuts = iter(family.cuts)
    maps = [_map(c, next(cuts) if c.sort == "steps" else ()) for c in table.modelled]
    maps += [_SAME] * (len(family.sorts) - len(maps))
    longest = max(len(model) for model, _ in maps)
    ours, theirs = (
        torch.from_numpy(np.stack([np.pad(m[i], (0, longest - len(m[i])), mode="edge") for m in maps])) for i in (0, 1)
    )
    return Units(ours[owner].float().contiguous(), theirs[owner].float().contiguous())


_SAME = (np.array([-1.0, 1.0]), np.array([-1.0, 1.0]))


def _map(column: Column, cuts: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers of the model and of the data for a column; the same where it has no numbers of its own."""
    if column.sort == "steps" and not any(isinstance(v, str | bool) for v in column.levels):
        model, data = middles(cuts).double().numpy(), np.array(column.levels, dtype=np.float64)
        weight = np.array(column.shares)
    elif column.transform == "quantile" and len(column.knots) > 1:
        model, data = np.array(column.places), np.array(column.knots)
        if column.spike is not None and column.spike_value is not None:
            at = int(np.searchsorted(model, column.spike))
            model, data = np.insert(model, at, column.spike), np.insert(data, at, column.spike_value)
        weight = np.ones(len(data))
    else:
        return _SAME
    model, first = np.unique(model, return_index=True)
    data, weight = data[first], weight[first]
    mean = np.average(data, weights=weight)
    spread = np.average((data - mean) ** 2, weights=weight) ** 0.5
    return (model, (data - mean) / spread) if len(model) > 1 and spread > 0 else _SAME
