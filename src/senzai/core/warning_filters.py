"""Filters for warnings of other libraries that do not matter here; safe to use in several threads at once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from .renamed import old_attributes


class _Filters:
    """The warning filters of the process: saved when the first block begins, restored when the last one ends.

    If each thread restored what it had found, one of them would restore the filters that the other had set.
    """

    def __init__(self) -> None:
        self.lock, self.inside = Lock(), 0
        self.before = warnings.catch_warnings()

    def enter(self) -> None:
        if not self.inside:
            self.before = warnings.catch_warnings()
            self.before.__enter__()
        self.inside += 1

    def leave(self) -> None:
        self.inside -= 1
        if not self.inside:
            self.before.__exit__(None, None, None)


_FILTERS = _Filters()


@contextmanager
def ignore_warnings(category: type[Warning] = Warning, *, errors: type[Warning] | None = None) -> Iterator[None]:
    """Ignore warnings of a category inside the block; let another category be an error.

    Example:
        >>> with ignore_warnings():
        ...     warnings.warn("of no use here", stacklevel=1)
    """
    with _FILTERS.lock:
        _FILTERS.enter()
        warnings.simplefilter("ignore", category)
        if errors is not None:
            warnings.simplefilter("error", errors)
    try:
        yield
    finally:
        with _FILTERS.lock:
            _FILTERS.leave()


__getattr__ = old_attributes(__name__, {"quiet": "ignore_warnings"})
