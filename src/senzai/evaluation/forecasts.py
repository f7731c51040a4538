"""How good forecasts are: coverage of intervals, the continuous ranked probability score, and a seasonal-naive one."""

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


def covered(low: Floats, high: Floats, seen: Floats) -> float:
    """Return the share of what came that lies within intervals; NaN where nothing came."""
    there = ~np.isnan(seen)
    return float(((low <= seen) & (seen <= high))[there].mean()) if there.any() else float("nan")
