"""From whatever a user has to series on a calendar: frames, their files, arrays of series."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError, ShapeError
from senzai.core.registry import instead, suggestion

from .. import frame_files, sources
from ..limits import guarded, need_no_holes
from ..options import Options
from ..rows import Array
from ..schema import Schema
from .beside import apart, columns_beside, refuse_beside
from .calendar import Calendar, detect
from .details import SeriesDetails
from .options import SeriesOptions
from .prices import closing
from .times import said_of_offsets, times_of, when
from .ts_files import read_ts
from .windows import SeriesPanel

TEXTS, FRAMES = (".csv", ".tsv"), (".csv", ".tsv", ".parquet", ".pq")
ARRAYS = (".npz", ".npy")
LABELLED = ".ts"
NAMES = ("time", "timestamp", "date", "datetime", "ds", "day", "hour", "month")
"""Names of columns that are looked at first for times."""


@dataclass(frozen=True, eq=False)
class ReadSeries:
    """What was read.

    Args:
        panel: The series on their calendar.
        calendar: How their time goes on.
        columns: Names of the values, where they have some.
        dtypes: Dtype of each.
        form: What comes back to the user.
        origin: What the source is called.
        time: Name of the column of times.
        in_index: Whether they were the index of a frame.
        id: Name of the column of series.
        label: Name of the label.
        dated: Whether times were given, so that windows can be divided by them.
        beside: Names of the columns that are known beside the values.
        notes: What was chosen and found, one sentence each.
        wide_of: Columns of series and of prices of long data that were made wide.
    """

    panel: SeriesPanel
    calendar: Calendar
    columns: tuple[str | int, ...] | None
    dtypes: tuple[str, ...]
    form: str
    origin: str
    time: str | None = None
    in_index: bool = False
    id: str | None = None
    label: str | None = None
    dated: bool = True
    notes: tuple[str, ...] = ()
    wide_of: tuple[str, str] | None = None
    beside: tuple[str, ...] = ()


def read_series(source: object, options: SeriesOptions, known: Schema | None, told: SeriesDetails | None) -> ReadSeries:
    """Read a source.

    Raises:
        InputError: It holds no series, or times that cannot be put in order.
        ShapeError: Columns of the model are missing.
    """
    path = sources.existing(source)
    if path is not None and path.suffix.lower() in FRAMES:
        return of_frame(frame_file(path), options, known, told, "table", repr(str(path)))
    if path is not None and path.suffix.lower() == LABELLED:
        x, y = read_ts(path)
        return replace(of_arrays(x if y is None else (x, y), options, known), origin=repr(str(path)))
    if path is not None and path.suffix.lower() not in ARRAYS:
        raise InputError(
            f"Series are read from {', '.join((*FRAMES, *ARRAYS, LABELLED))}, but got {path.name!r}. Convert it."
        )
    if sources.is_frame(source):
        return of_frame(source, options, known, told, "pandas", "the DataFrame")
    if type(source).__module__.startswith("polars"):
        return of_frame(frame_files.to_pandas(source), options, known, told, "polars", "the polars frame")
    return of_arrays(source, options, known)


def frame_file(path: Path) -> Any:
    """Read a CSV, TSV or Parquet file to a frame."""
    import pandas as pd

    with guarded(path):
        if path.suffix.lower() not in TEXTS:
            return pd.read_parquet(path)
        need_no_holes(path)
        with path.open(encoding="utf-8-sig") as file:
            head = file.readline()
        mark = max("\t;,", key=head.count)
        return pd.read_csv(path, sep=mark, encoding="utf-8-sig", low_memory=False)


# --- frames -----------------------------------------------------------------------------------------------------------
def of_frame(
    frame: Any, options: SeriesOptions, known: Schema | None, told: SeriesDetails | None, form: str, origin: str
) -> ReadSeries:
    """Take times, series and values out of a frame."""
    import pandas as pd

    if not len(frame):
        raise InputError(f"Series need lines, but {origin} has none. Check how it was made.")
    frame, notes = frame.copy(deep=False), list[str]()
    frame.columns = [str(c) for c in frame.columns]
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()].tolist()[:3]
        raise InputError(f"Column names must be different, but {origin} has {twice} more than once. Rename them.")
    time, in_index = options.time or (told.time if told else None), False
    if isinstance(frame.index, pd.DatetimeIndex) and time in (None, frame.index.name or "time"):
        time, in_index = str(frame.index.name or "time"), True
        frame = frame.rename_axis(None).assign(**{time: frame.index}).reset_index(drop=True)
    if time is None and told is None:
        time = _time_column(frame)
    beside = tuple(q.name for q in told.exogenous) if told else options.exogenous
    for name in (time, options.id, options.label, *options.columns, *beside):
        _need_column(frame, name, origin)
    if time is None:
        notes.append("There is no column of times: steps are numbered in the order of the lines.")
        times, calendar_unit, zone = np.arange(len(frame)), "number", None
    else:
        times, calendar_unit, zone = times_of(frame[time], options, told, origin)
        notes += said_of_offsets(frame[time], options, zone)
    label = str(options.label) if options.label is not None else (
        known.label.name if known is not None and known.label is not None and known.label.name in frame else None)
    who = options.id or (told.id if told else _id_column(frame, times, (time, label)))
    _need_column(frame, who, origin)
    options, wide_of = _closing(frame, options, told, notes), told.wide_of if told else None
    if time is not None and (wide_of or (told is None and who is not None and options.returns != "none")):
        found = wide_of or (str(who), _one_price(frame, options, (time, who, label), origin))
        if set(found) <= set(frame.columns):
            times, frame = _widened(frame, times, found, origin)
            wide_of, who, frame[time] = found, None, times
            options = options.model_copy(update={"columns": ()})
            notes.append(f"Long data were made wide: a column of {found[1]!r} for each {found[0]!r}.")
    values, columns = _values(frame, options, known, (time, who, label, *beside), notes, origin)
    if beside:
        values = np.concatenate([values, columns_beside(frame, beside, origin, values=columns)], 1)
    owner, names = (np.zeros(len(frame), np.int64), (None,)) if who is None else _owners(frame[who])
    labels = None if label is None else frame[label].to_numpy(dtype=object)
    panel = SeriesPanel(names, owner, times, times, values, labels)
    panel = _sorted(panel, options, notes, origin)
    calendar = _calendar(panel, told, calendar_unit, zone)
    panel = apart(on_calendar(panel, calendar, notes), beside, notes, origin)
    return ReadSeries(
        panel, calendar, columns, tuple(str(frame[c].dtype) for c in columns), form, origin, time=time,
        in_index=in_index, id=who, label=label, dated=time is not None or who is None, notes=tuple(notes),
        wide_of=wide_of, beside=beside,
    )


def _closing(frame: Any, options: SeriesOptions, told: SeriesDetails | None, notes: list[str]) -> SeriesOptions:
    """Return options that name the closing prices, where returns are to be made of bars of prices."""
    if told is not None or options.returns in ("none", "given") or options.columns:
        return options
    found = closing(list(frame.columns))
    if found is None:
        return options
    notes.append(f"Returns are of {found!r}; name others with columns=...")
    return options.model_copy(update={"columns": (found,)})


def _one_price(frame: Any, options: SeriesOptions, taken: tuple[Any, ...], origin: str) -> str:
    numbers = list(options.columns) or [c for c in frame.columns if c not in taken and not _no_number(frame[c])]
    if len(numbers) != 1:
        raise InputError(
            f"Long prices have one column of them, but {origin} has {', '.join(map(str, numbers[:5])) or 'none'}. Name "
            "it: columns=..."
        )
    return str(numbers[0])


def _widened(frame: Any, times: Array, of: tuple[str, str], origin: str) -> tuple[Array, Any]:
    """Return times, and a frame with a column for each series."""
    import pandas as pd

    try:
        wide = frame.assign(**{"\0time": times}).pivot(index="\0time", columns=of[0], values=of[1])
    except ValueError as err:
        raise InputError(
            f"A series has one line for each time, but {origin} has several for one {of[0]!r}. Drop all but one."
        ) from err
    wide.columns = pd.Index([str(c) for c in wide.columns])
    return wide.index.to_numpy(), wide.reset_index(drop=True)


def _time_column(frame: Any) -> str | None:
    """Return the first column of dates, else one with a usual name, else text that reads like dates."""
    import pandas as pd

    dates = [c for c in frame.columns if pd.api.types.is_datetime64_any_dtype(frame[c])]
    named = [c for c in frame.columns if c.lower().strip() in NAMES]
    if dates or named:
        return str((dates or named)[0])
    for name in frame.columns:
        if _is_text(frame[name]) and str(frame[name].iloc[0])[:4].isdigit() and "-" in str(frame[name].iloc[0]):
            return str(name)
    return None


def _is_text(series: Any) -> bool:
    return not hasattr(series.dtype, "kind") or series.dtype.kind in "OUS" or str(series.dtype) in ("str", "string")


def _need_column(frame: Any, name: Any, origin: str) -> None:
    if name is not None and str(name) not in frame.columns:
        raise InputError(f"{origin} has no column {str(name)!r}.{instead(str(name), list(frame.columns))}")


def _id_column(frame: Any, times: Array, taken: tuple[Any, ...]) -> str | None:
    """Return the only other column that is no number, if it tells lines with the same time apart."""
    if len(np.unique(times)) == len(times):
        return None
    others = [c for c in frame.columns if c not in taken and _no_number(frame[c])]
    if len(others) != 1:
        return None
    pairs = frame[others[0]].astype(str) + " " + times.astype(str)
    return str(others[0]) if pairs.is_unique else None


def _no_number(series: Any) -> bool:
    import pandas as pd

    return not pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series)


def _values(
    frame: Any, options: SeriesOptions, known: Schema | None, taken: tuple[Any, ...], notes: list[str], origin: str
) -> tuple[Array, tuple[str, ...]]:
    wanted = [str(c) for c in known.columns] if known is not None and known.columns else list(options.columns)
    if lost := [c for c in wanted if c not in frame.columns]:
        hint = suggestion(lost[0], list(frame.columns))
        known_by = ", ".join(wanted[:5])
        raise ShapeError(f"The model was fitted on the columns {known_by}, but {origin} lacks {lost[0]}.{hint}")
    others = [c for c in frame.columns if c not in taken]
    columns = wanted or [c for c in others if not _no_number(frame[c])]
    if bad := [c for c in columns if _no_number(frame[c])]:
        raise InputError(
            f"Values of series are numbers, but {bad[0]!r} of {origin} holds {frame[bad[0]].dtype}. Convert it."
        )
    if not columns:
        raise InputError(
            f"Series need a column of numbers, but {origin} has the columns {others[:5]}. Name one: columns=..."
        )
    left = [c for c in others if c not in columns]
    if left and known is None:
        notes.append(f"Columns that hold no numbers, or were not asked for, were left out: {', '.join(left[:5])}.")
    values = np.array(frame[columns].to_numpy(dtype=np.float64, na_value=np.nan))
    _refuse_endless(values, columns, origin)
    return values, tuple(columns)


def _refuse_endless(values: Array, columns: Any, origin: str) -> None:
    if np.isinf(values).any():
        line, j = (int(v[0]) for v in np.nonzero(np.isinf(values)))
        raise InputError(f"Values must be finite, but {columns[j]!r} of {origin} is infinite in line {line}. Mend it.")


def _owners(column: Any) -> tuple[Array, tuple[Any, ...]]:
    import pandas as pd

    codes, names = pd.factorize(column, sort=True)
    if (codes < 0).any():
        raise InputError(f"Every line belongs to a series, but {int((codes < 0).sum())} lines have no {column.name!r}.")
    return codes.astype(np.int64), tuple(n.item() if hasattr(n, "item") else n for n in names)


# --- order ------------------------------------------------------------------------------------------------------------
def _sorted(panel: SeriesPanel, options: SeriesOptions, notes: list[str], origin: str) -> SeriesPanel:
    """Return lines in the order of series and time, one for each time.

    Raises:
        InputError: A time occurs twice in a series, and nobody said what becomes of it.
    """
    order = np.lexsort((panel.times, panel.owner))
    if not bool((order == np.arange(len(order))).all()):
        if bool((np.diff(panel.times)[np.diff(panel.owner) == 0] < 0).any()):
            notes.append("Lines were not in the order of their times; they were sorted.")
        panel = _lines(panel, order)
    same = (np.diff(panel.times) == 0) & (np.diff(panel.owner) == 0)
    if not same.any():
        return panel
    n, first = int(same.sum()), int(np.argmax(same))
    if options.duplicates == "error":
        name = panel.names[panel.owner[first]]
        raise InputError(
            f"A series has one line for each time, but {origin} has {n} more, the first at {when(panel.times[first])}"
            f"{'' if name is None else f' in {name!r}'}. Say what becomes of them with duplicates=first, last or mean, "
            "or which column tells series apart with id=..."
        )
    notes.append(f"{n} lines have the time of another of their series; the {options.duplicates} of them was taken.")
    begins = np.flatnonzero(np.concatenate([[True], ~same]))
    if options.duplicates != "mean":
        at = begins if options.duplicates == "first" else np.append(begins[1:], len(panel.times)) - 1
        return _lines(panel, at)
    there = np.add.reduceat(~np.isnan(panel.values), begins, axis=0)
    total = np.add.reduceat(np.nan_to_num(panel.values), begins, axis=0)
    return replace(_lines(panel, begins), values=np.where(there > 0, total / np.maximum(there, 1), np.nan))


def _lines(panel: SeriesPanel, at: Array) -> SeriesPanel:
    labels = None if panel.labels is None else panel.labels[at]
    return SeriesPanel(panel.names, panel.owner[at], panel.times[at], panel.places[at], panel.values[at], labels)


def _calendar(panel: SeriesPanel, told: SeriesDetails | None, unit: Any, zone: str | None) -> Calendar:
    begin, behind = panel.bounds
    series = [panel.times[a:b] for a, b in zip(begin, behind, strict=True)]
    if told is None or max(map(len, series)) > 2:
        found = detect(series, panel.names, unit, zone)
        if told is None or (found.rule, found.step) == (told.calendar.rule, told.calendar.step):
            return found
        if found.rule != "stamps" and (found.step % told.calendar.step or found.unit != told.calendar.unit):
            raise ShapeError(
                f"The model was fitted on a step {told.calendar.words}, but these data have one {found.words}. "
                "Resample them, or fit again."
            )
    return told.calendar


def on_calendar(panel: SeriesPanel, calendar: Calendar, notes: list[str]) -> SeriesPanel:
    """Return series with a line for every step between their first and their last; new ones have no values."""
    union, first = np.unique(panel.times), int(panel.times.min())
    places = calendar.places(panel.times, first, union)
    begin, behind = panel.bounds
    if (np.diff(places)[np.diff(panel.owner) == 0] < 1).any():
        raise InputError("Each step of a series has one line, but some lie in the same step. Round their times.")
    whole = [np.arange(places[a], places[b - 1] + 1) for a, b in zip(begin, behind, strict=True)]
    owner = np.repeat(np.arange(len(whole)), [len(w) for w in whole])
    every = np.concatenate(whole)
    if len(every) == len(places):
        return replace(panel, places=places)
    offsets = np.cumsum([0, *(len(w) for w in whole[:-1])])
    at = places - places[begin][panel.owner] + offsets[panel.owner]
    times = calendar.times(every, first, union)
    times[at] = panel.times
    values = np.full((len(every), panel.values.shape[1]), np.nan)
    values[at] = panel.values
    labels = None
    if panel.labels is not None:
        labels = np.full(len(every), None, dtype=object)
        labels[at] = panel.labels
    lost = len(every) - len(places)
    notes.append(f"{lost:,} of {len(every):,} steps are missing; they are masked, and nothing depends on them.")
    return SeriesPanel(panel.names, owner, times, every, values, labels)


# --- arrays -----------------------------------------------------------------------------------------------------------
def of_arrays(source: object, options: SeriesOptions, known: Schema | None) -> ReadSeries:
    """Take series out of arrays: ``(N, T, d)``, ``(N, T)`` with a label for each, or one series ``(T, d)``."""
    plain = Options.model_validate({"key": options.key, "label": options.label, "missing": "keep", "in_memory": True})
    refuse_beside(options, known)
    opened = sources.read_arrays(source, plain, None)
    x, labels = np.asarray(opened.data, dtype=np.float64), opened.labels
    notes = list(opened.notes)
    if x.ndim == 2 and labels is not None:
        x = x[:, :, None]
        notes.append("There is a label for each row, so that rows are series of one column.")
    elif x.ndim == 2:
        x = x[None]
        notes.append("The array is taken for one series, a row for each step; of many series it has three axes.")
    if x.ndim != 3:
        raise InputError(f"Series are arrays (series, steps, columns), but {opened.origin} has the shape {x.shape}.")
    if known is not None and x.shape[2] != known.event_shape[1]:
        raise ShapeError(
            f"The model was fitted on {known.event_shape[1]} columns, but {opened.origin} has {x.shape[2]}. "
            "Give the same columns."
        )
    _refuse_endless(x.reshape(-1, x.shape[2]), range(x.shape[2]), opened.origin)
    n, steps, width = x.shape
    there: Array = np.logical_not(np.isnan(x).all(axis=2))
    ends = np.where(there.any(axis=1), steps - np.argmax(there[:, ::-1], 1), 0)
    if opened.lengths is not None:
        ends = np.asarray(opened.lengths).reshape(-1)
    if int(ends.min()) < 1:
        raise InputError(f"Each series needs a value, but number {int(np.argmin(ends))} of {opened.origin} has none.")
    keep = np.arange(steps) < ends[:, None]
    owner, place = np.nonzero(keep)
    names = (None,) if n == 1 else tuple(range(n))
    lines = None if labels is None else np.asarray(labels, dtype=object)[owner]
    panel = SeriesPanel(names, owner, place, place, x[keep], lines)
    return ReadSeries(
        panel, Calendar(unit="number", rule="fixed", step=1), None, (opened.dtype,) * width, opened.form, opened.origin,
        label=opened.label_name if labels is not None else None, dated=n == 1, notes=tuple(notes),
    )
