"""Converts one column to the model's numbers and exactly back."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.runtime.numbers import allowed, backward, nearest_levels, seed_of
from senzai.runtime.numbers import beside_the_spike as beside_the_spike
from senzai.runtime.numbers import condition_code as condition_code
from senzai.runtime.numbers import forward as to_model
from senzai.runtime.numbers import middles_of as middles_of
from senzai.runtime.numbers import repeated as repeated

from ..dtypes import arrow_series, dtype_of
from ..rows import Array
from . import amounts, identifiers, objects, ticks
from .column import Column, TableDetails
from .series import as_labels, as_numbers, observed, unwritten

OTHER = "(other)"
LARGE = 1e18
"""Numbers of the model are smaller than this, so that their squares are finite in single precision."""
numbers, _beside_the_spike = backward, beside_the_spike


# --- to the model ---------------------------------------------------------------------------------------------------
def encode(series: Any, column: Column, table: TableDetails) -> tuple[Array, Array]:
    """Return a column as the model's numbers, float64, and where it is observed; zero stands where it is not.

    Raises:
        InputError: A value is not one that the column can have.
    """
    series = unwritten(series, column)
    if column.sort in ("category", "binary") or (column.sort == "steps" and not is_numeric(column)):
        return _codes(series, column, table)
    counted = column.sort == "steps" and bool(column.ticks)
    x = as_numbers(series, column.model_copy(update={"origin": column.levels[0]}) if counted else column)
    seen = ~np.isnan(x)
    x = np.where(seen, x, column.low if column.low is not None else 0.0)
    if column.sort == "steps":
        return _steps(series, x, seen, column)
    return np.where(seen, forward(x, seen, column, series), 0.0), seen


def is_numeric(column: Column) -> bool:
    """Whether the levels of a column are numbers."""
    return not any(isinstance(v, str | bool) for v in column.levels)


def _steps(series: Any, x: Array, seen: Array, column: Column) -> tuple[Array, Array]:
    """A number that is none of the ordered values counts as the nearest of them."""
    return np.where(seen, nearest_levels(x, column), 0.0), seen


def forward(x: Array, seen: Array, column: Column, series: Any) -> Array:
    """Return numbers of a column as the model has them.

    Raises:
        InputError: One is not in the range of the column, or so large that nothing can be computed with it.
    """
    fine, rule = allowed(x, column)
    _refuse(seen & ~fine, series, column, rule)
    with np.errstate(over="ignore"):
        found = to_model(x, column)
    _refuse(seen & ~(np.abs(found) < LARGE), series, column, "numbers that single precision can hold")
    return found


def _refuse(bad: Array, series: Any, column: Column, rule: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"The column {column.name!r} takes {rule}, but got {series.iloc[row]!r} in row {row} (from 0) and "
            f"{int(bad.sum()) - 1} more outside. Correct them, leave them empty, or fit again."
        )


def _codes(series: Any, column: Column, table: TableDetails) -> tuple[Array, Array]:
    import pandas as pd

    seen = observed(series)
    labels = _truths(_labels(series, column), column)
    found = pd.Index(list(column.levels), dtype=object).get_indexer(pd.Index(labels, dtype=object))
    if (found[seen] < 0).any():  # the same values in another type: 1 and "1", 1 and 1.0
        names = pd.Index([_name(v) for v in column.levels], dtype=object)
        texts = np.array([_name(v, number=is_numeric(column)) for v in labels], dtype=object)
        found = np.where(found < 0, names.get_indexer(pd.Index(texts, dtype=object)) if names.is_unique else -1, found)
    unknown = seen & (found < 0)
    if unknown.any():
        if column.other:
            found = np.where(unknown, len(column.levels), found)
        elif table.unknown == "missing":
            seen = seen & ~unknown
        else:
            raise _never_seen(series, unknown, column)
    return np.where(seen, found, 0).astype(np.float64), seen


def _labels(series: Any, column: Column) -> Array:
    """Return what levels are: plain values, and ticks of what is counted."""
    labels = as_labels(series, column.objects)
    if column.ticks in ("", "whole"):
        return labels
    found, gone = ticks.ticks_of(series, column)
    labels[:] = found.tolist()
    labels[gone] = None
    return labels


def _name(value: Any, *, number: bool = False) -> str:
    if number and isinstance(value, str):
        with suppress(ValueError):
            value = float(value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _truths(labels: Array, column: Column) -> Array:
    return labels if not (column.format or "").startswith("truth") else np.array(
        [{True: column.levels[1], False: column.levels[0]}.get(v, v) if isinstance(v, bool) else v for v in labels],
        dtype=object,
    )


def _never_seen(series: Any, unknown: Array, column: Column) -> InputError:
    row, others = int(np.flatnonzero(unknown)[0]), int(unknown.sum()) - 1
    more = f", and {others} more" if others else ""
    known = ", ".join(repr(v) for v in column.levels[:8]) + (" ..." if len(column.levels) > 8 else "")
    return InputError(
        f"The column {column.name!r} has the values {known}, but got {series.iloc[row]!r} in row {row} (from 0), which "
        f"was never seen in training{more}. Correct them, or fit with unknown=missing, which takes such values as not "
        "observed."
    )


# --- back -----------------------------------------------------------------------------------------------------------
def decode(codes: Array, column: Column, table: TableDetails, *, gone: Array | None = None) -> Any:
    """Return a column of a frame, in its own dtype, from the model's numbers; missing where ``gone``."""
    if column.sort in ("category", "binary", "steps"):
        values = _levels(codes, column, table)
        return _of_ticks(values.tolist(), column, gone) if column.ticks else restore(values, column, gone)
    return of_numbers(numbers(codes, column), column, gone)


