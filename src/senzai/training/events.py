"""Events that the loop yields and listeners react to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Started:
    """Training begins, at step 0 or where it was stopped."""

    step: int
    total_steps: int
    steps_per_epoch: int
    batch_size: int
    n_parameters: int
    precision: str


@dataclass(frozen=True)
class Progressed:
    """Means over the steps since the last such event; all per row, in nats."""

    step: int
    epoch: float
    metrics: Mapping[str, float]
    lr: float
    grad_norm: float
    samples_per_second: float
    seconds: float


@dataclass(frozen=True)
class Validated:
    """Means over validation rows with settled weights; ``since_best`` counts validations without improvement."""

    step: int
    epoch: float
    metrics: Mapping[str, float]
    best: bool
    best_step: int
    since_best: int
    settled: bool
    seconds: float


@dataclass(frozen=True)
class Reached:
    """The last event of a step: a checkpoint made now holds the complete state after ``step`` steps."""

    step: int


@dataclass(frozen=True)
class Recovered:
    """A loss was not finite: the last good state was restored and the learning rate lowered."""

    step: int
    back_to: int
    tries_left: int
    lr_factor: float
    explanation: str


@dataclass(frozen=True)
class Interrupted:
    """A signal asked to stop; the state after ``step`` steps is complete."""

    step: int
    signal: int


@dataclass(frozen=True)
class Failed:
    """An error ends the run; ``drive`` tells listeners before it is raised, so that they can close."""

    step: int
    error: str


@dataclass(frozen=True)
class Finished:
    """All steps are done, or a listener stopped the run; the best weights are in the model."""

    step: int
    best_step: int
    early: bool
    seconds: float


Event: TypeAlias = Started | Progressed | Validated | Reached | Recovered | Interrupted | Failed | Finished
