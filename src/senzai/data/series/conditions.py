"""What windows are conditioned on: their label, the calendar at their steps, and further columns known at each.

A condition is a row of numbers: the code of the label, then for each season sine and cosine of the phase at every step,
then each further column, standardised, at every step.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from senzai.core.errors import InputError, SettingError
from senzai.core.later import Tensor, torch
from senzai.core.registry import suggestion

from .. import conditioning
from ..kind import Opened
from ..labels import encode_labels
from ..rows import Array, Targets
from ..schema import Condition, Label, Quantity, Schema
from .calendar import Calendar
from .details import SeriesDetails, series_of
from .seasons import CYCLES, beginning, flat, named, phase, seasons_of, standard, steps_from, unnamed, waves
from .windows import Windows, lines_of

CALENDAR, START = "calendar", "start"
EARLIEST, LATEST = 1700, 2200
"""Years in which windows can be asked to begin: times are whole nanoseconds, which end in 1677 and 2262."""
SEEN, NUMBERS, FEWEST = 1000, 50_000, 20
"""Windows whose conditions are kept at most, the numbers that they hold, and how many are kept at least."""


# --- what a fit decides -----------------------------------------------------------------------------------------------
def decided(
    asked: Sequence[str], windows: Windows, train: Array, calendar: Calendar, label: Label | None
) -> tuple[tuple[str, ...], list[str]]:
    """Return the seasons that windows are conditioned on, and what to say of them.

    ``calendar`` stands for all that differ between training windows and went round twice in them.

    Raises:
        SettingError: A name is none of a season or of the label, or windows do not differ in it.
    """
    known = seasons_of(calendar)
    own = (conditioning.LABEL, *(() if label is None else (label.name,)))
    others = [name for name in asked if name not in (*own, CALENDAR, *CYCLES)]
    if others:
        ways = ["label", CALENDAR, *known]
        raise SettingError(
            f"Windows are conditioned on {', '.join(ways)}, but got condition={others[0]!r}."
            f"{suggestion(others[0], ways)} Other columns are named with exogenous=..."
        )
    wall = calendar.wall(windows.panel.times[windows.starts[train]]) if known else np.empty(0, np.int64)
    differ = [s for s in known if len(np.unique(phase(wall, s).round(9))) > 1]
    span = int(np.ptp(wall)) if len(wall) else 0
    for name in (n for n in asked if n in CYCLES):
        if name not in differ:
            raise SettingError(
                f"Windows that are conditioned on a season begin at several times of it, but got condition={name} and "
                f"all begin alike, with steps {calendar.words}. Leave it out, or set another stride."
            )
    whole = [s for s in differ if span >= 2 * CYCLES[s]] if CALENDAR in asked else []
    found = tuple(s for s in CYCLES if s in whole or s in asked)
    if CALENDAR in asked and not found:
        raise SettingError(
            "condition=calendar takes seasons that went round twice in training windows, but there are none. Give more "
            "data with dates, name one (condition=hour), or leave it out."
        )
    return found, [f"Windows are conditioned on the {', '.join(found)} of their steps."] if found else []


def known_columns(columns: Sequence[str], windows: Windows, train: Array) -> tuple[Quantity, ...]:
    """Return mean and deviation of further columns over the steps of training windows.

    Raises:
        InputError: A column is the same at all of them.
    """
    values = windows.panel.known
    if not columns or values is None:
        return ()
    seen = values[lines_of(windows, train)]
    if len(still := np.flatnonzero(seen.std(0) == 0)):
        raise InputError(
            f"A column that windows are conditioned on differs between training steps, but {columns[still[0]]!r} is "
            f"{seen[0, still[0]]:g} at all of them. Leave it out of exogenous=..."
        )
    return tuple(
        Quantity(name=name, mean=float(v.mean()), scale=float(v.std())) for name, v in zip(columns, seen.T, strict=True)
    )


def condition_of(
    windows: Windows, train: Array, told: SeriesDetails, label: Label | None, opened: Opened, asked: Sequence[str]
) -> Condition | None:
    """Return the condition of windows, with what training windows have of it; ``None`` where nothing was asked for.

    Raises:
        SettingError: There is no label to be conditioned on, or two parts have one name.
    """
    targets = encode_labels(opened.labels, label)
    wanted = any(name not in (CALENDAR, *CYCLES) for name in asked)
    if wanted:
        conditioning.of_label((conditioning.LABEL,), label, targets, opened.origin)
    part = label if wanted else None
    names = (*(() if part is None else (part.name,)), *told.seasons, *(q.name for q in told.exogenous))
    taken = (*names, START) if told.seasons else names  # a start stands for the seasons
    if len(set(taken)) < len(taken):
        twice = next(n for n in taken if taken.count(n) > 1)
        raise SettingError(
            f"A condition has one value for each name, but {twice!r} is two things. Name it once, or rename the column."
        )
    if not names:
        return None
    most = max(FEWEST, min(SEEN, NUMBERS // (told.window * len(told.exogenous)))) if told.exogenous else 20 * SEEN
    counts = Counter(_combinations(windows, train[:: max(1, -(-len(train) // most))], told, part, targets))
    width = (0 if part is None else len(part.classes)) + told.known * told.window
    shares = tuple(n / counts.total() for n in counts.values())
    return Condition(names=names, width=width, values=tuple(counts), shares=shares)


def _combinations(
    windows: Windows, kept: Array, told: SeriesDetails, label: Label | None, targets: Targets
) -> Iterator[tuple[Any, ...]]:
    """Return what some windows have of all parts of a condition; those without a label are left out."""
    columns: list[list[Any]] = []
    if label is not None and targets.y is not None:
        if targets.known is not None:
            kept = kept[targets.known.numpy()[kept]]
        columns.append([label.classes[i] for i in targets.y.numpy()[kept].tolist()])
    wall = told.calendar.wall(windows.panel.times[windows.starts[kept]]) if told.seasons else kept
    columns += [named(phase(wall, season), season) for season in told.seasons]
    if windows.panel.known is not None:
        paths = windows.panel.known[windows.lines(kept)]
        columns += [[_text(path) for path in paths[..., j]] for j in range(len(told.exogenous))]
    return zip(*columns, strict=True)


def _text(path: Array) -> str:
    return ",".join(f"{v:.6g}" for v in path)


# --- codes ------------------------------------------------------------------------------------------------------------
def conditioned_label(schema: Schema) -> int:
    """Return the classes of the label that windows are conditioned on; 0 where they are not."""
    label, condition = schema.label, schema.condition
    return len(label.classes) if label is not None and condition is not None and label.name in condition.names else 0


def need_label(targets: Targets, schema: Schema, origin: str) -> Targets:
    """Return targets with the label as a condition, where it is one.

    Raises:
        InputError: The data have no labels.
    """
    n = conditioned_label(schema)
    if n and targets.y is None:
        assert schema.label is not None
        raise InputError(
            f"The model is conditioned on the label {schema.label.name!r}, but {origin} has no labels. Give them: "
            f"label={schema.label.name}."
        )
    return Targets(targets.y, targets.known, n)


def widths(schema: Schema) -> tuple[int, ...]:
    """Return the width of the code of each name."""
    told, n = series_of(schema), conditioned_label(schema)
    return (*((n,) if n else ()), *(2 * told.window for _ in told.seasons), *(told.window for _ in told.exogenous))


def made(given: Mapping[str, object], n: int, schema: Schema, *, seed: int) -> tuple[Tensor | None, Array | None]:
    """Return the conditions of ``n`` new windows, and the times of their steps where seasons are a part.

    ``start`` stands for all seasons: the time at which windows begin.

    Raises:
        SettingError: The model is not conditioned on a name, or a value is none.
    """
    told, own = series_of(schema), dict(given)
    starts = None
    if START in own and told.seasons:
        if both := [name for name in told.seasons if name in own]:
            raise SettingError(f"A start says the {both[0]} of a window, but both were given. Leave one out.")
        starts = [started(v, told) for v in conditioning.row_by_row(START, own.pop(START), n)]
        wall = told.calendar.wall(np.array(starts))
        own |= {season: named(phase(wall, season), season) for season in told.seasons}
    for season in set(told.seasons) & set(own):
        words = conditioning.row_by_row(season, own[season], n)
        own[season] = named(np.array([unnamed(v, season) for v in words]), season)
    values = conditioning.fill(own, n, schema, seed=seed)
    if values is None:
        return None, None
    return coded(values, schema, starts)


def started(value: object, told: SeriesDetails) -> int:
    """Return the time that a user's start means, local where the calendar has a zone.

    Raises:
        SettingError: It is no time.
    """
    import pandas as pd

    try:
        stamp = pd.Timestamp(str(value))
    except ValueError as err:
        raise SettingError(f"A start is a time like 2024-03-01T08:00, but got start={value!r}. Write it so.") from err
    if not pd.isna(stamp) and not EARLIEST <= stamp.year <= LATEST:
        raise SettingError(f"A start is from {EARLIEST} to {LATEST}, but got start={value!r}. Give another year.")
    if pd.isna(stamp) or stamp.tz is not None:
        raise SettingError(
            f"A start is a time without a zone, local to the data, but got start={value!r}. Write it as "
            "2024-03-01T08:00."
        )
    return int(told.calendar.unwalled(np.array([stamp.as_unit("ns").value]))[0])


def coded(
    values: Mapping[str, list[Any]], schema: Schema, starts: Sequence[int] | None = None
) -> tuple[Tensor, Array | None]:
    """Return codes ``(n, width)`` of a user's values, and the times of the steps where seasons are a part."""
    told, parts = series_of(schema), []
    if conditioned_label(schema):
        assert schema.label is not None
        parts.append(_classes(values[schema.label.name], schema))
    times = None
    if told.seasons:
        unique, back = np.unique(starts or _starts(values, told), return_inverse=True)
        times = np.stack([steps_from(told, int(start)) for start in unique])[back]
        parts.append(flat(waves(times, told)))
    if told.exogenous:
        paths = [[path_of(v, told.window, q.name) for v in values[q.name]] for q in told.exogenous]
        parts.append(flat(standard(np.stack([np.array(p) for p in paths], -1), told)))
    return torch.cat(parts, 1), times


