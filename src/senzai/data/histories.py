"""What a model that recommends is judged by: of each row, the items it is shown and the items it is to find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from senzai.core.later import Tensor

from .rows import Array
from .schema import Schema
from .sparse import Sparse

FOLD_IN = 0.8
"""Share of the items of a row that is shown, where nobody sets another."""

_GOLDEN, _FIRST, _SECOND = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


class Newcomers(NamedTuple):
    """Items that the model does not have: their names, what it is given of them ``(n, width)``, what to say of them."""

    names: tuple[Any, ...]
    facts: Tensor
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Histories:
    """Items of some rows, those that are shown apart from those that are to be found.

    Args:
        seen: What the model is shown of each row.
        held: What it is to find; never shown.
        judged: Numbers of the rows that have both, among those asked for; ``seen`` and ``held`` are of these.
        how: How items were held out, in words.
    """

    seen: Sparse
    held: Sparse
    judged: Array
    how: str


def items_of(schema: Schema) -> tuple[str | int, ...] | None:
    """Return the names of the items that rows are sets of; ``None`` where rows are something else.

    Any kind whose rows have one axis named ``item``, and names for it, has items.

    Example:
        >>> from senzai.data.schema import Axis, Field
        >>> field = Field(axes=(Axis(name="item", size=2),), support="binary", n_levels=2)
        >>> items_of(Schema(kind="shop", fields={"x": field}, dtype="str", columns=("tea", "milk"), n_rows=1))
        ('tea', 'milk')
    """
    if len(schema.fields) != 1 or [a.name for a in schema.field.axes] != ["item"]:
        return None
    return schema.columns


def mixed(x: Array) -> Array:
    """Return well-mixed 64-bit numbers, the same on every machine (the finaliser of SplitMix64)."""
    with np.errstate(over="ignore"):
        x = x.astype(np.uint64) + _GOLDEN
        x = (x ^ (x >> np.uint64(30))) * _FIRST
        x = (x ^ (x >> np.uint64(27))) * _SECOND
        found: Array = x ^ (x >> np.uint64(31))
        return found


def shuffled(matrix: Sparse, seed: int) -> tuple[Array, Array]:
    """Return a place of each entry in a random order of its row, from 0, and how many entries its row has.

    The order follows from the seed and from what is in the row, not from where the row stands.
    """
    row, item = matrix.row, np.asarray(matrix.indices)
    with np.errstate(over="ignore"):
        each = mixed(item.astype(np.uint64) ^ mixed(np.array([seed], np.uint64)))
        whole = np.zeros(matrix.n_rows, np.uint64)
        np.add.at(whole, row, each)
        key = mixed(each ^ whole[row])
    order = np.lexsort((key, row))
    place = np.empty(len(row), np.int64)
    place[order] = np.arange(len(row)) - np.repeat(np.cumsum(matrix.counts) - matrix.counts, matrix.counts)
    return place, matrix.counts[row]


def folded(matrix: Sparse, share: float, seed: int) -> Array:
    """Return which entries are shown of rows that are held out: about this share of each, and never all of a row.

    Of a row with one item, it is shown, and there is nothing to find.

    Example:
        >>> rows = Sparse.of(np.zeros(5, int), np.arange(5), shape=(1, 9))
        >>> int(folded(rows, 0.8, seed=0).sum())
        4
    """
    place, n = shuffled(matrix, seed)
    hidden = np.where(n > 1, np.maximum(1, np.floor((1 - share) * n + 1e-9)), 0)
    return place >= hidden


def histories_of(matrix: Sparse, shown: Array, how: str) -> Histories | None:
    """Return rows of which some entries are shown and the others to be found; ``None`` where no row has both."""
    return judged_of(matrix.where(shown), matrix.where(~shown), how)


def judged_of(seen: Sparse, held: Sparse, how: str) -> Histories | None:
    """Return the rows that have items of both sorts."""
    judged = np.flatnonzero((seen.counts > 0) & (held.counts > 0))
    return Histories(seen.rows_of(judged), held.rows_of(judged), judged, how) if len(judged) else None
