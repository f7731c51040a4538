"""Sequences of different lengths in one array: where each row ends, and what fills the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from senzai.core.batch import Data
from senzai.core.errors import InputError
from senzai.core.later import is_tensor, torch

from .kind import Opened
from .rows import Array

WAY = "Give whole numbers from 1 to the number of steps, one for each row."


def with_ends(opened: Opened) -> Opened:
    """Return sequences ``(N, T, d)`` with the length of each row, and nothing but seen values behind its end.

    Lengths are those that came with the data (the array ``lengths`` of an .npz file), else steps at the end of a row
    that are NaN throughout are padding. The rest is filled with copies of the row's first step, so that it does not
    change what the values look like.

    Raises:
        InputError: A length is none, or a row has no step at all.

    Example:
        >>> x = np.array([[[1.0], [2.0]], [[3.0], [np.nan]]])
        >>> found = with_ends(Opened(data=x, n_rows=2, dtype="float64"))
        >>> found.lengths.tolist(), found.data[1].ravel().tolist()
        ([2, 1], [3.0, 3.0])
    """
    x: Array = opened.data
    if not isinstance(x, np.ndarray) or x.ndim != 3 or isinstance(x, np.memmap):
        return replace(opened, lengths=None)
    said = opened.lengths is not None
    lengths = _given(opened.lengths, x) if said else _padded(x)
    if lengths is None or (not said and bool((lengths == x.shape[1]).all())):
        return replace(opened, lengths=None)
    if int(lengths.min()) < 1:
        row = int(np.argmin(lengths))
        raise InputError(f"Each sequence needs a step, but row {row} of {opened.origin} has none. Drop such rows.")
    behind = np.arange(x.shape[1]) >= lengths[:, None]
    filled = np.where(behind[:, :, None], x[:, :1], x)
    how = "as the array 'lengths' says" if said else "what follows is NaN"
    note = f"Rows are sequences of {int(lengths.min())} to {int(lengths.max())} steps ({how}); padding counts nothing."
    return replace(
        opened, data=filled, lengths=lengths, notes=(*opened.notes, note), facts={**opened.facts, "sequences": True}
    )


def _given(lengths: Any, x: Array) -> Array:
    found = np.asarray(lengths).reshape(-1)
    whole = found.dtype.kind in "iu" or (found.dtype.kind == "f" and bool((found == np.rint(found)).all()))
    if len(found) != len(x) or not whole:
        raise InputError(f"There must be a length for each of {len(x)} rows, but got {found[:3]} ... {WAY}")
    if len(found) and (found.min() < 1 or found.max() > x.shape[1]):
        raise InputError(f"Lengths go from 1 to {x.shape[1]}, but got {found.min()} to {found.max()}. {WAY}")
    return found.astype(np.int64)


def _padded(x: Array) -> Array | None:
    if x.dtype.kind != "f" or not bool(np.isnan(x[:, -1]).any()):
        return None
    seen: Array = np.logical_not(np.isnan(x).all(axis=2))
    last = x.shape[1] - np.argmax(seen[:, ::-1], axis=1)
    return np.where(seen.any(axis=1), last, 0).astype(np.int64)


def ended(back: Any, lengths: Data | None) -> Any:
    """Return decoded sequences with NaN behind the end of each row, zero where values are whole numbers.

    Example:
        >>> ended(np.ones((1, 3, 1)), torch.tensor([2])).ravel().tolist()
        [1.0, 1.0, nan]
    """
    if lengths is None or isinstance(lengths, dict):
        return back
    if not hasattr(back, "shape") or len(back.shape) != 3 or len(back) != len(lengths):
        return back
    behind = (torch.arange(back.shape[1]) >= lengths.unsqueeze(1)).unsqueeze(-1)
    if is_tensor(back):
        return torch.where(behind, torch.nan if back.is_floating_point() else 0, back).to(back.dtype)
    fill = np.nan if back.dtype.kind == "f" else 0
    return np.where(behind.numpy(), np.array(fill, dtype=back.dtype), back)
