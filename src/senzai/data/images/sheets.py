"""Pictures as one contact sheet, and as text for JSON."""

from __future__ import annotations

import base64
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.files import replacing

SHEETS = (".png", ".jpg", ".jpeg", ".webp")
"""Suffixes of images that hold many pictures side by side."""


def write_sheet(folder: Path, path: Path, top: int) -> None:
    """Write the pictures of a folder side by side, in rows of equal length, as one image.

    Args:
        folder: Where they are.
        path: The image; its suffix says of which format.
        top: White of pictures with more than 8 bits.
    """
    from PIL import Image

    pictures = [_pixels(p, top) for p in sorted(folder.iterdir())]
    height, width = pictures[0].shape[:2]
    columns = int(np.ceil(np.sqrt(len(pictures))))
    zoom = max(1, 48 // max(height, width))
    size = (zoom * columns * (width + 1), zoom * -(-len(pictures) // columns) * (height + 1))
    sheet = Image.new(Image.fromarray(pictures[0]).mode, size, "white")
    for i, picture in enumerate(pictures):
        large = Image.fromarray(np.kron(picture, np.ones((zoom, zoom, *[1] * (picture.ndim - 2)), picture.dtype)))
        sheet.paste(large, (zoom * (i % columns) * (width + 1), zoom * (i // columns) * (height + 1)))
    if path.suffix.lower() in (".jpg", ".jpeg"):
        sheet = sheet.convert("RGB")
    with replacing(path) as place, place.open("wb") as file:
        sheet.save(file, format=Image.registered_extensions()[path.suffix.lower()])


def _pixels(file: Path, top: int) -> Any:
    """Return a picture with 8 bits; ``top`` is the white of one with more."""
    from PIL import Image

    with Image.open(file) as picture:
        found = np.array(picture)
    return found if found.itemsize == 1 else np.rint(found * (255 / top)).astype(np.uint8)


def texts_of(folder: Path) -> list[str]:
    """Return the PNG files of a folder in their order, as base64."""
    return [base64.b64encode(p.read_bytes()).decode("ascii") for p in sorted(folder.iterdir())]


def write_texts(texts: Any, folder: Path) -> None:
    """Write images that came as base64 into a folder, numbered.

    Raises:
        InputError: Something is no base64 text.
    """
    for i, text in enumerate(texts if isinstance(texts, list) else [texts]):
        try:
            Path(folder, f"{i:08d}.png").write_bytes(base64.b64decode(str(text), validate=True))
        except ValueError as err:
            raise InputError(f"Pictures come as base64 text of image files, but picture {i} does not: {err}.") from err


def need_few_pixels(source: Any, most: int) -> None:
    """Refuse pictures that have more pixels than wanted, by their headers: files, or base64 text of files.

    Raises:
        InputError: One has more.
    """
    from PIL import Image

    if isinstance(source, Path):
        files = sorted(source.iterdir()) if source.is_dir() else [source]
        given: Any = [p for p in files if p.suffix.lower() not in (".npy", ".npz")]
    else:
        given = (io.BytesIO(_bytes(t)) for t in (source if isinstance(source, list) else []) if isinstance(t, str))
    for i, file in enumerate(given):
        try:
            with warnings.catch_warnings(), Image.open(file) as picture:
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                width, height = picture.size
        except (OSError, SyntaxError, ValueError):
            continue  # whoever reads it says what it is
        except Image.DecompressionBombError:
            width, height = most + 1, 1
        if width * height > most:
            raise InputError(f"A picture has at most {most:,} pixels, but picture {i} has more. Make it smaller.")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""
