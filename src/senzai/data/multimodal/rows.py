"""Rows of several modalities side by side, of which each row has some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np

from senzai.core.batch import Batch, only
from senzai.core.later import Tensor, torch

from ..rows import Array, Rows, Targets, as_index
from ..schema import Field


@final
class Together(Rows):
    """Rows of each modality, put together by their places.

    Where a row lacks a modality stands that of some other row, so that it is valid; ``present`` says so.

    Args:
        rows: Rows of each modality, those that have it; ``None`` where no row has.
        there: Which rows have it.
        fields: What one row of each modality is.
        targets: Labels.
    """

    def __init__(
        self, rows: Mapping[str, Rows | None], there: Mapping[str, Array], fields: Mapping[str, Field], targets: Targets
    ) -> None:
        self._rows, self._fields, self.targets = dict(rows), dict(fields), targets
        self._there = {name: np.asarray(seen, dtype=bool) for name, seen in there.items()}
        self._place = {name: np.where(seen, np.cumsum(seen) - 1, 0) for name, seen in self._there.items()}
        self.in_memory = all(r is None or r.in_memory for r in self._rows.values())
        self.lengths = {
            name: only(r.lengths)[torch.from_numpy(self._place[name])] for name, r in self._rows.items()
            if r is not None and r.lengths is not None
        } or None

    def __len__(self) -> int:
        return len(next(iter(self._there.values())))

    def take(self, index: Array) -> Batch:
        """Return the rows at ``index``."""
        at = as_index(index)
        parts = {name: self._part(name, at) for name in self._rows}
        mask = {name: only(b.mask) for name, b in parts.items() if b.mask is not None}
        lengths = {name: only(b.lengths) for name, b in parts.items() if b.lengths is not None}
        present = {name: torch.from_numpy(seen[at]) for name, seen in self._there.items() if not seen.all()}
        return Batch(
            {name: b.tensor for name, b in parts.items()}, mask=mask or None, lengths=lengths or None,
            present=present or None, **self.targets.for_rows(torch.from_numpy(at)),
        )

    def _part(self, name: str, at: Array) -> Batch:
        rows = self._rows[name]
        if rows is None:
            field = self._fields[name]
            ragged = any(axis.ragged for axis in field.axes)
            lengths: Tensor | None = torch.ones(len(at), dtype=torch.long) if ragged else None
            return Batch(torch.zeros(len(at), *field.shape), lengths=lengths)
        return rows.take(self._place[name][at])

    def about(self, index: Array) -> Mapping[str, Any]:
        """Return what travels with the rows of each modality, under ``modality/name``."""
        at = as_index(index)
        found: dict[str, Any] = {}
        for name, rows in self._rows.items():
            told = {} if rows is None else rows.about(self._place[name][at])
            found |= {f"{name}/{k}": values for k, values in told.items()}
        return found

    @property
    def nbytes(self) -> int:
        """Bytes of all modalities."""
        return sum(r.nbytes for r in self._rows.values() if r is not None)

    @property
    def dense_nbytes(self) -> int:
        """Bytes of all modalities as dense values."""
        return sum(r.dense_nbytes for r in self._rows.values() if r is not None)
