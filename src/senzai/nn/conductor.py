"""A decoder of symbols that plans segment by segment: bars of music, sentences of a text."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..core.arguments import at_least
from .tokens import State, TokenSteps


@final
class ConductorSteps(TokenSteps):
    """A recurrent network that makes a plan for each segment, and one that goes through a segment by its plan.

    The second starts anew in each segment, from the plan, so that what is far back is known by the plan alone, and the
    plan from the context alone: long rows cannot do without the code.

    Reference:
        A Hierarchical Latent Vector Model for Learning Long-Term Structure in Music (Roberts et al., 2018).
        https://arxiv.org/abs/1803.05428

    Args:
        n: Number of different symbols.
        n_context: Width of the context.
        segment: Symbols of a segment.
        width: Width of the state within a segment.
        plan: Width of a plan, and of the state that makes them.
        embedding: Width of a symbol's vector.
        dropout: Share of entries dropped in training.
        skip: Whether the context also reaches the logits directly.

    Example:
        >>> net = ConductorSteps(10, 2, segment=2, width=8, plan=4)
        >>> net.states(torch.zeros(3, 5, dtype=torch.long), torch.zeros(3, 2)).shape
        torch.Size([3, 5, 8])
    """

    def __init__(
        self, n: int, n_context: int, *, segment: int = 16, width: int = 256, plan: int = 256, embedding: int = 128,
        dropout: float = 0.0, skip: bool = True,
    ) -> None:
        super().__init__(n, n_context, width=width, embedding=embedding, dropout=dropout, skip=skip)
        at_least(1, segment=segment, plan=plan)
        self.segment = segment
        self.conductor = nn.GRU(max(1, n_context), plan, batch_first=True)
        self.first = nn.Linear(n_context, plan) if n_context else None
        self.start, self.net = nn.Linear(plan, width), nn.GRU(embedding + plan, width, batch_first=True)

    def states(self, previous: Tensor, context: Tensor) -> Tensor:
        """Return the state at every step; the segments of all rows go side by side."""
        rows, steps = previous.shape
        n = -(-steps // self.segment)
        whole = F.pad(previous, (0, n * self.segment - steps))
        told = self._told(context).unsqueeze(1).expand(-1, n, -1).contiguous()
        plans = self.conductor(told, self._begin(context).unsqueeze(0))[0].flatten(0, 1)
        vectors = self.drop(self.symbols(whole)).view(rows * n, self.segment, -1)
        inside = torch.cat([vectors, plans.unsqueeze(1).expand(-1, self.segment, -1)], -1)
        out: Tensor = self.net(inside, torch.tanh(self.start(plans)).unsqueeze(0))[0]
        return out.reshape(rows, n * self.segment, self.width)[:, :steps]

    def _told(self, context: Tensor) -> Tensor:
        """Return what the conductor is told at each segment."""
        weight = self.start.weight
        return context.to(weight.dtype) if self.n_context else weight.new_zeros(len(context), 1)

    def _begin(self, context: Tensor) -> Tensor:
        if self.first is None:
            return self.start.weight.new_zeros(len(context), self.conductor.hidden_size)
        first: Tensor = torch.tanh(self.first(context))
        return first

    def begin(self, context: Tensor) -> State:
        """Return the conductor's state, a plan, the state within the segment, the context, and the steps so far."""
        before = self._begin(context)
        inside = before.new_zeros(len(context), self.width)
        return before, before, inside, context, torch.zeros(len(context), dtype=torch.long, device=context.device)

    def step(self, previous: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the next state; where a segment begins, by a new plan."""
        before, plan, inside, context, count = state
        if len(count) and int(count[0]) % self.segment == 0:
            plan = self.conductor(self._told(context).unsqueeze(1), before.unsqueeze(0).contiguous())[0][:, 0]
            before, inside = plan, torch.tanh(self.start(plan))
        told = torch.cat([self.symbols(previous), plan], -1).unsqueeze(1)
        out = self.net(told, inside.unsqueeze(0).contiguous())[0][:, 0]
        return out, (before, plan, out, context, count + 1)
