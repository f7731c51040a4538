"""Converts tensors and masked arrays to plain arrays; entries under a mask are missing."""

from __future__ import annotations

from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.later import is_tensor, torch

from .facts import refuse_unusable
from .rows import Array


def plain(x: Any, origin: str) -> tuple[Array, str]:
    """Return an array, its mask with it, and the user's name of its dtype.

    Raises:
        InputError: It is sparse, or in another way no dense array of numbers.

    Example:
        >>> import torch
        >>> plain(torch.zeros(2, dtype=torch.bfloat16), "x")
        (array([0., 0.], dtype=float32), 'bfloat16')
    """
    need_dense(x, origin)
    if not is_tensor(x):
        found: Array = np.asanyarray(x)
        return found, found.dtype.name
    dense = x.detach().cpu()
    dense = dense.float() if dense.dtype == torch.bfloat16 else dense
    return dense.numpy(), str(x.dtype).removeprefix("torch.")


def need_dense(x: object, origin: str) -> None:
    """Refuse sparse and nested arrays, which numpy cannot hold.

    Raises:
        InputError: It is one.
    """
    if is_tensor(x):
        loose = x.is_nested or x.layout != torch.strided or x.is_quantized
        way = "a padded tensor" if x.is_nested else "x.dequantize()" if x.is_quantized else "x.to_dense()"
    else:
        loose, way = callable(getattr(x, "toarray", None)) and hasattr(x, "nnz"), "x.toarray()"
    if loose:
        raise InputError(f"Data must be a dense array, but {origin} is sparse, nested or quantised. Give {way}.")


def filled(x: Any, origin: str, *, missing: str = "error") -> tuple[Any, tuple[str, ...]]:
    """Return an array without a mask, NaN where it was masked, and a sentence where anything was.

    Whole numbers become 64-bit floats to hold the NaN; :class:`Opened` keeps the user's dtype for the way back.

    Args:
        x: An array; anything else is returned as it is.
        origin: What it is called.
        missing: "keep" lets NaN pass that is not under the mask.

    Raises:
        InputError: Something that is not under the mask is not finite: the mask does not cover it.

    Example:
        >>> filled(np.ma.masked_array([[1, 2]], mask=[[False, True]]), "x")[0]
        array([[ 1., nan]])
    """
    if not isinstance(x, np.ma.MaskedArray):
        return x, ()
    mask, data = np.ma.getmaskarray(x), np.asarray(x.data)
    if data.dtype.kind not in "biuf" or not mask.any():
        return data, ()
    wide: Array = data.astype(data.dtype if data.dtype.kind == "f" else np.float64)
    refuse_unusable(np.where(mask, 0, wide), missing=missing)
    wide[mask] = np.nan
    n = int(mask.sum())
    return wide, (f"{n:,} {'entry' if n == 1 else 'entries'} of {origin} {'is' if n == 1 else 'are'} under its mask.",)


def unmasked_labels(y: Any) -> Any:
    """Return labels without a mask, ``None`` where they were masked."""
    if not isinstance(y, np.ma.MaskedArray) or not np.ma.getmaskarray(y).any():
        return y
    found = np.asarray(y.data).astype(object)
    found[np.ma.getmaskarray(y)] = None
    return found


def stacked(items: Any) -> Array:
    """Return rows as one array, with their masks where any has one.

    Example:
        >>> stacked([np.ma.masked_array([1.0, 2.0], mask=[0, 1]), np.ones(2)]).mask.tolist()
        [[False, True], [False, False]]
    """
    if any(isinstance(v, np.ma.MaskedArray) for v in items):
        return np.ma.stack(list(items))
    return np.asarray(items)
