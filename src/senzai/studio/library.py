"""Runs of the workspace, loaded when somebody asks, and again when the folder has another model."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import BundleError
from ..data import Dataset
from ..runs import Run
from ..serving.shelf import Shelf
from .workspace import Workspace, is_finished

KEPT = 4


@dataclass
class OpenRun:
    """A loaded run, its own data once they were asked for, and a mark that changes with the model."""

    run: Run
    mark: int
    lock: Any = field(default_factory=threading.RLock)
    _own: Dataset | None = None

    @property
    def own(self) -> Dataset:
        """The data the run was trained on.

        Raises:
            InputError: They are not where they were.
        """
        with self.lock:
            if self._own is None:
                self._own = self.run.dataset(self.run.source())
            return self._own


class Library:
    """The last few runs that were used, from the shelf that the server behind has as well."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.shelf = workspace, Shelf({}, keep=KEPT)
        self._lock = threading.Lock()
        self._open: dict[str, OpenRun] = {}
        self._opened = 0

    def refresh(self) -> list[str]:
        """Put every run of the workspace on the shelf, and return their names, the newest first."""
        names = self.workspace.run_names()
        for name in names:
            self.shelf.add(self.workspace.root / name)
        return names

    def open(self, name: str) -> OpenRun:
        """Return a run by its name.

        Raises:
            RequestError: There is none.
            BundleError: It is not finished, or damaged.
        """
        folder = self.workspace.run(name)
        if not is_finished(folder):
            raise BundleError(f"The run {name!r} is not trained to its end yet. Let it train on, then look at it.")
        self.shelf.add(folder)
        run = self.shelf.run(name)
        with self._lock:
            known = self._open.get(name)
            if known is None or known.run is not run:
                self._opened += 1
                known = self._open[name] = OpenRun(run, self._opened)
            for other in [n for n in self._open if n not in self.shelf.loaded()]:
                del self._open[other]
        return known
