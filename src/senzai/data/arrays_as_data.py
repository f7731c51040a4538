"""Arrays of numbers of one sort as plain values: what ``senzai.runtime`` needs to read and write them."""

from __future__ import annotations

from pydantic import JsonValue

from senzai.core.errors import CombinationError

from .details import numbers_of
from .facts import grid_table
from .schema import Schema
from .values import user_dtype


def described(schema: Schema, **more: JsonValue) -> dict[str, JsonValue]:
    """Return the description of arrays of a schema.

    Raises:
        CombinationError: Rows have lengths of their own.
    """
    details, dtype = numbers_of(schema), user_dtype(schema.dtype)
    if details.sequences:
        raise CombinationError(
            "Exported models take rows of one length, but these have lengths of their own. Use the run itself, or fit "
            "rows of one length."
        )
    grid = grid_table(details.grid, dtype.name) if details.grid and dtype.kind == "f" else None
    return {
        "form": "array", "shape": list(schema.event_shape), "support": schema.values, "levels": schema.n_levels,
        "scale": schema.value_scale, "offset": None if details.offset is None else list(details.offset),
        "decimals": None if details.decimals is None else list(details.decimals), "dtype": str(dtype),
        "missing": details.missing == "keep", "label": label_of(schema),
        "columns": None if schema.columns is None else [str(c) for c in schema.columns],
        "grid": None if grid is None else [float(v) for v in grid], **more,
    }


def label_of(schema: Schema) -> JsonValue:
    """Return the label that rows are conditioned on, if they are."""
    if schema.condition is None or schema.label is None:
        return None
    classes: list[JsonValue] = [c if isinstance(c, bool | int | float | str) else str(c) for c in schema.label.classes]
    return {"name": schema.label.name, "classes": classes, "shares": list(schema.condition.shares)}
