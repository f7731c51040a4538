"""Files of typed cells, piece by piece: Parquet, Arrow, JSON lines and Excel; no value is changed on the way."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from senzai.core.errors import InputError, UnknownNameError
from senzai.core.extras import need

from .. import encodings
from ..limits import guarded, need_sound_archive
from ..options import TableOptions
from . import exact, texts

EXCEL_ROWS = 2**20
"""Rows that a sheet can have."""


# --- Parquet and Arrow ----------------------------------------------------------------------------------------------
def parquet(path: Path, rows: int) -> Iterator[Any]:
    """Yield frames of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with guarded(path), pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        kept = [f.name for f in schema if not exact.cannot_hold(f.type)]
        empty = True
        for batch in file.iter_batches(batch_size=rows, columns=kept):
            empty = False
            yield _frame(pa.Table.from_batches([batch]), schema)
        if empty:
            yield _frame(schema.empty_table(), schema)


def arrow(path: Path, rows: int) -> Iterator[Any]:
    """Yield frames of an Arrow file or stream."""
    import pyarrow as pa

    with guarded(path), _ipc(path) as reader:
        for i in range(reader.num_record_batches) if hasattr(reader, "num_record_batches") else ():
            batch = reader.get_batch(i)
            for start in range(0, batch.num_rows, rows):
                yield _frame(pa.Table.from_batches([batch.slice(start, rows)]), reader.schema)
        for batch in () if hasattr(reader, "num_record_batches") else reader:
            yield _frame(pa.Table.from_batches([batch]), reader.schema)


@contextmanager
def _ipc(path: Path) -> Iterator[Any]:
    """Open an Arrow file, or a stream."""
    import pyarrow as pa
    from pyarrow import ipc

    with path.open("rb") as start:
        whole = start.read(6) == b"ARROW1"
    with pa.memory_map(str(path)) if whole else pa.OSFile(str(path)) as file:
        yield ipc.open_file(file) if whole else ipc.open_stream(file)


def _frame(table: Any, schema: Any) -> Any:
    table.validate(full=True)  # a damaged file may contain any offset, and Arrow would read there
    kept = [f.name for f in table.schema if not exact.cannot_hold(f.type)]
    return exact.framed(table.select(kept).replace_schema_metadata(schema.metadata))


def left_out(path: Path) -> list[str]:
    """Return the columns of a Parquet or Arrow file that a table cannot have."""
    import pyarrow.parquet as pq

    with guarded(path):
        if path.suffix.lower() in (".parquet", ".pq"):
            schema = pq.read_schema(path)
        else:
            with _ipc(path) as reader:
                schema = reader.schema
    return [f.name for f in schema if exact.cannot_hold(f.type)]


# --- JSON lines -----------------------------------------------------------------------------------------------------
def json_names(path: Path) -> tuple[list[str], list[str]]:
    """Return the names in a JSON-lines file, in their order, and those whose values a table cannot have."""
    names: dict[str, bool] = {}
    for row in _json_rows(path):
        for name, value in row.items():
            names[name] = names.get(name, False) or isinstance(value, list | dict)
    return [n for n, nested in names.items() if not nested], [n for n, nested in names.items() if nested]


def json_lines(path: Path, rows: int, names: list[str]) -> Iterator[Any]:
    """Yield frames of a JSON-lines file: whole numbers of any size, and numbers to the last digit."""
    held: list[Mapping[str, Any]] = []
    for row in _json_rows(path):
        held.append(row)
        if len(held) >= rows:
            yield _json_frame(held, names)
            held = []
    if held:
        yield _json_frame(held, names)


def _json_frame(rows: list[Mapping[str, Any]], names: list[str]) -> Any:
    import pandas as pd

    columns = [[None if (v := row.get(name)) != v else v for row in rows] for name in names]
    return pd.DataFrame({i: exact.series_of(c) for i, c in enumerate(columns)}).set_axis(names, axis=1)


def _json_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with guarded(path), encodings.opened(path) as file:
        rest, number = b"", 0
        while True:
            block = file.read(encodings.BLOCK)
            *lines, rest = (rest + block).split(b"\n") if block else (rest, b"")
            for line in lines:
                number += 1
                if line.strip(b" \t\r\xef\xbb\xbf"):
                    yield _json_row(line, number, path)
            if not block:
                return


