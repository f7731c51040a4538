"""Windows as dated frames, and overlapping windows as the series they were cut from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..rows import Array
from ..schema import Schema
from .details import SeriesDetails, series_of
from .windows import Windows, dates_of, stamps

WINDOW = "window"


def windows_frame(values: Array, schema: Schema, about: Mapping[str, Any] | None) -> Any:
    """Return windows ``(N, L, d)`` below each other: number of the window, series, time, and the columns."""
    import pandas as pd

    told = series_of(schema)
    n, length = values.shape[:2]
    made = {WINDOW: np.repeat(np.arange(n), length)}
    if told.id is not None and about and "series" in about:
        made[told.id] = np.repeat(about["series"], length)
    made[told.time_name] = stamps(dates_of(schema, about, n, length).reshape(-1), told.calendar)
    made |= _columns(values.reshape(n * length, -1), schema)
    frame = pd.DataFrame(made)
    if about and "length" in about:
        frame = frame[np.tile(np.arange(length), n) < np.repeat(about["length"], length)].reset_index(drop=True)
    return frame


def _columns(values: Array, schema: Schema) -> dict[str, Any]:
    names = schema.columns or tuple(f"x{j}" for j in range(values.shape[1]))
    return {str(c): values[:, j] for j, c in enumerate(names)}


def as_were(frame: Any, told: SeriesDetails, schema: Schema) -> Any:
    """Return a frame whose whole numbers are whole again, as far as none is missing, with times where they were."""
    import pandas as pd

    names = schema.columns or ()
    for name, dtype in zip(names, told.dtypes, strict=True) if len(told.dtypes) == len(names) else ():
        kind = pd.api.types.pandas_dtype(dtype) if dtype in ("int64", "int32", "float32", "Int64") else None
        if kind is not None and str(name) in frame and not (frame[str(name)].isna().any() and dtype.startswith("int")):
            frame[str(name)] = frame[str(name)].astype(kind)
    return frame


def best_windows(windows: Windows, among: Array | None = None) -> tuple[Array, Array, Array]:
    """Return for each line that a window covers: the line, the window in which it is farthest from an end, its step.

    Args:
        windows: The windows.
        among: Which of them to take; all by default.

    Example:
        >>> from senzai.data.series.windows import SeriesPanel, cut
        >>> place = np.arange(5)
        >>> panel = SeriesPanel((None,), np.zeros(5, int), place, place, np.ones((5, 1)))
        >>> [v.tolist() for v in best_windows(cut(panel, 3, 2))]
        [[0, 1, 2, 3, 4], [0, 0, 0, 1, 1], [0, 1, 2, 1, 2]]
    """
    chosen = np.arange(len(windows)) if among is None else among
    lengths = np.full(len(chosen), windows.length) if windows.lengths is None else windows.lengths[chosen]
    step = np.concatenate([np.arange(n) for n in lengths]) if len(chosen) else np.empty(0, np.int64)
    window = np.repeat(chosen, lengths)
    line = np.repeat(windows.starts[chosen], lengths) + step
    far = np.minimum(step, np.repeat(lengths, lengths) - 1 - step)
    order = np.lexsort((window, -far, line))
    first = np.concatenate([[True], np.diff(line[order]) > 0]) if len(order) else np.empty(0, bool)
    at = order[first]
    return line[at], window[at], step[at]


def means_of_lines(windows: Windows, values: Array) -> Array:
    """Return for each line the mean of the numbers ``(N, L)`` that windows have for it; NaN where none has one."""
    lengths = np.full(len(windows), windows.length) if windows.lengths is None else windows.lengths
    there = (np.arange(windows.length) < lengths[:, None]) & ~np.isnan(values)
    lines = (windows.starts[:, None] + np.arange(windows.length))[there]
    n = len(windows.panel.times)
    total, count = np.bincount(lines, values[there], n), np.bincount(lines, minlength=n)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def series_frame(windows: Windows, values: Array, schema: Schema, lines: Array | None = None) -> Any:
    """Return values of lines ``(R, d)`` as the user's form of series: series, time, columns.

    Args:
        windows: Where the lines come from.
        values: Values of the lines.
        schema: What they are.
        lines: Which lines these are; all by default.
    """
    import pandas as pd

    told, panel = series_of(schema), windows.panel
    at = np.arange(len(panel.times)) if lines is None else lines
    made: dict[str, Any] = {}
    if told.id is not None:
        made[told.id] = panel.called(panel.owner[at])
    times = stamps(panel.times[at], told.calendar)
    if told.time is not None and not told.in_index:
        made[told.time] = times
    made |= _columns(values, schema)
    frame = as_were(pd.DataFrame(made), told, schema)
    return frame.set_axis(times.rename(told.time), axis=0) if told.in_index else frame
