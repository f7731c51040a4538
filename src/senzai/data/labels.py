"""Labels: the user's class values to class numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.later import is_tensor, torch

from .masks import unmasked_labels
from .rows import Array, Targets
from .schema import ClassName, Label

MAX_CLASSES = 10_000
LAST_CHARACTER = 0x10FFFF


def as_labels(y: Any) -> Array:
    """Return one label per row as a one-dimensional array (a column vector is flattened).

    Example:
        >>> as_labels([[1], [2]]).tolist()
        [1, 2]
    """
    if is_tensor(y):
        y = y.detach().cpu().numpy()
    values = np.asarray(unmasked_labels(y))
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise InputError(
            f"Labels must be one class per row, but got the shape {values.shape}. "
            "For one-hot labels, give y.argmax(axis=1)."
        )
    if values.dtype.kind == "U" and values.size:
        _refuse_no_characters(values)
    return values


def _refuse_no_characters(values: Array) -> None:
    """Refuse text of a damaged file that contains invalid characters, from which Python would make broken strings."""
    codes = np.ascontiguousarray(values).view(np.dtype(np.uint32).newbyteorder(values.dtype.byteorder))
    bad = (codes > LAST_CHARACTER) | ((codes >= 0xD800) & (codes < 0xE000))
    if bad.any():
        row = int(np.flatnonzero(bad.reshape(len(values), -1).any(axis=1))[0])
        raise InputError(f"Labels must be numbers or text, but row {row} (from 0) has no characters. Read them again.")


def make_label(y: Array, name: str, unlabelled: str | int = "auto") -> Label:
    """Find the classes, in ascending order; NaN, None and empty text are rows without a label.

    Args:
        y: Labels as the user gave them.
        name: What they are called.
        unlabelled: A value that also means "no label"; "auto" takes -1 for one where the other classes are the numbers
            0, 1, 2, ..., "never" takes every value for a class.

    Raises:
        InputError: The labels are no classes (fractions, or far too many).

    Example:
        >>> make_label(np.array(["b", "a", None], dtype=object), "species").classes
        ('a', 'b')
        >>> make_label(np.array([0, -1, 1, -1]), "species").classes
        (0, 1)
    """
    names = [_plain(v) for v in y[_known(y)].tolist()]
    names = [v for v in names if str(v) != str(unlabelled)] if unlabelled not in ("auto", "never") else names
    if any(isinstance(v, float) for v in names):
        bad = next(v for v in names if isinstance(v, float))
        raise InputError(f"Labels must be classes, but {name!r} has {bad!r}. Bin the numbers, or leave the label out.")
    distinct = set(names)
    if unlabelled == "auto" and -1 in distinct and distinct - {-1} == set(range(len(distinct) - 1)) != set():
        distinct -= {-1}
    if len({isinstance(v, str) for v in distinct}) > 1:
        distinct = {str(v) for v in distinct}
    if not 0 < len(distinct) <= MAX_CLASSES:
        raise InputError(
            f"Labels need between 1 and {MAX_CLASSES} classes, but {name!r} has {len(distinct)}. Leave the label out."
        )
    return Label(name=name, classes=tuple(sorted(distinct)))


def encode_labels(y: Array | None, label: Label | None) -> Targets:
    """Turn the user's labels into class numbers; a class that the schema does not have is not known.

    Example:
        >>> t = encode_labels(np.array(["b", "x"]), Label(name="species", classes=("a", "b")))
        >>> t.y, t.known
        (tensor([1, 0]), tensor([ True, False]))
    """
    if y is None or label is None:
        return Targets()
    number: dict[ClassName, int] = {c: i for i, c in enumerate(label.classes)}
    text = any(isinstance(c, str) for c in label.classes)
    known = _known(y)
    codes = np.full(len(y), -1, dtype=np.int64)
    values, back = np.unique(y[known].astype(str) if text else y[known], return_inverse=True)
    codes[known] = np.array([number.get(_plain(v), -1) for v in values.tolist()], dtype=np.int64)[back]
    seen = codes >= 0
    return Targets(torch.from_numpy(np.where(seen, codes, 0)), None if seen.all() else torch.from_numpy(seen))


def _known(y: Array) -> Array:
    if y.dtype.kind == "f":
        return ~np.isnan(y)
    if y.dtype.kind == "O":
        return np.array([not _is_missing(v) for v in y], dtype=bool)
    if y.dtype.kind in "US":
        return np.asarray(np.char.strip(y) != y.dtype.type())
    return np.ones(len(y), dtype=bool)


def _is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN, pandas' NA and NaT, empty text."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return not value.strip() if isinstance(value, str) else bool(value != value)


def _plain(value: Any) -> ClassName:
    """Return a class as plain Python, whole floats as integers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, bool | int | float | str) else str(value)
