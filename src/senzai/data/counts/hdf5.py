"""Counts in HDF5 files: AnnData's `.h5ad`, `.h5` of 10x, `.loom`; read piece by piece, with announced sizes checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.extras import need

from ..limits import DEFLATE, guarded, need_array, need_room, told
from ..rows import Array
from ..sparse import Sparse, checked
from .options import CountOptions
from .recognising import LOOKED_AT, are_counts, compact, no_counts, what_else
from .table import CountTable, checked_counts, of_dense

AT_ONCE = 1 << 22
"""Values that are read at once."""
LAYERS = ("layers/counts", "X", "raw/X", "layers/raw_counts", "layers/raw")
"""Where raw counts usually are, in the order of looking."""
NAMES = {"X": "X", "raw": "raw/X", "raw.X": "raw/X", "raw/X": "raw/X"}


def opened(path: Path) -> Any:
    """Return an HDF5 file to read."""
    return need("h5py", extra="cells", to="read counts from HDF5 files").File(path, "r")


def need_sound(node: Any, path: Path) -> None:
    """Refuse a file of which a part announces more than its bytes can hold.

    Raises:
        InputError: It is damaged, or made to take memory.
    """
    h5py = need("h5py", extra="cells", to="read counts from HDF5 files")
    held = path.stat().st_size * DEFLATE

    def look(name: str, found: Any) -> None:
        if isinstance(found, h5py.Dataset) and found.dtype.kind in "biufSV" and found.shape:
            need_array(found.shape, found.dtype, path, held=held)
            nbytes, stored = found.size * found.dtype.itemsize, found.id.get_storage_size()
            if nbytes > 2**20 and nbytes > stored * DEFLATE:
                raise InputError(
                    f"{str(path)!r} must be a whole file, but its part {name!r} announces {told(nbytes)} and has "
                    f"{told(stored)}: it is damaged. Save or download it again."
                )

    if isinstance(node, h5py.Dataset):
        look(str(node.name), node)
    else:
        node.visititems(look)


# --- one matrix -----------------------------------------------------------------------------------------------------
def layout_of(node: Any) -> str:
    """Return how a matrix is stored: dense, csr or csc."""
    told = node.attrs.get("encoding-type", node.attrs.get("h5sparse_format", ""))
    word = told.decode() if isinstance(told, bytes) else str(told)
    return "dense" if hasattr(node, "shape") else "csc" if "csc" in word else "csr"


def some_of(node: Any) -> tuple[Array, tuple[Array, Array] | None]:
    """Return values of the first rows of a matrix, and the sums of these rows where they are whole."""
    if layout_of(node) == "dense":
        rows = max(2, min(200, LOOKED_AT // max(1, node.shape[1])))
        found = np.asarray(node[:rows])
        return found.ravel(), _sums(found)
    values = np.asarray(node["data"][:LOOKED_AT])
    if layout_of(node) == "csc":
        return values, None
    indptr = np.asarray(node["indptr"][:201])
    last = int(np.searchsorted(indptr, len(values), side="right")) - 1
    if last < 2 or values.dtype.kind not in "iuf":
        return values, None
    row = np.repeat(np.arange(last), np.diff(indptr[: last + 1]))
    inside = values[: int(indptr[last])].astype(np.float64)
    with np.errstate(over="ignore"):
        each = [np.bincount(row, weights=v, minlength=last) for v in (inside, np.expm1(inside))]
    return values, (each[0], each[1])


def _sums(rows: Array) -> tuple[Array, Array] | None:
    if rows.dtype.kind not in "biuf":
        return None
    with np.errstate(over="ignore"):
        return rows.sum(1, dtype=np.float64), np.expm1(rows.astype(np.float64)).sum(1)


def matrix_of(node: Any, path: Path, place: str, shape: tuple[int, int]) -> Sparse:
    """Read a matrix, rows by columns, as counts in their smallest type.

    Raises:
        InputError: They are no counts, or the file is damaged.
    """
    layout = layout_of(node)
    if layout == "dense":
        need_room(node.shape[0] * node.shape[1], path, f"a matrix of {node.shape[0]} x {node.shape[1]}")
        return checked_counts(of_dense(_row_blocks(node), node.shape[1]), repr(str(path)), place)
    n, across = len(node["data"]), shape if layout == "csr" else shape[::-1]
    need_room(5 * n + 8 * across[0], path, f"{n:,} counts")
    values = np.empty(n, np.uint8)
    for start in range(0, n, AT_ONCE):
        block = np.asarray(node["data"][start : start + AT_ONCE])
        if not are_counts(block):
            raise no_counts(repr(str(path)), place, what_else(block))
        block = compact(block)
        if block.dtype.itemsize > values.dtype.itemsize:
            values = values.astype(block.dtype)
        values[start : start + len(block)] = block
    indices = np.empty(n, np.int32)
    node["indices"].read_direct(indices) if n else None
    found = Sparse(np.asarray(node["indptr"][:], np.int64), indices, values, across[1])
    checked(found, across[0], repr(str(path)))
    if layout == "csr":
        return checked_counts(sorted_columns(found), repr(str(path)), place)
    from scipy.sparse import csc_array

    turned: Any = csc_array((values, indices, found.indptr), shape).tocsr()
    return checked_counts(sorted_columns(of_compressed(turned)), repr(str(path)), place)


def of_compressed(matrix: Any) -> Sparse:
    """Return a CSR matrix of SciPy as it is."""
    return Sparse(
        matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data, int(matrix.shape[1])
    )


def sorted_columns(found: Sparse) -> Sparse:
    """Return a matrix whose columns ascend within each row; repeated ones are added."""
    step = np.diff(found.indices)
    ends = found.indptr[1:-1] - 1
    bad = step <= 0
    bad[ends[(ends >= 0) & (ends < len(bad))]] = False
    if not bad.any():
        return found
    from scipy.sparse import csr_array

    ones = found.values is None
    values = np.ones(len(found.indices)) if ones else np.asarray(found.values, np.float64)  # sums may outgrow a byte
    made: Any = csr_array((values, found.indices, found.indptr), (found.n_rows, found.n_columns))
    made.sum_duplicates()
    return of_compressed(made)


def _row_blocks(node: Any) -> Iterator[Array]:
    rows = max(1, AT_ONCE // max(1, node.shape[1]))
    for start in range(0, node.shape[0], rows):
        yield np.asarray(node[start : start + rows])


# --- .h5ad ----------------------------------------------------------------------------------------------------------
def of_h5ad(path: Path, options: CountOptions) -> CountTable | None:
    """Read an `.h5ad`: counts where they are, obs and var; ``None`` where an early version of AnnData wrote it.

    Raises:
        InputError: It has no raw counts, or is damaged.
    """
    with guarded(path), opened(path) as file:
        need_sound(file, path)
        if file.attrs.get("encoding-type") is None and "obs" in file and hasattr(file["obs"], "dtype"):
            return None
        io = need("anndata.io", extra="cells", to="read .h5ad files")
        place = place_in(file, options.layer, path)
        whose = "raw/var" if place == "raw/X" else "var"
        obs, var = io.read_elem(file["obs"]), io.read_elem(file[whose])
        matrix = matrix_of(file[place], path, place, (len(obs), len(var)))
    found = CountTable(
        matrix, tuple(map(str, var.index)), np.asarray(obs.index, object), obs, var, repr(str(path)), place,
        original=path,
    )
    return shaped(found)


def place_in(file: Any, layer: str | None, path: Path) -> str:
    """Return where the counts are.

    Raises:
        InputError: Nothing there is counts, or there is no such layer.
    """
    if layer is not None:
        place = NAMES.get(layer, f"layers/{layer}")
        if place not in file:
            have = ["X", *(f"layer {n!r}" for n in file.get("layers", ())), *(["raw"] if "raw" in file else [])]
            raise InputError(f"{str(path)!r} has no layer {layer!r}. It has {', '.join(have)}.")
        values, sums = some_of(file[place])
        if not are_counts(values):
            raise no_counts(repr(str(path)), place, what_else(values, *(sums or ())))
        return place
    seen = []
    for place in LAYERS:
        if place in file and (hasattr(file[place], "shape") or "data" in file[place]):
            values, sums = some_of(file[place])
            if are_counts(values):
                return place
            seen.append(f"in {place} {what_else(values, *(sums or ()))}")
    raise no_raw_counts(repr(str(path)), seen)


def no_raw_counts(origin: str, seen: list[str]) -> InputError:
    """Return the error for data in which nothing is raw counts."""
    why = "; ".join(seen) or "there is no X, no layer counts and no raw"
    return InputError(
        f"Counts are modelled from raw counts, whole numbers from 0 up, but {origin} has none: {why}. "
        "Name another layer with layer=NAME, or read the data before they were normalised."
    )


def shaped(found: CountTable) -> CountTable:
    """Return a table whose facts are of as many rows and columns as its counts.

    Raises:
        InputError: They are not.
    """
    shape = (found.matrix.n_rows, found.matrix.n_columns)
    if shape != (len(found.cells), len(found.genes)):
        raise InputError(
            f"Counts are of as many rows and columns as have names, but {found.origin} has {shape[0]} x {shape[1]} "
            f"and names for {len(found.cells)} x {len(found.genes)}. Save it again."
        )
    return found


# --- others ---------------------------------------------------------------------------------------------------------
def of_10x(path: Path) -> CountTable:
    """Read the filtered or raw matrix that Cell Ranger writes as `.h5`."""
    import pandas as pd

    with guarded(path), opened(path) as file:
        need_sound(file, path)
        group = file["matrix"] if "matrix" in file else file[next(iter(file))]
        n_genes, n_cells = (int(n) for n in group["shape"][:])
        matrix = matrix_of(group, path, "matrix", (n_cells, n_genes))
        features = group.get("features", group)
        names = [k for k in ("id", "name", "gene_names", "genes", "feature_type", "genome") if k in features]
        var = pd.DataFrame({k: texts(features[k]) for k in names})
        cells = np.array(texts(group["barcodes"]), object)
    return of_names(matrix, var, cells, repr(str(path)))


def of_names(matrix: Sparse, var: Any, cells: Array, origin: str) -> CountTable:
    """Return a table of 10x: genes are called by their symbols where these are unique, else by their identifiers."""
    import pandas as pd

    called = [c for c in ("name", "gene_names", "id", "genes") if c in var]
    best = next((c for c in called if var[c].is_unique), None)
    if best is None:
        raise InputError(f"Genes have names or identifiers that are unique, but those of {origin} are not. Mend them.")
    var = var.set_index(pd.Index(var[best].astype(object), name=None))
    note = f"Genes are called by their {'symbols' if best in ('name', 'gene_names') else 'identifiers'}."
    obs = pd.DataFrame(index=pd.Index(cells, dtype=object))
    found = CountTable(
        matrix, tuple(map(str, var.index)), cells, obs, var, origin, "matrix", notes=(note,)
    )
    return shaped(found)


def of_loom(path: Path) -> CountTable:
    """Read a `.loom`, genes by cells."""
    import pandas as pd

    with guarded(path), opened(path) as file:
        need_sound(file, path)
        rows, columns = ({k: texts(g[k]) for k in g if g[k].ndim == 1} for g in (file["row_attrs"], file["col_attrs"]))
        whole = file["matrix"]
        need_room(whole.size * whole.dtype.itemsize, path, f"a matrix of {whole.shape[0]} x {whole.shape[1]}")
        matrix = checked_counts(of_dense([np.asarray(whole[:]).T], whole.shape[0]), repr(str(path)), "matrix")
    gene = next((k for k in ("Gene", "var_names", "gene_names", "Accession") if k in rows), None)
    cell = next((k for k in ("CellID", "obs_names", "cell_names") if k in columns), None)
    if gene is None or cell is None:
        raise InputError(f"A .loom names its genes (Gene) and cells (CellID), but {str(path)!r} does not. Add them.")
    var, obs = pd.DataFrame(rows).set_index(gene), pd.DataFrame(columns).set_index(cell)
    found = CountTable(
        matrix, tuple(map(str, var.index)), np.asarray(obs.index, object), obs, var, repr(str(path)), "matrix"
    )
    return shaped(found)


def texts(node: Any) -> list[Any]:
    """Return what a dataset holds, bytes as text."""
    return [v.decode(errors="replace") if isinstance(v, bytes) else v for v in node[:].tolist()]
