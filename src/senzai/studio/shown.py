"""Rows for the page: what the view of their kind draws, as plain values that the page lays out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from ..core.batch import Data, count
from ..data import KINDS, Dataset, Schema, open_data
from ..evaluation.results import plain
from ..report.blocks import Colouring, Empty
from ..report.views import view_of
from ..report.views.base import one_row
from ..runs import Run


def as_json(block: Any) -> Any:
    """Return a block of a report as plain values; what only a whole page needs is left out.

    Example:
        >>> from senzai.report.blocks import TableBlock
        >>> as_json(TableBlock("", [("age", "<b>")]))["rows"]
        [['age', '<b>']]
    """
    if isinstance(block, Colouring):
        return None
    if is_dataclass(block) and not isinstance(block, type):
        return {f.name: as_json(getattr(block, f.name)) for f in fields(block)}
    if isinstance(block, list | tuple):
        return [as_json(b) for b in block]
    return plain(block)


def drawn(x: Data, schema: Schema, about: Mapping[str, Any] | None = None) -> list[Any]:
    """Return each row as its kind's view draws it: a list of blocks, one a row; of the view that draws none, words.

    Args:
        x: Model values, rows first.
        schema: What they are.
        about: What travels with them, rows first.
    """
    view, found = view_of(schema), []
    for i in range(count(x)):
        told = {name: values[i : i + 1] for name, values in about.items()} if about else None
        block = view.picture(one_row(x, i), schema, about=told)
        found.append(as_json(block or Empty("Nothing draws rows of this kind yet.")))
    return found


def drawn_answer(run: Run, rows: Any) -> list[Any]:
    """Return rows that a verb answered, in the user's form, as they are drawn."""
    plain_schema = run.schema.but(condition=None)  # new rows do not say what they were conditioned on
    return drawn(open_data(rows, schema=plain_schema).batch().x, run.schema)


def originals(dataset: Dataset, index: Any) -> Any:
    """Return rows as the user gave them, in the form in which their kind writes them."""
    at = np.asarray(index, dtype=np.int64)
    own = dataset.kind.originals(dataset.source, at)
    if own is not None:
        return own
    return dataset.take(at).decode(dataset.batch(at).x, about=dataset.rows.about(at))


def records(rows: Any, schema: Schema) -> list[dict[str, Any]] | None:
    """Return rows as names and values where their kind has them so, else nothing."""
    found = plain(KINDS[schema.kind].to_json(rows, schema))
    whole = isinstance(found, list) and bool(found) and all(isinstance(r, dict) for r in found)
    return found if whole else None


def grid(rows: Any, schema: Schema) -> dict[str, Any] | None:
    """Return rows as a table, names and lists of values, where they are records or short rows of numbers."""
    if (named := records(rows, schema)) is not None:
        names = list(named[0])
        return {"names": names, "rows": [[r.get(n) for n in names] for r in named], "records": True}
    values = np.asarray(rows) if hasattr(rows, "__array__") else None
    if values is None or values.ndim != 2 or values.shape[1] > 200:
        return None
    named_columns = [str(c) for c in schema.columns or range(values.shape[1])]
    return {"names": named_columns, "rows": plain(values.tolist()), "records": False}
