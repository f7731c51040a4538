"""Forecasts of loss beside what came: value at risk and expected shortfall, and the tests of both.

Everything is on the scale of returns: the value at risk ``v`` is the ``tail`` quantile of the return (0.01 for 99 %),
the expected shortfall ``e`` the mean return below it, and both are usually negative. A hit is a return below ``v``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ..core.errors import InputError
from ..core.random import derive
from .results import Floats

Bools = NDArray[np.bool_]
LAGS, DRAWS, BATCH = 4, 999, 100
GREEN, YELLOW = 0.95, 0.9999
LIGHT = 250
"""Days that the traffic light looks back."""


@dataclass(frozen=True)
class Backtest:
    """One test.

    Args:
        name: What it is called.
        statistic: The number that is tested.
        p_value: Chance of one as far or farther out where the forecasts are right; NaN where nothing can be said.
        details: Further numbers behind it.
    """

    name: str
    statistic: float
    p_value: float
    details: Mapping[str, Any] = field(default_factory=dict)


def var_es(draws: Floats, tail: float) -> tuple[Floats, Floats]:
    """Return value at risk and expected shortfall of draws ``(S, ...)``: quantile, and mean of what lies below.

    The draws that are worst, ``tail * S`` of them, the last one in part, are the tail: the mean is coherent.

    Example:
        >>> v, e = var_es(np.arange(100.0), 0.05)
        >>> float(v), float(e)
        (4.0, 2.0)
    """
    n = len(draws)
    need_share(tail)
    if n * tail < 1:
        raise InputError(f"A tail of {tail:g} needs {int(np.ceil(1 / tail))} draws at least, but got {n}. Draw more.")
    ordered = np.sort(draws, axis=0)
    whole = int(np.floor(n * tail + 1e-9))
    rest = max(0.0, n * tail - whole)
    at = whole - 1 if rest < 1e-6 else whole
    total = ordered[:whole].sum(0) + (rest * ordered[whole] if rest >= 1e-6 else 0.0)
    return np.asarray(ordered[at]), np.asarray(total / (n * tail))


def need_share(tail: float) -> None:
    """Refuse what is no tail."""
    if not 0 < tail < 0.5:
        raise InputError(f"A tail is a share between 0 and 0.5, such as 0.01 for 99 %, but got {tail!r}.")


def checked(returns: Floats, *forecasts: Floats) -> tuple[Floats, ...]:
    """Return series of one length, without days that have no return.

    Raises:
        InputError: They differ in length, a forecast is not finite, or fewer than ten days are left.
    """
    every = [np.asarray(v, dtype=float).ravel() for v in (returns, *forecasts)]
    if len({len(v) for v in every}) > 1 or not all(np.isfinite(v).all() for v in every[1:]):
        raise InputError(
            f"Each return needs finite forecasts, but got {', '.join(str(len(v)) for v in every)} numbers. Align them."
        )
    there = ~np.isnan(every[0])
    if there.sum() < 10:
        raise InputError(f"A backtest needs ten days with a return, but got {int(there.sum())}. Give more.")
    return tuple(v[there] for v in every)


# --- how many, and when -----------------------------------------------------------------------------------------------
def _log(count: Floats, share: Floats) -> Floats:
    """Return ``count * log(share)``, 0 where nothing is counted."""
    return np.where(count > 0, count * np.log(np.where(count > 0, share, 1.0)), 0.0)


def unconditional_ratio(hits: Bools, tail: float) -> Floats:
    """Return the likelihood ratio of the share of hits, for each row of ``(..., N)``."""
    n, x = hits.shape[-1], np.asarray(hits.sum(-1), dtype=float)
    share = x / n
    return np.asarray(2 * (_log(x, share) + _log(n - x, 1 - share) - _log(x, np.full_like(x, tail))
                           - _log(n - x, np.full_like(x, 1 - tail))))


def independence_ratio(hits: Bools) -> Floats:
    """Return the likelihood ratio of a Markov chain against independent hits, for each row of ``(..., N)``."""
    before, now = hits[..., :-1], hits[..., 1:]
    n = {(i, j): ((before == i) & (now == j)).sum(-1).astype(float) for i in (0, 1) for j in (0, 1)}
    ones, zeros = n[0, 1] + n[1, 1], n[0, 0] + n[1, 0]
    share = ones / (ones + zeros)

    def chain(i: int) -> Floats:
        p = n[i, 1] / np.maximum(1, n[i, 0] + n[i, 1])
        return np.asarray(_log(n[i, 1], p) + _log(n[i, 0], 1 - p))

    return np.asarray(2 * (chain(0) + chain(1) - _log(ones, share) - _log(zeros, 1 - share)))


def kupiec(hits: Bools, tail: float) -> Backtest:
    r"""Return whether there are as many hits as there should be: the proportion of failures.

    .. math:: LR = 2 \log \frac{(1 - x/n)^{n - x} (x/n)^x}{(1 - p)^{n - x} p^x} \sim \chi^2_1

    Reference:
        Techniques for Verifying the Accuracy of Risk Measurement Models (Kupiec, 1995).

    Example:
        >>> round(kupiec(np.arange(255) < 8, 0.05).statistic, 2)  # eight hits in a year at 95 %
        2.14
    """
    ratio, n = float(unconditional_ratio(hits, tail)), len(hits)
    return Backtest("kupiec", ratio, float(stats.chi2.sf(ratio, 1)), {"hits": int(hits.sum()), "expected": n * tail})


def christoffersen(hits: Bools, tail: float) -> tuple[Backtest, Backtest]:
    """Return whether hits come one by one, and whether they do and are as many as they should be.

    Both are likelihood ratios, of a Markov chain of hits against independent ones (one degree of freedom), and that of
    :func:`kupiec` added to it (two). With few hits the first is not quite chi-squared; see :func:`simulated_p`.

    Reference:
        Evaluating Interval Forecasts (Christoffersen, 1998).
    """
    alone, share = float(independence_ratio(hits)), float(unconditional_ratio(hits, tail))
    pairs = int((hits[1:] & hits[:-1]).sum())
    return (
        Backtest("independence", alone, float(stats.chi2.sf(alone, 1)), {"pairs": pairs}),
        Backtest("conditional_coverage", alone + share, float(stats.chi2.sf(alone + share, 2))),
    )


def quantile_statistic(hits: Bools, var: Floats, tail: float, lags: int = LAGS) -> Floats:
    """Return the statistic of the dynamic quantile test for each row of hits ``(S, N)``."""
    centred = hits - tail
    n = centred.shape[-1]
    scale = var[lags:] / max(1e-300, float(np.abs(var).max()))
    fixed = [np.ones(n - lags)] + ([scale] if float(np.ptp(scale)) > 1e-9 else [])
    found = []
    for one in centred:
        design = np.stack([*fixed, *(one[lags - i : n - i] for i in range(1, lags + 1))], 1)
        fit = design @ np.linalg.lstsq(design, one[lags:], rcond=None)[0]
        found.append(float(fit @ one[lags:]) / (tail * (1 - tail)))
    return np.array(found)


def dynamic_quantile(hits: Bools, var: Floats, tail: float, lags: int = LAGS) -> Backtest:
    r"""Return whether hits can be foretold from the hits before them and from the forecast itself.

    .. math:: DQ = \frac{h^\top X (X^\top X)^{-1} X^\top h}{p (1 - p)} \sim \chi^2_k

    for centred hits h and k regressors: a constant, ``lags`` hits before, and the value at risk where it moves.

    Reference:
        CAViaR: Conditional Autoregressive Value at Risk by Regression Quantiles (Engle and Manganelli, 2004).
    """
    var = np.asarray(var, dtype=float)
    if len(hits) < 10 * lags:
        return Backtest("dynamic_quantile", float("nan"), float("nan"))
    statistic = float(quantile_statistic(hits[None], var, tail, lags)[0])
    columns = 1 + lags + int(float(np.ptp(var[lags:])) > 1e-9 * float(np.abs(var).max()))
    return Backtest("dynamic_quantile", statistic, float(stats.chi2.sf(statistic, columns)), {"lags": lags})


def traffic_light(hits: Bools, tail: float = 0.01) -> Backtest:
    """Return the zone of the Basel committee: green, yellow or red by the chance of so many hits or fewer.

    The statistic is the number of hits among the last 250 days (of fewer, all). For 99 % and 250 days green ends with 4
    hits, yellow with 9.

    Reference:
        Supervisory Framework for the Use of "Backtesting" in Conjunction with the Internal Models Approach to Market
        Risk Capital Requirements (Basel Committee on Banking Supervision, 1996).

    Example:
        >>> [traffic_light(np.arange(250) < n).details["zone"] for n in (4, 5, 9, 10)]
        ['green', 'yellow', 'yellow', 'red']
    """
    some = hits[-LIGHT:]
    x, n = int(some.sum()), len(some)
    below = float(stats.binom.cdf(x, n, tail))
    zone = "green" if below < GREEN else "yellow" if below < YELLOW else "red"
    return Backtest("traffic_light", float(x), float(stats.binom.sf(x - 1, n, tail)), {"zone": zone, "days": n})


def simulated_p(hits: Bools, var: Floats, tail: float, *, draws: int = DRAWS, seed: int = 0) -> dict[str, float]:
    """Return p-values by simulation: independent hits with the right chance, as many days, ties broken at random.

    The chi-squared law of these statistics holds for many hits; at 99 % a year has two or three. These p-values hold
    for any number of them (a Monte Carlo test), given ``draws``.

    Reference:
        Monte Carlo Tests with Nuisance Parameters (Dufour, 2006); Backtesting Value-at-Risk: A Duration-Based
        Approach (Christoffersen and Pelletier, 2004), section 3.
    """
    rng = np.random.default_rng(derive(seed, "backtests"))
    made = np.concatenate([hits[None], rng.random((draws, len(hits))) < tail])
    alone, share = independence_ratio(made), unconditional_ratio(made, tail)
    found = {"kupiec": share, "independence": alone, "conditional_coverage": alone + share}
    if len(hits) >= 10 * LAGS:
        found["dynamic_quantile"] = quantile_statistic(made, np.asarray(var, dtype=float), tail)
    tie = rng.random(draws + 1)

    def p(values: Floats) -> float:
        above = (values[1:] > values[0] + 1e-12).sum()
        equal = (np.abs(values[1:] - values[0]) <= 1e-12) & (tie[1:] >= tie[0])
        return float((above + equal.sum() + 1) / (draws + 1))

    return {name: p(values) for name, values in found.items()}


# --- how bad ----------------------------------------------------------------------------------------------------------
def mcneil_frey(
    returns: Floats, var: Floats, es: Floats, scale: Floats | None = None, *, draws: int = DRAWS, seed: int = 0
) -> Backtest:
    """Return whether returns on days with a hit are worse than the expected shortfall.

    What lies between return and expected shortfall, in units of ``scale`` (the volatility of the day; else the
    shortfall itself), has mean zero where forecasts are right. One-sided, by a bootstrap of the t statistic; NaN
    below two hits.

    Reference:
        Estimation of Tail-Related Risk Measures for Heteroscedastic Financial Time Series (McNeil and Frey, 2000).
    """
    hits = returns < var
    over = ((returns - es) / (np.abs(es) if scale is None else scale))[hits]
    if len(over) < 2 or float(over.std()) == 0:
        return Backtest("mcneil_frey", float("nan"), float("nan"), {"hits": len(over)})
    rng = np.random.default_rng(derive(seed, "mcneil-frey"))

    def t(values: Floats) -> Floats:
        spread = values.std(-1, ddof=1)
        return np.asarray(values.mean(-1) * np.sqrt(values.shape[-1]) / np.where(spread > 0, spread, np.inf))

    statistic = float(t(over))
    again = t((over - over.mean())[rng.integers(len(over), size=(draws, len(over)))])
    return Backtest("mcneil_frey", statistic, float((1 + (again <= statistic).sum()) / (draws + 1)),
                    {"hits": len(over), "mean": float(over.mean())})


def shortfall_statistics(returns: Floats, var: Floats, es: Floats, tail: float) -> tuple[Floats, Floats]:
    r"""Return the statistics Z1 and Z2 of rows ``(..., N)``.

    .. math:: Z_1 = \frac{1}{n_h} \sum_{t: y_t < v_t} \frac{-y_t}{e_t} + 1, \qquad
        Z_2 = \sum_{t: y_t < v_t} \frac{-y_t}{n p\, e_t} + 1

    which are 0 on average where forecasts are right, and negative where risk is understated.
    """
    hits = returns < var
    worse = np.where(hits, returns / es, 0.0).sum(-1)
    count = hits.sum(-1)
    first = np.where(count > 0, 1 - worse / np.maximum(1, count), np.nan)
    return np.asarray(first), np.asarray(1 - worse / (returns.shape[-1] * tail))


def acerbi_szekely(
    returns: Floats, var: Floats, es: Floats, tail: float, draws: Floats | None = None
) -> tuple[Backtest, Backtest]:
    """Return whether the expected shortfall is right: Z1 given the hits, and Z2 with how many there are.

    Args:
        returns: ``(N,)``.
        var: Value at risk of each day.
        es: Expected shortfall of each day, negative.
        tail: Share of the tail.
        draws: Draws of each day from the forecast, ``(S, N)``, whose own statistics give the p-value (one-sided); NaN
            without.

    Reference:
        Back-testing Expected Shortfall (Acerbi and Szekely, 2014), sections 2.1 and 2.2.
    """
    if bool((es >= 0).any()):
        raise InputError("An expected shortfall is a mean return of bad days and must be below 0 here. Check its sign.")
    values = [float(z) for z in shortfall_statistics(returns, var, es, tail)]
    made = (None, None) if draws is None else shortfall_statistics(draws, var, es, tail)

    def p(value: float, others: Floats | None) -> float:
        if others is None or np.isnan(value):
            return float("nan")
        known = others[~np.isnan(others)]
        return float((1 + (known <= value).sum()) / (1 + len(known)))

    return (Backtest("acerbi_szekely_1", values[0], p(values[0], made[0])),
            Backtest("acerbi_szekely_2", values[1], p(values[1], made[1])))


def fissler_ziegel(returns: Floats, var: Floats, es: Floats, tail: float) -> Floats:
    r"""Return the loss of each day that the true pair of value at risk and expected shortfall makes least, on average.

    .. math:: L = -\frac{1}{p\, e} \mathbf 1[y \le v] (v - y) + \frac{v}{e} + \log(-e) - 1

    Lower is better; two forecasts are compared on the same days.

    Reference:
        Higher Order Elicitability and Osband's Principle (Fissler and Ziegel, 2016); Dynamic Semiparametric Models for
        Expected Shortfall (and Value-at-Risk) (Patton, Ziegel and Chen, 2019), equation 6.
    """
    if bool((es >= 0).any()):
        raise InputError("An expected shortfall is a mean return of bad days and must be below 0 here. Check its sign.")
    return np.asarray(np.where(returns <= var, returns - var, 0.0) / (tail * es) + var / es + np.log(-es) - 1)


def backtests(
    returns: Floats, var: Floats, es: Floats, tail: float, *, scale: Floats | None = None, draws: Floats | None = None,
    seed: int = 0,
) -> tuple[Backtest, ...]:
    """Return all tests of one forecast; days without a return are left out.

    Args:
        returns: Return of each day, ``(N,)``.
        var: Value at risk of each day, a quantile of the return.
        es: Expected shortfall of each day.
        tail: Share of the tail, 0.01 for 99 %.
        scale: Volatility of each day, where it is known.
        draws: Draws of each day, ``(S, N)``, for the p-values of Acerbi and Szekely.
        seed: Seed of what is simulated.

    Raises:
        InputError: Numbers do not fit together.
    """
    need_share(tail)
    there = ~np.isnan(np.asarray(returns, dtype=float).ravel())
    y, v, e = checked(returns, var, es)
    hits = y < v
    own_scale = None if scale is None else np.asarray(scale, dtype=float)[there]
    own_draws = None if draws is None else draws[:, there]
    exact = simulated_p(hits, v, tail, seed=seed)
    found = (
        kupiec(hits, tail), *christoffersen(hits, tail), dynamic_quantile(hits, v, tail), traffic_light(hits, tail),
        mcneil_frey(y, v, e, own_scale, seed=seed), *acerbi_szekely(y, v, e, tail, own_draws),
        Backtest("fissler_ziegel", float(fissler_ziegel(y, v, e, tail).mean()), float("nan")),
    )
    return tuple(
        Backtest(t.name, t.statistic, t.p_value, {**t.details, "p_simulated": exact[t.name]}) if t.name in exact else t
        for t in found
    )
