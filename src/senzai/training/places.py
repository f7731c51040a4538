"""Where a run is trained: in its folder, or inside the run that it is to replace until it is whole.

    RUN/                     the run; while another is trained to replace it, the old one
    RUN/.senzai-new/         the new one; it stands once it has its weights, which are written last
    RUN/.senzai-moving/      the same, and what only the old one had is gone: its files are being moved into the run

A kill leaves one of these, and whoever opens the folder next goes on from there. Nothing but the files of a run is
ever replaced or removed.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..core.errors import BundleError, OutputError, TrainingError
from ..core.files import cannot_write, replacing_folder, sync_folder, user_path
from .lock import Lock, attempt, take

SPEC, WEIGHTS, METRICS, HISTORY = "spec.json", "weights.safetensors", "metrics.json", "history.jsonl"
CHECKPOINT = Path("checkpoints") / "last.safetensors"
SAMPLERS = "samplers.safetensors"
NEW, MOVING = ".senzai-new", ".senzai-moving"
OWN = (
    SPEC, WEIGHTS, METRICS, HISTORY, str(CHECKPOINT), SAMPLERS, "reference.safetensors", "README.md", "report.html",
    "tensorboard/events.out.tfevents.*",
)
"""The files of a run; all others in its folder are the user's."""
TEMPORARY = ".{}.????????.tmp"
"""What :mod:`senzai.core.files` calls a file until it is whole; a kill leaves some behind."""


class FolderGone(TrainingError):
    """The folder of a run was removed or renamed while it trained."""


class Place:
    """The folder of a run while it trains.

    Args:
        folder: Final place of the run; ``None`` for a run in memory.
        work: Where it is until it is finished.
        main: Whether this process writes; of several that train together one does.
    """

    def __init__(self, folder: Path | None, work: Path | None, *, main: bool) -> None:
        self.folder, self.work, self.main = folder, work, main
        self.lock: Lock | None = None
        self.created = False

    @property
    def replaces(self) -> bool:
        """Whether there is a run already that this one will replace."""
        return self.work != self.folder

    def create(self, fill: Callable[[Path], None]) -> None:
        """Make the folder to train in; ``fill`` writes what it has from the first moment on.

        Raises:
            OutputError: It exists, or cannot be written.
        """
        if self.work is None or not self.main:
            return
        if self.replaces:
            discard(self.work)  # an earlier try
        else:
            refuse_existing(self.work)
            _sweep_beside(self.work)
        try:
            with replacing_folder(self.work) as tmp:
                self.lock = self.lock or attempt(tmp)
                fill(tmp)
        except OutputError:
            refuse_existing(self.work)  # another process was faster
            raise
        if self.lock is not None and not self.replaces:
            self.lock.folder = self.work
        self.created = True

    def held(self) -> bool:
        """Whether the folder is still there, with the run in it."""
        if self.work is None or self.lock is None:
            return True
        return self.lock.held() and (self.work / SPEC).is_file()

    def stand(self) -> None:
        """Replace the old run by the finished one, if there is one."""
        if self.replaces and self.folder is not None and self.main:
            settle(self.folder)
            self.work = self.folder

    def close(self, err: BaseException | None) -> None:
        """Release the folder; remove it if the run failed before it had anything to resume from."""
        if isinstance(err, Exception) and self.created and self.work is not None and self.held():
            useless = self.replaces and isinstance(err, TrainingError)
            if useless or not (self.work / CHECKPOINT).is_file():
                discard(self.work)
        if self.lock is not None:
            self.lock.release()


@contextmanager
def reserved(out: str | Path | None, *, overwrite: bool, main: bool) -> Iterator[Place]:
    """Reserve the folder of a new run; nothing is written before :meth:`Place.create`.

    Raises:
        OutputError: It exists and is not to be overwritten, or another process trains in it.
        BundleError: It is to be overwritten, and is no run.
    """
    folder = None if out is None else user_path(out, output=True)
    if folder is not None and folder.exists() and overwrite:
        with _kept(Place(folder, folder / NEW, main=main)) as place:
            yield place
        return
    if folder is not None and main:
        refuse_existing(folder)  # now, not after the data were read
    with _closed(Place(folder, folder, main=main)) as place:
        yield place


