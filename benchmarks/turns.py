"""Our training loop and others in turns of a few steps, so that all of them see the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from senzai.models import LatentModel
from senzai.objectives import Objective
from senzai.training.events import Progressed
from senzai.training.feed import Feed, FeedPlan
from senzai.training.loop import Training
from senzai.training.settings import TrainSettings

TURN = 20
"""Steps of one turn."""


def in_turns(steps: Iterator[None]) -> Iterator[None]:
    """Take a turn of steps at a time."""
    while True:
        for _ in range(TURN):
            next(steps)
        yield


def own_turns(made: tuple[LatentModel, Objective], dataset: Any, *, batch_size: int) -> Iterator[None]:
    """Train with our loop, a turn at a time: everything that ``fit`` does in a step, looked at once a turn."""
    steps = 10**6
    settings = TrainSettings(
        steps=steps, batch_size=batch_size, precision="fp32", validate_every=steps, log_every=TURN, lr=1e-3,
        schedule="constant",
    )
    plan = FeedPlan(len(dataset), batch_size, 0)
    feed = Feed(dataset.rows, np.arange(len(dataset)), plan, device=torch.device("cpu"))
    for event in Training(*made, feed, settings).events():
        if isinstance(event, Progressed):
            yield


def beside(rounds: int, *, senzai: Iterator[None], bare: Iterator[None]) -> dict[str, Any]:
    """Return milliseconds of processor time a step and their ratio, from alternating turns; the first two do not count.

    ``ratio`` is the median of the ratios of neighbouring turns, ``ratio_of_least`` that of the quickest turns.
    """
    found: dict[str, list[float]] = {"senzai": [], "bare": []}
    for _ in range(rounds + 2):
        for name, turns in (("senzai", senzai), ("bare", bare)):
            began = time.process_time()
            next(turns)
            found[name].append(1000 * (time.process_time() - began) / TURN)
    kept = {name: values[2:] for name, values in found.items()}
    return {
        "step_ms": {name: statistics.median(values) for name, values in kept.items()},
        "ratio": statistics.median(a / b for a, b in zip(kept["senzai"], kept["bare"], strict=True)),
        "ratio_of_least": min(kept["senzai"]) / min(kept["bare"]), "values": kept,
    }
