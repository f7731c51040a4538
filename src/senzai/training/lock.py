"""A lock that keeps a folder to one process at a time. The system releases it when the process ends."""

from __future__ import annotations

import errno
import importlib
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..core.errors import OutputError
from ..core.files import cannot_write

LOCK = ".senzai-lock"
PATIENCE = 60.0
"""Seconds that a short piece of work waits for another."""
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""What a file system says that knows no locks; there a run is trained without."""
fcntl: Any = importlib.import_module("fcntl") if os.name == "posix" else None


class Lock:
    """A lock on a folder, held until it is released or the process ends.

    Args:
        folder: The folder.
        handle: The open lock file in it.
        name: Name of that file.
    """

    def __init__(self, folder: Path, handle: int, name: str = LOCK) -> None:
        self.folder, self.handle, self.name = folder, handle, name

    def held(self) -> bool:
        """Whether the folder is there and is still the one that was locked."""
        try:
            return os.path.samestat(os.stat(self.folder / self.name), os.fstat(self.handle))
        except OSError:
            return False

    def release(self) -> None:
        """Remove the lock file and release the lock."""
        if self.held():
            with suppress(OSError):
                os.unlink(self.folder / self.name)
        os.close(self.handle)


def attempt(folder: Path, name: str = LOCK) -> Lock | None:
    """Return a lock on a folder, or ``None`` if another process holds it; locks with different names are independent.

    Raises:
        OutputError: The folder is not there, or cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> first = attempt(folder)
        >>> attempt(folder) is None
        True
        >>> first.release()
        >>> list(folder.iterdir())
        []
    """
    while True:
        try:
            handle = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as err:
            raise cannot_write(folder, err) from err
        lock = Lock(folder, handle, name)
        if not _ours(handle):
            os.close(handle)
            return None
        if lock.held():  # else its last holder took the file away after it was opened here
            os.truncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()} on {socket.gethostname()}".encode(), 0)
            return lock
        os.close(handle)


def _ours(handle: int) -> bool:
    """Lock an open file; whether that worked."""
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as err:
        return err.errno in NO_LOCKS
    return True


def take(folder: Path) -> Lock:
    """Return the lock of a run folder.

    Raises:
        OutputError: Another process trains in it, or the folder cannot be written.
    """
    lock = attempt(folder)
    if lock is None:
        raise OutputError(
            f"One process at a time trains in a run folder, but process {_holder(folder)} is training in "
            f"{str(folder)!r}. Wait for it, stop it, or choose another folder."
        )
    return lock


@contextmanager
def waited_for(folder: Path, name: str, *, seconds: float = PATIENCE) -> Iterator[Lock]:
    """Hold a lock on a folder inside the block, and wait for it as long as others need for a short piece of work.

    Raises:
        OutputError: It did not become free in time, or the folder cannot be written.
    """
    end = time.monotonic() + seconds
    while (lock := attempt(folder, name)) is None:
        if time.monotonic() > end:
            raise OutputError(
                f"Others write into a run folder for moments only, but process {_holder(folder, name)} has held "
                f"{str(folder / name)!r} for {seconds:g} s. Stop it, or try again."
            )
        time.sleep(0.01)
    try:
        yield lock
    finally:
        lock.release()


def _holder(folder: Path, name: str = LOCK) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8") or "unknown"
    except OSError:
        return "unknown"
