"""Gradients row by row, clipped, added up, and covered by noise once: the step of differentially private training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields
from math import sqrt
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError, InputError
from ..core.local_random import locally_seeded
from ..core.random import Noise, derive, using
from ..core.secret import Secret
from ..models.generative import Generative
from ..objectives.base import Objective
from .feed import FeedPlan, Piece

if TYPE_CHECKING:
    from .step import PlayerLoss, Stepper

Gradients: TypeAlias = dict[str, Tensor]
MEMORY = 2**26
"""Bytes that the gradients of rows may take at once: as many as stay near the processor."""
NOISE = "noise"
SAME = 1e-4
"""Two ways to the gradients of rows agree if they differ by less, of the largest entry."""


# --- which rows -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class PoissonPlan(FeedPlan):
    """Steps that every row is in with the same probability, whoever else is: what the accountants assume.

    A step may have any number of rows, none among them; ``batch_size`` is how many are expected. The choice is a
    function of (key, step), and secret as the noise is.

    Example:
        >>> plan = PoissonPlan(1000, 100, 0, secret=Secret.seeded(0))
        >>> sizes = [len(plan.rows(plan.order(0), i)) for i in range(10)]
        >>> len(set(sizes)) > 1, 80 < sum(sizes) / 10 < 120
        (True, True)
    """

    secret: Secret = field(default_factory=Secret.fresh)
    share: float | None = None

    @property
    def rate(self) -> float:
        """Probability with which a row is in a step: the expected rows over all of them, unless it is set."""
        return min(1.0, self.batch_size / self.n_rows) if self.share is None else self.share

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which a row is expected to be once."""
        return max(1, round(self.n_rows / self.batch_size))

    def order(self, epoch: int) -> Tensor:
        """Return the numbers of the steps of an epoch, from which :meth:`rows` draws."""
        return torch.arange(self.steps_per_epoch) + epoch * self.steps_per_epoch

    def rows(self, order: Tensor, position: int) -> Tensor:
        """Return the rows of a step, each there or not by a coin of its own."""
        coins = self.secret.uniform(self.n_rows, "rows", int(order[position]))
        return torch.from_numpy((coins < self.rate).nonzero()[0])

    def total(self, rows: Tensor) -> int:
        """Return the expected number of rows: how many there really were stays secret."""
        return self.batch_size


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
    flat = [g.flatten(1) for g in gradients.values()]
    square = torch.stack([torch.einsum("bi,bi->b", g, g) for g in flat]).sum(0)
    norm = square.sqrt()
    fine = torch.isfinite(norm)
    factor = torch.where(fine, (clip / norm.clamp_min(1e-12)).clamp(max=1.0), torch.zeros_like(norm))
    found = {}
    for name, g in gradients.items():
        whole = g if bool(fine.all()) else torch.where(fine.view(-1, *[1] * (g.ndim - 1)), g, torch.zeros_like(g))
        found[name] = torch.tensordot(factor.to(g.dtype), whole, dims=1)
    return found


