"""The kind `table`: rows of mixed types with missing values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, cast, final

import numpy as np

from senzai.core.batch import Data
from senzai.core.errors import InputError, SettingError
from senzai.core.later import Tensor, torch
from senzai.core.registry import suggestion

from .. import labels
from ..column import Column, Table
from ..deciding import label_of, one_tensor
from ..fingerprint import WHOLE_BYTES
from ..kind import KINDS, Kind, Opened
from ..options import Options, TableOptions
from ..rows import Rows
from ..schema import Condition, Proposal, Schema
from ..sources import existing
from . import amounts, codec, writing
from . import labels as columns
from .deciding import decide
from .dtypes import name_of
from .rows import column_named, frame_of, rows_of
from .series import as_labels
from .source import ROWS, SUFFIXES, Source, is_table, named, open_source
from .survey import Facts
from .texts import PLAIN_TRUTH

COMBINATIONS = 1000


@final
class TableKind(Kind):
    """CSV, TSV, Parquet, Arrow, JSON lines, Excel, databases, pandas and polars frames.

    Example:
        >>> import pandas as pd
        >>> kind = KINDS["table"]
        >>> frame = pd.DataFrame({"age": [30, 41, None], "city": ["Ulm", "Bonn", "Ulm"]})
        >>> opened = kind.read(frame, kind.options())
        >>> schema = kind.infer(opened, kind.options())
        >>> [c.type for c in schema.table.columns]
        ['boolean', 'categorical']
        >>> batch = kind.rows(opened, schema).take(np.arange(3))
        >>> batch.mask[2].tolist()
        [False, True]
    """

    name: ClassVar[str] = "table"
    title: ClassVar[str] = "tables of mixed columns: csv, parquet, arrow, jsonl, xlsx, sqlite, SQL, pandas, polars"
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    options: ClassVar[type[Options]] = TableOptions

    def accepts(self, source: object, options: Mapping[str, Any]) -> bool:
        """Whether the source is a frame, a file of a table, or a database."""
        return is_table(source)

    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        """Read the source, or find out how it is read piece by piece."""
        set_ = _table_options(options)
        y = None
        if isinstance(source, tuple) and len(source) == 2 and not isinstance(source[0], str):
            source, y = source
        found = open_source(
            source, set_, None if schema is None else schema.table,
            sure=schema is None or set_.encoding != schema.reading.get("encoding"),
        )
        if found.whole is not None:
            names, notes = named(columns.names_of(found.whole.columns), found.origin)
            found = _replaced(found, found.whole.set_axis(list(names), axis=1), notes, found.whole.columns)
            n = len(found.whole)
        else:
            n = found.count()
        _refuse_nothing(found, n)
        label = None if y is None else labels.as_labels(y)
        wanted = set_.label if schema is None or schema.label is None else schema.label.name
        if label is None and wanted is not None:
            label = _label(found, wanted, strict=schema is None)
        name = str(set_.label if set_.label is not None else getattr(y, "name", None) or "label")
        return Opened(
            data=found, n_rows=n, dtype="mixed", form=cast(Any, found.form), origin=found.origin, labels=label,
            label_name=name, label_asked=label is not None, index=found.index, notes=found.notes,
            facts={"path": _path(source)},
        )

    def infer(self, opened: Opened, options: Options) -> Schema:
        """Decide the type of every column from one look at all rows."""
        set_, source = _table_options(options), opened.data
        facts, kept = _surveyed(source, set_)
        _refuse_unknown([f.name for f in facts], set_)
        readings = source.readings or {}
        found = [_decided(f, set_, len(facts), readings.get(f.name, ""), opened) for f in facts]
        markers = set_.na
        called = None if source.labels is None else columns.coded(source.labels, opened.origin)
        table = Table(columns=tuple(found), labels=called, unknown=set_.unknown, rare=set_.rare, markers=markers)
        if not table.modelled:
            some = "; ".join(f"{c.name}: {c.reason}" for c in table.columns[:3])
            raise InputError(f"A table needs a column to learn from, but {opened.origin} has none. {some}")
        label, said = label_of(opened, set_)
        return Schema(
            kind=self.name, event_shape=(len(table.sorts),), dtype="mixed", values="mixed", columns=table.features,
            form=opened.form, label=label, table=table, condition=_condition(set_.condition, table, kept),
            n_rows=opened.n_rows, split=set_.split, fingerprint=_fingerprint(opened),
            reasons=(*opened.notes, *_reasons(table, opened), *said),
            options={} if set_.in_memory is None else {"in_memory": set_.in_memory},
        )

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        """Take the model's decisions for other data."""
        return schema.model_copy(
            update={"form": opened.form, "n_rows": opened.n_rows, "fingerprint": _fingerprint(opened),
                    "reasons": tuple(dict.fromkeys((*schema.reasons, *opened.notes)))}
        )

    def rows(self, opened: Opened, schema: Schema) -> Rows:
        """Return the rows as numbers, with a mask of what is observed."""
        names = () if schema.condition is None else schema.condition.names
        targets = labels.encode_labels(opened.labels, schema.label)
        return rows_of(opened.data, _table(schema), names, targets)

    def decode(
        self, x: Data, schema: Schema, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return a frame: every column in its place, with its name, dtype, levels, rounding and range."""
        frame = frame_of(one_tensor(x), _table(schema))
        return writing.to_polars(frame) if schema.form == "polars" else frame

    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        """Write csv, tsv, parquet, arrow, jsonl or xlsx."""
        with writing.Writer(path) as writer:
            writer.write(decoded)

    def propose(self, schema: Schema) -> Proposal:
        """Suggest a likelihood that has a part for each column."""
        table = _table(schema)
        sorts = {"sorts": table.sorts, "sizes": table.sizes, "cuts": cuts_of(table)}
        spikes = {"spikes": table.spikes} if table.spikes else {}
        n = schema.n_rows
        rows = 512 if n >= 20_000 else 256 if n >= 5000 else 128
        return Proposal(
            family="mixed", family_settings=sorts | spikes, encoder="table", encoder_settings=sorts,
            training={"batch_size": rows, "steps": max(2000, min(6000, 1200 + 3 * n // 32)), "schedule": "follow",
                      "lr": round(3e-3 * (rows / 64) ** 0.5, 5)},
            reason="Proposed because every column has a likelihood of its own.",
        )

    def encode_condition(self, values: Mapping[str, list[Any]], schema: Schema) -> Tensor:
        """Return the condition of given values, as a row of the table would have it."""
        import pandas as pd

        table = _table(schema)
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


def _table_options(options: Options) -> TableOptions:
    return options if isinstance(options, TableOptions) else TableOptions(**options.model_dump())


def _table(schema: Schema) -> Table:
    if schema.table is None:
        raise InputError("The schema is not that of a table. Open the data with the model's own schema.")
    return schema.table


def _replaced(source: Source, whole: Any, notes: tuple[str, ...], called: Any) -> Source:
    from dataclasses import replace

    def pieces(rows: int) -> Any:
        for start in range(0, max(len(whole), 1), rows):
            yield whole.iloc[start : start + rows]

    return replace(source, whole=whole, notes=(*source.notes, *notes), pieces=pieces, labels=called)


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
                raise InputError(f"{source.origin} has no column {str(name)!r} for the label.{hint}")
            return None
        codes, classes = pd.factorize(piece[found[0]])
        parts.append(np.array([*classes.astype(object), None], dtype=object)[codes])
    return np.concatenate(parts)


def _path(source: object) -> str | None:
    path = existing(source)
    return None if path is None else str(path)


def _surveyed(source: Source, options: TableOptions) -> tuple[list[Facts], Any]:
    """Return facts of every column, and rows that say what combinations of the condition there are."""
    import pandas as pd

    facts: list[Facts] = []
    kept: list[Any] = []
    readings = source.readings or {}
    for piece in source.pieces(ROWS * 4 if source.whole is None else max(len(source.whole), 1)):
        if not facts:
            facts = [Facts(name) for name in columns.names_of(piece.columns)]
        for i, fact in enumerate(facts):
            reading, series = readings.get(fact.name, ""), piece.iloc[:, i]
            fact.see(amounts.plain(series, reading) if amounts.is_form(reading) else series)
            fact.told["dtype"] = name_of(series.dtype) if amounts.is_form(reading) else fact.told["dtype"]
        if options.condition:
            kept.append(piece[[c for c in piece.columns if str(c) in options.condition]])
            if source.whole is None:
                kept[-1] = kept[-1].sample(min(len(piece), COMBINATIONS), random_state=0)
    return facts, pd.concat(kept) if kept else None


def _decided(facts: Facts, options: TableOptions, n: int, reading: str, opened: Opened) -> Column:
    own = amounts.is_form(reading) or (reading.startswith("truth") and reading != PLAIN_TRUTH)
    written = reading if own else ""
    if options.label is not None and str(facts.name) == str(options.label) and opened.labels is not None:
        why = "It is the label, no part of a row."
        return Column(name=facts.name, type="dropped", dtype=facts.told["dtype"], reason=why)
    return decide(facts, options, n_columns=n, written=written)


def cuts_of(table: Table) -> tuple[tuple[float, ...], ...]:
    """Return the cut points of the columns of steps: logits of their cumulative shares, half a row added to each."""
    found = []
    for column in table.modelled:
        if column.sort != "steps":
            continue
        shares = np.array(column.shares) + 0.5e-4 / len(column.shares)
        if column.spike is not None:  # what has a probability of its own is no part of the others'
            shares[int(column.spike)] = 0.5e-4 / len(column.shares)
        below = np.clip(np.cumsum(shares / shares.sum())[:-1], 1e-7, 1 - 1e-7)
        cuts = np.log(below) - np.log1p(-below)
        found.append(tuple(float(c) for c in np.maximum.accumulate(cuts + 1e-6 * np.arange(len(cuts)))))
    return tuple(found)


def _condition(asked: tuple[str, ...], table: Table, kept: Any) -> Condition | None:
    if not asked:
        return None
    import pandas as pd

    chosen = [column_named(table, name) for name in asked]
    for column in chosen:
        if not column.modelled:
            raise SettingError(
                f"The column {str(column.name)!r} is not modelled ({column.reason}), so nothing can follow from it."
            )
    rows = kept.set_axis([str(c) for c in kept.columns], axis=1)
    rows = pd.DataFrame({c.name: as_labels(rows[str(c.name)], c.objects) for c in chosen}, dtype=object)
    counts = rows.value_counts(dropna=False)[:COMBINATIONS]
    values = [tuple(None if v != v else v for v in (key if isinstance(key, tuple) else (key,))) for key in counts.index]
    shares = counts.to_numpy() / counts.sum()
    width = sum(codec.condition_width(c) for c in chosen)
    return Condition(names=tuple(asked), width=width, values=tuple(values), shares=tuple(shares.tolist()))


def _reasons(table: Table, opened: Opened) -> list[str]:
    said = [f"{c.name}: {c.type}. {c.reason}" for c in table.columns[:60]]
    if len(table.columns) > 60:
        kinds = [c.type for c in table.columns[60:]]
        rest = ", ".join(f"{kinds.count(k)} {k}" for k in sorted(set(kinds)))
        said.append(f"{len(kinds)} further columns: {rest}.")
    n = sum(c.n_missing for c in table.modelled)
    if n:
        said.append(f"{n} entries are missing; they are masked, told to the encoder, and nothing depends on them.")
    learned = [str(c.name) for c in table.missingness]
    if learned:
        said.append(f"Which rows lack {', '.join(learned)} is part of the model (missing not at random).")
    large = [str(c.name) for c in table.modelled if c.ticks and c.high is not None and c.high - (c.low or 0) > 2**53]
    if large:
        said.append(f"Numbers that range beyond 2^53 steps are reconstructed to about 16 digits: {', '.join(large)}.")
    return said


def _fingerprint(opened: Opened) -> str:
    """Hash a file's bytes (of very large ones, blocks of them), or the values of a frame; and which part it is."""
    path, part = opened.facts.get("path"), opened.data.part
    digest = hashlib.sha256(part.encode())
    if path is not None:
        size = Path(path).stat().st_size
        with Path(path).open("rb") as file:
            step = max(1 << 20, size // 64) if size > WHOLE_BYTES else 1 << 20
            for at in range(0, size, step):
                file.seek(at)
                digest.update(file.read(1 << 20))
        return f"{'sha256-sample' if size > WHOLE_BYTES else 'sha256'}:{digest.hexdigest()}"
    import pandas as pd

    whole = opened.data.whole
    if whole is None:
        return f"sha256-sample:{hashlib.sha256(f'{part}{opened.origin} {opened.n_rows}'.encode()).hexdigest()}"
    digest.update(repr([str(c) for c in whole.columns]).encode())
    for i in range(len(whole.columns)):
        column = whole.iloc[:, i]
        try:
            hashed = pd.util.hash_pandas_object(column, index=False)
        except TypeError:
            hashed = pd.util.hash_pandas_object(column.astype(str), index=False)
        digest.update(hashed.to_numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"


KINDS.add("table")(TableKind())
