"""The view of `volume`: the slices of a patch, one at a time, to be scrolled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

from torch import Tensor

from ...core.batch import Data
from ...data import Schema
from ..blocks import Block, Picture, SliceStack
from ..findings import Scope
from ..numbers import plural
from .base import VIEWS, View
from .images import Darkroom, uris

MOST = 32
"""SliceStack of a patch that are on a page; of more, every second, third ..."""


@final
class VolumeView(View):
    """Slices from below to above, seen from the feet, as radiologists see them: the patient's right is on the left."""

    scope: ClassVar[Scope] = Scope(mapped=300, samples=6)

    def lede(self, schema: Schema) -> str:
        """Say how many patches, and of which size."""
        sides = " × ".join(str(a.size) for a in schema.field.axes[1:])
        far = " × ".join(f"{a.spacing:.3g}" for a in schema.field.axes[1:] if a.spacing is not None)
        return f"{plural(schema.n_rows, 'patch', 'patches')} of {sides} voxels" + (f" of {far} mm" if far else "")

    def picture(self, row: Data, schema: Schema, *, about: Mapping[str, Any] | None = None) -> Block | None:
        """Return the slices of a patch."""
        if not isinstance(row, Tensor) or row.ndim != 5:
            return None
        dark = Darkroom.of(schema, row)
        step = -(-row.shape[-1] // MOST)
        slices = row[0, 0].permute(2, 1, 0).flip(1, 2)[::step].unsqueeze(1)
        drawn = uris(dark.develop(slices))
        return SliceStack([Picture(uri, f"slice {i * step + 1} of {row.shape[-1]}") for i, uri in enumerate(drawn)])


VIEWS.add("volume")(VolumeView())
