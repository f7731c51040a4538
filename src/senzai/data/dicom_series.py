"""Slices of DICOM series as volumes: in the order of their places, evenly spaced, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError

from .dicom import Slice, notes_of, read_file
from .rows import Array

UNIFORM = 0.01
"""Share of the usual step by which steps between slices may differ."""


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
