"""Pack: a run as one file, to be handed on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.errors import OutputError
from ...core.files import user_path
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained


@verb("pack", group="Share", takes="nothing", answers="file", steered=False, own_hand=True)
def pack(
    run: Trained, *, path: str | Path | None = None, rows: bool = True, checkpoint: bool = False
) -> Path:
    """Write the run into one file that senzai loads like a folder.

    Args:
        run: The run.
        path: A file ``*.zip``; by default called like the run's folder, beside it.
        rows: Also the training rows that the run keeps to compare others with, where it keeps some.
        checkpoint: Also the state of training, to resume the run where it is unzipped.
    """
    from ...sharing.packing import pack as write

    if path is None and run.folder is None:
        raise OutputError("A packed run needs a place, but this run has no folder. Give a path: run.pack('run.zip').")
    target = user_path(path, output=True) if path is not None else Path(f"{run.folder}.zip")
    with folder_of(run, target.stem) as folder:
        return write(folder, target, rows=rows, checkpoint=checkpoint)


@contextmanager
def folder_of(run: Trained, name: str) -> Iterator[Path]:
    """Yield the folder of a run; of one in memory, a folder that it is written to by a name for a while."""
    from .saving import save

    if run.folder is not None:
        yield run.folder
        return
    with tempfile.TemporaryDirectory(prefix="senzai-share-") as tmp:
        yield save(run, Path(tmp) / name)
