"""Batches: rows and everything that is known about them, as data pass them to models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from math import prod
from typing import Any, TypeAlias

from .errors import CombinationError, ShapeError
from .later import Tensor, torch

Data: TypeAlias = Tensor | dict[str, Tensor]
"""One tensor with rows first, or one per modality."""


# --- one tensor or several ------------------------------------------------------------------------------------------
def each(fn: Callable[[Tensor], Tensor], data: Data) -> Data:
    """Return ``fn`` of the tensor, or of every modality.

    Example:
        >>> each(torch.neg, {"a": torch.ones(1)})
        {'a': tensor([-1.])}
    """
    return {k: fn(v) for k, v in data.items()} if isinstance(data, dict) else fn(data)


def cat(pieces: list[Data], dim: int = 0) -> Data:
    """Join data along an axis, rows by default; modality by modality.

    Raises:
        ShapeError: The pieces do not have the same modalities.

    Example:
        >>> cat([{"a": torch.zeros(2, 1)}, {"a": torch.ones(1, 1)}])["a"].flatten().tolist()
        [0.0, 0.0, 1.0]
    """
    whole = [p for p in pieces if not isinstance(p, dict)]
    several = [p for p in pieces if isinstance(p, dict)]
    if len(whole) == len(pieces):
        return torch.cat(whole, dim)
    names = {tuple(sorted(p)) for p in several}
    if whole or len(names) > 1:
        said = "; ".join(", ".join(n) for n in sorted(names))
        raise ShapeError(f"Joined data have the same modalities, but got {said or 'none'}{', and none' * bool(whole)}.")
    return {k: torch.cat([p[k] for p in several], dim) for k in several[0]}


def first(data: Data) -> Tensor:
    """Return the tensor, or that of the first modality: for what all of them share (rows, device).

    Example:
        >>> first({"a": torch.zeros(2, 3), "b": torch.zeros(2)}).shape
        torch.Size([2, 3])
    """
    return next(iter(data.values())) if isinstance(data, dict) else data


def only(data: Data) -> Tensor:
    """Return the tensor of data with one modality.

    Raises:
        CombinationError: There are several.
    """
    if isinstance(data, dict):
        raise CombinationError(
            f"This needs rows of one tensor, but these have the modalities {', '.join(data)}. Take one of them with "
            "`batch.part(name)`, or use what is made for several."
        )
    return data


def tensors(data: Data) -> list[Tensor]:
    """Return the tensors of data, one for each modality."""
    return list(data.values()) if isinstance(data, dict) else [data]


def count(data: Data) -> int:
    """Return the number of rows.

    Example:
        >>> count({"a": torch.zeros(2, 3), "b": torch.zeros(2)})
        2
    """
    return len(first(data))


def entries(data: Data) -> int:
    """Return how many numbers one row has, all modalities together.

    Example:
        >>> entries({"a": torch.zeros(2, 3), "b": torch.zeros(2)})
        4
    """
    return sum(prod(t.shape[1:]) for t in tensors(data))


def prefixes(lengths: Tensor, like: Tensor) -> Tensor:
    """Return True at the steps that rows have, along the first axis behind the rows of ``like`` and shaped like it.

    Example:
        >>> prefixes(torch.tensor([1, 2]), torch.zeros(2, 3)).int().tolist()
        [[1, 0, 0], [1, 1, 0]]
    """
    steps = torch.arange(like.shape[1], device=like.device) < lengths.to(like.device).unsqueeze(1)
    return steps.view(*steps.shape, *[1] * (like.ndim - 2)).expand_as(like)


def seen_entries(
    x: Tensor, mask: Tensor | None, lengths: Tensor | None, present: Tensor | None = None
) -> Tensor | None:
    """Return where a row has an entry that was observed, shaped like ``x``; ``None`` means everywhere.

    Args:
        x: Data of one modality.
        mask: True where observed.
        lengths: Steps that each row has, ``(B,)``.
        present: Which rows have this modality, ``(B,)``.
    """
    found = mask if mask is None else mask.expand_as(x)
    if lengths is not None:
        steps = prefixes(lengths, x)
        found = steps if found is None else found & steps
    if present is not None:
        rows = present.view(-1, *[1] * (x.ndim - 1)).expand_as(x)
        found = rows if found is None else found & rows
    return found


# --- rows -----------------------------------------------------------------------------------------------------------
def _apply(value: Any, fn: Callable[[Tensor], Tensor]) -> Any:
    if value is None:
        return None
    return {k: fn(v) for k, v in value.items()} if isinstance(value, dict) else fn(value)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of data with their condition, label, mask, lengths and the modalities that they have.

    What lies behind the end of a row, or in a modality that the row does not have, is *not* missing: it does not exist
    and is never imputed, counted or shown. Entries that were not observed are masked.

    Args:
        x: Data, rows first: ``(B, *event)``, or a dictionary of such tensors, one per modality.
        c: Condition known at generation time (labels, covariates), ``(B, n_condition)``.
        y: Label that a model may predict or a plot may colour by, ``(B,)``.
        y_known: True where ``y`` is observed, ``(B,)``; ``None`` means everywhere.
        mask: True where ``x`` is observed, shaped like ``x``; ``None`` means everywhere. Unobserved entries hold a
            placeholder within the support, on which nothing may depend.
        lengths: Steps that each row has along the first axis of ``x`` behind the rows, ``(B,)``; for several modalities
            a dictionary, with those whose rows differ in length. Entries behind them are never read.
        present: Which rows have a modality, ``(B,)`` each; a modality that is not named is there in every row.
        numbers: Standardised numbers of the rows that a head may learn to read from codes, ``(B, P)``; NaN unknown.

    Example:
        >>> b = Batch(torch.arange(6.0).reshape(3, 2), y=torch.tensor([0, 1, 0]))
        >>> len(b), b.take(torch.tensor([2])).x.tolist()
        (3, [[4.0, 5.0]])
    """

    x: Data
    c: Tensor | None = None
    y: Tensor | None = None
    y_known: Tensor | None = None
    mask: Data | None = None
    lengths: Data | None = None
    present: dict[str, Tensor] | None = None
    numbers: Tensor | None = None

    def map(self, fn: Callable[[Tensor], Tensor]) -> Batch:
        """Return a batch with ``fn`` applied to every tensor."""
        return Batch(**{f.name: _apply(getattr(self, f.name), fn) for f in fields(self)})

    def take(self, index: Tensor | slice) -> Batch:
        """Return the rows at ``index``, gathered in one call per tensor."""
        if isinstance(index, slice):
            return self.map(lambda t: t[index])
        return self.map(lambda t: t.index_select(0, index.to(t.device)))

    def repeat(self, k: int) -> Batch:
        """Return ``k`` copies of all rows, copy after copy: ``(k * B, ...)``, so that ``view(k, B)`` undoes it."""
        return self.map(lambda t: t.repeat(k, *[1] * (t.ndim - 1)))

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on ``device``."""
        return self.map(lambda t: t.to(device, non_blocking=True))

    def with_x(self, x: Data, mask: Data | None = None) -> Batch:
        """Return the batch with other data and mask, everything else kept."""
        return replace(self, x=x, mask=mask)

    @property
    def tensor(self) -> Tensor:
        """The data of a batch with one modality; for networks and parts, which see one tensor.

        Raises:
            CombinationError: There are several.
        """
        return only(self.x)

    @property
    def observed(self) -> Tensor | None:
        """Where a row of one modality has an observed entry, shaped like ``x``; ``None`` means everywhere.

        That is where the mask is True within the length of the row; ``mask`` alone says what is missing.

        Raises:
            CombinationError: There are several modalities.
        """
        mask, lengths = (None if v is None else only(v) for v in (self.mask, self.lengths))
        return seen_entries(self.tensor, mask, lengths)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities; none where the data are one tensor."""
        return tuple(self.x) if isinstance(self.x, dict) else ()

    def part(self, name: str) -> Batch:
        """Return the batch of one modality: its data, mask and lengths, with all else that is known of the rows.

        Which rows have it is not in it: see ``present``.
        """
        x, mask, lengths = (v.get(name) if isinstance(v, dict) else v for v in (self.x, self.mask, self.lengths))
        if x is None or not isinstance(self.x, dict):
            raise KeyError(f"Rows have the modalities {', '.join(self.modalities) or '(none)'}, but not {name!r}.")
        return replace(self, x=x, mask=mask, lengths=lengths, present=None)

    @property
    def seen(self) -> dict[str, Tensor | None]:
        """Where a row has an observed entry, by modality; a single modality is called ``""``."""
        if not isinstance(self.x, dict):
            return {"": self.observed}
        rows = self.present or {}
        parts = {name: self.part(name) for name in self.x}
        return {k: seen_entries(p.tensor, p.observed, None, rows.get(k)) for k, p in parts.items()}

    @property
    def device(self) -> torch.device:
        """Where the data are."""
        return first(self.x).device

    def __len__(self) -> int:
        return count(self.x)

    @property
    def rows(self) -> int:
        """Number of rows; unlike ``len(batch)`` it stays a symbol where a graph is traced for any number of them."""
        return first(self.x).shape[0]


def concatenate(batches: list[Batch]) -> Batch:
    """Join batches row-wise; a field must be present in all of them or in none.

    Raises:
        ShapeError: A field is there in some of them alone.

    Example:
        >>> len(concatenate([Batch(torch.zeros(2, 1)), Batch(torch.zeros(3, 1))]))
        5
    """

    def join(name: str) -> Any:
        values = [getattr(b, name) for b in batches]
        if all(v is None for v in values):
            return None
        if any(v is None for v in values):
            raise ShapeError(f"Joined rows all have `{name}` or none has, but some have none. Give it for all of them.")
        return cat(values)

    return Batch(**{f.name: join(f.name) for f in fields(Batch)})
