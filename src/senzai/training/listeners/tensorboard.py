"""TensorBoard: curves in the folder of a run."""

from __future__ import annotations

import os
from pathlib import Path

from ...core.errors import SettingError
from ...core.extras import need
from ..events import Event, Failed, Finished, Interrupted
from ..loop import Training
from .trackers import TrackedRun, scalars, tracker


class TensorBoard:
    """Write progress and validations for TensorBoard (extra ``tensorboard``)."""

    def __init__(self, folder: Path) -> None:
        self.writer = need(
            "torch.utils.tensorboard", extra="tensorboard", to="write TensorBoard logs"
        ).SummaryWriter(os.fspath(folder))

    def on(self, event: Event, training: Training) -> None:
        """Write scalars."""
        for name, value in scalars(event):
            self.writer.add_scalar(name, value, event.step)
        if isinstance(event, Finished | Interrupted | Failed):
            self.writer.close()


@tracker("tensorboard")
def tensorboard(run: TrackedRun) -> TensorBoard:
    """Return what writes into the folder of a run.

    Raises:
        SettingError: The run has none.
    """
    if run.work is None:
        raise SettingError("TensorBoard reads the folder of a run, but this run has none. Give one: out=... (--out).")
    return TensorBoard(run.work / "tensorboard")
