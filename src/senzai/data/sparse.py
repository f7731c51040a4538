"""Sparse rows: the entries that are not zero, in memory or in mapped files; dense only where rows are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from senzai.core.batch import Batch
from senzai.core.errors import InputError
from senzai.core.files import replacing_folder
from senzai.core.later import torch

from .limits import guarded, need_archive, need_room
from .rows import Array, Rows, Targets, as_index

FILES = ("indptr", "indices", "values")

FEW = 4
"""Times the bytes of its entries up to which a matrix in memory is rather kept with its zeros."""


@dataclass(frozen=True, slots=True)
class Sparse:
    """A matrix by its rows, as SciPy's CSR: row ``i`` has ``values`` at the columns ``indices``, each column once.

    Args:
        indptr: Where each row begins in the other two, and the end, ``(n_rows + 1,)``.
        indices: Columns, ascending within a row.
        values: What stands there; ``None`` for ones.
        n_columns: Columns of the matrix.

    Example:
        >>> found = Sparse.of(np.array([0, 2, 0]), np.array([1, 0, 1]), np.array([1, 3, 1]), shape=(3, 2))
        >>> found.dense(np.array([2, 0])).tolist(), found.rows_of(np.array([0])).indices.tolist()
        ([[3.0, 0.0], [0.0, 2.0]], [1])
    """

    indptr: Array
    indices: Array
    values: Array | None
    n_columns: int

    @classmethod
    def of(cls, row: Array, column: Array, value: Array | None = None, *, shape: tuple[int, int]) -> Sparse:
        """Return the matrix with these entries; several at one place are added, or one where there are no values."""
        place, first, back = np.unique(row.astype(np.int64) * shape[1] + column, return_index=True, return_inverse=True)
        indptr = np.zeros(shape[0] + 1, np.int64)
        np.cumsum(np.bincount(place // shape[1], minlength=shape[0]), out=indptr[1:])
        kept = None if value is None else np.bincount(back, weights=value, minlength=len(first)).astype(np.float32)
        return cls(indptr, (place % shape[1]).astype(np.int32), kept, shape[1])

    @property
    def n_rows(self) -> int:
        """Rows of the matrix."""
        return len(self.indptr) - 1

    @property
    def counts(self) -> Array:
        """Entries of each row."""
        return np.diff(self.indptr)

    @property
    def row(self) -> Array:
        """Row of each entry."""
        return np.repeat(np.arange(self.n_rows), self.counts)

    def places(self, index: Array) -> tuple[Array, Array]:
        """Return which of the asked rows each of their entries is in, and where the entries stand."""
        at = as_index(index)
        start, count = self.indptr[at], self.indptr[at + 1] - self.indptr[at]
        row = np.repeat(np.arange(len(at)), count)
        behind = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        return row, np.repeat(start, count) + behind

    def rows_of(self, index: Array) -> Sparse:
        """Return some rows, in the order asked for."""
        row, where = self.places(index)
        indptr = np.zeros(len(as_index(index)) + 1, np.int64)
        np.cumsum(np.bincount(row, minlength=len(indptr) - 1), out=indptr[1:])
        return Sparse(
            indptr, np.asarray(self.indices[where]), None if self.values is None else self.values[where], self.n_columns
        )

    def where(self, keep: Array) -> Sparse:
        """Return the matrix with some of its entries alone, chosen by a mask over all of them."""
        indptr = np.zeros(len(self.indptr), np.int64)
        np.cumsum(np.bincount(self.row[keep], minlength=self.n_rows), out=indptr[1:])
        return Sparse(
            indptr, self.indices[keep], None if self.values is None else self.values[keep], self.n_columns
        )

    def dense(self, index: Array, dtype: Any = np.float32) -> Array:
        """Return some rows with their zeros, ``(len(index), n_columns)``."""
        row, where = self.places(index)
        made = np.zeros((len(as_index(index)), self.n_columns), dtype)
        made[row, self.indices[where]] = 1 if self.values is None else self.values[where]
        return made

    def scipy(self) -> Any:
        """Return it as SciPy's ``csr_array`` of doubles."""
        from scipy.sparse import csr_array

        values = np.ones(len(self.indices)) if self.values is None else np.asarray(self.values, np.float64)
        return csr_array((values, np.asarray(self.indices), np.asarray(self.indptr)), (self.n_rows, self.n_columns))

    @property
    def nbytes(self) -> int:
        """Bytes of all entries."""
        return sum(int(v.nbytes) for v in (self.indptr, self.indices, self.values) if v is not None)

    def save(self, folder: Path) -> None:
        """Write it to a new folder of ``.npy`` files, from which :meth:`mapped` reads the rows that are asked for."""
        with replacing_folder(folder) as tmp:
            for name, values in zip(FILES, (self.indptr, self.indices, self.values), strict=True):
                if values is not None:
                    np.save(tmp / f"{name}.npy", values)
            np.save(tmp / "shape.npy", np.array([self.n_rows, self.n_columns]))

    @classmethod
    def mapped(cls, folder: Path) -> Sparse:
        """Return a matrix whose entries stay on disk; see :meth:`save`.

        Raises:
            InputError: The files are not those of one matrix.
        """
        with guarded(folder):
            parts = [
                np.load(path, mmap_mode="r", allow_pickle=False) if (path := folder / f"{name}.npy").exists() else None
                for name in FILES
            ]
            n_rows, n_columns = (int(n) for n in np.load(folder / "shape.npy", allow_pickle=False))
        indptr, indices, values = parts
        if indptr is None or indices is None:
            raise InputError(f"A sparse matrix has indptr.npy and indices.npy, but {str(folder)!r} lacks one of them.")
        return checked(cls(np.array(indptr), indices, values, n_columns), n_rows, str(folder))


