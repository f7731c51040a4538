"""The kind `series`: numbers along time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from pydantic import JsonValue

from senzai.core.batch import Data, only
from senzai.core.errors import CombinationError
from senzai.core.later import Tensor

from .. import frame_files, sources, writers
from ..deciding import label_of, one_tensor
from ..kind import KINDS, Claim, Kind, Opened, Writer
from ..labels import as_labels, encode_labels
from ..options import Options
from ..proposal import Choice, Proposal
from ..returns import Returns
from ..rows import Array, Rows
from ..schema import Field, Schema
from ..split import split_indices
from . import asking, conditions, deciding, frames
from .ahead import beyond, unseen
from .arriving import ArrivingSeries
from .details import SeriesDetails, series_of
from .options import SeriesOptions, series_options
from .prices import SeriesReturns, as_returns, filters_of
from .reading import ARRAYS, FRAMES, LABELLED, NAMES, ReadSeries, read_series
from .windows import (
    WindowRows,
    Windows,
    as_array,
    coming_of,
    cut,
    filtered,
    last_of,
    lines_of,
    moments,
    rounded,
    units,
)

MARKS = ("window", "stride", "horizon", "level", "returns", "filter")
"""Options that only series have: who sets one means series."""


@dataclass(frozen=True, eq=False)
class SeriesPart:
    """Some windows of the user's data, and values to fill holes with, where the model gave any."""

    windows: Windows
    start: int
    stop: int
    values: Array | None = None

    def __len__(self) -> int:
        return self.stop - self.start


