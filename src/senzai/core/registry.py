"""A dictionary with manners: duplicates raise, unknown names suggest the nearest, plug-ins are loaded when asked."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from . import plugins
from .errors import SettingError, UnknownNameError

if TYPE_CHECKING:
    from _collections_abc import dict_items, dict_keys, dict_values

T = TypeVar("T")

IMPORTING = ("importlib.", "_frozen_importlib")
"""Modules whose frames stand between a module and whoever imports it."""

SHOWN = 8
"""Known names that a message lists at most."""


def suggestion(name: str, known: list[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known name, or an empty string.

    Example:
        >>> suggestion("lernrate", ["lr", "learn_rate"])
        " Did you mean 'learn_rate'?"
    """
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def instead(name: str, known: list[str]) -> str:
    """Return :func:`suggestion`, or the first of the known names where none is near.

    Example:
        >>> instead("lernrate", ["lr", "learn_rate"]), instead("zzz", ["lr", "learn_rate"])
        (" Did you mean 'learn_rate'?", ' It has lr, learn_rate.')
    """
    more = ", ..." if len(known) > SHOWN else ""
    return suggestion(name, known) or f" It has {', '.join(known[:SHOWN]) or 'none'}{more}."


class Registry(dict[str, T]):
    """Names of one kind of part, those of plug-ins among them.

    A name that is there is found at once. Asking for one that is not, or for all of them, first loads the installed
    plug-ins (:mod:`senzai.core.plugins`).

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
        self._modules: dict[str, str] = {}

    def add(self, name: str) -> Callable[[T], T]:
        """Return a decorator that stores its argument under ``name``.

        Raises:
            SettingError: The name is taken. What senzai itself registers takes the place of a plug-in's.
        """

        def keep(entry: T) -> T:
            module = _registering()
            if dict.__contains__(self, name):
                self._refuse(name, module)
            self._modules[name] = module
            self[name] = entry
            plugins.PLUGINS.note(self, name, module)
            return entry

        return keep

    def _refuse(self, name: str, module: str) -> None:
        """Refuse a second entry; what others registered before senzai's own of that name has to go instead."""
        there = self._modules.get(name, "")
        whose = plugins.PLUGINS.owner(there)
        taken = f"A {self.kind} name is used once, but {name!r} is registered"
        if whose != plugins.SENZAI and plugins.PLUGINS.owner(module) == plugins.SENZAI:
            plugins.PLUGINS.report(plugins.Failure(whose or there, f"{taken} by senzai itself", (name,)))
            return
        by = " by senzai itself" if whose == plugins.SENZAI else f" by {whose!r}" if whose else ""
        raise SettingError(f"{taken}{by}. Choose another.")

    def package_of(self, name: str) -> str | None:
        """Return the package that registered a name: ``"senzai"``, a plug-in, or ``None`` for code of no package.

        Example:
            >>> from senzai.core.spec import registry
            >>> import senzai.parts
            >>> registry("prior").package_of("mixture")
            'senzai'
        """
        _ = self[name]
        return plugins.PLUGINS.owner(self._modules[name])

    def __missing__(self, name: str) -> T:
        if name in self:  # the plug-ins are loaded now
            return self[name]
        known = sorted(self)
        raise UnknownNameError(
            f"Unknown {self.kind} {name!r}.{suggestion(str(name), known)} Known: {', '.join(known) or 'none'}."
            f"{plugins.PLUGINS.explain(str(name))}"
        )

    # --- looking: with everything that plug-ins add -----------------------------------------------------------------
    def __contains__(self, name: object) -> bool:
        if not dict.__contains__(self, name):
            plugins.PLUGINS.load()
        return dict.__contains__(self, name)

    def __iter__(self) -> Iterator[str]:
        plugins.PLUGINS.load()
        return super().__iter__()

    def __len__(self) -> int:
        plugins.PLUGINS.load()
        return super().__len__()

    def keys(self) -> dict_keys[str, T]:
        """Return all names."""
        plugins.PLUGINS.load()
        return super().keys()

    def values(self) -> dict_values[str, T]:
        """Return all entries."""
        plugins.PLUGINS.load()
        return super().values()

    def items(self) -> dict_items[str, T]:
        """Return all names with their entries."""
        plugins.PLUGINS.load()
        return super().items()

    def get(self, name: str, default: Any = None) -> Any:
        """Return an entry, or ``default`` where there is none."""
        if name not in self:
            return default
        return self[name]


def _registering() -> str:
    """Return the name of the module that registers something: the nearest caller that is not senzai.

    What senzai registers itself is called by nobody but the import of its modules.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith(IMPORTING):
            break
        if name.partition(".")[0] != plugins.SENZAI:
            return name
        frame = frame.f_back
    return plugins.SENZAI
