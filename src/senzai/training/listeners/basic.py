"""What every run has listening: what may end it, saves it and writes its history."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any, Protocol

from ...core.files import cannot_write, replacing
from ..checkpoint import save_checkpoint
from ..events import Event, Failed, Finished, Interrupted, Progressed, Reached, Recovered, Started, Validated
from ..loop import Training
from ..places import FolderGone, Place


class Listener(Protocol):
    """Base of what receives the events of a run."""

    def on(self, event: Event, training: Training) -> None:
        """Act on an event."""


def drive(training: Training, listeners: list[Listener]) -> Finished | Interrupted:
    """Run ``training`` to its end, pass every event to all listeners, and return the last one."""
    last: Event | None = None
    try:
        for event in training.events():
            for listener in listeners:
                listener.on(event, training)
            last = event
    except BaseException as err:
        failed = Failed(training.progress.step, str(err) or type(err).__name__)
        for listener in listeners:
            listener.on(failed, training)
        raise
    assert isinstance(last, Finished | Interrupted)  # the loop ends with one of the two
    return last


def agreed(training: Training, seen: bool) -> bool:
    """Return what this process sees, or, where processes divide the model and must do the same, what the first does."""
    return training.comms.decided(by_first=seen) if training.divides else seen


class EarlyStopping:
    """Stop after ``patience`` validations without improvement; the count starts when a warm-up has finished."""

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def on(self, event: Event, training: Training) -> None:
        """Look at validations."""
        if isinstance(event, Validated) and event.settled and event.since_best >= self.patience:
            training.stop_early = True


class Present:
    """End the run if its folder was removed, at the end of a step, so that the state is complete.

    Where processes divide the model, all of them have this, and what the first one sees holds for all.

    Raises:
        FolderGone: It is not there any more.
    """

    def __init__(self, place: Place) -> None:
        self.place = place

    def on(self, event: Event, training: Training) -> None:
        """Look whether the folder is there."""
        if isinstance(event, Started | Reached | Interrupted | Finished) and agreed(training, not self.place.held()):
            raise FolderGone(f"after step {event.step}")


class Checkpointer:
    """Save the state when a step with events is complete, at most every ``seconds``, and whenever the run ends.

    Args:
        path: The file; ``None`` for processes that give their share of a divided model to the first one, which writes.
        seconds: Least time between two files, by the clock of the first process.
    """

    def __init__(self, path: Path | None, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self.last = time.monotonic()

    def on(self, event: Event, training: Training) -> None:
        """Save if it is time."""
        first = isinstance(event, Started) and event.step == 0
        due = isinstance(event, Reached) and agreed(training, time.monotonic() - self.last >= self.seconds)
        if first or due or isinstance(event, Interrupted | Finished):
            save_checkpoint(training, self.path)
            self.last = time.monotonic()


class History:
    """Write progress and validations to ``history.jsonl``, an object a line; a resume first cuts what it repeats.

    Args:
        path: The file.
        held: Whether the folder is still that of the run; nothing is written into another.
    """

    def __init__(self, path: Path, held: Callable[[], bool] = lambda: True) -> None:
        self.path, self.held = path, held

    def on(self, event: Event, training: Training) -> None:
        """Append a line."""
        if isinstance(event, Started):
            keep_until(self.path, event.step, training.progress.recoveries)
        line = line_of(event)
        if line is not None:
            self.append(line)

    def append(self, line: dict[str, Any]) -> None:
        """Write one line.

        Raises:
            OutputError: The file cannot be written.
        """
        if not self.held():
            return
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(as_text([line]))
        except OSError as err:
            raise cannot_write(self.path, err) from err


def as_text(lines: list[dict[str, Any]]) -> str:
    """Return lines of a history as they are written."""
    return "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)


def line_of(event: Event) -> dict[str, Any] | None:
    """Return what a history keeps of an event, if anything; a number that is not finite is ``None``.

    Example:
        >>> line_of(Reached(3)) is None
        True
    """
    if isinstance(event, Recovered):
        return plain({"kind": "recovered", **asdict(event)})
    if isinstance(event, Progressed | Validated):
        kind = "train" if isinstance(event, Progressed) else "validation"
        facts = asdict(event)
        return plain({"kind": kind, **facts.pop("metrics"), **facts})
    return None


def plain(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line as JSON has it."""
    return {k: None if isinstance(v, float) and not isfinite(v) else v for k, v in line.items()}


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return all lines of a history; what follows a line that was cut short is left out."""
    if not path.is_file():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines


def read_history(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a history; what a recovery made undone is left out.

    Example:
        >>> read_history(Path("no-such-file.jsonl"))
        []
    """
    found: list[dict[str, Any]] = []
    for line in _lines(path):
        if line["kind"] == "recovered":
            found = [old for old in found if old["kind"] == "recovered" or old["step"] <= line["back_to"]]
        found.append(line)
    return found


def keep_until(path: Path, step: int, recoveries: int = 0) -> None:
    """Cut a history to what had happened at ``step`` after so many recoveries."""
    if not path.exists():
        return
    kept, recovered = [], 0
    for line in _lines(path):
        is_recovery = line["kind"] == "recovered"
        recovered += is_recovery
        if recovered < recoveries or (recovered == recoveries and (is_recovery or line["step"] <= step)):
            kept.append(line)
    with replacing(path) as tmp:
        tmp.write_text(as_text(kept), encoding="utf-8")
