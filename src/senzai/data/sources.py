"""From whatever a user hands over (a path, an array, a tensor, a DataFrame, a list, a pair) to one array."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from senzai.core.errors import InputError
from senzai.core.files import user_path
from senzai.core.later import is_tensor, torch
from senzai.core.registry import Registry

from . import idx, readers
from .frames import from_frame
from .kind import Opened
from .labels import as_labels
from .limits import need_regular
from .masks import filled, need_dense, plain, stacked
from .options import Options
from .quantities import need_known, numbers_of
from .readers import Raw
from .rows import Array
from .schema import Form, Schema
from .split import marked

BUILT_IN: Registry[Any] = Registry("built-in data set")
"""Functions without arguments that return :class:`Raw`, by the name that :func:`open_data` understands."""


@dataclass(frozen=True, slots=True)
class Header:
    """Shape and dtype of an array that was not read."""

    shape: tuple[int, ...]
    dtype: str
    sequences: bool = False


def is_frame(source: object) -> bool:
    """Whether a source is a DataFrame, without importing pandas for those who have none."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(source, pandas.DataFrame)


def is_series(source: object) -> bool:
    """Whether a source is a pandas Series: one value a row."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(source, pandas.Series)


def is_built_in(source: object) -> bool:
    """Whether a source is the name of a built-in data set and of no file."""
    return isinstance(source, str) and source in BUILT_IN and not Path(source).exists()


def is_at_hand(source: str) -> bool:
    """Whether data can be read again by what a run keeps of them: a path, a built-in name, or an address.

    Example:
        >>> is_at_hand("digits"), is_at_hand("sqlite:///shop.db"), is_at_hand("a DataFrame in memory")
        (True, True, False)
    """
    return "://" in source or source in BUILT_IN or Path(source).exists()


def is_pair(source: object) -> TypeGuard[tuple[Any, Any]]:
    """Whether a source is ``(X, y)``: many-dimensional data and one label per row."""
    if not isinstance(source, tuple) or len(source) != 2:
        return False
    x, y = source
    if isinstance(x, str | Path):
        return y is None or not isinstance(y, str | Path)
    rank_x, rank_y = _rank(x), _rank(y)
    return rank_x >= 2 and (y is None or rank_y == 1 or (rank_y == 2 and rank_x != 2) or _column(y))


def _rank(value: object) -> int:
    return len(_shape(value))


def _column(value: object) -> bool:
    return _rank(value) == 2 and _shape(value)[1] == 1


def _shape(value: object) -> tuple[int, ...]:
    shape = getattr(value, "shape", None)
    if shape is not None:
        return tuple(int(n) for n in shape)
    if isinstance(value, list | tuple):
        return (len(value), *(_shape(value[0]) if len(value) else ()))
    return ()


def existing(source: object) -> Path | None:
    """Return the path of a source that names a file or folder; ``None`` for data in memory.

    Raises:
        InputError: There is no such file (near names are suggested), or it is a pipe, a device or a socket.
    """
    if not isinstance(source, str | Path) or is_built_in(source) or "://" in str(source):
        return None
    path = user_path(source)
    if path.exists():
        return path if path.is_dir() else need_regular(path)
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, [*beside, *BUILT_IN], n=3)
    hint = f"Did you mean {' or '.join(repr(n) for n in near)}?" if near else "Check the path."
    raise InputError(f"Data are a file or a folder that exists, but there is no {str(path)!r}. {hint}")


def header(source: object, options: Mapping[str, Any]) -> Header | None:
    """Return shape and dtype of a source of numbers without reading its values; ``None`` where it is none."""
    if is_built_in(source):
        source = BUILT_IN[str(source)]().x
    path = existing(source)
    if path is not None:
        path = idx.images_in(path) if path.is_dir() else path
        if path is None or not readers.is_array_file(path):
            return None
        found = readers.header(path, options.get("key"))
        sequences = readers.says_lengths(path, options.get("key"))
        return Header(*found, sequences) if found else Header((-1, -1), "float64")
    if is_pair(source):
        return header(source[0], options)
    need_dense(source, f"the {type(source).__name__}")
    if isinstance(source, np.ndarray) or is_tensor(source) or is_frame(source):
        return Header(_shape(source), str(getattr(source, "dtype", "float64")).removeprefix("torch."))
    if isinstance(source, list | tuple) and source and not isinstance(source[0], str | Path | Mapping):
        return Header(_shape(source), "" if isinstance(source[0], list | tuple) else np.asarray(source[0]).dtype.name)
    return _dataset_header(source)


def _is_dataset(source: object) -> bool:
    has = all(callable(getattr(type(source), name, None)) for name in ("__len__", "__getitem__"))
    return has and not is_series(source) and not isinstance(source, str | bytes | list | tuple | Mapping | Path)


def _dataset_header(source: Any) -> Header | None:
    if not _is_dataset(source) or not len(source):
        return None
    item = source[0]
    if type(item) is type(source):  # a table of its own sort, of which one row is a table again
        return None
    x = np.asarray(_item(item)[0])
    return Header((len(source), *x.shape), x.dtype.name)


def _item(item: Any) -> tuple[Any, Any]:
    return (item[0], item[1]) if isinstance(item, tuple | list) and len(item) == 2 else (item, None)


def read_arrays(source: object, options: Options, schema: Schema | None) -> Opened:
    """Read any source of numbers to an array with rows first."""
    split = options.split if schema is None else schema.split
    asked = options if schema is None else options.model_copy(update=dict.fromkeys(("groups", "time")))
    if schema is not None and split.column is not None:
        asked = asked.model_copy(update={"groups" if split.by == "groups" else "time": split.column})
    if schema is not None and schema.quantities and hasattr(asked, "concepts"):
        asked = asked.model_copy(update={"concepts": tuple(q.name for q in schema.quantities)})
    raw, origin = _raw(source, asked, strict=schema is None)
    if is_frame(raw.x):
        return from_frame(raw, options, schema, origin=origin)
    form: Form = "torch" if is_tensor(raw.x) else "numpy"
    x, dtype = plain(raw.x, origin)
    x, notes = filled(x, origin, missing=options.missing)
    labels = None if raw.y is None else as_labels(raw.y)
    if options.label is not None and labels is None and schema is None:
        raise InputError(
            f"The option label={options.label!r} names an array of an .npz file or a column of a table, but {origin} "
            "has neither. Give the labels as (X, y)."
        )
    names = getattr(options, "concepts", ()) if schema is None else [q.name for q in schema.quantities]
    told = told_of(raw.marks, names if schema is None or set(names) <= set(raw.marks) else (), origin)
    opened = Opened(
        data=x, n_rows=len(x) if x.ndim else 0, dtype=dtype, form=form, origin=origin,
        labels=labels, label_name=raw.label_name, label_asked=raw.label_asked, notes=(*raw.notes, *notes),
        lengths=raw.lengths, facts={"missing": "keep"} if notes else {}, numbers=told,
        **marked(raw.marks, split, origin, len(x) if x.ndim else 0),
    )
    return refuse_no_array(opened)


def told_of(marks: Mapping[str, Any], names: Sequence[str], origin: str) -> dict[str, Array]:
    """Return the numbers of rows that were asked for, by name.

    Raises:
        SettingError: There are none of that name.
    """
    numeric = [k for k, v in marks.items() if np.asarray(v).dtype.kind in "iufb"]
    if not numeric:  # kinds that know such numbers say that there are none
        return {}
    need_known(names, numeric, origin)
    return {name: numbers_of(np.asarray(marks[name]).tolist(), name, origin) for name in names}


def _raw(source: object, options: Options, *, strict: bool) -> tuple[Raw, str]:
    if is_built_in(source):
        origin = f"the built-in data set {source!r}"
        return _labelled(BUILT_IN[str(source)](), options.label, origin), origin
    path = existing(source)
    if path is not None:
        file = idx.images_in(path) if path.is_dir() else path
        raw = readers.read_file(file or path, options, strict=strict)
        note = (f"Of the folder, {file.name!r} was read.",) if file and path.is_dir() else ()
        return replace(raw, notes=(*note, *raw.notes)), repr(str(path))
    if is_pair(source):
        raw, origin = _raw(source[0], options, strict=strict)
        y = source[1]
        return replace(raw, y=y, label_asked=True, label_name=str(getattr(y, "name", None) or "label")), origin
    if isinstance(source, list | tuple):
        return Raw(x=_stack(source)), "the list"
    if isinstance(source, np.ndarray) or is_tensor(source) or is_frame(source):
        return Raw(x=source), f"the {type(source).__name__}"
    return _from_dataset(source), f"the {type(source).__name__}"


def _labelled(raw: Raw, label: str | int | None, origin: str) -> Raw:
    """Return built-in data with the label that was asked for, if they have several."""
    if label is None or not raw.marks or label == raw.label_name:
        return raw
    if label not in raw.marks:
        raise InputError(
            f"The option label={label!r} names what rows are known by, but {origin} knows {', '.join(raw.marks)}. "
            "Choose one of them."
        )
    return replace(raw, y=raw.marks[str(label)], label_name=str(label))


def _stack(items: Any) -> Any:
    if any(is_tensor(v) for v in items):
        shapes = {tuple(v.shape) for v in items}
        if len(shapes) == 1:
            return torch.stack(list(items))
        raise _ragged(shapes)
    try:
        return stacked(items)
    except ValueError as err:
        raise _ragged({_shape(v) for v in items}) from err


def _ragged(shapes: set[tuple[int, ...]]) -> InputError:
    some = ", ".join(str(s) for s in sorted(shapes)[:3])
    return InputError(
        f"All rows must have the same shape, but a list came with the shapes {some}. Cut or pad them to one shape."
    )


def _from_dataset(source: Any) -> Raw:
    if not _is_dataset(source):
        raise InputError(
            f"Data are a path, an array, a tensor, a DataFrame, a list or (X, y), but got {type(source).__name__}. "
            "Convert it to an array first."
        )
    items = [_item(source[i]) for i in range(len(source))]
    tensors = bool(items) and is_tensor(items[0][0])
    x = _stack([v if tensors else np.asanyarray(v) for v, _ in items])
    labelled = bool(items) and all(label is not None for _, label in items)
    notes = ("The data set was read row by row into memory.",)
    return Raw(x=x, y=[_number(label) for _, label in items] if labelled else None, notes=notes)


def _number(label: Any) -> Any:
    return label.item() if callable(getattr(label, "item", None)) else label


def refuse_no_array(opened: Opened) -> Opened:
    """Refuse what is not an array of numbers with rows first and at least one feature."""
    x: Array = opened.data
    what = f"{opened.origin} has the shape {x.shape} and the dtype {x.dtype}"
    if x.dtype.kind not in "biuf":
        why = "text or Python objects" if x.dtype.kind in "OUS" else f"values of the type {x.dtype}"
        raise InputError(f"Data must be real numbers, but {what}: {why}. Convert each row to numbers first.")
    if x.ndim < 2:
        way = "x[:, None] if each number is a row, or x[None] if all of them are one row"
        raise InputError(f"Data need rows and features, but {what}. Give {way}.")
    if 0 in x.shape:
        raise InputError(f"Data need at least one row and one feature, but {what}. Check how they were made.")
    if opened.labels is not None and len(opened.labels) != len(x):
        raise InputError(
            f"There must be one label per row, but {opened.origin} has {len(x)} rows and {len(opened.labels)} labels. "
            "Give labels for the same rows."
        )
    return opened
