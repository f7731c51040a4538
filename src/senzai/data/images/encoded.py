"""Tables that hold encoded pictures, as Hugging Face writes them: Parquet files, and Arrow files in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from senzai.core.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET = (".parquet", ".pq")
ENDS = {
    b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"RIFF": ".webp", b"BM": ".bmp", b"II*\0": ".tif", b"MM\0*": ".tif",
}
BATCH = 256


class Sink(Protocol):
    """Takes pictures one by one."""

    def add(self, name: str, data: bytes) -> None:
        """Write one encoded picture under a name."""

    def classify(self, name: str, label: str) -> None:
        """Keep the class of a picture that was added."""


def holds(path: Path) -> bool:
    """Whether a Parquet file, or a folder of Arrow files, has a column of encoded pictures."""
    try:
        schema = _schema(path)
    except Exception:  # other kinds say what is wrong with it
        return False
    return schema is not None and _picture_column(schema) is not None


def _schema(path: Path) -> pa.Schema | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.is_dir():
        files = _arrow_files(path)
        if not files:
            return None
        with pa.memory_map(str(files[0])) as source, pa.ipc.open_stream(source) as reader:
            return reader.schema
    return pq.read_schema(path) if path.suffix.lower() in PARQUET else None


def _arrow_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.arrow")) if (folder / "dataset_info.json").is_file() else []


def _picture_column(schema: pa.Schema) -> str | None:
    """Return the first column of structs with ``bytes`` and ``path``, the form of the feature ``Image``."""
    import pyarrow as pa

    for field in schema:
        if pa.types.is_struct(field.type) and {f.name for f in field.type} >= {"bytes", "path"}:
            return str(field.name)
    return None


def _label_column(schema: pa.Schema) -> tuple[str | None, list[str]]:
    """Return the column of classes and their names, as the file's own description has them."""
    about = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = about.get("info", {}).get("features", {})
    for name, feature in features.items():
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
            return name, [str(n) for n in feature.get("names", [])]
    return ("label" if "label" in schema.names else None), []


def _batches(path: Path, columns: list[str]) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.is_dir():
        for file in _arrow_files(path):
            with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as reader:
                yield from (batch.select(columns) for batch in reader)
        return
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(BATCH, columns=columns)


def write(path: Path, sink: Sink) -> None:
    """Put every picture into the sink, with its class where the table has classes.

    Raises:
        InputError: A row has no picture inside the table, or one of a form that is not read.
    """
    schema = _schema(path)
    column = None if schema is None else _picture_column(schema)
    if schema is None or column is None:
        raise InputError(f"A column of {str(path)!r} holds encoded pictures, but none does. Name a folder of files.")
    label, names = _label_column(schema)
    row = 0
    for batch in _batches(path, [column] if label is None else [column, label]):
        found = batch.to_pydict()
        for i, cell in enumerate(found[column]):
            data = (cell or {}).get("bytes")
            end = next((e for start, e in ENDS.items() if data and data.startswith(start)), None)
            if data is None or end is None:
                what = "no picture" if not data else f"bytes that begin with {data[:4]!r}"
                raise InputError(
                    f"A row has a picture as png, jpeg, webp, bmp or tiff, but row {row} of {str(path)!r} has "
                    f"{what}. Leave the row out, or embed the files before the table is written."
                )
            name = f"row-{row:08d}{end}"
            sink.add(name, data)
            if label:
                sink.classify(name, _class(found[label][i], names))
            row += 1


def _class(value: Any, names: list[str]) -> str:
    known = isinstance(value, int) and 0 <= value < len(names)
    return names[value] if known else str(value)
