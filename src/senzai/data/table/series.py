"""One pandas column as plain arrays: what it holds, which entries are there, and its numbers."""

from __future__ import annotations

import datetime
import decimal
import numbers
from contextlib import suppress
from statistics import NormalDist
from typing import Any, Literal, TypeAlias

import numpy as np

from senzai.core.errors import InputError

from ..column import Column
from ..rows import Array
from . import amounts
from .texts import DATES

Holds: TypeAlias = Literal["bool", "int", "float", "date", "duration", "category", "text"]
NAT = np.iinfo(np.int64).min


def normal_quantiles(p: Array) -> Array:
    """Return the standard normal's quantiles of a few probabilities.

    Example:
        >>> normal_quantiles(np.array([0.5, 0.975])).round(2).tolist()
        [0.0, 1.96]
    """
    return np.array([NormalDist().inv_cdf(v) for v in p])


def holds(series: Any) -> Holds:
    """Return what a column holds, by its dtype, or by its values where the dtype does not say."""
    import pandas as pd

    dtype, types = series.dtype, pd.api.types
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if types.is_bool_dtype(dtype):
        return "bool"
    if types.is_integer_dtype(dtype):
        return "int"
    if types.is_float_dtype(dtype) or is_decimal(dtype):
        return "float"
    if types.is_datetime64_any_dtype(dtype):
        return "date"
    if types.is_timedelta64_dtype(dtype):
        return "duration"
    if types.is_complex_dtype(dtype):
        raise InputError(f"Columns hold real values, but {series.name!r} holds complex numbers. Split or drop it.")
    return _objects(series) if types.is_object_dtype(dtype) else "text"


def is_decimal(dtype: Any) -> bool:
    """Whether a pandas dtype is one of decimals with a fixed number of places."""
    return str(dtype).startswith("decimal")


def unwritten(series: Any, column: Column) -> Any:
    """Return a column whose numbers are text in a form of their own as numbers; any other column as it is.

    Raises:
        InputError: A cell is no number of that form.
    """
    if not amounts.is_form(column.format):
        return series
    try:
        return amounts.plain(series, str(column.format))
    except ValueError:
        form = amounts.Form.of(str(column.format))
        bad = amounts.plain(series, str(column.format), strict=False).isna().to_numpy() & observed(series)
        raise _changed(series, bad, column, f" written like {form.text(-1234.5, None)}") from None


def _objects(series: Any) -> Holds:
    found = {type(v) for v in series[~series.isna()].tolist()}
    if not found:
        return "float"
    if all(issubclass(t, bool | np.bool_) for t in found):
        return "bool"
    if all(issubclass(t, numbers.Integral) and not issubclass(t, bool) for t in found):
        return "int" if max(abs(int(v)) for v in series.dropna()) < 2**63 else "float"
    if all(issubclass(t, numbers.Real | decimal.Decimal) and not issubclass(t, bool) for t in found):
        return "float"
    return "date" if all(issubclass(t, datetime.date) for t in found) else "text"


def observed(series: Any) -> Array:
    """Return where a column has values; infinities count as values."""
    return np.asarray(~series.isna().to_numpy())


def as_numbers(series: Any, column: Column | None = None) -> Array:
    """Return a column as float64, NaN where missing; dates count steps from their origin.

    Raises:
        InputError: A value is no number, or is infinite.
    """
    import pandas as pd

    what = holds(series)
    if column is not None and column.unit is not None and column.type == "date":
        ticks = date_ticks(series, column.unit, column)
        return np.where(ticks == NAT, np.nan, (ticks - column.origin) / column.step)
    if what == "duration":
        unit = column.unit if column is not None and column.unit else "ns"
        ticks = series.to_numpy(dtype=f"timedelta64[{unit}]").astype(np.int64)
        step, origin = (column.step, column.origin) if column is not None else (1, 0)
        return np.where(ticks == NAT, np.nan, (ticks - origin) / step)
    try:
        if what in ("text", "category"):
            raise ValueError
        plain = series.astype("float64") if series.dtype == object else series
        found = plain.to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError):
        found = pd.to_numeric(series.astype(object), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        bad = np.isnan(found) & observed(series)
        if bad.any():
            raise _changed(series, bad, column) from None
    if np.isinf(found).any():
        row = int(np.flatnonzero(np.isinf(found))[0])
        raise InputError(
            f"Values must be finite, but the column {series.name!r} is infinite in row {row} (from 0). "
            "Replace it, or leave it empty to have it treated as missing."
        )
    return np.asarray(found)


def _changed(series: Any, bad: Array, column: Column | None, written: str = "") -> InputError:
    row = int(np.flatnonzero(bad)[0])
    kind = "numbers" if column is None else f"{column.type} values"
    return InputError(
        f"The column {series.name!r} holds {kind}{written}, but got {series.iloc[row]!r} in row {row} (from 0) and "
        f"{int(bad.sum()) - 1} more that are none. Correct them, leave them empty, or fit again."
    )


def date_ticks(series: Any, unit: str, column: Column | None = None) -> Array:
    """Return dates as whole numbers of a unit since 1970 (UTC), the least integer where missing.

    Raises:
        InputError: An entry is no date, or out of the range of its unit.
    """
    import pandas as pd

    gone = ~observed(series)
    form = None if column is None else column.format
    try:
        if holds(series) == "text" or (series.dtype == object and form):
            series = pd.to_datetime(series, format=form or "ISO8601", utc=True)
        elif series.dtype == object:
            series = pd.to_datetime(series)
        if getattr(series.dtype, "tz", None) is not None:
            series = series.dt.tz_convert("UTC").dt.tz_localize(None)
        ticks = series.astype(f"datetime64[{unit}]").to_numpy().astype(np.int64)
    except (ValueError, OverflowError, TypeError, AttributeError) as err:
        raise _no_date(series, form, err) from err
    ticks[gone] = NAT
    return np.asarray(ticks)


def _no_date(series: Any, form: str | None, err: Exception) -> InputError:
    """Return an error that names the first entry that is no date, where one is to blame."""
    import pandas as pd

    why = str(err).partition("\n")[0][:160]
    with suppress(ValueError, OverflowError, TypeError, AttributeError):
        read = pd.to_datetime(series.astype(object), format=form or "ISO8601", errors="coerce", utc=True)
        bad = np.flatnonzero(read.isna().to_numpy() & observed(series))
        if len(bad):
            why = f"got {series.iloc[bad[0]]!r} in row {int(bad[0])} (from 0) and {len(bad) - 1} more that are none."
    return InputError(
        f"The column {series.name!r} holds dates{f' written like {form}' if form else ''}, but {why} "
        "Correct that entry, leave it empty, or set the column's type to categorical."
    )


def date_unit(series: Any) -> str:
    """Return the unit in which the dates of a column are kept."""
    return str(getattr(series.dtype, "unit", "us"))


def as_labels(series: Any) -> Array:
    """Return a column as plain Python values, ``None`` where missing: the form that levels have."""
    gone = ~observed(series)
    out = np.empty(len(series), dtype=object)
    simple = holds(series) in ("bool", "int", "float", "text") and series.dtype != object
    simple = simple and not is_decimal(series.dtype)
    out[:] = series.tolist() if simple else [None if g else plain(v) for g, v in zip(gone, series, strict=True)]
    out[gone] = None
    return out


def plain(value: Any) -> bool | int | float | str:
    """Return a value as JSON has it: bool, int, float or text."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating | decimal.Decimal):
        return float(value)
    return str(value)


def is_written_date(form: str | None) -> bool:
    """Whether a format is one of those that text dates are recognised by."""
    return form in {f for _, f in DATES}
