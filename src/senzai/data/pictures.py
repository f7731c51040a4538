"""One image file at a time, through Pillow: what it is, and its pixels in one agreed form."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from senzai.core.errors import InputError, ShapeError

from .rows import Array

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
ORIENTATION = 0x0112
Mode: TypeAlias = Literal["L", "RGB", "RGBA"]
CHANNELS: dict[Mode, int] = {"L": 1, "RGB": 3, "RGBA": 4}


@dataclass(frozen=True, slots=True)
class Probe:
    """What a file's header says.

    Args:
        height: Height after the camera's rotation was applied.
        width: Width, likewise.
        colour: It has colours (a palette of greys has none).
        alpha: It has transparency.
        deep: It has more than 8 bits per value.
        bits: It is black and white.
    """

    height: int
    width: int
    colour: bool
    alpha: bool
    deep: bool
    bits: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """The one form that all pictures get.

    Args:
        height: Height of all pictures.
        width: Width of all pictures.
        mode: "L", "RGB" or "RGBA".
        alpha: What becomes of transparency: "white", "drop" or "keep".
        resize: Crop and resize pictures of another size; otherwise they are refused.
    """

    height: int
    width: int
    mode: Mode
    alpha: str = "white"
    resize: bool = False


def is_image_file(path: Path) -> bool:
    """Whether a file is an image by its name.

    Example:
        >>> is_image_file(Path("cat.JPG")), is_image_file(Path("._cat.jpg"))
        (True, False)
    """
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def find(root: Path) -> list[Path]:
    """Return all image files under a folder, sorted by their path."""
    if root.is_file():
        return [root]
    found: list[Path] = []
    for folder, below, names in os.walk(root):
        below[:] = [b for b in below if not b.startswith(".")]
        found += [p for name in names if is_image_file(p := Path(folder, name))]
    return sorted(found, key=lambda p: p.relative_to(root).as_posix())


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open an image file; whatever Pillow raises inside becomes an error that names the file."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                yield image
    except (InputError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as err:
        raise InputError(
            f"An image may have {Image.MAX_IMAGE_PIXELS} pixels, but {str(path)!r} unpacks to more: it could be a "
            "decompression bomb. Remove or shrink the file, or leave it out with --skip-bad (option skip_bad=True)."
        ) from err
    except Exception as err:  # a damaged file makes Pillow raise a dozen types
        raise InputError(
            f"Every image must be readable, but {str(path)!r} is not: {err}. Replace or remove the file, or leave out "
            "what cannot be read with --skip-bad (option skip_bad=True)."
        ) from err


def probe(path: Path) -> Probe:
    """Look at a file without decoding its pixels."""
    with opened(path) as image:
        width, height = image.size
        if _orientation(image) >= 5:
            width, height = height, width
        alpha = image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info
        colour = not (image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I") or _grey_palette(image))
        return Probe(height, width, colour, alpha, image.mode.startswith(("I", "F")), image.mode == "1" and not alpha)


def _orientation(image: Image.Image) -> int:
    """Return the camera's rotation; asking a PNG for it in Pillow's own way would decode the pixels."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    return int(image.getexif().get(ORIENTATION, 1))


def _grey_palette(image: Image.Image) -> bool:
    if image.mode not in ("P", "PA"):
        return False
    colours = np.array(image.getpalette("RGB") or [0, 0, 0], dtype=np.uint8).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def load(path: Path, plan: Plan) -> Array:
    """Decode a file to ``(C, H, W)`` bytes in the form of the plan.

    Raises:
        InputError: The file is damaged, a decompression bomb, or of a depth that has no 8-bit form.
        ShapeError: It has another size, and the plan does not resize.
    """
    from PIL import Image, ImageOps

    with opened(path) as image:
        picture = _flat(ImageOps.exif_transpose(_eight_bit(image, path)), plan).convert(plan.mode)
    size = (plan.width, plan.height)
    if picture.size != size and not plan.resize:
        raise ShapeError(
            f"Images must be {plan.height} high and {plan.width} wide, but {str(path)!r} is {picture.height} high and "
            f"{picture.width} wide. Set the option size='{plan.height}x{plan.width}' to crop and resize."
        )
    if picture.size != size:
        picture = ImageOps.fit(picture, size, method=Image.Resampling.BICUBIC)
    pixels = np.array(picture, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _eight_bit(image: Image.Image, path: Path) -> Image.Image:
    """Scale 16-bit greys to 8 bits, 65535 to 255, to the nearest; other depths have no agreed white."""
    from PIL import Image

    if not image.mode.startswith(("I", "F")):
        return image
    deep = np.asarray(image)
    if image.mode == "F" or deep.min() < 0 or deep.max() > 65535:
        raise InputError(
            f"Images must have 8 or 16 bits, but {str(path)!r} has the mode {image.mode}. Convert it to 16 bits."
        )
    scaled = Image.fromarray(((deep.astype(np.uint32) + 128) // 257).astype(np.uint8))
    scaled.info = {k: v for k, v in image.info.items() if k == "exif"}
    return scaled


def _flat(image: Image.Image, plan: Plan) -> Image.Image:
    """Take transparency away as planned; palettes become colours."""
    from PIL import Image

    transparent = image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info
    if not transparent or plan.mode == "RGBA":
        return image.convert("RGB") if image.mode in ("P", "PA") and not transparent else image
    rgba = image.convert("RGBA")
    if plan.alpha == "drop":
        return rgba.convert("RGB")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, rgba).convert("RGB")
