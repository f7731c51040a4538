"""What an objective is: settings, a call that gives terms per row, and the players that minimise them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, ClassVar, TypeAlias, TypeVar

from torch import Tensor, nn

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..models.base import LatentModel
from ..models.generative import Generative
from .warmup import Warmup

AnObjective = TypeVar("AnObjective", bound="Objective")


@dataclass(frozen=True, slots=True)
class Terms:
    """What an objective says about a batch, row by row, in nats.

    Args:
        loss: What is minimised, ``(B,)``; the mean over rows is taken once, in the loop.
        parts: Weighted pieces that add up to the loss, ``(B,)`` each.
        watch: Raw quantities for people: the true rate and distortion, whatever their weights, ``(B,)`` each.
    """

    loss: Tensor
    parts: Mapping[str, Tensor]
    watch: Mapping[str, Tensor]


Model: TypeAlias = Any
"""A :class:`Generative` of the class that an objective trains, which each names for itself."""

Loss: TypeAlias = Callable[[Model, Batch, int], Terms]


@dataclass(frozen=True, slots=True)
class Player:
    """One loss and the parameters that minimise it, everything else frozen while it moves.

    Args:
        name: Name in logs and checkpoints.
        parameters: Deduplicated by identity.
        loss: ``(model, batch, step) -> Terms``.
        mixes_rows: Whether the loss of one row depends on other rows.
        lr: Learning rate of this player alone, where it is not the run's.
        when: Whether it plays at a step (0-based); always by default.
        span: First step and end of the steps over which its learning rate takes its course; the whole training by
            default.
    """

    name: str
    parameters: tuple[nn.Parameter, ...]
    loss: Loss
    mixes_rows: bool = False
    lr: float | None = None
    when: Callable[[int], bool] | None = None
    span: tuple[int, int | None] = (0, None)

    def plays_at(self, step: int) -> bool:
        """Whether it moves at an optimisation step."""
        return self.when is None or self.when(step)


class Objective(ABC):
    """Settings of what is minimised; subclasses are frozen dataclasses."""

    trains: ClassVar[type[Any]] = LatentModel
    """The class of models it can train; :meth:`check` may ask for more."""
    is_bound: ClassVar[bool] = True
    """Whether distortion and rate are weighed against each other in nats, so that their scale can be judged."""

    @abstractmethod
    def __call__(self, model: Model, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch at an optimisation step (0-based)."""

    def players(self, model: Model) -> tuple[Player, ...]:
        """Return who minimises what, in the order of play; by default one player with every parameter."""
        return (Player("model", model.own_parameters(), self, mixes_rows=self.mixes_rows(model)),)

    def equip(self, model: Model) -> None:  # noqa: B027 - most objectives need nothing
        """Add the modules that only training needs (a discriminator, say) to ``model.aux``, before the players play.

        Called once for a model, in training and before a checkpoint is read; its random weights come from the ambient
        seed.
        """

    def check(self, model: Model) -> None:  # noqa: B027 - most objectives train any model
        """Refuse a model that this objective cannot train, with the reason.

        Raises:
            CombinationError: The two cannot work together.
        """

    def admit(self, model: Generative) -> None:
        """Refuse a model of another class than this objective trains, and whatever :meth:`check` refuses.

        Raises:
            CombinationError: The two cannot work together.
        """
        if not isinstance(model, self.trains):
            raise CombinationError(
                f"{type(self).__name__} trains a model of the class {self.trains.__name__}, but got one of the class "
                f"{type(model).__name__}. "
                "Leave objective=... out, or choose another recipe."
            )
        self.check(model)

    def mixes_rows(self, model: Model) -> bool:
        """Whether the loss of a row depends on other rows of its batch."""
        mixes: bool = model.mixes_rows
        return mixes

    def headline(self, means: Mapping[str, float]) -> tuple[str, float]:
        """Return name and value of the one number that says how training goes, from means of what is watched.

        The evidence lower bound where distortion and rate are watched, else the loss.
        """
        if "distortion" in means and "rate" in means:
            return "elbo", -(means["distortion"] + means["rate"])
        return "loss", means["loss"]

    def over(self: AnObjective, total_steps: int) -> AnObjective:
        """Return the objective for a training of known length: shares of it become numbers of steps.

        Called once, before training; by default every schedule and every objective inside this one is told.
        """
        own: Any = self
        values = {f.name: getattr(own, f.name) for f in (fields(own) if is_dataclass(own) else ())}
        told = {k: v.over(total_steps) for k, v in values.items() if isinstance(v, Warmup | Objective)}
        replaced: AnObjective = replace(own, **told) if told else own
        return replaced

    @property
    def comparable(self) -> bool:
        """Whether validation losses of different steps can be compared; where not, the latest weights are the best."""
        return True

    def held_out(self, first: Loss) -> Loss:
        """Return the loss that validation rows are judged by; by default that of the first player, which is given."""
        return first

    @property
    def settled_after(self) -> int:
        """Number of steps after which weights no longer change (the end of a warm-up)."""
        return 0
