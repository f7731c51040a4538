"""One image file at a time, through Pillow: what it is, and its pixels in one agreed form."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from senzai.core.errors import InputError, ShapeError
from senzai.core.warning_filters import ignore_warnings

from .. import trees
from ..limits import need_regular, need_room
from ..rows import Array

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
"""What files may hold, whatever they are called: some of Pillow's other decoders start programs."""
ORIENTATION = 0x0112
TURNED = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
"""Where a PNG says how it was held."""
LARGE = 2**24
"""Pixels from which a picture's memory is asked for before it is decoded."""
Mode: TypeAlias = Literal["L", "RGB", "RGBA"]
CHANNELS: dict[Mode, int] = {"L": 1, "RGB": 3, "RGBA": 4}


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What a file's header says.

    Args:
        height: Height after the camera's rotation was applied.
        width: Width, likewise.
        colour: It has colours (a palette of greys has none).
        alpha: It has transparency.
        deep: It is grey with more than 8 bits per value.
        bits: It is black and white.
        cut: It has 16 bits per value, of which only the upper 8 can be read.
    """

    height: int
    width: int
    colour: bool
    alpha: bool
    deep: bool
    bits: bool
    cut: bool = False


@dataclass(frozen=True, slots=True)
class PicturePlan:
    """The one form that all pictures get.

    Args:
        height: Height of all pictures.
        width: Width of all pictures.
        mode: "L", "RGB" or "RGBA".
        alpha: What becomes of transparency: "white", "drop" or "keep".
        resize: Crop and resize pictures of another size; otherwise they are refused.
        deep: Keep 16 bits per value; otherwise they are scaled to 8.
    """

    height: int
    width: int
    mode: Mode
    alpha: str = "white"
    resize: bool = False
    deep: bool = False

    @property
    def dtype(self) -> str:
        """numpy's name for the type of a value."""
        return "uint16" if self.deep else "uint8"


def is_image_file(path: Path) -> bool:
    """Whether a file is an image by its name.

    Example:
        >>> is_image_file(Path("cat.JPG")), is_image_file(Path("._cat.jpg"))
        (True, False)
    """
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def holds_images(folder: Path) -> bool:
    """Whether there is any image file under a folder; links to other folders are followed one level deep."""
    walked = (names for _, _, names in os.walk(folder))
    linked = (names for p in folder.iterdir() if p.is_symlink() and p.is_dir() for _, _, names in os.walk(p))
    return any(is_image_file(Path(name)) for names in chain(walked, linked) for name in names)


def find(root: Path) -> tuple[list[Path], tuple[str, ...]]:
    """Return all image files under a folder; see :func:`senzai.data.trees.find`."""
    return trees.find(root, is_image_file)


def pages(path: Path) -> int:
    """Return how many pages a file has; 0 of one that cannot be read, which is said when it is."""
    try:
        with opened(path, pages=True) as image:
            return int(getattr(image, "n_frames", 1))
    except InputError:
        return 0


def need_whole_numbers(image: Image.Image, path: Path) -> None:
    """Refuse values that a picture cannot have: TIFF also holds floating point and 32 bits.

    Raises:
        InputError: It has such values.
    """
    if image.mode == "F" or (image.format == "TIFF" and image.mode == "I"):
        raise InputError(
            f"Pictures have whole numbers of at most 16 bits, but {str(path)!r} has 32 bits a value. "
            "Save its values as .npy, and name that."
        )


@contextmanager
def opened(path: Path, *, pages: bool = False) -> Iterator[Image.Image]:
    """Open an image file; whatever Pillow raises inside becomes an error that names the file.

    Args:
        path: The file.
        pages: Whether a TIFF may have several pages; else it is refused, for only the first would be read.
    """
    from PIL import Image

    try:
        with (
            ignore_warnings(errors=Image.DecompressionBombWarning),
            Image.open(need_regular(path), formats=FORMATS) as image,
        ):
            if (pixels := image.width * image.height) > LARGE:
                need_room(4 * pixels, path, f"{image.height} x {image.width} pixels")
            need_whole_numbers(image, path)
            if not pages and image.format == "TIFF" and (n := getattr(image, "n_frames", 1)) > 1:
                raise InputError(
                    f"A file among others is one picture, but {str(path)!r} has {n} pages. Name it alone, or divide it."
                )
            yield image
    except InputError:
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


