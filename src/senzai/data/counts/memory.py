"""Counts in memory, and in plain files: AnnData, SciPy's matrices, frames, folders of 10x, text."""

from __future__ import annotations

import gzip
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.extras import need

from .. import sources, sparse
from ..limits import DEFLATE, guarded, need_no_holes, need_room
from ..rows import Array
from ..sparse import Sparse, checked, of_scipy
from .hdf5 import no_raw_counts, of_10x, of_compressed, of_h5ad, of_loom, of_names, shaped, sorted_columns
from .options import CountOptions
from .recognising import LOOKED_AT, are_counts, no_counts, what_else
from .table import CountTable, checked_counts, of_dense, row_sums

HDF5 = (".h5ad", ".h5", ".hdf5", ".loom")
TEXTS = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
SUFFIXES = (*HDF5, ".npz", ".mtx", *TEXTS)


def is_anndata(source: object) -> bool:
    """Whether a source is an AnnData, without importing anndata for those who have none."""
    anndata = sys.modules.get("anndata")
    return anndata is not None and isinstance(source, anndata.AnnData)


def is_sparse_frame(source: object) -> bool:
    """Whether a source is a DataFrame all of whose columns are sparse."""
    import pandas as pd

    return sources.is_frame(source) and len(source.columns) > 0 and all(  # type: ignore[attr-defined]
        isinstance(t, pd.SparseDtype) for t in source.dtypes  # type: ignore[attr-defined]
    )


def matrix_file(folder: Path) -> Path | None:
    """Return the matrix of a folder of 10x, packed or not."""
    return next((p for n in ("matrix.mtx", "matrix.mtx.gz") if (p := folder / n).is_file()), None)


def read_table(source: Any, options: CountOptions) -> CountTable:
    """Read any source of counts.

    Raises:
        InputError: It is none, or no counts are in it.
    """
    if is_anndata(source):
        return of_anndata(source, options)
    if sparse.is_sparse(source):
        what = f"the {type(source).__name__}"
        return numbered(checked_counts(of_scipy(source, what), what, "it"), what)
    path = sources.existing(source)
    if path is None:
        return of_rows(source)
    if path.is_dir():
        return of_folder(path)
    suffix = path.suffix.lower()
    if suffix == ".h5ad":
        return of_h5ad(path, options) or of_before(path, options)
    if suffix == ".loom":
        return of_loom(path)
    if suffix in HDF5:
        return of_10x(path)
    if suffix == ".npz":
        what = repr(str(path))
        return numbered(checked_counts(sparse.read_sparse(path), what, "it"), what)
    if path.name.lower().endswith(TEXTS):
        return of_text(path, options)
    raise InputError(f"Counts are read from {', '.join(SUFFIXES)} or a 10x folder, but got {path.name!r}. Convert it.")


def of_before(path: Path, options: CountOptions) -> CountTable:
    """Read a file of an early version of AnnData by its own reader."""
    import warnings

    anndata = need("anndata", extra="cells", to="read .h5ad files")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what has moved to another place since
        made = anndata.read_h5ad(path)
    return replace(of_anndata(made, options, origin=repr(str(path))), original=path)


def of_anndata(data: Any, options: CountOptions, *, origin: str = "the AnnData") -> CountTable:
    """Return the counts of an AnnData, from where they are."""
    places = {"layers/counts": data.layers.get("counts"), "X": data.X, "raw/X": getattr(data.raw, "X", None)}
    places |= {f"layers/{n}": data.layers.get(n) for n in ("raw_counts", "raw")}
    if options.layer is not None:
        place = {"X": "X", "raw": "raw/X", "raw.X": "raw/X"}.get(options.layer, f"layers/{options.layer}")
        found = places.get(place, data.layers.get(options.layer))
        if found is None:
            raise InputError(f"{origin} has no layer {options.layer!r}. It has {', '.join(['X', *data.layers])}.")
        places = {place: found}
    seen = []
    for place, found in places.items():
        if found is None:
            continue
        some = some_values(found)
        if are_counts(some):
            names = data.raw.var if place == "raw/X" else data.var
            return shaped(CountTable(
                counts_of(found, origin, place), tuple(map(str, names.index)), np.asarray(data.obs_names, object),
                data.obs, names, origin, place, original=data,
            ))
        if options.layer is not None:
            raise no_counts(origin, place, what_else(some, *row_sums(first_rows(found))))
        seen.append(f"in {place} {what_else(some, *row_sums(first_rows(found)))}")
    raise no_raw_counts(origin, seen)


