"""Writing that leaves either the old file or the new one, never half of one."""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import InputError, OutputError, UserError

MOST_PATH = 4096
"""Characters of a path, at most, where the system says nothing else."""


def user_path(path: str | os.PathLike[str], *, output: bool = False) -> Path:
    """Return a path that a user gave: `~` is their home, and what no system can open is refused.

    Args:
        path: The path, which need not exist.
        output: Something is to be written there; it decides the type of the error.

    Raises:
        InputError: It is no path, has a zero byte, is no text in UTF-8, is too long, or names a user who is not known.
        OutputError: The same, of a place to write to.

    Example:
        >>> user_path("~/runs") == Path.home() / "runs"
        True
    """
    kind: type[UserError] = OutputError if output else InputError
    if not isinstance(path, str | os.PathLike):
        raise kind(f"A path is text or a pathlib.Path, but got a {type(path).__name__}. Name the file or folder.")
    text, shown = os.fspath(path), ascii(os.fspath(path)[:80])
    if "\0" in text:
        raise kind(f"A path cannot have a zero byte, but got {shown}. Remove it.")
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise kind(f"A path must be text in UTF-8, but got {shown}. Rename the file or folder.") from None
    try:
        found = Path(text).expanduser()
        os.lstat(found)
    except RuntimeError as err:
        raise kind(f"`~NAME` must be the home of a user, but got {shown}: {err} Write the path in full.") from None
    except OSError as err:
        if err.errno == errno.ENAMETOOLONG or length > MOST_PATH:
            raise kind(f"A path must be short enough for the system, but {shown} ... has {length} bytes.") from None
        if err.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise kind(f"A path must lead to a place that can be looked at, but {shown}: {err.strerror}.") from err
    return found


def sync_folder(folder: Path) -> None:
    """Make a rename durable; a folder cannot be opened for syncing on every system."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def cannot_write(path: Path, err: OSError) -> OutputError:
    """Turn an operating-system error into one a person can act on."""
    return OutputError(
        f"{str(path)!r} must be writable, but the system said: {err.strerror or err}. "
        "Free some space, or choose another place; nothing was left half-written."
    )


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is synced and renamed over ``path``.

    Raises:
        OutputError: The file cannot be written (no space, no permission, no such folder).

    Example:
        >>> import tempfile, pathlib
        >>> target = pathlib.Path(tempfile.mkdtemp()) / "a.txt"
        >>> with replacing(target) as tmp:
        ...     _ = tmp.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    path = user_path(path, output=True)
    tmp = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        tmp.touch()
        mode = tmp.stat().st_mode  # what the user's umask gives; some writers would make the file private
        yield tmp
        tmp.chmod(mode)
        with tmp.open("rb") as handle:
            os.fsync(handle.fileno())
        tmp.replace(path)
        sync_folder(path.parent)
    except OSError as err:
        raise cannot_write(path, err) from err
    finally:
        with suppress(OSError):
            tmp.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` atomically."""
    with replacing(path) as tmp:
        tmp.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically; NaN and infinity are refused because JSON has none."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text.encode("utf-8", "backslashreplace").decode())  # halves of characters, as JSON writes them


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """As :func:`replacing`, for a whole folder that must not exist yet."""
    path = user_path(path, output=True)
    tmp = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        tmp.mkdir(parents=True)
        yield tmp
        tmp.rename(path)
        sync_folder(path.parent)
    except OSError as err:
        raise cannot_write(path, err) from err
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
