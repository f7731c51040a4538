"""Files of numbers: npy, npz, csv and idx, each to one array with what is known about it."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.memory import free_memory
from senzai.core.registry import suggestion

from . import idx
from .limits import guarded, need_archive, need_array, need_no_holes, need_room
from .options import Options
from .rows import Array

KEYS = ("x", "X", "data", "train", "images", "x_train", "X_train", "train_x", "train_images", "train_data")
LENGTHS = "lengths"
LABEL_KEYS = ("y", "Y", "labels", "label", "target", "targets")
IN_MEMORY_BYTES = 2**31
FIRST_LINE = 1 << 20
"""Characters of the first line that are looked at."""
SUFFIXES = (".npy", ".npz", ".csv", ".tsv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """What a source holds, before anything is decided.

    Args:
        x: An array, or a DataFrame.
        y: Labels as they are there.
        label_name: What the labels are called.
        label_asked: Whether the user named the labels, so that unusable ones are an error.
        lengths: Lengths of sequences as they are there.
        marks: Arrays that say how rows are divided or what they are known by, by name.
        notes: What was chosen on the way, one sentence each.
    """

    x: Any
    y: Any = None
    label_name: str = "label"
    label_asked: bool = False
    lengths: Any = None
    marks: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = field(default=())


def is_array_file(path: Path) -> bool:
    """Whether a file is of a form that is read here, by its name."""
    return path.suffix.lower() in SUFFIXES or idx.is_idx(path)


def read_file(path: Path, options: Options, *, strict: bool = True) -> Raw:
    """Read a file of numbers by its suffix; ``strict`` if the label that was named must be there."""
    if idx.is_idx(path):
        return _read_idx(path)
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return Raw(x=_load_npy(path, options))
    return _read_npz(path, options, strict) if suffix == ".npz" else Raw(x=_read_csv(path))


def header(path: Path, key: str | None) -> tuple[tuple[int, ...], str] | None:
    """Return shape and dtype of the array in a file without reading it; ``None`` for text."""
    if idx.is_idx(path):
        return idx.idx_header(path)
    if path.suffix.lower() not in (".npy", ".npz"):
        return None
    if path.suffix.lower() == ".npy":
        with guarded(path):
            return _npy_header(path)
    with guarded(path), zipfile.ZipFile(path) as archive:
        names = [n.removesuffix(".npy") for n in archive.namelist()]
        shape, dtype = _member_header(archive, choose_key(names, key, path), path)
        return shape, dtype.name


def says_lengths(path: Path, key: str | None) -> bool:
    """Whether a file is an archive of sequences with their lengths."""
    if path.suffix.lower() != ".npz":
        return False
    with guarded(path), zipfile.ZipFile(path) as archive:
        names = [n.removesuffix(".npy") for n in archive.namelist()]
        return has_lengths(names, choose_key(names, key, path))


def _npy_header(path: Path) -> tuple[tuple[int, ...], str]:
    with path.open("rb") as file:
        shape, dtype = _header(file, path, path.stat().st_size)
    return shape, dtype.name


def _member_header(archive: zipfile.ZipFile, name: str, path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return what the header of an array in an archive announces, which is no more than what stands behind it."""
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as member:
        return _header(member, path, info.file_size)


