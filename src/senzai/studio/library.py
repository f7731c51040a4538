"""Runs of the workspace, loaded when somebody asks, and again when the folder has another model."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import BundleError
from ..data import Dataset
from ..runs import Run, load
from ..training import bundle
from .workspace import Workspace, is_finished

KEPT = 4


@dataclass
class OpenRun:
    """A loaded run, its own data once they were asked for, and a mark that changes with the model."""

    run: Run
    mark: Any
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
    """The last few runs that were used."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._lock = threading.Lock()
        self._open: OrderedDict[str, OpenRun] = OrderedDict()

    def open(self, name: str) -> OpenRun:
        """Return a run by its name.

        Raises:
            UnknownNameError: There is none.
            BundleError: It is not finished, or damaged.
        """
        folder = self.workspace.run(name)
        if not is_finished(folder):
            raise BundleError(f"The run {name!r} is not trained to its end yet. Let it train on, then look at it.")
        mark = mark_of(folder)
        with self._lock:
            known = self._open.get(name)
            if known is None or known.mark != mark:
                known = self._open[name] = OpenRun(load(folder), mark)
            self._open.move_to_end(name)
            while len(self._open) > KEPT:
                self._open.popitem(last=False)
        return known


def mark_of(folder: Path) -> tuple[int, ...]:
    """Return what tells one model in a folder from the next."""
    stat = (folder / bundle.WEIGHTS).stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


@contextmanager
def held(run: Run) -> Iterator[Run]:
    """Hold a run while its model is used directly."""
    with run.lock:
        yield run
