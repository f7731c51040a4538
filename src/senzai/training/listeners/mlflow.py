"""MLflow: parameters and curves of a run in a tracking store."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...core.extras import need
from ...core.warning_filters import ignore_warnings
from ..events import Event, Failed, Finished, Interrupted, Started
from ..loop import Training
from .trackers import TrackedRun, scalars, tracker

EXPERIMENT = "senzai"
FOLDER = "senzai.folder"
LONGEST = 500
"""Characters of a parameter that every store takes."""
ALLOW_FILES = "MLFLOW_ALLOW_FILE_STORE"
ENDS = {Finished: "FINISHED", Interrupted: "KILLED", Failed: "FAILED"}


class MLflow:
    """Write parameters, progress and validations to MLflow (extra ``mlflow``).

    The store is the one that ``MLFLOW_TRACKING_URI`` or ``mlflow.set_tracking_uri`` names, else the folder ``mlruns``
    here; the experiment is that of ``MLFLOW_EXPERIMENT_NAME``, else ``senzai``. A resumed run goes on in its own.

    Args:
        run: What is tracked.
    """

    def __init__(self, run: TrackedRun) -> None:
        self.run = run
        self.mlflow = package()
        uri = self.mlflow.get_tracking_uri() if self.mlflow.is_tracking_uri_set() else os.path.abspath("mlruns")
        with files_allowed():
            self.client: Any = self.mlflow.MlflowClient(tracking_uri=uri)
        self.run_id = ""

    def on(self, event: Event, training: Training) -> None:
        """Begin a run, write what is new, and end it."""
        if isinstance(event, Started):
            self._begin(event)
        now = int(1000 * time.time())
        found = [self.mlflow.entities.Metric(name, value, now, event.step) for name, value in scalars(event)]
        if found:
            self.client.log_batch(self.run_id, metrics=found)
        if isinstance(event, Finished | Interrupted | Failed) and self.run_id:
            self.client.set_terminated(self.run_id, ENDS[type(event)])

    def _begin(self, event: Started) -> None:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        known = self.client.get_experiment_by_name(name)
        experiment = known.experiment_id if known is not None else self.client.create_experiment(name)
        before = self._earlier(experiment) if event.step > 0 else None
        if before is not None:
            self.run_id = before
            self.client.update_run(before, status="RUNNING")
            return
        tags = {} if self.run.folder is None else {FOLDER: str(self.run.folder)}
        self.run_id = self.client.create_run(experiment, tags=tags, run_name=self.run.name).info.run_id
        told = {**self.run.settings, "n_parameters": event.n_parameters, "total_steps": event.total_steps}
        params = [self.mlflow.entities.Param(k, str(v)[:LONGEST]) for k, v in told.items() if v is not None]
        for at in range(0, len(params), 100):
            self.client.log_batch(self.run_id, params=params[at : at + 100])

    def _earlier(self, experiment: str) -> str | None:
        """Return the run of this folder that was begun last."""
        if self.run.folder is None:
            return None
        asked = f"tags.`{FOLDER}` = '{self.run.folder!s}'"
        found = self.client.search_runs([experiment], asked, max_results=1, order_by=["attributes.start_time DESC"])
        return str(found[0].info.run_id) if found else None


def package() -> Any:
    """Return MLflow; what it warns of while it is imported is about its own types.

    Raises:
        MissingExtraError: It is not installed.
    """
    with ignore_warnings():
        return need("mlflow", extra="mlflow", to="write to MLflow")


@contextmanager
def files_allowed() -> Iterator[None]:
    """Let MLflow use a folder as its store inside the block, unless the user has decided that."""
    before = os.environ.get(ALLOW_FILES)
    os.environ.setdefault(ALLOW_FILES, "true")
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(ALLOW_FILES, None)


@tracker("mlflow")
def mlflow(run: TrackedRun) -> MLflow:
    """Return what writes to MLflow's tracking store."""
    return MLflow(run)
