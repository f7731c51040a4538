"""Columns whose values are exact counts: whole numbers, decimals, dates, durations and times of day.

A count ("tick") is a whole number of any size: a number itself, the last digit of a decimal, so many units since 1970
or since midnight. The model has ``(tick - origin) / step``, a small number that floating point holds exactly.
"""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.runtime.numbers import exact_ticks

from ..dtypes import OBJECT, arrow_series, dtype_of
from ..rows import Array
from . import dates
from .column import Column

PER_UNIT = {"D": 86_400 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
"""Nanoseconds of a unit."""
EXACT = decimal.Context(prec=400)
exact = exact_ticks


# --- to ticks -------------------------------------------------------------------------------------------------------
def ticks_of(series: Any, column: Column) -> tuple[Array, Array]:
    """Return the ticks of a column, int64 or Python's integers where these are too small, and where it has none.

    Raises:
        ValueError: A value is no whole tick.
    """
    gone = np.asarray(series.isna().to_numpy())
    if arrow_unit(series.dtype):
        return _arrow(series, str(column.unit)), gone
    made = {"whole": _whole, "decimal": _decimal, "date": _date, "duration": _duration, "time": _time}[column.ticks](
        series, gone, column
    )
    return made, gone


def arrow_unit(dtype: Any) -> str:
    """Return the unit of an Arrow type of dates, times or durations; nothing for other dtypes."""
    import pandas as pd
    import pyarrow as pa

    if not isinstance(dtype, pd.ArrowDtype) or not pa.types.is_temporal(dtype.pyarrow_dtype):
        return ""
    kind = dtype.pyarrow_dtype
    return "D" if pa.types.is_date32(kind) else "ms" if pa.types.is_date64(kind) else str(kind.unit)


def _arrow(series: Any, unit: str) -> Array:
    import pyarrow as pa

    found = pa.chunked_array(series.array.__arrow_array__()).combine_chunks()
    if found.type.bit_width == 32:
        found = found.cast(pa.int32())
    ticks = found.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return in_unit(ticks, arrow_unit(series.dtype), unit)


def in_unit(ticks: Array, own: str, unit: str) -> Array:
    """Return ticks of one unit in another."""
    a, b = PER_UNIT[own], PER_UNIT[unit]
    return ticks * (a // b) if a >= b else ticks // (b // a)


def _whole(series: Any, gone: Array, column: Column) -> Array:
    import pandas as pd

    kind = series.dtype
    if pd.api.types.is_integer_dtype(kind):
        filled = series.fillna(0) if gone.any() else series
        plain = filled.to_numpy(dtype="uint64" if kind.kind == "u" else "int64")
        return narrow(plain)
    if column.objects and kind != OBJECT:
        raise ValueError(f"{kind} is no whole number")
    return narrow(np.array([0 if g else _int(v) for g, v in zip(gone, series, strict=True)], dtype=object))


def _int(value: Any) -> int:
    made = int(value)
    if isinstance(value, bool | np.bool_) or (not isinstance(value, str) and made != value):
        raise ValueError(f"{value!r} is no whole number")
    return made


def narrow(ticks: Array) -> Array:
    """Return whole numbers as int64 where that holds them, else as Python's."""
    if ticks.dtype == np.int64 or not len(ticks):
        return ticks.astype(np.int64)
    fits = int(ticks.min()) >= -(2**63) and int(ticks.max()) < 2**63
    return ticks.astype(np.int64 if fits else object)


def _decimal(series: Any, gone: Array, column: Column) -> Array:
    return narrow(np.array(
        [0 if g else _int(_as_decimal(v).scaleb(column.scale, EXACT)) for g, v in zip(gone, series, strict=True)],
        dtype=object,
    ))


def _as_decimal(value: Any) -> decimal.Decimal:
    try:
        return value if isinstance(value, decimal.Decimal) else decimal.Decimal(str(value))
    except decimal.InvalidOperation as err:
        raise ValueError(f"{value!r} is no number") from err


def _date(series: Any, gone: Array, column: Column) -> Array:
    import pandas as pd

    kind, form = series.dtype, column.format
    own = dtype_of(column.dtype)
    if isinstance(own, pd.PeriodDtype) and not isinstance(kind, pd.PeriodDtype) and kind.kind != "M":
        series = pd.Series(pd.PeriodIndex(series, freq=own.freq))
    if isinstance(series.dtype, pd.PeriodDtype):
        series = series.dt.start_time
    elif dates.is_number(form) and (kind == OBJECT or pd.api.types.is_numeric_dtype(kind)):
        plain = _whole(series, gone, column.model_copy(update={"objects": ""}))
        told: Any = pd.Series(plain).astype("str")
        series = dates.read(told.mask(pd.Series(gone), None), str(form))
    elif kind == OBJECT and not form:
        series = pd.to_datetime(series, utc=True)
    elif not pd.api.types.is_datetime64_any_dtype(kind):
        series = dates.read(series, form or "")
    if getattr(series.dtype, "tz", None) is not None:
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    ticks = series.astype(f"datetime64[{column.unit}]").to_numpy().astype(np.int64)
    return np.where(gone, 0, ticks)


def _duration(series: Any, gone: Array, column: Column) -> Array:
    import pandas as pd

    made = series if series.dtype.kind == "m" else pd.to_timedelta(series)
    return np.where(gone, 0, made.to_numpy(dtype=f"timedelta64[{column.unit}]").astype(np.int64))


def _time(series: Any, gone: Array, column: Column) -> Array:
    def microseconds(v: Any) -> int:
        t = datetime.time.fromisoformat(v) if isinstance(v, str) else v
        if not isinstance(t, datetime.time) or t.tzinfo is not None:
            raise ValueError(f"{v!r} is no time of day")
        return ((t.hour * 60 + t.minute) * 60 + t.second) * 10**6 + t.microsecond

    found = [0 if g else microseconds(v) for g, v in zip(gone, series, strict=True)]
    return in_unit(np.array(found, dtype=np.int64), "us", str(column.unit))


def minus(ticks: Array, origin: int) -> Array:
    """Return distances from the origin, exactly."""
    if ticks.dtype != OBJECT and len(ticks):
        ends = int(ticks.min()) - origin, int(ticks.max()) - origin
        if min(ends) < -(2**63) or max(ends) >= 2**63 or not -(2**63) <= origin < 2**63:
            ticks = ticks.astype(object)
    return np.asarray(ticks - origin)


# --- from ticks -----------------------------------------------------------------------------------------------------
def series_of(ticks: list[int], column: Column, gone: Array | None = None) -> Any:
    """Return ticks as a Series in the column's own dtype, missing where ``gone``."""
    import pandas as pd

    kind = dtype_of(column.dtype)
    hidden = np.zeros(len(ticks), bool) if gone is None else gone
    if arrow_unit(kind):
        return _temporal(ticks, kind, hidden, str(column.unit))
    if column.ticks == "decimal":
        return _objects([decimal.Decimal(t).scaleb(-column.scale, EXACT) for t in ticks], kind, hidden)
    if column.ticks == "time":
        return _objects([_time_of(t, str(column.unit)) for t in ticks], kind, hidden)
    if column.ticks == "whole":
        return _numbers(ticks, kind, hidden)
    what, finish = ("datetime", _dates) if column.ticks == "date" else ("timedelta", _durations)
    made = pd.Series(np.array(ticks, dtype=np.int64).astype(f"{what}64[{column.unit}]"))
    return finish(made.mask(pd.Series(hidden)) if hidden.any() else made, column, kind, hidden)


def _temporal(ticks: list[int], kind: Any, hidden: Array, unit: str) -> Any:
    import pandas as pd
    import pyarrow as pa

    target = kind.pyarrow_dtype
    own = in_unit(np.array(ticks, dtype=np.int64), unit, arrow_unit(kind))
    made = pa.array(own, pa.int64(), mask=hidden)
    if target.bit_width == 32:
        made = made.cast(pa.int32())
    return pd.Series(pd.arrays.ArrowExtensionArray(made.cast(target)))


def _objects(values: list[Any], kind: Any, hidden: Array) -> Any:
    import pandas as pd

    shown = [None if h else v for h, v in zip(hidden, values, strict=True)]
    return arrow_series(shown, kind) if isinstance(kind, pd.ArrowDtype) else pd.Series(shown, dtype=object)


def _time_of(tick: int, unit: str) -> datetime.time:
    seconds, micro = divmod(tick * PER_UNIT[unit] // 1000, 10**6)
    return datetime.time(seconds // 3600, seconds // 60 % 60, seconds % 60, micro)


def _numbers(ticks: list[int], kind: Any, hidden: Array) -> Any:
    import pandas as pd

    if kind == OBJECT:
        return _objects(ticks, kind, hidden)
    inner = getattr(kind, "subtype", kind)
    if inner.kind not in "iu":
        return pd.Series(np.array(ticks, dtype=np.float64)).astype(kind).mask(pd.Series(hidden))
    plain = np.dtype(getattr(inner, "numpy_dtype", inner))
    low, high = (int(v) for v in (np.iinfo(plain).min, np.iinfo(plain).max))
    made = pd.Series(np.array([min(max(t, low), high) for t in ticks], dtype=plain)).astype(kind)
    return made.mask(pd.Series(hidden)) if hidden.any() else made


def _dates(times: Any, column: Column, kind: Any, hidden: Array) -> Any:
    import pandas as pd

    if dates.is_number(column.format) and (column.objects == "whole" or kind.kind in "iuf"):
        told = times.dt.strftime(column.format)
        return _numbers([0 if h else int(t) for h, t in zip(hidden, told, strict=True)], kind, hidden)
    if column.format:
        return dates.write(times, column.format).astype(kind)
    if isinstance(kind, pd.PeriodDtype):
        return times.dt.to_period(kind.freq).astype(kind)
    zone = getattr(kind, "tz", None) or column.zone
    if zone is not None:
        times = times.dt.tz_localize("UTC").dt.tz_convert(zone)
    if kind != OBJECT:
        return times.astype(kind)
    plain = column.objects != "timestamp"
    made = times.dt.date if column.objects == "date" else [t.to_pydatetime() if plain else t for t in times]
    return _objects(list(made), kind, hidden)


def _durations(made: Any, column: Column, kind: Any, hidden: Array) -> Any:
    import pandas as pd

    if kind != OBJECT:
        return made.astype(kind)
    told = made if column.objects != "timedelta" else [None if t is pd.NaT else t.to_pytimedelta() for t in made]
    return _objects(list(told), kind, hidden)


def refuse_ticks(series: Any, column: Column, err: Exception) -> InputError:
    """Return an error that names the first entry that is no value of the column, where one is to blame."""
    what = {"date": "dates", "duration": "durations", "time": "times of day"}.get(column.ticks, f"{column.type} values")
    if column.ticks == "date" and column.format:
        what = f"dates written like {dates.parts(column.format)[0]}"
    bad = [i for i, v in enumerate(series) if not _reads(series.iloc[i : i + 1], column)]
    why = f"got {series.iloc[bad[0]]!r} in row {bad[0]} (from 0) and {len(bad) - 1} more that are none." if bad else (
        str(err).partition("\n")[0][:160])
    return InputError(
        f"The column {series.name!r} holds {what}, but {why} Correct that entry, leave it empty, or set the column's "
        "type to categorical."
    )


def _reads(one: Any, column: Column) -> bool:
    try:
        ticks_of(one, column)
    except (ValueError, TypeError, OverflowError, AttributeError):
        return False
    return True
