"""Whether numbers are counts as they were read, and what they are if not."""

from __future__ import annotations

from typing import Any

import numpy as np

from senzai.core.errors import InputError

from ..rows import Array

LOOKED_AT = 200_000
"""Values that are looked at to tell what an array holds; all are checked when they are read."""
WAY_OUT = "Give the raw counts: layer=NAME where they are in a layer, or the data before they were normalised"


def are_counts(values: Array) -> bool:
    """Whether values are whole, finite and not negative.

    Example:
        >>> are_counts(np.array([0.0, 3.0])), are_counts(np.array([0.5])), are_counts(np.array([-1, 2]))
        (True, False, False)
    """
    if values.dtype.kind in "ub":
        return True
    if values.dtype.kind not in "if":
        return False
    return bool(np.isfinite(values).all() and (values >= 0).all() and (values == np.floor(values)).all())


def what_else(values: Array, sums: Array | None = None, log_sums: Array | None = None) -> str:
    """Return what values that are no counts are, as a clause.

    Args:
        values: Some of them.
        sums: Sums of some rows, if they are whole rows.
        log_sums: Sums of exp(x) - 1 of the same rows.

    Example:
        >>> what_else(np.array([-1.0, 0.5]))
        'some are negative: they were scaled or centred'
    """
    if values.dtype.kind not in "biuf":
        return "they are no numbers"
    if not bool(np.isfinite(values).all()):
        return "some are NaN or infinite"
    if bool((values < 0).any()):
        return "some are negative: they were scaled or centred"
    mostly = float((values % 1 != 0).sum()) > 0.5 * float((values != 0).sum())
    if mostly and log_sums is not None and _alike(log_sums):
        return f"they are log(1 + x) of counts that were scaled to {np.median(log_sums):,.0f} a row"
    if mostly and sums is not None and _alike(sums):
        return f"every row was scaled to {np.median(sums):,.0f}"
    return "some are fractions: they were normalised, logarithms were taken, or they are estimates"


def _alike(sums: Array) -> bool:
    return len(sums) > 1 and bool(np.ptp(sums) <= 1e-3 * np.abs(sums).max())


def no_counts(origin: str, place: str, why: str) -> InputError:
    """Return the error for data that are no counts."""
    return InputError(f"Counts are whole numbers from 0 up, but in {place} of {origin} {why}. {WAY_OUT}.")


def compact(values: Array) -> Array:
    """Return counts in the smallest type that holds them.

    Example:
        >>> compact(np.array([1.0, 300.0])).dtype.name
        'uint16'
    """
    top = float(values.max(initial=0))
    kind: Any = np.uint8 if top < 2**8 else np.uint16 if top < 2**16 else np.uint32 if top < 2**32 else np.float64
    return values.astype(kind, copy=False)
