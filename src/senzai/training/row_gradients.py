"""Gradients of the loss of each row: all rows at once where that works, else one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.random import Noise, derive, using

if TYPE_CHECKING:
    from .step import PlayerLoss, Stepper

Gradients: TypeAlias = dict[str, Tensor]
SAME = 1e-4
"""Two ways to the gradients of rows agree if they differ by less, of the largest entry."""


# --- noise of the model, row by row ---------------------------------------------------------------------------------
@dataclass(frozen=True)
class Noted(Noise):
    """Draws nothing that is used: notes what is asked for, so that whole batches of it can be drawn at once."""

    asked: list[tuple[str, tuple[int, ...], int, dict[str, Any]]] = field(default_factory=list)

    def apart(self) -> Noise:
        """Refuse: how much a loop of its own draws is not known beforehand."""
        raise NotByRowsError

    def normal(self, shape: tuple[int, ...], *, row_dim: int = 1, **like: Any) -> Tensor:
        """Note a call."""
        if not self.point:
            self.asked.append(("normal", tuple(shape), row_dim, like))
        return torch.zeros(tuple(shape), **like)

    def uniform(self, shape: tuple[int, ...], *, row_dim: int = 1, **like: Any) -> Tensor:
        """Note a call."""
        if not self.point:
            self.asked.append(("uniform", tuple(shape), row_dim, like))
        return torch.full(tuple(shape), 0.5, **like)


@dataclass(frozen=True)
class Taken(Noise):
    """Gives the numbers of one row that were drawn before, in the order of asking."""

    left: list[Tensor] = field(default_factory=list)

    def apart(self) -> Noise:
        """Refuse, as when they were noted."""
        raise NotByRowsError

    def _next(self, shape: tuple[int, ...], row_dim: int) -> Tensor:
        if not self.left:
            raise NotByRowsError
        found = self.left.pop(0)
        found = found.unsqueeze(row_dim) if len(shape) > row_dim else found
        if tuple(found.shape) != tuple(shape):
            raise NotByRowsError
        return found

    def normal(self, shape: tuple[int, ...], *, row_dim: int = 1, **like: Any) -> Tensor:
        """Return the next numbers."""
        if self.point:
            return torch.zeros(tuple(shape), **like)
        found = self._next(shape, row_dim)
        return found if self.spread == 1.0 else self.spread * found

    def uniform(self, shape: tuple[int, ...], *, row_dim: int = 1, **like: Any) -> Tensor:
        """Return the next numbers."""
        return torch.full(tuple(shape), 0.5, **like) if self.point else self._next(shape, row_dim)


class NotByRowsError(RuntimeError):
    """What a model draws cannot be given to it row by row."""


def numbers_for(loss: PlayerLoss, batch: Batch, step: int, noise: Noise) -> list[Tensor]:
    """Return every number that the loss of each row will ask for, rows first.

    Raises:
        NotByRowsError: How many it asks for is not known beforehand.
    """
    noted = Noted()
    with torch.no_grad(), using(noted):
        loss(batch.take(slice(0, 1)), step, 1)
    n, found = len(batch), []
    for kind, shape, row_dim, like in noted.asked:
        draw = noise.normal if kind == "normal" else noise.uniform
        if len(shape) <= row_dim:  # belongs to no row: the same for all of them
            found.append(draw(shape, row_dim=row_dim, **like).expand(n, *shape))
            continue
        if shape[row_dim] != 1:
            raise NotByRowsError
        whole = (*shape[:row_dim], n, *shape[row_dim + 1 :])
        found.append(draw(whole, row_dim=row_dim, **like).movedim(row_dim, 0))
    return found


# --- gradients of rows ----------------------------------------------------------------------------------------------
def own_parameters(stepper: Stepper) -> Gradients:
    """Return the parameters of the player by their names in its loss, each once."""
    mine = {id(p) for p in stepper.player.parameters}
    return {name: p for name, p in stepper.loss.named_parameters() if id(p) in mine}


def by_vmap(stepper: Stepper, batch: Batch, step: int, noise: Noise) -> Gradients:
    """Return the gradient of each row's loss, ``(B, *shape)`` for each parameter, all rows at once."""
    loss, numbers = stepper.loss, numbers_for(stepper.loss, batch, step, noise)
    held = tensors_of(batch)

    def of_row(values: Gradients, row: dict[str, Any], drawn: list[Tensor]) -> Tensor:
        with using(Taken(left=list(drawn))):
            value: Tensor = torch.func.functional_call(loss, values, (as_batch(row), step, 1))[0]
        return value

    values = {name: p.detach() for name, p in own_parameters(stepper).items()}
    every = torch.func.vmap(torch.func.grad(of_row), in_dims=(None, 0, 0), randomness="different")
    found: Gradients = every(values, held, numbers)
    return found


def by_loop(stepper: Stepper, batch: Batch, step: int, noise: Noise) -> Gradients:
    """Return the same row after row, for what cannot be done at once; numbers are the row's own either way."""
    loss, own = stepper.loss, own_parameters(stepper)
    try:
        numbers = numbers_for(loss, batch, step, noise)
    except NotByRowsError:
        numbers = None
    start = 0 if noise.generator is None else noise.generator.initial_seed()
    rows = []
    for i in range(len(batch)):
        given: Noise = Noise.seeded(derive(start, "row", noise.offset + i), device=batch.device)
        if numbers is not None:
            given = Taken(left=[n[i] for n in numbers])
        with using(given):
            value, _ = loss(batch.take(slice(i, i + 1)), step, 1)
        found = torch.autograd.grad(value, list(own.values()), allow_unused=True)
        rows.append([torch.zeros_like(p) if g is None else g for p, g in zip(own.values(), found, strict=True)])
    return {name: torch.stack([row[j] for row in rows]) for j, name in enumerate(own)}


def tensors_of(batch: Batch) -> dict[str, Any]:
    """Return what a batch holds, without what it does not."""
    return {f.name: v for f in fields(batch) if (v := getattr(batch, f.name)) is not None}


def as_batch(row: dict[str, Any]) -> Batch:
    """Return a batch of one row whose tensors lack the axis of rows."""
    return Batch(**row).map(lambda t: t.unsqueeze(0))


def clipped_sum(gradients: Gradients, clip: float) -> Gradients:
    """Return the sum over rows of gradients that were each cut to a norm of ``clip``; one that is not finite counts 0.

    Example:
        >>> found = clipped_sum({"w": torch.tensor([[3.0, 4.0], [0.3, 0.4], [float("nan"), 0.0]])}, 1.0)
        >>> [round(v, 4) for v in found["w"].tolist()]
        [0.9, 1.2]
    """
    parts = torch.stack([torch.linalg.vector_norm(g.reshape(len(g), -1), dim=1) for g in gradients.values()])
    norm = torch.linalg.vector_norm(parts, dim=0)
    fine = torch.isfinite(norm)
    factor = torch.where(fine, (clip / norm.clamp_min(1e-12)).clamp(max=1.0), torch.zeros_like(norm))
    found = {}
    for name, g in gradients.items():
        whole = g if bool(fine.all()) else torch.where(fine.view(-1, *[1] * (g.ndim - 1)), g, torch.zeros_like(g))
        found[name] = torch.tensordot(factor.to(g.dtype), whole, dims=1)
    return found


def agree(a: Gradients, b: Gradients) -> bool:
    """Whether two ways gave the same gradients, to about single precision of the largest of each row."""
    size = max(float(g.abs().max()) for g in b.values())
    return all(float((a[name] - g).abs().max()) <= SAME * max(size, 1e-12) for name, g in b.items())
