"""What goes out: rows in the user's terms, numbers of rows, documents and files, in the form that was asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import InputError
from .problems import RequestError

if TYPE_CHECKING:
    from ..data import Schema
    from ..runs import Run
    from ..runs.verbs.registry import Verb

JSON, ARROW, PARQUET = "application/json", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
LINES, CSV, NPY, PNG, HTML = "application/x-ndjson", "text/csv", "application/x-npy", "image/png", "text/html"
FORMS = (JSON, ARROW, PARQUET, LINES, CSV, NPY, PNG, HTML)
"""Forms of an answer, the first where nobody asks for another."""
SUFFIXES: Mapping[str, str] = {PARQUET: ".parquet", CSV: ".csv", LINES: ".jsonl", NPY: ".npy", PNG: ".png"}
ORIENTS = ("records", "columns")
ATTRS = b"senzai"
"""Key of what goes with a frame (``attrs``) in the metadata of Arrow."""
PIECE = 2**18
"""Bytes that go out at once."""
ARROW_ROWS = 4096
JSON_ROWS = 4096
"""Rows that are made plain at once: of more, an answer goes out in pieces and is never whole in memory."""


@dataclass(frozen=True)
class Answer:
    """An answer, ready to be sent.

    Args:
        media: Its content type.
        content: All of it, or its pieces where it is large.
    """

    media: str
    content: bytes | Iterator[bytes]


def forms_of(accept: str | None) -> tuple[str, ...]:
    """Return the forms that an ``Accept`` header asks for, in its order: those of them that are known.

    Raises:
        RequestError: None of them is known (406).

    Example:
        >>> forms_of("text/csv;q=0.9, image/webp, */*"), forms_of(None)
        (('text/csv', 'application/json'), ('application/json',))
    """
    asked = [part.partition(";")[0].strip().lower() for part in (accept or "*/*").split(",")]
    found = [JSON if one in ("*/*", "application/*", "") else one for one in asked]
    if known := tuple(dict.fromkeys(one for one in found if one in FORMS)):
        return known
    raise RequestError(f"Answers come as {', '.join(FORMS)}, but got accept={(accept or '')[:80]!r}. Ask for one.", 406)


def answered(
    run: Run, verb: Verb, found: Any, forms: Sequence[str] = (JSON,), orient: str = "records"
) -> Answer:
    """Return what a verb found, in the first form that was asked for and that it has; numbers with names keep them.

    Raises:
        RequestError: It has none of them (406).
    """
    for form in sorted(forms, key=NPY.__eq__) if hasattr(found, "columns") else forms:
        try:
            return _in_form(run, verb, found, form, orient)
        except RequestError as err:
            refused = err
    raise refused


def _in_form(run: Run, verb: Verb, found: Any, form: str, orient: str) -> Answer:
    if verb.answers == "file":
        return file_answer(Path(str(found)), form)
    if verb.answers == "document":
        if form != JSON:
            raise RequestError(f"{verb.name} answers with a document, which is {JSON}, but got accept={form}.", 406)
        return Answer(JSON, dumped(document_of(found, verb.name)))
    several = isinstance(found, list)  # completed several times, say
    if form == JSON and not several and orient == "records" and hasattr(found, "__len__") and len(found) > JSON_ROWS:
        return long_answer(run, verb, found)
    if form == JSON:
        each = [plain_rows(run, verb, one, orient) for one in (found if several else [found])]
        rows = each if several else each[0]
        return Answer(JSON, dumped({verb.answers: rows, **beside(found, verb)}))
    if several:
        raise RequestError(f"Several answers at once come as {JSON}, but got accept={form}. Ask for one.", 406)
    return bulk_answer(run, verb, found, form)


def long_answer(run: Run, verb: Verb, found: Any) -> Answer:
    """Return many rows or numbers of rows as the same JSON as ever, made and sent piece by piece."""

    def piece(first: int) -> bytes:
        some = (found.iloc if hasattr(found, "iloc") else found)[first : first + JSON_ROWS]
        return dumped(plain_rows(run, verb, some))[1:-1]

    start = piece(0)  # what cannot be said in JSON is refused before anything is sent

    def pieces() -> Iterator[bytes]:
        yield dumped({verb.answers: []})[:-2] + start
        for first in range(JSON_ROWS, len(found), JSON_ROWS):
            yield b"," + piece(first)
        rest = dumped(beside(found, verb))[1:-1]
        yield b"]" + (b"," + rest if rest else b"") + b"}"

    return Answer(JSON, pieces())


def beside(found: Any, verb: Verb) -> dict[str, Any]:
    """Return what goes with rows: names of numbers, and what changes along rows of a table."""
    made: dict[str, Any] = {}
    if verb.answers != "rows" and hasattr(found, "columns"):
        made["names"] = [str(c) for c in found.columns]
    attrs = getattr(found, "attrs", None) or {}
    return made | {k: v for k, v in attrs.items() if isinstance(v, list | int | float | str)}


def plain_rows(run: Run, verb: Verb, found: Any, orient: str = "records") -> Any:
    """Return rows or numbers of rows as plain values: those of a kind in its own terms, numbers as lists.

    Numbers that have names (scores with shares) are records.
    """
    if is_rows_of_kind(run.schema, verb, found):
        rows = run.kind.to_json(found, run.schema)
        return columns_of(rows) if orient == "columns" else rows
    if hasattr(found, "columns") and verb.answers == "scores":
        records = [dict(zip(map(str, found.columns), row, strict=True)) for row in found.to_numpy(object).tolist()]
        return columns_of(records) if orient == "columns" else records
    return np.asarray(found).tolist()


def is_rows_of_kind(schema: Schema, verb: Verb, found: Any) -> bool:
    """Whether an answer is rows like those of the data, and no numbers of rows."""
    if verb.answers == "rows":
        return True
    if verb.answers != "scores" or not hasattr(found, "columns"):
        return False
    own = schema.columns
    return own is not None and {str(c) for c in own} <= {str(c) for c in found.columns}


def columns_of(rows: Any) -> Any:
    """Return records as columns; rows without names stay as they are.

    Example:
        >>> columns_of([{"a": 1, "b": 2}, {"a": 3, "b": 4}])
        {'a': [1, 3], 'b': [2, 4]}
    """
    if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
        return rows
    return {name: [row.get(name) for row in rows] for name in (rows[0] if rows else {})}


def document_of(found: Any, name: str) -> dict[str, Any]:
    """Return a document as plain values by name."""
    from ..evaluation.results import plain

    made = plain(found.document() if callable(getattr(found, "document", None)) else found)
    return dict(made) if isinstance(made, Mapping) else {name: made}


def dumped(document: Any) -> bytes:
    """Return a document as JSON; what is not finite is null."""
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        from ..evaluation.results import plain

        return json.dumps(plain(document), allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


# --- for many rows --------------------------------------------------------------------------------------------------
def bulk_answer(run: Run, verb: Verb, found: Any, form: str) -> Answer:
    """Return rows or numbers of rows as a file that other programs read, in pieces.

    Raises:
        RequestError: Such rows are not written so (406).
    """
    if form == ARROW:
        return Answer(ARROW, _arrow(frame_of(run, verb, found)))
    suffix = SUFFIXES.get(form)
    try:
        if suffix is None:
            raise InputError(f"{verb.answers} are no {form}.")
        return Answer(form, _written(run, verb, found, suffix))
    except InputError as err:
        raise RequestError(f"The answer of {verb.name} is not written as {form}: {err}", 406) from err


def frame_of(run: Run, verb: Verb, found: Any) -> Any:
    """Return rows or numbers of rows as a pandas frame.

    Raises:
        RequestError: They are no table (406).
    """
    import pandas as pd

    from ..data.frame_files import to_pandas
    from ..data.writers import plain_array

    if hasattr(found, "columns"):
        return to_pandas(found)
    array = plain_array(found)
    if array.ndim == 1:
        return pd.DataFrame({verb.name: array})
    if array.ndim != 2:
        raise RequestError(f"A table has two dimensions, but these rows {array.ndim}. Ask for {JSON} or {NPY}.", 406)
    names = run.schema.columns if verb.answers == "rows" and run.schema.columns else None
    return pd.DataFrame(array, columns=[str(n) for n in names or (f"z{i}" for i in range(array.shape[1]))])


def _arrow(frame: Any) -> Iterator[bytes]:
    import pyarrow as pa
    from pyarrow import ipc

    from ..data.frame_files import arrow_table

    table = arrow_table(frame, None)
    beside = json.dumps(getattr(frame, "attrs", {}), default=str).encode()
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), ATTRS: beside})

    class Sink:
        """What Arrow writes to: keeps pieces until they are sent."""

        closed = False

        def __init__(self) -> None:
            self.held: list[bytes] = []

        def write(self, piece: Any) -> int:
            self.held.append(bytes(piece))
            return len(piece)

        def drained(self) -> bytes:
            found, self.held = b"".join(self.held), []
            return found

        def flush(self) -> None: ...

        def close(self) -> None: ...

    def pieces() -> Iterator[bytes]:
        sink = Sink()
        with ipc.new_stream(pa.PythonFile(sink, "w"), table.schema) as writer:
            for batch in table.to_batches(max_chunksize=ARROW_ROWS):
                writer.write_batch(batch)
                yield sink.drained()
        yield sink.drained()

    return pieces()


def _written(run: Run, verb: Verb, found: Any, suffix: str) -> Iterator[bytes]:
    """Write an answer into a file that is gone when it has been sent, and return its pieces."""
    from ..data.frame_files import FrameWriter
    from ..data.writers import write_array

    folder = TemporaryDirectory(prefix="senzai-")
    path = Path(folder.name, f"answer{suffix}")
    try:
        if is_rows_of_kind(run.schema, verb, found):
            run.kind.write(found, path, run.schema)
        elif suffix in (".npy", ".png"):
            write_array(found, path)
        else:
            with FrameWriter(path) as writer:
                writer.write(frame_of(run, verb, found))
    except BaseException:
        folder.cleanup()
        raise

    def pieces() -> Iterator[bytes]:
        with folder, path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece

    return pieces()


def file_answer(path: Path, form: str) -> Answer:
    """Return a file that a verb wrote."""
    if form not in (JSON, HTML):
        raise RequestError(f"This verb answers with a page, which is {HTML}, but got accept={form}.", 406)
    return Answer(f"{HTML}; charset=utf-8", path.read_bytes())
