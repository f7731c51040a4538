"""Rows by what is not zero in them, for work that costs what is there and not what could be there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .later import Tensor, torch

DENSITY = 0.05
"""Share of entries that are not zero up to which rows are worth being taken by them."""


@dataclass(frozen=True)
class Entries:
    """Rows by what is not zero, ascending, with further inputs that all rows have.

    Args:
        row: Row of each entry.
        column: Its column.
        value: What stands there.
        n_rows: Rows.
        n_columns: Columns.
        rest: Inputs behind the columns, ``(n_rows, n)``; ``None`` for none.
    """

    row: Tensor
    column: Tensor
    value: Tensor
    n_rows: int
    n_columns: int
    rest: Tensor | None = None

    def summed(self, value: Tensor) -> Tensor:
        """Return the sum of numbers of the entries in each row, ``(n_rows,)``."""
        return torch.zeros(self.n_rows, dtype=value.dtype, device=value.device).index_add(0, self.row, value)


def entries_of(x: Tensor) -> Entries | None:
    """Return rows ``(B, n)`` by what is not zero; ``None`` where that is much, or may not be looked for.

    Example:
        >>> x = torch.zeros(2, 30)
        >>> x[1, 7] = 3.0
        >>> found = entries_of(x)
        >>> found.row.tolist(), found.column.tolist(), found.value.tolist()
        ([1], [7], [3.0])
    """
    traced = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active() or x.requires_grad
    if traced or x.ndim != 2:
        return None
    at = places_of(x)
    if len(at) > DENSITY * x.numel():
        return None
    row, column = at // x.shape[1], at % x.shape[1]
    return Entries(row, column, _real(x.reshape(-1)[at]), len(x), x.shape[1])


def places_of(x: Tensor) -> Tensor:
    """Return where a tensor, laid out flat, is not zero; of small numbers eight bytes are looked at together.

    Example:
        >>> places_of(torch.tensor([[0, 5], [0, 1]], dtype=torch.uint8)).tolist()
        [1, 3]
    """
    flat = x.reshape(-1)
    each = 8 // x.element_size()
    if each == 1 or len(flat) % each or not flat.is_contiguous() or flat.storage_offset() % each:
        return flat.nonzero().squeeze(1)
    words = flat.view(torch.int64)
    there = torch.from_numpy(np.flatnonzero(words.numpy())) if x.device.type == "cpu" else words.nonzero().squeeze(1)
    at = (there.unsqueeze(1) * each + torch.arange(each, device=x.device)).reshape(-1)
    return at[flat[at] != 0]


def _real(x: Tensor) -> Tensor:
    return x if x.is_floating_point() else x.to(torch.get_default_dtype())
