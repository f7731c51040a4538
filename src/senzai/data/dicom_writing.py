"""New DICOM files: pixels, units, window and place, and nothing that says whose they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.extras import need
from senzai.core.warning_filters import ignore_warnings

from .dicom import stored_values
from .rows import Array


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
