"""Which pixels are to be filled in: a box, all but a grid of pixels, or what is white in another picture."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from senzai.core.errors import InputError, SettingError

from .. import sources
from ..rows import Array
from ..schema import Schema
from . import pictures
from .pictures import PicturePlan

BOX = re.compile(r"(\d+):(\d+),(\d+):(\d+)")
GRID = re.compile(r"grid:(\d+)")


def of(where: object, schema: Schema, n: int) -> Array:
    """Return pixels that are to be filled in, ``(n or 1, C, H, W)``.

    Args:
        where: ``"8:20,4:16"`` (rows 8 to 19, columns 4 to 15), ``"grid:2"`` (all but every second pixel along both
            sides, as when a picture is made twice as large), a picture or a folder of ``n`` pictures whose white is
            the hole, or an array ``(H, W)`` or ``(n, H, W)``.
        schema: What the pictures are.
        n: How many there are.

    Raises:
        SettingError: It names no place.
        InputError: Pictures of holes have another size or number.

    Example:
        >>> schema = Schema(kind="images", event_shape=(1, 4, 4), dtype="uint8", values="levels", n_rows=1)
        >>> of("0:2,1:3", schema, 1)[0, 0].astype(int).tolist()
        [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
        >>> int(of("grid:2", schema, 1).sum())
        12
    """
    channels, height, width = schema.event_shape
    if isinstance(where, str) and (found := BOX.fullmatch(where.replace(" ", ""))):
        top, bottom, left, right = (int(v) for v in found.groups())
        if not (top < bottom <= height and left < right <= width):
            raise SettingError(
                f"A hole lies within pictures of {height} x {width}, but got {where!r}. Give TOP:BOTTOM,LEFT:RIGHT."
            )
        flat = np.zeros((1, height, width), dtype=bool)
        flat[:, top:bottom, left:right] = True
    elif isinstance(where, str) and (found := GRID.fullmatch(where.strip())):
        flat = np.ones((1, height, width), dtype=bool)
        flat[:, :: int(found[1]) or 1, :: int(found[1]) or 1] = False
    else:
        flat = _drawn(where, height, width, n)
    if not flat.any():
        raise SettingError("A hole has at least one pixel, but nothing is to be filled in. Mark it in white.")
    return np.repeat(flat[:, None], channels, axis=1)


def _drawn(where: object, height: int, width: int, n: int) -> Array:
    if isinstance(where, str | Path):
        path = sources.existing(where)
        if path is None:
            raise SettingError(f"Holes are a box, a grid or pictures, but got {where!r}. Give 8:20,4:16 or a file.")
        plan = PicturePlan(height, width, "L")
        flat = np.stack([pictures.load(p, plan)[0] for p in pictures.find(path)[0]] or [np.zeros((0, 0))]) > 127
    else:
        flat = np.asarray(where).astype(bool)
        flat = flat[None] if flat.ndim == 2 else flat
    if flat.ndim != 3 or flat.shape[1:] != (height, width) or len(flat) not in (1, n):
        raise InputError(
            f"Holes are one picture of {height} x {width}, or one for each of {n}, but got the shape {flat.shape}."
        )
    return flat
