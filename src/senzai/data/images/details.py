"""What is known about pictures beside their pixels."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ..details import NumberDetails
from ..schema import Schema


class ImageDetails(NumberDetails):
    """How pictures were stored, so that they can be converted back exactly.

    Args:
        layout: Order of the axes in the user's arrays: NHW, NHWC, NCHW ...
        mode: Channels of image files: L, RGB or RGBA.
        transparency: What becomes of transparent pixels of files.
        resize: Whether files were resized to one size.
        conv_from: Least side from which convolutions are proposed.
        window: Window under which DICOM was shown, as the option has it; ``None`` for values in units.
        patch: Height and width of tiles, where rows are tiles of pictures.
        storing: How DICOM of the training data stored values: for new pictures.
    """

    layout: str = "NHWC"
    mode: str | None = None
    transparency: Literal["white", "black", "keep"] | str | None = None
    resize: bool = False
    conv_from: int = 16
    window: str | None = None
    patch: tuple[int, int] | None = None
    storing: dict[str, Any] = Field(default_factory=dict)


def details_of(schema: Schema) -> ImageDetails:
    """Return the details of a schema of pictures; the usual ones where it has none."""
    return schema.details if isinstance(schema.details, ImageDetails) else ImageDetails()
