"""Rows of a frame as the model's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from senzai.core.errors import ShapeError
from senzai.core.registry import suggestion

from ..rows import Array
from . import codec, quick
from .column import TableDetails


def chosen(frame: Any, table: TableDetails, origin: str) -> list[int]:
    """Return where in a frame the modelled columns are.

    Raises:
        ShapeError: One is not there.
    """
    names = [str(c) for c in frame.columns.tolist()]
    at = {n: i for i, n in enumerate(names)}
    lacking = [str(c.name) for c in table.modelled if str(c.name) not in at]
    if lacking:
        hint = suggestion(lacking[0], names)
        raise ShapeError(
            f"The model was fitted on {len(table.modelled)} columns, but {origin} lacks {', '.join(lacking[:5])}"
            f"{' ...' if len(lacking) > 5 else ''}.{hint} Add them (they may be empty), or fit again without them."
        )
    return [at[str(c.name)] for c in table.modelled]


def encode_frame(
    frame: Any, table: TableDetails, condition: tuple[str, ...], origin: str, cells: list[list[Any]] | None = None
) -> tuple[Array, Array, Array | None]:
    """Return model values ``(N, d)``, where they are observed, and the condition ``(N, n_condition)``.

    Of a few rows, ``cells`` are what is in them, column by column.
    """
    modelled, at = table.modelled, chosen(frame, table, origin)
    d = len(table.sorts)
    x, seen = np.zeros((len(frame), d)), np.ones((len(frame), d), dtype=bool)
    codes: list[Array] = []
    places = {str(c.name): i for i, c in enumerate(modelled)}
    plans = [None] * len(modelled) if cells is None else quick.plans_of(table)
    for i, (column, plan) in enumerate(zip(modelled, plans, strict=True)):
        found = None if plan is None or cells is None else plan(cells[at[i]])
        x[:, i], seen[:, i] = found or codec.encode(frame.iloc[:, at[i]].rename(column.name), column, table)
    for j, column in enumerate(table.missingness, len(modelled)):
        x[:, j] = ~seen[:, places[str(column.name)]]
    for name in condition:
        i = places[name]
        codes.append(codec.condition_code(x[:, i], seen[:, i], modelled[i]))
    return x, seen, np.concatenate(codes, 1) if codes else None


def needs_double(table: TableDetails) -> bool:
    """Whether single precision would lose digits: numbers with many digits do, codes of levels do not."""
    return any(c.sort not in ("category", "binary", "steps") for c in table.modelled)