@contextmanager
def reopened(folder: Path, *, main: bool) -> Iterator[Place]:
    """Open the folder of a run to go on with it, or with the one that is to replace it, if that was begun.

    Raises:
        BundleError: It is no run.
        OutputError: Another process trains in it.
    """
    with _kept(Place(folder, folder, main=main)) as place:
        place.work = unfinished(folder) or folder
        yield place


@contextmanager
def _kept(place: Place) -> Iterator[Place]:
    """Hold the lock of a run that is there already."""
    assert place.folder is not None  # callers know this
    need_run(place.folder)
    with _closed(place):
        if place.main:
            place.lock = take(place.folder)
            _tidy(place.folder)
        yield place


@contextmanager
def _closed(place: Place) -> Iterator[Place]:
    try:
        yield place
    except BaseException as err:
        place.close(err)
        raise
    place.close(None)


# --- what is in a folder --------------------------------------------------------------------------------------------
def refuse_existing(path: Path) -> None:
    """Refuse to write a run over anything that is there.

    Raises:
        OutputError: The folder exists.
    """
    if path.exists():
        raise OutputError(
            f"A new run needs a folder that does not exist yet, but {str(path)!r} does. "
            "Choose another name, continue it with `senzai resume`, or replace it with --overwrite."
        )


def need_run(path: Path) -> None:
    """Refuse a folder that is no run; a replacement that a kill cut short is finished first.

    Raises:
        BundleError: It is none.
    """
    settled(path)
    if not (path / SPEC).is_file():
        raise BundleError(
            f"A run is a folder with {SPEC} in it, but {str(path)!r} has none. Give the folder named by --out."
        )


def unfinished(folder: Path) -> Path | None:
    """Return where the run is that is being trained to replace the one in a folder, if there is one."""
    return folder / NEW if (folder / NEW / SPEC).is_file() else None


def settled(folder: Path) -> None:
    """Finish a replacement that a kill cut short; where another process is at it, wait for that."""
    while _moving(folder):
        lock = attempt(folder)
        if lock is None:
            time.sleep(0.01)
            continue
        try:
            settle(folder)
        finally:
            lock.release()


def _moving(folder: Path) -> bool:
    return (folder / MOVING).is_dir() or (folder / NEW / WEIGHTS).is_file()


def settle(folder: Path) -> None:
    """Move the finished run into its place, from wherever this was stopped; the caller has the lock.

    Raises:
        OutputError: The folder cannot be written; the next who opens it goes on.
    """
    new, moving = folder / NEW, folder / MOVING
    try:
        if (new / WEIGHTS).is_file() and not moving.is_dir():
            for old in _files(folder):
                if not (new / old.relative_to(folder)).exists():
                    old.unlink()
            new.rename(moving)
            sync_folder(folder)
        if moving.is_dir():
            for file in _files(moving):
                target = folder / file.relative_to(moving)
                target.parent.mkdir(exist_ok=True)
                file.replace(target)
                sync_folder(target.parent)
            discard(moving)
    except OSError as err:
        raise cannot_write(folder, err) from err


def _files(folder: Path) -> list[Path]:
    return [path for pattern in OWN for path in sorted(folder.glob(pattern))]


def discard(folder: Path) -> None:
    """Remove a folder; at no moment is half of it there under its name."""
    gone = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
    with suppress(FileNotFoundError):
        os.rename(folder, gone)
    shutil.rmtree(gone, ignore_errors=True)


def _tidy(folder: Path) -> None:
    """Finish what a kill cut short, and remove what it left half-written; the caller has the lock."""
    settle(folder)
    for name in (NEW, MOVING):
        for gone in folder.glob(TEMPORARY.format(name)):
            shutil.rmtree(gone, ignore_errors=True)
    # Others, such as metrics, may be being written by a process that evaluates.
    for place in (folder, folder / NEW):
        for name in (SPEC, WEIGHTS, HISTORY, SAMPLERS, str(CHECKPOINT)):
            file = place / name
            for gone in file.parent.glob(TEMPORARY.format(file.name)):
                gone.unlink(missing_ok=True)


def _sweep_beside(folder: Path) -> None:
    """Remove what a kill left of earlier tries to make this folder."""
    for gone in folder.parent.glob(TEMPORARY.format(folder.name)):
        with suppress(OutputError):
            lock = attempt(gone)
            if lock is not None:  # nobody is at it
                shutil.rmtree(gone, ignore_errors=True)
                lock.release()
