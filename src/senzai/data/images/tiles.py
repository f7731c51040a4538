"""Pictures of any size as tiles that overlap, and back: whole pictures blended from tiles."""

from __future__ import annotations

import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np

from senzai.core.errors import InputError, SettingError
from senzai.core.files import replacing, replacing_folder

from .. import fingerprint as prints
from .. import trees, writers
from ..kind import Opened
from ..options import ImageOptions
from ..patching import blended, starts_of, weights_of
from ..readers import IN_MEMORY_BYTES
from ..rows import Array
from ..schema import Schema
from . import pictures
from .folder import need_pictures, plan_of, planned, probed
from .pictures import CHANNELS, PicturePlan

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Tiled:
    """Image files, cut into tiles when they are asked for.

    Args:
        paths: The files, in order.
        sizes: Height and width of each.
        plan: The form of a tile.
        stride: Rows and columns from one tile to the next.
        fingerprint: Of the files.
    """

    paths: tuple[Path, ...]
    sizes: tuple[Size, ...]
    plan: PicturePlan
    stride: Size
    fingerprint: str
    held: OrderedDict[int, Array] = field(default_factory=OrderedDict)

    @cached_property
    def places(self) -> Array:
        """Picture, row and column at which each tile starts, ``(N, 3)``."""
        found = []
        for i, size in enumerate(self.sizes):
            side = (self.plan.height, self.plan.width)
            ways = (starts_of(*along) for along in zip(size, side, self.stride, strict=True))
            found += [(i, *start) for start in product(*ways)]
        return np.asarray(found, dtype=np.int64).reshape(-1, 3)

    def __len__(self) -> int:
        return len(self.places)

    def fetch(self, index: Array) -> Array:
        """Return tiles ``(n, C, H, W)``; of a picture that is smaller, its edge goes on."""
        side = (self.plan.height, self.plan.width)
        made = np.empty((len(index), CHANNELS[self.plan.mode], *side), dtype=self.plan.dtype)
        for row, (i, top, left) in enumerate(self.places[index].tolist()):
            found = self._picture(i)[:, top : top + side[0], left : left + side[1]]
            short = [(0, 0), *((0, n - m) for n, m in zip(side, found.shape[1:], strict=True))]
            made[row] = np.pad(found, short, mode="edge") if found.shape[1:] != side else found
        return made

    def _picture(self, i: int) -> Array:
        """Return a decoded picture; those that were asked for last are held, as far as memory is meant for that."""
        if i in self.held:
            self.held.move_to_end(i)
            return self.held[i]
        height, width = self.sizes[i]
        self.held[i] = pictures.load(self.paths[i], replace(self.plan, height=height, width=width, resize=False))
        while len(self.held) > 1 and sum(p.nbytes for p in self.held.values()) > IN_MEMORY_BYTES:
            self.held.popitem(last=False)
        return self.held[i]

    def whole(self, tiles: Array) -> list[Array]:
        """Return all pictures ``(H, W[, C])``, blended from all tiles ``(N, H, W[, C])``."""
        made, weight = [], weights_of((self.plan.height, self.plan.width))
        flat = tiles[..., None] if tiles.ndim == 3 else tiles
        for i, size in enumerate(self.sizes):
            mine = np.flatnonzero(self.places[:, 0] == i)
            ways = [blended(flat[mine, ..., c], self.places[mine, 1:], weight, size) for c in range(flat.shape[-1])]
            values = np.stack(ways, -1)
            values = np.rint(values) if tiles.dtype.kind in "iu" else values
            made.append(values.astype(tiles.dtype).reshape(*size, *tiles.shape[3:]))
        return made


def read_tiles(root: Path, options: ImageOptions, schema: Schema | None, patch: Size) -> Opened:
    """Read image files as tiles of one size.

    Raises:
        InputError: There are no images, or one of them cannot be read.
        SettingError: The tiles have another size than the model's pictures.
    """
    if schema is not None and tuple(schema.event_shape[1:]) != patch:
        height, width = schema.event_shape[1:]
        raise SettingError(
            f"Tiles have the size of the model's pictures, {height}x{width}, but got patch={patch[0]}x{patch[1]}. "
            f"Set patch={height}x{width}."
        )
    paths, notes = need_pictures(root)
    paths, probes = probed(paths, options, notes)
    if schema is None:
        plan = plan_of(probes, options, notes, patch, resize=False)
    else:
        plan = planned(schema, options, probes, notes)
    stride = [max(1, round(n * (1 - options.overlap))) for n in patch]
    base = root if root.is_dir() else root.parent
    sizes = tuple((p.height, p.width) for p in probes)
    cut = Tiled(tuple(paths), sizes, plan, (stride[0], stride[1]), prints.of_files(paths, base))
    labels = trees.labels_of(paths, root, notes)
    of = cut.places[:, 0]
    notes.append(f"{len(paths)} pictures are cut into {len(cut)} tiles of {patch[0]} x {patch[1]}.")
    return Opened(
        data=cut, n_rows=len(cut), dtype=plan.dtype, form="folder", origin=repr(str(root)),
        labels=None if labels is None else labels[of], label_name="folder", groups=of, notes=tuple(notes),
        facts={"layout": "NCHW", "mode": plan.mode, "transparency": plan.alpha, "resize": False, "patch": patch},
    )


class Whole(list[Array]):
    """Pictures of different sizes, with the names of their files."""

    def __init__(self, made: Sequence[Array], paths: Sequence[Path]) -> None:
        super().__init__(made)
        stems = [p.stem for p in paths]
        alike = len(set(stems)) < len(stems)
        self.names = [f"{i:06d}" for i in range(len(stems))] if alike else stems


def write_whole(whole: Whole, path: Path, *, top: float) -> None:
    """Write one picture as a file, or any number as png files in a new folder.

    Raises:
        InputError: Several pictures are to become one file.
    """
    from PIL import Image

    if path.suffix and len(whole) != 1:
        raise InputError(
            f"A file {path.name!r} holds one picture, but these are {len(whole)} of different sizes. "
            "Name a folder: a name without a suffix."
        )
    with tempfile.TemporaryDirectory() as tmp:
        drawn = []
        for i, picture in enumerate(whole):
            writers.write_images(picture[None], Path(tmp, str(i)), top=top)
            drawn.append(next(Path(tmp, str(i)).iterdir()))
        if path.suffix:
            with Image.open(drawn[0]) as image, replacing(path) as file:
                image.save(file, format=Image.registered_extensions()[path.suffix.lower()])
            return
        with replacing_folder(path) as folder:
            for name, png in zip(whole.names, drawn, strict=True):
                shutil.move(png, folder / f"{name}.png")
