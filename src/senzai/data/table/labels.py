"""Column labels: text inside senzai, the user's own labels in results."""

from __future__ import annotations

import math
from typing import Any

from senzai.core.errors import InputError

from ..dtypes import name_of
from . import objects
from .column import TableDetails


def names_of(columns: Any) -> tuple[str | int, ...]:
    """Return the names of columns inside senzai: text and whole numbers as they are, all else as text.

    Example:
        >>> import pandas as pd
        >>> names_of(pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]))
        ("('a', 1)", "('b', 2)")
    """
    return tuple(c if isinstance(c, int) and not isinstance(c, bool) else str(c) for c in columns.tolist())


def coded(columns: Any, origin: str) -> dict[str, Any] | None:
    """Return labels as JSON has them; ``None`` where they are plain text without more.

    Raises:
        InputError: A label cannot be written.
    """
    import pandas as pd

    plain = all(isinstance(c, str) and c.strip() for c in columns.tolist())
    if plain and columns.names == [None] and not isinstance(columns.dtype, pd.CategoricalDtype):
        return None
    told: dict[str, Any] = {"names": [_code(n, origin) for n in columns.names]}
    if isinstance(columns, pd.MultiIndex):
        return told | {"levels": columns.nlevels, "labels": [_code(c, origin) for c in columns.tolist()]}
    if isinstance(columns.dtype, pd.CategoricalDtype):
        inner = coded(columns.categories, origin) or {"names": [_code(None, origin)], "dtype": "str",
                                                      "labels": [_code(c, origin) for c in columns.categories]}
        return told | {"categories": inner, "ordered": bool(columns.ordered), "codes": columns.codes.tolist()}
    dtype = name_of(columns.dtype)
    if dtype == "object" or columns.dtype.kind in "iufb":
        return told | {"dtype": dtype, "labels": [_code(c, origin) for c in columns.tolist()]}
    texts = [["none", ""] if gone else ["", str(c)] for c, gone in zip(columns.tolist(), columns.isna(), strict=True)]
    return told | {"dtype": dtype, "labels": texts}


def _code(label: Any, origin: str) -> list[Any]:
    import pandas as pd

    if label is None or label is pd.NaT:
        return ["none" if label is None else "nat", ""]
    if isinstance(label, float) and not math.isfinite(label):
        return ["float", str(label)]
    if isinstance(label, tuple):
        return ["tuple", [_code(part, origin) for part in label]]
    kind = objects.kind_of(label)
    if kind is None:
        raise InputError(
            f"Columns are called by text, numbers, dates or tuples of these, but {origin} has one that is called by a "
            f"{type(label).__name__}: {label!r}. Rename it."
        )
    return [kind, objects.written(label, kind)]


def _label(told: Any) -> Any:
    import pandas as pd

    kind, value = told
    if kind in ("none", "nat"):
        return None if kind == "none" else pd.NaT
    if kind == "float":
        return float(value)
    return tuple(_label(part) for part in value) if kind == "tuple" else objects.read(value, kind)


def _index(told: dict[str, Any]) -> Any:
    import pandas as pd

    names = [_label(n) for n in told["names"]]
    if "levels" in told:
        return pd.MultiIndex.from_tuples([_label(v) for v in told["labels"]], names=names)
    if "categories" in told:
        kept = pd.Categorical.from_codes(told["codes"], categories=_index(told["categories"]), ordered=told["ordered"])
        return pd.CategoricalIndex(kept, name=names[0])
    labels = [_label(v) for v in told["labels"]]
    made = pd.Index(labels, dtype=object, tupleize_cols=False) if told["dtype"] == "object" else objects.index_of(
        labels, told["dtype"])
    return made.rename(names[0])


def restored(frame: Any, table: TableDetails, names: list[str | int]) -> Any:
    """Return a frame of columns with these names under the user's own labels."""
    if table.labels is None:
        return frame.set_axis(names, axis=1)
    place = {str(c.name): i for i, c in enumerate(table.columns)}
    return frame.set_axis(_index(table.labels)[[place[str(n)] for n in names]], axis=1)
