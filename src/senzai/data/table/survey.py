"""One pass over a table, piece by piece, that finds what every column holds; memory does not grow with the rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..dtypes import OBJECT, name_of
from ..rows import Array
from . import dates, objects
from .column import Column
from .identifiers import IdentifierForm
from .series import Holds, as_numbers, described, look, observed, unwrapped
from .ticks import minus, refuse_ticks, ticks_of

MOST_VALUES = 50_000
"""Different values that are counted one by one; of more, a part chosen by hash, which shows whether they repeat."""
SAMPLE = 100_000
"""Values that quantiles are taken from, spread evenly over the rows; texts that are looked at for their length."""
WIDER: dict[frozenset[str], Holds] = {
    frozenset(("int", "float")): "float", frozenset(("bool", "int")): "int", frozenset(("int", "decimal")): "decimal",
}


@dataclass
class ColumnFacts:
    """What is known about a column so far.

    Args:
        name: Its name.
        form: How its cells are written as dates, where they are looked at as dates.
        n: Rows.
        n_missing: Rows without a value.
        holds: What it holds.
        why: What of it cannot be kept.
        told: How values are counted, as :class:`Column` has it: dtype, ticks, unit, scale, objects, zone.
        low: Least number; of what is counted, the least tick.
        high: Greatest number, likewise.
        counts: How often each value occurs; of ticks, each tick. ``None`` for real numbers with too many.
        sampled: Of how many different values one is counted, where there are too many.
        whole: All numbers are whole.
        sample: Numbers, evenly spread over the rows; ticks from their origin.
        step: Greatest common divisor of the distances of ticks.
        origin: The first tick.
        ordered: Whether a categorical is ordered.
        categories: Categories of a categorical, in their order, and pandas' name for their dtype.
        read: Texts whose length and words were counted: the first ones.
        length: Their total length.
        words: Their total words.
        texts: What texts look like, should they be identifiers.
        written: Which forms of dates all cells have.
        dates: The column looked at as dates, while all cells are.
    """

    name: str | int
    form: str | None = None
    n: int = 0
    n_missing: int = 0
    holds: Holds | None = None
    why: str = ""
    told: dict[str, Any] = field(default_factory=dict)
    low: Any = np.inf
    high: Any = -np.inf
    counts: dict[Any, int] | None = field(default_factory=dict)
    sampled: int = 1
    whole: bool = True
    sample: list[Array] = field(default_factory=list)
    step: int = 0
    origin: int | None = None
    ordered: bool = False
    categories: tuple[tuple[Any, ...], str] | None = None
    read: int = 0
    length: int = 0
    words: int = 0
    texts: IdentifierForm = field(default_factory=IdentifierForm)
    written: dates.Written = field(default_factory=dates.Written)
    dates: dict[str, ColumnFacts] = field(default_factory=dict)

    @property
    def n_seen(self) -> int:
        """Rows with a value."""
        return self.n - self.n_missing

    @property
    def n_distinct(self) -> int:
        """Different values, at least; an estimate where only a part is counted."""
        return MOST_VALUES + 1 if self.counts is None else len(self.counts) * self.sampled

    @property
    def all_different(self) -> bool:
        """Whether no value occurs twice."""
        return self.counts is not None and (
            len(self.counts) == self.n_seen if self.sampled == 1 else max(self.counts.values()) == 1
        )

    def values(self) -> Array:
        """Return the sampled numbers, of ticks their distance from the origin."""
        return np.concatenate(self.sample) if self.sample else np.zeros(0)

    def see(self, series: Any) -> None:
        """Look at some rows.

        Raises:
            InputError: A value cannot be one of its column, as an infinite number.
        """
        import pandas as pd

        kind = series.dtype
        found = look(series) if self.form is None else look(series)._replace(holds="date")
        what, there = found.holds, observed(series)
        if not self.n:
            self.told = self._described(series, what, found.objects)
        self.why = self.why or found.why
        if isinstance(kind, pd.CategoricalDtype):
            self.ordered = bool(kind.ordered)
            names = () if found.why else tuple(objects.written(c, found.objects) for c in kind.categories)
            self.categories = names, name_of(kind.categories.dtype)
        known = self.holds if self.n_seen else None
        if there.any():
            if known is not None and known != what:
                what = WIDER.get(frozenset((known, what)), "text")
                self._widened(known, what, series, found.objects)
            elif known is None and self.n:
                self.told = self._described(series, what, found.objects)
            self.holds = what
        elif self.holds is None:
            self.holds = what
        self.n += len(series)
        self.n_missing += int((~there).sum())
        if there.any() and what != "unknown":
            self._values(series[there], what)

    def _described(self, series: Any, what: Holds, kind: str) -> dict[str, Any]:
        if self.form is None:
            return described(series, what, kind)
        unit = "ns" if dates.needs_nanoseconds(self.form) else "us"
        plain = "whole" if series.dtype == OBJECT and look(series).holds == "int" else ""
        return {"ticks": "date", "unit": unit, "format": self.form, "dtype": name_of(series.dtype), "objects": plain}

    def _widened(self, known: Holds, what: Holds, series: Any, kind: str) -> None:
        """What was counted so far is something wider."""
        dtype = name_of(series.dtype) if what != "text" else "object"
        if known in ("int", "decimal") and what == "float":
            self.sample = [x + float(self.origin or 0) for x in self.sample]
        self.told = self.told | described(series, what, kind) | {"dtype": dtype}

    def _values(self, series: Any, what: Holds) -> None:
        if what in ("int", "decimal", "date", "duration", "time"):
            self._ticks(unwrapped(series))
        elif what == "float":
            self._numbers(as_numbers(series))
            self._count(series)
        else:
            self._count(series)
        if what == "text":
            self._texts(series)
        if what in ("text", "int", "float") and self.form is None:
            self._as_dates(series)

    # --- numbers ----------------------------------------------------------------------------------------------------
    def _column(self) -> Column:
        return Column(name=self.name, type="real", **{k: v for k, v in self.told.items() if v is not None})

    def _ticks(self, series: Any) -> None:
        self._finer(series)
        column = self._column()
        try:
            ticks, _ = ticks_of(series, column)
        except (ValueError, TypeError, OverflowError, AttributeError) as err:
            if column.ticks == "decimal":
                as_numbers(series)  # says what is infinite
            raise refuse_ticks(series, column, err) from err
        if self.origin is None:
            self.origin = int(ticks[0])
        apart = minus(ticks, self.origin)
        self.step = int(np.gcd(self.step, np.gcd.reduce(np.abs(apart))))
        low, high = int(ticks.min()), int(ticks.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._keep(apart.astype(np.float64))
        if self.counts is not None:
            values, ns = np.unique(ticks, return_counts=True)
            self._tally(values, ns, spare=column.ticks == "whole")

    def _finer(self, series: Any) -> None:
        """Count in a smaller unit from now on where these values need it."""
        if self.told["ticks"] != "decimal" or not self.n_seen:
            return
        more = described(series, "decimal", "decimal")["scale"] - self.told["scale"]
        if more > 0 and self.origin is not None:
            factor = 10**more
            self.told["scale"] += more
            self.low, self.high = self.low * factor, self.high * factor
            self.origin, self.step = self.origin * factor, self.step * factor
            self.sample = [x * float(factor) for x in self.sample]
            self.counts = None if self.counts is None else {k * factor: n for k, n in self.counts.items()}

    def _numbers(self, x: Array) -> None:
        self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))
        self.whole = self.whole and bool((x == np.rint(x)).all())
        self._keep(x)

    def _keep(self, x: Array) -> None:
        held = sum(map(len, self.sample))
        if held < SAMPLE or len(self.sample) > 1:
            step = max(1, -(-len(x) // max(1, SAMPLE // 4))) if len(self.sample) else max(1, -(-len(x) // SAMPLE))
            self.sample.append(x[::step])
            if sum(map(len, self.sample)) > 2 * SAMPLE:  # thin out evenly, so that late rows count like early ones
                self.sample = [np.concatenate(self.sample)[::2]]

    # --- texts ------------------------------------------------------------------------------------------------------
    def _texts(self, series: Any) -> None:
        if self.read < SAMPLE:
            told = series.astype("str")
            self.read += len(told)
            self.length += int(told.str.len().sum())
            self.words += int(told.str.count(" ").sum()) + len(told)
        if self.told["objects"] or series.dtype == OBJECT:
            kind = self.told["objects"]
            series = unwrapped(series).map(lambda v: str(objects.written(v, kind)))
        if self.all_different:
            self.texts.see(series)

    def _as_dates(self, series: Any) -> None:
        """Look at the cells as dates too, in every form that all of them have so far."""
        if self.told["objects"] or not self.written.alive:
            return
        cells = unwrapped(series)
        if cells.dtype.kind == "f":
            cells = cells.astype("float64").astype("int64") if self.whole and abs(self.high) < 1e15 else cells
        self.written.see(cells.astype("str"))
        iso = self.written.form if self.written.parts is not None else None
        forms = {"": iso} if iso is not None else {f: f for f in self.written.forms}
        fresh = not self.dates and self.n == self.n_missing + len(series)
        self.dates = {k: (self.dates.get(k) or ColumnFacts(self.name, form=f)) for k, f in forms.items()
                      if f is not None and (k in self.dates or fresh)}
        for key, facts in self.dates.items():
            facts.form = forms[key]
            facts.see(series)

    # --- counting ---------------------------------------------------------------------------------------------------
    def _count(self, series: Any) -> None:
        if self.counts is None:
            return
        found = unwrapped(series).value_counts(sort=False)
        kind = self.told["objects"]
        keys = np.empty(len(found), dtype=object)
        keys[:] = [objects.written(v, kind) for v in found.index.tolist()]
        self._tally(keys, found.to_numpy(), spare=self.holds != "float")

    def _tally(self, values: Array, ns: Array, *, spare: bool) -> None:
        """Count values; from too many on only those of some hashes, or none at all where nothing is gained by it."""
        import pandas as pd

        if self.counts is None:
            return
        if not spare and len(values) + len(self.counts) > 2 * MOST_VALUES:
            self.counts = None
            return
        while True:
            if self.sampled > 1 and len(values):
                marks = pd.util.hash_array(np.array([str(v) for v in values], dtype=object), categorize=False)
                values, ns = values[marks % self.sampled == 0], ns[marks % self.sampled == 0]
            if len(values) + len(self.counts) <= 2 * MOST_VALUES:
                break
            self._thin()
        for value, n in zip(values.tolist(), ns.tolist(), strict=True):
            if n:
                self.counts[value] = self.counts.get(value, 0) + int(n)
        while self.counts is not None and len(self.counts) > MOST_VALUES:
            if spare:
                self._thin()
            else:
                self.counts = None

    def _thin(self) -> None:
        import pandas as pd

        assert self.counts is not None
        self.sampled *= 2
        if self.counts:
            marks = pd.util.hash_array(np.array([str(v) for v in self.counts], dtype=object), categorize=False)
            kept = marks % self.sampled == 0
            self.counts = {k: n for (k, n), keep in zip(self.counts.items(), kept.tolist(), strict=True) if keep}


