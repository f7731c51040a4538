"""How time goes on: by a fixed step, by the clock on the wall, by months, or by the stamps that there are.

Times are whole numbers: nanoseconds since 1970 (in UTC where there is a zone), or numbers as they come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from senzai.core.errors import InputError

from ..rows import Array
from ..schema import Frozen

SECOND, DAY = 10**9, 86_400 * 10**9
UNITS = (("week", 7 * DAY), ("day", DAY), ("hour", 3600 * SECOND), ("minute", 60 * SECOND), ("second", SECOND))
SESSIONS, GAPS = 0.2, 5
"""Share of steps that is missing, and number of gaps, from which stamps are a calendar of their own."""
RULES = 0.6
"""Share of the distances in one half of a series that makes one distance the rule there."""


class Calendar(Frozen):
    """How time goes on.

    Args:
        unit: "time", or "number" where times are numbers.
        rule: "fixed" steps; steps of the clock on the "wall" (days of 23 and of 25 hours are days); "months"; or
            "stamps", where the steps are the times that there are (trading days).
        step: Numbers, nanoseconds or months from one step to the next; of stamps the usual one.
        zone: Zone of the times.
        day: Of months, the day that is meant; the last one in months that are shorter.
        weekdays: Of stamps of days, the days of the week that occur, Monday being 0.

    Example:
        >>> Calendar(unit="time", rule="fixed", step=30 * 60 * SECOND).words
        'every 30 minutes'
        >>> Calendar(unit="number", rule="fixed", step=1).after(7, 3).tolist()
        [8, 9, 10]
    """

    unit: Literal["time", "number"]
    rule: Literal["fixed", "wall", "months", "stamps"]
    step: int
    zone: str | None = None
    day: int = 1
    weekdays: tuple[int, ...] = ()

    @property
    def words(self) -> str:
        """How often there is a step, in words."""
        if self.unit == "number":
            return f"every {self.step}" if self.rule == "fixed" else "at uneven numbers"
        if self.rule == "months":
            return {1: "every month", 3: "every quarter", 12: "every year"}.get(self.step, f"every {self.step} months")
        if self.rule == "stamps":
            return f"on {len(self.weekdays)} days a week" if self.by_days else "at the times that there are"
        return f"every {_span(self.step)}" + (" of local time" if self.rule == "wall" else "")

    @property
    def by_days(self) -> bool:
        """Whether the steps are days of the week, with holes where nobody works."""
        return self.rule == "stamps" and self.unit == "time" and self.step == DAY and 0 < len(self.weekdays) < 7

    @property
    def seasons(self) -> tuple[int, ...]:
        """Steps of a day, a week or a year, the shortest first, as far as a step divides them."""
        if self.unit == "number":
            return ()
        if self.rule == "months":
            return (12 // self.step,) if self.step < 12 and 12 % self.step == 0 else ()
        if self.by_days:
            return (len(self.weekdays),)
        spans = (DAY, 7 * DAY) if self.rule != "stamps" else ()
        return tuple(s // self.step for s in spans if s % self.step == 0 and s // self.step > 1)

    # --- along the way ------------------------------------------------------------------------------------------------
    def after(self, last: int, n: int) -> Array:
        """Return the ``n`` times after one."""
        steps = np.arange(1, n + 1)
        if self.rule == "months":
            return self._of_months(int(self.months(np.array([last]))[0]) + self.step * steps, last)
        if self.by_days:
            days: list[int] = []
            at = int(self.wall(np.array([last]))[0])
            while len(days) < n:
                at += DAY
                if int((at // DAY + 3) % 7) in self.weekdays:
                    days.append(at)
            return self.unwalled(np.array(days, dtype=np.int64))
        if self.rule == "wall":
            return self.unwalled(self.wall(np.array([last])) + self.step * steps)
        return np.asarray(last + self.step * steps, dtype=np.int64)

    def places(self, times: Array, first: int, union: Array) -> Array:
        """Return the number of the step that each time is, the earliest of all being 0."""
        start = np.array([first])
        if self.rule == "months":
            return np.asarray((self.months(times) - self.months(start)) // self.step)
        if self.rule == "wall":
            return np.asarray((self.wall(times) - self.wall(start)) // self.step)
        if self.rule == "stamps":
            return np.searchsorted(union, times).astype(np.int64)
        return np.asarray((times - first) // self.step)

    def times(self, places: Array, first: int, union: Array) -> Array:
        """Return the times of steps, the inverse of :meth:`places`."""
        if self.rule == "months":
            return self._of_months(self.months(np.array([first])) + self.step * places, first)
        if self.rule == "wall":
            return self.unwalled(self.wall(np.array([first])) + self.step * places)
        return np.asarray(union[places] if self.rule == "stamps" else first + self.step * places)

    # --- local time ---------------------------------------------------------------------------------------------------
    def wall(self, times: Array) -> Array:
        """Return what the clock on the wall shows, as nanoseconds."""
        return wall_of(times, self.zone)

    def unwalled(self, wall: Array) -> Array:
        """Return times by what the clock shows: the first of two such times, the next where there is none."""
        import pandas as pd

        if self.zone is None:
            return wall
        shown = pd.DatetimeIndex(wall.astype("datetime64[ns]"))
        local = shown.tz_localize(self.zone, ambiguous=np.ones(len(wall), dtype=bool), nonexistent="shift_forward")
        return np.asarray(local.tz_convert("UTC").tz_localize(None).as_unit("ns").asi8)

    def months(self, times: Array) -> Array:
        """Return the number of the month that each time is in."""
        return np.asarray(self.wall(times).astype("datetime64[ns]").astype("datetime64[M]").astype(np.int64))

    def _of_months(self, months: Array, like: int) -> Array:
        """Return the times of months, on the calendar's day, at the time of the day of another time."""
        starts = np.asarray(months, dtype="datetime64[M]")
        days = ((starts + 1).astype("datetime64[D]") - starts.astype("datetime64[D]")).astype(np.int64)
        clock = int(self.wall(np.array([like]))[0]) % DAY
        first = starts.astype("datetime64[D]").astype(np.int64)
        return self.unwalled((first + np.minimum(self.day, days) - 1) * DAY + clock)


