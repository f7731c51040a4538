"""Archives of runs that anybody may have made: nothing is written before everything in them was looked at."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from pathlib import Path

from ..core.errors import BundleError
from .contents import check

MOST_FILES = 64
MOST_LIST = 64 * 1024
"""Bytes of an archive's list of files; a run has ten files or fewer."""
MOST_SHRINK = 20
"""Times its size in the archive that a file of tensors may have; trained weights hardly shrink."""
FEW = 2**20
"""Bytes that may be anything."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
DAMAGED = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, struct.error)
TAIL = 22 + 65535
AT_ONCE = 2**20


def unpack(path: Path, into: Path) -> None:
    """Write the files of the run in an archive into an empty folder.

    Raises:
        BundleError: It is no archive, is damaged, or holds anything but a run: other names, links, encrypted or twice
            named files, sizes that this machine does not have.
    """
    place = repr(str(path))
    try:
        _check_list(path)
        with zipfile.ZipFile(path) as archive:
            entries = _entries(archive, place)
            taken = check({name: entry.file_size for name, entry in entries.items()}, place)
            for name, size in taken.items():
                _write(archive, entries[name], into / name, size)
    except (*DAMAGED, NotImplementedError, ValueError) as err:
        if isinstance(err, BundleError):
            raise
        raise BundleError(
            f"A packed run is an archive written by `senzai pack`, but {place} cannot be read ({err}). Copy it again."
        ) from err
    except OSError as err:
        raise BundleError(f"A packed run must be readable, but {place}: {err.strerror or err}.") from err


def _check_list(path: Path) -> None:
    """Refuse an archive with a long list of files, which would be read as a whole."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise zipfile.BadZipFile("it has no list of files")
    count, length = struct.unpack_from("<HI", tail, at + 10)
    if at >= 76 and tail[at - 20 : at - 16] == b"PK\x06\x07":  # the list of a large archive counts instead
        count, length = struct.unpack_from("<QQ", tail, at - 76 + 32)
    if count > MOST_FILES or length > MOST_LIST:
        raise BundleError(
            f"A packed run has at most {MOST_FILES} files, but {str(path)!r} announces {count:,}. Nothing was read."
        )


def _entries(archive: zipfile.ZipFile, place: str) -> dict[str, zipfile.ZipInfo]:
    """Return the files of an archive by name, without the one folder that all may be in."""
    files = [entry for entry in archive.infolist() if not entry.is_dir()]
    tops = {entry.filename.partition("/")[0] for entry in files}
    shared = len(tops) == 1 and all("/" in entry.filename for entry in files)
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in files:
        name = entry.filename.partition("/")[2] if shared else entry.filename
        if why := _wrong(entry, twice=name in found):
            raise BundleError(f"A packed run holds plain files, but {entry.filename[:60]!a} in {place} {why}.")
        found[name] = entry
    return found


def _wrong(entry: zipfile.ZipInfo, *, twice: bool) -> str:
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "is a link or a device"
    if entry.flag_bits & 1:
        return "is encrypted"
    if entry.compress_type not in METHODS:
        return "is compressed in a way that packed runs are not"
    if twice:
        return "is there twice"
    tensors = entry.filename.endswith(".safetensors") and entry.file_size > FEW
    if tensors and entry.file_size > MOST_SHRINK * max(1, entry.compress_size):
        return f"grows to {entry.file_size / max(1, entry.compress_size):,.0f} times its size, as no weights do"
    return ""


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, size: int) -> None:
    """Write one file, and no more of it than was announced."""
    written = 0
    with archive.open(entry) as source, target.open("xb") as sink:
        while piece := source.read(AT_ONCE):
            written += len(piece)
            if written > size:
                break
            sink.write(piece)
    if written != size:
        raise BundleError(f"{entry.filename!r} was announced with {size:,} bytes, but has another size. Copy it again.")
