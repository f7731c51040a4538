"""New identifiers: none is that of a row of the data, none comes twice, and all are written as those of the data."""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.runtime.identifiers import CLASSES
from senzai.runtime.identifiers import new_texts as new_texts

from ..dtypes import dtype_of
from .column import Column

ROOM = 10
"""A dtype must have room for so many times as many new numbers as there are rows, for a number to be an identifier."""


@dataclass
class IdentifierForm:
    """What texts look like.

    Args:
        first: The first one in the order of the alphabet.
        last: The last one.
        backwards: The first and the last one of those read from their end.
        greatest: The last one of the longest.
        letters: All characters.
    """

    first: str | None = None
    last: str = ""
    backwards: tuple[str, str] | None = None
    greatest: str = ""
    letters: set[str] = field(default_factory=set)

    def see(self, texts: Any) -> None:
        """Look at some texts, a Series without missing entries."""
        cells = texts.tolist()
        first, last = min(cells), max(cells)
        self.first, self.last = min(first, self.first if self.first is not None else first), max(last, self.last)
        turned = [c[::-1] for c in cells]
        ends = [min(turned), max(turned), *(self.backwards or ())]
        self.backwards = min(ends), max(ends)
        self.greatest = max([self.greatest, *cells], key=lambda c: (len(c), c))
        self.letters.update(*cells)

    @property
    def begins(self) -> str:
        """What all of them begin with, up to the first digit."""
        return _common(self.first or "", self.last)

    @property
    def ends(self) -> str:
        """What all of them end with, from the last digit on."""
        a, b = self.backwards or ("", "")
        rest = len(self.greatest) - len(self.begins)
        return _common(a, b)[: max(0, rest)][::-1]

    def fields(self) -> dict[str, Any]:
        """Return what :class:`Column` keeps of it."""
        return {"greatest": self.greatest, "begins": self.begins, "ends": self.ends,
                "alphabet": "".join(sorted(c for c in self.letters if any(c in k for k in CLASSES)))}


def _common(a: str, b: str) -> str:
    n = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[:n].rstrip(string.digits)


def has_room(dtype: str, low: int, high: int, n: int) -> bool:
    """Whether a dtype holds enough whole numbers beyond those of the data."""
    return _above(dtype, high) + _below(dtype, low) >= ROOM * n


def _bounds(dtype: str) -> tuple[int, int] | None:
    kind = dtype_of(dtype)
    plain = getattr(kind, "numpy_dtype", getattr(kind, "subtype", kind))
    return None if plain.kind not in "iu" else (int(np.iinfo(plain).min), int(np.iinfo(plain).max))


def _above(dtype: str, high: int) -> int:
    bounds = _bounds(dtype)
    return 2**63 if bounds is None else bounds[1] - high


def _below(dtype: str, low: int) -> int:
    bounds = _bounds(dtype)
    return 2**63 if bounds is None else low - bounds[0]


def new_numbers(column: Column, n: int, start: int = 0) -> list[int]:
    """Return the ``n`` whole numbers behind ``start`` new ones: above the greatest, and then below the least.

    Raises:
        InputError: The dtype has no room for so many.

    Example:
        >>> new_numbers(Column(name="id", type="identifier", dtype="int64", low=3, high=9, step=2), 3)
        [11, 13, 15]
    """
    low, high, step = int(column.low or 0), int(column.high or 0), column.step
    above, below = _above(column.dtype, high) // step, _below(column.dtype, low) // step
    if start + n > above + below:
        raise InputError(
            f"New identifiers are different from all others, but the column {column.name!r} ({column.dtype}) has room "
            f"for {above + below} beyond those of the data, and {start + n} are wanted. Ask for fewer rows, or leave "
            f"it out with schema.{column.name}=drop."
        )
    return [high + step * k if k <= above else low - step * (k - above) for k in range(start + 1, start + n + 1)]
