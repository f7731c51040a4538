"""Rows that are there to be found: a private training of nothing else, through the very steps of a private run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..core.batch import Batch, Data
from ..core.errors import CombinationError
from ..core.random import forked
from ..core.secret import Secret
from ..models.generative import Generative
from ..objectives.base import Player, Terms
from .comms import Comms
from .feed import Piece
from .private import PoissonPlan, PrivateGradients
from .settings import TrainSettings
from .step import Stepper

LOUD = 20.0
"""Norm of a canary's gradient before it is cut, over the clip: a clip that does not hold shows at once."""


@final
class Perch(Generative):
    """Weights of which each canary pulls one: nothing that rows could be drawn from.

    Args:
        n: Number of weights.
        loud: Norm of the gradient of a canary.
    """

    def __init__(self, n: int, loud: float) -> None:
        super().__init__()
        self.weights, self.loud = nn.Parameter(torch.zeros(n)), loud

    def simulate(self, n: int, c: Tensor | None = None, *, temperature: float = 1.0, noise: bool = True) -> Data:
        """Refuse."""
        raise CombinationError("A perch of canaries draws no rows.")

    def loss(self, model: Any, batch: Batch, step: int) -> Terms:
        """Return the loss of canaries: the weight that each pulls, times how loud it is."""
        value = -self.loud * self.weights[batch.tensor[:, 0].long()]
        return Terms(value, {"loss": value}, {})


@dataclass(frozen=True)
class Flock:
    """What came of canaries.

    Args:
        there: Which of them were in the training, ``(m,)``.
        scores: How far each one's weight was pulled, ``(m,)``.
    """

    there: NDArray[np.bool_]
    scores: NDArray[np.float64]


def sing(
    rule: PrivateGradients, *, sample_rate: float, steps: int, canaries: int = 1000, seed: int = 0, loud: float = LOUD
) -> Flock:
    """Train privately on canaries alone, each there by a coin, and say how far each weight was pulled.

    Every canary's gradient is along a weight of its own, the hardest case for the guarantee: nothing hides it but the
    noise. Rows are drawn, gradients taken, cut, added up and covered by the code of a private run.

    Args:
        rule: The rule of a private run: its clip, noise and expected rows.
        sample_rate: Probability with which a row is in a step.
        steps: Steps of the training.
        canaries: How many there could be.
        seed: Seed of the coins.
        loud: Norm of a canary's gradient over the clip, before it is cut.
    """
    rng = np.random.default_rng(seed)
    there = rng.random(canaries) < 0.5
    rows = torch.from_numpy(np.flatnonzero(there)).float().unsqueeze(1)  # which weight each of them pulls
    model = Perch(canaries, loud * rule.clip)
    player = Player("model", (model.weights,), model.loss)
    stepper = Stepper(
        model, player, TrainSettings(lr=1.0, optimiser="sgd", seed=seed), device=torch.device("cpu"), comms=Comms(),
        dtype=None, rule=rule,
    )
    plan = PoissonPlan(max(1, len(rows)), rule.batch_size, seed, secret=Secret.seeded(seed), share=sample_rate)
    pulled = torch.zeros(canaries, dtype=torch.float64)
    with forked(seed), stepper.playing():
        for step in range(steps):
            chosen = plan.rows(torch.tensor([step]), 0)
            stepper.optimiser.zero_grad()
            rule(stepper, [Piece(Batch(rows[chosen]), 0, plan.total(chosen))], step)
            assert model.weights.grad is not None  # the rule left it
            pulled -= model.weights.grad.double()
    return Flock(there, pulled.numpy())
