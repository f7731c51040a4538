"""The one thing that travels from data to models: rows and what is known about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

from .later import Tensor, is_tensor, torch

Data: TypeAlias = Tensor | dict[str, Tensor]
"""One tensor with rows first, or one per modality."""


def _apply(value: Any, fn: Callable[[Tensor], Tensor]) -> Any:
    if value is None:
        return None
    return {k: fn(v) for k, v in value.items()} if isinstance(value, dict) else fn(value)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of data with their condition, label, mask and lengths.

    Args:
        x: Data, rows first: ``(B, *event)``, or a dictionary of such tensors, one per modality.
        c: Condition known at generation time (labels, covariates), ``(B, n_condition)``.
        y: Label that a model may predict or a plot may colour by, ``(B,)``.
        y_known: True where ``y`` is observed, ``(B,)``; ``None`` means everywhere.
        mask: True where ``x`` is observed, shaped like ``x``; ``None`` means everywhere. What stands at an
            unobserved place is an in-support placeholder on which nothing may depend.
        lengths: Valid length of each row for sequences, ``(B,)``.

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
    lengths: Tensor | None = None

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
        """The data of a batch with one modality."""
        if isinstance(self.x, dict):
            raise TypeError("A batch with several modalities has no single tensor; read `batch.x[name]`.")
        return self.x

    @property
    def observed(self) -> Tensor | None:
        """The mask of a batch with one modality."""
        if isinstance(self.mask, dict):
            raise TypeError("A batch with several modalities has no single mask; read `batch.mask[name]`.")
        return self.mask

    @property
    def device(self) -> torch.device:
        """Where the data are."""
        return next(iter(self.x.values())).device if isinstance(self.x, dict) else self.x.device

    def __len__(self) -> int:
        return len(next(iter(self.x.values()))) if isinstance(self.x, dict) else len(self.x)


def concatenate(batches: list[Batch]) -> Batch:
    """Join batches row-wise; a field must be present in all of them or in none.

    Example:
        >>> len(concatenate([Batch(torch.zeros(2, 1)), Batch(torch.zeros(3, 1))]))
        5
    """

    def join(values: list[Any]) -> Any:
        first = values[0]
        if first is None:
            return None
        if isinstance(first, dict):
            return {k: torch.cat([v[k] for v in values if isinstance(v, dict)]) for k in first}
        return torch.cat([v for v in values if is_tensor(v)])

    return Batch(**{f.name: join([getattr(b, f.name) for b in batches]) for f in fields(Batch)})
