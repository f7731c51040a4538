"""How far codes are the true sources, up to their order and a map of each alone."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..core.errors import InputError
from .results import HALVES, Figure, Floats, Ints, halving


def mean_correlation(
    codes: Floats, sources: Floats, *, by: Literal["value", "rank"] = "value"
) -> float:
    r"""Mean correlation coefficient (MCC): each source with the code that it is paired with.

    .. math:: \max_{\pi} \frac1d \sum_j \big|\mathrm{corr}(z_{\pi(j)}, s_j)\big|

    over all ways to pair sources and codes one to one (the linear assignment problem). One says that codes are the
    sources up to order, sign and, by value, an affine map, by rank, any rising map of each. It rewards chance: with d
    independent codes and sources and few rows it is above zero.

    Reference:
        Variational Autoencoders and Nonlinear ICA (Khemakhem et al., 2020). https://arxiv.org/abs/1907.04809

    Args:
        codes: ``(N, d)``, finite.
        sources: ``(N, s)``, finite; one that no code is left for counts as zero.
        by: Correlate values (Pearson) or ranks (Spearman).

    Returns:
        A number from 0 to 1.

    Raises:
        InputError: They do not have the same rows.

    Example:
        >>> s = np.random.default_rng(0).normal(size=(500, 3))
        >>> round(mean_correlation(-2.0 * s[:, [2, 0, 1]] + 1.0, s), 6)
        1.0
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.stats import rankdata

    z, s = np.asarray(codes, np.float64), np.asarray(sources, np.float64)
    if z.ndim != 2 or s.ndim != 2 or len(z) != len(s) or len(z) < 2:
        raise InputError(f"Codes and sources are two tables with the same rows, but got {z.shape} and {s.shape}.")
    if by == "rank":
        z, s = rankdata(z, axis=0), rankdata(s, axis=0)
    z, s = ((v - v.mean(0)) / np.where(v.std(0) > 0, v.std(0), 1.0) for v in (z, s))
    found = np.abs(z.T @ s) / len(z)
    rows, columns = linear_sum_assignment(-found)
    return float(found[rows, columns].sum() / s.shape[1])


def paired_correlation(codes: Floats, factors: Ints, *, seed: int = 0, repeats: int = HALVES) -> Figure:
    """Return :func:`mean_correlation` by rank with its error; factors whose values have no order make no sense here."""

    def score(i: Any) -> float:
        return mean_correlation(codes[i], factors[i], by="rank")

    value = score(slice(None))
    se, halves = halving((len(codes),), score, seed=seed, repeats=repeats)
    return Figure(value, float(se), len(codes), seed, "mcc", {"by": "rank", "bias": float(halves) - value})
