"""Files of volumes: NIfTI through nibabel, NRRD and MHA through SimpleITK; nothing about a person is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.extras import need
from senzai.core.files import replacing

from ..limits import guarded, need_regular, need_room
from ..rows import Array
from .volume import Volume

NIFTI = (".nii", ".nii.gz")
ITK = (".nrrd", ".mha")
SUFFIXES = (*NIFTI, *ITK)
DETACHED = (".nhdr", ".mhd", ".hdr", ".img")
"""Headers that name another file for the values: not read, for a header could name any file of this computer."""
GRID = (
    "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z",
    "srow_x", "srow_y", "srow_z", "xyzt_units",
)
"""What a NIfTI header says of the grid; everything else (descriptions, names of files) is left behind."""
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From left, posterior, superior, as DICOM and ITK count, to right, anterior, superior."""
HEAD = 64 * 1024


def suffix_of(path: Path) -> str:
    """Return the suffix of a file of volumes; empty where it is none.

    Example:
        >>> suffix_of(Path("brain.NII.gz")), suffix_of(Path("notes.gz"))
        ('.nii.gz', '')
    """
    name = path.name.lower()
    return "" if name.startswith(".") else next((s for s in SUFFIXES[::-1] if name.endswith(s)), "")


def read(path: Path, frames: str = "refuse") -> list[Volume]:
    """Read a file: one volume, or each of those along the fourth axis where ``frames`` is ``each``.

    Raises:
        InputError: The file cannot be read, or has more axes than a volume.
        MissingExtraError: What reads it is not installed.
    """
    need_regular(path)
    return _read_nifti(path, frames) if suffix_of(path) in NIFTI else [_read_itk(path)]


# --- NIfTI ----------------------------------------------------------------------------------------------------------
def _read_nifti(path: Path, frames: str) -> list[Volume]:
    nib = need("nibabel", extra="medical", to="read NIfTI")
    with guarded(path):
        image = nib.load(path)
    return of_nibabel(image, path, frames)


