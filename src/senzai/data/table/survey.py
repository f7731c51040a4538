"""One pass over a table, piece by piece, that finds what every column holds; memory does not grow with the rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..rows import Array
from .series import NAT, Holds, as_numbers, date_ticks, date_unit, holds, observed, plain

MOST_VALUES = 20_000
"""Different values that are counted one by one."""
SAMPLE = 100_000
"""Values that quantiles are taken from, spread evenly over the rows; texts that are looked at for their length."""
WIDER: dict[frozenset[str], Holds] = {frozenset(("int", "float")): "float", frozenset(("bool", "int")): "int"}


@dataclass
class Facts:
    """What is known about a column so far.

    Args:
        name: Its name.
        n: Rows.
        n_missing: Rows without a value.
        holds: What it holds.
        dtype: pandas' name for its dtype.
        low: Least number.
        high: Greatest number.
        counts: How often each value occurs; ``None`` from too many different ones on.
        whole: All numbers are whole.
        sample: Numbers, evenly spread over the rows.
        unit: Unit of dates.
        ticks: Greatest common divisor of the distances of dates.
        ordered: Whether a categorical is ordered.
        categories: Categories of a categorical, in their order.
        read: Texts whose length and words were counted: the first ones.
        length: Their total length.
        words: Their total words.
    """

    name: str | int
    n: int = 0
    n_missing: int = 0
    holds: Holds | None = None
    dtype: str = ""
    low: float = np.inf
    high: float = -np.inf
    counts: dict[Any, int] | None = field(default_factory=dict)
    whole: bool = True
    sample: list[Array] = field(default_factory=list)
    unit: str | None = None
    ticks: int = 0
    origin: int | None = None
    ordered: bool = False
    categories: tuple[Any, ...] | None = None
    read: int = 0
    length: int = 0
    words: int = 0

    @property
    def n_seen(self) -> int:
        """Rows with a value."""
        return self.n - self.n_missing

    @property
    def n_distinct(self) -> int:
        """Different values, at least."""
        return MOST_VALUES + 1 if self.counts is None else len(self.counts)

    def values(self) -> Array:
        """Return the sampled numbers."""
        return np.concatenate(self.sample) if self.sample else np.zeros(0)

    def see(self, series: Any, *, as_date: str | None = None) -> None:
        """Look at some rows."""
        import pandas as pd

        what: Holds = "date" if as_date else holds(series)
        there = observed(series)
        if not self.n:
            self.dtype = str(series.dtype)
        if isinstance(series.dtype, pd.CategoricalDtype):
            self.ordered = bool(series.dtype.ordered)
            self.categories = tuple(plain(c) for c in series.dtype.categories)
        known = self.holds if self.n_seen else None
        if there.any():
            if known is not None and known != what:
                what = WIDER.get(frozenset((known, what)), "text")
                self.dtype = str(series.dtype) if what != "text" else "object"
            self.holds = what
        elif self.holds is None:
            self.holds = what
        self.n += len(series)
        self.n_missing += int((~there).sum())
        if there.any():
            self._values(series[there], what, as_date)

    def _values(self, series: Any, what: Holds, as_date: str | None) -> None:
        if what == "date":
            self._dates(series, as_date)
            return
        if what in ("int", "float", "duration"):
            self._numbers(as_numbers(series), series)
        if what == "text" and self.read < SAMPLE:
            told = series.astype("str")
            self.read += len(told)
            self.length += int(told.str.len().sum())
            self.words += int(told.str.count(" ").sum()) + len(told)
        if what in ("bool", "text", "category", "int", "float"):
            self._count(series)

    def _dates(self, series: Any, form: str | None) -> None:
        from ..column import Column

        self.unit = self.unit or ("us" if form or series.dtype == object else date_unit(series))
        told = Column(name=self.name, type="date", format=form or None)
        ticks = date_ticks(series, self.unit, told)
        ticks = ticks[ticks != NAT]
        if self.origin is None:
            self.origin = int(ticks[0])
        self.ticks = int(np.gcd.reduce(np.concatenate([[self.ticks], ticks - self.origin])))
        self._numbers(ticks.astype(np.float64), None)

    def _numbers(self, x: Array, series: Any) -> None:
        self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))
        self.whole = self.whole and bool((x == np.rint(x)).all())
        held = sum(map(len, self.sample))
        if held < SAMPLE or len(self.sample) > 1:
            step = max(1, -(-len(x) // max(1, SAMPLE // 4))) if len(self.sample) else max(1, -(-len(x) // SAMPLE))
            self.sample.append(x[::step])
            if sum(map(len, self.sample)) > 2 * SAMPLE:  # thin out evenly, so that late rows count like early ones
                self.sample = [np.concatenate(self.sample)[::2]]
        if series is None:
            self._count_array(x)

    def _count(self, series: Any) -> None:
        if self.counts is None:
            return
        found = series.value_counts(sort=False)
        if len(found) + len(self.counts) > 2 * MOST_VALUES:
            self.counts = None
            return
        for value, n in zip(found.index.tolist(), found.tolist(), strict=True):
            if n:
                key = plain(value)
                self.counts[key] = self.counts.get(key, 0) + int(n)
        if len(self.counts) > MOST_VALUES:
            self.counts = None

    def _count_array(self, x: Array) -> None:
        if self.counts is None:
            return
        values, ns = np.unique(x, return_counts=True)
        for value, n in zip(values.tolist(), ns.tolist(), strict=True):
            self.counts[value] = self.counts.get(value, 0) + n
        if len(self.counts) > MOST_VALUES:
            self.counts = None
