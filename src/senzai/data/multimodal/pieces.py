"""From a table with pictures and sentences, or a dictionary of views, to one source for each modality."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError, SettingError
from senzai.core.registry import suggestion

from .. import sources
from ..kind import KINDS, Kind
from ..rows import Array
from .details import MultimodalDetails
from .options import MultimodalOptions

LOOKED_AT = 20
"""Cells that are looked at to recognise what a column holds."""


@dataclass(frozen=True)
class ModalPiece:
    """One modality as it came.

    Args:
        name: What it is called.
        kind: Name of the kind that reads it; empty where it has to be recognised.
        source: What that kind reads: the rows that have it, and no others.
        there: Which rows have it.
        columns: Columns that it was read from.
    """

    name: str
    kind: str
    source: Any
    there: Array
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pieces:
    """All modalities of some rows.

    Args:
        pieces: One for each.
        n_rows: Rows.
        form: What comes back to the user: ``views`` for a dictionary, else the form of the table.
        origin: What the source is called.
        columns: Columns of the table.
        table: Kind that read it.
        frame: The table.
        index: Its row names.
        aside: What was taken out, by name: label, groups, time.
    """

    pieces: tuple[ModalPiece, ...]
    n_rows: int
    form: str
    origin: str
    columns: tuple[str, ...] = ()
    table: str = ""
    frame: Any = None
    index: Any = None
    aside: Mapping[str, Any] | None = None


# --- which kinds read what --------------------------------------------------------------------------------------------
def kind_called(word: str) -> Kind:
    """Return the kind whose rows stand in cells that users call so: pictures, sentences, sounds."""
    return next(kind for kind in KINDS.values() if kind.cells_called == word)


def told(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the kinds of columns and views that the user named, by their names."""
    known = MultimodalOptions.model_validate({
        k: v for k, v in options.items() if k in ("pictures", "sentences", "sounds", "modalities")
    })
    found = {str(name): kind for name, kind in known.modalities.items()}
    found |= {k.partition(".")[2]: str(v) for k, v in options.items() if k.startswith("modalities.")}
    for word in ("pictures", "sentences", "sounds"):
        found |= dict.fromkeys(getattr(known, word), kind_called(word).name if getattr(known, word) else "")
    return found


def others(but: str) -> dict[str, Kind]:
    """Return the kinds that can read one modality."""
    return {name: kind for name, kind in KINDS.items() if name != but}


def surest(source: object, but: str) -> Kind | None:
    """Return the kind that is surest of a source; ``None`` where none claims it."""
    found = [(claim.confidence, name) for name, k in others(but).items() if (claim := k.claims(source, {})) is not None]
    return KINDS[max(found)[1]] if found else None


def of_paths(cells: Iterable[Any], folder: Path) -> str | None:
    """Return the kind of files whose paths stand in cells, where all of those that are there exist."""
    some = [c for c in cells if isinstance(c, str | Path) and str(c).strip()][:LOOKED_AT]
    if not some:
        return None
    paths = [located(c, folder) for c in some]
    for name, kind in KINDS.items():
        if kind.cells == "files" and kind.claims(paths, {}) is not None and all(p.is_file() for p in paths):
            return name
    return None


def located(cell: str | Path, folder: Path) -> Path:
    """Return the file that a cell names, relative to the folder of the table."""
    return folder / Path(str(cell).strip()).expanduser()


# --- a table ----------------------------------------------------------------------------------------------------------
def frame_of(source: object, options: MultimodalOptions, but: str) -> tuple[Any, str, Kind, Any]:
    """Return a table in memory, the form it came in, the kind that reads it, and its row names.

    Raises:
        InputError: No kind reads it as a table.
    """
    import pandas as pd

    kind = surest(source, but)
    if kind is None:
        raise InputError(f"Several modalities come as a table or as a dictionary, but got a {type(source).__name__}.")
    opened = kind.read(source, kind.options.model_validate({}))
    try:
        parts = list(kind.parts(opened.data, None, 1_000_000))  # type: ignore[arg-type]  # rows as they came
    except SettingError as err:
        raise InputError(
            f"Several modalities are columns of a table, but {opened.origin} is read as {kind.name}. Give a table, or "
            "a dictionary with one entry for each modality."
        ) from err
    frame = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
    form = opened.form if opened.form in ("pandas", "table") else "pandas"
    return frame.set_axis([str(c) for c in frame.columns], axis=1).reset_index(drop=True), form, kind, opened.index