# --- the rule -------------------------------------------------------------------------------------------------------
@dataclass
class PrivateGradients:
    r"""A gradient rule: :math:`\frac1L \bigl(\sum_i g_i \min(1, C / \lVert g_i\rVert) + \sigma C\, \xi\bigr)`.

    Nothing else of a step leaves it: losses of training rows are not shown, since they would be outside the budget.

    Reference:
        Deep Learning with Differential Privacy (Abadi et al., 2016). https://arxiv.org/abs/1607.00133

    Args:
        clip: Largest norm of a row's gradient, C.
        noise: Standard deviation of the noise over the clip, sigma.
        batch_size: Expected number of rows, L.
        secret: Where the noise comes from.
        rows: How gradients of rows are computed; see :func:`engine_for`.
        memory: Bytes that gradients of rows may take at once.
    """

    clip: float
    noise: float
    batch_size: int
    secret: Secret
    rows: Callable[[Stepper, Batch, int, Noise], Gradients] = by_vmap
    memory: int = MEMORY

    def __call__(self, stepper: Stepper, pieces: Sequence[Piece], step: int) -> Tensor:
        """Leave the private gradient, and return how large its noise is."""
        own = own_parameters(stepper)
        total = {name: torch.zeros_like(p) for name, p in own.items()}
        size = sum(p.numel() for p in own.values())
        for piece in pieces:
            self._add(total, stepper, piece, step, most=max(1, self.memory // (8 * size)))
        draws = torch.from_numpy(self.secret.normal(size, NOISE, stepper.player.name, step))
        at = 0
        for name, p in own.items():
            drawn = draws[at : at + p.numel()].view(p.shape).to(p)
            at += p.numel()
            p.grad = (total[name] + self.noise * self.clip * drawn) / self.batch_size
        stepper.loss.names = (NOISE,)
        level = self.noise * self.clip * sqrt(size) / self.batch_size
        return next(iter(own.values())).new_tensor([level * self.batch_size])

    def _add(self, total: Gradients, stepper: Stepper, piece: Piece, step: int, *, most: int) -> None:
        """Add the clipped gradients of a piece, some rows at a time."""
        n = len(piece.batch)
        if not n:
            return
        with stepper.drawing(piece, step):
            seed = derive(stepper.settings.seed, "step", stepper.player.name, step)
            for start in range(0, n, most):
                part = piece.batch.take(slice(start, start + most))
                offset = piece.offset + start
                whole = start == 0 and most >= n
                own = seed if whole and not piece.offset else derive(seed, "rows", offset)
                noise = Noise.seeded(own, device=stepper.device)
                for name, g in clipped_sum(self.rows(stepper, part, step, noise), self.clip).items():
                    total[name] += g.to(total[name])


# --- what cannot be private -----------------------------------------------------------------------------------------
def refuse_mixing(model: Generative, objective: Objective) -> None:
    """Refuse an objective in which the gradient of one row cannot be told from that of others.

    Raises:
        CombinationError: Rows are mixed, several players move, or rows leave traces beside gradients.
    """
    model = deepcopy(model)
    with locally_seeded(0):
        objective.equip(model)
    players = objective.players(model)
    said = f"{type(objective).__name__} of {type(model).__name__}"
    if len(players) > 1:
        names = ", ".join(p.name for p in players)
        raise CombinationError(
            f"Private training needs one loss that moves all weights, but {said} has the players {names}: each "
            "would look "
            "at every row again. Choose a recipe with one, such as vae."
        )
    if players[0].mixes_rows:
        raise CombinationError(
            f"Private training needs a loss that is a sum over rows, but in {said} the loss of a row depends on "
            "others of "
            "its batch, so that cutting its gradient would not bound what it does. Choose a recipe such as vae."
        )
    from torch.nn.modules.batchnorm import _BatchNorm

    if any(isinstance(m, _BatchNorm) for m in model.modules()):
        raise CombinationError(
            f"Private training needs rows that do not see each other, but {said} normalises over the batch. Set "
            "encoder.norm=layer decoder.norm=layer."
        )


def agree(a: Gradients, b: Gradients) -> bool:
    """Whether two ways gave the same gradients, to about single precision of the largest of each row."""
    size = max(float(g.abs().max()) for g in b.values())
    return all(float((a[name] - g).abs().max()) <= SAME * max(size, 1e-12) for name, g in b.items())


def engine_for(stepper: Stepper, batch: Batch) -> Callable[[Stepper, Batch, int, Noise], Gradients]:
    """Return how gradients of rows are computed for this model: all at once where that works, else one by one.

    Args:
        stepper: The only player.
        batch: Rows that are nobody's: made from the public schema.

    Raises:
        CombinationError: The model also learns from rows otherwise than by gradients.
    """
    if len(batch) < 2:
        raise InputError(f"A trial of gradients needs two rows, but got {len(batch)}.")
    model, few = stepper.loss.model, batch.take(slice(0, 2))
    before = {name: b.clone() for name, b in model.named_buffers()}
    piece = Piece(few, 0, len(few))
    with stepper.playing(), stepper.drawing(piece, 0):
        slow = by_loop(stepper, few, 0, Noise.seeded(0, device=stepper.device))
        try:
            fast = by_vmap(stepper, few, 0, Noise.seeded(0, device=stepper.device))
        except (RuntimeError, NotImplementedError, TypeError, ValueError, IndexError, AttributeError):
            fast = {}
    engine = by_vmap if fast and agree(fast, slow) else by_loop
    model.after_step(lambda t: t)
    moved = [name for name, b in model.named_buffers() if not torch.equal(b, before[name])]
    with torch.no_grad():
        for name, b in model.named_buffers():
            b.copy_(before[name])
    if moved:
        raise CombinationError(
            f"Private training needs a model that learns by gradients alone, but {type(model).__name__} keeps "
            "statistics "
            f"of rows ({', '.join(moved[:3])}), which no noise covers. Choose a recipe such as vae."
        )
    return engine
