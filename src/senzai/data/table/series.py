"""One pandas column as plain arrays: what it holds, which entries are there, its numbers and its labels."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from senzai.core.errors import InputError

from ..dtypes import ARROW, NESTED, OBJECT, name_of, scale_of
from ..rows import Array
from . import amounts, objects
from .column import Column
from .ticks import arrow_unit, minus, refuse_ticks, ticks_of

Holds: TypeAlias = Literal[
    "bool", "int", "float", "decimal", "date", "duration", "time", "category", "text", "label", "unknown",
]
"""What a column holds; a label is a value that is only equal or not (an interval); what is unknown cannot be kept."""

TICKS = {"int": "whole", "decimal": "decimal", "date": "date", "duration": "duration", "time": "time"}
OF_OBJECTS: dict[str, Holds] = {
    "timestamp": "date", "datetime": "date", "date": "date", "time": "time", "timedelta": "duration",
    "pandas timedelta": "duration", "decimal": "decimal", "fraction": "label", "bytes": "text", "uuid": "text",
    "period": "label", "tuple": "label",
}


class Look(NamedTuple):
    """What a column holds.

    Args:
        holds: What.
        objects: What its Python objects are, where they are objects that JSON does not know.
        why: What cannot be kept, where that is so.
    """

    holds: Holds
    objects: str = ""
    why: str = ""


def unwrapped(series: Any) -> Any:
    """Return a column without the wrapping of sparse arrays and of Arrow types that pandas knows by another dtype."""
    import pandas as pd
    import pyarrow as pa

    if isinstance(series.dtype, pd.SparseDtype):
        return series.sparse.to_dense()
    if not isinstance(series.dtype, pd.ArrowDtype):
        return series
    kind = series.dtype.pyarrow_dtype
    plain = pa.types.is_decimal(kind) or pa.types.is_dictionary(kind) or pa.types.is_null(kind)
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    return series.astype(object).mask(series.isna(), None) if plain or binary else series


def look(series: Any) -> Look:
    """Return what a column holds, by its dtype, or by its values where the dtype does not say."""
    import pandas as pd

    if isinstance(series.dtype, pd.ArrowDtype) and str(series.dtype.pyarrow_dtype).startswith("dictionary"):
        return look(unwrapped(series))._replace(holds="label")
    series = unwrapped(series)
    dtype, types = series.dtype, pd.api.types
    if isinstance(dtype, pd.CategoricalDtype):
        tag = _of_values(dtype.categories) if dtype.categories.dtype == OBJECT else Look("category")
        return Look("category", tag.objects, tag.why)
    if isinstance(dtype, pd.IntervalDtype):
        return Look("label")
    if isinstance(dtype, pd.PeriodDtype) or types.is_datetime64_any_dtype(dtype):
        return Look("date")
    if types.is_object_dtype(dtype):
        return _of_values(series[~series.isna()])
    if isinstance(dtype, pd.ArrowDtype) and str(dtype.pyarrow_dtype).startswith(NESTED):
        return Look("unknown", why=f"values of several parts ({dtype.pyarrow_dtype})")
    if arrow_unit(dtype):
        return Look("time" if str(dtype.pyarrow_dtype).startswith("time") else "duration")
    if types.is_complex_dtype(dtype):
        return Look("unknown", why="complex numbers")
    plain: dict[str, Holds] = {"b": "bool", "i": "int", "u": "int", "f": "float", "m": "duration"}
    return Look(plain.get(dtype.kind, "text"))


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
        form = amounts.NumberForm.of(str(column.format))
        bad = amounts.plain(series, str(column.format), strict=False).isna().to_numpy() & observed(series)
        raise _changed(series, bad, column, f" written like {form.text(-1234.5, None)}") from None


def _of_values(values: Any) -> Look:
    """Look at Python objects, of each type at one."""
    found = {type(v): v for v in values.tolist()}
    told = {t: objects.kind_of(v) for t, v in found.items()}
    kinds = {k for k in told.values() if k is not None}
    if len(kinds) < len(set(told.values())):
        return Look("unknown", why=f"values of the type {next(t.__name__ for t, k in told.items() if k is None)}")
    if not found:
        return Look("float")
    if kinds == {""}:
        return Look(_of_plain(list(found)))
    (first, *more) = sorted(kinds)
    if not more or kinds == {"date", "datetime"} or kinds == {"datetime", "timestamp"}:
        kind = first if not more else more[-1]
        if kind in ("timestamp", "datetime") and len({v.tzinfo is None for v in values}) > 1:
            return Look("unknown", why="dates with and dates without a time zone")
        if kind == "time" and any(v.tzinfo is not None for v in values):
            return Look("unknown", why="times of day with a time zone")
        return Look(OF_OBJECTS[kind], kind)
    if kinds == {"", "decimal"} and all(issubclass(t, int) or not issubclass(t, float | str) for t in found):
        return Look("decimal", "decimal")
    return Look("unknown", why=f"values of several types ({', '.join(sorted(t.__name__ for t in found))})")


def _of_plain(types: list[type]) -> Holds:
    if all(issubclass(t, bool | np.bool_) for t in types):
        return "bool"
    if all(issubclass(t, int | np.integer) and not issubclass(t, bool) for t in types):
        return "int"
    numbers = all(issubclass(t, int | float | np.number) and not issubclass(t, bool) for t in types)
    return "float" if numbers else "text"


def observed(series: Any) -> Array:
    """Return where a column has values; infinities count as values, NaN does not."""
    import pandas as pd

    gone = series.isna().to_numpy()
    if isinstance(series.dtype, pd.ArrowDtype) and series.dtype.kind == "f":
        gone = np.isnan(series.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(~gone)


def described(series: Any, what: Holds, kind: str) -> dict[str, Any]:
    """Return how the values of a column are counted: fields of :class:`Column`."""
    told: dict[str, Any] = {"ticks": TICKS.get(what, ""), "objects": kind, "dtype": name_of(series.dtype)}
    dtype = series.dtype
    if what == "decimal":
        there = unwrapped(series).dropna()
        kept = dtype.pyarrow_dtype.scale if told["dtype"].startswith(ARROW) else scale_of(
            v for v in there if hasattr(v, "as_tuple"))
        told["scale"] = max(0, kept)
    if what in ("date", "duration", "time"):
        told["unit"] = arrow_unit(dtype) or _unit(series, kind)
    if kind in ("datetime", "timestamp"):
        zones = {_zone(v.tzinfo) for v in series.dropna()}
        told["zone"] = zones.pop() if len(zones) == 1 else "UTC"
    return told


def _unit(series: Any, kind: str) -> str:
    if hasattr(series.dtype, "freq"):
        return _numpy_unit(series.dt.start_time.dtype)
    if kind in ("timestamp", "pandas timedelta"):
        return "ns" if any(v.nanosecond if kind == "timestamp" else v.nanoseconds for v in series.dropna()) else "us"
    return _numpy_unit(series.dtype) if series.dtype.kind in "mM" else "us"


def _numpy_unit(dtype: Any) -> str:
    return str(getattr(dtype, "unit", None) or np.datetime_data(dtype)[0])


def _zone(zone: Any) -> str | None:
    return None if zone is None else str(getattr(zone, "key", None) or zone)


def as_numbers(series: Any, column: Column | None = None) -> Array:
    """Return a column as float64, NaN where missing; what is counted, in steps from its origin.

    Raises:
        InputError: A value is no number, or is infinite.
    """
    series = unwrapped(series)
    if column is not None and column.ticks:
        try:
            ticks, gone = ticks_of(series, column)
            steps = np.asarray(minus(ticks, column.origin) / column.step, dtype=np.float64)
            return np.where(gone, np.nan, steps)
        except (ValueError, TypeError, OverflowError, AttributeError) as err:
            if column.ticks not in ("whole", "decimal"):
                raise refuse_ticks(series, column, err) from err
        return (_floats(series, column) * 10.0**column.scale - column.origin) / column.step
    return _floats(series, column)


def _floats(series: Any, column: Column | None) -> Array:
    import pandas as pd

    try:
        if look(series).holds not in ("bool", "int", "float", "decimal"):
            raise ValueError
        plain = series.astype("float64") if series.dtype == OBJECT else series
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


def as_labels(series: Any, kind: str = "") -> Array:
    """Return a column as plain Python values, ``None`` where missing: the form that levels have.

    Args:
        series: The column.
        kind: What its Python objects are.
    """
    series = unwrapped(series)
    gone = ~observed(series)
    out = np.empty(len(series), dtype=object)
    if look(series).holds in ("bool", "int", "float", "text") and series.dtype != OBJECT:
        out[:] = series.tolist()
    elif hasattr(series.dtype, "categories"):
        names = np.array([*(objects.written(c, kind) for c in series.dtype.categories), None], dtype=object)
        out[:] = names[series.cat.codes.to_numpy()]
    else:
        out[:] = [None if g else objects.written(v, kind) for g, v in zip(gone, series, strict=True)]
    out[gone] = None
    return out
