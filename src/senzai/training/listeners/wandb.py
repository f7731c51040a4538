"""Weights & Biases: parameters and curves of a run, offline unless the user says otherwise."""

from __future__ import annotations

import os
from typing import Any

from ...core.extras import need
from ..events import Event, Failed, Finished, Interrupted, Started
from ..loop import Training
from .trackers import TrackedRun, scalars, tracker

PROJECT = "senzai"


class WeightsAndBiases:
    """Write parameters, progress and validations for Weights & Biases (extra ``wandb``).

    Nothing leaves the machine unless ``WANDB_MODE=online`` is set: what is written offline, into the folder of the run
    or here, is sent by ``wandb sync`` when the user wants that. ``WANDB_PROJECT`` names the project, else ``senzai``.

    Args:
        run: What is tracked.
    """

    def __init__(self, run: TrackedRun) -> None:
        self.run = run
        self.wandb: Any = need("wandb", extra="wandb", to="write for Weights & Biases")
        self.kept: Any = None

    def on(self, event: Event, training: Training) -> None:
        """Begin a run, write what is new, and end it."""
        if isinstance(event, Started):
            self._begin(event)
        if self.kept is None:
            return
        if found := dict(scalars(event)):
            self.kept.log(found, step=event.step)
        if isinstance(event, Finished | Interrupted | Failed):
            self.kept.finish(exit_code=0 if isinstance(event, Finished) else 1)

    def _begin(self, event: Started) -> None:
        place = os.fspath(self.run.work) if self.run.work is not None else os.getcwd()
        told = {**self.run.settings, "n_parameters": event.n_parameters, "total_steps": event.total_steps}
        self.kept = self.wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT, name=self.run.name, dir=place, config=told,
            mode=os.environ.get("WANDB_MODE") or "offline", reinit="create_new",
            settings=self.wandb.Settings(console="off", save_code=False, disable_git=True, silent=True),
        )


@tracker("wandb")
def weights_and_biases(run: TrackedRun) -> WeightsAndBiases:
    """Return what writes for Weights & Biases."""
    return WeightsAndBiases(run)
