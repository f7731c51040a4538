"""Values that JSON does not know, as text, and exactly back: bytes, times, intervals, tuples and the like."""

from __future__ import annotations

import ast
import datetime
import decimal
import fractions
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class ObjectCodec(NamedTuple):
    """How values of one Python type are written as text and read again."""

    type: type
    text: Callable[[Any], str]
    value: Callable[[str], Any]


def _timestamp(text: str) -> Any:
    import pandas as pd

    return pd.Timestamp(text)


def _period(text: str) -> Any:
    import pandas as pd

    start, _, freq = text.rpartition(" ")
    return pd.Period(start, freq)


def _timedelta(text: str) -> datetime.timedelta:
    return datetime.timedelta(microseconds=int(text))


def coders() -> dict[str, ObjectCodec]:
    """Return the types that are known by name, the narrower before the wider."""
    import pandas as pd

    return {
        "timestamp": ObjectCodec(pd.Timestamp, lambda v: v.isoformat(), _timestamp),
        "datetime": ObjectCodec(datetime.datetime, lambda v: v.isoformat(), datetime.datetime.fromisoformat),
        "date": ObjectCodec(datetime.date, lambda v: v.isoformat(), datetime.date.fromisoformat),
        "time": ObjectCodec(datetime.time, lambda v: v.isoformat(), datetime.time.fromisoformat),
        "pandas timedelta": ObjectCodec(pd.Timedelta, lambda v: v.isoformat(), pd.Timedelta),
        "timedelta": ObjectCodec(datetime.timedelta, lambda v: str(v // datetime.timedelta(microseconds=1)),
                                 _timedelta),
        "decimal": ObjectCodec(decimal.Decimal, str, decimal.Decimal),
        "fraction": ObjectCodec(fractions.Fraction, str, fractions.Fraction),
        "bytes": ObjectCodec(bytes, bytes.hex, bytes.fromhex),
        "uuid": ObjectCodec(uuid.UUID, str, uuid.UUID),
        "period": ObjectCodec(pd.Period, lambda v: f"{v} {v.freqstr}", _period),
        "tuple": ObjectCodec(tuple, repr, ast.literal_eval),
    }


def kind_of(value: Any) -> str | None:
    """Return the name of a value's type: empty for what JSON knows, ``None`` for what cannot be written.

    Example:
        >>> kind_of("a"), kind_of(datetime.time(1, 2)), kind_of((1, "a")), kind_of([1])
        ('', 'time', 'tuple', None)
    """
    if isinstance(value, bool | int | float | str | np.bool_ | np.integer | np.floating):
        return ""
    for name, coder in coders().items():
        if isinstance(value, coder.type):
            return name if name != "tuple" or _comes_back(value) else None
    return None


def _comes_back(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError):
        return False


def written(value: Any, kind: str) -> bool | int | float | str:
    """Return a value as JSON has it."""
    if kind and not isinstance(value, str):
        return coders()[kind].text(value)
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    return float(value) if isinstance(value, float | np.floating) else str(value)


def read(value: Any, kind: str) -> Any:
    """Return a value from what :func:`written` made of it."""
    return coders()[kind].value(value) if kind and isinstance(value, str) else value


def index_of(values: Any, dtype: str) -> Any:
    """Return categories, or other different values, as a pandas Index of a dtype.

    Example:
        >>> index_of(["(0.0, 1.5]", "(1.5, 3.0]"], "interval[float64, right]").mid.tolist()
        [0.75, 2.25]
    """
    import pandas as pd

    from ..dtypes import dtype_of

    kind = dtype_of(dtype)
    if isinstance(kind, pd.IntervalDtype):
        ends = [v[1:-1].split(", ") for v in values]
        left, right = (_ends([e[i] for e in ends], kind.subtype) for i in (0, 1))
        closed: Any = kind.closed
        return pd.IntervalIndex.from_arrays(left, right, closed=closed, dtype=kind)
    if isinstance(kind, pd.PeriodDtype):
        return pd.PeriodIndex(list(values), dtype=kind)
    if kind.kind == "M":
        return pd.to_datetime(list(values), format="ISO8601", utc=hasattr(kind, "tz")).astype(kind)
    if kind.kind == "m":
        return pd.to_timedelta(list(values)).astype(kind)
    return pd.Index(list(values), dtype=object).astype(kind)


def _ends(values: list[str], subtype: Any) -> Any:
    return index_of(values if subtype.kind in "mM" else [np.dtype(subtype).type(v) for v in values], str(subtype))