def checked(found: Sparse, n_rows: int, origin: str) -> Sparse:
    """Return a matrix that came from outside, if its parts fit together.

    Raises:
        InputError: They do not: it is damaged.
    """
    n, pointer = len(found.indices), found.indptr
    whole = len(pointer) == n_rows + 1 and n_rows >= 0 and int(pointer[0]) == 0 and int(pointer[-1]) == n
    rising = whole and bool((np.diff(pointer) >= 0).all())
    inside = n == 0 or (int(found.indices.min()) >= 0 and int(found.indices.max()) < found.n_columns)
    if not (rising and inside and (found.values is None or len(found.values) == n)):
        raise InputError(
            f"A sparse matrix has ascending row pointers and columns within its shape, but {origin} announces "
            f"{n_rows} x {found.n_columns} and does not. It is damaged; save it again."
        )
    return found


def of_scipy(matrix: Any, origin: str) -> Sparse:
    """Return a matrix of SciPy, whatever its layout; explicit zeros are left out, repeated entries added.

    Raises:
        InputError: It is damaged, has NaN, or is not two-dimensional.
    """
    if len(matrix.shape) != 2:
        raise InputError(f"A sparse matrix has two axes, but {origin} has the shape {matrix.shape}.")
    found = matrix.tocsr(copy=True)
    n_rows, n_columns = (int(n) for n in found.shape)
    checked(Sparse(found.indptr, found.indices, found.data, n_columns), n_rows, origin)
    found.sum_duplicates()
    found.eliminate_zeros()
    if not bool(np.isfinite(found.data).all()):
        raise InputError(f"Entries must be finite numbers, but {origin} has NaN or infinity. Remove them first.")
    ones = bool((found.data == 1).all())
    values = None if ones else found.data.astype(np.float32)
    return Sparse(found.indptr.astype(np.int64), found.indices.astype(np.int32), values, n_columns)


def is_sparse(source: object) -> bool:
    """Whether a source is a sparse matrix of SciPy, without importing SciPy for those who have none."""
    return callable(getattr(source, "tocsr", None)) and hasattr(source, "nnz")


def is_sparse_file(path: Path) -> bool:
    """Whether a file is a matrix that ``scipy.sparse.save_npz`` wrote, by the names of its arrays."""
    import zipfile

    if path.suffix.lower() != ".npz":
        return False
    with guarded(path), zipfile.ZipFile(path) as archive:
        return {"indices.npy", "indptr.npy", "shape.npy"} <= set(archive.namelist())