def of_numbers(x: Array, column: Column, gone: Array | None = None) -> Any:
    """Return numbers that :func:`numbers` gave as a column of a frame."""
    return _of_ticks(ticks.exact(x, column), column, gone) if column.ticks else restore(x, column, gone)


def _of_ticks(found: list[int], column: Column, gone: Array | None = None) -> Any:
    if amounts.is_form(column.format):
        return restore(np.array(found, dtype=np.float64), column, gone)
    return ticks.series_of(found, column, gone)


def level_names(column: Column) -> list[str]:
    """Return what people call the levels of a column."""
    levels = levels_of(column)
    counted = column.ticks not in ("", "whole")
    return [str(v) for v in (ticks.series_of(levels.tolist(), column) if counted else levels).tolist()]


def on_axis(series: Any, column: Column) -> Array:
    """Return the observed entries of a column of results as numbers, those that are counted as ticks."""
    found = as_numbers(series, column)
    found = found[~np.isnan(found)]
    return found * column.step + column.origin if column.ticks else found


def _levels(codes: Array, column: Column, table: TableDetails) -> Array:
    n = len(column.levels)
    at = np.clip(np.rint(np.nan_to_num(codes)), 0, n - (0 if column.other else 1)).astype(np.int64)
    if not column.other:
        return np.asarray(levels_of(column)[at])
    names = np.array([*column.levels, OTHER], dtype=object)
    out = names[at]
    others = np.flatnonzero(at == n)
    if len(others) and column.rare and (table.rare == "draw" or not _all_text(column)):
        rng = np.random.default_rng(seed_of(at))
        drawn = rng.choice(len(column.rare), size=len(others), p=np.array(column.rare_shares))
        out[others] = np.array(column.rare, dtype=object)[drawn]
    return np.asarray(out)


def _all_text(column: Column) -> bool:
    return all(isinstance(v, str) for v in column.levels)


def levels_of(column: Column) -> Array:
    """Return the levels as an array that indexing keeps as they are."""
    out = np.empty(len(column.levels), dtype=object)
    out[:] = list(column.levels)
    return out


def restore(values: Array, column: Column, gone: Array | None = None) -> Any:
    """Return values as a pandas Series of the column's dtype, missing where ``gone``."""
    import pandas as pd

    if amounts.is_form(column.format):
        return amounts.written(values, str(column.format), places_of(column), gone)
    kind = dtype_of(column.dtype)
    shown = np.zeros(len(values), bool) if gone is None else gone
    if column.categories is not None:
        made = pd.Series(_categorical(values, shown, column))
    elif isinstance(kind, pd.IntervalDtype):
        made = pd.Series(objects.index_of(values.tolist(), column.dtype))
    elif column.objects or isinstance(kind, pd.ArrowDtype):
        told = [None if g else objects.read(v, column.objects) for g, v in zip(shown, values.tolist(), strict=True)]
        made = arrow_series(told, kind) if isinstance(kind, pd.ArrowDtype) else pd.Series(told, dtype=object)
    elif kind.kind in "iu":
        made = pd.Series([round(v) for v in values.tolist()], dtype=object).astype(kind)
    else:
        made = pd.Series(values.astype(object) if kind.kind == "O" else values).astype(kind)
    return made.mask(pd.Series(shown)) if shown.any() else made


def places_of(column: Column) -> int | None:
    """Return the decimals that a column's numbers are written with: its own, or as many as its values need."""
    if column.decimals is not None or not column.levels:
        return column.decimals
    return max(len(np.format_float_positional(float(v or 0), trim="-").partition(".")[2]) for v in column.levels)


def _categorical(values: Array, gone: Array, column: Column) -> Any:
    """Return a categorical of the categories that the data have, in their order."""
    import pandas as pd

    names = list(column.categories or ())
    place = {v: i for i, v in enumerate(names)}
    if OTHER in set(values.tolist()) - set(place):  # rare values under one name are a category more
        place[OTHER] = len(names)
        names.append(OTHER)
    told: Any = [objects.read(v, column.objects) for v in names]
    if column.objects:
        wrapped = np.empty(len(told), dtype=object)
        wrapped[:] = told
        told = pd.Index(wrapped, dtype=object, tupleize_cols=False)
    else:
        told = objects.index_of(told, column.category_dtype)
    codes = np.array([-1 if g else place[v] for g, v in zip(gone, values.tolist(), strict=True)], dtype=np.int64)
    return pd.Categorical.from_codes(codes, categories=told, ordered=column.type == "ordinal")


# --- what is not modelled -------------------------------------------------------------------------------------------
def regenerate(column: Column, n: int, start: int = 0) -> Any:
    """Return ``n`` entries of a column that is not modelled: new identifiers, the constant, or nothing."""
    if column.type == "identifier":
        if column.greatest is None:
            return ticks.series_of(identifiers.new_numbers(column, n, start), column)
        return restore(np.array(identifiers.new_texts(column, n, start), dtype=object), column)
    if column.type == "constant" and column.levels:
        value = np.empty(n, dtype=object)
        value[:] = [column.levels[0]] * n
        if column.ticks:
            return _of_ticks(value.tolist(), column)
        return restore(value.astype(np.float64) if dtype_of(column.dtype).kind == "f" else value, column)
    return empty(column, n)


def empty(column: Column, n: int) -> Any:
    """Return ``n`` missing entries in the column's dtype, or in the nearest one that can be missing."""
    import pandas as pd

    try:
        return pd.Series([None] * n, dtype=dtype_of(column.dtype))
    except (TypeError, ValueError):
        return pd.Series([np.nan] * n, dtype="float64")


# --- condition ------------------------------------------------------------------------------------------------------
def condition_width(column: Column) -> int:
    """Return how many numbers of a condition a column takes: one per level, or one and whether it is there."""
    return column.size if column.sort in ("category", "binary") else 2
