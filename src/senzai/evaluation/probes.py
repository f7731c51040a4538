"""What simple readers get out of codes: probes for labels, clusters, and how faithful a map of them is."""

from __future__ import annotations

from math import log, sqrt
from typing import Any, Literal

import numpy as np

from ..core.errors import InputError
from ..core.warning_filters import ignore_warnings
from .results import Figure, Floats, Ints, bootstrap, halving, spread

Probe = Literal["linear", "knn", "forest"]


# --- labels ---------------------------------------------------------------------------------------------------------
def halves(labels: Ints, *, seed: int = 0) -> tuple[Ints, Ints]:
    """Split rows into two halves with the same share of each label, at random.

    Example:
        >>> first, second = halves(np.array([0, 0, 1, 1]))
        >>> sorted(np.concatenate([first, second]).tolist()), len(first)
        ([0, 1, 2, 3], 2)
    """
    rng, first = np.random.default_rng(seed), []
    for k in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == k))
        first.append(rows[: (len(rows) + int(rng.integers(2))) // 2])
    chosen = np.sort(np.concatenate(first))
    return chosen, np.setdiff1d(np.arange(len(labels)), chosen)


def probe(codes: Floats, labels: Ints, *, kind: Probe = "linear", seed: int = 0, neighbours: int = 5) -> Figure:
    """Accuracy of a simple classifier on codes, fitted to one half of the rows and judged on the other.

    ``linear`` is logistic regression on standardised codes, ``knn`` a vote of the nearest, ``forest`` one of randomised
    trees. The share of the most common label stands beside it: what one gets without looking.

    Reference:
        Understanding intermediate layers using linear classifier probes (Alain and Bengio, 2016).
        https://arxiv.org/abs/1610.01644

    Args:
        codes: Rows by dimensions.
        labels: Class of each row, ``(N,)``.
        kind: Which classifier.
        seed: Seed of the division.
        neighbours: Votes of ``knn``.

    Raises:
        InputError: There is one class only, or rows do not match.
    """
    check_rows(codes, labels)
    classes, labels = np.unique(labels, return_inverse=True)
    fit, judge = halves(labels, seed=seed)
    if len(classes) < 2 or len(np.unique(labels[fit])) < 2 or not len(judge):
        raise InputError(f"A probe needs two classes with two rows each, but got {len(classes)}. Give more rows.")
    reader = _classifier(kind, neighbours, len(fit), seed).fit(codes[fit], labels[fit])
    right = reader.predict(codes[judge]) == labels[judge]
    accuracy, n = float(right.mean()), len(judge)
    common = float(np.bincount(labels[judge]).max() / n)
    details = {"baseline": common, "fitted_on": len(fit), "classes": len(classes)}
    return Figure(accuracy, sqrt(accuracy * (1 - accuracy) / n), n, seed, f"{kind} probe", details)


def _classifier(kind: Probe, neighbours: int, n: int, seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if kind == "forest":
        return ExtraTreesClassifier(100, min_samples_leaf=3, random_state=seed)
    last = LogisticRegression(max_iter=1000) if kind == "linear" else KNeighborsClassifier(min(neighbours, n))
    return make_pipeline(StandardScaler(), last)


def check_rows(codes: Floats, labels: Ints) -> None:
    """Refuse codes and labels of different length.

    Raises:
        InputError: They do not match.
    """
    if codes.ndim != 2 or len(codes) != len(labels):
        raise InputError(
            f"Codes are (rows, dimensions) with one label a row, but got {codes.shape} and {np.shape(labels)}."
        )


# --- clusters -------------------------------------------------------------------------------------------------------
def clustering(
    codes: Floats, labels: Ints, *, n_clusters: int | None = None, seed: int = 0, restarts: int = 5
) -> dict[str, Figure]:
    """Agreement of k-means clusters with labels: adjusted Rand index and normalised mutual information.

    Both are 1 for a perfect agreement; the adjusted index is 0 on average for clusters at random.

    Reference:
        Comparing partitions (Hubert and Arabie, 1985). https://doi.org/10.1007/BF01908075

    Args:
        codes: Rows by dimensions.
        labels: Class of each row.
        n_clusters: Clusters; by default as many as classes.
        seed: Seed of the starts and of the bootstrap behind the errors.
        restarts: Starts, the best of which counts.

    Returns:
        ``ari`` and ``nmi``.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    check_rows(codes, labels)
    k = n_clusters or len(np.unique(labels))
    with ignore_warnings():  # fewer distinct codes than clusters: the agreement shows it
        found = KMeans(k, n_init=restarts, random_state=seed).fit_predict(codes)
    figures = {}
    for name, score in (("ari", adjusted_rand_score), ("nmi", normalized_mutual_info_score)):
        def at(rows: Ints, score: Any = score) -> float:
            return float(score(labels[rows], found[rows]))

        again = bootstrap(len(labels), at, seed=seed, repeats=50)
        figures[name] = Figure(
            float(score(labels, found)), spread(again)[0], len(labels), seed, name, {"clusters": int(k)}
        )
    return figures


# --- maps -----------------------------------------------------------------------------------------------------------
def map_quality(codes: Floats, points: Floats, *, neighbours: int = 10, seed: int = 0) -> dict[str, Figure]:
    r"""Say how far a map can be trusted, and how much of the neighbourhoods it keeps.

    .. math:: T = 1 - \frac{2}{n k (2n - 3k - 1)} \sum_i \sum_{j \in U_i} (r(i, j) - k)

    U holds the neighbours on the map that are none in the codes, r their rank there. Continuity is the same with codes
    and map exchanged: neighbours that were torn apart. Both are 1 at best.

    Reference:
        Neighborhood preservation in nonlinear projection methods (Venna and Kaski, 2001).
        https://doi.org/10.1007/3-540-44668-0_68

    Args:
        codes: Rows by dimensions; time and memory grow with the square of the rows.
        points: The same rows on the map.
        neighbours: Size of a neighbourhood, k; below half the rows.
        seed: Seed of the halves behind the errors, which need more than four neighbourhoods of rows.

    Returns:
        ``trustworthiness`` and ``continuity``.

    Raises:
        InputError: Too few rows for the neighbourhoods.
    """
    n = len(codes)
    if not 1 <= neighbours < n / 2:
        raise InputError(f"A neighbourhood holds fewer than half the {n} rows, but got {neighbours}. Give fewer.")
    values, errors = _kept(codes, points, neighbours), np.full(2, np.nan)
    if neighbours < n // 2 / 2:
        errors, _ = halving((n,), lambda i: _kept(codes[i], points[i], neighbours), seed=seed, repeats=24)
    return {
        name: Figure(float(value), float(se), n, seed, name, {"neighbours": neighbours})
        for name, value, se in zip(("trustworthiness", "continuity"), values, errors, strict=True)
    }


def _kept(codes: Floats, points: Floats, neighbours: int) -> Floats:
    """Trustworthiness and continuity, ``(2,)``."""
    n, there, here = len(codes), neighbour_ranks(codes), neighbour_ranks(points)
    scale = 2 / (neighbours * n * (2 * n - 3 * neighbours - 1))
    lost = [np.where(near <= neighbours, np.maximum(rank - neighbours, 0), 0).sum()
            for near, rank in ((here, there), (there, here))]
    return 1 - scale * np.array(lost)


def neighbour_ranks(points: Floats) -> Ints:
    """Rank of every row among the neighbours of every row, ``(N, N)``: 1 the nearest, a row itself far behind all."""
    x = np.asarray(points, dtype=np.float64)
    x = x - x.mean(0)
    square = (x**2).sum(1)
    distance = square[:, None] + square - 2 * x @ x.T
    np.fill_diagonal(distance, np.inf)
    order = distance.argsort(1, kind="stable")
    ranks = np.empty(order.shape, dtype=np.int64)
    np.put_along_axis(ranks, order, np.arange(1, len(x) + 1)[None].repeat(len(x), 0), 1)
    np.fill_diagonal(ranks, 2 * len(x))
    return ranks


# --- codebooks ------------------------------------------------------------------------------------------------------
def codebook_use(indices: Ints, n_codes: int) -> Figure:
    r"""Perplexity of the entries of a codebook: as many equally used entries would be as hard to guess.

    .. math:: \exp\Big(-\sum_i p_i \log p_i\Big)

    Args:
        indices: Entry chosen at each place, any shape.
        n_codes: Size of the codebook.

    Returns:
        The perplexity (its error by the delta method, as if places were independent), with ``used`` entries and their
        share, and the most common entry's share.

    Raises:
        InputError: There are no indices, or one is out of range.

    Example:
        >>> round(codebook_use(np.array([0, 1, 0, 1]), 8).value, 6)
        2.0
    """
    flat = np.asarray(indices).reshape(-1)
    if not flat.size or flat.min() < 0 or flat.max() >= n_codes:
        raise InputError(f"Indices are whole numbers below {n_codes}, one at least, but got {flat[:5]} ….")
    share = np.bincount(flat, minlength=n_codes) / flat.size
    cost = -np.log(share[share > 0])
    entropy = float((share[share > 0] * cost).sum())
    spread_ = max(0.0, float((share[share > 0] * cost**2).sum()) - entropy**2)
    used = int((share > 0).sum())
    details = {
        "used": used, "usage": used / n_codes, "codes": n_codes, "entropy_bits": entropy / log(2),
        "largest_share": float(share.max()),
    }
    value = float(np.exp(entropy))
    return Figure(value, value * sqrt(spread_ / flat.size), int(flat.size), None, "perplexity", details)
