"""Report: a page about a run that opens in any browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...core.errors import OutputError
from ...core.files import user_path
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained


@verb("report", group="Judge", takes="own rows", answers="file", steered=False)
def report(run: Trained, data: object = None, *, path: str | Path | None = None) -> Path:
    """Write a page that opens in any browser: how training went, what the model learned, how good it is."""
    from ...report import write_report

    if path is None and run.folder is None:
        raise OutputError("A report needs a place, but this run has no folder. Give a path, or save the run first.")
    target = user_path(path, output=True) if path is not None else Path(str(run.folder)) / "report.html"
    return write_report(run, run.dataset(run.source(data)), target)
