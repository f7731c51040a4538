"""Volumes as patches that overlap, and back: whole volumes blended from patches, on the grid that they came on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from ..patching import blended, starts_of, weights_of
from ..rows import Array
from .volume import Volume, on_grid, turned_back

Size = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Patched:
    """Volumes in the model's grid, cut into patches.

    Args:
        given: As they were read.
        grid: The same upright, at the model's spacing.
        patch: Size of a patch.
        stride: Steps from one patch to the next.
        patients: Number of the patient of each volume.
        fingerprint: Of the files or arrays.
    """

    given: tuple[Volume, ...]
    grid: tuple[Volume, ...]
    patch: Size
    stride: Size
    patients: Array
    fingerprint: str

    @cached_property
    def places(self) -> Array:
        """Volume and start of each patch, ``(N, 4)``."""
        found = []
        for i, volume in enumerate(self.grid):
            ways = (starts_of(*along) for along in zip(volume.values.shape, self.patch, self.stride, strict=True))
            found += [(i, *start) for start in product(*ways)]
        return np.asarray(found, dtype=np.int64).reshape(-1, 4)

    @property
    def groups(self) -> Array:
        """Number of the patient of each patch."""
        return np.asarray(self.patients[self.places[:, 0]])

    def __len__(self) -> int:
        return len(self.places)

    def fetch(self, index: Array) -> Array:
        """Return patches ``(n, 1, X, Y, Z)``; of a volume that is smaller, its edge goes on."""
        made = np.empty((len(index), 1, *self.patch), dtype=np.float32)
        for row, (i, *start) in enumerate(self.places[index].tolist()):
            found = self.grid[i].values[tuple(slice(s, s + n) for s, n in zip(start, self.patch, strict=True))]
            short = [(0, n - m) for n, m in zip(self.patch, found.shape, strict=True)]
            made[row, 0] = np.pad(found, short, mode="edge") if any(b for _, b in short) else found
        return made

    def about(self, index: Array) -> dict[str, Any]:
        """Return affines of patches, ``(n, 4, 4)``."""
        return {"affine": np.stack([self._affine(*place) for place in self.places[index].tolist()])}

    def _affine(self, i: int, x: int, y: int, z: int) -> Array:
        moved = self.grid[i].affine.copy()
        moved[:3, 3] = (self.grid[i].affine @ np.array([x, y, z, 1.0]))[:3]
        return moved

    def whole(self, patches: Array) -> list[Volume]:
        """Return all volumes, blended from all patches ``(N, 1, X, Y, Z)``, on the grids they were given on."""
        made, weight = [], weights_of(self.patch)
        for i, (given, grid) in enumerate(zip(self.given, self.grid, strict=True)):
            mine = np.flatnonzero(self.places[:, 0] == i)
            values = blended(patches[mine, 0], self.places[mine, 1:], weight, grid.values.shape)
            made.append(Volume(_back(values, grid, given), given.affine, given.header))
        return made


def _back(values: Array, grid: Volume, given: Volume) -> Array:
    order_size = turned_back(np.broadcast_to(np.float32(0), grid.values.shape), given).shape
    if order_size == given.values.shape and np.allclose(_spacing(grid), _spacing(given)):
        return turned_back(values, given)
    return on_grid(Volume(values, grid.affine), given.values.shape, given.affine)


def _spacing(volume: Volume) -> list[float]:
    return sorted(volume.spacing)
