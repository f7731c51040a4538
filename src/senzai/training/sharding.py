"""Dividing the model of a run over its processes: a trial shows what can be gathered apart, and all do the same."""

from __future__ import annotations

import json

import torch

from ..core.local_random import locally_seeded
from ..core.random import Noise, using
from ..models.generative import Generative
from ..objectives.base import Objective
from .comms import Comms
from .divided import Ask, divide
from .feed import Feed
from .grouping import groups
from .settings import TrainSettings

ROWS = 8
"""Rows of the trial."""


def divides(settings: TrainSettings, comms: Comms) -> bool:
    """Whether the processes of a run divide the model; one alone holds all of it, whatever is set."""
    return settings.shard_model and comms.world > 1


def shard(model: Generative, objective: Objective, feed: Feed, comms: Comms, *, last: int) -> Ask:
    """Divide a model over the processes of a run, in place, and return what asks it.

    The first process finds the parts to gather apart, where the model is now: on a CPU, if it does not fit a device.

    Args:
        model: The model, whole and the same in every process.
        objective: What is minimised.
        feed: Training rows.
        comms: The processes.
        last: The last step, 0-based.
    """
    names = groups(model, lambda: _trial(model, objective, feed, last)) if comms.is_main else []
    told = comms.gather(json.dumps(names))[0]
    return divide(model, json.loads(told), feed.device, comms.world)


@torch.enable_grad()
def _trial(model: Generative, objective: Objective, feed: Feed, last: int) -> None:
    """Compute every loss of a training and of its validation for a few rows."""
    batch = feed.pieces_of(0)[0].batch.take(slice(0, ROWS)).to(model.device)
    players, mode = objective.players(model), model.training
    noise = Noise.seeded(0, device=model.device, total=len(batch))
    with locally_seeded(0), using(noise):
        for step in sorted({0, last}):
            for player in players:
                player.loss(model.train(), batch, step)
            objective.held_out(players[0].loss)(model.eval(), batch, step)
    model.train(mode)
