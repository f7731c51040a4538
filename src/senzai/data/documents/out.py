"""Documents on their way back: in the form of the data, to files, and as plain values."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import JsonValue

from senzai.core.errors import InputError
from senzai.core.files import replacing, write_text

from .. import sparse, texts
from ..frame_files import FORMATS, FrameWriter
from ..rows import Array
from ..schema import Schema
from ..sparse import Sparse
from .counts import COUNTED, of_mappings
from .options import details_of
from .words import count

TABLE = (".csv", ".tsv", ".parquet", ".xlsx")


def in_form(x: Array, schema: Schema, *, soft: bool) -> Any:
    """Return rows of counts in the form of the data; of texts, their words one after another."""
    import pandas as pd

    names, how = list(map(str, schema.columns or ())), details_of(schema)
    if soft:
        return pd.DataFrame(x, columns=names)
    whole = np.rint(x).clip(0).astype(np.int64)
    if how.source == "texts":
        made = [_text(row, names, how.unit) for row in whole]
        return texts.in_form(made, schema.form, how.column or "text")
    if how.source == "table":
        return pd.DataFrame(whole, columns=names)
    if schema.form == "numpy":
        return whole
    if how.source == "matrix":
        from scipy.sparse import csr_array

        return csr_array(whole)
    return [{names[i]: int(row[i]) for i in np.flatnonzero(row)} for row in whole]


def _text(row: Array, names: list[str], unit: str) -> str:
    order = np.argsort(-row, kind="stable")
    bag = [names[i] for i in order[: int((row > 0).sum())] for _ in range(int(row[i]))]
    return " ".join(bag)


def matrix_of(decoded: Any, schema: Schema) -> Sparse:
    """Return what :func:`in_form` gave as documents by words again."""
    names = list(map(str, schema.columns or ()))
    if sparse.is_sparse(decoded):
        return sparse.of_scipy(decoded, "the documents")
    if isinstance(decoded, list) and decoded and all(isinstance(d, dict) for d in decoded):
        found = of_mappings(decoded)
        place = {name: i for i, name in enumerate(names)}
        at = np.array([place[word] for word in found.words or ()], np.int64)
        values = found.matrix.values
        return Sparse.of(found.matrix.row, at[found.matrix.indices], values, shape=(len(decoded), len(names)))
    if hasattr(decoded, "columns") and list(map(str, decoded.columns)) == names:
        decoded = decoded.to_numpy()
    if isinstance(decoded, np.ndarray) and decoded.ndim == 2:
        row, column = np.nonzero(decoded)
        return Sparse.of(row, column, decoded[row, column], shape=decoded.shape)
    how = details_of(schema)
    return count(texts.as_list(decoded), names, how.unit, lower=how.lower)


def write(decoded: Any, path: Path, schema: Schema) -> None:
    """Write documents as the suffix of the path says."""
    suffix, how = path.suffix.lower(), details_of(schema)
    if suffix in COUNTED:
        write_text(path, "".join(_lines(matrix_of(decoded, schema), how.first)))
    elif suffix == ".npz":
        from scipy.sparse import save_npz

        with replacing(path) as tmp, tmp.open("wb") as file:
            save_npz(file, matrix_of(decoded, schema).scipy())
    elif how.source == "texts" and not _is_table(decoded, schema):
        made = texts.as_list(decoded)
        if suffix in texts.LINES:
            write_text(path, "".join(f"{text}\n" for text in made))
        else:
            texts.write_cells(made, path, how.column or "text", also=(*COUNTED, ".npz", *texts.LINES))
    elif suffix in FORMATS:
        with FrameWriter(path) as writer:
            writer.write(frame_of(decoded, schema))
    else:
        raise InputError(
            f"Documents are written as {', '.join(COUNTED)}, .npz, {', '.join(TABLE)}, but got {path.name!r}. "
            "Choose one."
        )


def frame_of(decoded: Any, schema: Schema) -> Any:
    """Return documents as a table, a column for each word."""
    import pandas as pd

    if _is_table(decoded, schema):
        return decoded
    matrix = matrix_of(decoded, schema)
    return pd.DataFrame(matrix.dense(np.arange(matrix.n_rows), np.int64), columns=list(map(str, schema.columns or ())))


def _is_table(decoded: Any, schema: Schema) -> bool:
    return hasattr(decoded, "columns") and len(decoded.columns) == len(schema.columns or ())


def _lines(matrix: Sparse, base: int) -> list[str]:
    """Return the lines of a count file; nothing is known of labels, so that the first cell is 0."""
    values = np.ones(len(matrix.indices)) if matrix.values is None else matrix.values
    made = []
    for start, end in zip(matrix.indptr, matrix.indptr[1:], strict=False):
        cells = zip(matrix.indices[start:end], values[start:end], strict=True)
        made.append(" ".join(["0", *(f"{int(i) + base}:{float(v):g}" for i, v in cells)]) + "\n")
    return made


def plain(decoded: Any, schema: Schema) -> JsonValue:
    """Return texts, or one mapping from words to counts for each document; means are records."""
    if isinstance(decoded, list):
        return decoded
    if details_of(schema).source == "texts" and not _is_table(decoded, schema):
        return list(texts.as_list(decoded))
    if _is_table(decoded, schema):
        records: JsonValue = decoded.to_dict(orient="records")
        return records
    names, matrix = list(map(str, schema.columns or ())), matrix_of(decoded, schema)
    values = np.ones(len(matrix.indices)) if matrix.values is None else matrix.values
    return [
        {names[int(i)]: int(v) for i, v in zip(matrix.indices[a:b], values[a:b], strict=True)}
        for a, b in zip(matrix.indptr, matrix.indptr[1:], strict=False)
    ]


def fingerprint(matrix: Sparse, names: Sequence[str | int]) -> str:
    """Return a fingerprint of the counts and of what they are counts of."""
    digest = hashlib.sha256(repr((matrix.n_rows, tuple(names))).encode(errors="surrogatepass"))
    for values in (matrix.indptr, matrix.indices, matrix.values):
        digest.update(b"-" if values is None else np.ascontiguousarray(values).tobytes())
    return f"sha256:{digest.hexdigest()}"
