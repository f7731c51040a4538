"""Documents that were counted before: count files, tables and sparse matrices of documents by words, mappings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError

from .. import sparse, texts
from ..limits import need_room
from ..rows import Array
from ..sparse import Sparse
from .options import Source

COUNTED = (".feat", ".svmlight", ".libsvm", ".ldac", ".bow")
LINE = re.compile(r"\S+(?:\s+\d+:\S+)+\s*")
CELL = re.compile(r"\d{1,12}:-?\d+(?:\.\d*)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
MOST = 1 << 24
"""Words that numbers in a count file may announce where no vocabulary says how many there are."""
LARGEST = float(2**24)
"""Counts up to which single precision has every whole number."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What was read.

    Args:
        matrix: Documents by words.
        words: What the words are, where the source says so.
        form: What comes back to the user.
        source: What rows came as.
        labels: The first cell of each line of a count file.
        first: Number of the first word in a count file.
        index: Row names of a frame.
        notes: What was found out.
    """

    matrix: Sparse
    words: tuple[str, ...] | None
    form: str
    source: Source
    labels: Array | None = None
    first: int = 1
    index: Any = None
    notes: tuple[str, ...] = ()


def is_count_line(line: str) -> bool:
    """Whether a line is that of a count file.

    Example:
        >>> is_count_line("3 12:1 9:4"), is_count_line("a dog barks at 12:30")
        (True, False)
    """
    return LINE.fullmatch(line) is not None


def read_count_file(path: Path, *, n_words: int | None, first: int | None, encoding: str | None) -> Counts:
    """Read lines ``label id:count id:count ...``; repeated numbers of a line are added.

    Args:
        path: The file.
        n_words: Words that there are, where a vocabulary says so.
        first: Number of the first word; by default 0 where a 0 is seen, else 1.
        encoding: Encoding of the file.

    Raises:
        InputError: A line is none, or a number is beyond the vocabulary.
    """
    lines = texts.read(path, column=None, label=None, encoding=encoding)
    if not lines.texts:
        raise InputError(f"A count file has a document a line, but {str(path)!r} has none. Check the file.")
    split = [line.split() for line in lines.texts]
    labels = [cells[0] for cells in split]
    row = np.repeat(np.arange(len(split)), [len(cells) - 1 for cells in split])
    at, value = _cells(split, path)
    base = first if first is not None else int(not (len(at) and bool((at == 0).any())))
    size = _size(at - base, base, n_words, row, str(path))
    value = value.clip(-1, 2 * LARGEST)  # what is beyond is refused, and fits single precision until then
    matrix = Sparse.of(row, at - base, value, shape=(len(labels), size))
    notes = (*lines.notes, f"Words are numbered from {base}.")
    return Counts(need_counts(matrix, repr(str(path))), None, "file", "counts", np.array(labels, object), base,
                  notes=notes)


def _cells(split: list[list[str]], path: Path) -> tuple[Array, Array]:
    """Return numbers of words and counts of all cells ``id:count``, line after line."""
    text = " ".join(cell for cells in split for cell in cells[1:])
    flat = text.replace(":", " ").split()
    n = sum(len(cells) - 1 for cells in split)
    try:
        found = np.array(flat, np.float64).reshape(n, 2) if text.count(":") == n else None
    except ValueError:
        found = None
    if found is not None and bool((np.isfinite(found).all()) and (np.abs(found[:, 0]) < 2**40).all()):
        number, value = found.T
        if bool((number % 1 == 0).all()):
            return number.astype(np.int64), value
    raise _first_bad(split, path)


def _first_bad(split: list[list[str]], path: Path) -> InputError:
    """Return the error about the first cell that is none."""
    for i, cells in enumerate(split):
        for cell in cells[1:]:
            if not CELL.fullmatch(cell):
                return InputError(
                    f"A document is a line `label id:count id:count ...`, but document {i + 1} of {str(path)!r} has "
                    f"{cell[:30]!r}. Mend the line."
                )
    return InputError(f"A count file has lines `label id:count ...`, but {str(path)!r} has others. Check the file.")


def _size(at: Array, base: int, n_words: int | None, row: Array, origin: str) -> int:
    """Return how many words there are; refuse numbers before the first and behind the last."""
    most = MOST if n_words is None else n_words
    bad = (at < 0) | (at >= most)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"Words are numbered from {base} to {base + most - 1:,}, but document {int(row[first]) + 1} of {origin!r} "
            f"has the word {int(at[first]) + base:,}. Give the vocabulary that belongs to it (vocabulary=FILE), or set "
            "first=0 or first=1."
        )
    return n_words if n_words is not None else int(at.max(initial=0)) + 1


def need_counts(matrix: Sparse, origin: str) -> Sparse:
    """Return a matrix of whole numbers from 0 up, without its zeros.

    Raises:
        InputError: Some are negative, fractions, or too large to be exact.
    """
    if matrix.values is None:
        return matrix
    bad = ~np.isfinite(matrix.values) | (matrix.values < 0) | (matrix.values % 1 != 0) | (matrix.values > LARGEST)
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"Words are counted in whole numbers from 0 up, but document {int(matrix.row[at]) + 1} of {origin} has "
            f"{float(matrix.values[at]):g}, and {int(bad.sum()):,} entries in all are no counts. Give counts, not "
            "weights such as tf-idf."
        )
    return matrix.where(matrix.values > 0)


def of_matrix(matrix: Sparse, words: Sequence[str] | None, form: str, origin: str) -> Counts:
    """Return the counts of a matrix of documents by words."""
    return Counts(need_counts(matrix, origin), None if words is None else tuple(words), form, "matrix")


def of_table(frame: Any, form: str, origin: str, *, label: str | None = None) -> Counts:
    """Return the counts of a table of documents by words, whose columns are called by their words.

    Raises:
        InputError: A cell is no count.
    """
    import pandas as pd

    labels = None
    if label is not None:
        if label not in frame.columns:
            raise InputError(f"{origin} has no column {label!r} for the label. Name one of its columns.")
        labels, frame = frame[label].astype(object).to_numpy(), frame.drop(columns=label)
    need_room(8 * frame.shape[0] * frame.shape[1], origin, "a table of documents by words")
    values = frame.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    if np.isnan(values).any():
        i, j = (int(v[0]) for v in np.nonzero(np.isnan(values)))
        raise InputError(
            f"A table of documents by words has a count in every cell, but row {i} (from 0), column "
            f"{str(frame.columns[j])[:40]!r} of {origin} has {str(frame.iat[i, j])[:40]!r}. For texts, "
            "name their column: column=..."
        )
    row, at = np.nonzero(values)
    matrix = Sparse.of(row, at, values[row, at], shape=(values.shape[0], values.shape[1]))
    words = tuple(map(str, frame.columns))
    return Counts(need_counts(matrix, origin), words, form, "table", labels,
                  index=frame.index if form == "pandas" else None)


def of_mappings(rows: Iterable[Mapping[Any, Any]]) -> Counts:
    """Return the counts of documents that are mappings from words to counts.

    Example:
        >>> of_mappings([{"tea": 2}, {"milk": 1, "tea": 1}]).words
        ('tea', 'milk')
    """
    number: dict[str, int] = {}
    row, column, value, n = [], [], [], 0
    for n, one in enumerate(rows, 1):
        for word, found in one.items():
            if isinstance(found, bool) or not isinstance(found, int | float | np.number):
                raise InputError(f"A document is words with their counts, but {word!r} has {found!r}. Give numbers.")
            row.append(n - 1)
            column.append(number.setdefault(str(word), len(number)))
            value.append(float(found))
    matrix = Sparse.of(np.array(row, np.int64), np.array(column, np.int64), np.array(value, np.float64),
                       shape=(n, max(1, len(number))))
    return Counts(need_counts(matrix, "the mappings"), tuple(number) or None, "counts", "counts")


def arranged(found: Counts, words: Sequence[str], origin: str) -> tuple[Sparse, int]:
    """Return the counts with the columns that a model knows, and how many other words were left out.

    Raises:
        InputError: Columns have no names and there are as many of them as there are not in the model, or no word is
            known.
    """
    if found.words is None:
        if found.matrix.n_columns > len(words):
            raise InputError(
                f"The model counts {len(words):,} words, but {origin} has {found.matrix.n_columns:,} columns. Give "
                "counts of the same words in the same order, or name them (vocabulary=FILE)."
            )
        return Sparse(found.matrix.indptr, found.matrix.indices, found.matrix.values, len(words)), 0
    place = {word: i for i, word in enumerate(words)}
    at = np.array([place.get(word, -1) for word in found.words], np.int64)
    kept = at[found.matrix.indices] >= 0
    if len(kept) and not kept.any():
        raise InputError(
            f"The model counts {len(words):,} words, such as {words[0]!r}, but none of those of {origin}, such as "
            f"{found.words[0]!r}. Check the columns."
        )
    some = found.matrix.where(kept)
    made = Sparse.of(some.row, at[some.indices], some.values, shape=(some.n_rows, len(words)))
    return made, int((at < 0).sum())


def is_sparse_place(path: Path) -> bool:
    """Whether a path is a sparse matrix: a file of SciPy's, or a folder of mapped arrays."""
    return (path / "indptr.npy").is_file() if path.is_dir() else sparse.is_sparse_file(path)


def named(found: Counts, words: tuple[str, ...] | None) -> Counts:
    """Return counts whose columns are called by these words."""
    return replace(found, words=words)
