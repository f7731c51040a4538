"""Any table as pandas frames: all at once where it fits memory, otherwise piece by piece."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from senzai.core.errors import InputError

from .. import encodings, sources
from ..addresses import without_password
from ..frame_files import of_polars
from ..limits import need_no_holes, need_regular, need_room
from ..options import TableOptions
from . import amounts, csvs, databases, exact, files, texts
from . import shards as sharded
from .column import Column, TableDetails

TEXTS = (".csv", ".tsv", ".psv", ".data", ".dat")
JSON = (".jsonl", ".ndjson")
SQLITE = (".sqlite", ".sqlite3", ".db")
SUFFIXES = (*TEXTS, ".parquet", ".pq", ".arrow", ".feather", ".ipc", *JSON, ".xlsx", *SQLITE)
IN_MEMORY_BYTES = 2**28
"""Files larger than this are streamed, unless `in_memory` says otherwise."""
ROWS = 50_000
FEW = 64
"""Rows up to which cells are looked at one by one, which is quicker than pandas."""
NUMBERS = ("real", "positive", "bounded", "count", "ordinal")


@dataclass(frozen=True)
class Source:
    """A table that can be gone through from its start, as often as needed.

    Args:
        origin: What it is called in messages.
        form: What comes back to the user: "pandas", "polars" or "table" (a pandas frame without row names).
        pieces: Makes frames of at most so many rows, in order.
        whole: Everything, where it is in memory.
        notes: What was chosen while reading.
        index: Row names of a pandas frame.
        labels: What its columns are called by the user.
        dialect: How a text table is written.
        readings: How the cells of each text column are read, by name.
        counted: Its rows, where they are known or cheaply counted.
        narrow: Makes frames like ``pieces``, of some columns only, where that is cheaper.
        shards: The files it is in, where it is in several that are read group by group.
        part: What of the file or database it is, where there are several: a sheet, a query.
    """

    origin: str
    form: str
    pieces: Callable[[int], Iterator[Any]]
    whole: Any = None
    notes: tuple[str, ...] = ()
    index: Any = None
    labels: Any = None
    readings: Mapping[str | int, str] | None = None
    counted: Callable[[], int] | None = None
    narrow: Callable[[int, Collection[str]], Iterator[Any]] | None = None
    shards: sharded.Shards | None = None
    part: str = ""

    @cached_property
    def cells(self) -> list[list[Any]] | None:
        """Cells of a few rows in memory as Python objects, column by column; ``None`` of more rows."""
        few = self.whole is not None and len(self.whole) <= FEW
        return self.whole.to_numpy(dtype=object).T.tolist() if few else None

    def count(self) -> int:
        """Return the number of rows."""
        return sum(len(piece) for piece in self.pieces(ROWS)) if self.counted is None else self.counted()

    def some(self, rows: int, names: Collection[str]) -> Iterator[Any]:
        """Yield frames of at most so many rows that have at least the columns of these names."""
        return self.pieces(rows) if self.narrow is None else self.narrow(rows, names)

    @property
    def streamed(self) -> bool:
        """Whether it is read again for every pass."""
        return self.whole is None


def rows_at(source: Source, index: Any) -> Any:
    """Return rows by their numbers as a pandas frame, in the order of the numbers, with all columns."""
    import numpy as np
    import pandas as pd

    at = np.asarray(index, dtype=np.int64)
    order = np.argsort(at, kind="stable")
    wanted, start, found = at[order], 0, []
    for piece in source.pieces(ROWS):
        here = wanted[(wanted >= start) & (wanted < start + len(piece))] - start
        start += len(piece)
        if len(here):
            found.append(piece.iloc[here])
        if start > (wanted[-1] if len(wanted) else -1):
            break
    frame = pd.concat(found) if found else next(source.pieces(1)).iloc[:0]
    return frame.iloc[np.argsort(order, kind="stable")].set_axis(at, axis=0)


def is_polars(source: object) -> bool:
    """Whether a source is a polars frame, without importing polars for those who have none."""
    polars = sys.modules.get("polars")
    return polars is not None and isinstance(source, polars.DataFrame | polars.LazyFrame)


def is_arrow(source: object) -> bool:
    """Whether a source is an Arrow table."""
    arrow = sys.modules.get("pyarrow")
    return arrow is not None and isinstance(source, arrow.Table)


def is_url(source: object) -> bool:
    """Whether a source is the address of a database.

    Example:
        >>> is_url("sqlite:///shop.db"), is_url("shop.db")
        (True, False)
    """
    scheme = source.split("://")[0] if isinstance(source, str) and "://" in source else ""
    return scheme.replace("+", "").isalnum() and not sharded.is_address(source)


def is_table(source: object) -> bool:
    """Whether a source is a table, by its type or its name."""
    if sources.is_frame(source) or is_polars(source) or is_arrow(source) or is_url(source):
        return True
    if sharded.is_address(source):
        return True
    if isinstance(source, tuple) and len(source) == 2 and not isinstance(source[0], str | Path):
        return is_table(source[0]) and not is_table(source[1])
    path = sources.existing(source)
    if path is not None and path.is_dir():
        return sharded.is_folder(path)
    return path is not None and path.is_file() and _suffix(path) in SUFFIXES


def _suffix(path: Path) -> str:
    """Return the suffix that says how a file is read: of packed text, that of what is in it."""
    within = encodings.inner(path)
    return within if within in (*TEXTS, *JSON) else path.suffix.lower()


def open_source(source: Any, options: TableOptions, table: TableDetails | None, *, sure: bool = True) -> Source:
    """Return a source ready to be read.

    Args:
        source: What the user has.
        options: What the user set.
        table: What a model knows about its columns.
        sure: Whether the encoding was set for this very source, and not for the data of the model.
    """
    if is_url(source):
        shown = without_password(str(source)).rpartition("@")[2]
        read, part = databases.of_url(str(source), options)
        made = Source(repr(shown), "table", read, part=part)
        return made if options.in_memory is False else _gathered(made)
    if sharded.is_address(source):
        return _of_shards(sharded.open_address(source), options)
    path = sources.existing(source)
    if path is not None and path.is_dir():
        return _of_shards(sharded.open_folder(path), options)
    if path is not None:
        return _from_file(path, options, table, sure=sure)
    frame: Any = source
    if is_arrow(frame):
        return _of_arrow(frame, "the Arrow table", "table")
    if is_polars(frame):
        import polars

        whole = frame.collect() if isinstance(frame, polars.LazyFrame) else frame
        lost = [n for n, kind in whole.schema.items() if kind.is_nested() or kind == polars.Binary]
        return _in_memory(of_polars(whole.drop(lost)), "the polars frame", "polars", exact.said(lost))
    if not sources.is_frame(frame):
        import numpy as np
        import pandas as pd

        array = np.asanyarray(frame)  # with its mask, if it has one
        fields = array.dtype.names
        frame = pd.DataFrame(array if fields is None else {name: pd.Series(array[name]) for name in fields})
    return replace(_in_memory(frame, "the DataFrame", "pandas"), index=frame.index)


def _of_arrow(table: Any, origin: str, form: str) -> Source:
    lost = [f.name for f in table.schema if exact.cannot_hold(f.type)]
    kept = table.drop_columns(lost) if lost else table
    return _in_memory(exact.framed(kept), origin, form, exact.said(lost))


def _in_memory(frame: Any, origin: str, form: str, notes: tuple[str, ...] = ()) -> Source:
    frame, lost = exact.without_nested(frame)

    def pieces(rows: int) -> Iterator[Any]:
        for start in range(0, max(len(frame), 1), rows):
            yield frame.iloc[start : start + rows]

    return Source(origin, form, pieces, whole=frame, notes=(*notes, *exact.said(lost)))


# --- files ----------------------------------------------------------------------------------------------------------
def _from_file(path: Path, options: TableOptions, table: TableDetails | None, *, sure: bool) -> Source:
    suffix, origin = _suffix(need_regular(path)), repr(str(path))
    if suffix not in SUFFIXES:
        raise InputError(f"A table is a file with the suffix {', '.join(SUFFIXES)}, but got {path.name!r}. Convert it.")
    if suffix in TEXTS:
        return _from_text(path, options, table, sure=sure)
    large = path.stat().st_size > IN_MEMORY_BYTES if options.in_memory is None else not options.in_memory
    if suffix in SQLITE:
        query, part = databases.of_sqlite(path, options)
        return _gathered(Source(origin, "table", query, part=part))
    if suffix == ".xlsx":
        frame, part, notes = files.excel(path, options)
        return replace(_in_memory(frame, origin, "table", notes), part=part)
    if suffix in JSON:
        return _from_json(path, origin, large=large)
    read = files.parquet if suffix in (".parquet", ".pq") else files.arrow
    made = Source(origin, "table", lambda rows: read(path, rows), notes=exact.said(files.left_out(path)))
    return made if large else _gathered(made)


def _from_json(path: Path, origin: str, *, large: bool) -> Source:
    names, lost = files.json_names(path)
    made = Source(origin, "table", lambda rows: files.json_lines(path, rows, names), notes=exact.said(lost))
    return made if large else _gathered(made)


def _gathered(source: Source) -> Source:
    parts, held = [], 0
    for piece in source.pieces(ROWS):
        held += int(piece.memory_usage(index=False).sum())
        need_room(held, source.origin, "rows that in memory take")
        parts.append(piece)
    made = _in_memory(exact.joined(parts), source.origin, source.form, source.notes)
    return replace(made, readings=source.readings, shards=source.shards, part=source.part)


def _of_shards(found: sharded.Shards, options: TableOptions) -> Source:
    size = sum(shard.size for shard in found.each)
    lost = sorted({name for shard in found.each for name in shard.lost})
    empty = [repr(shard.name) for shard in found.each if not sum(shard.groups)]
    notes = (f"Shards without rows: {', '.join(empty[:5])}{' ...' if len(empty) > 5 else ''}.",) if empty else ()
    made = Source(
        found.origin, "table", found.pieces, notes=(*exact.said(lost), *notes), shards=found,
        counted=lambda: int(found.starts[-1]), narrow=found.pieces,
    )
    large = size > IN_MEMORY_BYTES if options.in_memory is None else not options.in_memory
    return made if large or not found.starts[-1] else _gathered(made)


# --- text -----------------------------------------------------------------------------------------------------------
def _from_text(path: Path, options: TableOptions, table: TableDetails | None, *, sure: bool) -> Source:
    need_no_holes(path)
    dialect = csvs.sniff(
        path, encoding=options.encoding, delimiter=options.delimiter, quote=options.quote, header=options.header,
        sure=sure,
    )
    large = dialect.size > IN_MEMORY_BYTES if options.in_memory is None else not options.in_memory
    names, notes = named(dialect.names, repr(str(path)))
    if table is not None and not options.na:  # of runs that kept them there alone
        options = options.model_copy(update={"na": table.markers})
    gone = texts.missing(options)
    seen, said = 0, list[str]()
    if table is None:
        found = {n: texts.Reading(options, options.schema_.get(str(n)) in NUMBERS) for n in names}
        for batch in csvs.batches(path, dialect):
            seen += batch.num_rows
            for reading, cells in zip(found.values(), batch.columns, strict=True):
                if reading.open:
                    reading.see(cells, gone)
        readings, said = texts.settle(found, dialect.delimiter)
    else:
        known = {str(c.name): reading_of(c, options) for c in table.columns}
        readings = {n: known.get(str(n), "text") for n in names}

    form = amounts.NumberForm(options.decimal or ".", options.thousands or "")

    def count() -> int:
        return seen if table is None else sum(b.num_rows for b in csvs.batches(path, dialect, only=[0]))

    def narrow(rows: int, wanted: Collection[str]) -> Iterator[Any]:
        at = [i for i, n in enumerate(names) if str(n) in wanted]
        if len(at) < len(wanted):  # so that the error about a missing column can list all of them
            at = list(range(len(names)))
        return _typed_pieces(path, dialect, {names[i]: readings[names[i]] for i in at}, at, gone, form, rows)

    made = Source(
        repr(str(path)), "table", lambda rows: narrow(rows, {str(n) for n in names}),
        notes=(*dialect.notes, *notes, *said), readings=readings, counted=count, narrow=narrow,
    )
    return made if large else _gathered(made)


def _typed_pieces(
    path: Path, dialect: csvs.Dialect, readings: Mapping[str | int, str], at: list[int], gone: tuple[str, ...],
    form: amounts.NumberForm, rows: int,
) -> Iterator[Any]:
    """Yield frames of some columns of a text table, each read as it was found to be."""
    import pandas as pd

    start = 0
    for batch in csvs.batches(path, dialect, only=at):
        for first in range(0, batch.num_rows, rows):
            cells = [
                texts.blank(c, [t for t in gone if how != texts.WITH_NA or t != texts.NAMIBIA])
                for c, how in zip(batch.slice(first, rows).columns, readings.values(), strict=True)
            ]
            made = {
                i: texts.typed(c, how, name, start=start, origin=repr(str(path)), form=form)
                for i, ((name, how), c) in enumerate(zip(readings.items(), cells, strict=True))
            }
            start += len(cells[0]) if cells else 0
            yield pd.DataFrame(made).set_axis(list(readings), axis=1)


def reading_of(column: Column, options: TableOptions) -> str:
    """Return how the text cells of a known column are read."""
    if amounts.is_form(column.format):
        other = options.decimal not in (None, amounts.NumberForm.of(str(column.format)).decimal)
        return "float" if other else "text"
    if texts.NAMIBIA in column.levels or texts.NAMIBIA in column.rare:
        return texts.WITH_NA
    if column.type == "boolean" and column.dtype in ("bool", "boolean"):
        return texts.PLAIN_TRUTH
    whole = column.dtype.lower().startswith(("int", "uint"))
    if column.type in ("real", "positive", "bounded", "count") or column.sort == "steps":
        return "int" if whole else "text" if column.unit or not _numeric(column) else "float"
    if column.type == "date":
        return "int" if whole else "float" if column.dtype.lower().startswith("float") else "text"
    return "text"


def _numeric(column: Column) -> bool:
    return not any(isinstance(v, str) for v in column.levels[:1])


def named(names: tuple[str | int, ...], origin: str) -> tuple[tuple[str | int, ...], tuple[str, ...]]:
    """Return column names that are all there and all different.

    Raises:
        InputError: A name stands twice.

    Example:
        >>> named(("", "a"), "x")
        (('unnamed_0', 'a'), ('The column 0 has no name; it is called unnamed_0.',))
    """
    found: list[str | int] = []
    notes = []
    for i, name in enumerate(names):
        if isinstance(name, str) and not name.strip():
            notes.append(f"The column {i} has no name; it is called unnamed_{i}.")
            found.append(f"unnamed_{i}")
        else:
            found.append(name)
    texts_of = [str(n) for n in found]
    if len(set(texts_of)) < len(texts_of):
        twice = sorted({n for n in texts_of if texts_of.count(n) > 1})[:3]
        raise InputError(f"Column names must be different, but {origin} has {twice} more than once. Rename them.")
    return tuple(found), tuple(notes)
