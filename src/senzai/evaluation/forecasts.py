"""How good forecasts are: coverage, the continuous ranked probability score, a seasonal-naive one; and their spread."""

from __future__ import annotations

import numpy as np

from .results import Floats


def crps(draws: Floats, seen: Floats) -> Floats:
    r"""Return the continuous ranked probability score of draws, lower is better; for one draw the absolute error.

    .. math:: \frac1n \sum_i |x_i - y| - \frac{1}{2 n (n - 1)} \sum_{i,j} |x_i - x_j|

    which is unbiased for that of the distribution the draws are from.

    Args:
        draws: ``(n, ...)``.
        seen: What came, ``(...)``; NaN gives NaN.

    Reference:
        Strictly Proper Scoring Rules, Prediction, and Estimation (Gneiting and Raftery, 2007).

    Example:
        >>> crps(np.array([[0.0], [2.0]]), np.array([1.0])).tolist()
        [0.0]
    """
    n = len(draws)
    error = np.abs(draws - seen).mean(0)
    if n == 1:
        return np.asarray(error)
    order = np.sort(draws, axis=0)
    weight = (2 * np.arange(1, n + 1) - n - 1).reshape(-1, *[1] * (draws.ndim - 1))
    return np.asarray(error - (weight * order).sum(0) / (n * (n - 1)))


def seasonal_naive(past: Floats, horizon: int, season: int) -> Floats:
    """Return the forecast that the last season comes again, ``(N, horizon, d)``.

    Where the past is shorter than a season, or nothing was seen at a place of it, the last value that was seen; 0
    where none ever was.

    Args:
        past: ``(N, T, d)``, NaN where nothing was seen.
        horizon: Steps to forecast.
        season: Steps of a season; 1 repeats the last value.

    Example:
        >>> seasonal_naive(np.arange(4.0).reshape(1, 4, 1), 3, 2).ravel().tolist()
        [2.0, 3.0, 2.0]
    """
    steps = past.shape[1]
    there = ~np.isnan(past)
    last = np.where(there, np.arange(steps)[None, :, None], -1).max(1)
    value = np.take_along_axis(past, np.maximum(last, 0)[:, None], 1)
    value = np.where((last < 0)[:, None], 0.0, value)
    if season > steps:
        return np.repeat(value, horizon, axis=1)
    found = past[:, steps - season + np.arange(horizon) % season]
    return np.where(np.isnan(found), value, found)


LEAST = 20
"""Numbers that came, from which the spread of a column is corrected."""


def spread_factors(draws: Floats, seen: Floats, level: float) -> Floats:
    r"""Return by how much draws must be spread about their median for intervals to hold what they should, ``(d,)``.

    For each number that came, its distance from the median in lengths of the interval's half on its side,

    .. math:: r = \frac{y - m}{q_{(1 + \alpha) / 2} - m} \text{ or } \frac{m - y}{m - q_{(1 - \alpha) / 2}},

    and of these the :math:`\lceil (n + 1) \alpha \rceil`-th in ascending order, by column. Of forecasts that are
    exchangeable with those, intervals of draws that are spread so hold the share :math:`\alpha`. A column of which
    fewer than 20 numbers came has 1.

    Reference:
        Conformalized Quantile Regression (Romano, Patterson and Candes, 2019). https://arxiv.org/abs/1905.03222

    Args:
        draws: ``(n, N, horizon, d)``.
        seen: What came, ``(N, horizon, d)``; NaN where nothing did.
        level: Share that an interval should hold.

    Example:
        >>> draws = np.random.default_rng(0).normal(size=(2000, 1, 500, 1))
        >>> seen = 3 * np.random.default_rng(1).normal(size=(1, 500, 1))
        >>> bool(2.7 < spread_factors(draws, seen, 0.9)[0] < 3.3)
        True
    """
    low, middle, high = np.quantile(draws, [(1 - level) / 2, 0.5, (1 + level) / 2], axis=0)
    half = np.maximum(np.where(seen > middle, high - middle, middle - low), 1e-12)
    ratio = (np.abs(seen - middle) / half).reshape(-1, seen.shape[-1])
    found = np.ones(ratio.shape[1])
    for j, column in enumerate(ratio.T):
        there = np.sort(column[~np.isnan(column)])
        if len(there) >= LEAST:
            found[j] = there[min(len(there), int(np.ceil((len(there) + 1) * level))) - 1]
    return found


def covered(low: Floats, high: Floats, seen: Floats) -> float:
    """Return the share of what came that lies within intervals; NaN where nothing came."""
    there = ~np.isnan(seen)
    return float(((low <= seen) & (seen <= high))[there].mean()) if there.any() else float("nan")