def wall_of(times: Array, zone: str | None) -> Array:
    """Return what the clock on the wall of a zone shows at some times, as nanoseconds."""
    import pandas as pd

    if zone is None:
        return times
    local = pd.DatetimeIndex(times.astype("datetime64[ns]")).tz_localize("UTC").tz_convert(zone)
    return np.asarray(local.tz_localize(None).as_unit("ns").asi8)


def _span(step: int) -> str:
    name, size = next(((n, s) for n, s in UNITS if step % s == 0), ("nanosecond", 1))
    return name if step == size else f"{step // size} {name}s"


# --- what the times of series say -------------------------------------------------------------------------------------
def detect(
    series: Sequence[Array], names: Sequence[Any], unit: Literal["time", "number"], zone: str | None
) -> Calendar:
    """Return the calendar of series from their ascending times.

    Raises:
        InputError: Two frequencies are mixed, or there are no two times.
    """
    gaps = [np.diff(t) for t in series]
    every = np.concatenate(gaps) if gaps else np.empty(0, np.int64)
    if not len(every):
        raise InputError("A series needs two times at least, but each of these has one. Give more lines.")
    if unit == "time" and (monthly := _months(series, zone)) is not None:
        return monthly
    wall = [np.diff(wall_of(t, zone)) for t in series] if zone else gaps
    local = np.concatenate(wall)
    step = _usual(every)
    fixed, walled = not bool((every % step).any()), bool(zone) and not bool((local % (usual := _usual(local))).any())
    _refuse_mixed(wall if walled else gaps, names, unit)
    if walled and usual % DAY == 0:
        found = Calendar(unit=unit, rule="wall", step=usual, zone=zone)
    else:
        found = Calendar(unit=unit, rule="fixed" if fixed else "stamps", step=step, zone=zone)
    counted = local if found.rule == "wall" else every
    lost = int((counted // found.step - 1).sum())
    often = lost > SESSIONS * (lost + len(counted)) and int((counted > found.step).sum()) >= GAPS
    if found.rule == "stamps" or often:
        return _of_stamps(series, unit, zone, found.step)
    return found


def _usual(gaps: Array) -> int:
    values, counts = np.unique(gaps, return_counts=True)
    return int(values[np.argmax(counts)])


def _months(series: Sequence[Array], zone: str | None) -> Calendar | None:
    """Return a calendar of months where all times have the same day and hour, and are months apart."""
    wall = np.concatenate([wall_of(t, zone) for t in series])
    if len(np.unique(wall % DAY)) > 1:
        return None
    dates = wall.astype("datetime64[ns]").astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    days = (dates - months.astype("datetime64[D]")).astype(np.int64) + 1
    longest = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
    day = 31 if bool((days == longest).all()) else int(days.max())
    if not bool((days == np.minimum(day, longest)).all()):
        return None
    numbers = [wall_of(t, zone).astype("datetime64[ns]").astype("datetime64[M]").astype(np.int64) for t in series]
    apart = np.concatenate([np.diff(n) for n in numbers])
    step = _usual(apart)
    if step < 1 or bool((apart % step).any()):
        return None
    return Calendar(unit="time", rule="months", step=step, zone=zone, day=day)


def _refuse_mixed(gaps: Sequence[Array], names: Sequence[Any], unit: str) -> None:
    def told(step: int) -> str:
        return _span(step) if unit == "time" else str(step)

    usual: dict[int, Any] = {}
    for name, apart in zip(names, gaps, strict=True):
        halves = [h for h in (apart[: len(apart) // 2], apart[len(apart) // 2 :]) if len(h) > 3]
        rules = [s for h in halves if np.mean(h == (s := _usual(h))) > RULES]
        if len(set(rules)) > 1:
            of = "the series" if name is None else f"the series {name!r}"
            raise InputError(
                f"A series has one frequency, but {of} first has a step every {told(rules[0])} and later every "
                f"{told(rules[1])}. Give the two parts as two data sets, or resample one."
            )
        if rules:
            usual.setdefault(rules[0], name)
    if len(usual) > 1:
        (a, first), (b, second) = list(usual.items())[:2]
        raise InputError(
            f"All series have one frequency, but {first!r} has a step every {told(a)} and {second!r} every {told(b)}. "
            "Fit them apart, or resample one."
        )


def _of_stamps(series: Sequence[Array], unit: Literal["time", "number"], zone: str | None, step: int) -> Calendar:
    days: tuple[int, ...] = ()
    if unit == "time" and step == DAY:
        wall = np.concatenate([wall_of(t, zone) for t in series])
        days = tuple(int(d) for d in np.unique((wall // DAY + 3) % 7))
    return Calendar(unit=unit, rule="stamps", step=step, zone=zone, weekdays=days)
