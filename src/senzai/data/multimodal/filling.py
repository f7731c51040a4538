"""Rows completed: modalities that they lack, and cells of a table, from the model; what is there stays as it came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from senzai.core.batch import Data

from ..kind import KINDS
from ..rows import Array
from ..schema import Schema
from .details import ModalityDetails, details_of
from .out import decoded, framed, is_cells, objects
from .pieces import Pieces


@dataclass(frozen=True)
class Part:
    """Some rows with what is there of them.

    Args:
        whole: All modalities, as they came.
        start: First row.
        stop: Behind the last one.
    """

    whole: Pieces
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def parts(source: Pieces, rows: int) -> Iterator[Part]:
    """Yield parts of at most so many rows."""
    for start in range(0, max(1, source.n_rows), rows):
        yield Part(source, start, min(source.n_rows, start + rows))


def fill(part: Part, x: Any, schema: Schema, rows: Array | None = None) -> dict[str, Any]:
    """Return each modality of a part as one object a row, or as a frame: as it came where it is there."""
    at = np.arange(len(part)) if rows is None else rows
    made = _views(x, schema)
    found: dict[str, Any] = {}
    pieces = {piece.name: piece for piece in part.whole.pieces}
    for m in details_of(schema).modalities:
        piece = pieces.get(m.name)
        there = np.zeros(len(part), bool) if piece is None else piece.there[part.start : part.stop]
        first = 0 if piece is None else int(piece.there[: part.start].sum())
        own = None if piece is None else piece.source
        new = made[m.name]
        found[m.name] = _frame(m, own, new, there, first, at) if hasattr(new, "columns") else _cells(
            m, own, new, there, first, at)
    return found


def _views(x: Data, schema: Schema) -> dict[str, Any]:
    views = decoded(x, schema.but(form="views"))
    assert isinstance(views, dict)
    return views


def _frame(m: ModalityDetails, own: Any, new: Any, there: Array, first: int, at: Array) -> Any:
    """Return rows of a table, missing cells from the model; columns that it does not model stay as they are."""
    import pandas as pd

    place = dict(zip(at.tolist(), range(len(at)), strict=True))
    lines, owned = [], first
    for i, seen in enumerate(there):
        made = new.iloc[place[i]] if i in place else None
        if not seen:
            lines.append(made)
            continue
        row = own.iloc[owned]
        owned += 1
        if made is not None and row.isna().any():
            known = [c for c in row.index if c in made.index]
            row = row.copy()
            row[known] = row[known].where(row[known].notna(), made[known])
        lines.append(row)
    return pd.DataFrame(lines).reset_index(drop=True).astype(new.dtypes.to_dict(), errors="ignore")


def _cells(m: ModalityDetails, own: Any, new: Any, there: Array, first: int, at: Array) -> Any:
    place = dict(zip(at.tolist(), range(len(at)), strict=True))
    out, owned = np.empty(len(there), dtype=object), first
    kept = _as_decoded(m, own, first, int(there.sum())) if there.any() else None
    for i, seen in enumerate(there):
        if seen and kept is not None:
            out[i] = kept[owned - first]
            owned += 1
        else:
            out[i] = new[place[i]]
    return out


def _as_decoded(m: ModalityDetails, own: Any, first: int, n: int) -> Any:
    """Return rows that are there in the form in which new ones come: pictures as pixels; texts as they are."""
    kind = KINDS[m.schema_.kind]
    some = own[first : first + n]
    if kind.cells != "files" or not is_cells(m):
        return some
    opened = kind.read(list(some), kind.options.model_validate({}), m.schema_)
    told = kind.check(opened, m.schema_, kind.options.model_validate({}))
    rows = kind.rows(opened, told)
    batch = rows.take(np.arange(len(rows)))
    return kind.decode(batch.x, told, about=rows.about(np.arange(len(rows))))


def gather(parts: list[Any], source: Pieces, schema: Schema, index: Any) -> Any:
    """Return completed rows as one table with all its columns, or as a dictionary."""
    import pandas as pd

    whole: dict[str, Any] = {}
    for name in parts[0]:
        found = [p[name] for p in parts]
        whole[name] = pd.concat(found, ignore_index=True) if hasattr(found[0], "columns") else np.concatenate(found)
    if schema.form == "views":
        return {name: value if hasattr(value, "columns") else _together(value) for name, value in whole.items()}
    frame = framed({k: v if hasattr(v, "columns") else objects(v) for k, v in whole.items()}, details_of(schema))
    for name in source.columns:  # columns that nothing is learned from: as they were
        if name not in frame.columns and source.frame is not None:
            frame[name] = source.frame[name]
    frame = frame[[c for c in source.columns if c in frame.columns]]
    return frame if index is None or len(index) != len(frame) else frame.set_axis(index, axis=0)


def _together(values: Any) -> Any:
    kept = list(values)
    return np.stack(kept) if all(isinstance(v, np.ndarray) for v in kept) else kept