def probe(path: Path) -> PictureHeader:
    """Look at a file without decoding its pixels."""
    with opened(path) as image:
        width, height = image.size
        if _orientation(image) >= 5:
            width, height = height, width
        alpha = image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info
        colour = not (image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I") or _grey_palette(image))
        bits = image.mode == "1" and not alpha
        return PictureHeader(height, width, colour, alpha, image.mode.startswith("I"), bits, _is_cut(image))


def _is_cut(image: Image.Image) -> bool:
    """Whether a colour picture has 16 bits per value: Pillow silently returns the upper 8 of them."""
    if image.mode.startswith("I") or image.format != "PNG":
        return False
    return any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _orientation(image: Image.Image) -> int:
    """Return how the camera was held, 1 to 8; asking a PNG in Pillow's own way would decode the pixels."""
    if image.format == "PNG" and not any(name in image.info for name in TURNED):
        return 1
    found = image.getexif().get(ORIENTATION, 1)
    return int(found) if isinstance(found, int) and 1 <= found <= 8 else 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    """Rotate or mirror a picture by its orientation: 6, for example, was taken with the camera turned left."""
    from PIL.Image import Transpose as T

    ways = (None, T.FLIP_LEFT_RIGHT, T.ROTATE_180, T.FLIP_TOP_BOTTOM, T.TRANSPOSE, T.ROTATE_270, T.TRANSVERSE,
            T.ROTATE_90)
    way = ways[orientation - 1]
    return image if way is None else image.transpose(way)


def _grey_palette(image: Image.Image) -> bool:
    if image.mode not in ("P", "PA"):
        return False
    colours = np.array(image.getpalette("RGB") or [0, 0, 0], dtype=np.uint8).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def load(path: Path, plan: PicturePlan) -> Array:
    """Decode a file to ``(C, H, W)`` in the form of the plan: bytes, or 16-bit values.

    Raises:
        InputError: The file is damaged, or a decompression bomb.
        ShapeError: It has another size, and the plan does not resize.
    """
    from PIL import Image, ImageOps

    with opened(path) as image:
        image.load()  # what stands behind the pixels may say how the camera was held
        turn = _orientation(image)
        picture = _upright(_sixteen_bit(image) if plan.deep else _eight_bit(image, plan), turn)
    size = (plan.width, plan.height)
    if picture.size != size and not plan.resize:
        raise ShapeError(
            f"Images must be {plan.height} high and {plan.width} wide, but {str(path)!r} is {picture.height} high and "
            f"{picture.width} wide. Set the option size='{plan.height}x{plan.width}' to crop and resize."
        )
    low, high = picture.getextrema() if plan.deep else (0, 255)  # curves between pixels must not leave their range
    if picture.size != size:
        picture = ImageOps.fit(picture, size, method=Image.Resampling.BICUBIC)
    pixels = np.asarray(picture).clip(low, high).astype(plan.dtype)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _eight_bit(image: Image.Image, plan: PicturePlan) -> Image.Image:
    """Return a picture in the mode of the plan; 16-bit greys are scaled, 65535 to 255, to the nearest."""
    from PIL import Image

    if image.mode.startswith("I"):
        deep = np.asarray(image)
        grey = Image.fromarray(((deep.astype(np.uint32) + 128) // 257).astype(np.uint8))
        if "transparency" in image.info:
            grey.putalpha(Image.fromarray(np.where(deep == image.info["transparency"], 0, 255).astype(np.uint8)))
        image = grey
    return _flat(image, plan).convert(plan.mode)


def _sixteen_bit(image: Image.Image) -> Image.Image:
    """Return a grey picture with 16 bits per value, as 32-bit whole numbers; 8 bits are scaled, 255 to 65535."""
    from PIL import Image

    if image.mode.startswith("I"):
        return Image.fromarray(np.asarray(image).astype(np.int32))
    grey = np.asarray(_eight_bit(image, PicturePlan(image.height, image.width, "L")))
    return Image.fromarray(grey.astype(np.int32) * 257)


def _flat(image: Image.Image, plan: PicturePlan) -> Image.Image:
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
