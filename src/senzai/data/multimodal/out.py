"""The way back: frames with pictures in their cells, tables with files beside them, dictionaries, plain values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from pydantic import JsonValue

from senzai.core.batch import Data
from senzai.core.errors import InputError

from .. import frame_files
from ..kind import KINDS
from ..schema import Schema
from .details import ModalityDetails, MultimodalDetails, details_of


def decoded(
    x: Data, schema: Schema, *, soft: bool = False, about: Mapping[str, Any] | None = None
) -> dict[str, Any] | Any:
    """Return what the kinds of all modalities make of their values: a dictionary, or a frame."""
    assert isinstance(x, dict)  # rows have several
    found = {}
    for m in details_of(schema).modalities:
        if m.name not in x:
            continue
        own = {k.partition("/")[2]: v for k, v in (about or {}).items() if k.partition("/")[0] == m.name}
        told = m.schema_.but(n_rows=len(x[m.name]))
        found[m.name] = KINDS[told.kind].decode(x[m.name], told, soft=soft, about=own or None)
    return found if schema.form == "views" else framed(found, details_of(schema))


def is_cells(m: ModalityDetails) -> bool:
    """Whether the rows of a modality stand in the cells of one column."""
    return m.columns == (m.name,) and bool(KINDS[m.schema_.kind].cells)


def framed(found: Mapping[str, Any], details: MultimodalDetails) -> Any:
    """Return one frame of what was decoded of each modality, columns in their order."""
    import pandas as pd

    columns: dict[str, Any] = {}
    for m in details.modalities:
        if m.name not in found:
            continue
        if is_cells(m):
            columns[m.name] = pd.Series(objects(found[m.name]), dtype=object)
        else:
            frame = frame_files.to_pandas(found[m.name])
            columns |= {str(c): frame[c].reset_index(drop=True) for c in frame.columns}
    return pd.DataFrame({name: columns[name] for name in details.columns if name in columns})


def objects(values: Any) -> Any:
    """Return what stands for each row, pictures and sounds too, as an array of objects."""
    out = np.empty(len(values), dtype=object)
    for i in range(len(values)):
        out[i] = values[i]
    return out


def stacked(cells: Any) -> Any:
    """Return the rows in the cells of a column as their kind decoded them: texts and sounds a list, pictures an array.

    Example:
        >>> stacked([np.zeros((2, 2)), np.ones((2, 2))]).shape, stacked(["a"])
        ((2, 2, 2), ['a'])
    """
    values = list(cells)
    return np.stack(values) if all(isinstance(v, np.ndarray) for v in values) else values


# --- files ------------------------------------------------------------------------------------------------------------
def write(made: Any, path: Path, schema: Schema) -> None:
    """Write rows; files that cells name go to folders called like the table and the column.

    Raises:
        InputError: Views have no form as the file that is named.
    """
    if isinstance(made, Mapping):
        _write_views(made, path, schema)
        return
    frame = made.copy()
    for m in details_of(schema).modalities:
        if not is_cells(m) or m.name not in frame.columns:
            continue
        folder = path.with_name(f"{path.stem}_{m.name}")
        cells = KINDS[m.schema_.kind].to_cells(stacked(frame[m.name]), folder, m.schema_)
        frame[m.name] = cells
    with frame_files.FrameWriter(path) as writer:
        writer.write(frame)


def _write_views(made: Mapping[str, Any], path: Path, schema: Schema) -> None:
    arrays = {name: value for name, value in made.items() if isinstance(value, np.ndarray)}
    if path.suffix.lower() == ".npz" and len(arrays) == len(made):
        from senzai.core.files import replacing

        with replacing(path) as tmp, tmp.open("wb") as file:
            np.savez_compressed(file, **cast(Any, arrays))
        return
    if path.suffix:
        raise InputError(
            f"Views are written as .npz where all are arrays, else as a folder with a file for each, but got "
            f"{path.name!r}. Name a folder."
        )
    path.mkdir(parents=True)
    for m in details_of(schema).modalities:
        if m.name in made:
            kind = KINDS[m.schema_.kind]
            kind.write(made[m.name], path / f"{m.name}{'' if kind.folder else kind.suffix}", m.schema_)


# --- plain values -----------------------------------------------------------------------------------------------------
def to_json(made: Any, schema: Schema) -> JsonValue:
    """Return ``{modality: its rows as plain values}``."""
    found: dict[str, JsonValue] = {}
    for m in details_of(schema).modalities:
        value = _of(made, m)
        if value is not None:
            found[m.name] = KINDS[m.schema_.kind].to_json(value, m.schema_)
    return found


def _of(made: Any, m: ModalityDetails) -> Any:
    if isinstance(made, Mapping):
        return made.get(m.name)
    if is_cells(m):
        return stacked(made[m.name]) if m.name in made.columns else None
    there = [c for c in m.columns if c in made.columns]
    return made[there] if there else None


def from_json(value: JsonValue, schema: Schema) -> object:
    """Return the views of ``{modality: rows}``, each read by its kind."""
    details = details_of(schema)
    known = {m.name: m for m in details.modalities}
    if not isinstance(value, dict) or not value or set(value) - set(known):
        raise InputError(
            f"Rows of several modalities come as an object of {', '.join(known)}, each with its rows, but got "
            f"{', '.join(value) if isinstance(value, dict) else type(value).__name__}."
        )
    found: dict[str, Any] = {}
    for name, rows in value.items():
        if not isinstance(rows, list):
            raise InputError(f"The modality {name!r} comes as a list, an entry a row, but got a {type(rows).__name__}.")
        kind, there = KINDS[known[name].schema_.kind], [row is not None for row in rows]
        if not any(there):
            found[name] = [None] * len(rows)
            continue
        read = kind.from_json([row for row in rows if row is not None], known[name].schema_)
        found[name] = _spread(read, there)
    return found


def _spread(read: Any, there: list[bool]) -> Any:
    """Return rows that were read in their places, with ``None`` where a row has none."""
    if all(there):
        return read
    if hasattr(read, "reindex"):
        return read.set_axis(np.flatnonzero(there)).reindex(range(len(there)))
    values = iter(read)
    return [next(values) if seen else None for seen in there]


def need_own_files(source: object, schema: Schema) -> None:
    """Refuse a file of a stranger whose cells would be read as paths.

    Raises:
        InputError: A modality is read from files that cells name.
    """
    named = [m.name for m in details_of(schema).modalities if is_cells(m) and KINDS[m.schema_.kind].cells == "files"]
    if named and isinstance(source, str | Path):
        raise InputError(
            f"The cells of {', '.join(named)} name files, which nobody reads here for whoever asks. Send the rows as "
            "JSON, with the content of each picture."
        )