def read_sparse(path: Path) -> Sparse:
    """Read a file of ``scipy.sparse.save_npz`` (compressed by row or by column).

    Raises:
        InputError: It is damaged, announces more than it holds, or has another layout.
    """
    from scipy.sparse import csc_array, csr_array

    with guarded(path), np.load(path, allow_pickle=False) as archive:
        need_archive(archive.zip, path)
        layout = str(np.asarray(archive["format"]).item().decode()) if "format" in archive.files else "csr"
        if layout not in ("csr", "csc"):
            raise InputError(f"A sparse file is compressed by row or column, but {str(path)!r} is {layout!r}. Use csr.")
        parts = [np.asarray(archive[name]) for name in ("data", "indices", "indptr")]
        shape = tuple(int(n) for n in archive["shape"])
    need_room(8 * sum(shape), path, f"a matrix of {' x '.join(map(str, shape))}")  # of its other side, the pointers
    across = shape if layout == "csr" else shape[::-1]
    checked(Sparse(parts[2], parts[1], parts[0], across[1] if len(across) == 2 else 0), across[0], str(path))
    rows, columns = shape[0], shape[-1]
    made = (csr_array if layout == "csr" else csc_array)((parts[0], parts[1], parts[2]), (rows, columns))
    return of_scipy(made, repr(str(path)))


@final
class SparseRows(Rows):
    """Rows that are kept sparse, and become dense for the rows of a step alone.

    Args:
        matrix: The entries, in memory or mapped.
        targets: Labels of all rows.
        top: Largest value; up to 255 dense rows are bytes.
        about: What travels with rows and is no model value, by name, rows first.
        in_memory: Whether the entries are in memory.
        held: Entries of the same rows that were held out of them.
        absent: Columns that were not observed in any row.
        known: What is known of the columns, ``(n_columns, width)``.

    Example:
        >>> rows = SparseRows(Sparse.of(np.array([0, 1]), np.array([2, 0]), shape=(2, 3)))
        >>> rows.take(np.array([1, 0])).x.tolist(), rows.dense_nbytes
        ([[1, 0, 0], [0, 0, 1]], 6)
    """

    def __init__(
        self, matrix: Sparse, targets: Targets | None = None, *, top: float = 1,
        about: Mapping[str, Array] | None = None, in_memory: bool = True, held: Sparse | None = None,
        absent: Array | None = None, known: Any = None,
    ) -> None:
        self.matrix, self.targets, self.in_memory, self.held = matrix, targets or Targets(), in_memory, held
        self.dtype = np.uint8 if top <= 255 else np.float32
        self._about, self.absent, self.known = dict(about or {}), absent, known

    def __len__(self) -> int:
        return self.matrix.n_rows

    def take(self, index: Array) -> Batch:
        """Return the rows at ``index``, dense."""
        x = torch.from_numpy(self.matrix.dense(index, self.dtype))
        mask = None
        if self.absent is not None:
            mask = torch.ones(x.shape, dtype=torch.bool)
            mask[:, torch.from_numpy(self.absent)] = False
        return Batch(x, mask=mask, **self.targets.for_rows(torch.from_numpy(as_index(index))))

    def about(self, index: Array) -> Mapping[str, Any]:
        """Return what was given for the rows at ``index``."""
        return {name: values[as_index(index)] for name, values in self._about.items()}

    @property
    def nbytes(self) -> int:
        """Bytes of the entries."""
        return self.matrix.nbytes

    @property
    def better_dense(self) -> bool:
        """Whether zeros are few: of many, those of a step are made as quickly as copied."""
        return not self.in_memory or FEW * self.nbytes > self.dense_nbytes

    @property
    def dense_nbytes(self) -> int:
        """Bytes of all rows with their zeros."""
        return self.matrix.n_rows * self.matrix.n_columns * np.dtype(self.dtype).itemsize


def entries(rows: Rows, index: Array) -> Sparse:
    """Return some rows of one tensor as a sparse matrix, wherever they are.

    Example:
        >>> from senzai.data.rows import MemoryRows
        >>> entries(MemoryRows(np.array([[0, 2], [1, 0]])), np.array([1, 0])).indices.tolist()
        [0, 1]
    """
    if isinstance(rows, SparseRows):
        return rows.matrix.rows_of(index)
    at, most = as_index(index), rows.at_once(8192)
    found = []
    for start in range(0, max(1, len(at)), most):
        x = rows.take(at[start : start + most]).tensor.flatten(1).numpy()
        row, column = np.nonzero(x)
        found.append((row + start, column, x[row, column], x.shape[1]))
    row, column, value = (np.concatenate([f[i] for f in found]) for i in range(3))
    return Sparse.of(row, column, None if bool((value == 1).all()) else value, shape=(len(at), found[0][3]))
