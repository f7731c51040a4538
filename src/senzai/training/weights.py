"""Copies of weights: the state a run can go back to, and the running average of weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..models.base import LatentModel


def clone(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a copy of a state dictionary that training does not touch."""
    return {k: v.detach().clone() for k, v in state.items()}


class Average:
    """Exponential moving average of parameters; buffers follow the model."""

    def __init__(self, model: LatentModel, decay: float) -> None:
        self.decay = decay
        self.shadow = {n: p.detach().clone() for n, p in model.named_parameters()}
        self.steps = 0

    @torch.no_grad()
    def update(self, model: LatentModel) -> None:
        """Move a little towards the model; early steps count more, so that the start is forgotten."""
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 9))
        live = [p.detach() for p in model.parameters()]
        torch._foreach_lerp_(list(self.shadow.values()), live, 1 - decay)

    def state(self, model: LatentModel) -> dict[str, Tensor]:
        """Return the model's state with averaged parameters."""
        return {k: self.shadow.get(k, v) for k, v in model.state_dict().items()}

    @contextmanager
    def applied(self, model: LatentModel) -> Iterator[None]:
        """Put the averaged weights into the model for a while."""
        live = clone(model.state_dict())
        model.load_state_dict(self.state(model))
        try:
            yield
        finally:
            model.load_state_dict(live)


@dataclass(frozen=True)
class Snapshot:
    """All tensors that training changes, and the step they belong to."""

    step: int
    model: dict[str, Tensor]
    optimisers: tuple[dict[str, Tensor], ...]
    average: dict[str, Tensor] | None
    average_steps: int

    @classmethod
    def of(
        cls, model: LatentModel, optimisers: Sequence[Optimizer], average: Average | None, step: int
    ) -> Snapshot:
        """Copy the state of a run."""
        return cls(
            step,
            clone(model.state_dict()),
            tuple(clone(optimiser_tensors(o)) for o in optimisers),
            clone(average.shadow) if average else None,
            average.steps if average else 0,
        )

    def put(self, model: LatentModel, optimisers: Sequence[Optimizer], average: Average | None) -> None:
        """Write the state back."""
        model.load_state_dict(self.model)
        for optimiser, tensors in zip(optimisers, self.optimisers, strict=True):
            load_optimiser(optimiser, tensors)
        if average is not None and self.average is not None:
            average.shadow = clone(self.average)
            average.steps = self.average_steps


def optimiser_tensors(optimiser: Optimizer) -> dict[str, Tensor]:
    """Return the tensors of an optimiser, named ``parameter.moment``."""
    state = optimiser.state_dict()["state"]
    return {f"{i}.{k}": v for i, slots in state.items() for k, v in slots.items() if isinstance(v, Tensor)}


def load_optimiser(optimiser: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put tensors of :func:`optimiser_tensors` back."""
    state: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = value.clone()
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
