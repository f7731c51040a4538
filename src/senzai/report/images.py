"""Model values to pictures in a page: data URIs, no larger than they are shown."""

from __future__ import annotations

import io
from base64 import b64encode
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..data import Schema
from .blocks import Sprite

SIDE = 112
TILE = 32
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
Pixels = NDArray[np.uint8]


def is_pictures(schema: Schema) -> bool:
    """Whether rows are ``(channels, height, width)`` that Pillow has a mode for."""
    return schema.kind == "images" and len(schema.event_shape) == 3 and schema.event_shape[0] in MODES


def is_pixelated(schema: Schema) -> bool:
    """Whether pictures are so small that enlarging them shows their pixels."""
    return max(schema.event_shape[1:]) < 64


@dataclass(frozen=True)
class Darkroom:
    """Turns model values into bytes: one black and one white for all pictures of a page.

    Example:
        >>> import torch
        >>> Darkroom(0.0, 16.0).develop(torch.tensor([[[[0.0, 8.0, 20.0]]]])).ravel().tolist()
        [0, 128, 255]
    """

    black: float
    white: float

    @classmethod
    def of(cls, schema: Schema, x: Tensor) -> Darkroom:
        """Black and white of a schema; where values have no end, those of ``x``."""
        if schema.values in ("binary", "unit"):
            return cls(0.0, 1.0)
        if schema.values == "levels" and schema.n_levels is not None:
            return cls(0.0, float(schema.n_levels - 1))
        low, high = float(x.min()), float(x.max())
        return cls(low, high if high > low else low + 1.0)

    def develop(self, x: Tensor) -> Pixels:
        """Return ``(N, H, W, C)`` bytes of ``(N, C, H, W)`` values; what is beyond black or white is cut."""
        unit = (x.float().cpu().nan_to_num() - self.black) / (self.white - self.black)
        bytes_ = (unit.clamp(0, 1) * 255 + 0.5).floor().numpy().astype(np.uint8)
        return np.ascontiguousarray(bytes_.transpose(0, 2, 3, 1))


def picture(pixels: Pixels, *, side: int) -> Image.Image:
    """Return ``(H, W, C)`` bytes as a picture at most ``side`` pixels wide and high."""
    mode = MODES[pixels.shape[2]]
    made = Image.fromarray(pixels[..., 0] if mode == "L" else pixels)
    made.thumbnail((side, side), Image.Resampling.LANCZOS)
    return made


def uris(pixels: Pixels) -> list[str]:
    """Return data URIs of pictures ``(N, H, W, C)``, exact where they are small, good where they are large."""
    return [_uri(picture(p, side=SIDE)) for p in pixels]


def _uri(made: Image.Image) -> str:
    """PNG for small pictures, WebP of good quality for the rest."""
    small = max(made.size) < 64
    file = io.BytesIO()
    settings: dict[str, Any] = {"format": "PNG", "optimize": True} if small else {"format": "WEBP", "quality": 85}
    made.save(file, **settings)
    return f"data:image/{settings['format'].lower()};base64,{b64encode(file.getvalue()).decode()}"


def sprite(pixels: Pixels) -> Sprite:
    """Return many pictures as the tiles of one, each at most 32 pixels wide and high."""
    tiles = [picture(p, side=TILE) for p in pixels]
    width, height = tiles[0].size
    columns = ceil(len(tiles) ** 0.5)
    rows = ceil(len(tiles) / columns)
    sheet = Image.new(tiles[0].mode, (columns * width, rows * height))
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i % columns * width, i // columns * height))
    file = io.BytesIO()
    sheet.save(file, format="WEBP", quality=55)
    return Sprite(f"data:image/webp;base64,{b64encode(file.getvalue()).decode()}", columns, rows, width, height)
