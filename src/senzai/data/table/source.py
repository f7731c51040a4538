"""Any table, whatever holds it, as pandas frames: all at once where it fits memory, else piece by piece."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from senzai.core.errors import InputError
from senzai.core.extras import need

from .. import sources
from ..column import Column, Table
from ..limits import need_no_holes, need_room, need_sound_archive
from ..options import TableOptions
from . import csvs, databases, texts

TEXTS = (".csv", ".tsv", ".psv", ".data", ".dat")
SQLITE = (".sqlite", ".sqlite3", ".db")
SUFFIXES = (*TEXTS, ".parquet", ".pq", ".arrow", ".feather", ".ipc", ".jsonl", ".ndjson", ".xlsx", *SQLITE)
IN_MEMORY_BYTES = 2**28
"""Files larger than this are streamed, unless `in_memory` says otherwise."""
ROWS = 50_000


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
        dialect: How a text table is written.
        readings: How the cells of each text column are read, by name.
        counted: Its rows, where they are known or cheaply counted.
        narrow: Makes frames like ``pieces``, of some columns only, where that is cheaper.
    """

    origin: str
    form: str
    pieces: Callable[[int], Iterator[Any]]
    whole: Any = None
    notes: tuple[str, ...] = ()
    index: Any = None
    readings: Mapping[str | int, str] | None = None
    counted: Callable[[], int] | None = None
    narrow: Callable[[int, Collection[str]], Iterator[Any]] | None = None

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
    return isinstance(source, str) and "://" in source and source.split("://")[0].replace("+", "").isalnum()


def is_table(source: object) -> bool:
    """Whether a source is a table, by its type or its name."""
    if sources.is_frame(source) or is_polars(source) or is_arrow(source) or is_url(source):
        return True
    if isinstance(source, tuple) and len(source) == 2 and not isinstance(source[0], str | Path):
        return is_table(source[0]) and not is_table(source[1])
    path = sources.existing(source)
    return path is not None and path.is_file() and path.suffix.lower() in SUFFIXES


def open_source(source: Any, options: TableOptions, table: Table | None) -> Source:
    """Return a source ready to be read; ``table`` is what a model knows about its columns."""
    if is_url(source):
        made = Source(repr(str(source).split("@")[-1]), "table", databases.of_url(str(source), options))
        return made if options.in_memory is False else _gathered(made)
    path = sources.existing(source)
    if path is not None:
        return _from_file(path, options, table)
    frame: Any = source
    if is_arrow(frame):
        return _in_memory(frame.to_pandas(), "the Arrow table", "table")
    if is_polars(frame):
        import polars

        whole = frame.collect() if isinstance(frame, polars.LazyFrame) else frame
        return _in_memory(_plain_polars(whole), "the polars frame", "polars")
    if not sources.is_frame(frame):
        import numpy as np
        import pandas as pd

        array = np.asanyarray(frame)  # with its mask, if it has one
        fields = array.dtype.names
        frame = pd.DataFrame(array if fields is None else {name: pd.Series(array[name]) for name in fields})
    return replace(_in_memory(frame, "the DataFrame", "pandas"), index=frame.index)


def _plain_polars(frame: Any) -> Any:
    import pandas as pd

    return pd.DataFrame({name: frame[name].to_arrow().to_pandas() for name in frame.columns})


def _in_memory(frame: Any, origin: str, form: str, notes: tuple[str, ...] = ()) -> Source:
    def pieces(rows: int) -> Iterator[Any]:
        for start in range(0, max(len(frame), 1), rows):
            yield frame.iloc[start : start + rows]

    return Source(origin, form, pieces, whole=frame, notes=notes)


# --- files ----------------------------------------------------------------------------------------------------------
def _from_file(path: Path, options: TableOptions, table: Table | None) -> Source:
    suffix, origin = path.suffix.lower(), repr(str(path))
    if suffix not in SUFFIXES:
        raise InputError(f"A table is a file with the suffix {', '.join(SUFFIXES)}, but got {path.name!r}. Convert it.")
    large = path.stat().st_size > IN_MEMORY_BYTES if options.in_memory is None else not options.in_memory
    if suffix in TEXTS:
        return _from_text(path, options, table, large=large)
    if suffix in SQLITE:
        return _gathered(Source(origin, "table", databases.of_sqlite(path, options)))
    if suffix == ".xlsx":
        need("openpyxl", extra="table", to="read Excel files")
        import pandas as pd

        with _guarded(path):
            need_sound_archive(path)
            frame = pd.read_excel(path, sheet_name=options.sheet if options.sheet is not None else 0)
        return _in_memory(frame, origin, "table")
    read = {".parquet": _parquet, ".pq": _parquet, ".jsonl": _json_lines, ".ndjson": _json_lines}.get(suffix, _arrow)

    def pieces(rows: int) -> Iterator[Any]:
        with _guarded(path):
            yield from read(path, rows)

    made = Source(origin, "table", pieces)
    return made if large else _gathered(made)


