"""Limits for all readers: the type of a file and the size that it announces are checked before memory is allocated."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from pydantic_core import PydanticSerializationError

from senzai.core.errors import InputError, UserError
from senzai.core.memory import free_memory

DEFLATE = 1032
"""Bytes that gzip and zip can make from one, at most."""
MOST_AXES = 32


def need_regular(path: Path) -> Path:
    """Return a path that leads to a regular file, if need be through links.

    Raises:
        InputError: It leads to a pipe, a device, a socket or nowhere; reading might never end.
    """
    try:
        mode = path.stat().st_mode
    except OSError as err:
        raise InputError(f"Data are read from files, but {str(path)!r} cannot be: {err.strerror}. Check it.") from err
    if stat.S_ISREG(mode):
        return path
    names = {stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket",
             stat.S_IFDIR: "a folder"}
    what = names.get(stat.S_IFMT(mode), "no file")
    raise InputError(
        f"Data are read from files, often more than once, but {str(path)!r} leads to {what}. "
        "Write what it gives into a file, and name that."
    )


def need_no_holes(path: Path) -> None:
    """Refuse a sparse text file: the parts that were never written read as zero bytes.

    A few bytes on disk can announce any size this way, and reading them all would not end in reasonable time.

    Raises:
        InputError: There is such a place.
    """
    if not hasattr(os, "SEEK_HOLE"):
        return
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            hole = os.lseek(file.fileno(), 0, os.SEEK_HOLE)
        except OSError:  # a file system that cannot tell
            return
    if hole < size:
        raise InputError(
            f"{str(path)!r} must be text, but it is {told(size)} long and was never written from byte {hole:,} on. "
            "Its copying stopped there, or it is no table; copy it again."
        )


def need_room(nbytes: int, path: object, what: str, *, held: int | None = None) -> None:
    """Refuse a file that announces more than it can hold, or than fits memory.

    Args:
        nbytes: Bytes that are announced.
        path: The file, or what it is called.
        what: What is announced, in words.
        held: Bytes that the file can hold, at most, where that is known.

    Raises:
        InputError: It is too much.

    Example:
        >>> need_room(10**15, "x.npz", "a million images")
        Traceback (most recent call last):
        ...
        senzai.core.errors.InputError: x.npz announces a million images, 1,000,000.0 GB, but only ...
    """
    name = repr(str(path)) if isinstance(path, Path) else str(path)
    if held is not None and nbytes > held:
        raise InputError(
            f"{name} must be a whole file, but it announces {what}, {told(nbytes)}, and can hold {told(held)} "
            "at most: it is damaged. Save or download it again."
        )
    if nbytes > (free := free_memory()):
        raise InputError(
            f"{name} announces {what}, {told(nbytes)}, but only {told(int(free))} of memory are free. Split it, or "
            "give an array as .npy, a table as .csv or .parquet with in_memory=false: they are read piece by piece."
        )


def need_array(shape: Sequence[int], dtype: np.dtype[Any], path: object, *, held: int) -> int:
    """Return the bytes of an array that a header announces, and refuse what no file of that length can hold.

    Raises:
        InputError: It has more bytes than the file, or too many axes.

    Example:
        >>> need_array((60000, 28, 28), np.dtype("u1"), "x-idx3-ubyte", held=10**9)
        47040000
    """
    nbytes = prod(shape) * dtype.itemsize
    if len(shape) > MOST_AXES or any(n < 0 for n in shape):
        raise InputError(
            f"An array has at most {MOST_AXES} axes, none below 0, but {str(path)!r} announces {len(shape)}: "
            f"{tuple(shape[:4])} ... It is damaged; save it again."
        )
    if nbytes > held:
        need_room(nbytes, path, f"{' x '.join(map(str, shape))} of {dtype}", held=held)
    return nbytes


def need_archive(archive: zipfile.ZipFile, path: object) -> None:
    """Refuse an archive whose members together would not fit memory, or are longer than their bytes can unpack to.

    Raises:
        InputError: They would not, or cannot.
    """
    for member in archive.infolist():
        packed = member.compress_type != zipfile.ZIP_STORED
        held = member.compress_size * (DEFLATE if packed else 1)
        if member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            need_room(member.file_size, path, f"the member {member.filename!r}", held=held)
    need_room(sum(m.file_size for m in archive.infolist()), path, f"{len(archive.infolist())} members")


def need_sound_archive(path: Path) -> None:
    """Refuse a zip file, such as a workbook, that would not fit memory; see :func:`need_archive`."""
    with zipfile.ZipFile(path) as archive:
        need_archive(archive, path)


def told(nbytes: int) -> str:
    """Return a number of bytes with a unit.

    Example:
        >>> told(512), told(2_500_000), told(10**11)
        ('512 bytes', '2.5 MB', '100.0 GB')
    """
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if nbytes >= size:
            return f"{nbytes / size:,.1f} {unit}"
    return f"{nbytes:,} bytes"


@contextmanager
def whole_text() -> Iterator[None]:
    """Turn Python's error about invalid text into one that shows where it is.

    Raises:
        InputError: Somewhere is half a character, as an escape in JSON or a file name that is not UTF-8 can make one.
    """
    try:
        yield
    except (UnicodeEncodeError, PydanticSerializationError) as err:
        found = ascii(err.object[max(0, err.start - 20) : err.end + 20]) if isinstance(err, UnicodeEncodeError) else ""
        raise InputError(
            f"Text must be made of whole characters, but {found or 'a name or a class'} has half of one. "
            "Replace it, or read the text with its own encoding."
        ) from err


class guarded:
    """Turn whatever a reader raises for a damaged file into one error that names it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, err: BaseException | None, trace: object) -> None:
        if not isinstance(err, Exception) or isinstance(err, UserError | ImportError):
            return
        if any(word in str(err) for word in ("pickle", "Object arrays", "Python objects")):
            raise InputError(
                f"{str(self.path)!r} holds Python objects; they are refused, because reading them could run code. "
                "Save plain numbers: np.save(path, np.stack(rows))."
            ) from err
        raise InputError(
            f"{str(self.path)!r} must be a whole file, but cannot be read: {str(err)[:200] or type(err).__name__}. "
            "Save it again."
        ) from err
