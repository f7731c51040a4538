"""Times as users write them, as whole numbers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from senzai.core.errors import InputError

from ..rows import Array
from .details import SeriesDetails
from .options import SeriesOptions

FORMATS = (
    "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M",
)
ZERO = {"+00:00", "+0000", "-00:00", "-0000"}
SMALL = 10**12
"""Below it a time is taken for a number when it is shown: there are no stamps within a thousand seconds of 1970."""


def when(time: Any) -> str:
    """Return one time as text.

    Example:
        >>> when(7), when(1704067200 * 10**9)
        ('7', '2024-01-01T00:00:00')
    """
    return str(time) if abs(int(time)) < SMALL else str(np.datetime64(int(time), "ns"))[:19]


def times_of(
    column: Any, options: SeriesOptions, told: SeriesDetails | None, origin: str
) -> tuple[Array, Any, str | None]:
    """Return times as whole numbers, their unit, and their zone.

    Raises:
        InputError: A time is missing, or cannot be read.
    """
    import pandas as pd

    if int(gone := column.isna().sum()):
        raise InputError(f"Every line needs its time, but {gone} lines of {origin} have no {column.name!r}. Drop them.")
    if pd.api.types.is_numeric_dtype(column):
        numbers = column.to_numpy()
        if not bool((numbers == np.rint(numbers)).all()):
            raise InputError(f"Times are dates or whole numbers, but {column.name!r} has fractions. Multiply them.")
        return numbers.astype(np.int64), "number", None
    found = column if pd.api.types.is_datetime64_any_dtype(column) else _parsed(column, options, origin)
    zone = options.timezone or (told.calendar.zone if told else None)
    aware = found.dt.tz is not None
    if aware and zone is None:
        zone = str(found.dt.tz)
    if zone is not None and not aware:
        found = _located(found, zone, origin)
    utc = found.dt.tz_convert("UTC").dt.tz_localize(None) if zone is not None else found
    return utc.dt.as_unit("ns").astype(np.int64).to_numpy(), "time", zone


def said_of_offsets(column: Any, options: SeriesOptions, zone: str | None) -> list[str]:
    """Say that times with an offset became UTC, where no zone says what the clock on the wall shows.

    Example:
        >>> import pandas as pd
        >>> said_of_offsets(pd.Series(["2024-03-01T08:00+09:00"]), SeriesOptions(), "UTC")
        ['Times with offsets from UTC (+09:00) are kept in UTC, hours too: timezone=Asia/Tokyo, say, keeps them local.']
        >>> said_of_offsets(pd.Series(["2024-03-01T08:00Z"]), SeriesOptions(), "UTC")
        []
    """
    import pandas as pd

    if options.timezone is not None or zone != "UTC" or pd.api.types.is_datetime64_any_dtype(column):
        return []
    shifts = sorted(set(column.astype(str).str.extract(r"([+-]\d\d:?\d\d)$", expand=False).dropna()) - ZERO)
    told = ", ".join(shifts[:3])
    way = "timezone=Asia/Tokyo, say, keeps them local"
    return [f"Times with offsets from UTC ({told}) are kept in UTC, hours too: {way}."] if shifts else []


def _located(found: Any, zone: str, origin: str) -> Any:
    """Return local times with their zone; of an hour that comes twice, the first lines are the first one."""
    try:
        return found.dt.tz_localize(zone, ambiguous="infer")
    except ValueError:
        pass
    except Exception as err:
        raise InputError(f"A zone has a name like Europe/Berlin, but got timezone={zone!r}: {err}.") from err
    try:
        return found.dt.tz_localize(zone, ambiguous=np.ones(len(found), dtype=bool))
    except ValueError as err:
        raise InputError(
            f"Times of {origin} must exist in {zone}, but: {str(err)[:120]}. Give them in UTC, or without timezone."
        ) from err


def _parsed(column: Any, options: SeriesOptions, origin: str) -> Any:
    import pandas as pd

    text = column.astype(str)
    shifted = bool(text.str.contains(r"(?:Z|[+-]\d\d:?\d\d)$", regex=True).all())
    wanted = [options.time_format] if options.time_format else ["ISO8601", *FORMATS]
    found = {}
    for how in wanted:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found[how] = pd.to_datetime(text, format=how, utc=shifted)
        except (ValueError, TypeError):
            continue
        if how == "ISO8601":
            break
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise InputError(
            f"Times must be plain, but those of {column.name!r} in {origin}, such as {text.iloc[0]!r}, can be read as "
            f"{' or '.join(found)}. Choose one with time_format=..."
        )
    raise InputError(
        f"Times are dates or whole numbers, but {column.name!r} of {origin} holds {text.iloc[0]!r}. Say how they are "
        "written, such as time_format=%d.%m.%Y, or name another column with time=..."
    )
