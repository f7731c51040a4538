"""Copies of weights: snapshots that a run can restore, and the running average of weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from ..models.generative import Generative
from .optimisers import Optimiser
from .shares import held, shares

Tensors = dict[str, Tensor]


def clone(state: Tensors) -> Tensors:
    """Return a copy of a state dictionary that training does not touch."""
    return {k: v.detach().clone() for k, v in state.items()}


def join(prefix: str, tensors: Tensors) -> Tensors:
    """Put ``prefix/`` before every name."""
    return {f"{prefix}/{k}": v for k, v in tensors.items()}


def under(prefix: str, tensors: Tensors) -> Tensors:
    """Return what :func:`join` named with ``prefix``."""
    return {k.removeprefix(f"{prefix}/"): v for k, v in tensors.items() if k.startswith(f"{prefix}/")}


class Average:
    """Exponential moving average of parameters; buffers follow the model."""

    def __init__(self, model: Generative, decay: float) -> None:
        self.decay = decay
        self.shadow = {n: p.detach().clone() for n, p in model.named_parameters()}
        self.steps = 0

    @torch.no_grad()
    def update(self, model: Generative) -> None:
        """Move a little towards the model; early steps count more, so that the start is forgotten."""
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 9))
        live = [held(p.detach()) for p in model.parameters()]
        torch._foreach_lerp_([held(s) for s in self.shadow.values()], live, 1 - decay)

    def put(self, shadow: Tensors, steps: int) -> None:
        """Go on from a copy; a file gives tensors back in the order of their names, not in that of the parameters."""
        self.shadow, self.steps = {n: shadow[n].clone() for n in self.shadow}, steps

    def state(self, model: Generative) -> Tensors:
        """Return the model's state with averaged parameters; a shared one is averaged under each of its names."""
        first = {id(p): n for n, p in model.named_parameters()}
        state = model.state_dict(keep_vars=True)
        return {k: self.shadow[first[id(v)]] if id(v) in first else v.detach() for k, v in state.items()}

    @contextmanager
    def applied(self, model: Generative) -> Iterator[None]:
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
    model: Tensors
    optimisers: tuple[Tensors, ...]
    average: Tensors | None
    average_steps: int

    @classmethod
    def of(
        cls, model: Generative, optimisers: Sequence[Optimiser], average: Average | None, step: int
    ) -> Snapshot:
        """Copy the state of a run."""
        return cls(
            step,
            clone(model.state_dict()),
            tuple(clone(o.tensors()) for o in optimisers),
            clone(average.shadow) if average else None,
            average.steps if average else 0,
        )

    def put(self, model: Generative, optimisers: Sequence[Optimiser], average: Average | None) -> None:
        """Write the state back."""
        model.load_state_dict(self.model)
        for optimiser, tensors in zip(optimisers, self.optimisers, strict=True):
            optimiser.load(tensors)
        if average is not None and self.average is not None:
            average.put(self.average, self.average_steps)

    def flat(self) -> tuple[dict[str, int], Tensors]:
        """Return the state as plain numbers and one flat dictionary of tensors, for a file."""
        tensors = join("model", self.model) | join("average", self.average or {})
        for i, optimiser in enumerate(self.optimisers):
            tensors |= join(f"optimiser{i}", optimiser)
        return {"step": self.step, "average_steps": self.average_steps}, tensors

    @classmethod
    def from_flat(
        cls, facts: dict[str, int], tensors: Tensors, *, model: Generative, optimisers: Sequence[Optimiser]
    ) -> Snapshot:
        """Undo :meth:`flat`, where the model is; moments stay where the optimiser will place them from.

        Of what the model divides over processes, the share of this one is kept.
        """
        like = model.state_dict()
        moments = []
        for i, optimiser in enumerate(optimisers):
            params = [p for g in optimiser.groups for p in g.params]
            own = under(f"optimiser{i}", tensors)
            moments.append(shares(own, {k: params[int(k.partition(".")[0])] for k in own}))
        return cls(
            facts["step"],
            to(shares(under("model", tensors), like), model.device),
            tuple(moments),
            to(shares(under("average", tensors), like), model.device) or None,
            facts["average_steps"],
        )


def to(tensors: Tensors, device: torch.device) -> Tensors:
    """Return the tensors on ``device``."""
    return {k: v.to(device) for k, v in tensors.items()}
