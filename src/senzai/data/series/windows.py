"""Series on their calendar, and the windows that are cut out of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, final

import numpy as np

from senzai.core.batch import Batch
from senzai.core.later import Tensor, torch

from ..fingerprint import of_array
from ..rows import Array, Rows, Targets, as_index
from ..schema import Schema
from .calendar import Calendar
from .details import SeriesDetails, series_of
from .filters import Garch, to_user, unmixed
from .seasons import along, flat

RATIO = "log"


@dataclass(frozen=True, eq=False)
class SeriesPanel:
    """Series one after the other, each with every step of the calendar from its first to its last.

    Args:
        names: What each series is called; ``(None,)`` for a single one without a name.
        owner: Number of the series of each line, ``(R,)``.
        times: Time of each line, ``(R,)``.
        places: Number of its step, the earliest of all series being 0, ``(R,)``.
        values: Values, NaN where there are none, ``(R, d)``.
        labels: Label of each line.
        prices: Prices, where the values are their returns.
        before: The last price before each line.
        variances: Variance of each line given those before it, where a filter took it out of the values.
        coming: Variance of each series at the step after its last.
        known: Further columns, whose values are known also where those of the series are not, ``(R, k)``; no holes.
    """

    names: tuple[Any, ...]
    owner: Array
    times: Array
    places: Array
    values: Array
    labels: Array | None = None
    prices: Array | None = None
    before: Array | None = None
    variances: Array | None = None
    coming: Array | None = None
    known: Array | None = None

    @property
    def user(self) -> Array:
        """What the user gave of each line."""
        return self.values if self.prices is None else self.prices

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        """First line of each series, and the one behind its last."""
        series = np.arange(len(self.names))
        return np.searchsorted(self.owner, series), np.searchsorted(self.owner, series, side="right")

    def called(self, owner: Array) -> Array:
        """Return the names of series by their numbers."""
        names = np.array(self.names)
        if len(names) != len(self.names) or names.ndim != 1 or names.dtype.kind not in "iuf":
            names = np.empty(len(self.names), dtype=object)
            names[:] = self.names
        return np.asarray(names[owner])


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of a panel.

    Args:
        panel: The series.
        starts: First line of each window, ``(N,)``.
        length: Steps of a window.
        lengths: Steps of each window, where some series are shorter.
    """

    panel: SeriesPanel
    starts: Array
    length: int
    lengths: Array | None = None

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def fingerprint(self) -> str:
        """A fingerprint of times and values, and of where windows begin."""
        panel = self.panel
        beside = [] if panel.known is None else [panel.known.ravel()]
        marks = np.concatenate([panel.times, panel.owner, self.starts, [self.length], *beside]).astype(np.float64)
        return of_array(np.concatenate([panel.values.astype(np.float64).ravel(), marks]))

    def lines(self, index: Array) -> Array:
        """Return the lines of some windows, ``(n, L)``; behind the end of a short one its last line again."""
        lines = self.starts[index][:, None] + np.arange(self.length)
        if self.lengths is not None:
            lines = np.minimum(lines, (self.starts + self.lengths - 1)[index][:, None])
        return np.asarray(lines)

    def values(self, index: Array) -> Array:
        """Return the user's values of some windows, ``(n, L, d)``; NaN where there are none."""
        found = self.panel.values[self.lines(index)]
        if self.lengths is not None:
            found[np.arange(self.length) >= self.lengths[index][:, None]] = np.nan
        return found

    def about(self, index: Array, level: str) -> Mapping[str, Any]:
        """Return what travels with windows: series, place and times of its steps, and the level it starts from."""
        lines = self.lines(index)
        told = {"series": self.panel.called(self.panel.owner[lines[:, 0]]), "place": self.panel.places[lines[:, 0]],
                "times": self.panel.times[lines]}
        if self.lengths is not None:
            told["length"] = self.lengths[index]
        if self.panel.before is not None:
            told["before"] = self.panel.before[lines[:, 0]]
        if self.panel.variances is not None:
            told["variance"] = self.panel.variances[lines]
        return told if level == "keep" else {**told, "level": levels(self.values(index))}

    def chosen(self, index: Array) -> Windows:
        """Return some of the windows."""
        return replace(self, starts=self.starts[index], lengths=None if self.lengths is None else self.lengths[index])


def levels(values: Array) -> Array:
    """Return the first value that each window has of each column, ``(n, d)``; NaN where it has none.

    Example:
        >>> levels(np.array([[[np.nan, 3.0], [2.0, 4.0]]])).tolist()
        [[2.0, 3.0]]
    """
    first = np.argmax(~np.isnan(values), axis=1)
    return np.take_along_axis(values, first[:, None], axis=1)[:, 0]


