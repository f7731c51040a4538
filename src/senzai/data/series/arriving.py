"""A series whose steps come one after the other: the windows that are complete, and no more than they need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, final

import numpy as np

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, InputError, ShapeError

from .. import frame_files, sources
from ..labels import as_labels, encode_labels
from ..rows import Array
from ..schema import Field, Schema
from . import conditions, frames
from .details import series_of
from .options import SeriesOptions
from .reading import ReadSeries, of_arrays, of_frame
from .windows import SeriesPanel, WindowRows, Windows

Window = tuple[int, Batch]
"""The step that a window begins with, and the window in model values, as a batch of one row."""


@final
class ArrivingSeries:
    """The steps of one series as they come, in the form of the user's data.

    Windows are those that the whole series would be cut into, in the same order: one every ``stride`` steps, and at the
    end one that ends with the series.

    Args:
        schema: Schema of the model.

    Raises:
        CombinationError: Returns are filtered by all that went before, so that windows do not stand alone.
    """

    def __init__(self, schema: Schema) -> None:
        told = series_of(schema)
        if told.returns != "none":
            raise CombinationError(
                "Steps that come one after the other are values, but this run is of returns, whose filter follows the "
                "whole series. Score the series in one go."
            )
        details = told.model_copy(update={"hidden": 0})
        self.schema, self.told = schema.model_copy(update={"details": details}), details
        self.n = 0
        self._first = 0
        self._kept: SeriesPanel | None = None
        self._cut = 0

    @property
    def settled(self) -> int:
        """Steps, from the first on, that no window to come will hold."""
        told = self.told
        return max(0, self.n - told.window + (told.stride == 1))

    def push(self, steps: object) -> Iterator[Window]:
        """Take further steps, and yield the windows that they complete.

        Args:
            steps: A record (a mapping by the names of the columns), a frame, or an array of one step or of several.

        Raises:
            InputError: They do not come after those before them, or are of another series.
            ShapeError: Columns of the model are missing.
        """
        self._forget()
        self._add(self._read(steps))
        told = self.told
        while self._cut + told.window <= self.n:
            found = self._window(self._cut, told.window)
            if found is not None:
                yield found
            self._cut += told.stride

    def finish(self) -> Iterator[Window]:
        """Yield the window that ends with the series, where none did.

        Raises:
            ShapeError: The series is shorter than a window.
        """
        told, last = self.told, self.n - self.told.window
        if not self.n:
            return
        if last < 0 and not told.ragged:
            raise ShapeError(
                f"The model was fitted on windows of {told.window} steps, but {self.n} came. Give more, or fit with a "
                "shorter window."
            )
        done = self._cut - told.stride
        if max(last, 0) != done or self._cut == 0:
            found = self._window(max(last, 0), min(self.n, told.window))
            if found is not None:
                yield found

    def labelled(self, first: int, values: Array, *, name: str) -> Any:
        """Return numbers of steps from ``first`` on with their times; of arrays the numbers."""
        if self._kept is None or self.schema.form in ("numpy", "torch"):
            return values
        lines = np.arange(first, first + len(values)) - self._first
        windows = Windows(self._kept, np.zeros(1, np.int64), self.told.window)
        column = self.schema.but(columns=(name,), fields={"x": Field.of((self.told.window, 1), "real")})
        frame = frames.series_frame(windows, values[:, None], column, lines)
        return frame_files.to_polars(frame) if self.schema.form == "polars" else frame

    # --- in ---------------------------------------------------------------------------------------------------------
    def _read(self, steps: object) -> ReadSeries:
        """Read some steps as the kind reads a whole series."""
        import pandas as pd

        plain = SeriesOptions.model_validate({})
        if isinstance(steps, dict):
            steps = pd.DataFrame([steps])
        if type(steps).__module__.startswith("polars"):
            steps = frame_files.to_pandas(steps)
        if not sources.is_frame(steps):
            array = np.asarray(steps, dtype=np.float64)
            return of_arrays(np.atleast_2d(array), plain, self.schema)
        frame: Any = steps
        for column in (q.name for q in self.told.exogenous):
            if column in frame and frame[column].isna().any():
                raise InputError(f"Each step that comes needs its {column!r}, but one has none. Give its last value.")
        return of_frame(frame, plain, self.schema, self.told, self.schema.form, "what came")

    def _add(self, read: ReadSeries) -> None:
        """Put steps behind those that are kept, with those between them that did not come."""
        panel, kept = read.panel, self._kept
        if len(panel.names) > 1 or (kept is not None and panel.names != kept.names):
            raise InputError(f"One series comes at a time, but {read.origin} is of another. Take a stream for each.")
        if kept is None:
            self._kept, self.n = panel, len(panel.times)
            self.schema = self.schema.model_copy(update={
                "details": self.told.model_copy(update={"in_index": read.in_index, "time": read.time}),
            })
            return
        if read.time is None:
            panel = replace(panel, times=panel.times + self.n)
        joined = _joined(kept, panel, self._gap(kept, panel))
        self._kept, self.n = joined, self._first + len(joined.times)

    def _gap(self, kept: SeriesPanel, panel: SeriesPanel) -> Array:
        """Return the times between the last step and the next that came."""
        last, coming, calendar = int(kept.times[-1]), int(panel.times[0]), self.told.calendar
        if coming <= last:
            raise InputError("Steps come in the order of their times, but one is not after those before. Sort them.")
        ahead = int(calendar.places(np.array([coming]), last, np.array([last, coming]))[0])
        if ahead < 1:
            raise InputError("Each step of a series comes once, but one is in the step before it. Round the times.")
        return calendar.after(last, ahead - 1) if ahead > 1 else np.empty(0, np.int64)

    def _forget(self) -> None:
        """Drop lines that are in no window to come, and whose numbers have been given."""
        drop = min(self._cut, self.settled) - self._first
        if self._kept is not None and drop > self.told.window:
            self._kept, self._first = _lines(self._kept, slice(drop, None)), self._first + drop

    def _window(self, start: int, length: int) -> Window | None:
        """Return a window, or nothing where it has no value."""
        assert self._kept is not None
        panel = _lines(self._kept, slice(start - self._first, start - self._first + length))
        if np.isnan(panel.values).all():
            return None
        short = np.array([length]) if length < self.told.window else None
        windows = Windows(panel, np.zeros(1, np.int64), self.told.window, short)
        label = None
        if conditions.conditioned_label(self.schema) and panel.labels is not None:
            label = as_labels(panel.labels[-1:])
        targets = conditions.need_label(encode_labels(label, self.schema.label), self.schema, "what came")
        return start, WindowRows(windows, self.told, targets).take(np.zeros(1, np.int64))


def _lines(panel: SeriesPanel, at: slice) -> SeriesPanel:
    """Return some lines of one series."""
    labels, known = (None if v is None else v[at] for v in (panel.labels, panel.known))
    return SeriesPanel(
        panel.names, panel.owner[at], panel.times[at], panel.places[at], panel.values[at], labels, known=known
    )


def _joined(kept: SeriesPanel, panel: SeriesPanel, gap: Array) -> SeriesPanel:
    """Return one series of what was kept, of steps without values, and of what came."""
    n = len(gap)

    def after(first: Array | None, middle: Any, last: Array | None) -> Array | None:
        return None if first is None or last is None else np.concatenate([first, middle, last])

    times = np.concatenate([kept.times, gap, panel.times])
    values = np.concatenate([kept.values, np.full((n, kept.values.shape[1]), np.nan), panel.values])
    labels = after(kept.labels, np.full(n, None, dtype=object), panel.labels)
    known = after(kept.known, None if kept.known is None else np.repeat(kept.known[-1:], n, 0), panel.known)
    places = kept.places[0] + np.arange(len(times))
    return SeriesPanel(kept.names, np.zeros(len(times), np.int64), times, places, values, labels, known=known)
