"""Columns of a table as features that can be read and set by name."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from senzai.core.errors import InputError, SettingError

from ..features import RowFeatures, Scale
from ..rows import Array
from . import codec
from .column import Column, TableDetails
from .rows import column_named


@final
class TableFeatures(RowFeatures):
    """The modelled columns of a table."""

    def __init__(self, table: TableDetails) -> None:
        self.table = table
        self.names = tuple(c.name for c in table.modelled)
        self.width = len(table.sorts)

    def _column(self, name: str) -> Column:
        try:
            column = column_named(self.table, name)
        except InputError as err:
            raise SettingError(str(err)) from err
        if not column.modelled:
            raise SettingError(f"The column {name!r} is not modelled ({column.reason}), so nothing follows from it.")
        return column

    def place(self, name: str) -> int:
        """Return the place of a column among those that are modelled."""
        return self.names.index(self._column(name).name)

    def encode(self, name: str, value: object) -> float | None:
        """Return the code of a value; of one that the data never had, an error says so."""
        import pandas as pd

        column = self._column(name)
        series = pd.Series([value], dtype=object, name=column.name)
        try:
            codes, seen = codec.encode(series, column, self.table.model_copy(update={"unknown": "error"}))
        except InputError as err:
            raise SettingError(str(err)) from err
        return float(codes[0]) if seen[0] else None

    def decode(self, place: int, values: Array) -> list[Any]:
        """Return values of a column as plain objects."""
        column = self.table.modelled[place]
        found: list[Any] = codec.decode(values.astype(np.float64), column, self.table).astype(object).tolist()
        return found

    def span(self, name: str) -> tuple[float, float] | None:
        """Return the ends of a column of numbers."""
        column = self._column(name)
        if column.sort == "steps" and column.levels and not any(isinstance(v, str | bool) for v in column.levels):
            low, high = float(column.levels[0] or 0), float(column.levels[-1] or 0)
        elif column.low is None or column.high is None:
            return None
        else:
            low, high = (float(v) * column.step + column.origin * bool(column.ticks) for v in (column.low, column.high))
        if column.ticks not in ("", "whole", "decimal"):
            return None
        return low / 10**column.scale, high / 10**column.scale

    def scale(self, place: int) -> Scale | None:
        """Return levels of ordered numbers and quantiles of others."""
        if place >= len(self.table.modelled):
            return None
        column = self.table.modelled[place]
        if column.sort == "steps" and not any(isinstance(v, str | bool) for v in column.levels):
            return Scale(None, np.array(column.levels, dtype=np.float64), np.array(column.shares))
        if column.transform != "quantile" or len(column.knots) < 2:
            return None
        model, data = np.array(column.places), np.array(column.knots)
        if column.spike is not None and column.spike_value is not None:
            at = int(np.searchsorted(model, column.spike))
            model, data = np.insert(model, at, column.spike), np.insert(data, at, column.spike_value)
        return Scale(model, data, np.ones(len(data)))
