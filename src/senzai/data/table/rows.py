"""All rows of a table as the model's numbers: in memory, or in a file of their own where they do not fit."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from typing import Any, final

import numpy as np

from senzai.core.batch import Batch
from senzai.core.errors import InputError
from senzai.core.later import Tensor, torch
from senzai.core.registry import suggestion

from ..rows import Array, MemoryRows, Rows, Targets, as_index
from . import codec, labels
from .column import Column, TableDetails
from .numbers import encode_frame, needs_double
from .shard_rows import ShardRows
from .source import ROWS, Source


def rows_of(source: Source, table: TableDetails, condition: tuple[str, ...], targets: Targets | None = None) -> Rows:
    """Return all rows of a source as model values."""
    if source.whole is not None:
        x, seen, c = encode_frame(source.whole, table, condition, source.origin, source.cells)
        values = x if needs_double(table) else x.astype(np.float32)
        known = targets or Targets()
        given = None if c is None else torch.from_numpy(c)
        mask = None if seen.all() else seen
        return MemoryRows(values, Targets(known.y, known.known, known.n_classes, given), mask)
    if source.shards is not None:
        return ShardRows(source.shards, table, condition, targets or Targets())
    return _spooled(source, table, condition, targets or Targets())


def _spooled(source: Source, table: TableDetails, condition: tuple[str, ...], targets: Targets) -> Rows:
    file = tempfile.TemporaryFile(prefix="senzai-")  # noqa: SIM115 - it lives as long as the rows
    n, missing, width = 0, False, 0
    dtype = np.dtype(np.float64 if needs_double(table) else np.float32)
    wanted = {str(c.name) for c in table.modelled}
    for frame in source.some(max(1, min(ROWS, 20_000_000 // max(len(table.sorts), 1))), wanted):
        try:
            x, seen, c = encode_frame(frame, table, condition, source.origin)
        except InputError as err:
            file.close()
            raise type(err)(f"{err} Rows are counted from row {n} here." if n else str(err)) from err
        missing = missing or not bool(seen.all())
        x[~seen] = np.nan
        whole = x if c is None else np.concatenate([x, c], 1)
        width = 0 if c is None else c.shape[1]
        file.write(np.ascontiguousarray(whole.astype(dtype)).tobytes())
        n += len(frame)
    file.flush()
    _give_back()
    return SpooledRows(file, n, len(table.sorts), width, dtype, masked=missing, targets=targets)


def _give_back() -> None:
    """Return the memory that reading took to the system."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


@final
class SpooledRows(Rows):
    """Rows in a temporary file of model values, read on demand; NaN where nothing was observed.

    Args:
        file: The file; it is deleted when it is closed.
        n: Number of rows.
        d: Features.
        n_condition: Width of the condition behind them.
        dtype: Precision in the file.
        masked: Whether any entry is missing.
        targets: Labels of all rows.
    """

    in_memory = False

    def __init__(
        self, file: Any, n: int, d: int, n_condition: int, dtype: np.dtype[Any], *, masked: bool, targets: Targets
    ) -> None:
        self._file, self._n, self._d, self._c, self._dtype, self._masked = file, n, d, n_condition, dtype, masked
        self.targets = targets
        weakref.finalize(self, file.close)

    def __len__(self) -> int:
        return self._n

    def take(self, index: Array) -> Batch:
        """Return the rows at ``index``; neighbours are read together."""
        at = as_index(index)
        ascending, back = np.unique(at, return_inverse=True)
        width = self._d + self._c
        size = width * self._dtype.itemsize
        out = np.empty((len(ascending), width), dtype=self._dtype)
        for first, count, place in _runs(ascending):
            data = os.pread(self._file.fileno(), count * size, first * size)
            out[place : place + count] = np.frombuffer(data, dtype=self._dtype).reshape(count, width)
        whole = torch.from_numpy(out[back])
        x = whole[:, : self._d]
        c = whole[:, self._d :].to(torch.float32) if self._c else None
        known = self.targets.for_rows(torch.from_numpy(at))
        known["c"] = c
        if not self._masked:
            return Batch(x.contiguous(), **known)
        mask = ~x.isnan()
        return Batch(torch.where(mask, x, torch.zeros_like(x)), mask=mask, **known)

    @property
    def nbytes(self) -> int:
        """Bytes that all rows would take in memory."""
        return self._n * (self._d + self._c) * self._dtype.itemsize


def _runs(ascending: Array) -> Iterator[tuple[int, int, int]]:
    """Yield ``(first row, count, place)`` of neighbours."""
    if not len(ascending):
        return
    cuts = np.flatnonzero(np.diff(ascending) != 1) + 1
    starts = np.concatenate([[0], cuts])
    ends = np.concatenate([cuts, [len(ascending)]])
    for a, b in zip(starts.tolist(), ends.tolist(), strict=True):
        yield int(ascending[a]), b - a, a


def frame_of(x: Tensor, table: TableDetails, *, start: int = 0) -> Any:
    """Return model values as a frame with every column of the table but those that were dropped."""
    import pandas as pd

    values = x.detach().cpu().double().numpy()
    missing = {str(c.name): len(table.modelled) + j for j, c in enumerate(table.missingness)}
    made: list[tuple[str | int, Any]] = []
    i = 0
    for column in table.columns:
        if column.modelled:
            gone = values[:, missing[str(column.name)]] > 0.5 if str(column.name) in missing else None
            made.append((column.name, codec.decode(values[:, i], column, table, gone=gone)))
            i += 1
        elif column.type != "dropped":
            made.append((column.name, codec.regenerate(column, len(values), start)))
    frame = pd.DataFrame(dict(enumerate(s for _, s in made)), index=range(len(values)))
    return labels.restored(frame, table, [n for n, _ in made])


def column_named(table: TableDetails, name: str) -> Column:
    """Return a column by its name.

    Raises:
        InputError: There is none.
    """
    for column in table.columns:
        if str(column.name) == str(name):
            return column
    known = [str(c.name) for c in table.columns]
    near = suggestion(str(name), known)
    raise InputError(f"The table has no column {name!r}.{near} It has: {', '.join(known[:20])}.")
