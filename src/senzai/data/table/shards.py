"""Tables in many files, of a folder or an object store: Parquet, Arrow and WebDataset shards, read group by group.

A *group* is read at once: a row group of Parquet, a record batch of Arrow, all of a WebDataset shard. Where rows
are is known from the ends of the files (of WebDataset, from reading them once).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.extras import need

from ..rows import Array
from . import exact

PARQUET, ARROW, TAR = (".parquet", ".pq"), (".arrow", ".feather", ".ipc"), (".tar",)
SUFFIXES = (*PARQUET, *ARROW, *TAR)
SCHEMES = ("file", "local", "memory", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "hdfs", "oss", "sftp")
"""File systems of fsspec that hold shards; any other address is one of a database."""


@dataclass(frozen=True)
class Shard:
    """One file of a table.

    Args:
        name: Its path within the folder.
        size: Its bytes.
        groups: Rows of each of its groups.
        form: Columns and their types, by which shards are compared.
        lost: Columns of a type that a table cannot have.
    """

    name: str
    size: int
    groups: tuple[int, ...]
    form: tuple[tuple[str, str], ...]
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shards:
    """The files of a table, in the order of their names.

    Args:
        origin: What they are called in messages.
        each: The files.
        opened: Opens a file by its name.
    """

    origin: str
    each: tuple[Shard, ...]
    opened: Callable[[str], Any]

    @property
    def starts(self) -> Array:
        """First row of each group, and the number of all rows, ``(G + 1,)``."""
        sizes = [n for shard in self.each for n in shard.groups]
        return np.concatenate([[0], np.cumsum(np.array(sizes, dtype=np.int64))])

    @property
    def columns(self) -> list[str]:
        """Names of the columns that a table can have, in the order of the first shard."""
        return next(([n for n, _ in s.form if n not in s.lost] for s in self.each if s.form), [])

    @property
    def places(self) -> list[tuple[Shard, int]]:
        """Shard of each group, and its number there."""
        return [(shard, i) for shard in self.each for i in range(len(shard.groups))]

    def group(self, shard: Shard, number: int, rows: int, names: Collection[str] | None = None) -> Iterator[Any]:
        """Yield frames of at most so many rows of a group.

        Raises:
            InputError: The shard is not there any more, is damaged, or is another one by now.
        """
        with guarded(self.origin, shard.name), self.opened(shard.name) as file:
            size = file.seek(0, 2)
            file.seek(0)
            if size != shard.size:
                raise InputError(
                    f"Shards stay as they are while they are used, but {shard.name!r} of {self.origin} had "
                    f"{shard.size:,} bytes and has {size:,} now. Leave them alone, and begin again."
                )
            found, own = 0, self.columns
            chosen = own if names is None or not set(names) <= set(own) else [n for n in own if n in names]
            for table in READERS[_sort(shard.name)](file, number, rows, chosen):
                found += table.num_rows
                yield _framed(table)
            if found != shard.groups[number]:
                raise InputError(
                    f"A group of rows holds what the end of its file announces, but group {number} of {shard.name!r} "
                    f"has {found:,} rows instead of {shard.groups[number]:,}. Write the shard again."
                )

    def pieces(self, rows: int, names: Collection[str] | None = None) -> Iterator[Any]:
        """Yield frames of all rows, in order."""
        for shard, number in self.places:
            if shard.groups[number]:
                yield from self.group(shard, number, rows, names)


def is_address(source: object) -> bool:
    """Whether a source is the address of files that fsspec reaches.

    Example:
        >>> is_address("s3://bucket/folder"), is_address("sqlite:///shop.db"), is_address("folder")
        (True, False, False)
    """
    return isinstance(source, str) and "://" in source and source.split("://")[0].lower() in SCHEMES


def is_folder(path: Path) -> bool:
    """Whether a folder holds shards of a table and nothing else."""
    names = [p.name for p in path.rglob("*") if p.is_file()]
    held = [n for n in names if not _beside(n)]
    return bool(held) and all(PurePosixPath(n).suffix.lower() in SUFFIXES for n in held)


def _beside(name: str) -> bool:
    """Whether a file is no shard but what engines write beside them (``_SUCCESS``, ``.part-0.crc``)."""
    return name.startswith(("_", "."))


def open_folder(path: Path) -> Shards:
    """Return the shards of a folder; hidden files and those that begin with ``_`` are no shards."""
    found = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
    return _opened(repr(str(path)), found, lambda name: (path / name).open("rb"))


def open_address(address: str) -> Shards:
    """Return the shards below an address, or the one that it names.

    Raises:
        InputError: Nothing is there, or it cannot be reached.
    """
    fsspec = need("fsspec", extra="shards", to="read from object stores")
    try:
        system, root = fsspec.core.url_to_fs(address)
        paths = sorted(system.find(root))
    except Exception as err:  # every store has exceptions of its own
        raise InputError(
            f"Shards are read from a place that can be reached, but {address.rpartition('@')[2]!r} cannot: "
            f"{str(err)[:200]}. Check the address, what it needs to be installed, and what you may read."
        ) from err
    one = paths == [root] or paths == [root.rstrip("/")]
    names = [PurePosixPath(p).name if one else p[len(root) :].lstrip("/") for p in paths]
    at = dict(zip(names, paths, strict=True))
    return _opened(repr(address.rpartition("@")[2]), names, lambda name: system.open(at[name], "rb"))


def _opened(origin: str, names: list[str], opened: Callable[[str], Any]) -> Shards:
    kept = [n for n in names if not any(_beside(part) for part in PurePosixPath(n).parts)]
    other = [n for n in kept if PurePosixPath(n).suffix.lower() not in SUFFIXES]
    if not kept or other:
        raise InputError(
            f"Shards are files with the suffix {', '.join(SUFFIXES)}, but {origin} has "
            f"{', '.join(map(repr, other[:3])) or 'none'}. Name the folder that holds them and nothing else."
        )
    each = []
    for name in kept:
        with guarded(origin, name), opened(name) as file:
            groups, schema = HEADS[_sort(name)](file)
            form = () if schema is None else tuple((f.name, str(f.type)) for f in schema)
            lost = () if schema is None else tuple(f.name for f in schema if exact.cannot_hold(f.type))
            each.append(Shard(name, file.seek(0, 2), groups, form, lost))
    _need_one_form(each, origin)
    _refuse_copies(each, opened, origin)
    return Shards(origin, tuple(each), opened)


def _sort(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    return "parquet" if suffix in PARQUET else "arrow" if suffix in ARROW else "tar"


@contextmanager
def guarded(origin: str, name: str) -> Iterator[None]:
    """Turn what readers raise about a shard into an error that names it.

    Raises:
        InputError: It is damaged, or not there.
    """
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as err:
        raise InputError(
            f"All shards of {origin} must be there, but {name!r} is not any more. Put it back, or begin again without."
        ) from err
    except Exception as err:  # Arrow, tar and stores raise a dozen types
        raise InputError(
            f"Every shard of {origin} must be whole, but {name!r} cannot be read: {str(err)[:200]}. "
            "Write it again, or take it away."
        ) from err


def _need_one_form(each: list[Shard], origin: str) -> None:
    told = [s for s in each if s.form]
    first = told[0] if told else each[0]
    for shard in told[1:]:
        a, b = dict(first.form), dict(shard.form)
        if a == b:
            continue
        name = next(n for n in (*a, *b) if a.get(n) != b.get(n))
        raise InputError(
            f"All shards of {origin} must have the same columns, but {name!r} is {a.get(name, 'not there')} in "
            f"{first.name!r} and {b.get(name, 'not there')} in {shard.name!r}. Write one of them again."
        )


def _refuse_copies(each: list[Shard], opened: Callable[[str], Any], origin: str) -> None:
    """Refuse two files with the same bytes: their rows would count twice. Only files of one size are compared."""
    alike: dict[tuple[int, tuple[int, ...]], list[Shard]] = {}
    for shard in each:
        if sum(shard.groups):
            alike.setdefault((shard.size, shard.groups), []).append(shard)
    for group in alike.values():
        seen: dict[bytes, str] = {}
        for shard in group if len(group) > 1 else ():
            with guarded(origin, shard.name), opened(shard.name) as file:
                digest = hashlib.file_digest(file, "sha256").digest()
            if digest in seen:
                raise InputError(
                    f"Every row of {origin} must be there once, but {seen[digest]!r} and {shard.name!r} hold the same "
                    "bytes. Take one of them away."
                )
            seen[digest] = shard.name


# --- forms ----------------------------------------------------------------------------------------------------------
def _parquet_head(file: Any) -> tuple[tuple[int, ...], Any]:
    import pyarrow.parquet as pq

    found = pq.ParquetFile(file)
    told = found.metadata
    return tuple(told.row_group(i).num_rows for i in range(told.num_row_groups)), found.schema_arrow


def _parquet(file: Any, number: int, rows: int, names: list[str]) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = pq.ParquetFile(file)
    for batch in found.iter_batches(batch_size=rows, row_groups=[number], columns=names):
        yield pa.Table.from_batches([batch]).select(names)


def _arrow_head(file: Any) -> tuple[tuple[int, ...], Any]:
    from pyarrow import ipc

    found = ipc.open_file(file)
    return tuple(found.get_batch(i).num_rows for i in range(found.num_record_batches)), found.schema


def _arrow(file: Any, number: int, rows: int, names: list[str]) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import ipc

    found = ipc.open_file(file)
    table = pa.Table.from_batches([found.get_batch(number)])
    for start in range(0, table.num_rows, rows):
        yield table.select(names).slice(start, rows)


def _tar_rows(file: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a WebDataset shard: what each sample has as ``json``."""
    tars = need("webdataset.tariterators", extra="shards", to="read WebDataset shards")
    samples = tars.group_by_keys(tars.tar_file_expander([{"url": "shard", "stream": file}]))
    for sample in samples:
        row = json.loads(sample["json"]) if "json" in sample else None
        if not isinstance(row, dict):
            held = ", ".join(k for k in sample if not k.startswith("__"))
            raise ValueError(f"sample {sample['__key__']!r} has no object as .json, but {held or 'nothing'}")
        yield row