def cut(panel: SeriesPanel, window: int, stride: int) -> Windows:
    """Cut windows: one every ``stride`` steps, and one that ends with the series; none that has no value at all.

    A series that is shorter than the window is one window of its own length. Of prices the first has no return, and is
    in no window.
    """
    begin, behind = panel.bounds
    if panel.before is not None:
        begin = np.minimum(begin + 1, behind - 1)
    starts, lengths = [], []
    for a, b in zip(begin, behind, strict=True):
        last = max(a, b - window)
        own = np.unique(np.append(np.arange(a, last + 1, stride), last))
        starts.append(own)
        lengths.append(np.full(len(own), min(window, b - a)))
    found, steps = np.concatenate(starts), np.concatenate(lengths)
    seen = np.concatenate([[0], np.cumsum(~np.isnan(panel.values).all(1))])
    there = seen[found + steps] > seen[found]
    short = bool((steps < window).any())
    return Windows(panel, found[there], window, steps[there] if short else None)


def standardised(windows: Windows, filters: tuple[Garch, ...]) -> Windows:
    """Return windows of residuals: returns less their mean, in units of their volatility, and the variances.

    Before the first return of a series its first variance stands, and behind the step after its last return none.
    """
    panel = windows.panel
    values, variances = np.empty_like(panel.values), np.empty_like(panel.values)
    coming = np.empty((len(panel.names), panel.values.shape[1]))
    for j, law in enumerate(filters):
        for i, (a, b) in enumerate(zip(*panel.bounds, strict=True)):
            returns = panel.values[a:b, j]
            there = np.flatnonzero(~np.isnan(returns))
            first, behind = (int(there[0]), int(there[-1]) + 1) if len(there) else (0, 0)
            moved = law.variances(returns[first:behind])
            whole = np.concatenate([np.full(first, moved[0]), moved, np.full(b - a - behind, np.nan)])
            values[a:b, j] = (returns - law.mean) / np.sqrt(whole[:-1])
            variances[a:b, j], coming[i, j] = whole[:-1], moved[-1]
    return replace(windows, panel=replace(panel, values=values, variances=variances, coming=coming))


def filtered(windows: Windows, told: SeriesDetails) -> Windows:
    """Return windows of what filters leave of returns, if there are any, with the variances that they took out."""
    if not told.filters or windows.panel.variances is not None:
        return windows
    found = standardised(windows, told.filters)
    return replace(found, panel=replace(found.panel, values=unmixed(found.panel.values, told.mixing)))


# --- model values -----------------------------------------------------------------------------------------------------
def levelled(values: Array, level: Array | None, how: str) -> Array:
    """Return values counted from the level of their window."""
    if level is None or how == "keep":
        return values
    if how == RATIO:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(values / level[:, None]))
    return np.asarray(values - level[:, None])


def unlevelled(values: Array, level: Array | None, how: str) -> Array:
    """Return values in the user's units again."""
    if level is None or how == "keep":
        return values
    return np.asarray(level[:, None] * np.exp(values) if how == RATIO else values + level[:, None])


def lines_of(windows: Windows, index: Array) -> Array:
    """Return which lines some windows cover, ``(R,)`` of bool."""
    lines = np.zeros(len(windows.panel.values) + 1, dtype=np.int64)
    np.add.at(lines, windows.starts[index], 1)
    ends = windows.starts + (windows.length if windows.lengths is None else windows.lengths)
    np.add.at(lines, np.asarray(ends[index], dtype=np.int64), -1)
    return np.asarray(np.cumsum(lines)[:-1] > 0)


