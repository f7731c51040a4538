"""The idx format of MNIST and its family: ``train-images-idx3-ubyte.gz`` and the labels beside it."""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from math import prod
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from senzai.core.errors import InputError

from .limits import DEFLATE, need_array, need_regular, need_room
from .rows import Array

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_NAME = re.compile(r"idx\d-ubyte(\.gz)?$")


def is_idx(path: Path) -> bool:
    """Whether a file is named like an idx file.

    Example:
        >>> is_idx(Path("train-images-idx3-ubyte.gz")), is_idx(Path("train.npz"))
        (True, False)
    """
    return bool(_NAME.search(path.name))


def _open(path: Path) -> BinaryIO:
    need_regular(path)
    return cast(BinaryIO, gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb"))


def _header(file: BinaryIO, path: Path) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in DTYPES:
        raise InputError(f"An idx file starts with 00 00, a type and a rank, but {str(path)!r} starts with {start!r}.")
    sizes = file.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise InputError(f"{str(path)!r} ends inside its header: it is damaged. Download it again.")
    shape, dtype = struct.unpack(f">{start[3]}I", sizes), np.dtype(DTYPES[start[2]])
    size = path.stat().st_size
    nbytes = need_array(shape, dtype, path, held=size * DEFLATE if path.suffix == ".gz" else size)
    need_room(nbytes, path, " x ".join(map(str, shape)))
    return shape, dtype


def idx_header(path: Path) -> tuple[tuple[int, ...], str]:
    """Return shape and dtype without reading the values."""
    try:
        with _open(path) as file:
            shape, dtype = _header(file, path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as err:
        raise _damaged(path, err) from err
    return shape, dtype.newbyteorder("=").name


def read_idx(path: Path) -> Array:
    """Read a whole idx file.

    Raises:
        InputError: The file is no idx file, or it is damaged.
    """
    try:
        with _open(path) as file:
            shape, dtype = _header(file, path)
            n = prod(shape) * dtype.itemsize
            data = file.read(n + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as err:
        raise _damaged(path, err) from err
    if len(data) != n:
        raise InputError(
            f"{str(path)!r} announces {n} bytes ({' x '.join(map(str, shape))}), but has "
            f"{'more' if len(data) > n else len(data)}: it is damaged. Download it again."
        )
    values = np.frombuffer(data, dtype=dtype).reshape(shape)
    return values.astype(dtype.newbyteorder("="))


def _damaged(path: Path, err: Exception) -> InputError:
    return InputError(f"{str(path)!r} must be a whole gzip file, but it is damaged ({err}). Download it again.")


def images_in(folder: Path) -> Path | None:
    """Return the idx file of images in a folder, the training images first."""
    found = sorted(p for p in folder.iterdir() if is_idx(p) and "idx3" in p.name and p.is_file())
    return next((p for p in found if p.name.startswith("train")), found[0] if found else None)


def labels_beside(path: Path) -> Path | None:
    """Return the file of labels that belongs to a file of images, packed or not.

    Example:
        >>> labels_beside(Path("nowhere/train-images-idx3-ubyte.gz"))
    """
    name = path.name.replace("images", "labels").replace("idx3", "idx1")
    plain = name.removesuffix(".gz")
    beside = (path.with_name(n) for n in (name, plain, f"{plain}.gz") if n != path.name)
    return next((p for p in beside if p.is_file()), None)
