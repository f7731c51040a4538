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
UNIFORM = 0.01
"""Share of the usual step by which steps between slices may differ."""
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


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Slices of one series as a volume.

    Args:
        values: ``(X, Y, Z)``: columns, rows, slices.
        affine: From places to millimetres, left, posterior and superior being positive, as DICOM counts.
        patient: Whose it is.
        path: Its first file.
        notes: What was chosen, one sentence each.
    """

    values: Array
    affine: Array
    patient: str
    path: Path
    notes: tuple[str, ...] = ()


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


# --- series ---------------------------------------------------------------------------------------------------------
def read_series(paths: Sequence[Path]) -> list[Series]:
    """Return one volume for each series, slices sorted along it.

    Raises:
        InputError: Slices of a series are missing, doubled, of several sizes or orientations, or have no place.
    """
    by_series: dict[str, list[Slice]] = {}
    for path in paths:
        for found in read_file(path):
            by_series.setdefault(found.series, []).append(found)
    return [_volume(slices) for slices in by_series.values()]


def _volume(slices: list[Slice]) -> Series:
    name = slices[0].path.name
    if slices[0].values.ndim != 2:
        raise InputError(f"Slices of a volume are grey, but those of {name!r} have colours. Read them as pictures.")
    sizes = {s.values.shape for s in slices}
    if len(sizes) > 1:
        raise InputError(f"Slices of a series have one size, but that of {name!r} has {sorted(sizes)}. Divide it.")
    directions = {tuple(np.round(s.plane.get("orientation", ()), 3).tolist()) for s in slices}
    if len(directions) > 1:
        raise InputError(
            f"Slices of a volume lie one above the other, but the series of {name!r} has {len(directions)} "
            "orientations, a localiser perhaps. Move slices of other orientations into a folder of their own."
        )
    ordered, affine, said = _stacked(slices, name)
    values = np.stack([s.values for s in ordered], axis=-1).astype(np.float32).transpose(1, 0, 2)
    notes = (*notes_of(slices), *said)
    return Series(np.ascontiguousarray(values), affine, slices[0].patient, slices[0].path, notes)


def _stacked(slices: list[Slice], name: str) -> tuple[list[Slice], Array, list[str]]:
    first = slices[0].plane
    if not all({"position", "orientation", "spacing"} <= set(s.plane) for s in slices):
        step = first.get("between", first.get("thickness", 1.0))
        down, across = first.get("spacing", (1.0, 1.0))
        return slices, np.diag([across, down, step, 1.0]), [f"{name!r} does not say where its slices lie in space."]
    row, column = np.array(first["orientation"][:3]), np.array(first["orientation"][3:])
    normal = np.cross(row, column)
    places = np.array([float(np.dot(normal, s.plane["position"])) for s in slices])
    order = np.argsort(places, kind="stable")
    step = _step(places[order], first, name)
    ordered = [slices[i] for i in order]
    down, across = first["spacing"]
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = row * across, column * down, normal * step
    if len(ordered) > 1:  # a gantry that was tilted moves slices aside as well
        ends = [np.array(s.plane["position"]) for s in (ordered[0], ordered[-1])]
        affine[:3, 2] = (ends[1] - ends[0]) / (len(ordered) - 1)
    affine[:3, 3] = ordered[0].plane["position"]
    return ordered, affine, []


def _step(places: Array, plane: dict[str, Any], name: str) -> float:
    if len(places) == 1:
        return float(plane.get("between", plane.get("thickness", 1.0)))
    steps = np.diff(places)
    usual = float(np.median(steps))
    if usual <= 0 or steps.min() < 1e-4:
        raise InputError(
            f"Slices of a series lie at different places, but the series of {name!r} has some twice: several times, "
            "or several pictures of one place. Divide it."
        )
    far = np.flatnonzero(np.abs(steps - usual) > UNIFORM * usual)
    if len(far):
        lost = sum(max(0, round(float(s) / usual) - 1) for s in steps[far])
        raise InputError(
            f"Slices of a series lie {usual:.3g} mm apart, but after slice {int(far[0]) + 1} of {len(places)} of the "
            f"series of {name!r} it is {float(steps[far[0]]):.3g} mm: about {lost} slices are missing. Complete it."
        )
    return usual


# --- writing --------------------------------------------------------------------------------------------------------
def write(values: Array, path: Path, plane: dict[str, Any], storing: dict[str, Any]) -> None:
    """Write one frame as a new file: pixels, units, window and place, and nothing that says whose it was."""
    pydicom = need("pydicom", extra="medical", to="write DICOM")
    uid = need("pydicom.uid", extra="medical", to="write DICOM")
    made = pydicom.Dataset()
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = uid.UID("1.2.840.10008.5.1.4.1.1.7")
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = uid.generate_uid(prefix=None)
    made.StudyInstanceUID, made.SeriesInstanceUID = uid.generate_uid(prefix=None), uid.generate_uid(prefix=None)
    made.PatientName, made.PatientID, made.PatientIdentityRemoved = "", "", "YES"
    made.DeidentificationMethod = "written anew: pixels, units and place alone"
    made.ImageType, made.Modality = ["DERIVED", "SECONDARY"], storing.get("modality") or "OT"
    made.ConversionType = "WSD"
    made.DerivationDescription = "made by a model; for research, not for diagnosis"
    made.BurnedInAnnotation = "YES" if storing.get("text") else "NO"
    _put_plane(made, plane)
    _put_pixels(made, values, storing)
    with ignore_warnings():
        made.save_as(path, enforce_file_format=True)


def _put_plane(made: Any, plane: dict[str, Any]) -> None:
    names = {
        "spacing": "PixelSpacing", "position": "ImagePositionPatient", "orientation": "ImageOrientationPatient",
        "thickness": "SliceThickness", "between": "SpacingBetweenSlices",
    }
    for name, keyword in names.items():
        if name in plane:
            value = plane[name]
            setattr(made, keyword, [_short(v) for v in value] if isinstance(value, tuple) else _short(value))


def _short(value: float) -> str:
    """Return a number in the 16 characters that DICOM has for one, as exactly as they can say it."""
    exact = repr(float(value))
    return exact if len(exact) <= 16 else next(t for p in range(15, 0, -1) if len(t := f"{value:.{p}g}") <= 16)


def _put_pixels(made: Any, values: Array, storing: dict[str, Any]) -> None:
    colour = values.ndim == 3
    raw = values.clip(0, 255).astype(np.uint8) if colour else stored_values(values, storing)
    made.Rows, made.Columns = raw.shape[:2]
    made.SamplesPerPixel, bits = (3, 8) if colour else (1, 16)
    made.PhotometricInterpretation = "RGB" if colour else "MONOCHROME1" if storing["turned"] else "MONOCHROME2"
    if colour:
        made.PlanarConfiguration = 0
    made.BitsAllocated = bits
    made.BitsStored = bits if colour or storing["signed"] else max(storing["bits"], 1)
    if not colour and not storing["signed"]:
        raw = np.minimum(raw, 2**made.BitsStored - 1).astype(raw.dtype)
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = 0 if colour else int(storing["signed"])
    if storing.get("units"):
        made.RescaleSlope, made.RescaleIntercept = _short(storing["slope"]), _short(storing["intercept"])
    if storing.get("window") is not None:
        made.WindowCenter, made.WindowWidth = (_short(v) for v in storing["window"])
    made.PixelData = np.ascontiguousarray(raw).tobytes()


def frames(paths: Sequence[Path], skip_bad: bool = False) -> Iterator[list[Slice] | Path]:
    """Yield the frames of each file; of one that cannot be read, its path, where that is allowed."""
    for path in paths:
        try:
            yield read_file(path)
        except InputError:
            if not skip_bad:
                raise
            yield path
