"""Prices as returns, and returns as prices; what a filter makes of returns, and paths of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, final

import numpy as np

from senzai.core.errors import InputError
from senzai.core.later import Tensor

from ..returns import Returns, Seen
from ..rows import Array, Rows, Targets
from ..schema import Schema
from .details import SeriesDetails, series_of
from .filters import GIVEN, LOG, SIMPLE, Garch, fitted, mixing_of, priced, unmixed, walked
from .windows import SeriesPanel, WindowRows, Windows, filtered, lines_of, stamps, standardised

SPLITS = tuple(r for n in (1.5, 2, 3, 4, 5, 7, 10, 20) for r in (n, 1 / n))
"""Ratios of prices from one day to the next that a split of shares gives."""
CLOSES = ("adj close", "adj_close", "adjclose", "adjusted close", "close")
"""Columns of prices that are taken where nobody names others, the best first."""


def closing(columns: list[str]) -> str | None:
    """Return the column of closing prices among those of a bar of prices, adjusted ones first.

    Example:
        >>> closing(["Open", "High", "Low", "Close", "Adj Close", "Volume"]), closing(["SPX", "NDX"])
        ('Adj Close', None)
    """
    lower = {c.strip().lower(): c for c in columns}
    if not {"open", "high", "low", "close"} <= set(lower):
        return None
    return next(lower[name] for name in CLOSES if name in lower)


def as_returns(
    panel: SeriesPanel, how: str, columns: tuple[str | int, ...] | None, origin: str, notes: list[str]
) -> SeriesPanel:
    """Return a panel whose values are returns; prices stay beside them.

    A day without a price has no return, and that of the next day is from the last price that was seen: returns always
    join prices, and nothing is filled in.

    Raises:
        InputError: A price is not above 0.
    """
    if how == GIVEN:
        return panel
    prices, names = panel.values, columns or tuple(range(panel.values.shape[1]))
    if bool((prices <= 0).any()):
        line, j = (int(v[0]) for v in np.nonzero(prices <= 0))
        raise InputError(
            f"Returns are of prices above 0, but {names[j]!r} of {origin} has {prices[line, j]:g} in line {line}. Mend "
            "it, leave that column out, or set returns=given where the numbers are returns already."
        )
    before = _before(panel)
    with np.errstate(invalid="ignore"):
        ratio = prices / before
    values = np.log(ratio) if how == LOG else ratio - 1
    if np.isnan(values).all():
        raise InputError(f"A return needs two prices, but no column of {origin} has two. Give more days.")
    notes += _splits(ratio, names)
    lost = int((np.isnan(prices) & ~np.isnan(before)).sum())
    if lost:
        notes.append(f"{lost:,} prices are missing: those days have no return, and the next is from the last price.")
    return replace(panel, values=values, prices=prices, before=before)


def _before(panel: SeriesPanel) -> Array:
    """Return the last price that was seen before each line, of its own series."""
    at = np.arange(len(panel.values))[:, None]
    seen = np.maximum.accumulate(np.where(np.isnan(panel.values), -1, at), axis=0)
    last = np.concatenate([np.full((1, seen.shape[1]), -1), seen[:-1]])
    begin = panel.bounds[0][panel.owner][:, None]
    found = np.take_along_axis(panel.values, np.maximum(last, 0), 0)
    return np.where(last >= begin, found, np.nan)


def _splits(ratio: Array, names: tuple[str | int, ...]) -> list[str]:
    near = np.abs(ratio[..., None] / np.array(SPLITS) - 1).min(-1) < 0.02
    found = [f"{names[j]} ({int(near[:, j].sum())})" for j in range(ratio.shape[1]) if near[:, j].any()]
    if not found:
        return []
    return [
        f"Some prices change like a split of shares: {', '.join(found[:5])}. They are taken as they are; give prices "
        "that are adjusted for splits and dividends."
    ]


# --- filters ----------------------------------------------------------------------------------------------------------
def filters_of(
    windows: Windows, train: Array, how: Literal["garch", "gjr"], names: Any
) -> tuple[Windows, tuple[Garch, ...], tuple[tuple[float, ...], ...]]:
    """Estimate filters from the steps of training windows alone; several series follow each other.

    Returns:
        Windows of what they leave, a filter for each column, and the Cholesky factor of the correlation that was left.
    """
    covered = lines_of(windows, train)
    values = windows.panel.values[covered]
    called = names or range(values.shape[1])
    filters = tuple(fitted(values[:, j], how, name) for j, name in enumerate(called))
    found = standardised(windows, filters)
    mixing = mixing_of(found.panel.values[covered])
    return replace(found, panel=replace(found.panel, values=unmixed(found.panel.values, mixing))), filters, mixing


@final
@dataclass(frozen=True, eq=False)
class SeriesReturns(Returns):
    """Returns of series, and paths of them from model values.

    Args:
        schema: What the series are.
    """

    schema: Schema

    @property
    def _told(self) -> SeriesDetails:
        return series_of(self.schema)

    @property
    def names(self) -> tuple[str, ...]:
        """What columns are called."""
        columns = self.schema.columns
        return tuple(map(str, columns)) if columns else tuple(f"x{j}" for j in range(self.schema.event_shape[1]))

    @property
    def how(self) -> str:
        """What a return is: log, simple, or as it was given."""
        return self._told.returns

    @property
    def filtered(self) -> bool:
        """Whether a filter stands between returns and model."""
        return bool(self._told.filters)

    @property
    def last(self) -> Array:
        """The last price of each column; 1 where only returns are known."""
        return np.array(self._told.last) if self.how != GIVEN else np.ones(len(self.names))

    @property
    def coming(self) -> Array:
        """Variance of each column at the step after the last, where there is a filter."""
        return np.array(self._told.coming)

    def seen(self, source: Windows) -> Seen:
        """Return what is known of each day of the last series."""
        told, panel = self._told, filtered(source, self._told).panel
        a, b = int(panel.bounds[0][-1]), int(panel.bounds[1][-1])
        a += int(panel.before is not None and b - a > 1)
        calendar = told.calendar
        return Seen(
            stamps(panel.times[a:b], calendar),
            source.panel.values[a:b],
            None if panel.variances is None else panel.variances[a:b],
            np.arange(a, b),
        )

    def covered(self, source: Windows, index: Array) -> Array:
        """Return the numbers of the lines that some windows cover."""
        return np.flatnonzero(lines_of(source, index))

    def unknown(self, source: Windows, lines: Array) -> Array:
        """Return which of some lines come after everything that trained or validated the model."""
        return np.asarray(lines[source.panel.times[lines] > self._told.trained])

    def ending(self, source: Windows, lines: Array) -> Rows:
        """Return the windows that end with some lines, as far as there are so many steps before."""
        whole, told = filtered(source, self._told), self._told
        starts = lines - told.window + 1
        own = whole.panel.owner[np.maximum(starts, 0)] == whole.panel.owner[lines]
        begin = whole.panel.bounds[0][whole.panel.owner[lines]] + int(whole.panel.before is not None)
        if bool((starts < begin).any()) or not bool(own.all()):
            raise InputError(
                f"A day is forecast from the {told.window - 1} days before it, but some have fewer. Ask for later days."
            )
        return WindowRows(Windows(whole.panel, starts, told.window), told, Targets())

    def unscaled(self, x: Tensor) -> Array:
        """Return model values as returns, or as what a filter left where there is a filter."""
        told = self._told
        return np.asarray(x.detach().double().cpu().numpy() * np.array(told.scale) + np.array(told.shift))

    def one_step(self, x: Tensor, variances: Array) -> Array:
        """Return returns of single steps ``(S, d)`` on days with variances ``(d,)``."""
        values, told = self.unscaled(x), self._told
        return values if not told.filters else walked(values[:, None], told.filters, told.mixing, variances)[:, 0]

    def paths(self, x: Tensor, first: Array | None = None) -> Array:
        """Return returns of paths ``(N, T, d)``, the first step with variances ``first``, by default those to come."""
        values, told = self.unscaled(x), self._told
        if not told.filters:
            return values
        return walked(values, told.filters, told.mixing, np.array(told.coming) if first is None else first)

    def left(self, source: Windows, lines: Array) -> Array:
        """Return what the filter left of some lines, without missing ones: to be drawn from again."""
        values = filtered(source, self._told).panel.values[lines]
        return np.asarray(values[~np.isnan(values).any(1)])

    def again(self, left: Array, first: Array | None = None) -> Array:
        """Return returns of paths of what a filter left ``(N, T, d)`` through the filter."""
        told = self._told
        return walked(left, told.filters, told.mixing, np.array(told.coming) if first is None else first)

    def usual(self) -> Array:
        """Return the mean variance of each column under its filter."""
        found = []
        for law in self._told.filters:
            fades = law.alpha + law.gamma / 2 + law.beta
            found.append(law.omega / (1 - fades) if fades < 0.999 else law.start)
        return np.array(found)

    def prices(self, returns: Array) -> Array:
        """Return prices of paths of returns, which begin after the last price."""
        how = SIMPLE if self.how == GIVEN else self.how
        return priced(returns, np.tile(self.last, (len(returns), 1)), how)

    def total(self, returns: Array) -> Array:
        """Return simple returns over whole paths, ``(N, d)``, of returns ``(N, T, d)``."""
        return np.asarray(np.expm1(returns.sum(1)) if self.how == LOG else np.prod(1 + returns, axis=1) - 1)

    def simple(self, returns: Array) -> Array:
        """Return simple returns, which add up over a portfolio."""
        return np.asarray(np.expm1(returns) if self.how == LOG else returns)

    def dates(self, n: int) -> Any:
        """Return the next ``n`` times."""
        told = self._told
        return stamps(told.calendar.after(told.end, n), told.calendar).rename(told.time_name)

    @property
    def parameters(self) -> dict[str, dict[str, float]]:
        """The filter of each column, as plain numbers."""
        return {name: law.model_dump() for name, law in zip(self.names, self._told.filters, strict=False)}
