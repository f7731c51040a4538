"""Result files: nothing is replaced without --overwrite, and files are written whole or not at all."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError, OutputError
from ...core.files import user_path

if TYPE_CHECKING:
    from ...data import Dataset, Schema


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Refuse a place that is taken or cannot be written, before any work is done.

    Raises:
        OutputError: Something is there, or there is no such folder.
    """
    path = user_path(path, output=True)
    if path.exists() and not overwrite:
        raise OutputError(f"{str(path)!r} exists already. Choose another name, or replace it with --overwrite.")
    if path.is_dir() and not _only_pictures(path):
        raise OutputError(f"{str(path)!r} is a folder with more than pictures in it; it is not replaced. Remove it.")
    if not path.parent.is_dir():
        raise OutputError(f"{str(path)!r} must be in a folder that exists, but {str(path.parent)!r} does not.")


def _only_pictures(folder: Path) -> bool:
    return all(p.name.endswith((".png", ".nii.gz", ".dcm")) and p.is_file() for p in folder.iterdir())


def in_form_for(dataset: Dataset, output: Path | None) -> Dataset:
    """Return rows whose numbers come in the form that a file has: together with the rows, or as a table."""
    beside = output is not None and output.suffix.lower() in dataset.kind.beside
    forms = dataset.kind.forms_beside
    if not forms or beside == (dataset.schema.form in forms):
        return dataset
    return replace(dataset, schema=dataset.schema.but(form=forms[0] if beside else "table"))


def write_rows(decoded: Any, path: Path, schema: Schema) -> None:
    """Write rows in the form of the data: what their kind writes, or images as one contact sheet.

    Raises:
        InputError: The suffix is not one that is written.
        OutputError: The file cannot be written.
    """
    from ...data import KINDS

    aside = _move_aside(path) if path.is_dir() else None
    try:
        KINDS[schema.kind].write(decoded, path, schema)
    except BaseException:
        if aside is not None and not path.exists():
            aside.rename(path)
        raise
    if aside is not None:
        shutil.rmtree(aside)


def _move_aside(folder: Path) -> Path:
    """A folder cannot be renamed over another, so the old one is kept beside it until the new one is whole."""
    return folder.rename(folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.old"))


def write_codes(codes: Any, path: Path, names: list[str] | None = None) -> None:
    """Write latent codes: npy, npz, or a table (csv, tsv, parquet) with the columns z0, z1, ..., or others.

    Raises:
        InputError: The suffix is not one of these.
        OutputError: The file cannot be written.
    """
    import pandas as pd
    from pandas.api.types import is_numeric_dtype

    from ...core.files import replacing
    from ...data.frame_files import FrameWriter
    from ...data.writers import plain_array, write_array

    suffix = path.suffix.lower()
    if suffix not in (".npy", ".npz", ".csv", ".tsv", ".parquet"):
        raise InputError(f"Codes are written as .npy, .npz, .csv, .tsv or .parquet, but got {path.name!r}. Choose one.")
    if suffix in (".npy", ".npz"):
        write_array(codes, path)
        return
    if hasattr(codes, "dtypes") and not all(is_numeric_dtype(t) for t in codes.dtypes):
        with FrameWriter(path) as writer:
            writer.write(codes)
        return
    rows = plain_array(codes)
    frame = pd.DataFrame(rows, columns=names or [f"z{i}" for i in range(rows.shape[1])])
    if suffix == ".parquet":
        with replacing(path) as tmp:
            frame.to_parquet(tmp, index=False)
    else:
        write_array(frame, path)
