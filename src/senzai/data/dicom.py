"""DICOM through pydicom: values in their units, where a slice lies, and nothing that says whose it is on the way out.

Rules. Values are those after the file's rescale slope and intercept. MONOCHROME1, where low is bright, is turned round
within the stored range where values have no units (no rescale), so that larger is brighter; values with units stay.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.extras import need
from senzai.core.warning_filters import ignore_warnings

from .limits import guarded, need_regular, need_room
from .rows import Array

SUFFIXES = (".dcm", ".dicom", ".ima")
MAGIC = b"DICM"
DEFLATED = "1.2.840.10008.1.2.1.99"
MAY_SAY_NAMES = ("US", "SC", "OT", "XC", "ES", "RF", "XA")
"""Modalities whose pixels often hold text: names, dates."""
REMOVED = "Fields that say whose a picture is (names, numbers, dates, places) are not written."


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One frame.

    Args:
        values: ``(H, W)`` or ``(H, W, 3)``, in units.
        path: Its file.
        patient: Whose it is, to keep rows together; never written.
        series: What belongs together.
        plane: Spacing, position and orientation, as far as the file has them.
        storing: How values were stored: slope, intercept, bits, sign, turned round, window.
    """

    values: Array
    path: Path
    patient: str
    series: str
    plane: dict[str, Any] = field(default_factory=dict)
    storing: dict[str, Any] = field(default_factory=dict)


