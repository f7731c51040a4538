"""Rows of data in model values, wherever they are: in memory, in a mapped file, or in image files read when asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from senzai.core.batch import Batch
from senzai.core.later import Tensor, torch

Array: TypeAlias = NDArray[Any]
Encode: TypeAlias = Callable[[Array], tuple[Tensor, Tensor | None]]
"""User's values, rows first, to the model's values and their mask (``None`` where everything was observed)."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Labels of all rows as class numbers, and where they are known (``None``: everywhere).

    With ``n_classes`` above 0 the label is also the condition: its one-hot code, zeros where it is not known. A
    condition of another sort is given as ``c``, ``(N, n_condition)``.
    """

    y: Tensor | None = None
    known: Tensor | None = None
    n_classes: int = 0
    c: Tensor | None = None

    def at(self, index: Tensor) -> dict[str, Tensor | None]:
        """Return the fields of a batch for some rows."""
        y = None if self.y is None else self.y[index]
        known = None if self.known is None else self.known[index]
        c = one_hot(y, known, self.n_classes) if self.c is None else self.c[index]
        return {"y": y, "y_known": known, "c": c}


def one_hot(y: Tensor | None, known: Tensor | None, n: int) -> Tensor | None:
    """Return class numbers as one-hot rows, zeros where they are not known; ``None`` without classes.

    Example:
        >>> one_hot(torch.tensor([1, 0]), torch.tensor([True, False]), 2)
        tensor([[0., 1.],
                [0., 0.]])
    """
    if y is None or not n:
        return None
    code = torch.nn.functional.one_hot(y, n).to(torch.float32)
    return code if known is None else code * known.unsqueeze(1)


class Rows(ABC):
    """Rows that can be taken by number, in model values: uint8 for up to 256 levels, float32 otherwise."""

    in_memory: bool
    """Whether everything is in memory already, so that ``take(all)`` costs one copy."""
    targets: Targets
    """Labels of all rows; always in memory."""
    groups: Array | None = None
    """Number of the group of each row, where some must stay together: patient, user, series."""
    order: Array | None = None
    """Time of each row as an ascending number, where it has one."""
    lengths: Tensor | None = None
    """Number of steps of each row, for sequences of different lengths."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def take(self, index: Array) -> Batch:
        """Return the rows at ``index``, in that order, as a new batch."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes that all rows take, or would take, in memory as model values."""


def as_index(index: Array) -> Array:
    """Return row numbers as int64, whatever kind of integers (or an empty list) they were."""
    return np.asarray(index, dtype=np.int64).reshape(-1)


@final
class MemoryRows(Rows):
    """Rows in memory.

    Example:
        >>> rows = MemoryRows(torch.arange(6).reshape(3, 2), Targets(torch.tensor([0, 1, 0])))
        >>> rows.take(np.array([2, 0])).x.tolist()
        [[4, 5], [0, 1]]
    """

    in_memory = True

    def __init__(
        self, x: Tensor | Array, targets: Targets | None = None, mask: Tensor | Array | None = None,
        lengths: Tensor | None = None,
    ) -> None:
        self._x, self.targets, self._mask, self.lengths = x, targets or Targets(), mask, lengths

    def __len__(self) -> int:
        return len(self._x)

    def take(self, index: Array) -> Batch:
        """Return the rows at ``index``."""
        at = torch.from_numpy(as_index(index))
        x, mask = (None if v is None else torch.as_tensor(v)[at] for v in (self._x, self._mask))
        lengths = None if self.lengths is None else self.lengths[at]
        assert x is not None  # it is what rows are
        return Batch(x, mask=mask, lengths=lengths, **self.targets.at(at))

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self._x.nbytes + (0 if self._mask is None else self._mask.nbytes)


@final
class StreamedRows(Rows):
    """Rows that are fetched and converted when they are asked for.

    Args:
        n: Number of rows.
        fetch: Row numbers to the user's values, rows first.
        encode: User's values to model values.
        targets: Labels of all rows.
        nbytes: What all rows would take in memory as model values.
    """

    in_memory = False

    def __init__(
        self,
        n: int,
        fetch: Callable[[Array], Array],
        encode: Encode,
        *,
        targets: Targets | None = None,
        nbytes: int = 0,
    ) -> None:
        self._n, self._fetch, self._encode = n, fetch, encode
        self.targets, self._nbytes = targets or Targets(), nbytes

    def __len__(self) -> int:
        return self._n

    def take(self, index: Array) -> Batch:
        """Return the rows at ``index``."""
        at = as_index(index)
        x, mask = self._encode(self._fetch(at))
        return Batch(x, mask=mask, **self.targets.at(torch.from_numpy(at)))

    @property
    def nbytes(self) -> int:
        """Bytes that all rows would take in memory."""
        return self._nbytes


@final
class ChosenRows(Rows):
    """Some rows of others, in an order of their own, with all that belongs to them.

    Example:
        >>> whole = MemoryRows(torch.arange(6).reshape(3, 2), Targets(torch.tensor([0, 1, 0])))
        >>> rows = ChosenRows(whole, np.array([1]))
        >>> len(rows), rows.take(np.array([0])).x.tolist(), rows.targets.y.tolist()
        (1, [[2, 3]], [1])
    """

    def __init__(self, inner: Rows, index: Array) -> None:
        self._inner, self._index = inner, as_index(index)
        at, old = torch.from_numpy(self._index), inner.targets
        y, known, c = (None if v is None else v[at] for v in (old.y, old.known, old.c))
        self.targets = Targets(y, known, old.n_classes, c)
        self.lengths = None if inner.lengths is None else inner.lengths[at]
        self.groups, self.order = (None if v is None else v[self._index] for v in (inner.groups, inner.order))
        self.in_memory = inner.in_memory

    def __len__(self) -> int:
        return len(self._index)

    def take(self, index: Array) -> Batch:
        """Return the rows at ``index`` of those that were chosen."""
        return self._inner.take(self._index[as_index(index)])

    @property
    def nbytes(self) -> int:
        """The share of all rows."""
        return self._inner.nbytes * len(self) // max(1, len(self._inner))


def mapped(array: Array) -> Callable[[Array], Array]:
    """Return a ``fetch`` for an array on disk: rows are read in ascending order and handed out in the order asked.

    Example:
        >>> mapped(np.arange(6).reshape(3, 2))(np.array([2, 0, 2])).tolist()
        [[4, 5], [0, 1], [4, 5]]
    """

    def fetch(index: Array) -> Array:
        ascending, back = np.unique(index, return_inverse=True)
        return np.asarray(array[ascending])[back]

    return fetch
