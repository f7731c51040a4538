"""Missing cells of a frame filled in from draws of a model; cells that were observed are not touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from senzai.core.later import Tensor, torch

from ..rows import Array
from . import codec
from .column import Column, TableDetails
from .series import observed


def fill(frame: Any, values: Tensor, table: TableDetails, rows: Array | None = None) -> Any:
    """Return a copy of a frame whose missing cells hold decoded model values ``(M, d)``.

    Args:
        frame: What the user has.
        values: Model values of all rows, or of some.
        table: The columns.
        rows: Which rows those are, ascending; all others have nothing missing that the model knows.
    """
    codes = values.detach().cpu().numpy()
    place = _place(rows)
    return _filled(frame, table, lambda i, at, c: codec.decode(codes[place(at), i].astype(np.float64), c, table))


def _place(rows: Array | None) -> Callable[[Array], Array]:
    return (lambda at: at) if rows is None else (lambda at: np.searchsorted(rows, at))


def fill_with_means(frame: Any, draws: Tensor, table: TableDetails, rows: Array | None = None) -> Any:
    """Return a copy whose missing cells hold the mean of draws ``(K, M, d)`` in the user's units, or the commonest.

    Numbers and dates are averaged; an ordered number becomes the value nearest to the mean; of categories the one
    that was drawn most often is taken. ``rows`` is as in :func:`fill`.
    """
    codes = draws.detach().cpu().numpy()
    place = _place(rows)
    return _filled(frame, table, lambda i, at, c: _middle(codes[:, place(at), i].astype(np.float64), c, table))


def _filled(frame: Any, table: TableDetails, make: Any) -> Any:
    out = frame.copy()
    places = {str(c): i for i, c in enumerate(frame.columns)}
    order = {str(c.name): i for i, c in enumerate(table.modelled)}
    for column in table.columns:
        if not column.modelled and column.type != "constant":
            continue  # what was left out cannot be known
        at = places[str(column.name)]
        series = frame.iloc[:, at]
        rows = np.flatnonzero(~observed(series))
        if not len(rows):
            continue
        known = column.type == "constant"
        new = codec.regenerate(column, len(rows)) if known else make(order[str(column.name)], rows, column)
        out.isetitem(at, _placed(series, new, rows))
    return out


def _placed(series: Any, new: Any, rows: Array) -> Any:
    """Put new cells into a copy of a column, in the column's own dtype where it holds them."""
    import pandas as pd

    out, kind = series.copy(), series.dtype
    if isinstance(kind, pd.SparseDtype):
        return _placed(series.sparse.to_dense(), new, rows).astype(kind)
    if isinstance(kind, pd.CategoricalDtype):
        unknown = new.drop_duplicates().dropna()
        out = out.cat.add_categories(unknown[~unknown.isin(kind.categories)].tolist())
    try:
        cells = new.astype(out.dtype)
    except (TypeError, ValueError):
        cells, out = new, out.astype(object)
    out.iloc[rows] = cells.array if not isinstance(cells.dtype, np.dtype) else cells.to_numpy()
    return out


def _middle(codes: Array, column: Column, table: TableDetails) -> Any:
    if column.sort in ("category", "binary") or (column.sort == "steps" and isinstance(column.levels[0], str | bool)):
        n = max(column.size, 2)
        counts = torch.zeros(codes.shape[1], n).scatter_add_(
            1, torch.from_numpy(np.clip(codes.T, 0, n - 1)).long(), torch.ones(codes.T.shape)
        )
        return codec.decode(counts.argmax(1).double().numpy(), column, table)
    if column.sort == "steps":
        levels = np.array(column.levels, dtype=np.float64)
        mean = levels[np.clip(codes, 0, len(levels) - 1).astype(np.int64)].mean(0)
        nearest = np.searchsorted((levels[1:] + levels[:-1]) / 2, mean).astype(np.float64)
        return codec.decode(nearest, column, table)
    numbers = codec.numbers(codes, column).mean(0)
    if column.decimals is not None:
        numbers = np.round(numbers, column.decimals)
    return codec.of_numbers(numbers, column)
