"""From what a user has (files, folders, DICOM series, images of nibabel, arrays) to volumes with their patients."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.later import is_tensor
from senzai.core.memory import free_memory

from .. import dicom, dicom_series, sources, trees
from .. import fingerprint as prints
from ..limits import told
from ..rows import Array
from ..split import numbered_groups
from . import files
from .options import VolumeOptions
from .volume import Volume, Volumes, need_affine

SUBJECT = re.compile(r"(?:^|[/_])(sub-[A-Za-z0-9]+)")


@dataclass(frozen=True, slots=True, eq=False)
class ReadVolumes:
    """Volumes that were read.

    Args:
        volumes: They.
        patients: Number of the patient of each.
        fingerprint: Of what was read.
        form: What comes back to the user.
        origin: What it is called.
        notes: What was chosen, one sentence each.
        by: What patients were told apart by.
        labels: Label of each volume, where there are labels.
        label_name: What the label is called.
    """

    volumes: tuple[Volume, ...]
    patients: Array
    fingerprint: str
    form: str
    origin: str
    notes: tuple[str, ...]
    by: str
    labels: Array | None = None
    label_name: str = "folder"


def is_image(source: object) -> bool:
    """Whether a source is an image of nibabel, without importing nibabel for those who have none."""
    nib = sys.modules.get("nibabel")
    return nib is not None and isinstance(source, nib.spatialimages.SpatialImage)


def are_volumes(source: object) -> bool:
    """Whether a source is one or several volumes in memory."""
    some = list(source) if isinstance(source, list | tuple | Volumes) else [source]
    return bool(some) and all(isinstance(s, Volume) or is_image(s) for s in some)


def find(root: Path) -> list[Path]:
    """Return the files of volumes at or under a path, sorted."""
    if root.is_file():
        return [root]
    found = (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
    return sorted((p for p in found if files.suffix_of(p)), key=lambda p: p.relative_to(root).as_posix())


def holds_volumes(folder: Path) -> bool:
    """Whether there is any file of volumes under a folder."""
    return any(files.suffix_of(Path(name)) for _, _, names in os.walk(folder) for name in names)


def read(source: object, asked: VolumeOptions) -> ReadVolumes:
    """Read volumes.

    Raises:
        InputError: There are none, or one cannot be read.
    """
    if are_volumes(source):
        return _from_memory(source, asked)
    path = sources.existing(source)
    if path is None or (path.is_file() and path.suffix.lower() in (".npy", ".npz")):
        return _from_array(source, asked)
    paths = find(path) if path.is_dir() or files.suffix_of(path) else []
    series = dicom.find(path)
    if paths and series:
        raise InputError(
            f"A folder holds files of volumes or DICOM, but {str(path)!r} has both ({len(paths)} and {len(series)}). "
            "Name one of them."
        )
    return _from_series(path, series, asked) if series else _from_files(path, paths, asked)


def _from_files(root: Path, paths: Sequence[Path], asked: VolumeOptions) -> ReadVolumes:
    if not paths:
        detached = [p.name for p in ([root] if root.is_file() else root.rglob("*")) if p.suffix in files.DETACHED]
        hint = f" {detached[0]!r} is a header that names another file: save both in one." if detached else ""
        raise InputError(f"Volumes are {', '.join(files.SUFFIXES)} or DICOM, but {str(root)!r} has none.{hint}")
    found, owner = [], []
    for i, path in enumerate(paths):
        for volume in files.read(path, asked.frames):
            found.append(volume)
            owner.append(i)
        _need_memory(found, str(root))
    base = root if root.is_dir() else root.parent
    names, by = _patients([p.relative_to(base).as_posix() for p in paths], asked.patient)
    patients = numbered_groups(np.array([names[i] for i in owner], dtype=object))
    labels, notes = _labels([paths[i] for i in owner], root, patients)
    mark = prints.of_files(list(paths), base)
    return ReadVolumes(tuple(found), patients, mark, "volumes", repr(str(root)), notes, by, labels)


def _from_series(root: Path, paths: Sequence[Path], asked: VolumeOptions) -> ReadVolumes:
    series = dicom_series.read_series(paths)
    found = [Volume(s.values, files.LPS @ s.affine) for s in series]
    base = root if root.is_dir() else root.parent
    names = [s.patient for s in series]
    by = "patient"
    if asked.patient != "auto" or not all(names):
        names, by = _patients([p.relative_to(base).as_posix() for p in (s.path for s in series)], asked.patient)
    notes = tuple(dict.fromkeys(n for s in series for n in s.notes))
    patients = numbered_groups(np.array(names, dtype=object))
    mark = prints.of_files(list(paths), base)
    labels, said = _labels([s.path for s in series], root, patients)
    return ReadVolumes(tuple(found), patients, mark, "volumes", repr(str(root)), (*notes, *said), by, labels)


def _from_memory(source: Any, asked: VolumeOptions) -> ReadVolumes:
    some = list(source) if isinstance(source, list | tuple | Volumes) else [source]
    found, owner = [], []
    for i, one in enumerate(some):
        made = [one] if isinstance(one, Volume) else files.of_nibabel(one, f"image {i}", asked.frames)
        for v in made:
            files.need_three(np.shape(v.values), f"volume {i}", "refuse")
            found.append(Volume(np.asarray(v.values, dtype=np.float32), need_affine(v.affine), v.header))
            owner.append(i)
    mark = prints.of_array(np.concatenate([v.values.ravel() for v in found]))
    return ReadVolumes(tuple(found), np.asarray(owner, dtype=np.int64), mark, "volumes", "the volumes", (), "file")


def _from_array(source: object, asked: VolumeOptions) -> ReadVolumes:
    opened = sources.read_arrays(source, asked, None)
    x = opened.data.detach().cpu().numpy() if is_tensor(opened.data) else opened.data
    if x.ndim != 4:
        raise InputError(f"Volumes in an array have the shape (N, X, Y, Z), but {opened.origin} has {x.shape}.")
    found = tuple(Volume(np.asarray(one, dtype=np.float32)) for one in x)
    given = opened.groups
    patients = np.arange(len(found)) if given is None else given
    return ReadVolumes(
        found, patients, prints.of_array(x), "numpy", opened.origin, opened.notes,
        "file" if given is None else "groups", opened.labels, opened.label_name,
    )


def _labels(paths: Sequence[Path], root: Path, patients: Array) -> tuple[Array | None, tuple[str, ...]]:
    """Return the class of each volume by its folder, and what to say; a folder of one patient each is no class."""
    notes: list[str] = []
    labels = trees.labels_of(paths, root, notes)
    if labels is None or all(len(np.unique(patients[labels == name])) == 1 for name in np.unique(labels)):
        return None, tuple(notes)
    return labels, tuple(notes)


def _need_memory(found: Sequence[Volume], origin: str) -> None:
    held = sum(v.values.nbytes for v in found)
    if 2 * held > free_memory() + held:
        raise InputError(
            f"Volumes are held in memory while patches are cut from them, but {origin!r} has more than {told(held)} of "
            "them. Fit on some of the files, or at a wider spacing."
        )


def _patients(names: Sequence[str], rule: str) -> tuple[list[str], str]:
    """Return the patient of each file by the rule that was asked for, and what they are told apart by."""
    if rule == "folder":
        return [n.rpartition("/")[0] or n for n in names], "folder"
    pattern = SUBJECT if rule == "auto" else None if rule == "file" else re.compile(rule)
    if pattern is not None:
        hits = [pattern.search(n) for n in names]
        if all(hits):
            return [h[1] for h in hits if h is not None], "patient"
        if rule != "auto":
            lost = next(n for n, h in zip(names, hits, strict=True) if h is None)
            raise InputError(f"The pattern {rule!r} finds the patient in every path, but not in {lost!r}. Mend it.")
    return list(names), "file"
