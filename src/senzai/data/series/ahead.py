"""Series that go on for some steps that nobody has seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np

from senzai.core.errors import SettingError

from ..rows import Array
from ..schema import Schema
from ..split import split_indices
from .details import SeriesDetails, series_of
from .windows import SeriesPanel, Windows

Parts: TypeAlias = list[tuple[int, Array]]
"""Series by their numbers, and the lines of each that a forecast sees."""


def _on(values: Array, parts: Parts, new: Array) -> Array:
    return np.concatenate([np.concatenate([values[lines], new]) for _, lines in parts])


def beyond(source: Windows, told: SeriesDetails, horizon: int, *, hold: bool = False) -> Windows:
    """Return for each series the window that ends ``horizon`` steps behind its last, which have no values.

    Where there are columns that are known ahead, a series ends with its last value, and lines behind it say what they
    will be.

    Args:
        source: The series.
        told: What is known about them.
        horizon: Steps.
        hold: Whether columns that are known for fewer steps go on with their last values.

    Raises:
        SettingError: No past would be left in the window, or columns are not known for all steps.
    """
    if not 1 <= horizon < told.window:
        raise SettingError(
            "A forecast is part of a window whose other steps are the past: `1 <= horizon < window` must hold, but "
            f"got horizon={horizon} and window={told.window}. Fit with a longer window."
        )
    panel, past = source.panel, told.window - horizon
    ends = panel.bounds[1] if not told.exogenous else last_values(panel)
    kept = [np.arange(max(a, b - past), b) for a, b in zip(panel.bounds[0], ends, strict=True)]
    parts = [(i, lines) for i, lines in enumerate(kept) if len(lines) == past or (told.ragged and len(lines))]
    if not parts:
        raise SettingError(f"A forecast sees {past} steps of the past, but no series is as long. Give longer series.")
    new = np.full((horizon, panel.values.shape[1]), np.nan)
    made = SeriesPanel(
        panel.names, np.concatenate([np.full(len(lines) + horizon, i) for i, lines in parts]),
        np.concatenate([
            np.append(panel.times[r], told.calendar.after(int(panel.times[r[-1]]), horizon)) for _, r in parts
        ]),
        np.concatenate([np.append(panel.places[r], panel.places[r[-1]] + 1 + np.arange(horizon)) for _, r in parts]),
        _on(panel.values, parts, new),
        None if panel.labels is None else panel.labels[np.concatenate([_lasting(r, horizon) for _, r in parts])],
        known=_known(panel, parts, horizon, told, hold=hold),
    )
    if panel.prices is not None and panel.before is not None:
        made = replace(made, prices=_on(panel.prices, parts, new), before=_on(panel.before, parts, new))
    lengths = np.array([len(lines) + horizon for _, lines in parts])
    starts = np.cumsum([0, *lengths[:-1]])
    return Windows(made, starts, told.window, lengths if bool((lengths < told.window).any()) else None)


def unseen(source: Windows, schema: Schema) -> dict[str, Array]:
    """Return which windows of other data validated, and which are a test, where the model's own data may be a part.

    Data that were fitted and have gone on since are divided as they were, and what came since is a test. Of others,
    where time divides, windows are a test that begin after all that trained or validated; where series do, all.

    Args:
        source: Windows of the other data.
        schema: What the model's own data were.
    """
    told, panel, every = series_of(schema), source.panel, np.arange(len(source))
    begins = panel.times[source.starts]
    ends = panel.times[source.lines(every)[:, -1]]
    was = every[ends <= told.end]
    by_time = schema.split.by == "time"
    since = every[begins > told.trained] if by_time else every
    if len(was) != schema.n_rows:
        return {"test": since}
    starts = source.starts[was]
    parts = split_indices(len(was), schema.split, panel.owner[starts], panel.places[starts])
    test = np.union1d(was[parts["test"]], since) if by_time else was[parts["test"]]
    return {"validation": was[parts["validation"]], "test": test}


def last_values(panel: SeriesPanel) -> Array:
    """Return for each series the line behind the last that has a value; its beginning where none has."""
    there: Array = np.logical_not(np.isnan(panel.values).all(axis=1))
    return np.array([a + np.max(np.flatnonzero(there[a:b]) + 1, initial=0) for a, b in zip(*panel.bounds, strict=True)])


def _lasting(lines: Array, horizon: int) -> Array:
    return np.append(lines, np.full(horizon, lines[-1]))


def _known(panel: SeriesPanel, parts: Parts, horizon: int, told: SeriesDetails, *, hold: bool) -> Array | None:
    """Return columns that are known beside the values, of what is seen and of the steps ahead."""
    if panel.known is None:
        return None
    found = []
    for i, lines in parts:
        ahead = np.arange(lines[-1] + 1, min(lines[-1] + 1 + horizon, panel.bounds[1][i]))
        if len(ahead) < horizon and not hold:
            names = ", ".join(q.name for q in told.exogenous)
            whose = "" if panel.names[i] is None else f" of {panel.names[i]!r}"
            raise SettingError(
                f"A forecast of {horizon} steps needs {names} at each of them, but the data have them for {len(ahead)} "
                f"steps behind the last value{whose}. Add lines with them and without values, forecast fewer steps, or "
                "let them keep their last values with hold=true."
            )
        whole = np.concatenate([lines, ahead])
        found.append(panel.known[np.append(whole, np.full(horizon - len(ahead), whole[-1]))])
    return np.concatenate(found)