def of_nibabel(image: Any, path: object, frames: str) -> list[Volume]:
    """Return the volumes of an image of nibabel, its size checked before its values are read."""
    shape = tuple(int(n) for n in image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    need_three(shape, path, frames)
    need_room(4 * int(np.prod(shape)), path, f"{' x '.join(map(str, shape))} voxels")
    with guarded(Path(str(path))):
        values = np.asarray(image.dataobj, dtype=np.float32).reshape(shape)
        affine = np.asarray(image.affine, dtype=np.float64)
        known = getattr(image, "header", {})
        grid = {name: np.array(known[name]) for name in GRID if name in known}
        grid |= {"qfac": np.array(known["pixdim"][:4])} if "pixdim" in known else {}
    if len(shape) == 3:
        return [Volume(values, affine, grid)]
    return [Volume(np.ascontiguousarray(values[..., i]), affine, grid) for i in range(shape[3])]


def need_three(shape: tuple[int, ...], path: object, frames: str) -> None:
    """Refuse what is no volume, or several where nobody said what the fourth axis is."""
    if len(shape) == 3 and min(shape) > 0:
        return
    name = Path(str(path)).name
    if len(shape) != 4 or min(shape) < 1:
        raise InputError(f"A volume has three axes, but {name!r} has the shape {shape}. Give volumes.")
    if frames != "each":
        raise InputError(
            f"A volume has three axes, but {name!r} has four, {shape}: time, or channels. Read each of the {shape[3]} "
            "volumes as a row with --set frames=each, or split the file."
        )


def _write_nifti(volume: Volume, path: Path) -> None:
    nib = need("nibabel", extra="medical", to="write NIfTI")
    image = nib.Nifti1Image(np.asarray(volume.values, dtype=np.float32), volume.affine)
    image.header.set_xyzt_units("mm")
    _put_back(image, volume.header)
    with replacing(path) as place:
        inner = place.with_name(place.name + suffix_of(path))  # nibabel goes by the name
        nib.save(image, inner)
        inner.rename(place)


def _put_back(image: Any, grid: Mapping[str, Any]) -> None:
    for name in GRID:
        if name in grid:
            image.header[name] = grid[name]
    if "qfac" in grid:
        image.header["pixdim"][:4] = grid["qfac"]


# --- NRRD and MHA ---------------------------------------------------------------------------------------------------
def _read_itk(path: Path) -> Volume:
    sitk = need("SimpleITK", extra="medical", to="read NRRD and MHA")
    _need_attached(path)
    reader = sitk.ImageFileReader()
    with guarded(path):
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        shape, parts = tuple(reader.GetSize()), reader.GetNumberOfComponents()
    need_three(shape if parts == 1 else (*shape, parts), path, "refuse")
    need_room(4 * int(np.prod(shape)), path, f"{' x '.join(map(str, shape))} voxels")
    with guarded(path):
        image = reader.Execute()
        values = np.asarray(sitk.GetArrayFromImage(image), dtype=np.float32).transpose(2, 1, 0)
    turn = np.array(image.GetDirection()).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn * np.array(image.GetSpacing()), image.GetOrigin()
    kept = {"spacing": image.GetSpacing(), "origin": image.GetOrigin(), "direction": image.GetDirection()}
    return Volume(np.ascontiguousarray(values), LPS @ affine, kept)


def _need_attached(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(HEAD)
    lines = head.split(b"\n\n")[0].lower().splitlines() if path.suffix.lower() == ".nrrd" else head.lower().splitlines()
    for line in lines:
        if line.startswith((b"data file", b"datafile")):
            raise InputError(f"{path.name!r} names another file for its values. Save header and values in one file.")
        if line.startswith(b"elementdatafile"):
            if line.partition(b"=")[2].strip() != b"local":
                raise InputError(
                    f"{path.name!r} names another file for its values. Save header and values in one file."
                )
            return


def _write_itk(volume: Volume, path: Path) -> None:
    sitk = need("SimpleITK", extra="medical", to="write NRRD and MHA")
    image = sitk.GetImageFromArray(np.ascontiguousarray(np.asarray(volume.values, np.float32).transpose(2, 1, 0)))
    kept = volume.header if "direction" in volume.header else in_lps(volume)
    image.SetSpacing(kept["spacing"])
    image.SetOrigin(kept["origin"])
    image.SetDirection(kept["direction"])
    with replacing(path) as place:
        inner = place.with_name(place.name + suffix_of(path))
        sitk.WriteImage(image, str(inner), True)
        inner.rename(place)


def in_lps(volume: Volume) -> dict[str, tuple[float, ...]]:
    """Return spacing, origin and direction of a grid as ITK has them.

    Raises:
        InputError: The grid is sheared, which NRRD and MHA here cannot say.
    """
    affine = LPS @ volume.affine
    spacing = np.asarray(volume.spacing)
    turn = affine[:3, :3] / spacing
    if not np.allclose(turn.T @ turn, np.eye(3), atol=1e-4):
        raise InputError("The grid of this volume is sheared, which only NIfTI can say. Write it as .nii.gz.")
    return {
        "spacing": tuple(spacing.tolist()), "origin": tuple(affine[:3, 3].tolist()),
        "direction": tuple(turn.ravel().tolist()),
    }


def write(volume: Volume, path: Path) -> None:
    """Write one volume as the suffix says, in single precision.

    Raises:
        InputError: The suffix is not one that is written.
    """
    suffix = suffix_of(path)
    if not suffix:
        raise InputError(f"Volumes are written as {', '.join(SUFFIXES)}, but got {path.name!r}. Choose one of them.")
    if suffix in NIFTI:
        known = {k: v for k, v in volume.header.items() if k in GRID or k == "qfac"}
        _write_nifti(Volume(volume.values, volume.affine, known), path)
    else:
        _write_itk(volume, path)


def as_array(volumes: Any) -> Array:
    """Return volumes of one size as an array.

    Raises:
        InputError: They have several sizes.
    """
    if isinstance(volumes, np.ndarray):
        return volumes
    sizes = {v.values.shape for v in volumes}
    if len(sizes) > 1:
        raise InputError(
            f"An array has volumes of one size, but these have {len(sizes)}. Write a folder: -o NAME without a suffix."
        )
    return np.stack([v.values for v in volumes])
