"""A volume: numbers on a grid, and where that grid lies in space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

from senzai.core.errors import InputError

from ..rows import Array


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Numbers on a grid in space.

    Args:
        values: ``(X, Y, Z)``, in the units of the file (after its slope and intercept; CT in Hounsfield units).
        affine: ``(4, 4)``, from places in the grid to millimetres, right, anterior and superior being positive.
        header: Fields of a NIfTI header about the grid alone, by name, so that a file gets them back bit by bit.

    Example:
        >>> v = Volume(np.zeros((2, 3, 4), np.float32), np.diag([2.0, 2.0, 3.0, 1.0]))
        >>> v.spacing, v.orientation
        ((2.0, 2.0, 3.0), 'RAS')
    """

    values: Array
    affine: Array = field(default_factory=lambda: np.eye(4))
    header: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between neighbours along each axis."""
        a, b, c = np.sqrt((self.affine[:3, :3] ** 2).sum(0)).tolist()
        return a, b, c

    @property
    def orientation(self) -> str:
        """Where each axis points to, nearest: RAS is right, anterior, superior."""
        order, signs = axes_of(self.affine)
        return "".join(("LPI", "RAS")[sign > 0][axis] for axis, sign in zip(order, signs, strict=True))


class Volumes(Sequence[Volume]):
    """Several volumes."""

    def __init__(self, found: Sequence[Volume]) -> None:
        self._found = tuple(found)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of volumes, and their size where it is one."""
        sizes = {v.values.shape for v in self._found}
        return (len(self._found), *(next(iter(sizes)) if len(sizes) == 1 else ()))

    def __len__(self) -> int:
        return len(self._found)

    @overload
    def __getitem__(self, i: int) -> Volume: ...
    @overload
    def __getitem__(self, i: slice) -> Volumes: ...
    def __getitem__(self, i: int | slice) -> Volume | Volumes:
        return Volumes(self._found[i]) if isinstance(i, slice) else self._found[i]

    def __repr__(self) -> str:
        return f"Volumes{self.shape}"


def axes_of(affine: Array) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return for each axis of a grid the axis of space that it is nearest to, and its sign.

    Raises:
        InputError: Two axes of the grid point the same way, or have no length.

    Example:
        >>> axes_of(np.diag([-2.0, 3.0, 1.0, 1.0]))
        ((0, 1, 2), (-1, 1, 1))
    """
    lengths = np.sqrt((affine[:3, :3] ** 2).sum(0))
    if not np.isfinite(affine).all() or (lengths == 0).any() or abs(np.linalg.det(affine[:3, :3])) == 0:
        raise InputError(
            f"The axes of a volume span space, but its affine is {affine[:3, :3].round(3).tolist()}. Mend its header."
        )
    unit = affine[:3, :3] / lengths
    found = [-1, -1, -1]
    left = np.abs(unit)
    for _ in range(3):  # the clearest axis first, each axis of space once
        where, axis = divmod(int(np.argmax(left)), 3)
        found[axis] = where
        left[where, :] = left[:, axis] = -1.0
    signs = [1 if unit[found[axis], axis] >= 0 else -1 for axis in range(3)]
    return (found[0], found[1], found[2]), (signs[0], signs[1], signs[2])


def upright(volume: Volume) -> Volume:
    """Return the same numbers with axes that point right, anterior and superior: turned and mirrored, never changed.

    Example:
        >>> left = Volume(np.arange(3.0).reshape(3, 1, 1), np.diag([-1.0, 1.0, 1.0, 1.0]))
        >>> upright(left).values.ravel().tolist(), upright(left).affine[0].tolist()
        ([2.0, 1.0, 0.0], [1.0, 0.0, 0.0, -2.0])
    """
    order, signs = axes_of(volume.affine)
    affine = volume.affine.copy()
    for axis in range(3):
        if signs[axis] < 0:
            affine[:3, 3] += affine[:3, axis] * (volume.values.shape[axis] - 1)
            affine[:3, axis] *= -1
    at = np.argsort(order)
    flips = tuple(slice(None, None, sign) for sign in signs)
    columns = [*at.tolist(), 3]
    return Volume(np.ascontiguousarray(volume.values[flips].transpose(at)), affine[:, columns], {})


def turned_back(values: Array, like: Volume) -> Array:
    """Undo :func:`upright` for numbers of the same size: their axes are again those of ``like``."""
    order, signs = axes_of(like.affine)
    flips = tuple(slice(None, None, sign) for sign in signs)
    return np.ascontiguousarray(values.transpose(order)[flips])


def on_grid(volume: Volume, shape: tuple[int, ...], affine: Array) -> Array:
    """Return the numbers of a volume at the places of another grid: linear between neighbours, the edge beyond it."""
    from scipy.ndimage import affine_transform

    way = np.linalg.solve(volume.affine, affine)
    return np.asarray(affine_transform(
        volume.values, way[:3, :3], way[:3, 3], output_shape=shape, order=1, mode="nearest", output=np.float32
    ))


def resampled(volume: Volume, spacing: tuple[float, float, float]) -> Volume:
    """Return an upright volume at another spacing: the same first place, as many places as cover what was there.

    Example:
        >>> v = Volume(np.arange(5.0, dtype=np.float32).reshape(5, 1, 1))
        >>> resampled(v, (2.0, 1.0, 1.0)).values.ravel().tolist()
        [0.0, 2.0, 4.0]
    """
    factors = np.asarray(spacing) / np.asarray(volume.spacing)
    shape = tuple(int(np.floor((n - 1) / f + 1e-6)) + 1 for n, f in zip(volume.values.shape, factors, strict=True))
    affine = volume.affine @ np.diag([*factors, 1.0])
    return Volume(on_grid(volume, shape, affine), affine)


def need_affine(affine: Any) -> Array:
    """Return an affine as ``(4, 4)``.

    Raises:
        InputError: It has another shape.
    """
    found = np.asarray(affine, dtype=np.float64)
    if found.shape != (4, 4):
        raise InputError(f"An affine has the shape (4, 4), but got {found.shape}. Give the one of the file.")
    return found
