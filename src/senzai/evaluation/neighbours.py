"""Distances to the nearest of known rows, and the share of each place in them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

ROWS = 512
MOST = 1 << 24
"""Numbers held at once."""
_HOLE = -1.2345e30
"""Stands for a missing entry where rows are compared for being the same."""


def nearest(x: Tensor, known: Tensor, spread: Tensor, own: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Return the mean distance to the nearest other rows, and the share of each place; missing places add nothing.

    Args:
        x: Rows, ``(N, D)``, about their centre, NaN where missing.
        known: Rows to compare with, ``(M, D)``, likewise.
        spread: Unit of each place, ``(D,)``.
        own: See :func:`itself`.
        n: How many of the nearest rows count.
    """
    there = ~x.isnan()
    a, b = (x / spread).nan_to_num(), (known / spread).nan_to_num()
    n = min(n, max(1, len(b) - 1))
    rows = max(1, min(ROWS, MOST // (n * a.shape[1])))
    values, shares = [], []
    for start in range(0, len(a), rows):
        some, same = a[start : start + rows], own[start : start + rows]
        distance = _distances(some, b)
        if len(b) > 1:
            distance[same >= 0, same[same >= 0]] = torch.inf
        at = distance.topk(n, largest=False).indices
        square = (some.unsqueeze(1) - b[at]).square() * there[start : start + rows].unsqueeze(1)
        exact = square.sum(-1).sqrt()
        shares.append((square / exact.clamp_min(1e-12).unsqueeze(-1)).mean(1))
        values.append(exact.mean(1))
    return torch.cat(values), torch.cat(shares)


def itself(x: Tensor, known: Tensor) -> Tensor:
    """Return which known row is the very row, ``(N,)``, -1 where none is: a row is no evidence about itself."""
    first: dict[bytes, int] = {}
    for i, row in enumerate(_bytes(known)):
        first.setdefault(row, i)
    return torch.tensor([first.get(row, -1) for row in _bytes(x)], dtype=torch.long, device=x.device)


def _bytes(x: Tensor) -> Iterator[bytes]:
    """Yield each row as bytes that are equal where the rows are; both zeros are one."""
    for row in x:
        yield (row.nan_to_num(_HOLE) + 0.0).cpu().numpy().tobytes()


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Return Euclidean distances, ``(N, M)``, each from its two rows alone, whatever stands beside them."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
