"""One step of a player: forward, backward, and an update that is skipped if any number is not finite."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from ..core.batch import Batch
from ..core.random import GLOBAL, Noise, derive, reseed, using
from ..models.generative import Generative
from ..nn.precision import using_precision
from ..nn.recomputing import gradient_checkpointing
from ..objectives.base import Player, Terms
from .adamw import ParameterGroup
from .comms import Comms
from .divided import Ask, average_numbers, plainly
from .feed import Piece
from .meter import Fine
from .optimisers import Optimiser, optimiser_of
from .settings import TrainSettings
from .shares import held, is_divided


class PlayerLoss(nn.Module):
    """The loss of one player as a module, so that distributed wrappers, compilers and per-row gradients work on it.

    Returns the local sum of the loss divided by the rows of the global batch, and the sums of everything watched.
    """

    def __init__(self, model: Generative, player: Player) -> None:
        super().__init__()
        self.model, self.player = model, player
        self.names: tuple[str, ...] = ()

    def forward(self, batch: Batch, step: int, total: int) -> tuple[Tensor, Tensor]:
        """Return the loss to differentiate and the watched sums."""
        terms = self.player.loss(self.model, batch, step)
        loss = terms.loss.sum() / total
        named = watched(terms)
        self.names = tuple(named)
        return loss, torch.stack([v.detach() for v in named.values()]).sum(1)


def watched(terms: Terms) -> dict[str, Tensor]:
    """Return what is logged: the loss, the raw quantities, and weighted parts that are not raw ones already."""
    extra = {k: v for k, v in terms.parts.items() if k not in terms.watch}
    return {"loss": terms.loss, **terms.watch, **extra}


def parameter_groups(model: Generative, player: Player, settings: TrainSettings) -> list[ParameterGroup]:
    """Return optimiser groups: encoder and decoder rates apart, weight decay on matrices only."""
    encoder = {id(p) for p in model.encoder_parameters()}
    matrices = {id(p) for name, p in model.named_parameters() if name.endswith("weight") and p.ndim > 1}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for p in player.parameters:
        side = player.lr or (settings.encoder_lr if id(p) in encoder else settings.decoder_lr)
        decay = settings.weight_decay if id(p) in matrices else 0.0
        groups.setdefault((side or settings.lr or 1e-3, decay), []).append(p)
    return [ParameterGroup(ps, lr, decay) for (lr, decay), ps in groups.items()]


GradientRule: TypeAlias = Callable[["Stepper", Sequence[Piece], int], Tensor]
"""From the local rows of a step to gradients, which it leaves in ``p.grad`` of the player's parameters.

