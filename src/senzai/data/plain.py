"""Rows of numbers from plain values of JSON: nested lists, records, or columns by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from senzai.core.errors import InputError

from .schema import Schema


def plain_rows(value: Any, schema: Schema) -> np.ndarray[Any, Any]:
    """Return rows that came as plain values as an array; ``None`` is a missing entry.

    Raises:
        InputError: They are no rows, of different lengths, or no numbers.

    Example:
        >>> about = {"event_shape": (2,), "dtype": "float32", "values": "real", "columns": ("a", "b")}
        >>> schema = Schema(kind="array", n_rows=9, **about)
        >>> plain_rows([{"b": 2, "a": 1}, {"a": 3}], schema).tolist()
        [[1.0, 2.0], [3.0, nan]]
        >>> plain_rows({"a": [1, 3], "b": [2, 4]}, schema).tolist()
        [[1, 2], [3, 4]]
    """
    if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
        value = _lists(value, schema)
    try:
        found = np.asarray(value)
        if found.dtype.kind in "Ocb" and found.dtype.kind != "b":
            found = np.asarray(value, dtype=np.float64)  # None is NaN
    except (ValueError, TypeError, OverflowError) as err:
        raise InputError("Rows are lists of numbers, all of one length, but these are not. Missing is null.") from err
    if found.dtype.kind not in "biuf":
        raise InputError(f"Rows are numbers, but these hold {found.dtype}. Send numbers; a missing entry is null.")
    return found


def _lists(value: Any, schema: Schema) -> list[Any]:
    """Return records or columns as rows in the order of the features."""
    if schema.columns is None:
        raise InputError("Rows of this run have no names, so that they are lists of numbers, but records came.")
    names = [str(n) for n in schema.columns]
    if isinstance(value, dict):
        given = set(value)
        columns = [value.get(n) for n in names]
        if not all(isinstance(c, list) for c in columns if c is not None):
            raise InputError("Columns are lists by name, but one is none. Write {\"a\": [1, 2], \"b\": [3, 4]}.")
        rows = [list(row) for row in zip(*columns, strict=False)] if None not in columns else []
        uneven = len({len(c) for c in columns if c is not None}) > 1
        if uneven:
            raise InputError("Columns have one entry for each row, but these have different lengths.")
    else:
        if not all(isinstance(r, dict) for r in value):
            raise InputError("Rows are all records, or all lists, but these are of both sorts.")
        given = {n for r in value for n in r}
        rows = [[r.get(n) for n in names] for r in value]
    lacking = [n for n in names if n not in given]
    unknown = sorted(given - set(names))
    if lacking or unknown:
        raise InputError(
            f"Rows have the columns {', '.join(names[:20])}, but lack {', '.join(lacking[:5]) or 'none'} and have "
            f"{', '.join(str(n)[:40] for n in unknown[:5]) or 'no others'} beside them. A missing entry is null."
        )
    return rows
