"""Data for other processes: plain files, and a JSON description by which they are put together again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import torch

from ...core.errors import OutputError, SettingError
from ...data.sources import is_frame
from ...training.lock import LOCK, attempt, take

Note: TypeAlias = dict[str, Any]
PREFIX = "senzai-parcel-"


@contextmanager
def parcel_folder() -> Iterator[tuple[Path, int]]:
    """Yield a temporary folder and its open lock file; the folder goes at the end.

    Those that killed processes left behind go now. One stays as long as any process has its lock file open.
    """
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if (old / LOCK).is_file() and not old.is_symlink():
            with suppress(OutputError):  # somebody else's
                if (lock := attempt(old)) is not None:
                    shutil.rmtree(old, ignore_errors=True)
                    lock.release()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = take(folder)
    try:
        yield folder, lock.handle
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def pack(data: object, folder: Path) -> Note:
    """Write ``data`` into ``folder`` and return a note of plain values for :func:`unpack`.

    Raises:
        SettingError: They cannot be sent to other processes.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> unpack(pack((np.eye(2), [0, 1]), folder))
        (array([[1., 0.],
               [0., 1.]]), [0, 1])
    """
    if data is None or isinstance(data, str | Path):
        return {"form": "name", "value": None if data is None else str(data)}
    file = folder / f"data{len(list(folder.iterdir()))}"
    if is_frame(data):
        cast(Any, data).to_parquet(file)
        return {"form": "pandas", "value": str(file)}
    if isinstance(data, torch.Tensor):
        return {"form": "torch", "value": _save(data.detach().cpu().numpy(), file)}
    if isinstance(data, np.ndarray) and data.dtype != object:
        return {"form": "numpy", "value": _save(data, file)}
    if isinstance(data, tuple) and len(data) == 2:
        return {"form": "pair", "value": [pack(part, folder) for part in data]}
    if isinstance(data, list) and (array := np.asarray(data)).dtype.kind in "biufU":
        return {"form": "list", "value": _save(array, file)}
    raise SettingError(
        f"Training on several devices needs data that other processes can read, but got a {type(data).__name__}. "
        "Give an array, a tensor, a DataFrame or the path of a file."
    )


def _save(array: np.ndarray[Any, Any], file: Path) -> str:
    with file.open("wb") as out:
        np.save(out, array, allow_pickle=False)
    return str(file)


def unpack(note: Note) -> Any:
    """Return the data that :func:`pack` wrote."""
    form, value = note["form"], note["value"]
    if form == "name":
        return value
    if form == "pair":
        return tuple(unpack(part) for part in value)
    if form == "pandas":
        import pandas as pd

        return pd.read_parquet(value)
    array = np.load(value, allow_pickle=False)
    return torch.from_numpy(array) if form == "torch" else array.tolist() if form == "list" else array
