"""Rows back in the user's form: AnnData with what it had, frames, sparse matrices; and their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.extras import need
from senzai.core.files import replacing

from ..frame_files import FrameWriter
from ..rows import Array
from ..schema import Schema
from .table import CountTable


def index_of(found: CountTable) -> Any:
    """Return the names of the rows, for frames of their numbers."""
    import pandas as pd

    return pd.Index(found.cells, dtype=object)


def names_of(schema: Schema) -> list[str]:
    """Return the names of the genes as text."""
    return [str(g) for g in schema.columns or ()]


def formed(rows: Array, schema: Schema, table: CountTable | None, *, whole: bool) -> Any:
    """Return rows in the form of the data.

    Args:
        rows: Counts or means, ``(N, genes)``.
        schema: What they are.
        table: The rows that they stand for, with their names and facts; ``None`` for new ones.
        whole: Whether they are counts.
    """
    import pandas as pd

    dtype = np.int64 if whole else np.float32
    if schema.form == "numpy":
        return rows.astype(dtype)
    if schema.form == "sparse":
        from scipy.sparse import csr_array

        return csr_array(rows.astype(dtype))
    index = pd.RangeIndex(len(rows)) if table is None else index_of(table)
    if schema.form in ("pandas", "table"):
        return pd.DataFrame(rows.astype(dtype), index=index, columns=list(schema.columns or ()))
    return anndata_of(rows, schema, table)


def anndata_of(rows: Array, schema: Schema, table: CountTable | None) -> Any:
    """Return rows as an AnnData, counts sparse, with the facts about the rows that they stand for."""
    import pandas as pd
    from scipy.sparse import csr_matrix

    anndata = need("anndata", extra="cells", to="return rows as AnnData")
    obs = pd.DataFrame(index=[str(i) for i in range(len(rows))]) if table is None else plain_frame(table.obs)
    var = pd.DataFrame(index=names_of(schema))
    if table is not None and len(table.var) == len(var) and list(map(str, table.var.index)) == list(var.index):
        var = plain_frame(table.var)
    return anndata.AnnData(csr_matrix(rows.astype(np.float32)), obs=obs, var=var)


def plain_frame(frame: Any) -> Any:
    """Return a frame whose names and texts are of a type that AnnData of any version writes."""
    made = frame.copy()
    made.index = made.index.astype(str).astype(object)
    made.columns = [str(c) for c in made.columns]
    for name, kind in made.dtypes.items():
        if str(kind) in ("str", "string"):
            made[name] = made[name].astype(object)
        elif str(kind) == "category" and str(made[name].cat.categories.dtype) in ("str", "string"):
            made[name] = made[name].cat.rename_categories(made[name].cat.categories.astype(object))
    return made


def original_of(table: CountTable, schema: Schema) -> Any:
    """Return a copy of the AnnData that rows came from; of rows that came otherwise, one made of them."""
    if isinstance(table.original, Path):
        import warnings

        anndata = need("anndata", extra="cells", to="read .h5ad files")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what has moved to another place since
            return anndata.read_h5ad(table.original)
    if table.original is not None:
        return table.original.to_memory() if table.original.isbacked else table.original.copy()
    from scipy.sparse import csr_matrix

    anndata = need("anndata", extra="cells", to="write .h5ad files")
    return anndata.AnnData(
        csr_matrix(table.matrix.scipy().astype(np.float32)), obs=plain_frame(table.obs), var=plain_frame(table.var)
    )


def with_numbers(table: CountTable, schema: Schema, values: Any, *, name: str, columns: list[str] | None) -> Any:
    """Return the AnnData of rows with numbers of theirs: in ``obs`` by column, ``layers`` by gene, or ``obsm``."""
    made, values = original_of(table, schema), np.asarray(values)
    if columns is not None and [str(g) for g in made.var_names] == columns:
        made.layers[name] = values.astype(np.float32)
    elif columns is not None and columns == names_of(schema):
        made = anndata_of(values, schema, table)
    elif columns is not None:
        for j, column in enumerate(columns):
            made.obs[column] = values[:, j]
    elif values.ndim == 1:
        made.obs[name] = values
    else:
        made.obsm[name] = values
    return made


def dense_of(decoded: Any) -> Array:
    """Return rows of any form as an array."""
    x = getattr(decoded, "X", decoded)
    return np.asarray(x.toarray() if hasattr(x, "toarray") else x)


def write(decoded: Any, path: Path, schema: Schema) -> None:
    """Write rows in the format that the suffix names.

    Raises:
        InputError: The suffix is not one of these.
    """
    import pandas as pd

    suffix = path.suffix.lower()
    if suffix == ".h5ad":
        made = decoded if hasattr(decoded, "obsm") else anndata_of(dense_of(decoded), schema, None)
        if not hasattr(decoded, "obsm") and isinstance(decoded, pd.DataFrame):
            made.obs_names = [str(i) for i in decoded.index]
        write_h5ad(made, path)
    elif suffix == ".npz":
        from scipy.sparse import csr_array, save_npz

        with replacing(path) as tmp, tmp.open("wb") as file:
            save_npz(file, csr_array(getattr(decoded, "X", decoded)))
    elif suffix in (".csv", ".tsv", ".parquet"):
        frame = decoded if isinstance(decoded, pd.DataFrame) else pd.DataFrame(
            dense_of(decoded), columns=names_of(schema), index=getattr(decoded, "obs_names", None)
        )
        with FrameWriter(path) as writer:
            writer.write(frame.rename_axis("cell").reset_index())
    else:
        raise InputError(f"Counts are written as .h5ad, .npz, .csv, .tsv or .parquet, but got {path.name!r}.")


def write_h5ad(data: Any, path: Path) -> None:
    """Write an AnnData, whole or not at all."""
    data.obs, data.var = plain_frame(data.obs), plain_frame(data.var)
    if data.raw is not None:
        data = data.copy()
        data.raw.var.index = data.raw.var.index.astype(object)
    with replacing(path) as tmp:
        data.write_h5ad(tmp)