def _tar_table(file: Any) -> Any:
    import pyarrow as pa

    return pa.Table.from_pylist(list(_tar_rows(file)))


def _tar_head(file: Any) -> tuple[tuple[int, ...], Any]:
    table = _tar_table(file)
    return ((table.num_rows,), table.schema) if table.num_rows else ((), None)


def _tar(file: Any, number: int, rows: int, names: list[str]) -> Iterator[Any]:
    table = _tar_table(file)
    for start in range(0, table.num_rows, rows):
        yield table.select(names).slice(start, rows)


def _framed(table: Any) -> Any:
    table.validate(full=True)  # a damaged file may contain any offset, and Arrow would read there
    return exact.framed(table)


HEADS: dict[str, Callable[[Any], Any]] = {"parquet": _parquet_head, "arrow": _arrow_head, "tar": _tar_head}
READERS: dict[str, Callable[..., Iterator[Any]]] = {"parquet": _parquet, "arrow": _arrow, "tar": _tar}


def fingerprint(shards: Shards) -> str:
    """Return what shards are known by: names, sizes, rows and columns, and the first and last bytes of each.

    Example:
        >>> fingerprint(Shards("none", (), open))
        'sha256-sample:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    digest = hashlib.sha256()
    for shard in shards.each:
        digest.update(f"{shard.name}\0{shard.size}\0{shard.groups}\0{shard.form}\0".encode())
        with guarded(shards.origin, shard.name), shards.opened(shard.name) as file:
            digest.update(file.read(2**14))
            file.seek(max(0, shard.size - 2**14))
            digest.update(file.read(2**14))
    return f"sha256-sample:{digest.hexdigest()}"


def groups_of(starts: Array, rows: Array) -> Iterator[tuple[int, int, int]]:
    """Yield ``(group, first, end)`` of ascending rows: those from ``first`` to ``end`` are in that group.

    Example:
        >>> list(groups_of(np.array([0, 3, 3, 8]), np.array([1, 2, 3, 7])))
        [(0, 0, 2), (2, 2, 4)]
    """
    cuts = np.searchsorted(rows, starts)
    for group, (first, end) in enumerate(pairwise(cuts.tolist())):
        if first < end:
            yield group, first, end