def _header(file: Any, path: Path, held: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    need_array(shape, dtype, path, held=held)
    return shape, dtype


def _load_npy(path: Path, options: Options) -> Array:
    with guarded(path):
        _npy_header(path)
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    small = array.nbytes <= min(IN_MEMORY_BYTES, free_memory() / 2)
    if not (small if options.in_memory is None else options.in_memory):
        return array
    need_room(array.nbytes, path, " x ".join(map(str, array.shape)))
    return np.array(array)


def choose_key(names: Sequence[str], key: str | None, path: Path) -> str:
    """Choose the array of an archive that holds the data.

    Raises:
        InputError: The key is not there, or several arrays could be meant.

    Example:
        >>> choose_key(["x", "y"], None, Path("a.npz"))
        'x'
    """
    listed = ", ".join(names)
    if key is not None:
        if key in names:
            return key
        raise InputError(f"{str(path)!r} has the arrays {listed}, but got key={key!r}.{suggestion(key, list(names))}")
    usual = next((k for k in KEYS if k in names), None)
    if usual is None and len(names) == 1:
        return names[0]
    if usual is None:
        raise InputError(
            f"An archive needs one array, or one named {', '.join(KEYS[:5])}, but {str(path)!r} has "
            f"{listed or 'none'}. Choose one with the option key=NAME."
        )
    return usual


def _read_npz(path: Path, options: Options, strict: bool) -> Raw:
    with guarded(path), np.load(path, allow_pickle=False) as archive:
        names = list(archive.files)
        need_archive(archive.zip, path)

        def take(name: str) -> Array:
            _member_header(archive.zip, name, path)
            array: Array = archive[name]
            return array

        key = choose_key(names, options.key, path)
        x = take(key)
        label = _label_key(names, key, options if strict or str(options.label) in names else None, path)
        y = None if label is None else take(label)
        if y is not None and options.label is None and (y.ndim == 0 or y.shape[:1] != x.shape[:1] or y.size != len(y)):
            label, y = None, None
        lengths = take(LENGTHS) if has_lengths(names, key) else None
        wanted = [m for m in marks_of(options) if strict or m in names]
        marks = {m: take(choose_key(names, m, path)) for m in wanted}
    others = [n for n in names if n not in (key, label, LENGTHS if lengths is not None else key, *marks)]
    notes = [f"The array {key!r} was read" + (f"; {', '.join(others)} were left." if others else ".")]
    notes += [f"The array {label!r} holds the labels."] if label else []
    asked = options.label is not None
    told = tuple(notes) if len(names) > 1 else ()
    return Raw(x=x, y=y, label_name=label or "label", label_asked=asked, lengths=lengths, notes=told, marks=marks)


def marks_of(options: Options) -> list[str]:
    """Return the names of the arrays by which rows are divided, and of those with their concepts."""
    named = (options.groups, options.time, *getattr(options, "concepts", ()))
    return [name for name in named if name is not None]


def has_lengths(names: Sequence[str], key: str) -> bool:
    """Whether an archive says how long its sequences are."""
    return LENGTHS in names and key != LENGTHS


def _label_key(names: Sequence[str], key: str, options: Options | None, path: Path) -> str | None:
    if options is not None and options.label is not None:
        return choose_key(names, str(options.label), path)
    swaps = (("images", "labels"), ("data", "labels"), ("x", "y"), ("X", "y"), ("X", "Y"))
    pairs = [key.replace(a, b) for a, b in swaps if a in key]
    pairs += [f"{key}_labels", f"{key}_y", f"y_{key}"]
    usual = [k for k in LABEL_KEYS if k in names]
    return next((k for k in [*pairs, *usual] if k in names and k != key), None)


def _read_idx(path: Path) -> Raw:
    x = idx.read_idx(path)
    beside = idx.labels_beside(path) if x.ndim > 1 else None
    if beside is None:
        return Raw(x=x)
    notes = (f"The labels are those of {beside.name!r}.",)
    return Raw(x=x, y=idx.read_idx(beside), notes=notes, label_asked=True)


def _read_csv(path: Path) -> Any:
    import pandas as pd

    need_no_holes(path)
    need_room(path.stat().st_size, path, "numbers as text")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline(FIRST_LINE)
        mark = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
        header: Any = None if _all_numbers(first.rstrip("\r\n").split(mark)) else "infer"
        new = tuple(int(n) for n in pd.__version__.split(".")[:2]) >= (3, 1)
        exact: Any = {} if new else {"float_precision": "round_trip"}  # since 3.1 the only way
        return pd.read_csv(path, sep=mark, header=header, encoding="utf-8-sig", **exact)
    except Exception as err:  # pandas raises a dozen types for a damaged file
        raise InputError(
            f"{str(path)!r} must be a table in UTF-8 with the same number of cells in every line, but: {err}. "
            "Check that line, or save the file again."
        ) from err


def _all_numbers(cells: Sequence[str]) -> bool:
    try:
        return all(np.isfinite(float(c)) for c in cells)
    except ValueError:
        return False
