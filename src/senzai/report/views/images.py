"""The view of `images`: rows as pictures, data URIs no larger than they are shown."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ...core.batch import Data
from ...data import Schema
from .. import words
from ..blocks import Block, Pairs, Picture, Section, Sprite, Strip, Strips, Wall
from ..findings import Findings, Scope, label_names
from ..numbers import plural, short
from .array import ArrayView
from .base import VIEWS, View

SIDE = 112
TILE = 32
SCALED = 12
"""Pictures that black and white are taken from where values have no end."""
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
Pixels = NDArray[np.uint8]


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


def shrunk(pixels: Pixels, *, side: int) -> Image.Image:
    """Return ``(H, W, C)`` bytes as a picture at most ``side`` pixels wide and high."""
    mode = MODES[pixels.shape[2]]
    made = Image.fromarray(pixels[..., 0] if mode == "L" else pixels)
    made.thumbnail((side, side), Image.Resampling.LANCZOS)
    return made


def uris(pixels: Pixels) -> list[str]:
    """Return data URIs of pictures ``(N, H, W, C)``, exact where they are small, good where they are large."""
    return [_uri(shrunk(p, side=SIDE)) for p in pixels]


def _uri(made: Image.Image) -> str:
    """PNG for small pictures, WebP of good quality for the rest."""
    small = max(made.size) < 64
    file = io.BytesIO()
    settings: dict[str, Any] = {"format": "PNG", "optimize": True} if small else {"format": "WEBP", "quality": 85}
    made.save(file, **settings)
    return f"data:image/{settings['format'].lower()};base64,{b64encode(file.getvalue()).decode()}"


def sprite(pixels: Pixels) -> Sprite:
    """Return many pictures as the tiles of one, each at most 32 pixels wide and high."""
    tiles = [shrunk(p, side=TILE) for p in pixels]
    width, height = tiles[0].size
    columns = ceil(len(tiles) ** 0.5)
    rows = ceil(len(tiles) / columns)
    sheet = Image.new(tiles[0].mode, (columns * width, rows * height))
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i % columns * width, i // columns * height))
    file = io.BytesIO()
    sheet.save(file, format="WEBP", quality=55)
    return Sprite(f"data:image/webp;base64,{b64encode(file.getvalue()).decode()}", columns, rows, width, height)


@final
class ImageView(View):
    """Pictures; of channels that no picture format has (other than 1, 3 or 4), rows of numbers."""

    scope: ClassVar[Scope] = Scope(mapped=1000, samples=48)

    def lede(self, schema: Schema) -> str:
        """Say how many pictures, in which colours and of which size."""
        channels, height, width = schema.event_shape
        what = {1: "grey picture", 3: "colour picture", 4: "colour picture"}.get(channels, "picture")
        tail = {1: "", 3: "", 4: " with transparency"}.get(channels, f" with {channels} channels")
        return f"{plural(schema.n_rows, what)} of {width} × {height} pixels{tail}"

    def picture(self, row: Data, schema: Schema, *, about: Mapping[str, Any] | None = None) -> Block | None:
        """Return the picture."""
        if not isinstance(row, Tensor) or schema.event_shape[0] not in MODES:
            return None
        return Wall(_pictures(Darkroom.of(schema, row), row, "picture"), is_pixelated(schema))

    def sections(self, found: Findings) -> list[Section]:
        """Return pairs of originals and reconstructions, and new pictures."""
        if not _has_mode(found.schema):
            return PLANES.sections(found)
        dark, pixelated = _darkroom(found), is_pixelated(found.schema)
        parts = []
        if found.shown is not None:
            said = words.reconstruction_words(found, "Top: the original. Bottom: its reconstruction.")
            parts.append(words.reconstructions(said, [Pairs(_pairs(found, dark), pixelated)]))
        if isinstance(found.samples, Tensor):
            how = "" if found.noisy else " Each is the expected picture, without noise of single pixels."
            new = words.sample_words(found, plural(len(found.samples), "new picture"))
            wall = Wall(_pictures(dark, found.samples, "sample"), pixelated)
            parts.append(Section("samples", "Samples", [new + how], [wall]))
        return parts

    def latent_sections(self, found: Findings) -> list[Section]:
        """Return pictures while one latent moves, and between two pictures."""
        if not _has_mode(found.schema):
            return PLANES.latent_sections(found)
        dark, pixelated = _darkroom(found), is_pixelated(found.schema)
        moved = [
            Strip(f"z{t.name}", words.rate_of(found, t.name), _pictures(dark, t.x, f"latent {t.name} changed"))
            for t in found.traversals
        ]
        between = [
            Strip("", f"row {p.ends[0]} to row {p.ends[1]}", _pictures(dark, p.x, "step between two rows"))
            for p in found.paths
        ]
        ends = ("1st percentile", "", "99th percentile")
        return [
            words.traversals(found, words.traversal_words(found), [Strips(moved, ends, pixelated)]),
            words.interpolations(found, words.interpolation_words(found),
                                 [Strips(between, ("from", "", "to"), pixelated)]),
        ]

    def thumbnails(self, found: Findings) -> Sprite | None:
        """Return the pictures of the map in one file."""
        return sprite(_darkroom(found).develop(found.mapped.batch.tensor)) if _has_mode(found.schema) else None


PLANES = ArrayView()
"""How rows are shown whose channels make no picture."""


def _has_mode(schema: Schema) -> bool:
    return schema.event_shape[0] in MODES


def _darkroom(found: Findings) -> Darkroom:
    return Darkroom.of(found.schema, found.held.batch.tensor[:SCALED])


def _pictures(dark: Darkroom, x: Data, says: str) -> list[Picture]:
    assert isinstance(x, Tensor)  # images are one tensor
    return [Picture(uri, says) for uri in uris(dark.develop(x))]


def _pairs(found: Findings, dark: Darkroom) -> list[tuple[Picture, Picture]]:
    """Return originals with their reconstructions, captioned with label or row, and lower bound."""
    assert found.shown is not None
    shown, names = found.shown, label_names(found.held, found.schema)
    pairs = []
    drawn = (_pictures(dark, x, "") for x in (shown.batch.x, shown.reconstructions))
    for i, (a, b) in enumerate(zip(*drawn, strict=True)):
        row = f"row {shown.index[i]}"
        name = None if names is None else names[i]
        pairs.append((
            Picture(a.src, row, row if name is None else short(name)),
            Picture(b.src, f"{row}, reconstructed", words.bound_of(found, i, 3)),
        ))
    return pairs


VIEWS.add("images")(ImageView())
