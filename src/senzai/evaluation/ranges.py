"""How well scores of single steps find anomalies that last: the volume under the precision-recall surface."""

from __future__ import annotations

import numpy as np

from ..core.errors import InputError
from .results import Floats, Ints


def segments(labels: Ints) -> list[tuple[int, int]]:
    """Return first and last step of each anomaly.

    Example:
        >>> segments(np.array([0, 1, 1, 0, 1]))
        [(1, 2), (4, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (np.asarray(labels) == 1).astype(int), [0]])))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def sloped(labels: Ints, buffer: int) -> Floats:
    r"""Return labels with slopes of half a buffer beside each anomaly.

    .. math:: \sqrt{1 - |s - e| / \ell}, \qquad |s - e| \le \ell / 2

    for a step s beside an anomaly's end e.

    Example:
        >>> sloped(np.array([0, 0, 1, 0, 0]), 2).round(3).tolist()
        [0.0, 0.707, 1.0, 0.707, 0.0]
    """
    n = len(labels)
    out: Floats = (np.asarray(labels) == 1).astype(float)
    for first, last in segments(labels):
        after = np.arange(last + 1, min(last + buffer // 2 + 1, n))
        before = np.arange(max(first - buffer // 2, 0), first)
        out[after] += np.sqrt(1 - (after - last) / buffer)
        out[before] += np.sqrt(1 - (first - before) / buffer)
    found: Floats = np.minimum(out, 1.0)
    return found


def range_average_precision(scores: Floats, labels: Ints, buffer: int, *, thresholds: int = 250) -> float:
    """Return the area under the range-aware precision-recall curve for one buffer.

    Recall counts a step of a slope by its height, and is multiplied with the share of the anomalies that were found at
    all. Without a buffer and with one anomaly this is the average precision.

    Args:
        scores: Score of each step, higher is more anomalous.
        labels: 1 where the step is of an anomaly.
        buffer: Steps of the buffer, half of them on either side.
        thresholds: Thresholds at most, at evenly spaced ranks.

    Raises:
        InputError: There are no anomalies, or nothing else.
    """
    scores, labels = np.asarray(scores, dtype=float), np.asarray(labels)
    n, hits = len(scores), int((labels == 1).sum())
    if not 0 < hits < n or len(labels) != n or np.isnan(scores).any():
        raise InputError(
            f"Steps need a score each, and some are anomalies and some are not, but {hits} of {n} are, and "
            f"{int(np.isnan(scores).sum())} have no score. Give labels of 0 and 1, and all scores."
        )
    height = sloped(labels, buffer)
    order = np.argsort(-scores, kind="stable")
    ranks = np.unique(np.linspace(0, n - 1, min(thresholds, n)).astype(int))
    ends = np.searchsorted(-scores[order], -scores[order[ranks]], side="right")  # ties are predicted together
    ends = np.unique(ends)
    taken = np.cumsum(height[order])[ends - 1]
    inside = np.cumsum((labels == 1)[order])[ends - 1]
    slope = taken - inside
    best = np.sort([scores[a : b + 1].max() for a, b in segments((height > 0).astype(int))])
    found = len(best) - np.searchsorted(best, scores[order[ends - 1]], side="left")
    positive = (hits + hits + slope) / 2
    recall = np.minimum(taken / positive, 1.0) * found / len(best)
    precision = taken / ends
    return float((np.diff(np.concatenate([[0.0], recall])) * precision).sum())


def volume_under_pr(scores: Floats, labels: Ints, longest: int = 100, *, lengths: int = 21) -> float:
    """Return VUS-PR: the mean of the range-aware areas over buffers from none to the longest.

    Nothing is adjusted: a point that was not flagged stays so, however near to one that was.

    Args:
        scores: Score of each step, higher is more anomalous.
        labels: 1 where the step is of an anomaly.
        longest: Steps of the longest buffer; the length of a usual anomaly, or of a period.
        lengths: Buffers at most, evenly spaced.

    Reference:
        Volume Under the Surface: A New Accuracy Evaluation Measure for Time-Series Anomaly Detection (Paparrizos et
        al., 2022). https://doi.org/10.14778/3551793.3551830

    Example:
        >>> volume_under_pr(np.array([0.1, 0.9, 0.2, 0.3]), np.array([0, 1, 0, 0]), 0)
        1.0
    """
    buffers = np.unique(np.linspace(0, longest, min(lengths, longest + 1)).round().astype(int))
    return float(np.mean([range_average_precision(scores, labels, int(b)) for b in buffers]))
