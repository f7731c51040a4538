"""How long pictures are in a lossless code that knows nothing of the data: PNG."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from math import log

import numpy as np

from ..rows import Array
from ..schema import Schema

MODES = {3: "RGB", 4: "RGBA"}
"""Channels that PNG codes together; others are coded one by one."""


def coder(schema: Schema) -> Callable[[Array], Array] | None:
    """Return what :func:`lengths` says of pictures of a schema; ``None`` where values are no shades up to a white."""
    if schema.values in ("binary", "unit"):
        return partial(lengths, top=1.0)
    levels = schema.n_levels
    return partial(lengths, top=float(levels - 1)) if schema.values == "levels" and levels and levels > 1 else None


def lengths(x: Array, *, top: float) -> Array:
    """Return the lengths of pictures as PNG of eight bits, in nats, ``(N,)``.

    Headers count, and are the same for all pictures of one size.

    Args:
        x: Pictures, channels first, ``(N, C, H, W)``.
        top: Their white.

    Example:
        >>> flat, noise = np.zeros((1, 1, 16, 16)), np.random.default_rng(0).random((1, 1, 16, 16))
        >>> bool(lengths(noise, top=1.0) > lengths(flat, top=1.0))
        True
    """
    shades = np.clip(np.rint(np.asarray(x, np.float64) * (255 / top)), 0, 255).astype(np.uint8)
    return np.array([8 * log(2) * _bytes(one) for one in shades])


def _bytes(picture: Array) -> int:
    from PIL import Image

    mode = MODES.get(len(picture))
    parts = [Image.fromarray(channel) for channel in picture]
    size = 0
    for part in parts if mode is None else [Image.merge(mode, parts)]:
        file = io.BytesIO()
        part.save(file, "PNG", optimize=True)
        size += len(file.getvalue())
    return size