# --- finding --------------------------------------------------------------------------------------------------------
def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its name, or by its first bytes where its name has no suffix."""
    if path.name.startswith("."):
        return False
    if path.suffix.lower() in SUFFIXES:
        return True
    if (path.suffix and not path.suffix[1:].isdigit()) or path.name == "DICOMDIR" or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == MAGIC


def find(root: Path) -> list[Path]:
    """Return the DICOM files at or under a path, sorted."""
    if root.is_file():
        return [root] if is_dicom(root) else []
    found = (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
    return sorted((p for p in found if is_dicom(p)), key=lambda p: p.relative_to(root).as_posix())


def holds(folder: Path) -> bool:
    """Whether there is any DICOM file under a folder."""
    return any(is_dicom(Path(inner, name)) for inner, _, names in os.walk(folder) for name in names)


# --- reading --------------------------------------------------------------------------------------------------------
def header(path: Path) -> Any:
    """Return the header of a file.

    Raises:
        InputError: It cannot be read, has no pixels, or unpacks to an unknown size.
        MissingExtraError: pydicom is not installed.
    """
    pydicom = need("pydicom", extra="medical", to="read DICOM")
    need_regular(path)
    with guarded(path), ignore_warnings():
        meta = pydicom.filereader.read_file_meta_info(path)
        if str(meta.get("TransferSyntaxUID", "")) == DEFLATED:
            raise InputError(
                f"{str(path)!r} is deflated as a whole, so that nobody knows how large it is: it could be a bomb. "
                "Save it with another transfer syntax."
            )
        found = pydicom.dcmread(path, stop_before_pixels=True, defer_size="1 MB")
    if not found.get("Rows") or not found.get("Columns"):
        raise InputError(
            f"Pictures are read from DICOM, but {path.name!r} ({found.get('Modality', 'no modality')}) has none. "
            "Leave the file out, or with --skip-bad (option skip_bad=True)."
        )
    return found


def read_file(path: Path) -> list[Slice]:
    """Return all frames of a file, in units.

    Raises:
        InputError: It cannot be read, or is larger than memory.
    """
    about = header(path)
    frames = int(about.get("NumberOfFrames", 1) or 1)
    size = int(about.Rows) * int(about.Columns) * frames * int(about.get("SamplesPerPixel", 1))
    need_room(8 * size, path, f"{frames} frames of {about.Rows} x {about.Columns} pixels")
    pixels = _pixels(path)
    colour = int(about.get("SamplesPerPixel", 1)) > 1
    pixels = pixels.reshape(frames, *pixels.shape[-3 if colour else -2 :])
    patient = str(about.get("PatientID", "") or about.get("PatientName", "") or "")
    series, made = str(about.get("SeriesInstanceUID", "") or path), []
    for i in range(frames):
        storing = _storing(about, i)
        plane = _plane(about, i)
        made.append(Slice(in_units(pixels[i], storing), path, patient, series, plane, storing))
    return made


def _pixels(path: Path) -> Array:
    pixels = need("pydicom.pixels", extra="medical", to="read DICOM")
    try:
        with ignore_warnings():
            return np.asarray(pixels.pixel_array(path))
    except Exception as err:  # a damaged or an unknown coding makes pydicom raise a dozen types
        extra = " Its coding needs pip install 'senzai[medical]'." if "plugin" in str(err).lower() else ""
        raise InputError(
            f"Every picture must be readable, but {str(path)!r} is not: {str(err)[:200]}.{extra} Replace it, or leave "
            "out what cannot be read with --skip-bad (option skip_bad=True)."
        ) from err


def _group(about: Any, i: int, name: str) -> Any:
    """Return one functional group of a frame of an enhanced file, of its own or shared; else the whole header."""
    for place, at in (("PerFrameFunctionalGroupsSequence", i), ("SharedFunctionalGroupsSequence", 0)):
        groups = about.get(place)
        if groups is not None and at < len(groups) and groups[at].get(name):
            return groups[at].get(name)[0]
    return about


def _numbers(value: Any) -> tuple[float, ...] | None:
    return None if value is None else tuple(float(v) for v in value)


def _plane(about: Any, i: int) -> dict[str, Any]:
    measures = _group(about, i, "PixelMeasuresSequence")
    found = {
        "spacing": _numbers(measures.get("PixelSpacing") or about.get("ImagerPixelSpacing")),
        "thickness": _number(measures.get("SliceThickness")),
        "between": _number(measures.get("SpacingBetweenSlices")),
        "position": _numbers(_group(about, i, "PlanePositionSequence").get("ImagePositionPatient")),
        "orientation": _numbers(_group(about, i, "PlaneOrientationSequence").get("ImageOrientationPatient")),
    }
    return {name: value for name, value in found.items() if value is not None}


def _number(value: Any) -> float | None:
    return None if value in (None, "") else float(value)


def _storing(about: Any, i: int) -> dict[str, Any]:
    rescale, window = _group(about, i, "PixelValueTransformationSequence"), _group(about, i, "FrameVOILUTSequence")
    slope = _number(rescale.get("RescaleSlope"))
    bits, signed = int(about.get("BitsStored", 8)), bool(about.get("PixelRepresentation", 0))
    centre, width = (_first(window.get(n)) for n in ("WindowCenter", "WindowWidth"))
    modality = str(about.get("Modality", "") or "")
    return {
        "slope": 1.0 if slope is None else slope, "intercept": _number(rescale.get("RescaleIntercept")) or 0.0,
        "units": slope is not None, "bits": bits, "signed": signed, "modality": modality,
        "turned": slope is None and str(about.get("PhotometricInterpretation", "")) == "MONOCHROME1",
        "window": None if centre is None or not width else (centre, width),
        "text": _may_say_names(str(about.get("BurnedInAnnotation", "") or "").upper(), modality),
    }


def _first(value: Any) -> float | None:
    if value is None or isinstance(value, str | int | float):
        return _number(value)
    try:
        return float(value[0])
    except TypeError:
        return float(value)


def _may_say_names(said: str, modality: str) -> bool:
    return said == "YES" or (said != "NO" and modality in MAY_SAY_NAMES)


def in_units(pixels: Array, storing: dict[str, Any]) -> Array:
    """Return stored values in units.

    Example:
        >>> about = {"slope": 1.0, "intercept": -1024.0, "turned": False, "units": True, "bits": 12, "signed": False}
        >>> in_units(np.array([[0, 1024]]), about).tolist()
        [[-1024.0, 0.0]]
    """
    if pixels.ndim == 3:
        return pixels
    turned = storing["turned"]
    stored = _turned(pixels.astype(np.int64), storing) if turned else pixels
    if not storing["units"] and storing["bits"] <= 8 and not storing["signed"]:
        return stored.astype(np.uint8)
    return np.asarray((stored * storing["slope"] + storing["intercept"]).astype(np.float32))


def _turned(stored: Array, storing: dict[str, Any]) -> Array:
    return -1 - stored if storing["signed"] else 2 ** storing["bits"] - 1 - stored


def stored_values(values: Array, storing: dict[str, Any]) -> Array:
    """Return values in units as they were stored: the nearest whole numbers that 16 bits hold; undoes `in_units`.

    Example:
        >>> about = {"slope": 2.0, "intercept": -10.0, "turned": False, "bits": 12, "signed": False}
        >>> stored_values(np.array([-10.0, 3.2, 1e9]), about).tolist()
        [0, 7, 65535]
    """
    raw = np.rint((np.asarray(values, np.float64) - storing["intercept"]) / storing["slope"]).astype(np.int64)
    raw = _turned(raw, storing) if storing["turned"] else raw
    info = np.iinfo(np.int16 if storing["signed"] else np.uint16)
    return np.asarray(raw.clip(info.min, info.max).astype(info.dtype))


def windowed(values: Array, centre: float, width: float) -> Array:
    """Return values as greys from 0 to 255 under a window, by the linear rule of DICOM (PS3.3 C.11.2.1.2.1).

    Example:
        >>> windowed(np.array([-1000.0, 39.5, 400.0]), 40.0, 400.0).tolist()
        [0, 128, 255]
    """
    share = (np.asarray(values, np.float64) - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5
    return np.asarray(np.floor(255 * share.clip(0, 1) + 0.5).astype(np.uint8))


def notes_of(slices: Sequence[Slice]) -> list[str]:
    """Return what a user has to know about slices: what is not written, and text that may be in the picture itself."""
    notes = [REMOVED]
    if turned := sum(s.storing["turned"] for s in slices):
        notes.append(f"{turned} frames are MONOCHROME1 without units: turned round, so that larger is brighter.")
    if text := sum(s.storing["text"] for s in slices):
        notes.append(f"WARNING: {text} frames may have text in the picture itself, such as a name: look at them.")
    return notes


def frames(paths: Sequence[Path], skip_bad: bool = False) -> Iterator[list[Slice] | Path]:
    """Yield the frames of each file; of one that cannot be read, its path, where that is allowed."""
    for path in paths:
        try:
            yield read_file(path)
        except InputError:
            if not skip_bad:
                raise
            yield path
