"""The order of an image array's axes: the user's, and the model's (channels first)."""

from __future__ import annotations

import numpy as np

from senzai.core.errors import InputError
from senzai.core.later import Tensor

from ..rows import Array

CHANNELS = (1, 3, 4)
LAYOUTS = {"NHW": 3, "NHWC": 4, "NCHW": 4}


def is_image_like(shape: tuple[int, ...], dtype: str, sequences: bool = False) -> bool:
    """Whether an array looks like images: bytes or squares in three dimensions, an axis of channels in four.

    Sequences with lengths are none.

    Example:
        >>> is_image_like((60, 28, 20), "uint8"), is_image_like((60, 24, 28), "float64")
        (True, False)
    """
    if sequences:
        return False
    if len(shape) == 3:
        return min(shape[1:]) > 1 and (dtype in ("uint8", "bool") or shape[1] == shape[2])
    return len(shape) == 4 and (shape[1] in CHANNELS or shape[3] in CHANNELS)


def find_layout(shape: tuple[int, ...], *, channels_first: bool, origin: str) -> tuple[str, str]:
    """Return the layout of an array of images, and the sentence that says so.

    Args:
        shape: Shape of the array.
        channels_first: Try channels on the second axis first, as is usual for tensors.
        origin: What the array is called.

    Raises:
        InputError: No axis can be the channels.

    Example:
        >>> find_layout((10, 28, 28, 3), channels_first=False, origin="x")
        ('NHWC', 'Axes are rows, height, width and 3 channels.')
    """
    if len(shape) == 3:
        return "NHW", "Axes are rows, height and width; the images have one channel."
    could = [name for name, axis in (("NHWC", 3), ("NCHW", 1)) if len(shape) == 4 and shape[axis] in CHANNELS]
    if not could:
        raise InputError(
            f"Images have the shape (N, H, W), (N, H, W, C) or (N, C, H, W) with 1, 3 or 4 channels, but {origin} has "
            f"{shape}. Reshape it, or set the option layout='NHWC' or 'NCHW'."
        )
    name = could[-1] if channels_first else could[0]
    last, first = f"rows, height, width and {shape[3]} channels", f"rows, {shape[1]} channels, height and width"
    doubt = " Two axes could be the channels; the option layout=... decides otherwise." if len(could) == 2 else ""
    return name, f"Axes are {last if name == 'NHWC' else first}.{doubt}"


def event_of(shape: tuple[int, ...], layout: str) -> tuple[int, int, int]:
    """Return ``(C, H, W)`` of an array in a layout.

    Example:
        >>> event_of((10, 28, 20), "NHW")
        (1, 28, 20)
    """
    if LAYOUTS[layout] != len(shape):
        raise InputError(
            f"The layout {layout} has {LAYOUTS[layout]} axes, but the array has the shape {shape}. "
            "Leave the option out."
        )
    if layout == "NHW":
        return 1, shape[1], shape[2]
    c, h, w = (3, 1, 2) if layout == "NHWC" else (1, 2, 3)
    return shape[c], shape[h], shape[w]


def to_model(x: Tensor, layout: str) -> Tensor:
    """Move the axes of ``(N, ...)`` into ``(N, C, H, W)``."""
    if layout == "NHW":
        return x.unsqueeze(1)
    return x.permute(0, 3, 1, 2).contiguous() if layout == "NHWC" else x


def from_model(x: Array, layout: str) -> Array:
    """Move the axes of ``(N, C, H, W)`` back."""
    if layout == "NHW":
        return x[:, 0]
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if layout == "NHWC" else x
