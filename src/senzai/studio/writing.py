"""Files for people to keep: rows as their kind writes them, one file, fetched once by its name."""

from __future__ import annotations

import secrets
import shutil
import zipfile
from pathlib import Path
from typing import Any

from ..core.files import replacing
from ..data import KINDS, Schema
from .workspace import Workspace

KEPT = 40


def exported(workspace: Workspace, rows: Any, schema: Schema, stem: str) -> str:
    """Write rows and return the name of the file; a kind that writes a folder gives a zip of it."""
    kind = KINDS[schema.kind]
    name = f"{stem}-{secrets.token_hex(2)}{'' if kind.folder else kind.suffix}"
    path = workspace.own("exports", name)
    kind.write(rows, path, schema)
    _tidy(path.parent)
    if path.is_dir():
        return _zipped(path)
    return path.name


def _zipped(folder: Path) -> str:
    target = folder.with_name(f"{folder.name}.zip")
    with replacing(target) as tmp, zipfile.ZipFile(tmp, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder))
    shutil.rmtree(folder)
    return target.name


def _tidy(folder: Path) -> None:
    """Keep the last few files."""
    every = sorted((p for p in folder.iterdir() if p.is_file()), key=lambda p: p.stat().st_mtime)
    for path in every[:-KEPT]:
        path.unlink(missing_ok=True)
