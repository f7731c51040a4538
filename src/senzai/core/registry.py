"""A dictionary with manners: duplicates raise, unknown names suggest the nearest one."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import TypeVar

from .errors import SettingError, UnknownNameError

T = TypeVar("T")


def suggestion(name: str, known: list[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known name, or an empty string.

    Example:
        >>> suggestion("lernrate", ["lr", "learn_rate"])
        " Did you mean 'learn_rate'?"
    """
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


class Registry(dict[str, T]):
    """Names of one kind of part.

    Example:
        >>> animals = Registry("animal")
        >>> animals.add("cat")(str.lower) is str.lower
        True
        >>> animals["cta"]
        Traceback (most recent call last):
        ...
        senzai.core.errors.UnknownNameError: Unknown animal 'cta'. Did you mean 'cat'? Known: cat.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def add(self, name: str) -> Callable[[T], T]:
        """Return a decorator that stores its argument under ``name``."""

        def keep(entry: T) -> T:
            if name in self:
                raise SettingError(f"A {self.kind} name is used once, but {name!r} is registered. Choose another.")
            self[name] = entry
            return entry

        return keep

    def __missing__(self, name: str) -> T:
        known = sorted(self)
        raise UnknownNameError(
            f"Unknown {self.kind} {name!r}.{suggestion(str(name), known)} Known: {', '.join(known) or 'none'}."
        )