def _starts(values: Mapping[str, list[Any]], told: SeriesDetails) -> list[int]:
    """Return where windows with a wanted calendar begin."""
    rows = list(zip(*(values[season] for season in told.seasons), strict=True))
    known = {row: beginning(told, dict(zip(told.seasons, row, strict=True))) for row in dict.fromkeys(rows)}
    return [known[row] for row in rows]


def _classes(values: list[Any], schema: Schema) -> Tensor:
    label, n = schema.label, conditioned_label(schema)
    assert label is not None and schema.condition is not None  # noqa: PT018  # the label is a part of the condition
    one = schema.but(condition=schema.condition.model_copy(update={"names": (label.name,), "width": n}))
    return conditioning.encode_label({label.name: values}, one)


def path_of(value: object, steps: int, name: str) -> list[float]:
    """Return a column along a window: a number stands for all steps, text or a list has one for each.

    Raises:
        SettingError: These are no numbers, or not as many.

    Example:
        >>> path_of("2.5", 3, "t"), path_of("1,2,3", 3, "t")
        ([2.5, 2.5, 2.5], [1.0, 2.0, 3.0])
    """
    many: Any = value if isinstance(value, list | tuple | np.ndarray) else str(value).split(",")
    try:
        found = [float(v) for v in many]
    except (TypeError, ValueError):
        found = []
    if len(found) not in (1, steps) or not all(map(math.isfinite, found)):
        raise SettingError(
            f"{name!r} is one number, or one for each of {steps} steps with commas between, but got "
            f"{str(value)[:40]!r}. Write {name}=2.5."
        )
    return found * steps if len(found) == 1 else found
