"""A look at the first lines of a table: does a column name files that are there?"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import sources
from .pieces import LOOKED_AT, of_paths

BYTES = 2**16
TEXTS = {".csv": ",", ".tsv": "\t"}


def names_files(source: object) -> str | None:
    """Return the first column whose cells name files of a kind that are there; ``None`` where none does."""
    if sources.is_frame(source):
        frame: Any = source
        few = frame.head(LOOKED_AT)
        columns: Any = ((str(c), few.iloc[:, i].dropna().tolist()) for i, c in enumerate(frame.columns))
        return next((name for name, cells in columns if of_paths(cells, Path())), None)
    path = Path(str(source)).expanduser()
    if path.suffix.lower() not in TEXTS or not path.is_file():
        return None
    return next((name for name, cells in _columns(path) if of_paths(cells, path.parent)), None)


def _columns(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield names and first cells of a text table; nothing of one that is not plain UTF-8."""
    with path.open("rb") as file:
        lines = file.read(BYTES).decode("utf-8", errors="ignore").splitlines()[: LOOKED_AT + 1]
    if not lines:
        return
    mark = TEXTS[path.suffix.lower()]
    mark = ";" if mark == "," and lines[0].count(";") > lines[0].count(",") else mark
    try:
        rows = list(csv.reader(lines, delimiter=mark))
    except csv.Error:
        return
    for i, name in enumerate(rows[0]):
        yield name, [row[i] for row in rows[1:] if i < len(row) and row[i].strip()]
