"""Measures of codes whose rows have batches and labels: are batches mixed, and are labels still apart?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..core.batch import Batch
from ..core.random import derive
from .catalogue import NEEDS, Case, measure
from .results import Figure, Floats, Ints
from .statistics import mean_se

ROWS, NEIGHBOURS = 3000, 30
MOST_GROUPS = 100


def batches_of(batch: Batch) -> Ints | None:
    """Return the batch of each row: the number of its condition among those there are; ``None`` where there is one.

    Conditions that nearly every row has for itself are no batches.

    Example:
        >>> batches_of(Batch(torch.zeros(6, 1), c=torch.tensor([[0.0], [1.0]] * 3))).tolist()
        [0, 1, 0, 1, 0, 1]
    """
    if batch.c is None:
        return None
    kinds, number = np.unique(batch.c.cpu().numpy().round(6), axis=0, return_inverse=True)
    return number.reshape(-1).astype(np.int64) if 1 < len(kinds) <= min(MOST_GROUPS, len(batch) // 3) else None


NEEDS["batches"] = (
    lambda case: batches_of(case.rows) is not None,
    "It needs rows of two batches: a model that is conditioned on classes (condition=...).",
)


def neighbours_of(codes: Floats, k: int = NEIGHBOURS) -> Ints:
    """Return the nearest other rows of each row, ``(N, k)``, by Euclidean distance."""
    from sklearn.neighbors import NearestNeighbors

    k = min(k, len(codes) - 1)
    found = NearestNeighbors(n_neighbors=k).fit(codes).kneighbors(return_distance=False)
    return np.asarray(found, np.int64)


def shares_among(groups: Ints, neighbours: Ints) -> Floats:
    """Return the share of each group among the neighbours of each row, ``(N, groups)``."""
    n = int(groups.max()) + 1
    return np.stack([(groups[neighbours] == g).mean(1) for g in range(n)], 1)


def inverse_simpson(shares: Floats) -> Floats:
    r"""Return :math:`1 / \sum_g p_g^2`: how many groups a neighbourhood is made of, all neighbours counting alike.

    The local inverse Simpson index of Korsunsky et al. (2019) weighs neighbours by a perplexity; this does not.

    Example:
        >>> inverse_simpson(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
        [2.0, 1.0]
    """
    return np.asarray(1 / np.square(shares).sum(1))


def silhouette(codes: Floats, groups: Ints) -> Floats:
    """Return the silhouette width of each row, -1 to 1 (Rousseeuw, 1987)."""
    from sklearn.metrics import silhouette_samples

    return np.asarray(silhouette_samples(codes, groups), np.float64)


def _figure(values: Floats, seed: int) -> Figure:
    return Figure(float(values.mean()), mean_se(torch.from_numpy(values)), len(values), seed)


def _chosen(case: Case, rows: Ints) -> Ints:
    order = np.random.default_rng(derive(case.seed, "mixing")).permutation(len(rows))
    return np.asarray(rows[order[:ROWS]])


@measure(
    "mixing", "how well batches are mixed in the codes: silhouettes and nearest neighbours", usual=True,
    needs=("inference", "batches", "rows"), cost=lambda c, p: p.row * len(c.rows) + 1e-7 * min(len(c.rows), ROWS) ** 2,
)
def mixing(case: Case) -> Mapping[str, Any]:
    """Silhouette by batch (0 is mixed), and the batches among the nearest neighbours."""
    groups = batches_of(case.rows)
    assert groups is not None  # it is needed
    rows = _chosen(case, np.arange(len(groups)))
    codes, groups = case.codes[rows], np.unique(groups[rows], return_inverse=True)[1].astype(np.int64)
    shares = shares_among(groups, neighbours_of(codes))
    whole = np.bincount(groups) / len(groups)
    entropy = -np.where(shares > 0, shares * np.log(np.maximum(shares, 1e-12)), 0.0).sum(1)
    most = -(whole * np.log(whole)).sum()
    return {
        "batch_silhouette": _figure(silhouette(codes, groups), case.seed),
        "neighbour_batch_entropy": _figure(entropy / most, case.seed),
        "neighbour_inverse_simpson_batches": _figure(inverse_simpson(shares), case.seed),
        "batches": len(whole), "neighbours": min(NEIGHBOURS, len(codes) - 1),
    }


@measure(
    "conservation", "how well labels are kept apart in the codes: silhouettes and nearest neighbours", usual=True,
    needs=("inference", "labels", "batches", "rows"),
    cost=lambda c, p: p.row * len(c.rows) + 1e-7 * min(len(c.rows), ROWS) ** 2,
)
def conservation(case: Case) -> Mapping[str, Any]:
    """Silhouette by label, and the share of the nearest neighbours that have the same label."""
    known, labels = case.labelled
    at = _chosen(case, np.arange(len(known)))
    codes, y = case.codes[known[at]], labels[at]
    near = neighbours_of(codes)
    dense = np.unique(y, return_inverse=True)[1].astype(np.int64)
    return {
        "label_silhouette": _figure(silhouette(codes, y), case.seed),
        "neighbour_label_share": _figure((y[near] == y[:, None]).mean(1), case.seed),
        "neighbour_inverse_simpson_labels": _figure(inverse_simpson(shares_among(dense, near)), case.seed),
        "labels": len(np.unique(y)), "neighbours": near.shape[1],
    }
