"""The bytes of a text table: unpacked where they are packed, and the encoding that they are in."""

from __future__ import annotations

import codecs
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from senzai.core.errors import InputError, SettingError

from .limits import need_archive, told

BLOCK = 1 << 22
"""Bytes that are read at once."""
TAIL = 1 << 16
PACKED = (".gz", ".bz2", ".zst", ".xz", ".zip")
MARKS = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip"}
"""How packed files begin, whatever they are called."""
BOMB_BYTES, BOMB_RATIO = 2**30, 300
"""A file that unpacks to more than so many bytes, and to so many times its own, is no table that somebody packed."""
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError)

WESTERN = "cp1252"
CANDIDATES = ("cp932", "euc_jp", "gb18030", "big5", "cp949", "cp1251", "koi8_r", "cp866", "cp1253", WESTERN)
"""Encodings that can be recognised from text; Latin scripts other than the western one are not among them."""
MULTIBYTE = CANDIDATES[:5]
SAMPLE, LEAST = 1 << 15, 400
CLEAR = 0.02
"""Share of odd characters by which the best reading must be ahead of the next, unless it is the likelier language."""


@dataclass(frozen=True)
class Scan:
    """What one pass over the bytes of a text file found.

    Args:
        size: Bytes, unpacked.
        head: The first of them.
        tail: The last of them.
        utf8: Whether all of them are UTF-8.
        packed: How the file is packed, if it is.
    """

    size: int
    head: bytes
    tail: bytes
    utf8: bool
    packed: str = ""


def inner(path: Path) -> str:
    """Return the suffix of a file, of a packed one that of what is in it.

    Example:
        >>> inner(Path("a.csv")), inner(Path("a.CSV.gz")), inner(Path("a.gz"))
        ('.csv', '.csv', '')
    """
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in PACKED else suffix


def opened(path: Path) -> Any:
    """Open a file for reading bytes, unpacked where its first bytes say that it is packed.

    Raises:
        InputError: It is an archive of several files.
    """
    import pyarrow as pa

    how = packed(path)
    if how == "xz":
        return lzma.open(path)
    if how == "zip":
        return _only_member(path)
    return pa.input_stream(str(path), compression=how or None)


def packed(path: Path) -> str:
    """Return how a file is packed, by its first bytes; empty if it is not."""
    with path.open("rb") as file:
        first = file.read(6)
    return next((how for mark, how in MARKS.items() if first.startswith(mark)), "")


def _only_member(path: Path) -> Any:
    try:
        archive = zipfile.ZipFile(path)
        need_archive(archive, path)
    except zipfile.BadZipFile as err:
        raise damaged(path, err) from err
    names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX/")]
    if len(names) != 1:
        raise InputError(f"A packed table is one file, but {str(path)!r} has {len(names)}. Unpack it, and name one.")
    return archive.open(names[0])


def damaged(path: Path, err: Exception) -> InputError:
    """Return the error of a file whose bytes cannot be read."""
    return InputError(f"{str(path)!r} must be a whole file, but cannot be read: {str(err)[:200]}. Copy it again.")


