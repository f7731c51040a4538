"""One file of a run: an archive with its JSON and tensors, the same bytes for the same run."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..core.errors import OutputError
from ..core.files import replacing, user_path, write_json
from ..training.places import METRICS, SPEC, need_run
from .contents import CARD, CHECKPOINTS, READ, REFERENCE

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in an archive, the first that there is: equal runs give equal archives."""
PLACED = ("sqlite:///",)


def pack(folder: Path, target: str | Path, *, rows: bool = True, checkpoint: bool = False) -> Path:
    """Write the files of a run into one archive, atomically.

    Args:
        folder: The run.
        target: A new file, ``*.zip``.
        rows: Also the rows that scores compare with, where the run keeps some; they are training rows.
        checkpoint: Also the state of training, several times the weights, so that it can be resumed.

    Raises:
        OutputError: It is not called ``*.zip``, exists as a folder, or cannot be written.
        BundleError: The folder is no run.
    """
    path = user_path(target, output=True)
    if path.suffix.lower() != ".zip" or path.is_dir():
        raise OutputError(f"A packed run is a file called NAME.zip, but got {path.name!r}. Choose such a name.")
    with prepared(folder, rows=rows, checkpoint=checkpoint) as ready, replacing(path) as tmp, _new(tmp) as archive:
        for file in sorted(p for p in ready.rglob("*") if p.is_file()):
            _add(archive, file, file.relative_to(ready).as_posix())
    return path


def _new(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path, "w")


def _add(archive: zipfile.ZipFile, file: Path, name: str) -> None:
    """Add a file without anything of this machine: no times, no owner, no rights."""
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.external_attr = 0o644 << 16
    entry.create_system = 3  # the same on every system
    entry.compress_type = zipfile.ZIP_STORED if file.suffix == ".safetensors" else zipfile.ZIP_DEFLATED
    entry.file_size = file.stat().st_size
    with file.open("rb") as source, archive.open(entry, "w") as sink:
        shutil.copyfileobj(source, sink, 2**20)


@contextmanager
def prepared(
    folder: Path, *, rows: bool, checkpoint: bool = False, card: str | None = None
) -> Iterator[Path]:
    """Yield a folder with the files of a run as they are handed on: without places on this machine's disk.

    Args:
        folder: The run.
        rows: Also the training rows that it keeps.
        checkpoint: Also the state of training.
        card: Text of the card; by default the run's own.

    Raises:
        BundleError: The folder is no run.
        OutputError: There is no room for the copy.
    """
    need_run(folder)
    names = [n for n in READ if rows or n != REFERENCE] + ([CHECKPOINTS] if checkpoint else []) + [CARD]
    with tempfile.TemporaryDirectory(prefix="senzai-share-") as tmp:
        ready = Path(tmp) / "run"
        ready.mkdir()
        for name in names:
            if (folder / name).is_file():
                (ready / name).parent.mkdir(exist_ok=True)
                _copy(folder / name, ready / name)
        change_json(ready / SPEC, lambda spec: {**spec, "source": without_folder(str(spec["source"]))})
        if (ready / METRICS).is_file():
            change_json(ready / METRICS, _without_out)
        if card is not None:
            (ready / CARD).write_text(card, encoding="utf-8")
        yield ready


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as err:
        raise OutputError(
            f"A run is copied before it is shared, but the system said: {err.strerror or err}. "
            f"Free some space in {tempfile.gettempdir()}."
        ) from err


def change_json(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change what is in a JSON file."""
    write_json(path, change(json.loads(path.read_text(encoding="utf-8"))))


def without_folder(source: str) -> str:
    """Return where data came from, without the folder on the disk where they lay.

    Example:
        >>> without_folder("/home/me/secret project/people.csv"), without_folder("digits")
        ('people.csv', 'digits')
        >>> without_folder("sqlite:////home/me/shop.db")
        'sqlite:///shop.db'
    """
    for scheme in PLACED:
        if source.startswith(scheme):
            return scheme + os.path.basename(source.removeprefix(scheme))
    return os.path.basename(source.rstrip("/\\")) if os.path.isabs(source) else source


def _without_out(metrics: dict[str, Any]) -> dict[str, Any]:
    fit = metrics.get("fit")
    return {**metrics, "fit": {**fit, "out": None}} if isinstance(fit, dict) else metrics
