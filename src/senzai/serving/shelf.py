"""The shelf: runs by name, loaded when they are asked for, and anew when their folder was replaced."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any, TypeAlias

from ..core.errors import BundleError, InputError, SenzaiError, SettingError
from ..core.files import user_path
from ..core.registry import suggestion
from .problems import RequestError

if TYPE_CHECKING:
    from ..data import Schema
    from ..runs import Run

SPEC, WEIGHTS = "spec.json", "weights.safetensors"
LAZY = ("reference.safetensors", "samplers.safetensors")
"""Files of a run that are read after it was loaded."""
TRIES, PAUSE = 20, 0.02
"""A folder that is being replaced is looked at so often, with so many seconds between."""
Stamp: TypeAlias = tuple[tuple[int, int, int] | None, ...]


@dataclass
class _Place:
    """A folder, the run that was loaded from it, and what the folder looked like then."""

    folder: Path
    run: Run | None = None
    stamp: Stamp = ()
    failed: Stamp = ()
    schema: tuple[Stamp, Schema] | None = None
    lock: Lock = field(default_factory=Lock)


class Shelf:
    """Runs by name.

    A run is loaded when it is first asked for, and again when the files of its folder are other ones than before; a
    folder that is being replaced at this moment is waited for, and while it cannot be read the run that was loaded
    before goes on. Names come from the folders that were given: what is asked for is looked up among them and never
    becomes a path. Threads may share a shelf.

    Args:
        places: Folders of runs, by the name they are asked for.
        keep: Runs in memory at the same time; the one that was not asked for longest goes first.

    Example:
        >>> import senzai, tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "tiny"
        >>> _ = senzai.fit("digits", steps=1, n_latent=2, out=folder)
        >>> shelf = Shelf.of([folder])
        >>> shelf.names(), shelf.run("tiny") is shelf.run("tiny")
        (['tiny'], True)
    """

    def __init__(self, places: Mapping[str, str | Path], *, keep: int = 8) -> None:
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._roots: list[Path] = []
        self._keep, self._lock = keep, RLock()
        for name, folder in places.items():
            self.add(folder, name)

    @classmethod
    def of(cls, paths: Iterable[str | Path], *, keep: int = 8) -> Shelf:
        """Return a shelf of folders: each is a run, called as its folder, or holds runs, also ones that come later.

        Raises:
            SettingError: Two runs have one name.
            BundleError: A folder neither is a run nor holds one.
        """
        shelf = cls({}, keep=keep)
        for path in paths:
            folder = user_path(path)
            if is_run(folder):
                shelf.add(folder)
                continue
            if not folder.is_dir():
                raise BundleError(f"A run is a folder, but {str(folder)!r} is none. Give the folder named by --out.")
            shelf._roots.append(folder)
            found = list(_within(folder))
            if not found:
                raise BundleError(
                    f"A run is a folder with {SPEC} in it, but neither {str(folder)!r} nor a folder in it has one. "
                    "Give the folder named by --out."
                )
            for run in found:
                shelf.add(run)
        return shelf

    def add(self, path: str | Path, name: str | None = None) -> str:
        """Put a run on the shelf, and return its name: that of its folder, if no other is given.

        Raises:
            SettingError: Another run has this name, or it is no name.
        """
        folder = user_path(path).absolute()
        called = name or folder.name
        if not called or called.startswith(".") or any(c in called for c in "/\\\0"):
            raise SettingError(f"A run has a name without / and without leading dot, but got {called!r}. Rename it.")
        with self._lock:
            known = self._places.get(called)
            if known is not None and known.folder != folder:
                raise SettingError(
                    f"Runs have different names, but both {str(known.folder)!r} and {str(folder)!r} are called "
                    f"{called!r}. Rename one, or serve them apart."
                )
            if known is None:
                self._places[called] = _Place(folder)
        return called

    def names(self) -> list[str]:
        """Return the names of all runs that are there now."""
        self._look_around()
        with self._lock:
            return sorted(n for n, place in self._places.items() if is_run(place.folder))

    def folder(self, name: str) -> Path:
        """Return the folder of a run.

        Raises:
            RequestError: There is no run of this name (404).
        """
        return self._place(name).folder

    def run(self, name: str) -> Run:
        """Return a run, loaded from its folder as it is now.

        Raises:
            RequestError: There is no run of this name (404).
            BundleError: It cannot be loaded, and was not before.
        """
        place = self._place(name)
        stamp = stamp_of(place.folder)
        if place.run is not None and place.stamp == stamp:
            self._used(name)
            return place.run
        with place.lock:
            found = _load(place)
        self._used(name)
        return found

    def schema(self, name: str) -> Schema:
        """Return what the data of a run are, without loading its weights.

        Raises:
            RequestError: There is no run of this name (404).
            BundleError: Its folder is damaged.
        """
        from ..data import Schema
        from ..training.bundle import read_spec

        place = self._place(name)
        stamp = stamp_of(place.folder)
        if place.schema is None or place.schema[0] != stamp:
            place.schema = stamp, Schema.model_validate(read_spec(place.folder).data_schema)
        return place.schema[1]

    def loaded(self) -> list[str]:
        """Return the names of the runs that are in memory."""
        with self._lock:
            return [name for name, place in self._places.items() if place.run is not None]

    def about(self) -> list[dict[str, Any]]:
        """Return what is on the shelf: name, kind, shape and whether it is in memory, or why it cannot be read."""
        told: list[dict[str, Any]] = []
        for name in self.names():
            try:
                schema = self.schema(name)
                told.append({"name": name, "kind": schema.kind, "shape": schema.shape_words})
            except SenzaiError as err:
                told.append({"name": name, "error": str(err)})
        held = self.loaded()
        for one in told:
            one["loaded"] = one["name"] in held
        return told

    def _place(self, name: str) -> _Place:
        with self._lock:
            known = self._places.get(name)
        if known is None:
            self._look_around()
            with self._lock:
                known = self._places.get(name)
        if known is None or not _there(known.folder):
            names = self.names()
            near = suggestion(name, names)
            raise RequestError(f"A run is asked for by its name, but there is none called {name[:80]!r}.{near} "
                               "GET /v1 lists them.", 404)
        return known

    def _look_around(self) -> None:
        """Put runs on the shelf that have come into its folders since."""
        for root in self._roots:
            for folder in _within(root):
                with suppress(SettingError):  # another one of this name was here before
                    self.add(folder)

    def _used(self, name: str) -> None:
        with self._lock:
            if name in self._places:
                self._places.move_to_end(name)
            held = [p for p in self._places.values() if p.run is not None]
            for place in held[: max(0, len(held) - self._keep)]:
                place.run, place.stamp = None, ()


def is_run(folder: Path) -> bool:
    """Whether a folder is a run that was trained to its end, or one that is being moved into place."""
    from ..training.places import MOVING, NEW

    whole = (folder / SPEC).is_file() and (folder / WEIGHTS).is_file()
    return whole or (folder / MOVING).is_dir() or (folder / NEW / WEIGHTS).is_file()


def _there(folder: Path) -> bool:
    """Whether a folder that was a run is one now, or in a moment: it may be between two renames."""
    for _ in range(TRIES):
        if (folder / SPEC).is_file() or is_run(folder):
            return True
        time.sleep(PAUSE)
    return False


def stamp_of(folder: Path) -> Stamp:
    """Return what the files of a run look like from outside: changed when they are replaced or written anew."""
    return tuple(_looks(folder / name) for name in (SPEC, WEIGHTS))


def _looks(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _within(root: Path) -> Iterator[Path]:
    try:
        inside = sorted(p for p in root.iterdir() if not p.name.startswith("."))
    except OSError:
        return
    yield from (p for p in inside if p.is_dir() and is_run(p))


def _load(place: _Place) -> Run:
    """Load a run whose files are the same before and after; the caller has the lock of the place."""
    from ..runs import load

    stamp = stamp_of(place.folder)
    if place.run is not None and stamp in (place.stamp, place.failed):
        return place.run
    for _ in range(TRIES):
        stamp = stamp_of(place.folder)
        try:
            found = load(place.folder)
        except (BundleError, InputError, OSError):
            if stamp_of(place.folder) == stamp and None not in stamp:
                if place.run is None:
                    raise
                place.failed = stamp  # the run from before goes on until the folder changes again
                return place.run
        else:
            if stamp_of(place.folder) == stamp:
                place.run, place.stamp, place.failed = found, stamp, ()
                return found
        time.sleep(PAUSE)  # it is being replaced at this moment
    if place.run is not None:
        return place.run
    raise RequestError("The folder of the run is being written again and again. Ask again later.", 503)
