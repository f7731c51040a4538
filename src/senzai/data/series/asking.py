"""What windows are called, what is refused of them, and what is said of their division and filters."""

from __future__ import annotations

from typing import Any

import numpy as np

from senzai.core.errors import InputError, ShapeError

from ..kind import Opened
from ..rows import Array
from ..schema import Axis, Field
from .details import SeriesDetails
from .reading import ReadSeries
from .windows import RATIO, Windows, stamps


def refuse_short(windows: Windows, told: SeriesDetails, origin: str) -> None:
    """Refuse data without a value, and series that are shorter than the windows of the model."""
    if not len(windows):
        raise InputError(f"Series need a value, but all of {origin} are missing. Check how they were read.")
    if windows.lengths is not None and not told.ragged:
        raise ShapeError(
            f"The model was fitted on windows of {told.window} steps, but {origin} has a series of "
            f"{int(windows.lengths.min())}. Give longer series, or fit with a shorter window."
        )


def refuse_no_ratio(values: Array, level: str, opened: Opened) -> None:
    """Refuse values that have no logarithm of a ratio."""
    if level == RATIO and np.nanmin(values) <= 0:
        j = int(np.argmax((np.nan_to_num(values, nan=1.0) <= 0).any(0)))
        name = opened.columns[j] if opened.columns else j
        raise InputError(
            f"Logarithms of ratios need values above 0, but {name!r} of {opened.origin} has "
            f"{np.nanmin(values[:, j]):g}. Leave that column out, or fit with level=start."
        )


def names_of(read: ReadSeries, windows: Windows) -> Any:
    """Return what rows are called: the time that a window begins with, and its series where there are several."""
    import pandas as pd

    if read.form in ("numpy", "torch"):
        return None
    panel = windows.panel
    times = stamps(panel.times[windows.starts], read.calendar).rename(read.time or "step")
    if read.id is None:
        return times
    names = panel.called(panel.owner[windows.starts])
    return pd.MultiIndex.from_arrays([names, times], names=[read.id, times.name])


def said_of_filters(told: SeriesDetails) -> tuple[str, ...]:
    """Return what is said of returns and of their filters."""
    if told.returns == "none":
        return ()
    said = {"given": "The values are taken for returns.", "log": "Prices became logarithmic returns.",
            "simple": "Prices became simple returns."}[told.returns]
    if not told.filters:
        return (f"{said} Their volatility stays in: windows of it are hard to learn, and filter=gjr takes it out.",)
    kept = [f.alpha + f.gamma / 2 + f.beta for f in told.filters]
    return (
        f"{said} A filter takes the volatility out of each column, estimated from training steps alone: of a shock, "
        f"{min(kept):.3f} to {max(kept):.3f} is left after a step.",
    )


def field_of(windows: Windows, read: ReadSeries) -> Field:
    """Return what a window is."""
    step = read.calendar.step / 1e9 if read.calendar.unit == "time" and read.calendar.rule != "months" else None
    axes = (
        Axis(name="step", size=windows.length, ragged=windows.lengths is not None, spacing=step),
        Axis(name="feature", size=windows.panel.values.shape[1]),
    )
    return Field(axes=axes, support="real")


def said_of_split(split: Any) -> str:
    """Return how windows are divided."""
    if split.by == "time":
        return f"Windows are divided by time: the latest are the test, and no step is in two parts (span {split.span})."
    return "Windows are divided by series: all windows of a series are in one part."
