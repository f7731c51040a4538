"""Recurrent networks over sequences of any length; entries behind the end of a row have no effect."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias, final

import torch
from torch import Tensor, nn

from ..core.arguments import at_least
from ..core.batch import Batch, prefixes
from ..core.errors import ShapeError
from ..core.examples import example
from ..core.spec import part
from .inputs import DataInitialised, Scaling, Standardise, as_float
from .layers import check_dropout

Direction: TypeAlias = Literal["backward", "forward", "both"]


def valid_steps(batch: Batch) -> Tensor:
    """Return which steps each row has, ``(B, T)``.

    Example:
        >>> valid_steps(Batch(torch.zeros(2, 3, 1), lengths=torch.tensor([1, 3]))).int().tolist()
        [[1, 0, 0], [1, 1, 1]]
    """
    every = torch.ones(batch.tensor.shape[:2], dtype=torch.bool, device=batch.device)
    return every if batch.lengths is None or isinstance(batch.lengths, dict) else prefixes(batch.lengths, every)


def observed_entries(batch: Batch) -> Tensor:
    """Return which entries of each row were seen, ``(B, T, d)``: those of its steps that have no hole."""
    seen = batch.observed
    return torch.ones_like(batch.tensor, dtype=torch.bool) if seen is None else seen


def flat_steps(batch: Batch) -> Batch:
    """Return the steps that rows have as rows of their own, ``(steps, d)``, with the mask of their entries."""
    valid, seen = valid_steps(batch), batch.observed
    return Batch(batch.tensor[valid], mask=None if seen is None or batch.mask is None else seen[valid])


def backwards(values: Tensor, valid: Tensor) -> Tensor:
    """Reverse each row's valid steps, ``(B, T, d)``; entries behind them stay in place.

    Example:
        >>> backwards(torch.arange(4.0).view(1, 4, 1), torch.tensor([[True, True, True, False]])).flatten().tolist()
        [2.0, 1.0, 0.0, 3.0]
    """
    steps = torch.arange(valid.shape[1], device=valid.device).expand_as(valid)
    last = valid.sum(1, keepdim=True) - 1
    index = torch.where(valid, last - steps, steps)
    return values.gather(1, index.unsqueeze(-1).expand_as(values))


class StepInputs(DataInitialised):
    """Steps ``(B, T, d)`` standardised entry by entry; holes and padding are zero, and marked if ``masked``.

    Args:
        n_features: Entries of one step.
        masked: Whether rows come with holes.
        scaling: How inputs are scaled; see :class:`Standardise`.
    """

    shows_inside: ClassVar[bool] = True

    def __init__(self, n_features: int, *, masked: bool = False, scaling: Scaling | None = None) -> None:
        super().__init__()
        at_least(1, n_features=n_features)
        self.inner = Standardise((n_features,), masked=masked, scaling=scaling)
        self.width = n_features * (2 if masked else 1)

    def initialise(self, batch: Batch) -> None:
        """Take mean and scale from the steps that rows have."""
        steps = flat_steps(batch) if batch.tensor.ndim == 3 else batch
        self.inner.initialise(steps)

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return ``(*lead, width)`` for ``(*lead, d)``."""
        if x.shape[-1] != self.inner.event[0]:
            raise ShapeError(
                f"Steps must have {self.inner.event[0]} entries, but got {x.shape[-1]}. Give sequences (N, T, "
                f"{self.inner.event[0]}), or train a new model."
            )
        lead = x.shape[:-1]
        out: Tensor = self.inner(as_float(x).reshape(-1, x.shape[-1]), observed.expand_as(x).reshape(-1, x.shape[-1]))
        return out.reshape(*lead, -1)


@example(recipe="dmm", data="sequences", settings={})
@part("blocks", "recurrent")
@final
class Recurrent(nn.Module):
    """A gated recurrent network along a sequence, against it, or both.

    Args:
        n_features: Entries of one step.
        width: Width of the state.
        direction: ``"backward"``: a step's state knows it and all that follow; ``"forward"``: all before; ``"both"``.
        masked: Whether rows come with holes.
        scaling: How inputs are scaled.
        dropout: Share of the states' entries dropped in training.

    Example:
        >>> Recurrent(2, 8)(Batch(torch.zeros(3, 5, 2))).shape
        torch.Size([3, 5, 8])
    """

    def __init__(
        self, n_features: int, width: int = 64, *, direction: Direction = "backward", masked: bool = False,
        scaling: Scaling | None = None, dropout: float = 0.0,
    ) -> None:
        super().__init__()
        at_least(1, width=width)
        check_dropout(dropout)
        self.inputs = StepInputs(n_features, masked=masked, scaling=scaling)
        self.ways = {"backward": (True,), "forward": (False,), "both": (True, False)}[direction]
        self.nets = nn.ModuleList(nn.GRU(self.inputs.width, width, batch_first=True) for _ in self.ways)
        self.width, self.drop = width * len(self.ways), nn.Dropout(dropout)

    def forward(self, batch: Batch) -> Tensor:
        """Return the states of each step, ``(B, T, width)``."""
        valid = valid_steps(batch)
        x = self.inputs(batch.tensor, observed_entries(batch))
        found = []
        for turned, net in zip(self.ways, self.nets, strict=True):
            h, _ = net(backwards(x, valid) if turned else x)
            found.append(backwards(h, valid) if turned else h)
        out: Tensor = self.drop(torch.cat(found, -1))
        return out
