"""Series that go on for some steps that nobody has seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from senzai.core.errors import SettingError

from ..rows import Array
from .details import SeriesDetails
from .windows import SeriesPanel, Windows


def _on(values: Array, parts: list[tuple[int, Array]], new: Array) -> Array:
    return np.concatenate([np.concatenate([values[lines], new]) for _, lines in parts])


def beyond(source: Windows, told: SeriesDetails, horizon: int) -> Windows:
    """Return for each series the window that ends ``horizon`` steps behind its last, which have no values.

    Raises:
        SettingError: No past would be left in the window.
    """
    if not 1 <= horizon < told.window:
        raise SettingError(
            "A forecast is part of a window whose other steps are the past: `1 <= horizon < window` must hold, but "
            f"got horizon={horizon} and window={told.window}. Fit with a longer window."
        )
    panel, past = source.panel, told.window - horizon
    begin, behind = panel.bounds
    kept = [np.arange(max(a, b - past), b) for a, b in zip(begin, behind, strict=True)]
    parts = [(i, lines) for i, lines in enumerate(kept) if len(lines) == past or told.ragged]
    if not parts:
        raise SettingError(f"A forecast sees {past} steps of the past, but no series is as long. Give longer series.")
    new = np.full((horizon, panel.values.shape[1]), np.nan)
    made = SeriesPanel(
        panel.names, np.concatenate([np.full(len(lines) + horizon, i) for i, lines in parts]),
        np.concatenate([
            np.append(panel.times[r], told.calendar.after(int(panel.times[r[-1]]), horizon)) for _, r in parts
        ]),
        np.concatenate([np.append(panel.places[r], panel.places[r[-1]] + 1 + np.arange(horizon)) for _, r in parts]),
        np.concatenate([np.concatenate([panel.values[r], new]) for _, r in parts]),
    )
    if panel.prices is not None and panel.before is not None:
        made = replace(made, prices=_on(panel.prices, parts, new), before=_on(panel.before, parts, new))
    lengths = np.array([len(lines) + horizon for _, lines in parts])
    starts = np.cumsum([0, *lengths[:-1]])
    return Windows(made, starts, told.window, lengths if bool((lengths < told.window).any()) else None)