@final
class SeriesKind(Kind):
    """Frames and files with times, and arrays of many series; rows are windows ``(L, d)``.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"day": pd.date_range("2024-02-27", periods=60), "sold": np.arange(60.0)})
        >>> kind = KINDS["series"]
        >>> opened = kind.read(frame, kind.options(window=4))
        >>> schema = kind.infer(opened, kind.options(window=4))
        >>> rows = kind.rows(opened, schema)
        >>> first = rows.take(np.array([0]))
        >>> kind.decode(first.x, schema, about=rows.about(np.array([0])))["day"].dt.strftime("%m-%d").tolist()
        ['02-27', '02-28', '02-29', '03-01']
    """

    name: ClassVar[str] = "series"
    title: ClassVar[str] = "numbers along time, cut into windows: csv, parquet, frames with times; npz, ts of series"
    suffixes: ClassVar[tuple[str, ...]] = (*FRAMES, *ARRAYS, LABELLED)
    options: ClassVar[type[Options]] = SeriesOptions
    details: ClassVar[type[SeriesDetails]] = SeriesDetails
    suffix: ClassVar[str] = ".csv"
    unit: ClassVar[str] = "value"

    def claims(self, source: object, options: Mapping[str, Any]) -> Claim | None:
        """Claim what has times for an index or prices for columns, or is to be cut into windows."""
        path = sources.existing(source)
        frame = sources.is_frame(source) or type(source).__module__.startswith("polars")
        if path is None and not frame and sources.header(source, options) is None:
            return None
        if path is not None and path.suffix.lower() not in self.suffixes:
            return None
        if path is not None and path.suffix.lower() == LABELLED:
            return Claim(0.95, "its name ends like files of labelled series")
        if any(name in options for name in MARKS):
            return Claim(0.95, "a window, stride, horizon, level or returns were asked for")
        index: Any = getattr(source, "index", None)
        if sources.is_frame(source) and str(index.dtype).startswith("datetime"):
            return Claim(0.9, "its index is of times")
        names = [c.strip().strip('"').lower() for c in frame_files.columns_of(source, path)]
        if {"open", "high", "low", "close"} <= set(names) and set(NAMES) & set(names):
            return Claim(0.9, "its columns are times, open, high, low and close")
        return Claim(0.55, f"its first column is called {names[0]!r}") if names and names[0] in NAMES else None

    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        """Read series, put them on their calendar, and cut windows."""
        asked = series_options(options)
        told = None if schema is None else series_of(schema)
        read = read_series(source, asked, schema, told)
        how = asked.returns if told is None else told.returns
        if how != "none":
            more = list(read.notes)
            panel = as_returns(read.panel, how, read.columns, read.origin, more)
            read = replace(read, panel=panel, notes=tuple(more))
        if told is None:
            season = deciding.season_of(read)
            windows, stride, said = deciding.windows_of(read, asked, season)
        else:
            season, stride, said = told.season, told.stride, []
            windows = cut(read.panel, told.window, stride)
            asking.refuse_short(windows, told, read.origin)
        panel = read.panel
        ends = windows.starts + (windows.length if windows.lengths is None else windows.lengths) - 1
        labels = None if panel.labels is None else as_labels(panel.labels[ends])
        notes = (*deciding.told_of(read, season), *said, *read.notes) if told is None else read.notes
        return Opened(
            data=windows, n_rows=len(windows), dtype="float64", form=read.form, origin=read.origin, labels=labels,
            label_name=read.label or "label", label_asked=labels is not None, columns=read.columns,
            index=asking.names_of(read, windows), lengths=windows.lengths, groups=panel.owner[windows.starts],
            order=panel.places[windows.starts], notes=notes, facts={"read": read, "season": season, "stride": stride},
        )

    def infer(self, opened: Opened, options: Options) -> Schema:
        """Decide the split, and standardise by the training windows alone."""
        asked, windows = series_options(options), opened.data
        read: ReadSeries = opened.facts["read"]
        decimals, constant = deciding.looked_at(windows.panel, opened.columns)
        by_time = asked.divide == "time" or (asked.divide == "auto" and read.dated)
        split = asked.divided(by_time=by_time, span=windows.length, column=read.time if by_time else read.id)
        asking.refuse_no_ratio(windows.panel.values, asked.level, opened)
        parts = split_indices(len(windows), split, opened.groups, opened.order)
        train, used = parts["train"], np.concatenate([parts["train"], parts["validation"]])
        law = asked.law
        windows, filters, mixing = (
            (windows, (), ()) if law == "none" else filters_of(windows, train, law, opened.columns)
        )
        shift, scale = moments(windows, train, asked.level)
        label, about_label = label_of(opened, asked)
        seasons, about_seasons = conditions.decided(asked.condition, windows, train, read.calendar, label)
        details = SeriesDetails(
            time=read.time, in_index=read.in_index, id=read.id, calendar=read.calendar, dtypes=read.dtypes,
            decimals=decimals, window=windows.length, stride=opened.facts["stride"], level=asked.level,
            shift=tuple(shift.tolist()), scale=tuple(scale.tolist()), hidden=asked.horizon,
            season=opened.facts["season"], end=int(windows.panel.times.max()), last=last_of(windows),
            ragged=windows.lengths is not None, returns=asked.returns, wide_of=read.wide_of, filters=filters,
            mixing=mixing, coming=coming_of(windows), trained=int(windows.panel.times[lines_of(windows, used)].max()),
            seasons=seasons, exogenous=conditions.known_columns(read.beside, windows, train),
        )
        condition = conditions.condition_of(windows, train, details, label, opened, asked.condition)
        return Schema(
            kind=self.name, fields={"x": asking.field_of(windows, read)}, dtype="float64", columns=opened.columns,
            form=opened.form, label=label, details=details,
            condition=condition, n_rows=len(windows), split=split, fingerprint=opened.data.fingerprint,
            reasons=(*opened.notes, *constant, *asking.said_of_filters(details), asking.said_of_split(split),
                     *about_label, *about_seasons),
        )

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        """Take the model's window, calendar and scaling for other series; nothing is hidden in them."""
        told = series_of(schema)
        asking.refuse_no_ratio(opened.data.panel.values, told.level, opened)
        read: ReadSeries = opened.facts["read"]
        details = told.model_copy(update={
            "hidden": 0, "in_index": read.in_index, "time": read.time, "id": read.id,
            "end": int(read.panel.times.max()), "last": last_of(opened.data),
            "calendar": read.calendar, "dtypes": read.dtypes, "coming": coming_of(filtered(opened.data, told)),
        })
        return schema.model_copy(update={
            "form": opened.form, "n_rows": opened.n_rows, "fingerprint": opened.data.fingerprint, "details": details,
            "columns": opened.columns or schema.columns,
            "reasons": tuple(dict.fromkeys((*schema.reasons, *opened.notes))),
        })

    def rows(self, opened: Opened, schema: Schema) -> Rows:
        """Return the windows in model values."""
        targets = conditions.need_label(encode_labels(opened.labels, schema.label), schema, opened.origin)
        return WindowRows(opened.data, series_of(schema), targets)

    # --- out --------------------------------------------------------------------------------------------------------
    def decode(self, x: Data, schema: Schema, *, soft: bool = False, about: Mapping[str, Any] | None = None) -> Any:
        """Return dated windows below each other; of arrays an array ``(N, L, d)``.

        Windows of the user's data have their own times; new ones are dated as if they followed the data.
        """
        told = series_of(schema)
        values = units(one_tensor(x), schema, about)
        values = values if soft else rounded(values, told)
        if schema.form in ("numpy", "torch"):
            return values
        frame = frames.windows_frame(values, schema, about)
        return _in_form(frame if soft else frames.as_were(frame, told, schema), schema)

    def joined(
        self, x: Data, schema: Schema, source: Any, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the windows of a whole data set as the series they were cut from, each step from its best window."""
        if not isinstance(source, Windows):
            return self.decode(x, schema, soft=soft, about=about)
        values = units(one_tensor(x), schema, about)
        values = values if soft else rounded(values, series_of(schema))
        if schema.form in ("numpy", "torch"):
            return values
        lines, window, step = frames.best_windows(source)
        return _in_form(frames.series_frame(source, values[window, step], schema, lines), schema)

    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        """Write a frame as csv, tsv, parquet or json lines; an array as npy or npz, or as a frame."""
        if hasattr(decoded, "columns"):
            frame = frame_files.to_pandas(decoded)
            named = frame.reset_index() if series_of(schema).in_index and frame.index.name else frame
            with frame_files.FrameWriter(path) as writer:
                writer.write(named)
        elif Path(path).suffix.lower() in ARRAYS:
            writers.write_array(decoded, path)
        else:
            with frame_files.FrameWriter(path) as writer:
                writer.write(frames.windows_frame(np.asarray(decoded), schema, None))

    def writer(self, path: Path, schema: Schema) -> Writer | None:
        """None: windows are joined before they are written."""
        return None

    def to_json(self, decoded: Any, schema: Schema) -> JsonValue:
        """Return records: series, time and values of each step; of arrays nested lists."""
        if not hasattr(decoded, "columns"):
            return super().to_json(decoded, schema)
        frame = frame_files.to_pandas(decoded)
        frame = frame.reset_index() if series_of(schema).in_index and frame.index.name else frame
        return [json.loads(line) for line in frame_files.json_lines(frame)]

    def from_json(self, value: JsonValue, schema: Schema) -> object:
        """Return a frame of records, or an array of nested lists."""
        import pandas as pd

        records: Any = value
        if isinstance(records, list) and records and isinstance(records[0], dict):
            return pd.DataFrame(records)
        return np.asarray(records, dtype=np.float64)

    def keeps_rows(self, schema: Schema, *, in_memory: bool) -> bool:
        """Where series were given in memory: they cannot be read again when somebody asks for scores."""
        return in_memory

    # --- missing values ---------------------------------------------------------------------------------------------
    def parts(self, source: Any, schema: Schema, rows: int) -> Iterator[Any]:
        """Yield some windows after the others."""
        source = filtered(source, series_of(schema))
        yield from (SeriesPart(source, i, min(i + rows, len(source))) for i in range(0, max(1, len(source)), rows))

    def fill(self, part: Any, x: Data, schema: Schema, rows: Array | None = None, *, average: bool = False) -> Any:
        """Return some windows with values for what they lack."""
        at = part.start + (np.arange(len(part)) if rows is None else rows)
        about = part.windows.about(at, series_of(schema).level)
        made = np.full((len(part), *schema.event_shape), np.nan)
        values = rounded(units(only(x).double().mean(0) if average else only(x), schema, about), series_of(schema))
        made[at - part.start] = values
        return SeriesPart(part.windows, part.start, part.stop, made)

    def gather(self, parts: list[Any], source: Any, schema: Schema, index: Any) -> Any:
        """Return whole series: what was seen as it was, the rest from the window in whose middle it lies."""
        filled = np.concatenate([p.values for p in parts])
        lines, window, step = frames.best_windows(source)
        values = source.panel.user.copy()
        new = filled[window, step]
        values[lines] = np.where(np.isnan(values[lines]), new, values[lines])
        if schema.form in ("numpy", "torch"):
            return as_array(source, values)
        return _in_form(frames.series_frame(source, values, schema), schema)

    def processing(self, schema: Schema) -> dict[str, JsonValue]:
        """Return how windows become model values; those under conditions need more than NumPy."""
        if schema.condition is not None:
            raise CombinationError(
                f"Exported models know no calendar and no columns beside windows, but this one is conditioned on "
                f"{', '.join(schema.condition.names)}. Use the run, or fit without."
            )
        return super().processing(schema)

    # --- about ------------------------------------------------------------------------------------------------------
    def season(self, schema: Schema) -> int | None:
        """Return the steps after which series repeat, where a season was found."""
        return series_of(schema).season

    def returns(self, schema: Schema) -> Returns | None:
        """Return what is known of returns, where prices became returns or were given as such."""
        return None if series_of(schema).returns == "none" else SeriesReturns(schema)

    def ahead(self, source: Any, schema: Schema, horizon: int, *, hold: bool = False) -> Rows:
        """Return one window for each series that ends ``horizon`` steps after it, with the label of its last step."""
        coming = beyond(source, series_of(schema), horizon, hold=hold)
        labels = None
        if conditions.conditioned_label(schema) and coming.panel.labels is not None:
            labels = as_labels(coming.panel.labels[coming.starts])
        targets = conditions.need_label(encode_labels(labels, schema.label), schema, "what is forecast")
        return WindowRows(coming, series_of(schema), targets)

    def unseen(self, source: Any, schema: Schema) -> dict[str, Array]:
        """Return which windows of other data validated, and which are a test, where the model's own may be a part."""
        return unseen(source, schema)

    def arriving(self, schema: Schema) -> ArrivingSeries:
        """Return what takes the steps of one series as they come."""
        return ArrivingSeries(schema)

    # --- conditions -------------------------------------------------------------------------------------------------
    def condition(self, given: Mapping[str, object], n: int, schema: Schema, *, seed: int = 0) -> Tensor | None:
        """Return the condition of ``n`` new windows; ``start`` stands for all seasons."""
        return conditions.made(given, n, schema, seed=seed)[0]

    def placed(
        self, given: Mapping[str, object], n: int, schema: Schema, *, seed: int = 0
    ) -> tuple[Tensor | None, Mapping[str, Any]]:
        """Return the condition of ``n`` new windows, and the times of their steps, where seasons are a part of it."""
        c, times = conditions.made(given, n, schema, seed=seed)
        return c, {} if times is None else {"times": times}

    def encode_condition(self, values: Mapping[str, list[Any]], schema: Schema) -> Tensor:
        """Return the codes of a user's values of all parts of the condition."""
        return conditions.coded(values, schema)[0]

    def widths(self, schema: Schema) -> tuple[int, ...]:
        """Return the width of the code of each part."""
        return conditions.widths(schema)

    def along(self, values: Array, schema: Schema, source: Any, *, name: str) -> Any:
        """Return a frame of series, time and number; of arrays the numbers of each series."""
        means = frames.means_of_lines(source, values)
        if schema.form in ("numpy", "torch"):
            return as_array(source, means[:, None])[..., 0]
        only = schema.but(columns=(name,), fields={"x": Field.of((schema.event_shape[0], 1), "real")})
        return _in_form(frames.series_frame(source, means[:, None], only), schema)

    def propose(self, schema: Schema) -> Proposal:
        """Suggest convolutions along time, with level, trend and season in the decoder."""
        told, (length, _) = series_of(schema), schema.event_shape
        season = told.season if told.season and told.season < length else None
        network = {"season": season} if season else {}
        beside = {"known": told.known} if told.known else {}
        if told.filters:
            return Proposal(
                likelihood=Choice("student_t"), encoder=Choice("mlp"),
                training={"batch_size": 128, "schedule": "follow", "steps": 2000, "lr": 2e-3},
                reason="Proposed because rows are what filters leave of returns: large ones are not rare.",
            )
        return Proposal(
            likelihood=Choice("normal" if told.returns == "none" else "student_t"), encoder=Choice("temporal", beside),
            decoder=Choice("temporal", {**network, **beside}),
            training={"batch_size": 128, "schedule": "follow", "steps": 3000, "lr": 2e-3},
            reason="Proposed because rows are windows of series, some calm and some wild: the scale is the window's.",
        )


def _in_form(frame: Any, schema: Schema) -> Any:
    return frame_files.to_polars(frame) if schema.form == "polars" else frame


KINDS.add("series")(SeriesKind())
