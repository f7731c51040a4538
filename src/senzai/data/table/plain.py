"""Tables from plain values of JSON: records, or columns by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.registry import suggestion

from ..limits import guarded

PLAIN = (bool, int, float, str, type(None))


def frame_of(value: Any, names: list[str]) -> Any:
    """Return a frame of Python's own values with columns of these names; what is not given is missing.

    Raises:
        InputError: It is no table, a cell is none, or a name is unknown.

    Example:
        >>> frame_of([{"a": 1}, {"b": "x"}], ["a", "b"]).values.tolist()
        [[1, None], [None, 'x']]
    """
    import pandas as pd

    columns = _of_columns(value) if isinstance(value, dict) else _of_records(value)
    unknown = [n for n in columns if n not in names]
    if unknown:
        raise InputError(
            f"The table has the columns {', '.join(names[:20])}, but a row has {unknown[0][:80]!r}."
            f"{suggestion(unknown[0], names)} Leave it out."
        )
    n = len(value) if isinstance(value, list) else max((len(c) for c in columns.values()), default=0)
    made = np.empty((n, len(names)), dtype=object)
    for j, name in enumerate(names):
        for cell in columns.get(name, ()):
            if not isinstance(cell, PLAIN):
                raise InputError(f"A cell is a number, text, true, false or null, but one in {name!r} is not.")
        made[:, j] = columns.get(name) or [None] * n
    return pd.DataFrame(made, columns=names, dtype=object)


def _of_columns(value: dict[str, Any]) -> dict[str, list[Any]]:
    if not all(isinstance(c, list) for c in value.values()):
        raise InputError('Columns are lists by name, but one is none. Write {"a": [1, 2], "b": ["x", null]}.')
    if len({len(c) for c in value.values()}) > 1:
        raise InputError("Columns have one entry for each row, but these have different lengths. Missing is null.")
    return value


def _of_records(value: Any) -> dict[str, list[Any]]:
    if not isinstance(value, list) or not all(isinstance(r, dict) for r in value):
        raise InputError('Rows of a table are records by name. Write [{"a": 1, "b": "x"}, ...].')
    names = dict.fromkeys(n for record in value for n in record)
    return {name: [record.get(name) for record in value] for name in names}


def need_few_rows(path: Path, rows: int) -> None:
    """Refuse a file of Arrow or Parquet that says it has more rows.

    Raises:
        InputError: It has more, or is damaged.
    """
    import pyarrow.parquet as pq
    from pyarrow import ipc

    n = 0
    with guarded(path):
        if path.suffix.lower() in (".parquet", ".pq"):
            n = pq.read_metadata(path).num_rows
        elif path.suffix.lower() in (".arrow", ".feather", ".ipc"):
            with ipc.open_file(str(path)) as file:
                n = file.count_rows()
    if n > rows:
        raise InputError(f"At most {rows:,} rows are taken at once, but the file has {n:,}. Send it in parts.")
