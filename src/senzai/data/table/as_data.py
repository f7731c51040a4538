"""The columns of a table as plain values: what ``senzai.runtime`` needs to read and write them."""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue

from senzai.core.errors import CombinationError

from ..dtypes import dtype_of
from ..schema import Schema
from . import amounts, codec, dates
from .column import Column, TableDetails

KEPT = (
    "name", "type", "dtype", "sort", "levels", "shares", "other", "rare", "rare_shares", "transform", "knots", "places",
    "spike", "spike_value", "low", "high", "decimals", "ticks", "unit", "scale", "step", "origin", "format", "greatest",
    "alphabet", "begins", "ends", "missingness",
)
"""What of a column goes with an export."""


def described(table: TableDetails, schema: Schema) -> dict[str, JsonValue]:
    """Return the description of a table.

    Raises:
        CombinationError: A column needs more than NumPy; the message says which, and why.
    """
    refused = {str(c.name): why for c in table.columns if (why := beyond(c)) is not None}
    if refused:
        name, why = next(iter(refused.items()))
        raise CombinationError(
            f"Exported models read and write columns with NumPy alone, but {name!r} holds {why}"
            f"{f', and {len(refused) - 1} more columns such things' if len(refused) > 1 else ''}. Use the run itself, "
            f"or fit with schema.{name}=drop."
        )
    found: dict[str, JsonValue] = {
        "form": "columns", "columns": [of_column(c) for c in table.columns], "unknown": table.unknown,
        "rare": table.rare, "markers": list(table.markers),
    }
    if schema.condition is not None:
        told = schema.condition.model_dump(mode="json")
        found["condition"] = {"names": told["names"], "values": told["values"], "shares": told["shares"]}
    return found


def of_column(column: Column) -> dict[str, JsonValue]:
    """Return a column."""
    told: dict[str, JsonValue] = {k: v for k, v in column.model_dump(mode="json").items() if k in KEPT}
    form: dict[str, JsonValue] | None = None
    if amounts.is_form(column.format):
        own = amounts.NumberForm.of(str(column.format))
        form = {"decimal": own.decimal, "thousands": own.thousands, "before": own.before, "after": own.after,
                "places": own.places}
        told["format"] = None
    return told | {"size": column.size, "form": form, "places_shown": codec.places_of(column) if form else None}


def beyond(column: Column) -> str | None:
    """Return what a column holds that NumPy alone cannot read and write; ``None`` where it can."""
    import pandas as pd

    if column.type in ("dropped", "text"):
        return None
    kind: Any = dtype_of(column.dtype)
    if isinstance(kind, pd.PeriodDtype | pd.IntervalDtype):
        return "periods of time or intervals"
    if column.ticks in ("duration", "time"):
        return "durations or times of day"
    if column.zone is not None or getattr(kind, "tz", None) is not None:
        return "dates with a time zone"
    if column.objects not in ("", "decimal"):
        return f"Python objects ({column.objects})"
    if column.format and column.ticks == "date" and "{" in column.format:
        return f"dates written like {dates.parts(column.format)[0]} with fractions of seconds or an offset"
    return None
