"""Rows that are a text each: where they come from, and the forms that they go back to."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.files import write_text

from . import encodings, sources
from .limits import guarded, need_no_holes, need_room
from .rows import Array

LINES, DOCUMENTS = (".txt", ".text", ".lines"), (".txt", ".text", ".md")
CELLS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".pq")
ROOM = 8
"""Bytes of memory that a byte of text takes while it is read, about."""


@dataclass(frozen=True)
class Texts:
    """What was read.

    Args:
        texts: One text a row.
        form: What comes back to the user: ``list``, ``file``, ``pandas`` or ``column``.
        labels: Label of each row, where there are any.
        label_name: What it is called.
        index: Row names of a frame.
        marks: Further columns that rows are divided by.
        column: Column of a table that held them.
        notes: What was found out.
    """

    texts: list[str]
    form: str
    labels: Array | None = None
    label_name: str = "label"
    index: Any = None
    marks: Mapping[str, Any] | None = None
    column: str | None = None
    notes: tuple[str, ...] = ()


def is_texts(source: object) -> bool:
    """Whether a source is a list of text."""
    return isinstance(source, list | tuple) and bool(source) and all(isinstance(s, str) for s in source)


def read(
    source: object, *, column: str | None, label: str | None, marks: Sequence[str] = (), encoding: str | None = None,
    usual: str = "text", beside: Sequence[str] = (),
) -> Texts:
    """Return the texts of a source: lines of a file, a column of a table, documents of a folder, a list.

    Args:
        source: Where they are.
        column: Column of a table; by default its only one, or the one called as ``usual``.
        label: Column of the labels.
        marks: Columns by which rows are divided.
        encoding: Encoding of files; by default recognised.
        usual: Usual name of the column, whatever its case.
        beside: Further columns that are kept where a table has them.

    Raises:
        InputError: There is no text in it, or no such column.
    """
    if is_texts(source):
        assert isinstance(source, list | tuple)
        return Texts([str(s) for s in source], "list")
    if sources.is_series(source):
        series: Any = source
        return Texts(_cells(series, "the series"), "column", index=series.index)
    if sources.is_frame(source):
        return _of_frame(source, column, label, marks, "pandas", "the frame", usual, beside)
    path = sources.existing(source)
    if path is None:
        raise InputError(f"Texts are a file, a folder, a list or a frame, but got a {type(source).__name__}.")
    if path.is_dir():
        return _folder(path, encoding)
    inner = encodings.inner(path)
    if inner in CELLS:
        return _of_frame(frame_of(path, inner, encoding), column, label, marks, "file", path.name, usual, beside)
    lines, notes = _lines(path, encoding)
    return Texts(lines, "file", notes=notes)


def _lines(path: Path, encoding: str | None) -> tuple[list[str], tuple[str, ...]]:
    """Return the lines of a file of text; empty ones are left out, and counted."""
    text = _text(path, encoding)
    lines = text.splitlines()
    kept = [line for line in lines if line.strip()]
    notes = () if len(kept) == len(lines) else (f"{len(lines) - len(kept)} empty lines were left out.",)
    return kept, notes


def _text(path: Path, encoding: str | None) -> str:
    need_no_holes(path)
    need_room(path.stat().st_size * ROOM, path, "text")
    found = encodings.scan(path)
    name = encodings.known(encoding) if encoding else encodings.encoding_of(path, found)
    with guarded(path), encodings.opened(path) as file:
        raw = file.read()
    try:
        text = raw.decode(name)
    except UnicodeDecodeError as err:
        raise InputError(
            f"A file of text is in one encoding, but {str(path)!r} is not {name} at byte {err.start:,}. "
            "Name another: encoding=..."
        ) from err
    if "\x00" in text:
        raise InputError(f"A file of text has characters only, but {str(path)!r} has zero bytes. It is another sort.")
    return str(text)


def _folder(path: Path, encoding: str | None) -> Texts:
    """Return the documents of a folder, a row each; folders in it are classes."""
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in DOCUMENTS)
    if not files:
        raise InputError(f"A folder of documents holds {', '.join(DOCUMENTS)}, but {str(path)!r} has none.")
    texts = [_text(p, encoding) for p in files]
    classes = [p.parent.relative_to(path).as_posix() for p in files]
    labels = np.array(classes, dtype=object) if len(set(classes)) > 1 else None
    return Texts(texts, "file", labels=labels, label_name="folder")


def frame_of(path: Path, suffix: str, encoding: str | None) -> Any:
    """Return a table whose cells are text as it stands in the file, numbers too."""
    import pandas as pd

    if suffix in (".parquet", ".pq"):
        with guarded(path):
            return pd.read_parquet(path)
    text = _text(path, encoding)
    if suffix in (".jsonl", ".ndjson"):
        return pd.DataFrame([_record(line, i, path) for i, line in enumerate(text.splitlines(), 1) if line.strip()])
    head = text.lstrip().partition("\n")[0]
    mark = "\t" if suffix == ".tsv" else max(",;\t|", key=head.count)  # where there is none, a comma
    try:
        return pd.read_csv(io.StringIO(text), sep=mark, dtype=str, keep_default_na=False, skip_blank_lines=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as err:
        raise InputError(f"{str(path)!r} must be a table, but {str(err).rstrip('.')}. Check its delimiter.") from err


def _record(line: str, number: int, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as err:
        raise InputError(f"Each line must be a JSON object, but line {number} of {str(path)!r} is not: {err}.") from err
    if not isinstance(found, dict):
        raise InputError(f"Each line must be a JSON object, but line {number} of {str(path)!r} is {line[:20]!r}.")
    return found


def _of_frame(
    frame: Any, column: str | None, label: str | None, marks: Sequence[str], form: str, origin: str, usual: str,
    beside: Sequence[str],
) -> Texts:
    names = [str(name) for name in frame.columns]
    named = [name for name in names if name.lower() == usual]
    column = column or (names[0] if len(names) == 1 else named[0] if len(named) == 1 else None)
    for wanted, what in ((column, "column"), (label, "label"), *((m, "groups or time") for m in marks)):
        if wanted is not None and wanted not in names:
            raise InputError(f"{origin} has the columns {', '.join(names[:20])}, but got {what}={wanted!r}.")
    if column is None:
        raise InputError(f"Texts are one column of {origin}, which has {', '.join(names[:20])}. Name it: column=...")
    labels = None if label is None else frame[label].astype(object).to_numpy()
    return Texts(
        _cells(frame[column], f"the column {column!r} of {origin}"), form, labels=labels, label_name=label or "label",
        index=frame.index if form == "pandas" else None,
        marks={m: frame[m].to_numpy() for m in (*marks, *(b for b in beside if b in names))},
        column=column,
    )


def _cells(series: Any, origin: str) -> list[str]:
    values: list[Any] = series.tolist()
    for i, value in enumerate(values):
        if not isinstance(value, str):
            raise InputError(
                f"Texts must be text, but row {i} (from 0) of {origin} is {value!r}. Fill it in, or leave the row out."
            )
    return values


def replaced(found: Texts, made: list[str]) -> Texts:
    """Return what was read with other texts in place of its own."""
    return replace(found, texts=made)


# --- and back ---------------------------------------------------------------------------------------------------------
def as_list(decoded: Any) -> list[str]:
    """Return texts in any form as a list.

    Example:
        >>> as_list(("a", "b"))
        ['a', 'b']
    """
    if hasattr(decoded, "columns"):
        decoded = decoded.iloc[:, 0]
    return [str(text) for text in decoded]


def in_form(texts: list[str], form: str, column: str) -> Any:
    """Return texts as a list, or as the Series or the frame of one column that they came as."""
    if form not in ("pandas", "column"):
        return texts
    import pandas as pd

    return pd.DataFrame({column: texts}) if form == "pandas" else pd.Series(texts, name=column)


def need_list(value: object, rule: str) -> object:
    """Return a list of text; of one text, the list of it.

    Raises:
        InputError: It is another value.
    """
    texts = [value] if isinstance(value, str) else value
    if not is_texts(texts):
        raise InputError(f'{rule}. Give ["one", "two"].')
    return texts


def write_cells(
    texts: list[str], path: Path, column: str, *, also: Sequence[str], beside: Mapping[str, Any] | None = None
) -> None:
    """Write a table of one column and what belongs beside it, as .csv, .tsv or .jsonl.

    Args:
        texts: What is written.
        path: Where to.
        column: Name of the column.
        also: Suffixes that the kind writes besides, to be named.
        beside: Further columns, NaN for none.

    Raises:
        InputError: The suffix is another one.
    """
    suffix, more = path.suffix.lower(), beside or {}
    rows = [[_plain(column[i]) for column in more.values()] for i in range(len(texts))]
    if suffix in (".jsonl", ".ndjson"):
        records = ({column: text, **dict(zip(more, row, strict=True))} for text, row in zip(texts, rows, strict=True))
        write_text(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    elif suffix in (".csv", ".tsv"):
        out = io.StringIO()
        made = csv.writer(out, delimiter="\t" if suffix == ".tsv" else ",", lineterminator="\n")
        made.writerows([[column, *more], *([text, *row] for text, row in zip(texts, rows, strict=True))])
        write_text(path, out.getvalue())
    else:
        raise InputError(
            f"Rows of text are written as {', '.join(also)}, .jsonl, .csv or .tsv, but got {path.name!r}. Choose one."
        )


def _plain(value: Any) -> Any:
    """Return a value as CSV and JSON have it."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value