class _guarded:
    """Turn what readers raise for a damaged file into one error that names it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, err: BaseException | None, trace: object) -> None:
        if isinstance(err, Exception) and not isinstance(err, InputError | ImportError):
            raise InputError(
                f"{str(self.path)!r} must be a whole {self.path.suffix} file, but cannot be read: "
                f"{str(err)[:200]}. Save it again."
            ) from err


def _gathered(source: Source) -> Source:
    import pandas as pd

    parts, held = [], 0
    for part in source.pieces(ROWS):
        held += int(part.memory_usage(index=False).sum())
        need_room(held, source.origin, "rows that in memory take")
        parts.append(part)
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    made = _in_memory(frame, source.origin, source.form, source.notes)
    return replace(made, readings=source.readings)


def _parquet(path: Path, rows: int) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        empty = True
        for batch in file.iter_batches(batch_size=rows):
            empty = False
            yield _arrow_frame(batch, file.schema_arrow)
        if empty:
            yield _arrow_frame(file.schema_arrow.empty_table(), file.schema_arrow)


def _arrow_frame(batch: Any, schema: Any) -> Any:
    import pyarrow as pa

    table = pa.Table.from_batches([batch], schema=batch.schema) if isinstance(batch, pa.RecordBatch) else batch
    table.validate(full=True)  # a damaged file may point anywhere in memory, and Arrow would follow
    return table.replace_schema_metadata(schema.metadata).to_pandas().reset_index(drop=True)


def _arrow(path: Path, rows: int) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import ipc

    with path.open("rb") as start:
        streamed = start.read(6) != b"ARROW1"
    if streamed:
        with pa.OSFile(str(path)) as file, ipc.open_stream(file) as stream:
            for batch in stream:
                yield _arrow_frame(batch, stream.schema)
        return
    with pa.memory_map(str(path)) as file:
        reader = ipc.open_file(file)
        for i in range(reader.num_record_batches):
            batch = reader.get_batch(i)
            for first in range(0, batch.num_rows, rows):
                yield _arrow_frame(batch.slice(first, rows), reader.schema)


def _json_lines(path: Path, rows: int) -> Iterator[Any]:
    import pandas as pd

    with pd.read_json(path, lines=True, chunksize=rows, dtype=False, precise_float=True) as reader:
        for piece in reader:
            yield piece.reset_index(drop=True)


# --- text -----------------------------------------------------------------------------------------------------------
def _from_text(path: Path, options: TableOptions, table: Table | None, *, large: bool) -> Source:
    need_no_holes(path)
    dialect = csvs.sniff(
        path, encoding=options.encoding, delimiter=options.delimiter, quote=options.quote, header=options.header
    )
    names, notes = named(dialect.names, repr(str(path)))
    markers = options.na if table is None else table.markers
    seen = 0
    if table is None:
        found = [texts.Reading() for _ in names]
        for batch in csvs.batches(path, dialect):
            seen += batch.num_rows
            for reading, cells in zip(found, batch.columns, strict=True):
                if reading.candidates:  # once it is text, it stays text
                    reading.see(texts.blank(cells, markers))
        readings = {n: r.chosen for n, r in zip(names, found, strict=True)}
    else:
        known = {str(c.name): reading_of(c) for c in table.columns}
        readings = {n: known.get(str(n), "text") for n in names}

    def count() -> int:
        return seen if table is None else sum(b.num_rows for b in csvs.batches(path, dialect, only=[0]))

    def narrow(rows: int, wanted: Collection[str]) -> Iterator[Any]:
        at = [i for i, n in enumerate(names) if str(n) in wanted]
        if len(at) < len(wanted):  # whoever looks for a column that is not there, sees all that are
            at = list(range(len(names)))
        return _typed_pieces(path, dialect, {names[i]: readings[names[i]] for i in at}, at, markers, rows)

    made = Source(
        repr(str(path)), "table", lambda rows: narrow(rows, {str(n) for n in names}), notes=(*dialect.notes, *notes),
        readings=readings, counted=count, narrow=narrow,
    )
    return made if large else _gathered(made)


def _typed_pieces(
    path: Path, dialect: csvs.Dialect, readings: Mapping[str | int, str], at: list[int], markers: tuple[str, ...],
    rows: int,
) -> Iterator[Any]:
    """Yield frames of some columns of a text table, each read as it was found to be."""
    import pandas as pd

    start = 0
    for batch in csvs.batches(path, dialect, only=at):
        for first in range(0, batch.num_rows, rows):
            cells = [texts.blank(c, markers) for c in batch.slice(first, rows).columns]
            made = {
                i: texts.typed(c, how, name, start=start, origin=repr(str(path)))
                for i, ((name, how), c) in enumerate(zip(readings.items(), cells, strict=True))
            }
            start += len(cells[0]) if cells else 0
            yield pd.DataFrame(made).set_axis(list(readings), axis=1)


def reading_of(column: Column) -> str:
    """Return how the text cells of a known column are read."""
    if column.type == "boolean" and column.dtype in ("bool", "boolean"):
        return texts.PLAIN_TRUTH
    if column.type in ("real", "positive", "bounded", "count") or column.sort == "steps":
        whole = column.dtype.lower().startswith(("int", "uint"))
        return "int" if whole else "text" if column.unit or not _numeric(column) else "float"
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
