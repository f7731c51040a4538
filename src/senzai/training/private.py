"""Gradients row by row, clipped, added up, and covered by noise once: the step of differentially private training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from math import sqrt
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError, InputError
from ..core.local_random import locally_seeded
from ..core.random import Noise, derive
from ..core.secret import Secret
from ..models.generative import Generative
from ..objectives.base import Objective
from .feed import FeedPlan, Piece
from .lanes import LaneOrder
from .row_gradients import Gradients, agree, by_loop, by_vmap, clipped_sum, own_parameters

if TYPE_CHECKING:
    from .step import Stepper

MEMORY = 2**26
"""Bytes that the gradients of rows may take at once: as many as stay near the processor."""
NOISE = "noise"


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

    def rows(self, order: Tensor | LaneOrder, position: int) -> Tensor:
        """Return the rows of a step, each there or not by a coin of its own."""
        assert isinstance(order, Tensor)  # of :meth:`order`
        coins = self.secret.uniform(self.n_rows, "rows", int(order[position]))
        return torch.from_numpy((coins < self.rate).nonzero()[0])

    def total(self, rows: Tensor) -> int:
        """Return the expected number of rows: how many there really were stays secret."""
        return self.batch_size


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
            f"Private training needs one loss that moves all weights, but {said} has the players {names}: each would "
            "look at every row again. Choose a recipe with one, such as vae."
        )
    if players[0].mixes_rows:
        raise CombinationError(
            f"Private training needs a loss that is a sum over rows, but in {said} the loss of a row depends on "
            "others of its batch, so that cutting its gradient would not bound what it does. Choose a recipe such "
            "as vae."
        )
    if model.looks_first:
        raise CombinationError(
            f"Private training shows a model no row before the first step, but {type(model).__name__} learns its graph "
            "there. Set search=gradients, or give the graph."
        )
    from torch.nn.modules.batchnorm import _BatchNorm

    if any(isinstance(m, _BatchNorm) for m in model.modules()):
        raise CombinationError(
            f"Private training needs rows that do not see each other, but {said} normalises over the batch. Set "
            "encoder.norm=layer decoder.norm=layer."
        )


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
            f"statistics of rows ({', '.join(moved[:3])}), which no noise covers. Choose a recipe such as vae."
        )
    return engine
