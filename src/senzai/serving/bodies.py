"""What comes in a request: rows in the user's terms, as JSON or as a file, and the settings of a verb."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from ..core.errors import InputError, UserError
from .problems import RequestError
from .settings import ServeSettings

if TYPE_CHECKING:
    from ..data import Dataset
    from ..runs import Run

JSON = ("application/json", "text/json")
MULTIPART = "multipart/form-data"
FILES: Mapping[str, str] = {
    "application/vnd.apache.arrow.stream": ".arrows",
    "application/vnd.apache.arrow.file": ".arrow",
    "application/vnd.apache.parquet": ".parquet",
    "application/x-parquet": ".parquet",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
    "application/x-npy": ".npy",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/bmp": ".bmp",
}
"""Content types of whole files, and the suffix by which a kind knows them."""
STREAM = ".arrows"
REFUSED = (".sqlite", ".sqlite3", ".db", ".zip", ".gz")
"""Files that are no rows by themselves, or hold more than their bytes say."""
DEPTH = "A body is JSON with at most 200 levels, whole numbers of at most 4,300 digits and no NaN"


@dataclass(frozen=True)
class Upload:
    """A file of a request: where it was written, under a name of the server's own, and what it was called."""

    path: Path
    called: str


@dataclass(frozen=True)
class Body:
    """What came in a request.

    Args:
        values: What JSON or the fields of a form said, by name.
        files: Files, by the name of their field.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Sequence[Upload]] = field(default_factory=dict)


def media_type(content_type: str | None) -> str:
    """Return a content type without its parameters.

    Example:
        >>> media_type("Text/CSV; charset=utf-8")
        'text/csv'
    """
    return (content_type or "").partition(";")[0].strip().lower()


def parse_json(body: bytes) -> dict[str, Any]:
    """Return a JSON body by name.

    Raises:
        RequestError: It is no JSON, or no mapping.

    Example:
        >>> parse_json(b'{"n": 3}')
        {'n': 3}
    """
    if not body.strip():
        return {}
    try:
        found = from_json(body, allow_inf_nan=False)
    except ValueError as err:
        raise RequestError(f"{DEPTH}, but this cannot be read: {_where(err)}. A missing entry is null.") from None
    if not isinstance(found, dict):
        raise RequestError(
            f"A body is a JSON object such as {{\"data\": [...]}}, but got {_sort(found)}. Put it under its name."
        )
    return found


def _where(err: ValueError) -> str:
    """Return what the parser said, without what stood there."""
    return str(err).splitlines()[0][:120]


def _sort(value: object) -> str:
    names = {list: "a list", str: "text", bool: "a truth value", int: "a number", float: "a number", dict: "an object"}
    return "null" if value is None else names.get(type(value), "something else")


def need_rows(value: object, what: str = "data") -> None:
    """Refuse what cannot be rows: text would be taken for the name of a file of the server.

    Raises:
        RequestError: It is neither a list nor an object.
    """
    if not isinstance(value, list | dict) or not value:
        raise RequestError(
            f"`{what}` is a list of rows or an object of columns, but got {_sort(value) if value != [] else 'none'}. "
            f'Write it like {{"{what}": [...]}}, or send a file.'
        )


def dataset_of(run: Run, value: Any, limits: ServeSettings, what: str = "data") -> Dataset:
    """Return rows that came as JSON as a run reads them.

    Raises:
        RequestError: They are no rows, or too many.
        InputError: They cannot be read as rows of this run.
    """
    need_rows(value, what)
    n = count_of(value)
    need_few(n, limits)
    with told_as_input(what):
        run.kind.need_small(value, run.schema, rows=limits.rows, pixels=limits.pixels)
        return _checked(run.dataset(run.kind.from_json(value, run.schema)), limits)


def dataset_of_files(run: Run, files: Sequence[Upload], limits: ServeSettings) -> Dataset:
    """Return rows that came as a file, or as one file for each row, as a run reads them.

    Raises:
        RequestError: The run does not read such files, or there are too many rows.
        InputError: The files are damaged, or not of this run.
    """
    need_few(len(files), limits)
    known = (*run.kind.suffixes, STREAM) if ".arrow" in run.kind.suffixes else run.kind.suffixes
    for file in files:
        suffix = file.path.suffix.lower()
        if suffix in REFUSED or suffix not in known:
            taken = ", ".join(s for s in run.kind.suffixes if s not in REFUSED)
            raise RequestError(
                f"Rows of this run come as JSON or as {taken}, but got a file with the suffix {suffix!r}. Convert it.",
                415,
            )
    source: object = files[0].path if len(files) == 1 else files[0].path.parent
    if files[0].path.suffix == STREAM:
        source = arrow_stream(files[0].path, limits)
    with told_as_input("file"), hidden(files):
        run.kind.need_small(files[0].path if len(files) == 1 else files[0].path.parent, run.schema,
                            rows=limits.rows, pixels=limits.pixels)
        return _checked(run.dataset(source), limits)


def _checked(dataset: Dataset, limits: ServeSettings) -> Dataset:
    need_few(len(dataset), limits)
    return dataset


def arrow_stream(path: Path, limits: ServeSettings) -> Any:
    """Return the table of an Arrow stream, read batch by batch so that its rows can be counted on the way."""
    import pyarrow as pa
    from pyarrow import ipc

    batches, rows = [], 0
    try:
        with pa.OSFile(str(path)) as file, ipc.open_stream(file) as reader:
            schema = reader.schema
            for batch in reader:
                rows += batch.num_rows
                need_few(rows, limits)
                batch.validate(full=True)
                batches.append(batch)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, EOFError) as err:
        raise InputError(f"An Arrow stream must be whole, but this one cannot be read: {str(err)[:200]}.") from None
    return pa.Table.from_batches(batches, schema=schema)


def count_of(value: object) -> int:
    """Return the number of rows: of a list its length, of columns that of the longest.

    Example:
        >>> count_of([1, 2]), count_of({"a": [1, 2, 3], "b": 4})
        (2, 3)
    """
    if isinstance(value, dict):
        return max((len(v) for v in value.values() if isinstance(v, list)), default=1)
    return len(value) if isinstance(value, list) else 1


def need_few(n: int, limits: ServeSettings) -> None:
    """Refuse more rows than a server takes.

    Raises:
        RequestError: There are more (413).
    """
    if n > limits.rows:
        raise RequestError(f"A request has at most {limits.rows:,} rows, but got {n:,}. Send it in parts.", 413)


@contextmanager
def told_as_input(what: str) -> Iterator[None]:
    """Turn what a library says about values of a user into an error of the house, without the values.

    Raises:
        InputError: The values cannot be rows.
    """
    try:
        yield
    except UserError:
        raise
    except (ValueError, TypeError, OverflowError, KeyError, AttributeError, IndexError) as err:
        raise InputError(
            f"`{what}` must be rows like those of the training data, but they cannot be read so "
            f"({type(err).__name__}). GET /v1/RUN shows one."
        ) from err


@contextmanager
def hidden(files: Sequence[Upload]) -> Iterator[None]:
    """Let errors about a file name it as its sender did, not by its place on the server."""
    try:
        yield
    except UserError as err:
        text = str(err)
        for file in files:
            text = text.replace(str(file.path), file.called).replace(file.path.name, file.called)
        text = text.replace(str(files[0].path.parent), "the files")
        raise type(err)(text) if not isinstance(err, RequestError) else RequestError(text, err.status) from None


@contextmanager
def stored(parts: Sequence[tuple[str, bytes]]) -> Iterator[list[Upload]]:
    """Write files of a request into a folder of their own, numbered, for as long as the block.

    Args:
        parts: What each is called, of which nothing but the suffix is used, and its bytes.
    """
    with TemporaryDirectory(prefix="senzai-") as folder:
        made = []
        for i, (called, content) in enumerate(parts):
            suffix = Path(called.replace("\\", "/")).suffix.lower()
            clean = suffix if suffix[1:].isalnum() and len(suffix) < 12 else ""
            path = Path(folder, f"{i:08d}{clean}")
            path.write_bytes(content)
            made.append(Upload(path, Path(called.replace("\\", "/")).name[:80] or "the file"))
        yield made


def query_values(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return settings from a query string or a form: JSON where it is JSON, else text; several of a name are a list.

    Example:
        >>> query_values([("k", "3"), ("method", "knn"), ("only", "a"), ("only", "b")])
        {'k': 3, 'method': 'knn', 'only': ['a', 'b']}
    """
    found: dict[str, Any] = {}
    for name, text in pairs:
        value = _value(text)
        found[name] = [*(found[name] if isinstance(found[name], list) else [found[name]]), value] if name in found \
            else value
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text
