"""A few rows to the model's numbers, as a request has them: no Series for each column, and nothing made anew each time.

What is said here of a cell is what :mod:`codec` says of it, to the last bit; a column that holds anything unusual is
left to it. What a column needs (arrays of its knots, the place of each level) is made once for a model.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from math import isfinite
from threading import Lock
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np

from senzai.core.errors import InputError

from ..rows import Array
from . import amounts, codec
from .column import Column, TableDetails

EXACT, FAR = 2**53, 1e150
Cells: TypeAlias = list[Any]
Coded: TypeAlias = tuple[Any, Any] | None
"""Numbers and where they are observed; ``None`` where a column is left to :mod:`codec`."""


def is_missing(cell: Any) -> bool:
    """Whether a plain cell is missing: None or NaN."""
    return cell is None or (type(cell) is float and cell != cell)


@dataclass
class _Levels:
    """Place of each level; equal values of other types are found as pandas finds them, by equality."""

    places: dict[Any, int]

    def __call__(self, cells: Cells) -> Coded:
        codes, seen = [], []
        for cell in cells:
            if is_missing(cell):
                codes.append(0.0)
                seen.append(False)
                continue
            if type(cell) not in (str, bool, int, float) or (at := self.places.get(cell)) is None:
                return None
            codes.append(float(at))
            seen.append(True)
        return codes, seen


@dataclass
class _Numbers:
    """Numbers of a column: what its values are, in steps if it counts, and from there what the model has."""

    column: Column
    knots: Array = field(init=False)
    places: Array = field(init=False)
    ends: tuple[float, float] = field(init=False)
    slope: float = field(init=False)
    repeated: dict[float, float] = field(init=False)
    origin: int = field(init=False)
    middles: Array = field(init=False)

    def __post_init__(self) -> None:
        column = self.column
        self.knots, self.places = np.array(column.knots), np.array(column.places)
        self.origin = int(column.levels[0] or 0) if column.sort == "steps" and column.ticks else column.origin
        if column.sort == "steps":
            self.middles = codec.middles_of(column)
        if column.transform == "quantile":
            self.ends = float(self.knots[0]), float(self.knots[-1])
            self.slope = (self.places[-1] - self.places[0]) / (self.knots[-1] - self.knots[0])
            values, middle = codec.repeated(self.knots, self.places)
            self.repeated = dict(zip(values.tolist(), middle.tolist(), strict=True))

    def __call__(self, cells: Cells) -> Coded:
        x, seen = [], []
        for cell in cells:
            if is_missing(cell):
                x.append(self.column.low if self.column.low is not None else 0.0)
                seen.append(False)
                continue
            value = self._number(cell)
            if value is None:
                return None
            x.append(value)
            seen.append(True)
        there = np.array(x, dtype=np.float64)
        if self.column.sort == "steps":
            found = np.searchsorted(self.middles, there, side="right").astype(np.float64)
        elif self.column.transform == "quantile":
            if max(map(abs, x)) >= FAR:
                return None
            found = self._places(there)
            if np.abs(found).max() >= codec.LARGE:
                return None
        else:
            try:
                found = codec.forward(there, np.array(seen), self.column, SimpleNamespace(iloc=cells))
            except InputError:
                return None
        return [f if s else 0.0 for f, s in zip(found.tolist(), seen, strict=True)], seen

    def _number(self, cell: Any) -> float | None:
        kind = type(cell)
        if kind is not float and kind is not int:
            return None
        if not self.column.ticks:
            if kind is int and abs(cell) >= EXACT:
                return None
            return float(cell) if isfinite(cell) else None
        if abs(cell) >= EXACT or (kind is float and not cell.is_integer()):
            return None
        steps = int(cell) - self.origin
        return float(steps) / float(self.column.step) if abs(steps) < EXACT else None

    def _places(self, x: Array) -> Array:
        z = np.interp(x, self.knots, self.places)
        low, high = self.ends
        for i, value in enumerate(x.tolist()):
            if value in self.repeated:
                z[i] = self.repeated[value]
            if value < low:
                z[i] = self.places[0] + (value - low) * self.slope
            elif value > high:
                z[i] = self.places[-1] + (value - high) * self.slope
        return z if self.column.spike is None else codec.beside_the_spike(x, z, self.column)


def _plan(column: Column) -> Any:
    """Return how the cells of a column are read, or ``None`` where it is left to :mod:`codec`."""
    if amounts.is_form(column.format) or column.objects or column.ticks not in ("", "whole"):
        return None
    if column.sort in ("category", "binary") or (column.sort == "steps" and not codec.is_numeric(column)):
        truths = (column.format or "").startswith("truth")
        first: dict[Any, int] = {}
        for i, level in enumerate(column.levels):
            first.setdefault(level, i)
        return None if truths or len(first) < len(column.levels) else _Levels(first)
    return _Numbers(column)


_PLANS: OrderedDict[int, tuple[TableDetails, list[Any]]] = OrderedDict()
_LOCK = Lock()
MOST = 32
"""Models whose plans are kept."""


def plans_of(table: TableDetails) -> list[Any]:
    """Return how the cells of each modelled column are read, made once for a table."""
    known = _PLANS.get(id(table))
    if known is not None and known[0] is table:
        return known[1]
    made = [_plan(column) for column in table.modelled]
    with _LOCK:
        _PLANS[id(table)] = table, made  # the table is held, so that its id stays its own
        while len(_PLANS) > MOST:
            _PLANS.popitem(last=False)
    return made


def fingerprint(names: list[Any], cells: list[Cells], part: str) -> str:
    """Return a fingerprint of a few rows by their cells: quick, and never that of data a model was trained on."""
    told = repr((part, [str(n) for n in names], cells))
    return f"sha256-cells:{hashlib.sha256(told.encode('utf-8', 'surrogatepass')).hexdigest()}"

