"""Writing decoded arrays: npy, npz and csv, each atomically; a folder of png for images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.files import replacing, replacing_folder
from senzai.core.later import is_tensor, torch

from .rows import Array
from .sources import is_frame


def plain_array(decoded: Any) -> Array:
    """Return what was decoded as an array (bfloat16, which numpy lacks, as float32)."""
    if is_tensor(decoded):
        decoded = decoded.detach().cpu()
        return np.asarray((decoded.float() if decoded.dtype == torch.bfloat16 else decoded).numpy())
    return np.asarray(decoded)


def write_array(decoded: Any, path: str | Path) -> None:
    """Write an array, tensor or DataFrame as the suffix says; in an ``.npz`` it is called ``x``.

    Raises:
        InputError: The suffix is unknown, or the array has no form as a table.
        OutputError: The file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        _write_csv(decoded, path, "\t" if suffix == ".tsv" else ",")
        return
    if suffix not in (".npy", ".npz"):
        raise InputError(f"Arrays are written as .npy, .npz, .csv or .tsv, but got {path.name!r}. Choose one of them.")
    array = plain_array(decoded)
    with replacing(path) as tmp, tmp.open("wb") as file:
        if suffix == ".npy":
            np.save(file, array, allow_pickle=False)
        else:
            np.savez_compressed(file, x=array)


def _write_csv(decoded: Any, path: Path, mark: str) -> None:
    import pandas as pd

    if not is_frame(decoded):
        array = plain_array(decoded)
        if array.ndim != 2:
            raise InputError(
                f"A table has two dimensions, but the array has the shape {array.shape}. Write it as .npy or .npz."
            )
        decoded = pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])])
    with replacing(path) as tmp:
        decoded.to_csv(tmp, index=False, sep=mark)


def write_images(decoded: Any, folder: str | Path, *, top: float) -> None:
    """Write pictures ``(N, H, W)`` or ``(N, H, W, C)`` as numbered png files in a new folder.

    Whole greys of 16 bits, or above 255, are written as they are; everything else is scaled to 8 bits.

    Args:
        decoded: The pictures, from 0 (black) to ``top`` (white).
        folder: Where to; it must not exist yet.
        top: The user's value of white.
    """
    from PIL import Image

    array = plain_array(decoded)
    grey = array.ndim == 3 or array.shape[-1] == 1
    if array.dtype.kind in "iu" and (top > 255 or array.dtype == np.uint16) and grey:
        array = np.clip(array, 0, 65535).astype(np.uint16)
    elif array.dtype != np.uint8 or top != 255:
        array = np.clip(np.rint(array.astype(np.float64) * (255 / top)), 0, 255).astype(np.uint8)
    array = array[..., 0] if array.ndim == 4 and array.shape[-1] == 1 else array
    if array.ndim == 4 and array.shape[-1] not in (3, 4):
        raise InputError(
            f"A picture has 1, 3 or 4 channels, but these have {array.shape[-1]}. Write them as .npy or .npz."
        )
    digits = max(6, len(str(len(array) - 1)))
    with replacing_folder(folder) as tmp:
        for i, picture in enumerate(array):
            Image.fromarray(picture).save(tmp / f"{i:0{digits}d}.png")
