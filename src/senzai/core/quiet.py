"""Warnings of other libraries that say nothing here: filtered while a block runs, whoever else runs one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class _Filters:
    """The filters of the process: changed by the first that comes, and put back by the last that leaves.

    Two threads that each put back what they found would leave the filters of the other one for ever.
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
def quiet(category: type[Warning] = Warning, *, errors: type[Warning] | None = None) -> Iterator[None]:
    """Ignore warnings of a category inside the block; let another category be an error.

    Example:
        >>> with quiet():
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
