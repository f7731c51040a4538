"""What a user may set about volumes, and what is known of them beside their values."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from ..details import NumberDetails
from ..options import Options
from ..schema import Schema


class VolumeOptions(Options):
    """What the kind `volume` understands beyond the common options.

    Args:
        patch: Size of a patch in voxels: ``32``, ``"32x32x16"``; by default 32 a side, less where a volume is smaller.
        overlap: Share of a patch that the next one covers again.
        spacing: Millimetres between voxels of the model's grid: ``2``, ``"1x1x3"``; by default that of the volumes,
            which must then agree within one part in a hundred.
        frames: Four axes are refused, or ``each`` volume along the fourth is one of its own.
        patient: What rows stay together by: ``auto`` (the DICOM patient, or ``sub-NAME`` in a path, or the file),
            ``file``, ``folder``, or a pattern with one group that finds the patient in a path.
    """

    decisions = Options.decisions | {"patch", "spacing", "patient"}

    patch: tuple[int, int, int] | None = None
    overlap: float = Field(0.5, ge=0, lt=1)
    spacing: tuple[float, float, float] | None = None
    frames: Literal["refuse", "each"] = "refuse"
    patient: str = "auto"

    @field_validator("patch", mode="before")
    @classmethod
    def _patch(cls, value: object) -> object:
        found = _three(value)
        if found is not None and any(v != int(v) or v < 2 for v in found):
            raise ValueError("must be a side like 32, or three like '32x32x16', each 2 voxels or more")
        return None if found is None else tuple(int(v) for v in found)

    @field_validator("spacing", mode="before")
    @classmethod
    def _spacing(cls, value: object) -> object:
        found = _three(value)
        if found is not None and any(not 0 < v < 1e4 for v in found):
            raise ValueError("must be millimetres like 2, or three like '1x1x3', each above 0")
        return found

    @field_validator("patient")
    @classmethod
    def _patient(cls, value: str) -> str:
        if value in ("auto", "file", "folder"):
            return value
        try:
            groups = re.compile(value).groups
        except re.error as err:
            raise ValueError(f"must be auto, file, folder or a pattern, and this pattern is none: {err}") from err
        if groups != 1:
            raise ValueError("must be auto, file, folder or a pattern with one group, such as 'case_([0-9]+)'")
        return value


def _three(value: object) -> tuple[float, float, float] | None:
    if value is None:
        return None
    if isinstance(value, str):
        parts: list[object] = [*re.split(r"[x,]", value.strip())]
    else:
        parts = list(value) if isinstance(value, tuple | list) else [value]
    try:
        numbers = [float(str(p)) for p in parts]
    except ValueError as err:
        raise ValueError("must be one number, or three like '32x32x16'") from err
    numbers = numbers * 3 if len(numbers) == 1 else numbers
    if len(numbers) != 3:
        raise ValueError("must be one number, or three like '32x32x16'")
    return numbers[0], numbers[1], numbers[2]


class VolumeDetails(NumberDetails):
    """How volumes become patches.

    Args:
        spacing: Millimetres between voxels of the model's grid.
        overlap: Share of a patch that the next one covers again.
        whole: Whether a patch was as large as every volume, so that new rows are whole ones.
        affine: Where new rows lie: the place of the first patch, where all volumes lie on one grid; else the spacing.
    """

    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    overlap: float = 0.5
    whole: bool = False
    affine: tuple[tuple[float, ...], ...] = ((1.0, 0, 0, 0), (0, 1.0, 0, 0), (0, 0, 1.0, 0), (0, 0, 0, 1.0))


def details_of(schema: Schema) -> VolumeDetails:
    """Return the details of a schema of volumes; the usual ones where it has none."""
    return schema.details if isinstance(schema.details, VolumeDetails) else VolumeDetails()
