"""Details of arrays and images: how values were stored, and which of them were missing."""

from __future__ import annotations

from typing import Literal

from .schema import Frozen, Schema


class NumberDetails(Frozen):
    """How numbers were stored, so that they can be converted back exactly.

    Args:
        missing: "keep" where NaN is *not observed*; "error" where there must be none.
        grid: Name of the grid of 8-bit values in floating point that the data lie on.
        decimals: Decimals that each column is rounded to; ``None`` for those that are not.
        offset: Where each column is counted from.
        dtypes: Dtype of each column of a DataFrame.
        sequences: Whether rows have lengths of their own.
    """

    missing: Literal["error", "keep"] = "error"
    grid: str | None = None
    decimals: tuple[int | None, ...] | None = None
    offset: tuple[float, ...] | None = None
    dtypes: tuple[str, ...] | None = None
    sequences: bool = False


def numbers_of(schema: Schema) -> NumberDetails:
    """Return how the numbers of a schema are stored; plainly, where its kind says nothing about it.

    Example:
        >>> numbers_of(Schema(kind="mine", event_shape=(2,), dtype="float32", values="real", n_rows=1)).missing
        'error'
    """
    return schema.details if isinstance(schema.details, NumberDetails) else NumberDetails()
