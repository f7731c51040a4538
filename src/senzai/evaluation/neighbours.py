"""Distances to the nearest of known rows, and the share of each place in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

ROWS = 512
MOST = 1 << 24
"""Numbers held at once."""
_HOLE = -1.2345e30
"""Stands for a missing entry where rows are compared for being the same."""


class NeighbourIndex:
    """Rows by their content: which of them differ, and whether a row is one of them. They are read once.

    Args:
        rows: ``(M, D)``, NaN where missing.

    Attributes:
        first: Place of the first copy of each different row.

    Example:
        >>> known = NeighbourIndex(torch.tensor([[1.0], [1.0], [torch.nan]]))
        >>> known.first.tolist(), known.find(torch.tensor([[torch.nan], [2.0], [1.0]])).tolist()
        ([0, 2], [1, -1, 0])
    """

    def __init__(self, rows: Tensor) -> None:
        self._place: dict[bytes, int] = {}
        first: list[int] = []
        for i, row in enumerate(_bytes(rows)):
            if self._place.setdefault(row, len(first)) == len(first):
                first.append(i)
        self.first = torch.tensor(first, dtype=torch.long, device=rows.device)

    def find(self, x: Tensor) -> Tensor:
        """Return the place of each row in ``first``, ``(N,)``, -1 where it is not known."""
        return torch.tensor([self._place.get(row, -1) for row in _bytes(x)], dtype=torch.long, device=x.device)


def _bytes(x: Tensor) -> Any:
    """Return each row as bytes that are equal where the rows are; both zeros are one."""
    array = np.ascontiguousarray((x.nan_to_num(_HOLE) + 0.0).cpu().numpy())
    return array.view(np.dtype((np.void, array.dtype.itemsize * array.shape[1]))).ravel().tolist()


def in_spreads(rows: Tensor, spread: Tensor) -> Tensor:
    """Return rows in units of each place's spread; missing entries add nothing to a distance and are 0."""
    return (rows / spread).nan_to_num()


def nearest_rows(x: Tensor, known: Tensor, spread: Tensor, own: Tensor, ranks: range) -> tuple[Tensor, Tensor]:
    r"""Return the mean distance :math:`\sum_j |x_j - b_j| / s_j` to some of the nearest rows, and each place's share.

    Args:
        x: Rows, ``(N, D)``, about their centre, NaN where missing; missing places add nothing.
        known: Rows to compare with, ``(M, D)``, likewise.
        spread: Unit of each place, ``(D,)``.
        own: The known row that is the very row, ``(N,)``, or -1: a row is no evidence about itself.
        ranks: Which of the nearest rows count, the nearest being 0.

    Reference:
        On the Surprising Behavior of Distance Metrics in High Dimensional Space (Aggarwal et al., 2001), for sums of
        absolute differences. https://doi.org/10.1007/3-540-44503-X_27
    """
    return nearest_among(x, in_spreads(known, spread), spread, own, ranks)


def nearest_among(x: Tensor, b: Tensor, spread: Tensor, own: Tensor, ranks: range) -> tuple[Tensor, Tensor]:
    """As :func:`nearest_rows`, of known rows ``b`` that :func:`in_spreads` has been through, which many ask for."""
    there, a = ~x.isnan(), in_spreads(x, spread)
    last = min(ranks.stop, max(1, len(b) - 1))
    first = min(ranks.start, last - 1)
    rows = max(1, min(ROWS, MOST // ((last - first) * a.shape[1])))
    shares = []
    for start in range(0, len(a), rows):
        some, same = a[start : start + rows], own[start : start + rows]
        distance = torch.cdist(some, b, p=1)
        if len(b) > 1:
            distance[same >= 0, same[same >= 0]] = torch.inf
        at = _ranked(distance, first, last)
        apart = (some.unsqueeze(1) - b[at]).abs() * there[start : start + rows].unsqueeze(1)
        shares.append(apart.mean(1))
    whole = torch.cat(shares)
    return whole.sum(1), whole


def _ranked(distance: Tensor, first: int, last: int) -> Tensor:
    """Return which rows have the ranks from ``first`` up to ``last``, ``(N, last - first)``, in no order."""
    ends = sorted({first, last - 1} if first else {last - 1})
    at = np.argpartition(distance.cpu().numpy(), ends, axis=1)[:, first:last]
    return torch.from_numpy(np.ascontiguousarray(at)).to(distance.device)