def moments(windows: Windows, index: Array, how: str) -> tuple[Array, Array]:
    """Return mean and standard deviation of each column over the steps of some windows, and over no others.

    Where values are kept as they are, each step counts once, however many windows it is in; counted from a level, its
    value differs from window to window, and each counts.
    """
    if how == "keep":
        values = windows.panel.values[lines_of(windows, index)]
    else:
        some = index if len(index) <= 20_000 else index[:: -(-len(index) // 20_000)]
        raw = windows.values(some)
        values = levelled(raw, levels(raw), how).reshape(-1, raw.shape[2])
    there = ~np.isnan(values)
    n = np.maximum(1, there.sum(0))
    mean = np.where(there, values, 0).sum(0) / n
    spread = np.sqrt((np.where(there, values - mean, 0) ** 2).sum(0) / n)
    return mean, np.where(spread > 1e-12 * np.maximum(1, np.abs(mean)), spread, 1.0)


@final
class WindowRows(Rows):
    """Windows in model values, cut when they are asked for: the series are in memory once, however windows overlap.

    Args:
        windows: The windows.
        details: What their numbers are.
        targets: Labels of the windows.
    """

    in_memory = False

    def __init__(self, windows: Windows, details: SeriesDetails, targets: Targets) -> None:
        self.windows, self.details, self.targets = filtered(windows, details), details, targets
        self.lengths = None if windows.lengths is None else torch.from_numpy(windows.lengths.astype(np.int64))
        panel = self.windows.panel
        unused = panel.bounds[0][: 0 if panel.before is None else None]
        self._holes = bool(np.isnan(np.delete(panel.values, unused, axis=0)).any())
        self._along = along(panel.times, panel.known, details)

    def __len__(self) -> int:
        return len(self.windows)

    def take(self, index: Array) -> Batch:
        """Return some windows, standardised; what is not observed is zero, with a mask that says so."""
        at = as_index(index)
        raw, told = self.windows.values(at), self.details
        x = levelled(raw, levels(raw) if told.level != "keep" else None, told.level)
        x = (x - np.array(told.shift)) / np.array(told.scale)
        mask = None
        if self._holes or told.hidden:
            seen = ~np.isnan(raw)
            if told.hidden:
                seen[at % 2 == 1, -told.hidden :] = False
            mask = torch.from_numpy(seen)
        values = torch.from_numpy(np.nan_to_num(x).astype(np.float32))
        if mask is not None:
            values = values.masked_fill(~mask, 0.0)
        rows, lengths = torch.from_numpy(at), None if isinstance(self.lengths, dict) else self.lengths
        known = self.targets.for_rows(rows)
        if self._along is not None:
            steps = flat(self._along[self.windows.lines(at)])
            known["c"] = steps if known["c"] is None else torch.cat([known["c"], steps], 1)
        return Batch(values, mask=mask, lengths=None if lengths is None else lengths[rows], **known)

    def about(self, index: Array) -> Mapping[str, Any]:
        """Return series, times and level of some windows."""
        return self.windows.about(as_index(index), self.details.level)

    @property
    def nbytes(self) -> int:
        """Bytes that all windows would take as model values."""
        return 4 * len(self) * self.windows.length * int(self.windows.panel.values.shape[1])


def units(x: Tensor, schema: Schema, about: Mapping[str, Any] | None) -> Array:
    """Return model values ``(N, L, d)`` in the user's units, unrounded."""
    told = series_of(schema)
    values = x.detach().double().cpu().numpy() * np.array(told.scale) + np.array(told.shift)
    if told.returns != "none":
        return to_user(values, told, about)
    level = None
    if told.level != "keep":
        level = np.array(about["level"]) if about and "level" in about else np.tile(told.last, (len(values), 1))
        level = np.where(np.isnan(level), np.array(told.last), level)
    return unlevelled(values, level, told.level)


def rounded(values: Array, told: SeriesDetails) -> Array:
    """Return values rounded like the user's columns."""
    out = values.copy()
    for j, decimals in enumerate(told.decimals):
        if decimals is not None:
            out[..., j] = np.round(out[..., j], decimals)
    return out


def dates_of(schema: Schema, about: Mapping[str, Any] | None, n: int, length: int) -> Array:
    """Return the times of the steps of windows, ``(N, L)``: their own, or those that follow the data."""
    told = series_of(schema)
    if about and "times" in about:
        return np.asarray(about["times"])[:, :length]
    return np.tile(told.calendar.after(told.end, length), (n, 1))


def stamps(times: Array, calendar: Calendar) -> Any:
    """Return times as pandas knows them, in their zone."""
    import pandas as pd

    if calendar.unit == "number":
        return pd.Index(times)
    found = pd.DatetimeIndex(times.astype("datetime64[ns]"))
    return found if calendar.zone is None else found.tz_localize("UTC").tz_convert(calendar.zone)


def coming_of(windows: Windows) -> tuple[float, ...]:
    """Return the variance of each column at the step after the last, where a filter knows it."""
    coming = windows.panel.coming
    return () if coming is None else tuple(float(v) for v in coming[-1])


def as_array(source: Windows, values: Array) -> Array:
    """Return values of lines as an array of series, NaN behind the end of short ones; of one series its steps."""
    begin, behind = source.panel.bounds
    made = np.full((len(begin), int((behind - begin).max()), values.shape[1]), np.nan)
    for i, (a, b) in enumerate(zip(begin, behind, strict=True)):
        made[i, : b - a] = values[a:b]
    return made[0] if len(begin) == 1 else made


def last_of(windows: Windows) -> tuple[float, ...]:
    """Return the last values of the last series, of columns that are missing there the last that were seen."""
    user = windows.panel.user
    values = user[windows.panel.owner == windows.panel.owner[-1]][::-1]
    last = levels(values[None])[0]
    every = levels(user[None])[0]
    return tuple(float(v) for v in np.where(np.isnan(last), every, last))