def first_rows(matrix: Any) -> Sparse:
    """Return the first rows of a matrix of any sort, whatever is in them."""
    few = matrix[:200]
    if hasattr(few, "tocsr"):
        few = few.tocsr()
        return Sparse(few.indptr, few.indices, np.asarray(few.data, np.float64), few.shape[1])
    dense = np.asarray(few)
    return of_dense([dense if dense.dtype.kind in "biuf" else np.zeros((1, 1))], dense.shape[1])


def some_values(matrix: Any) -> Array:
    """Return some values of a matrix of any sort."""
    if hasattr(matrix, "tocsr"):
        return np.asarray(matrix.data[:LOOKED_AT])
    rows = max(1, min(len(matrix), LOOKED_AT // max(1, matrix.shape[1])))
    return np.asarray(matrix[:rows]).ravel()


def counts_of(matrix: Any, origin: str, place: str) -> Sparse:
    """Return the counts of a matrix of any sort."""
    if not hasattr(matrix, "tocsr"):
        dense = np.asarray(matrix)
        return checked_counts(of_dense((dense[i : i + 4096] for i in range(0, len(dense), 4096)), dense.shape[1]),
                              origin, place)
    found = matrix.tocsr()
    made = checked(of_compressed(found), int(found.shape[0]), origin)
    return checked_counts(sorted_columns(made), origin, place)


def numbered(matrix: Sparse, origin: str) -> CountTable:
    """Return a table whose rows and columns have numbers and no names."""
    import pandas as pd

    rows, columns = np.arange(matrix.n_rows), range(matrix.n_columns)
    obs, var = pd.DataFrame(index=rows), pd.DataFrame(index=np.arange(matrix.n_columns))
    return CountTable(
        matrix, tuple(columns), rows.astype(object), obs, var, origin, form="sparse",
        notes=("Rows and columns are called by their numbers, from 0.",),
    )


def of_rows(source: Any) -> CountTable:
    """Return the counts of a frame, or of an array or list of rows."""
    import pandas as pd

    if sources.is_frame(source):
        frame, what = source, "the DataFrame"
        matrix = frame.sparse.to_coo() if is_sparse_frame(frame) else frame.to_numpy()
        if matrix.dtype.kind == "O":
            raise InputError(f"Counts are numbers, but {what} has columns that are none. Leave them out.")
        found = counts_of(matrix, what, "it")
        return shaped(CountTable(
            found, _gene_names(frame.columns), np.asarray(frame.index, object), pd.DataFrame(index=frame.index),
            pd.DataFrame(index=frame.columns), what, "it", form="pandas",
        ))
    try:
        dense = np.asarray(source)
    except (TypeError, ValueError) as err:
        raise InputError(f"Counts are rows of numbers, but got a {type(source).__name__}. Give one of those.") from err
    if dense.ndim != 2 or dense.dtype.kind not in "biuf":
        raise InputError(f"Counts are rows of whole numbers, but got {dense.dtype} of the shape {dense.shape}.")
    return replace(numbered(counts_of(dense, "the array", "it"), "the array"), form="numpy")


def _gene_names(columns: Any) -> tuple[str | int, ...]:
    whole = all(isinstance(c, int | np.integer) for c in columns)
    return tuple(int(c) if whole else str(c) for c in columns)


# --- plain files ----------------------------------------------------------------------------------------------------
def of_folder(folder: Path) -> CountTable:
    """Read a folder of 10x (matrix, features, barcodes), or of a sparse matrix that stays on disk."""
    matrix = matrix_file(folder)
    if matrix is None:
        if (folder / "indptr.npy").is_file():
            found = Sparse.mapped(folder)
            for start in range(0, 0 if found.values is None else len(found.values), 1 << 22):
                if found.values is not None and not are_counts(block := found.values[start : start + (1 << 22)]):
                    raise no_counts(repr(str(folder)), "values.npy", what_else(block))
            return replace(numbered(found, repr(str(folder))), in_memory=False)
        raise InputError(
            f"A folder of counts holds matrix.mtx, features.tsv and barcodes.tsv, but {str(folder)!r} has no "
            "matrix.mtx or matrix.mtx.gz. Name the folder that has it."
        )
    import pandas as pd

    names = _beside(folder, "features.tsv", "genes.tsv")
    cells = _lines(_beside(folder, "barcodes.tsv"))
    counted = market(matrix)
    kept = [line.split("\t") for line in _lines(names)]
    told = ("id", "name", "feature_type")[: min((len(k) for k in kept), default=1)]
    var = pd.DataFrame([k[: len(told)] for k in kept], columns=list(told))
    return of_names(counted, var, np.array(cells, object), repr(str(folder)))


def _beside(folder: Path, *names: str) -> Path:
    found = next((p for n in names for e in ("", ".gz") if (p := folder / f"{n}{e}").is_file()), None)
    if found is None:
        raise InputError(f"A folder of 10x has {' or '.join(names)} (or .gz), but {str(folder)!r} has not. Add it.")
    return found


def _lines(path: Path) -> list[str]:
    need_no_holes(path)
    with guarded(path), _text(path) as file:
        return [line.rstrip("\r\n") for line in file]


def _text(path: Path) -> Any:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")


def market(path: Path) -> Sparse:
    """Read a Matrix Market file of genes by cells as cells by genes.

    Raises:
        InputError: It is damaged, announces more than it holds, or holds no counts.
    """
    from scipy.io import mmread

    with guarded(path):
        with _text(path) as file:
            head = next(line for line in file if not line.startswith("%")).split()
        if len(head) != 3 or not all(word.isdigit() for word in head):
            raise InputError(f"{str(path)!r} must announce rows, columns and entries, but begins with {head[:4]}.")
        genes, cells, n = map(int, head)
        held = path.stat().st_size * (DEFLATE if path.suffix == ".gz" else 1)
        need_room(4 * n, path, f"{n:,} entries", held=held)  # a line has four bytes at least
        need_room(16 * n + 8 * (genes + cells), path, f"a matrix of {genes} x {cells}")
        return counts_of(mmread(path).T, repr(str(path)), path.name)


def of_text(path: Path, options: CountOptions) -> CountTable:
    """Read a table of counts with names in its first line and first column."""
    import pandas as pd

    need_no_holes(path) if path.suffix != ".gz" else None
    need_room(path.stat().st_size * (10 if path.suffix == ".gz" else 1), path, "counts as text")
    mark = options.delimiter or ("\t" if ".tsv" in path.name.lower() else ",")
    with guarded(path):
        frame = pd.read_csv(path, sep=mark, index_col=0, encoding="utf-8", dtype={0: str})
    bad = [str(c) for c, t in frame.dtypes.items() if t.kind not in "biuf"]
    if bad:
        raise InputError(
            f"Counts are numbers, but columns of {str(path)!r} hold text, such as {bad[0]!r}. Leave them out, or give "
            "an AnnData with facts about rows in obs."
        )
    frame = frame.T if options.genes == "rows" else frame
    return replace(of_rows(frame), origin=repr(str(path)), form="table")
