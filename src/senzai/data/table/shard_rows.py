"""Rows of shards as model values: a group of rows is read and encoded when it is first needed, and kept on local disk.

What is kept is what this process uses: of several processes that train together, each reads its own share.
"""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections import OrderedDict
from itertools import pairwise
from typing import Any, final

import numpy as np

from senzai.core.batch import Batch
from senzai.core.errors import InputError
from senzai.core.later import torch

from ..rows import Array, Rows, Targets, as_index
from .column import TableDetails
from .numbers import encode_frame, needs_double
from .shards import Shards, groups_of
from .source import ROWS

BLOCK_BYTES = 2**21
"""Model values that are read at once from local disk: a block."""
CACHED = 2**28
"""Bytes of blocks that are held in memory."""
MANY = 64
"""Groups that a call may need to have them kept; of more, rows are picked out and the rest is forgotten."""


@final
class ShardRows(Rows):
    """Rows of shards, read on demand.

    Args:
        shards: Where they are.
        table: What their columns are.
        condition: Columns that the model is conditioned on.
        targets: Labels of all rows.
    """

    in_memory = False

    def __init__(self, shards: Shards, table: TableDetails, condition: tuple[str, ...], targets: Targets) -> None:
        self._shards, self._table, self._condition, self.targets = shards, table, condition, targets
        self._starts, self._places = shards.starts, shards.places
        self._dtype = np.dtype(np.float64 if needs_double(table) else np.float32)
        self._d = len(table.sorts)
        self._masked = any(c.n_missing for c in table.modelled)
        self.cuts = _cut(self._starts, self.block)
        self._width: int | None = None if condition else self._d
        self._file = tempfile.TemporaryFile(prefix="senzai-")  # noqa: SIM115 - it lives as long as the rows
        self._here = np.zeros(len(self._places), dtype=bool)
        self._blocks: OrderedDict[int, Array] = OrderedDict()
        self._lock = threading.Lock()
        self.read: dict[int, int] = {}
        weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def block(self) -> int:
        """Rows of a block."""
        return max(512, BLOCK_BYTES // (self._d * self._dtype.itemsize))

    @property
    def nbytes(self) -> int:
        """Bytes that all rows would take in memory."""
        return len(self) * (self._width or self._d) * self._dtype.itemsize

    def some(self, index: Array, most: int, seed: int) -> Array:
        """Return some of the rows at ``index``, ascending, from few groups, so that little is read for them."""
        rng, rows = np.random.default_rng(seed), np.sort(as_index(index))
        if len(rows) <= most:
            return rows
        groups = list(groups_of(self._starts, rows))
        if len(groups) > MANY:
            kept = np.sort(rng.choice(len(groups), MANY, replace=False))
            rows = np.concatenate([rows[groups[i][1] : groups[i][2]] for i in kept])
        return np.sort(rng.choice(rows, min(most, len(rows)), replace=False))

    def take(self, index: Array) -> Batch:
        """Return the rows at ``index``, in that order."""
        at = as_index(index)
        ascending, back = np.unique(at, return_inverse=True)
        needed = list(groups_of(self._starts, ascending))
        with self._lock:
            fresh = [group for group, _, _ in needed if not self._here[group]]
            parts = [
                self._picked(group, ascending[a:b]) if len(fresh) > MANY and not self._here[group]
                else self._kept(group, ascending[a:b])
                for group, a, b in needed
            ]
        whole = torch.from_numpy(np.concatenate(parts)[back] if parts else np.zeros((0, self._d), self._dtype))
        return self._batch(whole, at)

    def _batch(self, whole: Any, at: Array) -> Batch:
        x = whole[:, : self._d].contiguous()
        known = self.targets.for_rows(torch.from_numpy(at))
        if self._condition:
            known["c"] = whole[:, self._d :].to(torch.float32)
        mask = ~x.isnan()
        if not self._masked and bool(mask.all()):
            return Batch(x, **known)
        return Batch(torch.where(mask, x, torch.zeros_like(x)), mask=mask, **known)

    # --- reading ----------------------------------------------------------------------------------------------------
    def _encoded(self, group: int) -> Any:
        """Yield the model values of a group, piece by piece."""
        wanted = {str(c.name) for c in self._table.modelled}
        start = int(self._starts[group])
        self.read[group] = self.read.get(group, 0) + 1
        rows = max(1, min(ROWS, 20_000_000 // max(self._d, 1)))
        for frame in self._shards.group(*self._places[group], rows, wanted):
            try:
                x, seen, c = encode_frame(frame, self._table, self._condition, self._shards.origin)
            except InputError as err:
                shard = self._places[group][0].name
                raise type(err)(f"{shard!r}: {err} Rows are counted from row {start} here.") from err
            x[~seen] = np.nan
            whole = x if c is None else np.concatenate([x, c], 1)
            self._width = whole.shape[1]
            yield np.ascontiguousarray(whole.astype(self._dtype))
            start += len(frame)

    def _picked(self, group: int, rows: Array) -> Array:
        """Return rows of a group that is not kept."""
        found, start = [], int(self._starts[group])
        for values in self._encoded(group):
            here = rows[(rows >= start) & (rows < start + len(values))]
            found.append(values[here - start])
            start += len(values)
        return np.concatenate(found)

    def _fill(self, group: int) -> None:
        at = int(self._starts[group])
        for values in self._encoded(group):
            size = values.shape[1] * self._dtype.itemsize
            os.pwrite(self._file.fileno(), values.tobytes(), at * size)
            at += len(values)
        self._here[group] = True

    def _kept(self, group: int, rows: Array) -> Array:
        """Return rows of a group from local disk, where it is put first if need be."""
        if not self._here[group]:
            self._fill(group)
        first = int(self._starts[group])
        places = (rows - first) // self.block
        cuts = [0, *(np.flatnonzero(np.diff(places)) + 1).tolist(), len(rows)]
        return np.concatenate([
            self._block(group, int(places[a]))[rows[a:b] - first - int(places[a]) * self.block]
            for a, b in pairwise(cuts)
        ])

    def _block(self, group: int, place: int) -> Array:
        assert self._width is not None  # something was encoded
        first = int(self._starts[group]) + place * self.block
        held = self._blocks.pop(first, None)
        if held is None:
            n = min(self.block, int(self._starts[group + 1]) - first)
            size = self._width * self._dtype.itemsize
            data = os.pread(self._file.fileno(), n * size, first * size)
            held = np.frombuffer(data, dtype=self._dtype).reshape(n, self._width)
        self._blocks[first] = held  # the latest is the last to go
        while len(self._blocks) * BLOCK_BYTES > CACHED:
            self._blocks.popitem(last=False)
        return held


def _cut(starts: Array, block: int) -> Array:
    """Return where groups, and blocks of so many rows within them, begin; and the number of rows.

    Example:
        >>> _cut(np.array([0, 5, 5, 7]), 2).tolist()
        [0, 2, 4, 5, 7]
    """
    found = [np.arange(a, b, block) for a, b in pairwise(starts.tolist())]
    return np.concatenate([*found, starts[-1:]]).astype(np.int64)
