"""Packages that extend senzai: found by entry points, loaded when a registry is first read.

A package names a module, or a function in one, in its ``pyproject.toml``::

    [project.entry-points."senzai.plugins"]
    waves = "senzai_waves"

Importing the module (calling the function) registers what the package adds. A package that fails adds nothing, is named
in a warning with the reason, and does not affect other packages.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import threading
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from .errors import MissingExtraError, SettingError

GROUP = "senzai.plugins"
SENZAI = "senzai"


class EntryPoint(Protocol):
    """What is used of an entry point of ``importlib.metadata``."""

    @property
    def value(self) -> str:
        """``module`` or ``module:function``."""

    @property
    def dist(self) -> Any:
        """The package that it belongs to."""

    def load(self) -> Any:
        """Import the module, and return what is named."""


def installed() -> list[EntryPoint]:
    """Return the entry points of all installed packages, in a fixed order."""
    return sorted(importlib.metadata.entry_points(group=GROUP), key=lambda e: (_package(e), e.value))


def version_of(package: str) -> str | None:
    """Return the installed version of a package.

    Example:
        >>> version_of("no-such-package") is None
        True
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True)
class Failure:
    """Why an entry of a plug-in is missing.

    Args:
        package: Name of the package.
        reason: What it did wrong.
        names: Names that it had registered before it failed, and that were removed.
    """

    package: str
    reason: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            f"The plug-in {self.package!r} could not be loaded: {self.reason.rstrip('.')}. "
            f"Update it (pip install -U {self.package}) or remove it (pip uninstall {self.package})."
        )


@dataclass
class Plugins:
    """The plug-ins of a process.

    Args:
        find: Returns their entry points; called once.

    Example:
        >>> none = Plugins(lambda: [])
        >>> none.load()
        >>> none.failures
        []
    """

    find: Callable[[], Iterable[EntryPoint]] = installed
    failures: list[Failure] = field(default_factory=list)
    _entries: list[EntryPoint] | None = None
    _begun: bool = False
    _done: bool = False
    _loading: str | None = None
    _added: list[tuple[dict[str, Any], str, Any]] = field(default_factory=list)
    _lock: Any = field(default_factory=threading.RLock)

    def load(self) -> None:
        """Load every plug-in, once; one that looks into a registry while it is loaded sees what is there so far.

        Warns:
            UserWarning: One could not be loaded; once for each.
        """
        if self._done:
            return
        with self._lock:
            if self._begun:  # by this very thread, in a plug-in that is being loaded
                return
            self._begun = True
            for entry in self._known():
                self._load(entry)
            self._done = True
        for failure in self.failures:
            warnings.warn(str(failure), UserWarning, stacklevel=3)

    def _known(self) -> list[EntryPoint]:
        if self._entries is None:
            self._entries = list(self.find())
        return self._entries

    def _load(self, entry: EntryPoint) -> None:
        self._loading, self._added = _package(entry), []
        try:
            named = entry.load()
            if inspect.isfunction(named):
                named()
        except (Exception, SystemExit) as err:  # a plug-in may raise anything; others must still load
            self._take_back()
            said = str(err) if isinstance(err, SettingError) else f"{type(err).__name__}: {err}"
            self.failures.append(Failure(self._loading, said, tuple(name for _, name, _ in self._added)))
        finally:
            self._loading = None

    def _take_back(self) -> None:
        """Remove everything that the plug-in being loaded has registered, so that none of it is there in part."""
        for registry, name, entry in self._added:
            if dict.get(registry, name) is entry:
                del registry[name]

    def note(self, registry: dict[str, Any], name: str, module: str) -> None:
        """Write down that a module registered ``name``, to be taken back if the plug-in that is being loaded fails."""
        if self._loading is not None and _top(module) != SENZAI:
            self._added.append((registry, name, dict.get(registry, name)))

    def report(self, failure: Failure) -> None:
        """Keep a failure, and warn of it: at once, or when all plug-ins are loaded."""
        self.failures.append(failure)
        if self._loading is None:
            warnings.warn(str(failure), UserWarning, stacklevel=3)

    def owner(self, module: str) -> str | None:
        """Return the package of a module that registers something; ``None`` where it belongs to no plug-in.

        Example:
            >>> Plugins(lambda: []).owner("senzai.parts.priors.normal"), Plugins(lambda: []).owner("__main__")
            ('senzai', None)
        """
        if _top(module) == SENZAI:
            return SENZAI
        known = {_top(e.value): _package(e) for e in self._known()}
        return known.get(_top(module), self._loading)

    def explain(self, name: str) -> str:
        """Return what to add to the message that ``name`` is unknown: the plug-ins that failed, if any did."""
        own = [f for f in self.failures if name in f.names]
        return "".join(f" {f}" for f in own or self.failures)

    def need(self, package: str, *, to: str) -> None:
        """Refuse to go on without a plug-in.

        Args:
            package: Name of the package.
            to: What it is needed for, completing "is needed to ...".

        Raises:
            MissingExtraError: It is not installed, or could not be loaded.
        """
        self.load()
        if version_of(package) is None:
            raise MissingExtraError(
                f"The package {package!r} is needed to {to}, but it is not installed. "
                f"Install it with: pip install {package}"
            )
        for failure in self.failures:
            if failure.package == package:
                raise MissingExtraError(f"The package {package!r} is needed to {to}. {failure}")


def _package(entry: EntryPoint) -> str:
    """Return the name of the package that an entry point belongs to, as pip knows it."""
    return str(entry.dist.name if entry.dist is not None else _top(entry.value))


def _top(module: str) -> str:
    return module.partition(":")[0].partition(".")[0].strip()


PLUGINS = Plugins()
"""The plug-ins that are installed."""
