"""What returns have in common, whatever the asset: heavy tails, calm and wild times, falls that last, one market."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.extras import need
from ..core.random import derive
from .catalogue import NEEDS, Case, measure
from .results import Floats

LAGS = 20
TAIL, RISK = 0.05, 0.01
"""Share of the largest returns that a tail index is of; share of the tail of value at risk."""
YEAR = 250
FACTS: Mapping[str, str] = {
    "volatility": "standard deviation of a return",
    "excess_kurtosis": "excess kurtosis",
    "tail_index_losses": "tail index of losses (Hill, the largest 5 %)",
    "tail_index_gains": "tail index of gains",
    "acf_returns": "autocorrelation of returns, lag 1",
    "acf_size": "autocorrelation of absolute returns, lag 1",
    "acf_size_5": "autocorrelation of absolute returns, lag 5",
    "acf_size_20": "autocorrelation of absolute returns, lag 20",
    "leverage": "correlation of a return with the squared ones of the next 10 days",
    "correlation": "mean correlation of columns",
    "market": "share of the variance along the first eigenvector of the correlations",
    "drawdown": "largest fall from a peak within 250 days, median",
    "var": "value at risk, 1 %, of equal weights",
    "es": "expected shortfall, 1 %, of equal weights",
}


@dataclass(frozen=True, eq=False)
class Market:
    """What a measure of returns is given.

    Args:
        train: Returns of the days that trained the model, ``(T, d)``.
        held: Returns of the days that are judged, ``(T, d)``.
        paths: Makes returns of long paths ``(P, T, d)`` from model values ``(N, L, d)`` and a number of paths.
        again: Makes returns of long paths by drawing again what a filter left; ``None`` without a filter.
        window: Steps of a row.
    """

    train: Floats
    held: Floats
    paths: Callable[[Any, int], Floats]
    again: Callable[[int, int, int], Floats] | None
    window: int


def hill(x: Floats, share: float = TAIL) -> float:
    r"""Return the tail index of positive numbers: the power with which large ones become rare.

    .. math:: \hat\alpha = \Big(\frac1k \sum_{i \le k} \log \frac{x_{(i)}}{x_{(k + 1)}}\Big)^{-1}

    over the ``k`` largest, a ``share`` of all numbers.

    Reference:
        A Simple General Approach to Inference about the Tail of a Distribution (Hill, 1975).

    Example:
        >>> pareto = (1 - (np.arange(100_000) + 0.5) / 100_000) ** (-1 / 3)
        >>> round(hill(pareto), 1)
        3.0
    """
    k = max(2, int(share * len(x)))
    top = np.sort(x)[-k - 1 :]
    if len(top) < k + 1 or top[0] <= 0:
        return float("nan")
    spread = float(np.log(top[1:] / top[0]).mean())
    return 1 / spread if spread > 0 else float("nan")


def lagged(x: Floats, y: Floats, lag: int) -> float:
    """Return the correlation of ``x`` with ``y`` some steps later, within paths ``(P, T)``; NaN counts nothing."""
    a, b = x[:, : x.shape[1] - lag].ravel(), y[:, lag:].ravel()
    there = ~(np.isnan(a) | np.isnan(b))
    a, b = a[there], b[there]
    if len(a) < 3 or a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def drawdown(returns: Floats, steps: int = YEAR) -> float:
    """Return the median over stretches of the largest fall from a peak, of log returns ``(P, T)``; 0.2 is 20 %.

    Example:
        >>> round(drawdown(np.log([[1.1, 0.5, 0.9, 2.0]]), 4), 2)
        0.55
    """
    steps = min(steps, returns.shape[1])
    whole = returns[:, : returns.shape[1] // steps * steps].reshape(-1, steps)
    level = np.concatenate([np.zeros((len(whole), 1)), np.nan_to_num(whole).cumsum(1)], 1)
    fall = (level - np.maximum.accumulate(level, axis=1)).min(1)
    return float(np.median(-np.expm1(fall)))


def facts(returns: Floats) -> dict[str, float]:
    """Return the stylised facts of paths of returns ``(P, T, d)``, means over columns; see :data:`FACTS`.

    Raises:
        InputError: There are too few returns.
    """
    if returns.ndim != 3 or returns.shape[1] <= LAGS or int((~np.isnan(returns)).sum()) < 100:
        raise InputError(
            f"Stylised facts are of paths (P, T, d) of more than {LAGS} steps and 100 returns, but got "
            f"{returns.shape}. Give longer ones."
        )
    found: list[dict[str, float]] = []
    for j in range(returns.shape[2]):
        r = returns[..., j]
        seen, size, square = r[~np.isnan(r)], np.abs(r), r**2
        z = (seen - seen.mean()) / (seen.std() or 1.0)
        found.append({
            "volatility": float(seen.std()), "excess_kurtosis": float((z**4).mean() - 3),
            "tail_index_losses": hill(-seen), "tail_index_gains": hill(seen), "acf_returns": lagged(r, r, 1),
            "acf_size": lagged(size, size, 1), "acf_size_5": lagged(size, size, 5),
            "acf_size_20": lagged(size, size, LAGS),
            "leverage": float(np.nanmean([lagged(r, square, lag) for lag in range(1, 11)])),
            "drawdown": drawdown(r),
        })
    mean = {k: float(np.nanmean([f[k] for f in found])) for k in found[0]}
    return {k: v for k, v in {**dict.fromkeys(FACTS, float("nan")), **mean, **_together(returns)}.items()
            if not np.isnan(v)}


def _together(returns: Floats) -> dict[str, float]:
    """Return what columns have in common, and the tail of their mean."""
    flat = returns.reshape(-1, returns.shape[2])
    flat = flat[~np.isnan(flat).any(1)]
    if len(flat) < 1 / RISK:
        return {}
    both = np.sort(flat.mean(1))
    found = {"var": float(np.quantile(both, RISK)), "es": float(both[: max(1, int(RISK * len(both)))].mean())}
    if flat.shape[1] > 1:
        correlation = np.atleast_2d(np.corrcoef(flat.T))
        found["correlation"] = float(correlation[np.triu_indices(len(correlation), 1)].mean())
        found["market"] = float(np.linalg.eigvalsh(correlation)[-1] / len(correlation))
    return found


def bootstrap(returns: Floats, paths: int, steps: int, seed: int) -> Floats:
    """Return paths ``(P, T, d)`` of the stationary block bootstrap, with the block length that arch finds best.

    Reference:
        The Stationary Bootstrap (Politis and Romano, 1994); Automatic Block-Length Selection for the Dependent
        Bootstrap (Politis and White, 2004), of absolute returns.
    """
    arch = need("arch.bootstrap", extra="finance", to="draw blocks of returns again")
    whole = returns[~np.isnan(returns).any(1)]
    length = float(np.mean(arch.optimal_block_length(np.abs(whole))["stationary"]))
    again = arch.StationaryBootstrap(max(1.0, length), np.arange(len(whole)), seed=derive(seed, "blocks") % 2**32)
    made, need_of = [], -(-steps * paths // len(whole))
    for (at,), _ in again.bootstrap(need_of):
        made.append(whole[at])
    long = np.concatenate(made)[: paths * steps]
    return np.asarray(long.reshape(paths, steps, whole.shape[1]))


def table(market: Market, made: Floats, *, paths: int, steps: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """Return the stylised facts of data, model, and of the two ways without a model, by name."""
    rows = {"data": market.train[None], "held-out data": market.held[None], "model": made,
            "stationary bootstrap": bootstrap(market.train, paths, steps, seed)}
    if market.again is not None:
        rows["filtered historical simulation"] = market.again(paths, steps, seed)
    return {name: facts(r) for name, r in rows.items() if r.shape[1] > LAGS and int((~np.isnan(r)).sum()) >= 100}


PATHS, STEPS = 40, 500


NEEDS["returns"] = (
    lambda c: c.extras.market is not None, "It is about returns; these rows are none. Fit with returns=log.",
)


@measure(
    "stylised", "stylised facts of returns: data, model, block bootstrap, filtered historical simulation", usual=True,
    needs=("returns", "samples"), cost=lambda c, p: p.row * PATHS * STEPS / 5 + 2,
)
def stylised_facts(case: Case) -> Mapping[str, Any]:
    """One table; paths of the model are its windows one after the other."""
    market = case.extras.market
    assert isinstance(market, Market)  # the catalogue has seen to it
    windows = -(-STEPS // market.window) * PATHS
    made = market.paths(case.samples(windows), PATHS)
    found = table(market, made, paths=PATHS, steps=made.shape[1], seed=case.seed)
    return {"table": found, "paths": PATHS, "steps": int(made.shape[1])}