def of_table(source: object, options: MultimodalOptions, but: str, known: MultimodalDetails | None) -> Pieces:
    """Return the modalities of a table: columns of paths and of sentences one each, all others one together."""
    frame, form, kind, index = frame_of(source, options, but)
    path = sources.existing(source) if isinstance(source, str | Path) else None
    folder = Path() if path is None else path.parent
    origin = "the DataFrame" if path is None else repr(str(path))
    aside = {c: frame[c].to_numpy(dtype=object) for c in taken_out(options) if c in frame.columns}
    cells = _cells_of(frame, told(options.model_dump()), folder, known, origin)
    absent = [c for c in cells if c not in frame.columns]
    if absent and known is None:
        near = suggestion(absent[0], list(frame.columns))
        raise InputError(f"{origin} has no column {absent[0]!r}.{near} It has {', '.join(frame.columns[:20])}.")
    pieces = [_piece(name, frame[name], KINDS[k], folder, origin) for name, k in cells.items() if name in frame]
    ours = None if known is None else {c for m in known.modalities for c in m.columns}
    rest = [c for c in frame.columns if c not in cells and c not in aside and (ours is None or c in ours)]
    if rest:
        some = frame[rest]
        there = some.notna().any(axis=1).to_numpy()
        pieces.append(ModalPiece(kind.name, kind.name, some[there].reset_index(drop=True), there, tuple(rest)))
    return Pieces(tuple(pieces), len(frame), form, origin, tuple(frame.columns), kind.name, frame, index, aside)


def _cells_of(
    frame: Any, named: dict[str, str], folder: Path, known: MultimodalDetails | None, origin: str
) -> dict[str, str]:
    if known is not None:
        return {m.name: m.schema_.kind for m in known.modalities if m.columns == (m.name,) and m.name != known.table}
    for name, kind in named.items():
        if kind not in KINDS or not KINDS[kind].cells:
            can = ", ".join(n for n, k in KINDS.items() if k.cells)
            raise SettingError(f"A column of {origin} is one of {can}, but {name!r} was to be {kind!r}. Choose one.")
    found = {c: k for c in frame.columns if c not in named and (k := of_paths(frame[c].dropna(), folder)) is not None}
    return named | found


def _piece(name: str, column: Any, kind: Kind, folder: Path, origin: str) -> ModalPiece:
    there = np.array([_is_there(c) for c in column])
    cells = [str(c) for c, seen in zip(column, there, strict=True) if seen]
    if kind.cells == "values":
        return ModalPiece(name, kind.name, cells, there, (name,))
    paths = [located(c, folder) for c in cells]
    lost = next((i for i, p in enumerate(paths) if not p.is_file()), None)
    if lost is not None:
        row = int(np.flatnonzero(there)[lost])
        raise InputError(
            f"The column {name!r} of {origin} names files relative to {str(folder.resolve())!r}, but row {row} (from "
            f"0) names {cells[lost]!r}, which is not there. Put it back, or leave the cell empty."
        )
    return ModalPiece(name, kind.name, paths, there, (name,))


def _is_there(cell: Any) -> bool:
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return False
    return not (hasattr(cell, "__class__") and type(cell).__name__ == "NAType") and bool(str(cell).strip())


def taken_out(options: MultimodalOptions) -> list[str]:
    """Return the columns that are no modality: label, groups, time."""
    label = None if options.label is None else str(options.label)
    return [c for c in (label, options.groups, options.time) if c is not None]


