"""Small runs: a flat model on a few binary rows, everything else as asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from senzai.core.random import forked
from senzai.data.rows import MemoryRows
from senzai.distributions import BernoulliFamily, NormalFamily
from senzai.models.flat import Flat
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.objectives import ELBO
from senzai.parts.likelihoods.decoded import Likelihood
from senzai.parts.posteriors.amortised import Posterior
from senzai.parts.priors.normal import StandardNormal
from senzai.training.events import Event
from senzai.training.feed import Feed, FeedPlan
from senzai.training.listeners import drive
from senzai.training.loop import Training
from senzai.training.settings import TrainSettings
from senzai.training.step import gradient_of_mean

CPU = torch.device("cpu")
DIM = 6


def rows_of(n: int, dim: int = DIM) -> MemoryRows:
    """Binary rows with structure: two prototypes and noise."""
    with forked(5):
        kind = torch.rand(n, 1) < 0.5
        x = torch.where(kind, torch.arange(dim) % 2 == 0, torch.arange(dim) < dim // 2)
        return MemoryRows((x ^ (torch.rand(n, dim) < 0.1)).float())


def flat(seed: int = 0, dim: int = DIM, **network: Any) -> Flat:
    """A model with two latents."""
    with forked(seed):
        return Flat(
            StandardNormal(2),
            Posterior(MLPEncoder((dim,), (8,), **network), NormalFamily(), 2),
            Likelihood(MLPDecoder(2, (1, dim), (8,), **network), BernoulliFamily(), (dim,)),
        )


@dataclass
class Tape:
    """A listener that keeps every event, and may do something at each."""

    events: list[Event] = field(default_factory=list)
    act: Callable[[Event, Training], None] = lambda event, training: None

    def on(self, event: Event, training: Training) -> None:
        self.events.append(event)
        self.act(event, training)

    def of(self, kind: type) -> list[Any]:
        return [e for e in self.events if isinstance(e, kind)]


def make_training(
    *, model=None, objective=None, rows=None, n=70, n_validation=20, in_memory=True, interrupt=None, dropout=0.0,
    columns=(), rule=gradient_of_mean, **settings,
) -> Training:
    s = TrainSettings.parse({"lr": 0.01, "batch_size": 16, "steps": 20, **settings})
    rows = rows or rows_of(n + n_validation)
    index = np.arange(len(rows))
    train, held = index[:n], index[n:]
    model = model or flat(**({"dropout": dropout} if dropout else {}))

    def feed(part, plan, accumulate):
        return Feed(rows, part, plan, device=CPU, in_memory=in_memory, accumulate=accumulate)

    return Training(
        model, objective or ELBO(), feed(train, FeedPlan(n, s.batch_size, s.seed), s.accumulate), s,
        validation=feed(held, FeedPlan(len(held), len(held), s.seed), 1) if len(held) else None, interrupt=interrupt,
        columns=columns, rule=rule,
    )


def run_training(training: Training, *listeners: Any):
    """Train to the end; return the tape."""
    tape = Tape()
    with forked(training.settings.seed):
        drive(training, [*listeners, tape])
    return tape


@pytest.fixture(scope="session")
def make():
    """Make a run: ``make(steps=5, ema=0.9, ...)``."""
    return make_training


@pytest.fixture(scope="session")
def train():
    """Run one to its end: ``train(training, *listeners) -> Tape``."""
    return run_training


@pytest.fixture(scope="session")
def tape():
    """The listener class that keeps events."""
    return Tape


@pytest.fixture(scope="session")
def make_model():
    """Make a flat model: ``make_model(seed, dim=..., dropout=...)``."""
    return flat


@pytest.fixture(scope="session")
def make_rows():
    """Make binary rows: ``make_rows(n, dim)``."""
    return rows_of


@pytest.fixture(scope="session")
def same():
    """Whether two dictionaries of tensors are equal bit for bit."""

    def check(a, b):
        return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)

    return check
