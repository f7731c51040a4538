"""Rows of data as model values: in memory, in a mapped file, or in image files that are read on demand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypedDict, final

import numpy as np
from numpy.typing import NDArray

from senzai.core.batch import Batch, Data, concatenate, tensors
from senzai.core.errors import ShapeError
from senzai.core.later import Tensor, torch

Array: TypeAlias = NDArray[Any]
Encode: TypeAlias = Callable[[Array], tuple[Tensor, Tensor | None]]
"""User's values, rows first, to the model's values and their mask (``None`` where everything was observed)."""


HELD_BYTES = 2**30
"""Dense model values that are held beside the training data: rows to start from, to fit samplers to, to judge."""


class Known(TypedDict):
    """Fields of a batch that are about labels."""

    y: Tensor | None
    y_known: Tensor | None
    c: Tensor | None
    numbers: Tensor | None


@dataclass(frozen=True, slots=True)
class Targets:
    """Labels of all rows as class numbers, and where they are known (``None``: everywhere).

    With ``n_classes`` above 0 the label is also the condition: its one-hot code, zeros where it is not known. A
    condition of another sort is given as ``c``, ``(N, n_condition)``. Numbers that rows have are ``numbers``,
    ``(N, P)``, NaN where they are not known.
    """

    y: Tensor | None = None
    known: Tensor | None = None
    n_classes: int = 0
    c: Tensor | None = None
    numbers: Tensor | None = None

    def for_rows(self, index: Tensor) -> Known:
        """Return the fields of a batch for some rows."""
        y = None if self.y is None else self.y[index]
        known = None if self.known is None else self.known[index]
        c = one_hot(y, known, self.n_classes) if self.c is None else self.c[index]
        numbers = None if self.numbers is None else self.numbers[index]
        return {"y": y, "y_known": known, "c": c, "numbers": numbers}

    def take(self, index: Tensor) -> Targets:
        """Return the labels of some rows."""
        y, known, c, numbers = (None if v is None else v[index] for v in (self.y, self.known, self.c, self.numbers))
        return Targets(y, known, self.n_classes, c, numbers)


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
    lengths: Data | None = None
    """Number of steps of each row, for sequences of different lengths; by modality where there are several."""

    known: Any = None
    """What is known of the entries of a row, whoever's it is: genre and price of items, ``(n_entries, width)``."""

    cuts: Array | None = None
    """Where blocks of rows begin that are read together, and the number of rows; ``None`` where any are as near."""

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

    @property
    def dense_nbytes(self) -> int:
        """Bytes that all rows would take as dense model values: what a batch of all of them needs.

        By default what they take in memory; rows that are kept sparse take less than that.
        """
        return self.nbytes

    @property
    def better_dense(self) -> bool:
        """Whether rows of which all fit memory are best brought there as dense model values, once for all steps."""
        return True

    def about(self, index: Array) -> Mapping[str, Any]:
        """Return what travels with some rows and is no model value, by name, rows first; nothing by default.

        Whatever a kind needs to restore a row: an affine, a start level, the name of a file, a time.
        """
        return {}

    def some(self, index: Array, most: int, seed: int) -> Array:
        """Return at most so many of the rows at ``index``, at random, in ascending order.

        Example:
            >>> MemoryRows(torch.zeros(10, 1)).some(np.arange(10), 3, seed=0).tolist()
            [5, 6, 9]
        """
        if len(index) <= most:
            return np.sort(as_index(index))
        return np.sort(np.random.default_rng(seed).choice(index, most, replace=False))

    def at_once(self, most: int, budget: float = HELD_BYTES) -> int:
        """Return how many rows may be held at once as dense model values: at most ``most``, fewer where rows are large.

        Example:
            >>> MemoryRows(torch.zeros(10, 4)).at_once(8, budget=100)
            6
        """
        return max(1, min(most, int(budget * max(1, len(self)) / max(1, self.dense_nbytes))))


def as_index(index: Array) -> Array:
    """Return row numbers as int64, whatever kind of integers (or an empty list) they were."""
    return np.asarray(index, dtype=np.int64).reshape(-1)


