"""One process at a time in a folder: a lock that the system lets go when its holder ends, however it ends."""

from __future__ import annotations

import errno
import importlib
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..core.errors import OutputError
from ..core.files import cannot_write

LOCK = ".senzai-lock"
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""What a file system says that knows no locks; there a run is trained without."""
fcntl: Any = importlib.import_module("fcntl") if os.name == "posix" else None


class Lock:
    """A lock on a folder, held until it is released or the process ends.

    Args:
        folder: The folder.
        handle: The open lock file in it.
    """

    def __init__(self, folder: Path, handle: int) -> None:
        self.folder, self.handle = folder, handle

    def held(self) -> bool:
        """Whether the folder is there and is still the one that was locked."""
        try:
            return os.path.samestat(os.stat(self.folder / LOCK), os.fstat(self.handle))
        except OSError:
            return False

    def release(self) -> None:
        """Take the lock file away and let go."""
        if self.held():
            with suppress(OSError):
                os.unlink(self.folder / LOCK)
        os.close(self.handle)


def attempt(folder: Path) -> Lock | None:
    """Return a lock on a folder, or ``None`` where somebody else has it.

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
            handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as err:
            raise cannot_write(folder, err) from err
        lock = Lock(folder, handle)
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


def _holder(folder: Path) -> str:
    try:
        return (folder / LOCK).read_text(encoding="utf-8") or "unknown"
    except OSError:
        return "unknown"
