"""Writing that leaves either the old file or the new one, never half of one."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import OutputError


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
    path = Path(path)
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
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """As :func:`replacing`, for a whole folder that must not exist yet."""
    path = Path(path)
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
