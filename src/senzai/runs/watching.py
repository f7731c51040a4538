"""Checks during training: those that need the history alone; each warns once, as soon as it is sure."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ..core.terminal import safe
from ..evaluation.diagnosis import DiagnosisFacts, Finding, Told, examine
from ..objectives.base import Objective
from ..training.events import Event, Finished, Progressed, Recovered, Started, Validated
from ..training.listeners import History, line_of, plain, read_history
from ..training.loop import Training

EVERY = 10
WARNING = "warning"


def say(text: str) -> None:
    """Write a warning to stderr."""
    sys.stderr.write(f"Warning: {safe(text)}\n")


class Watch:
    """Runs the live checks on the events of training; it computes nothing with the model.

    Args:
        history: Where warnings are recorded besides, and read from when a run goes on.
        emit: Told of each warning, once.
    """

    def __init__(self, history: History | None = None, emit: Callable[[str], None] = say) -> None:
        self.history, self.emit = history, emit
        self.lines: list[dict[str, Any]] = []
        self.warned: set[str] = set()
        self._looked = 0

    def on(self, event: Event, training: Training) -> None:
        """Record an event, and run the checks where they are due."""
        if isinstance(event, Started) and event.step > 0 and self.history is not None:
            self.lines = read_history(self.history.path)
            self.warned = {h["name"] for h in self.lines if h["kind"] == WARNING}
        if isinstance(event, Recovered):
            self.lines = [h for h in self.lines if h["kind"] == "recovered" or h["step"] <= event.back_to]
        line = line_of(event)
        if line is not None:
            self.lines.append(line)
        self._looked += isinstance(event, Progressed)
        due = isinstance(event, Progressed) and self._looked % EVERY == 0
        if due or isinstance(event, Validated | Recovered | Finished):
            self._look(training)

    def _look(self, training: Training) -> None:
        facts = DiagnosisFacts(told=Told(
            history=tuple(self.lines), beta=beta_of(training.objective), lr=training.settings.lr,
            settled_after=training.objective.settled_after, total_steps=training.progress.step,
            comparable=training.objective.comparable,
        ))
        for finding in examine(facts, live=True).findings:
            if finding.sure and finding.name not in self.warned:
                self._warn(finding, training.progress.step)

    def _warn(self, finding: Finding, step: int) -> None:
        self.warned.add(finding.name)
        line = plain({"kind": WARNING, "step": step, "name": finding.name, "sentence": finding.sentence,
                      "value": finding.value, "threshold": finding.threshold})
        self.lines.append(line)
        if self.history is not None:
            self.history.append(line)
        self.emit(f"{finding.sentence} {finding.remedy.words}{as_options(finding)}")


def as_options(finding: Finding) -> str:
    """Return the settings of a remedy as they are typed.

    Example:
        >>> from senzai.evaluation.diagnosis import Remedy
        >>> as_options(Finding("a", "note", "", 1, 1, True, "", "", Remedy("", {"lr": 0.1, "hidden": (8, 8)})))
        ' (--set lr=0.1 --set hidden=8,8)'
    """
    def text(value: Any) -> str:
        return ",".join(map(str, value)) if isinstance(value, tuple | list) else f"{value}"

    told = [f"--set {k}={text(v)}" for k, v in finding.remedy.settings.items() if v is not None]
    told += [f"--recipe {finding.remedy.recipe}"] if finding.remedy.recipe else []
    return f" ({' '.join(told)})" if told else ""


def beta_of(objective: Objective) -> float | None:
    """Return the weight of the rate in an objective that has one."""
    beta = getattr(objective, "beta", None)
    return float(beta) if isinstance(beta, int | float) else None
