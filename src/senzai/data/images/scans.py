"""DICOM files as pictures: values in their units or under a window, and where each slice lies, kept for the way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.extras import need
from senzai.core.files import replacing, replacing_folder

from .. import dicom, dicom_writing
from .. import fingerprint as prints
from ..dicom import Slice
from ..kind import Opened
from ..options import ImageOptions
from ..rows import Array
from ..schema import Schema
from ..split import numbered_groups
from .details import details_of

FORM = "dicom"
RESEARCH = "What is made of medical pictures is for research, not for diagnosis or treatment."


@dataclass(frozen=True, eq=False)
class Scans:
    """Frames of DICOM files, of one size.

    Args:
        values: ``(N, H, W)`` or ``(N, H, W, 3)``.
        plane: Where each lies.
        storing: How values of each were stored.
        fingerprint: Of the files.
    """

    values: Array
    plane: tuple[dict[str, Any], ...]
    storing: tuple[dict[str, Any], ...]
    fingerprint: str

    def about(self, index: Array) -> dict[str, Any]:
        """Return where some rows lie and how they were stored."""
        return {"plane": _objects(self.plane, index), "storing": _objects(self.storing, index)}


class Frames(np.ndarray[Any, Any]):
    """Pictures as an array, which knows of each where it lies (``about``) until it is changed."""

    about: Mapping[str, Any] | None

    def __array_finalize__(self, obj: object) -> None:
        """Forget: rows may have been chosen or moved."""
        self.about = None

    @classmethod
    def of(cls, values: Array, about: Mapping[str, Any] | None) -> Frames:
        """Return an array that knows about its rows."""
        made = np.asarray(values).view(cls)
        made.about = about if about and len(about["plane"]) == len(made) else None
        return made


def _objects(found: Sequence[Any], index: Array) -> Array:
    made = np.empty(len(index), dtype=object)
    made[:] = [found[i] for i in index.tolist()]
    return made


def read_scans(root: Path, paths: Sequence[Path], options: ImageOptions, schema: Schema | None) -> Opened:
    """Read DICOM files.

    Raises:
        InputError: One cannot be read, frames have several sizes and no size was asked for, or grey and colour mix.
        MissingExtraError: pydicom is not installed.
    """
    slices: list[Slice] = []
    bad: list[Path] = []
    for found in dicom.frames(paths, options.skip_bad):
        if isinstance(found, Path):
            bad.append(found)
        else:
            slices += found
    if not slices:
        raise InputError(f"At least one picture must be readable, but none of {len(paths)} DICOM files is.")
    window = options.window if schema is None else details_of(schema).window
    size = options.size if schema is None else schema.event_shape[-2:]
    values, planes = _one_size([_shown(s, window) for s in slices], slices, size)
    notes = [*dicom.notes_of(slices), RESEARCH, *_said_of(slices, window)]
    notes += [f"{len(bad)} files could not be read and were skipped."] if bad else []
    base = root if root.is_dir() else root.parent
    scans = Scans(values, planes, tuple(s.storing for s in slices), prints.of_files(list(paths), base))
    patients = [s.patient or s.series for s in slices]
    groups = numbered_groups(np.array(patients, dtype=object))
    layout = "NHW" if values.ndim == 3 else "NHWC"
    return Opened(
        data=scans, n_rows=len(values), dtype=str(values.dtype), form=FORM, origin=repr(str(root)), groups=groups,
        notes=tuple(notes), facts={"layout": layout, "window": window},
    )


def _shown(s: Slice, window: str | None) -> Array:
    if window is None or s.values.ndim == 3:
        return s.values
    if window == "file":
        if s.storing["window"] is None:
            raise InputError(f"The window of the file was asked for, but {s.path.name!r} has none. Give window=C,W.")
        centre, width = s.storing["window"]
    else:
        centre, width = (float(v) for v in window.split(","))
    return dicom.windowed(s.values, centre, width)


def _said_of(slices: Sequence[Slice], window: str | None) -> list[str]:
    if window is not None:
        how = "its own window" if window == "file" else f"the window {window}"
        return [f"Every frame is shown under {how}: greys from 0 to 255, no units."]
    ends = [f"{min(float(s.values.min()) for s in slices):g}", f"{max(float(s.values.max()) for s in slices):g}"]
    what = " (Hounsfield units)" if all(s.storing["modality"] == "CT" for s in slices) else ""
    return [f"Values are in the units of the files{what}, from {ends[0]} to {ends[1]}; window=C,W makes greys."]


def _one_size(
    found: list[Array], slices: Sequence[Slice], size: tuple[int, ...] | None
) -> tuple[Array, tuple[dict[str, Any], ...]]:
    sorts = {(f.ndim, f.dtype) for f in found}
    if len({n for n, _ in sorts}) > 1:
        raise InputError("Frames are all grey or all in colour, but these are both. Divide them into folders.")
    if len(sorts) > 1:
        found = [f.astype(np.float32) for f in found]
    sizes = {f.shape[:2] for f in found}
    if size is None and len(sizes) > 1:
        some = ", ".join(f"{h} x {w}" for h, w in sorted(sizes)[:3])
        raise InputError(f"Pictures of one model have one size, but these have {len(sizes)}: {some}. Set size=64.")
    wanted = next(iter(sizes)) if size is None else (size[0], size[1])
    made = [_fitted(f, s.plane, wanted) for f, s in zip(found, slices, strict=True)]
    return np.stack([m for m, _ in made]), tuple(p for _, p in made)


def _fitted(values: Array, plane: dict[str, Any], size: tuple[int, int]) -> tuple[Array, dict[str, Any]]:
    """Crop in the middle and resize, linear between neighbours; where the slice lies follows."""
    if values.shape[:2] == size:
        return values, plane
    factor = min(values.shape[0] / size[0], values.shape[1] / size[1])
    start = [(n - factor * s) / 2 + factor / 2 - 0.5 for n, s in zip(values.shape[:2], size, strict=True)]
    made = _interpolated(values, size, factor, start)
    moved = dict(plane)
    if "spacing" in plane:
        moved["spacing"] = tuple(s * factor for s in plane["spacing"])
    if {"position", "orientation", "spacing"} <= set(plane):
        row, column = np.array(plane["orientation"][:3]), np.array(plane["orientation"][3:])
        down, across = plane["spacing"]
        at = np.array(plane["position"]) + column * down * start[0] + row * across * start[1]
        moved["position"] = tuple(at.tolist())
    return made, moved


def _interpolated(values: Array, size: tuple[int, int], factor: float, start: list[float]) -> Array:
    import torch

    x = torch.from_numpy(np.asarray(values, np.float32))
    x = x[None, None] if x.ndim == 2 else x.permute(2, 0, 1)[None]
    box = [round(s + 0.5 - factor / 2) for s in start]
    ends = [round(b + factor * n) for b, n in zip(box, size, strict=True)]
    cut = x[..., box[0] : ends[0], box[1] : ends[1]]
    y = torch.nn.functional.interpolate(cut, size=size, mode="bilinear", antialias=True)[0]
    back = y[0] if values.ndim == 2 else y.permute(1, 2, 0)
    return (np.rint(back.numpy()) if values.dtype.kind in "iu" else back.numpy()).astype(values.dtype)


def write_scans(values: Array, about: Mapping[str, Any] | None, folder: Path, schema: Schema) -> None:
    """Write numbered DICOM files into a folder, or one row into a file; each where its row lay, new rows nowhere.

    Raises:
        InputError: A file was named for several rows.
    """
    need("pydicom", extra="medical", to="write DICOM")
    usual, rows = details_of(schema), np.asarray(values)

    def one(i: int, place: Path) -> None:
        plane = {} if about is None else about["plane"][i]
        storing = _usual(usual.storing) if about is None else about["storing"][i]
        dicom_writing.write(rows[i], place, plane, _as_shown(storing, usual.window))

    if not folder.suffix:
        with replacing_folder(folder) as tmp:
            for i in range(len(rows)):
                one(i, tmp / f"{i:06d}.dcm")
        return
    if len(rows) != 1:
        raise InputError(f"A file {folder.name!r} holds one picture, but these are {len(rows)}. Name a folder.")
    with replacing(folder) as place:
        one(0, place)


def _usual(storing: Mapping[str, Any]) -> dict[str, Any]:
    plain = {"slope": 1.0, "intercept": 0.0, "units": False, "bits": 16, "signed": False, "turned": False,
             "window": None, "modality": "OT", "text": False}
    return {**plain, **storing, "window": _pair(storing.get("window")), "text": False}


def _pair(window: Any) -> Any:
    return None if window is None else tuple(window)  # a list, once it was JSON


def _as_shown(storing: dict[str, Any], window: str | None) -> dict[str, Any]:
    """Greys of a window have no units any more."""
    if window is None:
        return storing
    return {**storing, "slope": 1.0, "intercept": 0.0, "units": False, "bits": 8, "signed": False, "turned": False,
            "window": None}
