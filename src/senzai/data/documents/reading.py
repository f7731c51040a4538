"""Any source of documents: which sort it is, and its reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError

from .. import encodings, sources, sparse, texts
from ..sparse import Sparse
from . import counts
from .counts import COUNTED, Counts
from .options import DocumentOptions
from .words import need_different, read_words


@dataclass(frozen=True, slots=True)
class Read:
    """Documents that were read: texts that are still to be counted, or counts.

    Args:
        texts: The texts.
        counts: What was counted.
        words: The words of a vocabulary that was named.
    """

    texts: texts.Texts | None
    counts: Counts | None
    words: tuple[str, ...] | None = None


def looks_counted(path: Path) -> bool:
    """Whether a file is a count file, by its name or by its first line."""
    if path.suffix.lower() in COUNTED:
        return True
    if path.suffix.lower() not in texts.LINES:
        return False
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return counts.is_count_line(file.readline(1 << 16).rstrip("\r\n"))


def read(source: object, options: DocumentOptions, *, known: tuple[str, ...] | None, column: str | None) -> Read:
    """Read any source of documents.

    Args:
        source: Where they are.
        options: What the user set.
        known: Words of a model that the documents are for.
        column: Column of texts that a model was fitted on.

    Raises:
        InputError: It holds none.
    """
    named = None if options.vocabulary is None else read_words(options.vocabulary, options.encoding)
    found = _counted(source, options, named, known)
    if found is not None:
        return Read(None, found, named)
    label = None if options.label is None else str(options.label)
    marks = [] if options.split.column is None else [options.split.column]
    made = texts.read(source, column=options.column or column, label=label, marks=marks, encoding=options.encoding)
    if not made.texts:
        raise InputError("Data must have rows, but there is no text. Give documents.")
    return Read(made, None, named)


def _counted(
    source: object, options: DocumentOptions, named: tuple[str, ...] | None, known: tuple[str, ...] | None
) -> Counts | None:
    """Return the counts of a source that was counted before; ``None`` for texts."""
    if isinstance(source, list | tuple) and source and all(isinstance(s, Mapping) for s in source):
        return counts.of_mappings(source)
    if sparse.is_sparse(source):
        origin = f"the {type(source).__name__}"
        return counts.of_matrix(_wide(sparse.of_scipy(source, origin), named, origin), named, "sparse", origin)
    if isinstance(source, np.ndarray) and source.ndim == 2:
        made = _of_array(source)
        return counts.of_matrix(_wide(made, named, "the array"), named, "numpy", "the array")
    if sources.is_frame(source):
        return _of_frame(source, options, "pandas", "the frame")
    path = sources.existing(source)
    if path is None or (path.is_dir() and not counts.is_sparse_place(path)):
        return None
    if counts.is_sparse_place(path):
        stored = Sparse.mapped(path) if path.is_dir() else sparse.read_sparse(path)
        return counts.of_matrix(_wide(stored, named, repr(str(path))), named, "sparse", repr(str(path)))
    if looks_counted(path):
        size = len(named) if named is not None else None if known is None else len(known)
        found = counts.read_count_file(path, n_words=size, first=options.first, encoding=options.encoding)
        return counts.named(found, named)
    inner = encodings.inner(path)
    if inner in texts.CELLS and options.column is None:
        return _of_frame(texts.frame_of(path, inner, options.encoding), options, "file", path.name)
    return None


def _of_frame(frame: Any, options: DocumentOptions, form: str, origin: str) -> Counts | None:
    """Return the counts of a table of documents by words; ``None`` where a column of it holds texts."""
    if options.column is not None or options.split.column is not None:
        return None
    label = None if options.label is None else str(options.label)
    others = [i for i, name in enumerate(frame.columns) if str(name) != label]
    if not others or not len(frame):
        return None
    if len(others) < 2 or not any(_is_number(frame.iat[0, i]) for i in others):
        return None
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    need_different(tuple(frame.columns), origin)
    return counts.of_table(frame, form, origin, label=label)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _of_array(x: np.ndarray[Any, Any]) -> Sparse:
    if x.dtype.kind not in "biuf":
        raise InputError(f"Counts are numbers, but the array holds {x.dtype}. Give documents by words.")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise InputError("Counts are whole numbers from 0 up, but the array has NaN or infinity. Remove them first.")
    row, column = np.nonzero(x)
    return Sparse.of(row, column, x[row, column].astype(np.float64), shape=(x.shape[0], x.shape[1]))


def _wide(matrix: Sparse, named: tuple[str, ...] | None, origin: str) -> Sparse:
    """Refuse a vocabulary of another length."""
    if named is not None and len(named) != matrix.n_columns:
        raise InputError(
            f"A vocabulary has a word for each column, but it has {len(named):,} and {origin} {matrix.n_columns:,}. "
            "Give the one that belongs to it."
        )
    return matrix
