"""Folders of files, a row or more each: which files there are, and which class a file is of by its folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from senzai.core.errors import InputError
from senzai.core.terminal import safe

from .rows import Array

PARTS = {"train", "training", "val", "valid", "validation", "test"}


def find(root: Path, wanted: Callable[[Path], bool]) -> tuple[list[Path], tuple[str, ...]]:
    """Return all wanted files under a folder, sorted by their path, and a sentence where something was left out.

    Links to folders are followed; a folder is read once, however many links lead to it, so that no loop is endless.

    Raises:
        InputError: A folder cannot be listed.
    """
    if root.is_file():
        return [root], ()
    found: list[Path] = []
    again: list[str] = []
    seen = {_identity(root)}
    for folder, below, names in os.walk(root, followlinks=True, onerror=_refuse):
        folders = sorted((Path(folder, b) for b in below if not b.startswith(".")), key=lambda p: (p.is_symlink(), p))
        below.clear()
        for path in folders:
            if (key := _identity(path)) in seen:
                again.append(path.relative_to(root).as_posix())
            else:
                seen.add(key)
                below.append(path.name)
        found += [p for name in names if wanted(p := Path(folder, name))]
    some = safe(", ".join(again[:3])) + (" ..." if len(again) > 3 else "")
    said = f"Links to folders that are read already were left out ({len(again)}): {some}."
    return sorted(found, key=lambda p: p.relative_to(root).as_posix()), (said,) if again else ()


def _identity(folder: Path) -> tuple[int, int]:
    about = folder.stat()
    return about.st_dev, about.st_ino


def _refuse(err: OSError) -> None:
    raise InputError(f"A folder must be readable, but {str(err.filename)!r} is not: {err.strerror}. Allow it.") from err


def labels_of(paths: Sequence[Path], root: Path, notes: list[str]) -> Array | None:
    """Take the name of the folder right below the root as the label, where every file has one and they differ."""
    if root.is_file():
        return None
    tops = [p.relative_to(root).parts for p in paths]
    names = {t[0] for t in tops}
    if any(len(t) < 2 for t in tops) or len(names) < 2:
        return None
    if {n.lower() for n in names} <= PARTS:
        notes.append(f"The folders {', '.join(sorted(names))} are read together; name one of them to read it alone.")
        return None
    return np.array([t[0] for t in tops])
