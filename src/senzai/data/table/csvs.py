"""Text tables: delimiter, quoting and header are sniffed; cells are read as text, in blocks."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from senzai.core.errors import InputError

from .. import encodings
from ..limits import guarded

DELIMITERS = (",", "\t", ";", "|")
BLOCK, WIDE_BLOCK = 1 << 22, 1 << 24
"""Bytes that are read at once; more of tables with hundreds of columns, whose blocks have few rows."""
WIDE = 500
SNIFFED = 1 << 18


@dataclass(frozen=True)
class Dialect:
    """How a text table is written.

    Args:
        encoding: Name of the encoding.
        delimiter: What separates cells.
        quote: What cells with a delimiter are wrapped in.
        header: Whether the first row holds the names.
        names: Names of the columns.
        first: Lines before the first row of values: those of the names, and empty ones above them.
        size: Bytes of the text.
        notes: What was found out, one sentence each.
    """

    encoding: str
    delimiter: str
    quote: str
    header: bool
    names: tuple[str | int, ...]
    first: int = 0
    size: int = 0
    notes: tuple[str, ...] = ()


def sniff(
    path: Path, *, encoding: str | None, delimiter: str | None, quote: str, header: bool | None, sure: bool = True
) -> Dialect:
    """Find out how a text table is written; an encoding that is not ``sure`` gives way where all bytes are UTF-8.

    Raises:
        InputError: It is empty, cut off, or in several encodings.
    """
    bytes_ = encodings.scan(path)
    named = encoding if encoding and (sure or not bytes_.utf8) else None
    found = encodings.known(named) if named else encodings.encoding_of(path, bytes_)
    text = _start(path, found)
    whole = bytes_.size <= SNIFFED // 4
    if not text.strip():
        raise InputError(f"A table needs rows, but {str(path)!r} is empty. Check how it was written.")
    mark = delimiter or _delimiter(text, path, quote, whole=whole)
    rows = _rows(text, mark, quote, whole=whole)
    has_header = _has_header(rows) if header is None else header
    names: tuple[str | int, ...] = tuple(c.strip() for c in rows[0]) if has_header else tuple(range(len(rows[0])))
    notes = []
    if bytes_.packed:
        notes.append(f"The file is packed ({bytes_.packed}), and read as what is in it.")
    if found not in ("utf-8-sig", "utf-8"):
        notes.append(f"The file is read as {found}; the option encoding=... decides otherwise.")
    if not has_header:
        notes.append("The first line holds values, so columns are numbered from 0; header=true decides otherwise.")
    _refuse_cut_off(path, bytes_, found, mark, quote, len(names))
    first = _lines_of_names(text, mark, quote) if has_header else 0
    return Dialect(found, mark, quote, has_header, names, first, bytes_.size, tuple(notes))


def _start(path: Path, encoding: str) -> str:
    with guarded(path), encodings.opened(path) as raw, io.TextIOWrapper(raw, encoding=encoding, newline="") as file:
        try:
            return file.read(SNIFFED).lstrip("\ufeff")
        except UnicodeError as err:
            raise _wrong_encoding(path, encoding, err) from err


def _wrong_encoding(path: Path, encoding: str, err: Exception) -> InputError:
    return InputError(
        f"{str(path)!r} must be text in the encoding {encoding}, but: {str(err)[:200]}. "
        "Name another one: encoding=..., or convert the file to UTF-8."
    )


def _delimiter(text: str, path: Path, quote: str, *, whole: bool) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    scores = {}
    for mark in DELIMITERS:
        widths = [len(r) for r in _rows(text, mark, quote, whole=whole)[:200]]
        usual = max(set(widths), key=widths.count)
        scores[mark] = (usual > 1, widths.count(usual) / len(widths), usual)
    best = max(scores, key=lambda m: scores[m])
    return best if scores[best][0] else ","


def _rows(text: str, mark: str, quote: str, *, whole: bool) -> list[list[str]]:
    rows = []
    try:
        for row in _reader(text, mark, quote):
            if any(c.strip() for c in row):
                rows.append(row)
            if len(rows) > 2000:
                break
    except csv.Error:
        pass
    rows = rows if whole or len(rows) < 2 or len(rows) > 2000 else rows[:-1]
    return rows or [[""]]


def _reader(text: str, mark: str, quote: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=mark, quotechar=quote or None,
                      quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE, skipinitialspace=True)


def _lines_of_names(text: str, mark: str, quote: str) -> int:
    """Return how many lines there are up to the end of the names: they may have line breaks, and empty lines above."""
    reader = _reader(text, mark, quote)
    with suppress(csv.Error):
        next((row for row in reader if any(c.strip() for c in row)), None)
    return int(reader.line_num)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.strip().lower() not in ("nan", "inf", "infinity")


def _has_header(rows: list[list[str]]) -> bool:
    """No name is a number or a mark of a missing value, and names are not repeated as values below them."""
    first, rest = [c.strip() for c in rows[0]], rows[1:]
    if any(_is_number(c) or c == "?" for c in first):
        return False
    if not rest:
        return True
    for j, name in enumerate(first):
        column = [r[j].strip() for r in rest if len(r) > j]
        if name not in column:
            return True
    return False


def _refuse_cut_off(path: Path, found: encodings.Scan, encoding: str, mark: str, quote: str, width: int) -> None:
    """Refuse a file that stops in the middle of its last line."""
    tail = found.tail.decode(encoding.replace("-sig", ""), errors="replace")
    if found.size > len(found.tail):
        tail = tail.partition("\n")[2]
    if tail.endswith(("\n", "\r")) or (quote and tail.count(quote) and found.size > len(found.tail)):
        return
    last = tail.rstrip("\r\n").rpartition("\n")[2]
    cells = _rows(last, mark, quote, whole=True)[0]
    if len(cells) < width or (quote and last.count(quote) % 2 and tail.count(quote) % 2):
        raise InputError(
            f"Every line of {str(path)!r} has {width} cells, but the last one has {len(cells)} and no end: "
            f"{last[:60]!r}. The file was cut off; copy it again, or remove that line."
        )


def batches(
    path: Path, dialect: Dialect, *, block: int | None = None, only: Sequence[int] | None = None
) -> Iterator[Any]:
    """Yield Arrow batches of text cells, of all columns or of those whose places are given.

    Raises:
        InputError: A line has another number of cells.
    """
    import pyarrow as pa
    from pyarrow import csv as pacsv

    names = [str(n) for n in dialect.names]
    unique = [f"{i}" for i in range(len(names))]
    size = block or (BLOCK if len(names) < WIDE else WIDE_BLOCK)
    encoding = dialect.encoding.replace("-sig", "")
    read = pacsv.ReadOptions(
        column_names=unique, skip_rows=dialect.first, block_size=max(size, 1 << 16), encoding=encoding,
        use_threads=False,
    )
    parse = pacsv.ParseOptions(
        delimiter=dialect.delimiter, quote_char=dialect.quote or False, newlines_in_values=bool(dialect.quote),
    )
    convert = pacsv.ConvertOptions(
        column_types=dict.fromkeys(unique, pa.string()), strings_can_be_null=False, quoted_strings_can_be_null=False,
        include_columns=None if only is None else [unique[i] for i in only],
    )
    try:
        with encodings.opened(path) as file, pacsv.open_csv(
            file, read_options=read, parse_options=parse, convert_options=convert
        ) as reader:
            yield from reader
    except UnicodeError as err:
        raise _wrong_encoding(path, dialect.encoding, err) from err
    except pa.ArrowInvalid as err:
        if "Empty CSV" in str(err) or "no columns" in str(err).lower():
            return
        raise InputError(
            f"{str(path)!r} must have {len(names)} cells in every line, but: {err}. "
            "Check that line, or give delimiter=..., quote=... or encoding=..."
        ) from err
