"""Ctrl-C and SIGTERM ask the loop to stop after the current step instead of tearing it apart."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from ..core.errors import RunInterrupted
from .comms import Comms


class Interrupt:
    """Remembers that a signal came."""

    def __init__(self) -> None:
        self.signal = 0
        self.answered = False

    def requested(self, comms: Comms) -> int:
        """Return the signal that any process of the run received, or 0; all processes agree."""
        found = self.signal
        if comms.world > 1:
            seen = comms.sum(torch.tensor([float(self.signal == 2), float(self.signal == 15)]))
            found = 2 if seen[0] > 0 else 15 if seen[1] > 0 else 0
        self.answered = found > 0
        return found

    @contextmanager
    def installed(self) -> Iterator[Interrupt]:
        """Catch the signals inside the block; a second one acts at once. Does nothing outside the main thread.

        A signal that comes after the last step takes effect when the block ends, as it would without the block.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return

        def remember(number: int, frame: FrameType | None) -> None:
            if self.signal:
                raise RunInterrupted("A second signal stopped training at once; the last checkpoint is whole.", number)
            self.signal = number

        before = {s: signal.signal(s, remember) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if self.signal and not self.answered:
                signal.raise_signal(self.signal)
