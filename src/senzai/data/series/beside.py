"""Columns that are known beside the values of series, also where these are not: read, filled, and held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from senzai.core.errors import InputError, SettingError

from ..rows import Array
from ..schema import Schema
from .options import SeriesOptions
from .windows import SeriesPanel


def columns_beside(frame: Any, names: tuple[str, ...], origin: str, *, values: Sequence[object] = ()) -> Array:
    """Return the columns of a frame as numbers, ``(R, k)``, NaN where there is none.

    Args:
        frame: The lines.
        names: The columns.
        origin: What the data are called.
        values: Columns that are the values of the model.

    Raises:
        InputError: A column holds no numbers, is a value as well, or was lost when long data were made wide.
    """
    import pandas as pd

    for name in names:
        if name in values:
            raise InputError(
                f"A column is either modelled or known beside what is, but {name!r} of {origin} is both. Leave it out "
                "of columns=... or of exogenous=..."
            )
        if name not in frame.columns:
            raise InputError(
                f"Long data that are made wide have no columns beside their prices, but got exogenous={name}. Give "
                "wide data, or leave it out."
            )
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise InputError(
                f"Columns that windows are conditioned on are numbers, but {name!r} of {origin} holds "
                f"{frame[name].dtype}. Convert it, or give it as label=... and condition=label."
            )
    found = np.array(frame[list(names)].to_numpy(dtype=np.float64, na_value=np.nan)).reshape(len(frame), len(names))
    if np.isinf(found).any():
        line, j = (int(v[0]) for v in np.nonzero(np.isinf(found)))
        raise InputError(f"Values must be finite, but {names[j]!r} of {origin} is infinite in line {line}. Mend it.")
    return found


def refuse_beside(options: SeriesOptions, known: Schema | None) -> None:
    """Refuse arrays where columns are wanted by name.

    Raises:
        SettingError: Columns were named.
    """
    names = options.exogenous if known is None else getattr(known.details, "exogenous", ())
    if names:
        raise SettingError(
            "Columns beside the values are named, and arrays have no names, but got exogenous columns. Give a frame or "
            "a file with a header."
        )


def apart(panel: SeriesPanel, columns: tuple[str, ...], notes: list[str], origin: str) -> SeriesPanel:
    """Return series whose last columns are no values but known beside them; a step without takes those before it.

    Lines at the end of a series that have neither a value nor all of these columns are left out.

    Raises:
        InputError: A series has no value of such a column.
    """
    if not columns:
        return panel
    panel = _without_ends(panel, len(columns))
    values, known = panel.values[:, : -len(columns)], panel.values[:, -len(columns) :].copy()
    lost = np.isnan(known)
    for a, b in zip(*panel.bounds, strict=True):
        if len(none := np.flatnonzero(lost[a:b].all(0))):
            raise InputError(
                f"A column that windows are conditioned on needs values, but {columns[none[0]]!r} of {origin} has "
                "none. Give them."
            )
        part, steps = lost[a:b], np.arange(b - a)[:, None]
        last = np.maximum.accumulate(np.where(part, -1, steps), axis=0)
        known[a:b] = np.take_along_axis(known[a:b], np.where(last < 0, np.argmin(part, axis=0), last), axis=0)
    if lost.any():
        notes.append(
            f"{int(lost.any(1).sum()):,} steps lack a value of {', '.join(columns)}: the last one before them is taken."
        )
    return replace(panel, values=values, known=known)


def _without_ends(panel: SeriesPanel, n: int) -> SeriesPanel:
    """Return series without the lines at their ends that have no value and not all of the last ``n`` columns."""
    empty, short = np.isnan(panel.values[:, :-n]).all(axis=1), np.isnan(panel.values[:, -n:]).any(axis=1)
    useful: Array = np.logical_not(np.logical_and(empty, short))
    keep = np.ones(len(useful), dtype=bool)
    for a, b in zip(*panel.bounds, strict=True):
        keep[a + max(1, int(np.max(np.flatnonzero(useful[a:b]) + 1, initial=0))) : b] = False
    labels = None if panel.labels is None else panel.labels[keep]
    return SeriesPanel(
        panel.names, panel.owner[keep], panel.times[keep], panel.places[keep], panel.values[keep], labels
    )
