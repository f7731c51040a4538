"""Listeners: what consumes the events of a run."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from ..core.extras import need
from ..core.files import cannot_write, replacing
from .checkpoint import save_checkpoint
from .events import Event, Finished, Interrupted, Progressed, Recovered, Started, Validated
from .loop import Training


class Listener(Protocol):
    """Anything that wants to know what happens."""

    def on(self, event: Event, training: Training) -> None:
        """Act on an event."""


def drive(training: Training, listeners: list[Listener]) -> Finished | Interrupted:
    """Run ``training`` to its end and tell every listener; return the last event."""
    last: Event | None = None
    for event in training.events():
        for listener in listeners:
            listener.on(event, training)
        last = event
    assert isinstance(last, Finished | Interrupted)  # the loop ends with one of the two
    return last


class EarlyStopping:
    """Stop after ``patience`` validations without improvement; the count starts when a warm-up has finished."""

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def on(self, event: Event, training: Training) -> None:
        """Look at validations."""
        if isinstance(event, Validated) and event.settled and event.since_best >= self.patience:
            training.stop_early = True


class Checkpointer:
    """Save the state after validations and progress events, at most every ``seconds``, and whenever the run ends."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self.last = time.monotonic()

    def on(self, event: Event, training: Training) -> None:
        """Save if it is time."""
        due = time.monotonic() - self.last >= self.seconds
        regular = isinstance(event, Validated | Progressed) and due
        if isinstance(event, Started) and event.step == 0:
            regular = True
        if isinstance(event, Interrupted | Finished) or regular:
            save_checkpoint(training, self.path)
            self.last = time.monotonic()


class History:
    """Write progress and validations to ``history.jsonl``, one JSON object a line; what a resume repeats is cut first."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on(self, event: Event, training: Training) -> None:
        """Append a line."""
        if isinstance(event, Started):
            keep_until(self.path, event.step)
        if isinstance(event, Recovered):
            self._append({"kind": "recovered", **asdict(event)})
        if isinstance(event, Progressed | Validated):
            kind = "train" if isinstance(event, Progressed) else "validation"
            facts = asdict(event)
            self._append({"kind": kind, **facts.pop("metrics"), **facts})

    def _append(self, line: dict[str, Any]) -> None:
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as err:
            raise cannot_write(self.path, err) from err


def read_history(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a history; a last line that was cut short is left out.

    Example:
        >>> read_history(Path("no-such-file.jsonl"))
        []
    """
    if not path.is_file():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines


def keep_until(path: Path, step: int) -> None:
    """Cut a history to what happened up to ``step``."""
    if not path.exists():
        return
    kept = [line for line in read_history(path) if line["step"] <= step]
    with replacing(path) as tmp:
        tmp.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")


class TensorBoard:
    """Write progress and validations for TensorBoard (extra ``tensorboard``)."""

    def __init__(self, folder: Path) -> None:
        self.writer = need(
            "torch.utils.tensorboard", extra="tensorboard", to="write TensorBoard logs"
        ).SummaryWriter(os.fspath(folder))

    def on(self, event: Event, training: Training) -> None:
        """Write scalars."""
        if isinstance(event, Progressed | Validated):
            kind = "train" if isinstance(event, Progressed) else "validation"
            for name, value in event.metrics.items():
                self.writer.add_scalar(f"{kind}/{name}", value, event.step)
        if isinstance(event, Finished | Interrupted):
            self.writer.close()
