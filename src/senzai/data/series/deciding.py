"""What is decided about series before training: the season, the window, and what is said of them."""

from __future__ import annotations

import numpy as np

from senzai.core.errors import InputError, SettingError

from ..facts import survey
from ..rows import Array
from .options import SeriesOptions
from .reading import ReadSeries
from .windows import SeriesPanel, Windows, cut, stamps

USUAL, LEAST, MOST = 24, 8, 512
FILTERED = 5
"""Steps of a window of what a filter leaves."""
REPEATS = 0.3
"""Autocorrelation at its lag from which a season is one."""
DENSE = 200_000
"""Windows from which they are not cut at every step."""


def season_of(read: ReadSeries) -> int | None:
    """Return the steps of the strongest season that the calendar suggests; found in the first half of each series."""
    found = {s: _repeats(read.panel, s) for s in read.calendar.seasons}
    strong = {s: r for s, r in found.items() if r > REPEATS}
    if not strong:
        return None
    best = max(strong.values())
    return min(s for s, r in strong.items() if r > best - 0.1)


def _repeats(panel: SeriesPanel, lag: int) -> float:
    """Return the autocorrelation of changes from step to step, over the columns and series that are long enough."""
    begin, behind = panel.bounds
    found = []
    for a, b in zip(begin, behind, strict=True):
        changes = np.diff(panel.values[a : a + (b - a) // 2], axis=0)
        if len(changes) < 2 * lag + 2:
            continue
        for column in changes.T:
            there = ~np.isnan(column)
            if there.sum() < 2 * lag or column[there].std() == 0:
                continue
            z = np.where(there, (column - column[there].mean()) / column[there].std(), 0)
            pairs = (there[lag:] & there[:-lag]).sum()
            found.append(float((z[lag:] * z[:-lag]).sum() / max(1, pairs)))
    return float(np.mean(found)) if found else 0.0


def windows_of(read: ReadSeries, options: SeriesOptions, season: int | None) -> tuple[Windows, int, list[str]]:
    """Cut the windows of a fit; also the stride, and what was chosen.

    Raises:
        InputError: There are too few steps.
        SettingError: The window is longer than every series.
    """
    begin, behind = read.panel.bounds
    longest = int((behind - begin).max())
    if longest < 2:
        raise InputError(f"A series needs two steps at least, but {read.origin} has one line. Give more.")
    longest -= read.panel.before is not None
    window, why = _window(read, options, season, longest)
    steps = int((behind - begin).sum())
    stride = options.stride or max(1, round(steps / DENSE))
    if options.horizon >= window:
        raise SettingError(
            f"`horizon < window` must hold, so that a past is left to see, but got horizon={options.horizon} and "
            f"window={window}. Take a longer window."
        )
    found = cut(read.panel, window, stride)
    said = [f"Windows have {window} steps, {why}, and begin every {'step' if stride == 1 else f'{stride} steps'}."]
    if not len(found):
        raise InputError(f"Series need a value, but all of {read.origin} are missing. Check how they were read.")
    if stride < window and len(found) > 1:
        alone = sum(max(1, int(b - a) // window) for a, b in zip(begin, behind, strict=True))
        said.append(f"They overlap: {len(found):,} windows hold what about {alone:,} that do not overlap would hold.")
    return found, stride, said


def _window(read: ReadSeries, options: SeriesOptions, season: int | None, longest: int) -> tuple[int, str]:
    if options.window is not None:
        if options.window > longest:
            raise SettingError(
                f"A window lies within a series, but got window={options.window} and series of {longest} steps at "
                f"most. Take {longest} or fewer."
            )
        return options.window, "as asked for"
    if not read.dated:
        return longest, "the longest series"
    if options.law != "none":
        return min(FILTERED, longest), "as what a filter leaves has little to say of the steps after it"
    usual = USUAL if season is None else season * -(-USUAL // season)
    most = max(2, min(MOST, longest // LEAST))
    chosen = min(usual, most)
    return chosen, "as the season has" if season and chosen == usual and usual == season else "by default"


def told_of(read: ReadSeries, season: int | None) -> list[str]:
    """Return what was found: how many series, of which frequency, from when to when, and which are constant."""
    panel = read.panel
    begin, behind = panel.bounds
    n, what = len(begin), "column" if panel.values.shape[1] == 1 else "columns"
    lengths = behind - begin
    least, most = int(lengths.min()), int(lengths.max())
    steps = f"{most:,} steps" if least == most else f"{least:,} to {most:,} steps"
    some = "One series" if n == 1 else f"{n:,} series"
    said = [f"{some} of {steps} {read.calendar.words} and {panel.values.shape[1]} {what}."]
    if read.time is not None:
        ends = stamps(np.array([panel.times.min(), panel.times.max()]), read.calendar)
        said.append(f"Times go from {ends[0]} to {ends[1]}.")
    if season is not None:
        said.append(f"Changes repeat every {season} steps: that is taken for the season.")
    return said


def looked_at(panel: SeriesPanel, columns: tuple[str | int, ...] | None) -> tuple[tuple[int | None, ...], list[str]]:
    """Return the decimals of each column, and what is said of those that are constant.

    Raises:
        InputError: A column has no value, or one that 32-bit numbers cannot hold.
    """
    names = list(columns) if columns is not None else list(range(panel.user.shape[1]))
    gone = np.isnan(panel.user).all(0)
    if gone.any():
        name = names[int(np.argmax(gone))]
        raise InputError(f"Every column needs a value, but all of {name!r} are missing. Leave it out: columns=...")
    filled = np.where(np.isnan(panel.user), np.nanmin(panel.user, axis=0), panel.user)
    facts = survey(filled, columns=columns)
    said = []
    if facts.constant:
        some = ", ".join(str(names[i]) for i in facts.constant[:3])
        said.append(f"{len(facts.constant)} columns have one value only: {some}. There is nothing to learn from them.")
    return tuple(_decimals(column, known) for column, known in zip(filled.T, facts.decimals, strict=True)), said


def _decimals(column: Array, known: int | None) -> int | None:
    """Return decimals where 32-bit numbers of the column's size still tell neighbours apart."""
    if known is None or np.abs(column).max() * 10**known > 2**24:
        return None
    return known