@final
class MemoryRows(Rows):
    """Rows in memory.

    Args:
        x: Model values, rows first, of one modality or of several.
        targets: Labels of all rows.
        mask: Where values were observed, as ``x``; ``None`` for everywhere.
        lengths: Steps of each row, as ``x``.
        present: Which rows have a modality, ``(N,)`` each.
        about: What travels with rows and is no model value, by name, rows first; see :meth:`Rows.about`.

    Raises:
        ShapeError: Not everything has one entry for each row.

    Example:
        >>> rows = MemoryRows(torch.arange(6).reshape(3, 2), Targets(torch.tensor([0, 1, 0])), about={"file": "abc"})
        >>> rows.take(np.array([2, 0])).x.tolist(), rows.about(np.array([2, 0]))["file"].tolist()
        ([[4, 5], [0, 1]], ['c', 'a'])
    """

    in_memory = True

    def __init__(
        self, x: Data | Array, targets: Targets | None = None, mask: Data | Array | None = None,
        lengths: Data | None = None, *, present: dict[str, Tensor] | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self._x, self._mask, self._present = x, mask, present
        self.targets, self.lengths = targets or Targets(), lengths
        self._about = {name: _column(values) for name, values in (about or {}).items()}
        parts = [*_parts(x), *_parts(mask), *_parts(lengths), *_parts(present), *self._about.values()]
        counts = {len(v) for v in parts}
        if len(counts) > 1:
            raise ShapeError(f"There is one entry of everything for each row, but got {sorted(counts)} entries.")

    def __len__(self) -> int:
        return len(next(iter(_parts(self._x))))

    def take(self, index: Array) -> Batch:
        """Return the rows at ``index``."""
        at = torch.from_numpy(as_index(index))
        x, mask, lengths, present = (_taken(v, at) for v in (self._x, self._mask, self.lengths, self._present))
        return Batch(x, mask=mask, lengths=lengths, present=present, **self.targets.for_rows(at))

    def about(self, index: Array) -> Mapping[str, Any]:
        """Return what was given for the rows at ``index``."""
        return {name: values[as_index(index)] for name, values in self._about.items()}

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(v.nbytes for v in (*_parts(self._x), *_parts(self._mask)))


def _parts(values: Any) -> tuple[Any, ...]:
    """Return the arrays of one modality or of several; none of nothing."""
    if values is None:
        return ()
    return tuple(values.values()) if isinstance(values, Mapping) else (values,)


def _taken(values: Any, at: Tensor) -> Any:
    if isinstance(values, Mapping):
        return {name: torch.as_tensor(v)[at] for name, v in values.items()}
    return None if values is None else torch.as_tensor(values)[at]


def _column(values: Any) -> Array:
    return values if isinstance(values, np.ndarray) else _objects(list(values))


def _objects(values: list[Any]) -> Array:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


@final
class StreamedRows(Rows):
    """Rows that are fetched and converted on demand.

    Args:
        n: Number of rows.
        fetch: Row numbers to the user's values, rows first.
        encode: User's values to model values.
        targets: Labels of all rows.
        nbytes: What all rows would take in memory as model values.
        lengths: Steps of each row, where they differ; always in memory.
        about: From row numbers to what travels with those rows; see :meth:`Rows.about`.
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
        lengths: Data | None = None,
        about: Callable[[Array], Mapping[str, Any]] | None = None,
    ) -> None:
        self._n, self._fetch, self._encode, self._told = n, fetch, encode, about
        self.targets, self._nbytes, self.lengths = targets or Targets(), nbytes, lengths

    def __len__(self) -> int:
        return self._n

    def take(self, index: Array) -> Batch:
        """Return the rows at ``index``."""
        at = as_index(index)
        x, mask = self._encode(self._fetch(at))
        rows = torch.from_numpy(at)
        return Batch(x, mask=mask, lengths=_taken(self.lengths, rows), **self.targets.for_rows(rows))

    def about(self, index: Array) -> Mapping[str, Any]:
        """Return what travels with the rows at ``index``."""
        return {} if self._told is None else self._told(as_index(index))

    @property
    def nbytes(self) -> int:
        """Bytes that all rows would take in memory."""
        return self._nbytes


@final
class ChosenRows(Rows):
    """Some of the rows of other rows, in any order, with everything that belongs to them.

    Example:
        >>> whole = MemoryRows(torch.arange(6).reshape(3, 2), Targets(torch.tensor([0, 1, 0])))
        >>> rows = ChosenRows(whole, np.array([1]))
        >>> len(rows), rows.take(np.array([0])).x.tolist(), rows.targets.y.tolist()
        (1, [[2, 3]], [1])
    """

    def __init__(self, inner: Rows, index: Array) -> None:
        self._inner, self._index = inner, as_index(index)
        at = torch.from_numpy(self._index)
        self.targets, self.lengths = inner.targets.take(at), _taken(inner.lengths, at)
        self.groups, self.order = (None if v is None else v[self._index] for v in (inner.groups, inner.order))
        self.in_memory = inner.in_memory

    def __len__(self) -> int:
        return len(self._index)

    def take(self, index: Array) -> Batch:
        """Return the rows at ``index`` of those that were chosen."""
        return self._inner.take(self._index[as_index(index)])

    def about(self, index: Array) -> Mapping[str, Any]:
        """Return what travels with the rows at ``index`` of those that were chosen."""
        return self._inner.about(self._index[as_index(index)])

    @property
    def dense_nbytes(self) -> int:
        """The share of all rows."""
        return self._inner.dense_nbytes * len(self) // max(1, len(self._inner))

    @property
    def nbytes(self) -> int:
        """The share of all rows."""
        return self._inner.nbytes * len(self) // max(1, len(self._inner))


@final
class BatchRows(Rows):
    """Rows of several batches, one after the other, in memory.

    Example:
        >>> rows = BatchRows([Batch(torch.zeros(1, 2)), Batch(torch.ones(1, 2), mask=torch.tensor([[True, False]]))])
        >>> rows.take(np.array([1, 0])).mask.tolist()
        [[True, False], [True, True]]
    """

    in_memory = True

    def __init__(self, batches: Sequence[Batch]) -> None:
        masked = any(b.mask is not None for b in batches)
        self._whole = concatenate([_with_mask(b) for b in batches] if masked else list(batches))
        whole = self._whole
        self.targets, self.lengths = Targets(whole.y, whole.y_known, 0, whole.c, whole.numbers), whole.lengths

    def __len__(self) -> int:
        return len(self._whole)

    def take(self, index: Array) -> Batch:
        """Return the rows at ``index``."""
        return self._whole.take(torch.from_numpy(as_index(index)))

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(int(t.nbytes) for t in tensors(self._whole.x))


def _with_mask(batch: Batch) -> Batch:
    """Return a batch that says of every entry whether it was seen."""
    if batch.mask is not None:
        return batch
    seen = {name: torch.ones_like(x, dtype=torch.bool) for name, x in _named(batch.x).items()}
    return batch.with_x(batch.x, seen if isinstance(batch.x, dict) else seen[""])


def _named(data: Data) -> dict[str, Tensor]:
    return data if isinstance(data, dict) else {"": data}


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