# --- a dictionary -----------------------------------------------------------------------------------------------------
def of_views(
    views: Mapping[str, Any], options: MultimodalOptions, but: str, known: MultimodalDetails | None
) -> Pieces:
    """Return the modalities of a dictionary: one for each entry, with rows in the same order or with a key.

    Raises:
        InputError: The entries have different numbers of rows, and no key.
    """
    aside = {c: np.asarray(views[c], dtype=object) for c in taken_out(options) if c in views}
    wanted = [n for n in views if n not in aside] if known is None else [n for n in known.names if n in views]
    if not wanted:
        raise InputError(f"A dictionary of modalities has an entry for each, but got {', '.join(views) or 'none'}.")
    key = options.key_column or (None if known is None else known.key)
    named = told(options.model_dump())
    kept = {m.name: m.schema_.kind for m in known.modalities} if known is not None else named
    values = {n: views[n] for n in wanted}
    places, n_rows = _joined(values, key) if key is not None else _side_by_side({**values, **aside})
    pieces = []
    for name in wanted:
        value = values[name].drop(columns=key) if key is not None else values[name]
        if known is not None and not _seen(value).any():
            continue  # a model that knows the modality does without it
        piece = view(name, value, places[name], n_rows, kept.get(name, ""))
        pieces.append(piece if piece.kind else _recognised(piece, but))
    return Pieces(tuple(pieces), n_rows, "views", "the dictionary", aside=aside)


def _recognised(piece: ModalPiece, but: str) -> ModalPiece:
    kind = surest(piece.source, but)
    if kind is None:
        raise InputError(
            f"Each modality is of a known kind, but {piece.name!r} is a {type(piece.source).__name__} that none "
            f"claims. Name it: modalities.{piece.name}=array."
        )
    return ModalPiece(piece.name, kind.name, piece.source, piece.there, piece.columns)


def _side_by_side(values: Mapping[str, Any]) -> tuple[dict[str, Array], int]:
    counts = {name: len(v) for name, v in values.items()}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name} {n}" for name, n in counts.items())
        raise InputError(
            f"Views are of the same rows, but they have {said} of them. Give as many, with None or NaN for what a row "
            "lacks, or frames with a key: key_column=..."
        )
    n = next(iter(counts.values()))
    return dict.fromkeys(values, np.arange(n)), n


def _joined(values: Mapping[str, Any], key: str) -> tuple[dict[str, Array], int]:
    """Return where the rows of each frame go; keys are in the order in which they are first met."""
    import pandas as pd

    for name, frame in values.items():
        if not sources.is_frame(frame) or key not in frame.columns:
            raise InputError(f"With key_column={key!r} every view is a frame that has it, but {name!r} is none.")
        if frame[key].duplicated().any():
            raise InputError(f"A key names one row, but {name!r} has {key!r} twice. Drop the doubles.")
    every = pd.unique(np.concatenate([frame[key].to_numpy(dtype=object) for frame in values.values()]))
    where = {k: i for i, k in enumerate(every)}
    return {name: np.array([where[k] for k in frame[key]], np.int64) for name, frame in values.items()}, len(every)


def view(name: str, value: Any, places: Array, n_rows: int, kind: str) -> ModalPiece:
    """Return one modality of a dictionary; rows that are None or NaN throughout lack it."""
    seen = _seen(value)
    if sources.is_frame(value):
        source: Any = value[seen].reset_index(drop=True)
    elif isinstance(value, list | tuple):
        source = [v for v in value if v is not None]
        source = source if _plain(source) or not source else np.stack([np.asarray(v) for v in source])
    else:
        source = np.asarray(value)[seen]
    there = np.zeros(n_rows, dtype=bool)
    there[places[seen]] = True
    if not seen.any():
        raise InputError(f"A modality is there in some rows, but {name!r} is missing in all of them. Leave it out.")
    order = np.argsort(places[seen], kind="stable")
    if not (order == np.arange(len(order))).all():
        source = _ordered(source, order)
    return ModalPiece(name, kind, source, there)


def _seen(value: Any) -> Array:
    """Return which rows of a view are there: not None, or NaN throughout."""
    if sources.is_frame(value):
        return np.asarray(value.notna().any(axis=1))
    if isinstance(value, list | tuple):
        return np.array([v is not None for v in value], dtype=bool)
    array = np.asarray(value)
    flat = array.reshape(len(array), -1)
    return ~np.isnan(flat).all(1) if array.dtype.kind == "f" and flat.shape[1] else np.ones(len(array), bool)


def _plain(values: Sequence[Any]) -> bool:
    return all(isinstance(v, str | Path) for v in values)


def _ordered(source: Any, order: Array) -> Any:
    if sources.is_frame(source):
        return source.iloc[order].reset_index(drop=True)
    return [source[i] for i in order] if isinstance(source, list) else source[order]
