"""Volatility taken out of returns and put back: a GARCH filter for each column, estimated by arch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np

from senzai.core.errors import InputError
from senzai.core.extras import need

from ..rows import Array
from ..schema import Frozen

LOG, SIMPLE, GIVEN = "log", "simple", "given"
"""How prices become returns; given where they are returns already."""
LEAST = 100
"""Returns that a filter is estimated from, at least."""
MEMORY, FADES = 75, 0.94
"""Returns that the variance before the first is taken from, and how fast they count less: as arch does it."""


class Garch(Frozen):
    r"""How the volatility of one column moves, and the law of what is left.

    .. math:: r_t = \mu + \sigma_t \epsilon_t, \qquad
        \sigma_{t+1}^2 = \omega + (\alpha + \gamma \mathbf 1[\epsilon_t < 0])\, \sigma_t^2 \epsilon_t^2
        + \beta \sigma_t^2

    with :math:`\epsilon_t` from a Student t of variance 1.

    Args:
        mean: Mean of a return.
        omega: Variance that is added at each step.
        alpha: Weight of the last squared deviation.
        gamma: Further weight where the last return was below the mean; 0 without an effect of leverage.
        beta: Weight of the last variance.
        freedom: Degrees of freedom of what is left.
        start: Variance before the first step.

    Reference:
        On the Relation between the Expected Value and the Volatility of the Nominal Excess Return on Stocks (Glosten,
        Jagannathan and Runkle, 1993); Generalized Autoregressive Conditional Heteroskedasticity (Bollerslev, 1986).

    Example:
        >>> law = Garch(mean=0.0, omega=0.1, alpha=0.1, gamma=0.0, beta=0.8, freedom=6.0, start=1.0)
        >>> law.variances(np.array([0.0, 2.0])).round(6).tolist()  # before each return, and after the last
        [1.0, 0.9, 1.22]
    """

    mean: float
    omega: float
    alpha: float
    gamma: float
    beta: float
    freedom: float
    start: float

    def variances(self, returns: Array) -> Array:
        """Return the variance of each return given those before it, and of the next one, ``(T + 1,)``.

        A missing return moves the variance as it does on average.
        """
        variance = self.omega + (self.alpha + self.gamma / 2 + self.beta) * self.start
        found, mean, usual = [variance], self.mean, self.alpha + self.gamma / 2
        for r in returns.tolist():
            if math.isnan(r):
                variance = self.omega + (usual + self.beta) * variance
            else:
                e = r - mean
                variance = self.omega + (self.alpha + (self.gamma if e < 0 else 0.0)) * e * e + self.beta * variance
            found.append(variance)
        return np.array(found)

    def after(self, variance: Array, deviation: Array) -> Array:
        """Return the variance that follows a variance and a deviation from the mean."""
        weight = self.alpha + self.gamma * (deviation < 0)
        return np.asarray(self.omega + weight * deviation**2 + self.beta * variance)

    @property
    def spread(self) -> float:
        """Standard deviation of a Student t with these degrees of freedom."""
        return math.sqrt(self.freedom / (self.freedom - 2))

    def log_likelihood(self, returns: Array) -> float:
        """Return the log density of returns, nats, summed."""
        from scipy import stats

        scale = np.sqrt(self.variances(returns)[:-1]) / self.spread
        return float(np.nansum(stats.t.logpdf((returns - self.mean) / scale, self.freedom) - np.log(scale)))


class Filtered(Protocol):
    """What is known of returns and their filter."""

    returns: Literal["none", "simple", "log", "given"]
    filters: tuple[Garch, ...]
    mixing: tuple[tuple[float, ...], ...]
    coming: tuple[float, ...]
    last: tuple[float, ...]


def fitted(returns: Array, how: Literal["garch", "gjr"], name: object) -> Garch:
    """Estimate a filter from the returns of one column, NaN where there are none.

    Raises:
        InputError: There are too few returns, or they do not move.
        MissingExtraError: arch is not installed.
    """
    arch = need("arch", extra="finance", to="estimate volatilities (filter=none does without)")
    seen = returns[~np.isnan(returns)]
    if len(seen) < LEAST or float(seen.std()) < 1e-12:
        raise InputError(
            f"A filter is estimated from {LEAST} returns that move, but {name!r} has {len(seen)} in the training part"
            f"{'' if len(seen) < LEAST else ', all alike'}. Give more days, leave the column out, or set filter=none."
        )
    unit = float(seen.std())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = arch.arch_model(
            seen / unit, mean="Constant", vol="GARCH", p=1, o=int(how == "gjr"), q=1, dist="t", rescale=False
        )
        found: Any = model.fit(disp="off", show_warning=False).params
    mean = float(found["mu"]) * unit
    return Garch(
        mean=mean,
        omega=float(found["omega"]) * unit**2,
        alpha=float(found["alpha[1]"]),
        gamma=float(found.get("gamma[1]", 0.0)),
        beta=float(found["beta[1]"]),
        freedom=float(found["nu"]),
        start=backcast(seen - seen.mean()),
    )


def backcast(deviations: Array) -> float:
    """Return the variance before the first step: of the first deviations, the later ones counting less."""
    some = deviations[:MEMORY]
    weight = FADES ** np.arange(len(some))
    return float((weight * some**2).sum() / weight.sum())


# --- columns together -------------------------------------------------------------------------------------------------
def mixing_of(residuals: Array) -> tuple[tuple[float, ...], ...]:
    """Return the Cholesky factor of the correlation of residuals ``(T, d)``, over the days on which all are known.

    With too few such days columns are taken for uncorrelated.
    """
    whole, d = residuals[~np.isnan(residuals).any(1)], residuals.shape[1]
    found = np.eye(d)
    if d > 1 and len(whole) >= LEAST:
        found = np.linalg.cholesky(np.corrcoef(whole.T) + 1e-6 * np.eye(d))
    return tuple(tuple(float(v) for v in row) for row in found)


def unmixed(residuals: Array, mixing: tuple[tuple[float, ...], ...]) -> Array:
    """Return residuals ``(T, d)`` without their correlation: each column less what those before it say of it.

    A missing entry stays missing, and says nothing of those after it.

    Example:
        >>> unmixed(np.array([[1.0, 1.0], [np.nan, 0.8]]), ((1.0, 0.0), (0.6, 0.8))).tolist()
        [[1.0, 0.5], [nan, 1.0]]
    """
    made = np.empty_like(residuals)
    for j, row in enumerate(mixing):
        known = np.nan_to_num(made[:, :j]) @ np.array(row[:j]) if j else 0.0
        made[:, j] = (residuals[:, j] - known) / row[j]
    return made


def walked(
    left: Array, filters: tuple[Garch, ...], mixing: tuple[tuple[float, ...], ...], first: Array,
    known: Array | None = None,
) -> Array:
    """Return returns of paths from what a filter left of each step, ``(N, T, d)``.

    Args:
        left: Uncorrelated residuals.
        filters: One for each column.
        mixing: Cholesky factor of the correlation of residuals.
        first: Variance of the first step, ``(N, d)`` or ``(d,)``.
        known: Variances that are known, ``(N, T, d)``, NaN where they follow from the path.
    """
    residuals = left @ np.array(mixing).T
    n, steps, _ = residuals.shape
    made: Array = np.empty_like(residuals)
    for j, law in enumerate(filters):
        variance = np.broadcast_to(np.asarray(first)[..., j], (n,)).astype(float)
        for t in range(steps):
            if known is not None:
                variance = np.where(np.isnan(known[:, t, j]), variance, known[:, t, j])
            deviation = np.sqrt(variance) * residuals[:, t, j]
            made[:, t, j] = law.mean + deviation
            variance = law.after(variance, deviation)
    return made


def to_user(values: Array, told: Filtered, about: Mapping[str, Any] | None) -> Array:
    """Return the user's values of windows ``(N, L, d)`` of returns, or of what a filter left of them."""
    known = None if about is None else about.get("variance")
    if told.filters:
        first = np.array(told.coming) if known is None else known[:, 0]
        values = walked(values, told.filters, told.mixing, first, known)
    if told.returns == GIVEN:
        return values
    before = np.array(about["before"]) if about and "before" in about else np.tile(told.last, (len(values), 1))
    return priced(values, np.where(np.isnan(before), np.array(told.last), before), told.returns)


def priced(returns: Array, before: Array, how: str) -> Array:
    """Return prices of returns ``(N, L, d)`` that begin after a price ``(N, d)``.

    Example:
        >>> priced(np.array([[[0.5], [-0.5]]]), np.array([[10.0]]), "simple").ravel().tolist()
        [15.0, 7.5]
    """
    level = before[:, None]
    if how == LOG:
        return np.asarray(level * np.exp(np.cumsum(returns, axis=1)))
    return np.asarray(level * np.cumprod(1 + returns, axis=1))
