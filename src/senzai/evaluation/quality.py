"""How good generated rows of a table are: columns, pairs, a judge, usefulness, and distance to training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..distributions import MixedFamily
from .marginals import spread_of
from .statistics import random_rows
from .vectors import vectors

Floats = NDArray[np.float64]
BINS = 10
NEAR_ROWS = 1000
LEVELS = ("category", "binary", "steps")
PAIRED = 150
"""Columns that are compared with one another; of more, so many are drawn."""
TOGETHER = 50
"""Rows in which both of two columns must be known for them to be compared."""
JUDGED = 500
"""Columns that a judge looks at."""


def shapes(real: Tensor, made: Tensor, family: MixedFamily, mask: Tensor | None = None) -> Floats:
    """Return how alike each column is distributed, ``(d,)``, 1 is alike.

    Categories: one minus the total variation distance. Numbers and steps: one minus the Kolmogorov-Smirnov distance.
    """
    found = []
    for j, (sort, size) in enumerate(zip(family.sorts, family.sizes, strict=True)):
        a = real[:, j] if mask is None else real[mask[:, j], j]
        b = made[:, j]
        if sort in ("category", "binary"):
            shares = [torch.bincount(v.long().clamp(0, max(size, 2) - 1), minlength=max(size, 2)) / max(len(v), 1)
                      for v in (a, b)]
            found.append(1 - 0.5 * float((shares[0] - shares[1]).abs().sum()))
        else:
            found.append(1 - kolmogorov_smirnov(a.double().numpy(), b.double().numpy()))
    return np.array(found)


def kolmogorov_smirnov(a: Floats, b: Floats) -> float:
    """Return the Kolmogorov-Smirnov distance of two samples, from 0 (alike) to 1 (apart); NaN is left out.

    SciPy's ``ks_2samp`` has the same number, with a p-value nobody asks for here, for the price of loading
    ``scipy.stats`` (about a second) and of its checks for every column.

    Example:
        >>> kolmogorov_smirnov(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
        0.0
        >>> kolmogorov_smirnov(np.array([0.0]), np.array([2.0, np.nan]))
        1.0
    """
    a, b = np.sort(a[np.isfinite(a)]), np.sort(b[np.isfinite(b)])
    if not len(a) or not len(b):
        return 0.0
    at = np.concatenate([a, b])
    return float(np.abs(np.searchsorted(a, at, "right") / len(a) - np.searchsorted(b, at, "right") / len(b)).max())


def binned(
    real: Tensor, made: Tensor, family: MixedFamily, columns: NDArray[np.int64], mask: Tensor | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return both as bins: categories as they are (the rarest beyond ten together), numbers by the data's deciles.

    Entries of the data that are not known are -1.
    """
    out = []
    for j, sort in ((int(j), family.sorts[j]) for j in columns):
        known = np.ones(len(real), bool) if mask is None else mask[:, j].numpy()
        a, b = real[:, j].double().numpy()[known], made[:, j].double().numpy()
        if sort in ("category", "binary"):
            counts = np.bincount(a.astype(np.int64), minlength=int(max(a.max(initial=0), b.max(initial=0))) + 1)
            place = np.full(len(counts), BINS - 1)
            order = np.argsort(-counts, kind="stable")[: BINS - 1]
            place[order] = np.arange(len(order))
            found = place[a.astype(np.int64)], place[b.astype(np.int64)]
        else:
            edges = np.unique(np.quantile(a, np.linspace(0, 1, BINS + 1)[1:-1])) if len(a) else a
            found = np.searchsorted(edges, a, "right"), np.searchsorted(edges, b, "right")
        out.append((np.full(len(real), -1), found[1]))
        out[-1][0][known] = found[0]
    return np.stack([p[0] for p in out], 1), np.stack([p[1] for p in out], 1)


def joint(bins: NDArray[np.int64], i: int, j: int) -> Floats:
    """Return how often each pair of bins of two columns comes, in rows where both are known, ``(BINS, BINS)``."""
    both = bins[(bins[:, i] >= 0) & (bins[:, j] >= 0)]
    table = np.bincount(both[:, i] * BINS + both[:, j], minlength=BINS * BINS).reshape(BINS, BINS)
    return table.astype(np.float64)


def cramers_v(shares: Floats, n: int) -> float:
    """Return the association of two columns, 0 (none) to 1 (one decides the other), corrected for the sample size.

    Reference:
        A bias-correction for Cramér's V and Tschuprow's T (Bergsma, 2013). https://doi.org/10.1016/j.jkss.2012.10.002

    Example:
        >>> cramers_v(np.eye(2) / 2, 1000) > 0.99, cramers_v(np.full((2, 2), 0.25), 1000)
        (True, 0.0)
    """
    shares = shares[shares.sum(1) > 0][:, shares.sum(0) > 0]
    r, c = shares.shape
    if min(r, c) < 2 or n < 2:
        return 0.0
    expect = shares.sum(1, keepdims=True) * shares.sum(0, keepdims=True)
    phi = max(0.0, float(((shares - expect) ** 2 / expect).sum()) - (r - 1) * (c - 1) / (n - 1))
    least = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    return float(min(1.0, (phi / least) ** 0.5)) if least > 0 else 0.0


@dataclass(frozen=True)
class PairAssociations:
    """Associations between columns of real and of generated rows, and how alike pairs are, ``(d, d)`` each.

    ``columns`` says which columns these are: of very many, not all are compared with one another. NaN stands where two
    columns are hardly ever known together.
    """

    real: Floats
    made: Floats
    alike: Floats
    columns: NDArray[np.int64]


def pairs(
    real: Tensor, made: Tensor, family: MixedFamily, columns: NDArray[np.int64] | None = None,
    mask: Tensor | None = None,
) -> PairAssociations:
    """Compare every pair of columns: association by Cramér's V, likeness by total variation of their bins.

    A pair is compared on the rows in which both are known, if there are ``TOGETHER``. Pairs are as many as the square
    of the columns, so of more than ``PAIRED`` only some are compared.

    Args:
        real: Rows of the data.
        made: Rows of the model.
        family: Types of the columns.
        columns: Which columns to compare; by default all of them, or :func:`some_columns`.
        mask: Which entries of the data are known; by default all.
    """
    chosen = some_columns(len(family.sorts)) if columns is None else columns
    a, b = binned(real, made, family, chosen, mask)
    d = a.shape[1]
    out = (np.eye(d), np.eye(d), np.eye(d))
    for i in range(d):
        for j in range(i):
            for m, v in zip(out, compared(joint(a, i, j), joint(b, i, j), min(TOGETHER, len(a))), strict=True):
                m[i, j] = m[j, i] = v
    return PairAssociations(out[0], out[1], out[2], chosen)


def compared(real: Floats, made: Floats, least: int) -> tuple[float, float, float]:
    """Return the association of two columns in the data and in made rows, and how alike they are, from counts."""
    n, m = int(real.sum()), int(made.sum())
    if n < max(least, 1):
        return float("nan"), float("nan"), float("nan")
    a, b = real / n, made / m
    return cramers_v(a, n), cramers_v(b, m), 1 - 0.5 * float(np.abs(a - b).sum())


def some_columns(d: int, most: int = PAIRED) -> NDArray[np.int64]:
    """Return all columns, or ``most`` of them drawn at random, always the same ones, in their order.

    Example:
        >>> some_columns(3).tolist(), len(some_columns(10_000))
        ([0, 1, 2], 150)
    """
    if d <= most:
        return np.arange(d)
    return np.sort(np.random.default_rng(d).choice(d, most, replace=False))


def judge(real: Tensor, made: Tensor, *, seed: int = 0) -> float:
    """Return the cross-validated AUROC of gradient boosting that tells real rows from generated; 0.5 is perfect.

    Of more than ``JUDGED`` columns it looks at so many; of the larger set, at as many rows as the smaller has.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import cross_val_score

    n = min(len(real), len(made))
    columns = torch.from_numpy(some_columns(real.shape[1], JUDGED))
    x = torch.cat([drawn(v, n, seed)[:, columns] for v in (real, made)]).double().numpy()
    y = np.repeat([0, 1], n)
    model = HistGradientBoostingClassifier(max_iter=60, random_state=seed)
    return float(cross_val_score(model, x, y, cv=3, scoring="roc_auc").mean())


def useful(train: Tensor, made: Tensor, held: Tensor, target: int, *, seed: int = 0) -> tuple[float, float] | None:
    """Return how well a column is predicted on held-out rows: learned from real rows, and from generated ones.

    AUROC (one against the rest, averaged); ``None`` where a class is lacking somewhere.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    rest = [int(j) for j in some_columns(train.shape[1], JUDGED) if j != target]
    y = held[:, target].long().numpy()
    found = []
    for rows in (train, made):
        known = rows[:, target].long().numpy()
        if len(np.unique(known)) < 2 or set(np.unique(y)) != set(np.unique(known)):
            return None
        model = HistGradientBoostingClassifier(max_iter=60, random_state=seed)
        shares: Any = model.fit(rows[:, rest].double().numpy(), known).predict_proba(held[:, rest].double().numpy())
        two = shares.shape[1] == 2
        found.append(float(roc_auc_score(y, shares[:, 1] if two else shares, multi_class="ovr")))
    return found[0], found[1]


def drawn(x: Tensor, n: int, seed: int = 0) -> Tensor:
    """Return ``n`` of the rows at random, all of them if there are no more."""
    chosen = random_rows(len(x), n, seed)
    return x if chosen is None else x[chosen]


def distance_to_training(rows: Tensor, train: Tensor, family: MixedFamily) -> Floats:
    """Return the distance of rows (``NEAR_ROWS`` at most) to the closest training row, in standard deviations."""
    (a, owner), b = vectors(family, drawn(rows, NEAR_ROWS), None), vectors(family, train, None)[0]
    spread = spread_of(b, owner)
    found: Floats = torch.cdist(a / spread, b / spread).min(1).values.double().numpy()
    return found
