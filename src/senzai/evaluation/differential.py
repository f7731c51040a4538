"""Differential expression: how probably shares of two groups of rows differ, as scvi-tools defines it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Bools: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Draw: TypeAlias = Callable[[np.ndarray[Any, Any], int], Floats]

EPS = 1e-8
AT_ONCE = 1000


@dataclass(frozen=True)
class Difference:
    """What is known of the difference of each gene between two groups.

    Args:
        probability: That it differs.
        bayes_factor: Log odds of that.
        change: Mean of the log2 ratio of the first to the second group.
        change_sd: Standard deviation of it.
    """

    probability: Floats
    bayes_factor: Floats
    change: Floats
    change_sd: Floats


def bayes_factor(probability: Floats) -> Floats:
    r"""Return :math:`\log (p + \epsilon) - \log (1 - p + \epsilon)` with :math:`\epsilon = 10^{-8}`.

    Example:
        >>> bayes_factor(np.array([0.5, 1.0])).round(2).tolist()
        [0.0, 18.42]
    """
    return np.asarray(np.log(probability + EPS) - np.log(1 - probability + EPS))


def differs(probability: Floats, fdr: float) -> Bools:
    r"""Return which genes are called different so that the expected share of false ones is at most ``fdr``.

    Genes are taken from the most probable on, as long as the mean of :math:`1 - p` over them stays below.

    Reference:
        Deep generative modeling for single-cell transcriptomics (Lopez et al., 2018), and scvi-tools'
        ``_fdr_de_prediction``. https://doi.org/10.1038/s41592-018-0229-2

    Example:
        >>> differs(np.array([0.2, 0.99, 0.93]), 0.05).tolist()
        [False, True, True]
    """
    order = np.argsort(-probability, kind="stable")
    expected = np.cumsum(1 - probability[order]) / np.arange(1, len(order) + 1)
    called = np.zeros(len(probability), bool)
    called[order[: int((expected <= fdr).sum())]] = True
    return called


def compare(
    draw: Draw, first: np.ndarray[Any, Any], second: np.ndarray[Any, Any], *, delta: float, pairs: int,
    of: Literal["cells", "means"], mode: Literal["change", "vanilla"], offset: float, rng: np.random.Generator,
) -> Difference:
    r"""Compare the shares of two groups of rows.

    With ``of="cells"`` a pair is a random row of each group, as in scvi-tools; with ``of="means"`` it is the mean share
    of each group, resampled. The log2 ratio :math:`r` of a pair gives :math:`p = \max(P(r \ge \delta), P(r \le
    -\delta))` in mode ``change`` and :math:`p = P(r > 0)` in mode ``vanilla``.

    Args:
        draw: Row numbers and a seed to shares drawn from the posterior, ``(n, genes)``.
        first: Rows of the first group.
        second: Rows of the second group.
        delta: Log2 ratio from which genes differ.
        pairs: How many.
        of: What is compared.
        mode: What "differs" means.
        offset: What is added to shares before their logarithm.
        rng: Source of random numbers.
    """
    total, square, above, below, done = 0.0, 0.0, 0.0, 0.0, 0
    limit = delta if mode == "change" else 0.0
    for ratio in _ratios(draw, first, second, pairs, of, offset, rng):
        total, square = total + ratio.sum(0), square + np.square(ratio).sum(0)
        above = above + ((ratio >= limit) if mode == "change" else (ratio > 0)).sum(0)
        below, done = below + (ratio <= -limit).sum(0), done + len(ratio)
    p = np.asarray(above) / done
    if mode == "change":
        p = np.maximum(p, np.asarray(below) / done)
    mean = np.asarray(total) / done
    return Difference(p, bayes_factor(p), mean, np.sqrt(np.maximum(np.asarray(square) / done - np.square(mean), 0)))


def _ratios(draw: Draw, first: Any, second: Any, pairs: int, of: str, offset: float, rng: np.random.Generator) -> Any:
    """Yield log2 ratios, ``(some pairs, genes)``."""
    if of == "cells":
        for start in range(0, pairs, AT_ONCE):
            n = min(AT_ONCE, pairs - start)
            sides = [draw(rng.choice(rows, n), int(rng.integers(2**62))) for rows in (first, second)]
            yield np.log2(sides[0] + offset) - np.log2(sides[1] + offset)
        return
    for _ in range(pairs):
        sides = [draw(rng.choice(rows, len(rows)), int(rng.integers(2**62))).mean(0) for rows in (first, second)]
        yield (np.log2(sides[0] + offset) - np.log2(sides[1] + offset))[None]
