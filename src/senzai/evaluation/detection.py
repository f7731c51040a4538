"""How well a score finds anomalies: rankings against labels, and scores that correct for simple data.

The rankings are those of scikit-learn, number for number (the tests compare), without its checks of every call: a
bootstrap of 200 repeats asks 800 times, and a call there takes 2 to 10 ms of checks and sorting.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from functools import partial
from math import log

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from .results import Figure, Floats, Ints, spread

RECALL = 0.95


# --- rankings -------------------------------------------------------------------------------------------------------
def area_under_roc(scores: Floats, labels: Ints) -> float:
    """Chance that an anomaly (label 1) scores higher than a normal row; ties count half.

    Example:
        >>> area_under_roc(np.array([3.0, 2.0, 2.0, 1.0]), np.array([1, 1, 0, 0]))
        0.875
    """
    positive = np.asarray(labels) == 1
    n1, n0 = int(positive.sum()), int((~positive).sum())
    if not n1 or not n0:
        return float("nan")
    _, group, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[group]
    return float((rank[positive].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def average_precision(scores: Floats, labels: Ints) -> float:
    """Mean precision over the anomalies found one after another; rows of equal score are found together.

    Example:
        >>> round(average_precision(np.array([3.0, 2.0, 1.0]), np.array([1, 0, 1])), 4)
        0.8333
    """
    hits, taken = _found(scores, labels)
    total = hits[-1] if len(hits) else 0
    if not total:
        return float("nan")
    gained = np.diff(np.concatenate([[0], hits]))
    return float((gained / total * hits / taken).sum())


def _found(scores: Floats, labels: Ints) -> tuple[Floats, Floats]:
    """Anomalies and rows above each distinct score, from the highest on."""
    order = np.argsort(-np.asarray(scores), kind="stable")
    last = np.flatnonzero(np.diff(np.asarray(scores)[order]) != 0)
    ends = np.concatenate([last, [len(order) - 1]]).astype(int)
    hits = np.cumsum(np.asarray(labels)[order] == 1)
    return hits[ends].astype(float), (ends + 1).astype(float)


def precision_at(scores: Floats, labels: Ints, k: int) -> float:
    """Share of anomalies among the ``k`` highest scores; rows tied at the border count with their share."""
    hits, taken = _found(scores, labels)
    place = int(np.searchsorted(taken, k))
    before_hits, before = (hits[place - 1], taken[place - 1]) if place else (0.0, 0.0)
    share = (hits[place] - before_hits) / (taken[place] - before)
    return float((before_hits + share * (k - before)) / k)


def false_positives_at_recall(scores: Floats, labels: Ints, recall: float = RECALL) -> float:
    """Share of normal rows above the highest threshold that finds this share of the anomalies."""
    hits, taken = _found(scores, labels)
    if not len(hits) or not hits[-1] or taken[-1] == hits[-1]:
        return float("nan")
    place = int(np.searchsorted(hits, recall * hits[-1] - 1e-9))
    return float((taken[place] - hits[place]) / (taken[-1] - hits[-1]))


def detection(
    scores: Floats, labels: Ints, *, k: int | None = None, seed: int = 0, repeats: int = 200,
    again: Callable[[np.random.Generator], Floats] | None = None,
) -> dict[str, Figure]:
    """All rankings of a score against labels, with bootstrap errors and 95 % intervals.

    Args:
        scores: Higher is more anomalous, ``(N,)``.
        labels: 1 for anomalies, 0 for normal rows.
        k: Rows that one would look at; by default as many as there are anomalies.
        seed: Seed of the bootstrap, which draws anomalies and normal rows apart.
        repeats: Bootstrap repeats.
        again: Makes the scores anew, where they rest on rows of their own that are drawn, too.

    Returns:
        ``auroc``, ``average_precision``, ``precision_at_k``, ``fpr_at_95_recall``; each with ``low`` and ``high``.

    Raises:
        InputError: Labels are not 0 and 1 with both present, scores are not finite, or rows do not match.
    """
    scores, labels = np.asarray(scores, dtype=float), np.asarray(labels).astype(np.int64)
    if len(scores) != len(labels) or set(np.unique(labels)) != {0, 1} or np.isnan(scores).any():
        raise InputError(
            "Detection needs one number a row, and labels 0 (normal) and 1 (anomaly) with both present, but got "
            f"{len(scores)} scores ({int(np.isnan(scores).sum())} NaN) and labels {np.unique(labels)[:5].tolist()}."
        )
    top = min(int(labels.sum()) if k is None else k, len(scores))
    found: dict[str, Callable[[Floats, Ints], float]] = {
        "auroc": area_under_roc,
        "average_precision": average_precision,
        "precision_at_k": partial(precision_at, k=top),
        "fpr_at_95_recall": false_positives_at_recall,
    }
    rng, kinds = np.random.default_rng(seed), [np.flatnonzero(labels == c) for c in (0, 1)]
    drawn = []
    for _ in range(repeats):
        rows = np.concatenate([rng.choice(rows, len(rows)) for rows in kinds])
        drawn.append(((scores if again is None else again(rng))[rows], labels[rows]))
    figures = {}
    for name, score in found.items():
        se, low, high = spread(np.array([score(*made) for made in drawn]))
        details = {"low": low, "high": high, "anomalies": int(labels.sum())}
        if name == "precision_at_k":
            details["k"] = top
        figures[name] = Figure(score(scores, labels), se, len(scores), seed, name, details)
    return figures


# --- scores that simple data do not fool ----------------------------------------------------------------------------
def typicality(log_p: Floats, reference: Floats) -> Floats:
    r"""Distance of a row's log-likelihood from the usual one: too unlikely and too likely rows are both anomalous.

    .. math:: \big| -\log p(x) - \hat H \big|, \quad \hat H = -\tfrac1N \sum_n \log p(x_n)

    over rows of the training distribution.

    Reference:
        Detecting Out-of-Distribution Inputs to Deep Generative Models Using Typicality (Nalisnick et al., 2019).
        https://arxiv.org/abs/1906.02994
    """
    score: Floats = np.abs(np.asarray(log_p) - np.mean(reference))
    return score


def typical(
    log_p: Floats, reference: Floats, labels: Ints, *, seed: int = 0, repeats: int = 200
) -> dict[str, Figure]:
    """Return the rankings of :func:`typicality`, with errors that hold those of the usual value."""

    def again(rng: np.random.Generator) -> Floats:
        return typicality(log_p, rng.choice(reference, len(reference)))

    return detection(typicality(log_p, reference), labels, seed=seed, repeats=repeats, again=again)


def likelihood_ratio(log_p: Floats, background: Floats) -> Floats:
    r"""Anomaly score as a ratio to a background model: :math:`\log p_0(x) - \log p(x)`.

    The background says how likely any simple row is: a model of corrupted data, or a compressor
    (:func:`compressed_nats`, whose negative is a log-likelihood).

    Reference:
        Likelihood Ratios for Out-of-Distribution Detection (Ren et al., 2019). https://arxiv.org/abs/1906.02845
        Input complexity and out-of-distribution detection with likelihood-based generative models (Serrà et al.,
        2020). https://arxiv.org/abs/1909.11480
    """
    score: Floats = np.asarray(background) - np.asarray(log_p)
    return score


def compressed_nats(x: NDArray[np.uint8]) -> Floats:
    """Length of each row in nats under a general compressor: PNG for pictures ``(N, 1 or 3, H, W)``, else zlib.

    Example:
        >>> flat, noisy = np.zeros((1, 1, 16, 16), np.uint8), np.random.default_rng(0).integers(0, 256, (1, 1, 16, 16))
        >>> bool(compressed_nats(flat) < compressed_nats(noisy.astype(np.uint8)))
        True
    """
    pictures = x.ndim == 4 and x.shape[1] in (1, 3)
    return np.array([8 * log(2) * len(_png(row) if pictures else zlib.compress(row.tobytes(), 9)) for row in x])


def _png(row: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(row[0] if len(row) == 1 else np.moveaxis(row, 0, -1)).save(file, "png", optimize=True)
    return file.getvalue()


def likelihood_paradox(
    own: Floats, other: Floats, reference: Floats, *, own_background: Floats | None = None,
    other_background: Floats | None = None, seed: int = 0,
) -> dict[str, Figure]:
    """Find another data set by likelihood, typicality and likelihood ratio: area under the ROC curve of each.

    Below 0.5 for ``likelihood`` is the paradox: the model finds the other data more likely than its own.

    Reference:
        Do Deep Generative Models Know What They Don't Know? (Nalisnick et al., 2019).
        https://arxiv.org/abs/1810.09136

    Args:
        own: Log-likelihoods of held-out rows of the model's own kind.
        other: Log-likelihoods of rows of the other data set.
        reference: Log-likelihoods of training rows, for the usual value.
        own_background: Log-likelihoods of the own rows under a background.
        other_background: Of the other rows.
        seed: Seed of the bootstrap behind the errors.
    """
    labels = np.repeat([0, 1], [len(own), len(other)])
    both = np.concatenate([own, other])
    found = {"likelihood": detection(-both, labels, seed=seed, repeats=100)["auroc"]}
    found["typicality"] = typical(both, reference, labels, seed=seed, repeats=100)["auroc"]
    if own_background is not None and other_background is not None:
        ratio = likelihood_ratio(both, np.concatenate([own_background, other_background]))
        found["likelihood_ratio"] = detection(ratio, labels, seed=seed, repeats=100)["auroc"]
    return found
