"""The kind `table`: rows of mixed types with missing values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, cast, final

import numpy as np
from pydantic import JsonValue

from senzai.core.batch import Data
from senzai.core.errors import InputError, SettingError
from senzai.core.later import Tensor, torch
from senzai.core.registry import suggestion

from .. import frame_files, labels
from ..deciding import label_of, one_tensor
from ..features import NamedEntry, RowFeatures
from ..frames import with_index
from ..kind import KINDS, Claim, Kind, Opened, Writer
from ..options import Options, TableOptions
from ..private_kinds import is_public
from ..proposal import Choice, Proposal
from ..rows import Array, Rows
from ..schema import Schema
from ..sources import existing
from ..split import numbered_groups, numbered_times
from . import as_data, codec, filling, plain, quick
from . import labels as columns
from .beyond import PrivateTables, TablesAtSites, table_options
from .beyond import details_of as details_of
from .column import TYPES, TableDetails
from .features import TableFeatures
from .inference import condition_of, cuts_of, decided, fingerprint_of, reasons_of, surveyed, table_from
from .privately import public_fingerprint
from .rows import column_named, frame_of, rows_of
from .shards import is_address
from .source import ROWS, SUFFIXES, Source, is_table, named, open_source, rows_at


@final
class TableKind(PrivateTables, TablesAtSites, Kind):
    """CSV, TSV, Parquet, Arrow, JSON lines, Excel, databases, pandas and polars frames.

    Example:
        >>> import pandas as pd
        >>> kind = KINDS["table"]
        >>> frame = pd.DataFrame({"age": [30, 41, None], "city": ["Ulm", "Bonn", "Ulm"]})
        >>> opened = kind.read(frame, kind.options())
        >>> schema = kind.infer(opened, kind.options())
        >>> [c.type for c in schema.details.columns]
        ['boolean', 'categorical']
        >>> batch = kind.rows(opened, schema).take(np.arange(3))
        >>> batch.mask[2].tolist()
        [False, True]
    """

    name: ClassVar[str] = "table"
    title: ClassVar[str] = "tables of mixed columns: csv, parquet, arrow, jsonl, xlsx, sqlite, SQL, pandas, polars"
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    options: ClassVar[type[Options]] = TableOptions
    details: ClassVar[type[TableDetails]] = TableDetails
    suffix: ClassVar[str] = ".csv"
    unit: ClassVar[str] = "column"
    averages: ClassVar[bool] = True

    def claims(self, source: object, options: Mapping[str, Any]) -> Claim | None:
        """Claim frames, files of tables, and databases."""
        return Claim(0.8, "it has columns") if is_table(source) else None

    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        """Read the source, or find out how it is read piece by piece."""
        set_ = table_options(options)
        y = None
        if isinstance(source, tuple) and len(source) == 2 and not isinstance(source[0], str):
            source, y = source
        found = open_source(
            source, set_, None if schema is None else details_of(schema),
            sure=schema is None or set_.encoding != schema.reading.get("encoding"),
        )
        if found.whole is not None:
            names, notes = named(columns.names_of(found.whole.columns), found.origin)
            called = found.whole.columns
            same = type(called).__name__ == "Index" and called.name is None and called.tolist() == list(names)
            whole = found.whole if same else found.whole.set_axis(list(names), axis=1)
            found = _replaced(found, whole, notes, called)
            n = len(found.whole)
        else:
            n = found.count()
        _refuse_nothing(found, n)
        label = None if y is None else labels.as_labels(y)
        wanted = set_.label if schema is None or schema.label is None else schema.label.name
        if label is None and wanted is not None:
            label = _label(found, wanted, strict=schema is None)
        split = set_.split if schema is None else schema.split
        groups = order = None
        if split.column is not None:
            column = _label(found, split.column, strict=schema is None)
            groups = numbered_groups(column) if split.by == "groups" and column is not None else None
            order = numbered_times(column, split.column) if split.by == "time" and column is not None else None
        name = str(set_.label if set_.label is not None else getattr(y, "name", None) or "label")
        return Opened(
            data=found, n_rows=n, dtype="mixed", form=cast(Any, found.form), origin=found.origin, labels=label,
            label_name=name, label_asked=label is not None, index=found.index, notes=found.notes, groups=groups,
            order=order,
            facts={"path": _path(source)},
        )

    def infer(self, opened: Opened, options: Options) -> Schema:
        """Decide the type of every column from one look at all rows."""
        set_, source = table_options(options), opened.data
        facts, kept = surveyed(source, set_)
        _refuse_unknown([f.name for f in facts], set_)
        readings = source.readings or {}
        found = [decided(f, set_, len(facts), readings.get(f.name, ""), opened) for f in facts]
        called = None if source.labels is None else columns.coded(source.labels, opened.origin)
        table = table_from(found, set_, opened.origin, called)
        label, said = label_of(opened, set_)
        return Schema(
            kind=self.name, event_shape=(len(table.sorts),), dtype="mixed", values="mixed", columns=table.features,
            form=opened.form, label=label, details=table, condition=condition_of(set_.condition, table, kept),
            n_rows=opened.n_rows, split=set_.split, fingerprint=fingerprint_of(opened),
            reasons=(*opened.notes, *reasons_of(table, opened), *said),
        )

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        """Take the model's decisions for other data."""
        return schema.model_copy(
            update={"form": opened.form, "n_rows": opened.n_rows, "fingerprint": _fingerprint(opened, schema),
                    "reasons": tuple(dict.fromkeys((*schema.reasons, *opened.notes)))}
        )

    def rows(self, opened: Opened, schema: Schema) -> Rows:
        """Return the rows as numbers, with a mask of what is observed."""
        names = () if schema.condition is None else schema.condition.names
        targets = labels.encode_labels(opened.labels, schema.label)
        return rows_of(opened.data, details_of(schema), names, targets)

    def decode(
        self, x: Data, schema: Schema, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return a frame: every column in its place, with its name, dtype, levels, rounding and range."""
        return _in_form(frame_of(one_tensor(x), details_of(schema)), schema)

    def decode_given(self, x: Data, schema: Schema, given: Mapping[str, list[Any]]) -> Any:
        """Return a frame with the given values in their columns."""
        table = details_of(schema)
        return _in_form(with_values(frame_of(one_tensor(x), table), given, table), schema)

    def with_set(self, decoded: Any, schema: Schema, given: Mapping[str, object]) -> Any:
        """Return a frame with numbers that were set beyond the ends of the data as they were set."""
        features = self.features(schema)
        for name, value in given.items():
            span = features.span(name)
            if span is None or span[0] <= float(str(value)) <= span[1] or schema.form == "polars":
                continue
            place = list(map(str, decoded.columns)).index(name)
            decoded.isetitem(place, [float(str(value))] * len(decoded))
        return decoded

    def renumbered(self, decoded: Any, schema: Schema, start: int) -> Any:
        """Return a frame with other new identifiers than the ``start`` rows before it."""
        table = details_of(schema)
        for column in table.columns:
            if column.type == "identifier":
                new = codec.regenerate(column, len(decoded), start)
                decoded.isetitem(table.place(column), new.set_axis(decoded.index))
        return decoded

    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        """Write csv, tsv, parquet, arrow, jsonl or xlsx."""
        with frame_files.FrameWriter(path) as writer:
            writer.write(decoded)

    def writer(self, path: Path, schema: Schema) -> Writer:
        """Return what writes frames piece by piece."""
        return frame_files.FrameWriter(path)

    def to_json(self, decoded: Any, schema: Schema) -> JsonValue:
        """Return rows as records: column names to values."""
        return [json.loads(line) for line in frame_files.json_lines(frame_files.to_pandas(decoded))]

    def from_json(self, value: JsonValue, schema: Schema) -> object:
        """Return a frame of records or of columns; what is not given is missing.

        Raises:
            InputError: They are neither, or a name is none of the table's.
        """
        return plain.frame_of(value, [str(c.name) for c in details_of(schema).columns])

    def need_small(self, source: object, schema: Schema, *, rows: int, pixels: int) -> None:
        """Refuse files of Arrow that announce more rows, however few bytes they have."""
        if isinstance(source, Path):
            plain.need_few_rows(source, rows)

    def features(self, schema: Schema) -> RowFeatures:
        """Return the modelled columns."""
        return TableFeatures(details_of(schema))

    def processing(self, schema: Schema) -> dict[str, JsonValue]:
        """Return every column, with what the way there and back needs."""
        return as_data.described(details_of(schema), schema)

    def entries(self, schema: Schema) -> tuple[NamedEntry, ...]:
        """Return every column, those that are not modelled among them."""
        return tuple(
            NamedEntry(name=str(c.name), type=c.type, types=TYPES, reason=c.reason, setting=f"schema.{c.name}",
                       missing=c.n_missing)
            for c in details_of(schema).columns
        )

    def originals(self, source: Any, index: Array) -> Any:
        """Return rows of the table with all their columns, in the order of ``index``."""
        return rows_at(source, index)

    def infers_once(self, source: object) -> bool:
        """Yes for shards: one process looks at all rows, the others read their share alone."""
        path = None if is_address(source) else existing(source)
        return is_address(source) or (path is not None and path.is_dir())

    def keeps_rows(self, schema: Schema, *, in_memory: bool) -> bool:
        """Yes: strange rows are compared with usual ones."""
        return True

    def parts(self, source: Any, schema: Schema, rows: int) -> Iterator[Any]:
        """Yield frames."""
        found: Iterator[Any] = source.pieces(rows)
        return found

    def fill(self, part: Any, x: Data, schema: Schema, rows: Array | None = None, *, average: bool = False) -> Any:
        """Return a frame with its missing cells filled in."""
        return (filling.fill_with_means if average else filling.fill)(part, one_tensor(x), details_of(schema), rows)

    def gather(self, parts: list[Any], source: Any, schema: Schema, index: Any) -> Any:
        """Return one frame with the labels and the row names of the user's."""
        import pandas as pd

        whole = pd.concat(parts)
        if source.labels is not None:
            whole = with_index(whole.set_axis(source.labels, axis=1), index)
        return _in_form(whole, schema)

    def propose(self, schema: Schema) -> Proposal:
        """Suggest a likelihood that has a part for each column."""
        table = details_of(schema)
        sorts = {"sorts": table.sorts, "sizes": table.sizes, "cuts": cuts_of(table)}
        spikes = {"spikes": table.spikes} if table.spikes else {}
        n = schema.n_rows
        rows = 512 if n >= 20_000 else 256 if n >= 5000 else 128
        return Proposal(
            likelihood=Choice("mixed", sorts | spikes), encoder=Choice("table", sorts), decoder=Choice("mlp"),
            training={"batch_size": rows, "steps": max(2000, min(6000, 1200 + 3 * n // 32)), "schedule": "follow",
                      "lr": round(3e-3 * (rows / 64) ** 0.5, 5)},
            reason="Proposed because every column has a likelihood of its own.",
        )

    def encode_condition(self, values: Mapping[str, list[Any]], schema: Schema) -> Tensor:
        """Return the condition of given values, as a row of the table would have it."""
        import pandas as pd

        table = details_of(schema)
        codes = []
        for name in (schema.condition.names if schema.condition else ()):
            column = column_named(table, name)
            series = pd.Series(values[name], dtype=object, name=column.name)
            try:
                coded, seen = codec.encode(series, column, table)
            except InputError as err:
                raise SettingError(str(err)) from err
            codes.append(codec.condition_code(coded, seen, column))
        return torch.from_numpy(np.concatenate(codes, 1))


def table_of(schema: Schema) -> TableDetails | None:
    """Return the columns of a table, and nothing for data of other kinds."""
    return schema.details if isinstance(schema.details, TableDetails) else None


def with_values(frame: Any, given: Mapping[str, list[Any]], table: TableDetails) -> Any:
    """Return a frame with the given values of each row in their columns, exactly."""
    import pandas as pd

    out = frame.copy()
    for name, values in given.items():
        column = column_named(table, name)
        codes, _ = codec.encode(pd.Series(values, dtype=object, name=column.name), column, table)
        told = codec.decode(codes, column, table)
        out.isetitem(table.place(column), told.set_axis(frame.index))
    return out


def _in_form(frame: Any, schema: Schema) -> Any:
    return frame_files.to_polars(frame) if schema.form == "polars" else frame


def _replaced(source: Source, whole: Any, notes: tuple[str, ...], called: Any) -> Source:
    from dataclasses import replace

    def pieces(rows: int) -> Any:
        for start in range(0, max(len(whole), 1), rows):
            yield whole.iloc[start : start + rows]

    return replace(source, whole=whole, notes=(*source.notes, *notes), pieces=pieces, labels=called)


def _fingerprint(opened: Opened, schema: Schema) -> str:
    """Return the fingerprint of other data; of a few rows in memory, which cannot be the model's own, a quick one."""
    source: Source = opened.data
    if is_public(schema.fingerprint):
        return public_fingerprint(details_of(schema), opened.n_rows, source.part)
    if source.cells is None or opened.n_rows == schema.n_rows or opened.facts.get("path") is not None:
        return fingerprint_of(opened)
    return quick.fingerprint(source.whole.columns.tolist(), source.cells, source.part)


def _refuse_nothing(source: Source, n: int) -> None:
    width = len(source.whole.columns) if source.whole is not None else 1
    if n < 1 or width < 1:
        raise InputError(f"A table needs rows and columns, but {source.origin} has {n} rows and {width} columns.")


def _refuse_unknown(names: list[str | int], options: TableOptions) -> None:
    known = [str(n) for n in names]
    for what, given in (("schema", options.schema_), ("missingness", options.missingness)):
        for name in given:
            if name not in known:
                raise SettingError(
                    f"The table has no column {name!r}, which the option {what} names.{suggestion(name, known)}"
                )


def _label(source: Source, name: str | int, *, strict: bool) -> Any:
    """Return the label of every row as the user has it; of a table that is streamed, one object for equal ones."""
    import pandas as pd

    parts = []
    for piece in source.some(ROWS, [str(name)]) if source.whole is None else [source.whole]:
        found = [c for c in piece.columns if str(c) == str(name)]
        if not found:
            if strict:
                known = [str(c) for c in piece.columns]
                hint = suggestion(str(name), known)
                raise InputError(f"{source.origin} has no column {str(name)!r}.{hint} Name one that is there.")
            return None
        codes, classes = pd.factorize(piece[found[0]])
        parts.append(np.array([*classes.astype(object), None], dtype=object)[codes])
    return np.concatenate(parts)


def _path(source: object) -> str | None:
    path = existing(source)
    return None if path is None else str(path)


KINDS.add("table")(TableKind())
