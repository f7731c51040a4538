"""What is known at the steps of windows beside their values: phases of seasons, and further columns, as numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from senzai.core.errors import SettingError
from senzai.core.later import Tensor, torch

from ..rows import Array
from .calendar import DAY, Calendar
from .details import SeriesDetails

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CYCLES = {"hour": DAY, "weekday": 7 * DAY, "month": 366 * DAY}
"""Seasons that windows can be conditioned on, and how long each is."""
AHEAD = 1200
"""Steps or days behind the data among which a beginning with a wanted calendar is looked for."""


def seasons_of(calendar: Calendar) -> tuple[str, ...]:
    """Return the seasons whose phase differs between the steps of a calendar.

    Example:
        >>> seasons_of(Calendar(unit="time", rule="fixed", step=DAY)), seasons_of(
        ...     Calendar(unit="time", rule="months", step=1))
        (('weekday', 'month'), ('month',))
    """
    if calendar.unit == "number":
        return ()
    if calendar.rule == "months":
        return ("month",) if calendar.step < 12 else ()
    return tuple(name for name, length in CYCLES.items() if calendar.step < length)


def phase(wall: Array, season: str) -> Array:
    """Return where in a season the clock on the wall is, 0 to 1.

    Example:
        >>> phase(np.array([DAY // 4]), "hour"), phase(np.array([0]), "weekday") * 7  # a Thursday
        (array([0.25]), array([3.]))
    """
    if season == "hour":
        return np.asarray((wall % DAY) / DAY)
    if season == "weekday":
        return np.asarray((wall // DAY + 3) % 7 / 7)
    return np.asarray(wall.astype("datetime64[ns]").astype("datetime64[M]").astype(np.int64) % 12 / 12)


def named(phases: Array, season: str) -> list[Any]:
    """Return phases as users call them: hours of the day, days of the week, numbers of months.

    Example:
        >>> named(np.array([0.25, 0.3125]), "hour"), named(np.array([3 / 7]), "weekday")
        ([6, 7.5], ['thursday'])
    """
    if season == "weekday":
        return [DAYS[round(p * 7)] for p in phases]
    hours = [round(24 * float(p), 6) for p in phases] if season == "hour" else [12 * float(p) + 1 for p in phases]
    return [round(h) if season == "month" or h == round(h) else h for h in hours]


def unnamed(value: object, season: str) -> float:
    """Return the phase that a user's word means, the inverse of :func:`named`; an hour may be written 7:30.

    Raises:
        SettingError: It means none.

    Example:
        >>> unnamed("7:30", "hour"), unnamed("Thursday", "weekday") * 7, unnamed("7", "month")
        (0.3125, 3.0, 0.5)
    """
    text, found = str(value).strip().lower(), math.nan
    if season == "weekday":
        found = DAYS.index(text) / 7 if text in DAYS else math.nan
    else:
        whole, _, part = text.partition(":")
        try:
            minutes = float(part) if part else 0.0
            number = float(whole) + minutes / 60 if 0 <= minutes < 60 else math.nan
        except ValueError:
            number = math.nan
        if season == "hour":
            found = number / 24
        elif number in range(1, 13):
            found = (number - 1) / 12
    if not 0 <= found < 1:
        ways = {"hour": "from 0 to below 24, such as 7.5 or 7:30", "weekday": f"one of {', '.join(DAYS)}",
                "month": "a number from 1 to 12"}[season]
        one = "An hour" if season == "hour" else f"A {season}"
        raise SettingError(f"{one} is {ways}, but got {season}={value!r}. Write it so.")
    return found


def waves(times: Array, told: SeriesDetails) -> Array:
    """Return sine and cosine of each season at some times, ``(*shape, 2 * seasons)``."""
    wall = told.calendar.wall(times.reshape(-1))
    angle = [2 * np.pi * phase(wall, season).reshape(times.shape) for season in told.seasons]
    return np.stack([f(a) for a in angle for f in (np.sin, np.cos)], -1)


def beginning(told: SeriesDetails, wanted: Mapping[str, object]) -> int:
    """Return the first time behind the data that a window with a wanted calendar begins at.

    Raises:
        SettingError: No step of the calendar is like that.
    """
    phases = {season: unnamed(value, season) for season, value in wanted.items()}
    calendar = told.calendar
    coming = int(calendar.wall(calendar.after(told.end, 1))[0])
    if calendar.rule == "months" or calendar.step >= DAY:
        walls = calendar.wall(calendar.after(told.end, AHEAD))
    else:
        clock = round(phases.pop("hour") * DAY) if "hour" in phases else coming % DAY
        walls = (coming // DAY + np.arange(AHEAD)) * DAY + clock
        walls = walls[walls >= coming]
    fits = np.ones(len(walls), dtype=bool)
    for season, value in phases.items():
        fits &= np.abs(phase(walls, season) - value) < 1e-6
    if not fits.any():
        asked = ", ".join(f"{k}={v}" for k, v in wanted.items())
        raise SettingError(f"A window begins at a step of its calendar, but none comes with {asked}. Give another.")
    return int(calendar.unwalled(walls[fits][:1])[0])


def steps_from(told: SeriesDetails, start: int) -> Array:
    """Return the times of the steps of a window that begins at some time."""
    return np.append(start, told.calendar.after(start, told.window - 1))


# --- as numbers ------------------------------------------------------------------------------------------------------
def along(times: Array, known: Array | None, told: SeriesDetails) -> Array | None:
    """Return what is known at each line, as model values ``(R, n)``: waves of seasons, and standardised columns."""
    parts = [waves(times, told)] if told.seasons else []
    if told.exogenous and known is not None:
        parts.append(standard(known, told))
    return np.concatenate(parts, 1).astype(np.float32) if parts else None


def standard(known: Array, told: SeriesDetails) -> Array:
    """Return further columns, ``(*shape, k)``, less their mean and in units of their deviation."""
    mean, scale = (np.array([getattr(q, n) for q in told.exogenous]) for n in ("mean", "scale"))
    return np.asarray((known - mean) / scale)


def flat(codes: Array) -> Tensor:
    """Return numbers along the steps, ``(n, L, k)``, as conditions ``(n, k * L)``: all steps of one after the other.

    Example:
        >>> flat(np.array([[[1, 10], [2, 20], [3, 30]]])).tolist()
        [[1.0, 2.0, 3.0, 10.0, 20.0, 30.0]]
    """
    return torch.from_numpy(np.ascontiguousarray(codes.swapaxes(1, 2))).flatten(1).float()
