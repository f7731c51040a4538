"""Answers as values come in: row by row, or for a window that moves over a series."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ExportedModelError
from .numbers import Array

VERBS = ("encode", "score")


class Stream:
    """A verb for values that come one after the other.

    For rows that are series ``(steps, ...)`` each value is a step, and the answer is that of the last ``steps`` of
    them; for other rows each value is a row.

    Args:
        model: The exported model.
        verb: ``encode`` or ``score``.
        hop: Answer every so many values, once there are enough for a row.
        **settings: Settings of the verb.

    Raises:
        ExportedModelError: The verb cannot be streamed.
    """

    def __init__(self, model: Any, verb: str = "score", *, hop: int = 1, **settings: Any) -> None:
        if verb not in VERBS or hop < 1:
            raise ExportedModelError(
                f"Streamed are {' and '.join(VERBS)} with hop >= 1, but got {verb!r}, hop={hop!r}. Choose one."
            )
        self.model, self.verb, self.hop, self.settings = model, verb, hop, settings
        shape = tuple(model.rows.shape)
        self.window = shape[0] if len(shape) == 2 else 1
        self.series = len(shape) == 2
        self._seen: list[Any] = []
        self._since = 0

    def push(self, values: Any) -> list[Array]:
        """Take in values and return the answers that they complete, in their order.

        Args:
            values: Steps ``(n, width)`` or one step ``(width,)`` of a series; else rows in any form the verb takes.
        """
        if not self.series:
            return list(getattr(self.model, self.verb)(values, **self.settings))
        steps = np.asarray(values)
        steps = steps[None] if steps.ndim == 1 else steps
        found = []
        for step in steps:
            self._seen = [*self._seen[-(self.window - 1) :], step] if self.window > 1 else [step]
            if len(self._seen) < self.window:
                continue
            if self._since % self.hop == 0:
                found.append(getattr(self.model, self.verb)(np.stack(self._seen)[None], **self.settings)[0])
            self._since += 1
        return found

    def forget(self) -> None:
        """Begin anew."""
        self._seen, self._since = [], 0