def scan(path: Path) -> Scan:
    """Read all bytes of a text file once.

    Raises:
        InputError: It is damaged.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    size, head, tail, utf8, packed_ = 0, b"", b"", True, packed(path)
    try:
        with opened(path) as file:
            while block := file.read(BLOCK):
                size += len(block)
                if packed_ and size > max(BOMB_BYTES, BOMB_RATIO * path.stat().st_size):
                    raise InputError(
                        f"{str(path)!r} unpacks to more than {told(size)}, {BOMB_RATIO} times what it takes on disk, "
                        "which no table does. If it is one, unpack it first."
                    )
                head = head or block[:TAIL]
                tail = (tail + block)[-TAIL:]
                utf8 = utf8 and _decodes(decoder, block)
    except DAMAGE as err:
        raise damaged(path, err) from err
    return Scan(size, head, tail, utf8 and _decodes(decoder, b"", final=True), packed_)


def _decodes(decoder: Any, block: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(block, final=final)
    except UnicodeDecodeError:
        return False
    return True


def known(name: str) -> str:
    """Return the name of an encoding that the user gave.

    Raises:
        SettingError: There is none of that name.
    """
    try:
        "".encode(name)
        return name
    except LookupError:
        raise SettingError(
            f"An encoding is one that Python knows, such as utf-8, cp1252, shift_jis, gb18030 or koi8-r, but got "
            f"encoding={name!r}. Correct the name."
        ) from None


def encoding_of(path: Path, found: Scan) -> str:
    """Return the encoding of a file: by its mark, by its zeros, UTF-8, or the one that makes the best texts of it.

    Raises:
        InputError: Some lines are UTF-8 and others are not, or several encodings are as likely.
    """
    head = found.head
    for mark, name in ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
                       (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if head.startswith(mark):
            return name
    zeros = [head[i::2].count(0) / max(len(head) // 2, 1) for i in (0, 1)]
    if max(zeros) > 0.1 and min(zeros) < 0.01:  # digits, delimiters and line ends are one byte and a zero in UTF-16
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    if found.utf8:
        return "utf-8-sig"
    words, mixture = _words(path)
    ranked = _ranked(words)
    if mixture is not None and (not ranked or ranked[0].encoding not in MULTIBYTE or ranked[0].coherence < 0.05):
        raise InputError(
            f"A file has one encoding, but {str(path)!r} is UTF-8 in line {mixture[0]} and not in line {mixture[1]}. "
            "Convert it to UTF-8, or name the encoding to use for all of it: encoding=cp1252."
        )
    for i, match in enumerate(ranked):
        if decodes(path, match.encoding):
            _refuse_as_likely(path, match, ranked[i + 1 :])
            return str(match.encoding)
    if decodes(path, WESTERN):
        return WESTERN
    raise InputError(
        f"A text file is in an encoding that can be recognised, but {str(path)!r} is in none of utf-8, utf-16, "
        f"{', '.join(CANDIDATES)}. Convert it to UTF-8, or name its encoding: encoding=..."
    )


def _lines(path: Path) -> Iterator[bytes]:
    rest = b""
    with opened(path) as file:
        while block := file.read(BLOCK):
            *lines, rest = (rest + block).split(b"\n")
            yield from lines
    yield rest


def _words(path: Path) -> tuple[bytes, tuple[int, int] | None]:
    """Return different cells that are not ASCII, and a line that is UTF-8 with one that is not, if there are both."""
    cells: dict[bytes, None] = {}
    size = good = bad = 0
    for number, line in enumerate(_lines(path), 1):
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
            good = good or number
        except UnicodeDecodeError:
            bad = bad or number
        if size < SAMPLE:
            new = [c for c in line.replace(b"\t", b",").replace(b";", b",").split(b",") if not c.isascii()]
            size += sum(len(c) + 1 for c in new if c not in cells)
            cells.update(dict.fromkeys(new))
    return b"\n".join(cells), (good, bad) if good and bad else None


def _ranked(words: bytes) -> list[Any]:
    """Return the readings of some words, the likeliest first; few words are repeated, so that they can be judged."""
    from charset_normalizer import from_bytes

    several = b"\n".join([words] * max(1, LEAST // max(len(words), 1)))
    return list(from_bytes(several, cp_isolation=list(CANDIDATES), enable_fallback=False, preemptive_behaviour=False))


def _refuse_as_likely(path: Path, best: Any, others: list[Any]) -> None:
    """Refuse two scripts that a few words could be of; the western one is taken unless another is likelier."""
    for other in others[:1]:
        ahead = other.chaos - best.chaos >= CLEAR or best.coherence > other.coherence
        if ahead or WESTERN in (best.encoding, other.encoding) or not decodes(path, other.encoding):
            continue
        few = [f"{str(m).split(chr(10))[0].strip()[:20]!r} ({m.encoding})" for m in (best, other)]
        raise InputError(
            f"The encoding of a file must be clear, but the few words of {str(path)!r} could be {' or '.join(few)}. "
            f"Name it: encoding={best.encoding}, encoding={other.encoding} or another; or convert the file to UTF-8."
        )


def decodes(path: Path, encoding: str) -> bool:
    """Whether all of a file is text in an encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    with opened(path) as file:
        while block := file.read(BLOCK):
            if not _decodes(decoder, block):
                return False
    return _decodes(decoder, b"", final=True)