Called as ``rule(stepper, pieces, step)`` between loss and optimiser, with the other players' parameters frozen; returns
the sums over rows of what is watched, as :meth:`Stepper.forward` does. A rule of one's own may clip, or add noise to,
the gradient of every row; what is shared by all processes is its own affair.
"""


def gradient_of_mean(stepper: Stepper, pieces: Sequence[Piece], step: int) -> Tensor:
    """Leave the gradient of the mean loss of the global batch, piece by piece: the rule of every ordinary training."""
    sums: Tensor | None = None
    world = stepper.comms.world
    for i, piece in enumerate(pieces):
        with nullcontext() if i == len(pieces) - 1 else stepper.kept_apart():
            loss, found = stepper.forward(piece, step)
            (loss * world if world > 1 else loss).backward()
        sums = found if sums is None else sums + found
    assert sums is not None  # a step has at least one piece
    return sums


class Stepper:
    """A player with its optimiser.

    Of a model that is divided over processes, the parameters of other players are not frozen: torch decides once for
    all which weights learn. Their gradients are forgotten when they play.

    Args:
        model: What is trained.
        player: Who trains it.
        settings: How.
        device: Where.
        comms: The processes of this run.
        dtype: What networks compute in.
        prefix: Put before the names of what is watched.
        rule: How gradients come from the loss.
        ask: Asks the model; another than :func:`plainly` where it is divided over the processes.
    """

    def __init__(
        self, model: Generative, player: Player, settings: TrainSettings, *, device: torch.device, comms: Comms,
        dtype: torch.dtype | None, prefix: str = "", rule: GradientRule = gradient_of_mean, ask: Ask = plainly,
    ) -> None:
        self.player, self.settings, self.device, self.comms, self.dtype = player, settings, device, comms, dtype
        self.ask, self.divides = ask, ask is not plainly
        mine = {id(p) for p in player.parameters}
        self.others = [p for p in model.parameters() if p.requires_grad and id(p) not in mine and not self.divides]
        self.prefix, self.rule = prefix, rule
        self.loss = PlayerLoss(model, player)
        with self.playing():
            self.module: nn.Module = self.loss if self.divides else comms.wrap(self.loss)
        if settings.compile:
            self.module.compile()
        groups = parameter_groups(model, player, settings)
        self.optimiser: Optimiser = optimiser_of(groups, settings.optimiser, settings.optimiser_settings)

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Freeze every parameter of the model that is not this player's."""
        for p in self.others:
            p.requires_grad_(False)
        try:
            yield
        finally:
            for p in self.others:
                p.requires_grad_(True)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of what is watched, known after the first step."""
        return tuple(self.prefix + n for n in self.loss.names) if self.prefix else self.loss.names

    def set_rate(self, factor: float) -> float:
        """Set the learning rate of each group to its base times ``factor``; return the first one."""
        for group in self.optimiser.groups:
            group.lr = group.base_lr * factor
        return self.optimiser.groups[0].lr

    def __call__(self, pieces: Sequence[Piece], step: int, before: Fine) -> tuple[Tensor, float | Tensor, Fine]:
        """Take one step, unless it or something before it is not finite.

        Args:
            pieces: The local rows.
            step: 0-based.
            before: Whether everything since the last look was finite.

        Returns:
            Sums of what is watched, the gradient norm, and whether all was finite, this step included.
        """
        with self.playing():
            self.optimiser.zero_grad()
            sums = self.rule(self, pieces, step)
            if self.divides:
                average_numbers(self.player.parameters, self.comms.sum, self.comms.world)
            gradients = [held(p.grad) for p in self.player.parameters if p.grad is not None]
            norm = self._norm(gradients)
            fine = before & self._finite(norm, sums[0])
            if self.settings.clip is not None and isinstance(norm, Tensor):
                torch._foreach_mul_(gradients, (self.settings.clip / (norm + 1e-6)).clamp(max=1.0))
            self._update(fine)
        return sums, norm, fine

    def _norm(self, gradients: list[Tensor]) -> float | Tensor:
        if not gradients:
            return 0.0
        if self.divides:  # the share of the norm
            mine = (p for p in self.player.parameters if is_divided(p) or self.comms.is_main)
            gradients = [held(p.grad) for p in mine if p.grad is not None]
            return self.comms.sum(total_norm([*gradients, torch.zeros(1, device=self.device)]).square()).sqrt()
        counted = self.device.type == "cpu" and self.settings.clip is None
        return plain_norm(gradients) if counted else total_norm(gradients)

    def kept_apart(self) -> AbstractContextManager[Any]:
        """Keep gradients to this process in a block that is not the last of a step; divided ones are added up there."""
        return nullcontext() if self.comms.world == 1 or self.divides else cast(Any, self.module).no_sync()

    def _finite(self, norm: float | Tensor, loss: Tensor) -> Fine:
        if self.device.type == "cpu":
            fine: Fine = math.isfinite(float(norm) + float(loss))
        else:
            fine = torch.isfinite(norm + loss)
        if self.comms.world > 1:
            broken = torch.as_tensor(fine, device=self.device).logical_not().float()
            total = self.comms.sum(broken) == 0
            return bool(total) if self.device.type == "cpu" else total
        return fine

    def forward(self, piece: Piece, step: int) -> tuple[Tensor, Tensor]:
        """Return loss and watched sums of one piece."""
        with self.drawing(piece, step):
            loss, sums = self.ask(self.module, piece.batch, step, piece.total)
        return loss, sums

    @contextmanager
    def drawing(self, piece: Piece, step: int) -> Iterator[None]:
        """Set the random numbers of a piece at a step; they depend on neither the cuts of the batch nor the process.

        Dropout draws for the piece as a whole: with it, cutting a batch otherwise gives other numbers.
        """
        seed = derive(self.settings.seed, "step", self.player.name, step)
        noise = Noise.seeded(seed, device=self.device, offset=piece.offset, total=piece.total)
        sparing = gradient_checkpointing(self.settings.gradient_checkpointing)
        with GLOBAL, using(noise), using_precision(self.dtype), sparing:  # another thread may train as well
            reseed(derive(seed, "dropout", piece.offset), device=self.device)
            yield

    def _update(self, fine: Fine) -> None:
        if isinstance(fine, Tensor):  # the fused kernel skips the update itself: no synchronisation
            self.optimiser.step(broken=(~fine).float())
        elif fine:
            self.optimiser.step()


def total_norm(gradients: list[Tensor]) -> Tensor:
    """Return the Euclidean norm of all gradients together."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return norm


def plain_norm(gradients: list[Tensor]) -> float:
    """Return the same as a plain number, on a CPU: half the passes over memory, and no kernel for the sum.

    Example:
        >>> plain_norm([torch.tensor([3.0]), torch.tensor([[4.0, 0.0]])])
        5.0
    """
    flat = [g.reshape(-1) for g in gradients]
    return math.sqrt(sum(float(torch.dot(g, g)) for g in flat))