def _json_row(line: bytes, number: int, path: Path) -> Mapping[str, Any]:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as err:
        raise InputError(
            f"Every line of {str(path)!r} must be one JSON object in UTF-8, but line {number} is not: {str(err)[:120]}."
            " Correct that line."
        ) from err
    if not isinstance(row, dict):
        raise InputError(
            f"Every line of {str(path)!r} must be one JSON object, {{\"name\": value, ...}}, but line {number} is "
            f"{line[:60].decode('utf-8', 'replace')!r}. Correct that line."
        )
    return row


# --- Excel ----------------------------------------------------------------------------------------------------------
def excel(path: Path, options: TableOptions) -> tuple[Any, str, tuple[str, ...]]:
    """Return a sheet of an Excel file, text as text; its name, where it is not the first; and what was chosen."""
    openpyxl = need("openpyxl", extra="table", to="read Excel files")
    with guarded(path):
        need_sound_archive(path)
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            sheet, notes = _sheet(book, options.sheet, path)
            rows = _excel_rows(book[sheet], path)
            part = "" if sheet == book.worksheets[0].title else sheet
        finally:
            book.close()
    frame = _excel_frame(rows, options)
    return frame, part, (*notes, *_like_numbers(frame))


def _excel_rows(page: Any, path: Path) -> list[list[Any]]:
    page.reset_dimensions()  # a sheet says how large it is, and need not be right
    rows: list[list[Any]] = []
    for row in page.iter_rows():
        if len(rows) == EXCEL_ROWS:
            raise InputError(f"A sheet has {EXCEL_ROWS:,} rows at most, but {str(path)!r} counts more. Save it again.")
        rows.append([_cell(c) for c in row])
    return rows


def _sheet(book: Any, asked: str | int | None, path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the requested sheet, by name or by number, or the first one; and the names of the others."""
    names = [s.title for s in book.worksheets]
    if asked is None:
        others = ", ".join(names[1:8]) + (" ..." if len(names) > 8 else "")
        said = f"The sheet {names[0]!r} is read; {others} {'are' if len(names) > 2 else 'is'} left (option sheet=...)."
        return names[0], (said,) if len(names) > 1 else ()
    if str(asked) in names:
        return str(asked), ()
    if isinstance(asked, int) and 0 <= asked < len(names):
        return names[asked], (f"The sheet {names[asked]!r} is read: number {asked}, from 0.",)
    raise UnknownNameError(
        f"An Excel file is read by the name of a sheet or its number from 0, and {str(path)!r} has the sheets "
        f"{', '.join(names)}, but got sheet={asked!r}. Choose one of them."
    )


def _like_numbers(frame: Any) -> Iterator[str]:
    for i, name in enumerate(frame.columns):
        told = frame.iloc[:, i].dropna()
        if str(told.dtype) == "str" and len(told) and told.str.fullmatch(r"[+-]?\d+(\.\d+)?").all():
            yield f"{name}: text in Excel, though it looks like numbers, so it is text; change that in Excel."


def _cell(cell: Any) -> Any:
    value = cell.value
    return None if value == "" or getattr(cell, "data_type", None) == "e" else value


def _excel_frame(rows: list[list[Any]], options: TableOptions) -> Any:
    import pandas as pd

    there = [i for i, row in enumerate(rows) if any(v is not None for v in row)]
    rows = rows[there[0] : there[-1] + 1] if there else []
    width = max((j + 1 for row in rows for j, v in enumerate(row) if v is not None), default=0)
    rows = [(row + [None] * width)[:width] for row in rows]
    named = options.header is not False and bool(rows)
    head = [v if isinstance(v, int) and not isinstance(v, bool) else "" if v is None else str(v).strip()
            for v in rows[0]] if named else list(range(width))
    columns = [_typed([row[j] for row in rows[named:]], options.na) for j in range(width)]
    return pd.DataFrame(dict(enumerate(columns))).set_axis(head, axis=1)


def _typed(values: list[Any], markers: tuple[str, ...]) -> Any:
    """Return a column: texts that mean *missing* are holes among numbers and dates, and texts among texts."""
    plain = {type(v) for v in values if v is not None and not isinstance(v, str)}
    gone = {*markers, *(texts.MISSING if plain else ())}
    values = [None if isinstance(v, str) and v.strip() in gone else v for v in values]
    if any(type(v) is datetime.datetime for v in values):
        values = [datetime.datetime(v.year, v.month, v.day) if type(v) is datetime.date else v for v in values]
    return exact.series_of(values)
