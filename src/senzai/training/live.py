"""Live progress in a notebook: a bar, the headline, and curves, in one output that is replaced."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from typing import Any

from ..core.notebook import Show
from ..core.sketch import ORANGE, TEAL, curves
from .events import Event, Failed, Finished, Interrupted, Progressed, Recovered, Started, Validated
from .loop import Training
from .progress_bar import words

PAUSE = 0.4
"""Seconds between two drawings, at least."""
MOST_POINTS = 300
SHOWN = ("loss", "distortion", "rate")


class LiveCurves:
    """Draws the terms of the loss while a run trains, training rows beside validation rows.

    Args:
        show: Replaces what was shown before by some HTML.
    """

    def __init__(self, show: Show) -> None:
        self.show = show
        self.lines: list[dict[str, Any]] = []
        self.total = 0
        self.note = ""
        self._last = 0.0

    def on(self, event: Event, training: Training) -> None:
        """Keep what is drawn, and draw where it is time."""
        if isinstance(event, Started):
            self.total = event.total_steps
        elif isinstance(event, Progressed | Validated):
            kind = "train" if isinstance(event, Progressed) else "validation"
            self.lines.append({"kind": kind, "step": event.step, **event.metrics})
            self._headline(event, training)
        elif isinstance(event, Recovered):
            self.lines = [h for h in self.lines if h["step"] <= event.back_to]
        over = isinstance(event, Finished | Interrupted | Failed)
        if over or time.monotonic() - self._last >= PAUSE:
            self._last = time.monotonic()
            self.show(self.html(event.step, over=_ended(event) if over else ""))

    def _headline(self, event: Progressed | Validated, training: Training) -> None:
        if isinstance(event, Validated):
            name, value = training.headline(event.metrics)
            self.note = f"validation {words(name)} {value:.2f}, best at step {event.best_step:,}"

    def html(self, step: int, *, over: str = "") -> str:
        """Return what is shown after a step."""
        share = 100 * min(1.0, step / max(1, self.total))
        bar = (
            f'<div style="height:6px;border-radius:3px;background:rgba(128,128,128,.3);max-width:40em">'
            f'<div style="height:6px;border-radius:3px;width:{share:.1f}%;background:{TEAL}"></div></div>'
        )
        told = " · ".join(t for t in (over or f"step {step:,} of {self.total:,}", self.note) if t)
        return f'<div style="font-family:system-ui,sans-serif">{bar}<p style="margin:.3em 0">{escape(told)}</p>' \
               f"{history_curves(self.lines, end=self.total)}</div>"


def _ended(event: Event) -> str:
    if isinstance(event, Finished):
        return f"finished after {event.step:,} steps, {event.seconds:.1f} s"
    why = f": {event.error}" if isinstance(event, Failed) else ""
    return f"stopped at step {event.step:,}{why}"


def history_curves(history: Sequence[dict[str, Any]], *, end: float | None = None) -> str:
    """Return curves of a history: the loss, and its two terms where it has them.

    Example:
        >>> history_curves([{"kind": "validation", "step": 10, "loss": 2.0}]).count("<svg")
        1
    """
    drawn, unit = [], ", nats a row" if any("distortion" in h for h in history) else ""
    for key in SHOWN:
        lines = {
            name: (colour, _thinned([(h["step"], h.get(key)) for h in history if h.get("kind") == kind]))
            for kind, name, colour in (("train", "training", ORANGE), ("validation", "validation", TEAL))
        }
        drawn.append(curves(lines, title=f"{key}{unit}", end=end))
    return "".join(drawn)


def _thinned(points: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Return at most so many points, the last one among them."""
    every = -(-len(points) // MOST_POINTS) or 1
    return points[::-every][::-1]
