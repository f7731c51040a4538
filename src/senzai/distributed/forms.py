"""Batches of rows in the forms of the engines: a dictionary of arrays, an Arrow table or batch, a pandas frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.errors import InputError, ShapeError


def count_of(batch: Any) -> int:
    """Return the number of rows of a batch.

    Example:
        >>> count_of({"a": np.zeros(3)}), count_of({})
        (3, 0)
    """
    if isinstance(batch, Mapping):
        return len(next(iter(batch.values()), ()))
    return int(batch.num_rows) if is_arrow(batch) else len(batch)


def is_arrow(batch: object) -> bool:
    """Whether a batch is Arrow's."""
    return hasattr(batch, "num_rows") and hasattr(batch, "schema")


def need_batch(batch: Any) -> None:
    """Refuse what no engine hands to a function of batches.

    Raises:
        InputError: It is no batch.
    """
    if not (isinstance(batch, Mapping) or is_arrow(batch) or hasattr(batch, "iloc")):
        raise InputError(
            "A batch is a dictionary of arrays, an Arrow table or record batch, or a pandas frame, but got a "
            f"{type(batch).__name__}. Let the engine hand over one of them: batch_format='pyarrow' of Ray Data, "
            "mapInArrow of Spark, map_partitions of Dask."
        )


def rows_of(batch: Any, *, named: bool) -> Any:
    """Return a batch as a kind reads it: a frame; one array of many axes as it is, where columns have no names.

    Raises:
        ShapeError: Columns of a dictionary have several lengths.
    """
    import pandas as pd

    if isinstance(batch, Mapping):
        lengths = {len(v) for v in batch.values()}
        if len(lengths) > 1:
            raise ShapeError(f"Columns of a batch have one length, but got {sorted(lengths)}. Give all of its rows.")
        only = np.asarray(next(iter(batch.values())))
        if not named and len(batch) == 1 and only.ndim > 1:
            return only
        return pd.DataFrame({name: list(v) if np.ndim(v) > 1 else v for name, v in batch.items()})
    if is_arrow(batch):
        import pyarrow as pa

        table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
        return table if named else table.to_pandas()
    return batch


def part_of(batch: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return some columns of a batch by name, as they are.

    Raises:
        InputError: One is not there.
    """
    known = list(batch.schema.names if is_arrow(batch) else batch)
    lacking = [n for n in names if n not in known]
    if lacking:
        raise InputError(
            f"Columns that are kept must be there, but a batch has {', '.join(map(str, known[:20]))} and no "
            f"{', '.join(map(repr, lacking))}. Name one that is there: keep=[...]."
        )
    return {n: batch.column(n) if is_arrow(batch) else batch[n] for n in names}


def columns_of(answer: Any, name: str) -> dict[str, Any]:
    """Return what a verb answered as columns: numbers without names are called after the verb, codes ``z0`` on.

    Example:
        >>> {k: v.tolist() for k, v in columns_of(np.array([[1.0, 2.0]]), "encode").items()}
        {'encode_0': [1.0], 'encode_1': [2.0]}
        >>> list(columns_of(np.zeros(3), "score"))
        ['score']
    """
    if hasattr(answer, "columns"):
        return {str(n): answer.iloc[:, i] for i, n in enumerate(answer.columns)} if hasattr(answer, "iloc") else {
            str(n): answer[n] for n in answer.columns
        }
    array = np.asarray(answer)
    if array.ndim == 1:
        return {name: array}
    if array.ndim == 2:
        return {f"{name}_{i}": array[:, i] for i in range(array.shape[1])}
    return {name: array}


def like(batch: Any, columns: Mapping[str, Any]) -> Any:
    """Return columns in the form that a batch has."""
    if isinstance(batch, Mapping):
        return {name: np.asarray(values) for name, values in columns.items()}
    if is_arrow(batch):
        import pyarrow as pa

        table = arrow_of(columns)
        return table if isinstance(batch, pa.Table) else table.combine_chunks().to_batches()[0] if len(table) else (
            pa.RecordBatch.from_pylist([], schema=table.schema)
        )
    import pandas as pd

    return pd.DataFrame({n: _plain(v) for n, v in columns.items()}).set_axis(batch.index, axis=0)


def arrow_of(columns: Mapping[str, Any]) -> Any:
    """Return columns as an Arrow table; arrays of many axes as lists."""
    import pyarrow as pa

    return pa.table({name: _arrow(values) for name, values in columns.items()})


def _arrow(values: Any) -> Any:
    import pyarrow as pa

    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if getattr(values, "ndim", 1) > 1:
        return pa.array(np.asarray(values).tolist())
    return pa.Array.from_pandas(values)


def _plain(values: Any) -> Any:
    """Return a column of a frame, without the numbers of its rows."""
    if hasattr(values, "to_pandas"):
        values = values.to_pandas()
    if getattr(values, "ndim", 1) > 1:
        return list(values)
    return values.array if hasattr(values, "array") else values
