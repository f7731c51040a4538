"""Values of any origin as pandas columns that lose nothing: whole numbers with holes stay whole, decimals decimals."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

EXACT = 2**53
"""Whole numbers up to this are exact as float64."""
NESTED = (bytes, bytearray, memoryview, list, tuple, dict, set, frozenset, np.ndarray)
"""What no cell of a table can be."""


def series_of(values: Sequence[Any]) -> Any:
    """Return Python values, ``None`` where missing, as a Series of the dtype that holds all of them.

    Example:
        >>> series_of([2**60 + 1, None]).tolist(), str(series_of([1, 2]).dtype), str(series_of([1, 2.5]).dtype)
        ([1152921504606846977, <NA>], 'int64', 'float64')
    """
    import pandas as pd

    kinds = {type(v) for v in values}
    holes = type(None) in kinds
    kinds.discard(type(None))
    if kinds == {bool}:
        return pd.Series(values, dtype="boolean" if holes else "bool")
    if kinds == {int}:
        return _whole(values, holes=holes)
    if kinds and kinds <= {int, float} and all(abs(v) <= EXACT for v in values if type(v) is int):
        return pd.Series(values, dtype="float64")
    if kinds == {str}:
        return pd.Series(values, dtype="str")
    if kinds == {decimal.Decimal} and all(v is None or v.is_finite() for v in values):
        return decimals(values)
    if kinds == {datetime.datetime} or kinds == {datetime.timedelta}:
        return pd.Series(list(values))
    if uuid.UUID in kinds:
        values = [str(v) if isinstance(v, uuid.UUID) else v for v in values]
    return pd.Series(list(values), dtype=object)


def _whole(values: Sequence[Any], *, holes: bool) -> Any:
    import pandas as pd

    low, high = (f(v for v in values if v is not None) for f in (min, max))
    if low < -(2**63) or high >= (2**64 if low >= 0 else 2**63):
        return pd.Series(list(values), dtype=object)
    name = "int64" if high < 2**63 else "uint64"
    return pd.Series(values, dtype=name.replace("i", "I", 1).replace("u", "U") if holes else name)


def decimals(values: Sequence[Any]) -> Any:
    """Return decimals as a Series that keeps all their digits; of more than 76 digits, as Python objects."""
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(list(values))))
    except pa.ArrowInvalid:
        return pd.Series(list(values), dtype=object)


def cannot_hold(kind: Any) -> bool:
    """Whether an Arrow type is one of lists, structures, maps or bytes."""
    import pyarrow.types as types

    if hasattr(kind, "storage_type"):
        return cannot_hold(kind.storage_type)
    is_bytes = types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    return bool(types.is_nested(kind) or is_bytes or types.is_binary_view(kind))


def framed(table: Any) -> Any:
    """Return an Arrow table as a pandas frame; columns of lists, structures, maps and bytes must be left out before."""
    import pandas as pd
    import pyarrow.types as types

    frame = table.to_pandas().reset_index(drop=True)
    at = {str(name): i for i, name in enumerate(frame.columns)}
    kinds, exact = frame.dtypes.tolist(), {}
    for name, cells in zip(table.column_names, table.columns, strict=True):
        i = at.get(name)
        if i is None:  # the row names of a pandas frame
            continue
        if types.is_integer(cells.type) and cells.null_count and kinds[i].kind == "f":
            kind: Any = pd.api.types.pandas_dtype(str(cells.type).replace("uint", "UInt").replace("int", "Int"))
            exact[i] = pd.Series(kind.__from_arrow__(cells))
        elif types.is_decimal(cells.type):
            exact[i] = pd.Series(pd.arrays.ArrowExtensionArray(cells))
    if not exact:
        return frame
    columns = {i: exact[i] if i in exact else frame.iloc[:, i] for i in range(len(kinds))}
    return pd.DataFrame(columns).set_axis(frame.columns, axis=1)


def without_nested(frame: Any) -> tuple[Any, list[str]]:
    """Return a frame without columns of lists, structures or bytes, and the names of those."""
    kinds = frame.dtypes.tolist()
    objects = [i for i, kind in enumerate(kinds) if kind == np.dtype(object)]
    some = frame.iloc[:, objects] if 0 < len(objects) < len(kinds) else frame
    held = some.to_numpy(dtype=object).T if objects else ()
    bad = {i for i, column in zip(objects, held, strict=True) if any(isinstance(v, NESTED) for v in column)}
    bad |= {i for i, kind in enumerate(kinds) if hasattr(kind, "pyarrow_dtype") and cannot_hold(kind.pyarrow_dtype)}
    if not bad:
        return frame, []
    names = [str(frame.columns[i]) for i in sorted(bad)]
    return frame.iloc[:, [i for i in range(len(kinds)) if i not in bad]], names


def said(names: Iterable[str]) -> tuple[str, ...]:
    """Return the note about columns that are left out."""
    listed = ", ".join(names)
    return (f"Left out, here and in results, because a cell is one value and not a list, structure or bytes: {listed}.",
            ) if listed else ()


def joined(parts: Sequence[Any]) -> Any:
    """Return frames of the same columns one below the other; columns whose dtypes differ lose nothing either."""
    import pandas as pd

    if len(parts) < 2 or all(p.dtypes.tolist() == parts[0].dtypes.tolist() for p in parts):
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    columns = [_joined([p.iloc[:, i] for p in parts]) for i in range(len(parts[0].columns))]
    return pd.DataFrame(dict(enumerate(columns))).set_axis(parts[0].columns, axis=1)


def _joined(parts: list[Any]) -> Any:
    import pandas as pd

    if len({str(p.dtype) for p in parts}) == 1:
        return pd.concat(parts, ignore_index=True)
    kinds = {p.dtype.kind for p in parts if p.notna().any()}
    large = any(p.dtype.kind in "iu" and p.abs().max() > EXACT for p in parts if p.notna().any())
    if kinds <= set("iuf") and not large and "f" in kinds:
        return pd.concat([p.astype("float64") for p in parts], ignore_index=True)
    if kinds <= set("iufb") or parts[0].dtype.kind == "O":
        return series_of([None if v is pd.NA or v is None or v != v else v for p in parts for v in p.tolist()])
    return pd.concat(parts, ignore_index=True)
