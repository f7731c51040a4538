"""Counts with what is known of their rows and columns, however they came."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from senzai.core.errors import InputError, ShapeError
from senzai.core.registry import suggestion

from ..rows import Array, as_index
from ..sparse import Sparse
from .recognising import are_counts, compact, no_counts, what_else


@dataclass(frozen=True, slots=True)
class CountTable:
    """Counts, rows by columns, sparse.

    Args:
        matrix: The counts.
        genes: Names of the columns.
        cells: Names of the rows.
        obs: Facts about the rows, a DataFrame.
        var: Facts about the columns, a DataFrame.
        origin: What the source is called.
        place: Where in it the counts are.
        form: What comes back to the user.
        notes: What was chosen, one sentence each.
        original: The AnnData that it came from, or the path of one.
        absent: Columns that these data do not have.
        in_memory: Whether the counts are in memory.
    """

    matrix: Sparse
    genes: tuple[str | int, ...]
    cells: Array
    obs: Any
    var: Any
    origin: str
    place: str = "X"
    form: str = "anndata"
    notes: tuple[str, ...] = ()
    original: Any = None
    absent: Array | None = None
    in_memory: bool = True

    def __len__(self) -> int:
        return self.matrix.n_rows

    @property
    def fingerprint(self) -> str:
        """Of counts, names and facts about rows."""
        digest = hashlib.sha256(repr((self.genes, self.matrix.n_rows)).encode(errors="surrogatepass"))
        parts = (self.matrix.indptr, self.matrix.indices, self.matrix.values)
        for values in [v for v in parts if v is not None]:
            for start in range(0, len(values), 1 << 22):
                digest.update(np.ascontiguousarray(values[start : start + (1 << 22)]).tobytes())
        for name in self.obs.columns:
            digest.update(repr((str(name), self.obs[name].astype(str).tolist())).encode(errors="surrogatepass"))
        return f"sha256:{digest.hexdigest()}"

    def column(self, name: str) -> Any:
        """Return a fact about the rows.

        Raises:
            InputError: There is none of this name.
        """
        known = {str(n): n for n in self.obs.columns}
        if name not in known:
            have = f"it has {', '.join(list(known)[:12])}" if known else "it has none"
            raise InputError(
                f"Facts about rows are columns of obs, but {self.origin} has no {name!r}: {have}."
                f"{suggestion(name, list(known))}"
            )
        return self.obs[known[name]]

    def of_genes(self, genes: Sequence[str | int], *, keep: bool) -> CountTable:
        """Return the columns of a model, in its order.

        Args:
            genes: Names of its columns.
            keep: Take those that are not here as not observed.

        Raises:
            ShapeError: Some are not here.
        """
        if tuple(self.genes) == tuple(genes):
            return self
        place = {str(g): i for i, g in enumerate(genes)}
        here = np.array([place.get(str(g), -1) for g in self.genes], np.int64)
        lost = np.setdiff1d(np.arange(len(genes)), here)
        if len(lost) and (not keep or len(lost) == len(genes)):
            names = ", ".join(repr(genes[i]) for i in lost[:3])
            raise ShapeError(
                f"Rows have the {len(genes):,} genes that the model was fitted on, but {self.origin} lacks "
                f"{len(lost):,} of them, such as {names}. Give them, or take them as not observed with missing=keep."
            )
        more = int((here < 0).sum())
        notes = (*self.notes, *((f"{more:,} genes that the model does not know were left out.",) if more else ()))
        return replace(
            self, matrix=_moved(self.matrix, here, len(genes)), genes=tuple(genes), notes=notes,
            absent=lost if len(lost) else None,
        )

    def take(self, index: Array) -> CountTable:
        """Return some of the rows."""
        at = as_index(index)
        return replace(self, matrix=self.matrix.rows_of(at), cells=self.cells[at], obs=self.obs.iloc[at])


def _moved(matrix: Sparse, to: Array, n_columns: int) -> Sparse:
    """Return a matrix whose columns stand elsewhere; those that go to -1 are left out."""
    kept = matrix.where(to[np.asarray(matrix.indices)] >= 0)
    column, row = to[np.asarray(kept.indices)], kept.row
    order = np.lexsort((column, row))
    values = None if kept.values is None else kept.values[order]
    return Sparse(kept.indptr, column[order].astype(np.int32), values, n_columns)


def checked_counts(matrix: Sparse, origin: str, place: str) -> Sparse:
    """Return a matrix whose values are counts, in the smallest type.

    Raises:
        InputError: They are not; the message says what they are.
    """
    values = matrix.values
    if values is None:
        return matrix
    if not are_counts(values):
        few = matrix.rows_of(np.arange(min(matrix.n_rows, 200)))
        raise no_counts(origin, place, what_else(np.asarray(values), *row_sums(few)))
    kept = matrix if bool((values != 0).all()) else matrix.where(values != 0)
    assert kept.values is not None  # it had some
    return replace(kept, values=compact(kept.values))


def row_sums(few: Sparse) -> tuple[Array, Array]:
    """Return sums of rows, and of exp(x) - 1 of what is in them."""
    values = np.ones(len(few.indices)) if few.values is None else np.asarray(few.values, np.float64)
    with np.errstate(over="ignore"):
        sums = [np.bincount(few.row, weights=v, minlength=few.n_rows) for v in (values, np.expm1(values))]
    return sums[0], sums[1]


def of_dense(blocks: Any, n_columns: int) -> Sparse:
    """Return the entries that are not zero of rows that come block by block."""
    indptr, indices, values = [np.zeros(1, np.int64)], [], []
    for block in blocks:
        row, column = np.nonzero(block)
        indptr.append(indptr[-1][-1] + np.cumsum(np.bincount(row, minlength=len(block))))
        indices.append(column.astype(np.int32))
        values.append(np.ascontiguousarray(block[row, column]))
    held = np.concatenate(values) if values else np.empty(0)
    return Sparse(
        np.concatenate(indptr), np.concatenate(indices) if indices else np.empty(0, np.int32), held, n_columns
    )
