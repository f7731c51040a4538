"""A random sample of all rows that were ever given, of bounded size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.batch import Batch, concatenate

MOST = 2000


@dataclass(frozen=True)
class Kept:
    """Rows with a random number each; those with the smallest numbers stay, so that every row is as likely to.

    Args:
        rows: At most ``MOST`` rows.
        numbers: One per row.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> kept = Kept.of(Batch(torch.zeros(1500, 1)), rng)
        >>> more = Kept.of(Batch(torch.ones(4500, 1)), rng).joined(kept)
        >>> len(more.rows), 0.7 < float(more.rows.tensor.mean()) < 0.8
        (2000, True)
    """

    rows: Batch
    numbers: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Batch, rng: np.random.Generator) -> Kept:
        """Return a sample of rows."""
        return cls._least(rows, rng.random(len(rows)))

    def joined(self, other: Kept | None) -> Kept:
        """Return a sample of both, in which each row counts alike."""
        if other is None:
            return self
        rows = concatenate(_alike([other.rows, self.rows]))
        return self._least(rows, np.concatenate([other.numbers, self.numbers]))

    @classmethod
    def _least(cls, rows: Batch, numbers: NDArray[np.float64]) -> Kept:
        at = np.sort(np.argsort(numbers, kind="stable")[:MOST])
        return cls(rows.take(torch.from_numpy(at)), numbers[at])


def _alike(batches: list[Batch]) -> list[Batch]:
    """Give all a mask where one has it."""
    if all(b.mask is None for b in batches):
        return batches
    return [b if b.mask is not None else replace(b, mask=torch.ones_like(b.tensor, dtype=torch.bool)) for b in batches]
