"""Work that takes longer than a request: done in a thread, watched, and stopped between two of its steps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Cancelled(Exception):
    """Somebody asked to stop."""


class SlowWork(Generic[T]):
    """One piece of work.

    Args:
        make: Does it; told the work itself, on which it calls :meth:`at` between steps.

    Example:
        >>> work = SlowWork(lambda w: [w.at(i, 3) for i in range(3)])
        >>> work.wait(), work.part
        ([None, None, None], 1.0)
    """

    def __init__(self, make: Callable[[SlowWork[T]], T]) -> None:
        self.part = 0.0
        self.answer: T | None = None
        self.error: Exception | None = None
        self._stop, self._ended = threading.Event(), threading.Event()
        threading.Thread(target=self._do, args=(make,), daemon=True).start()

    def _do(self, make: Callable[[SlowWork[T]], T]) -> None:
        try:
            self.answer, self.part = make(self), 1.0
        except Exception as err:  # whoever asks is told
            self.error = err
        finally:
            self._ended.set()

    def at(self, done: int, total: int) -> None:
        """Say how far it is.

        Raises:
            Cancelled: It is to stop here.
        """
        if self._stop.is_set():
            raise Cancelled
        self.part = done / max(total, 1)

    def cancel(self) -> None:
        """Ask it to stop at its next step."""
        self._stop.set()

    @property
    def ended(self) -> bool:
        """Whether it came to an end, good or not."""
        return self._ended.is_set()

    def wait(self, seconds: float | None = None) -> T | None:
        """Return the answer, or ``None`` if it is not there after so many seconds.

        Raises:
            Exception: What the work raised.
        """
        self._ended.wait(seconds)
        if self.error is not None:
            raise self.error
        return self.answer


class Shop:
    """Pieces of work by key; the answers of the last few are kept."""

    def __init__(self, keeps: int = 12) -> None:
        self.keeps = keeps
        self._lock = threading.Lock()
        self._works: dict[Any, SlowWork[Any]] = {}

    def get(self, key: Any, make: Callable[[SlowWork[T]], T]) -> SlowWork[T]:
        """Return the work of a key; it is begun if nobody did, or if it failed before."""
        with self._lock:
            work = self._works.pop(key, None)
            if work is None or work.error is not None:
                work = SlowWork(make)
            self._works[key] = work
            for old in [k for k, w in self._works.items() if w.ended][: max(0, len(self._works) - self.keeps)]:
                del self._works[old]
            return work

    def cancel(self, key: Any) -> bool:
        """Stop the work of a key; whether there was any that had not ended."""
        with self._lock:
            work = self._works.get(key)
        if work is None or work.ended:
            return False
        work.cancel()
        return True

    def close(self) -> None:
        """Stop everything."""
        with self._lock:
            for work in self._works.values():
                work.cancel()
