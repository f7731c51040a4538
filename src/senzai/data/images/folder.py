"""A folder of images: which files, of which form, with which labels, and their pixels in memory or when asked."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from senzai.core.errors import InputError
from senzai.core.memory import free_memory
from senzai.core.terminal import safe

from .. import fingerprint as prints
from .. import trees
from ..kind import Opened
from ..options import ImageOptions
from ..readers import IN_MEMORY_BYTES
from ..rows import Array
from ..schema import Schema
from . import pictures
from .details import details_of
from .pictures import CHANNELS, Mode, PictureHeader, PicturePlan

LARGEST_PROPOSED = 64
LARGE = 256


@dataclass(frozen=True, slots=True)
class Pictures:
    """Image files that are decoded on demand.

    Args:
        paths: The files, in order.
        plan: The form they get.
        fingerprint: Of the files.
        bits: All are black and white.
        high: Greatest value of all, where it was looked for.
    """

    paths: tuple[Path, ...]
    plan: PicturePlan
    fingerprint: str
    bits: bool = False
    high: int = 255

    def fetch(self, index: Array) -> Array:
        """Decode some files to ``(n, C, H, W)``."""
        shape = (CHANNELS[self.plan.mode], self.plan.height, self.plan.width)
        out = np.empty((len(index), *shape), dtype=self.plan.dtype)
        for row, i in enumerate(index.tolist()):
            out[row] = pictures.load(self.paths[i], self.plan)
        return out


def read_folder(
    root: Path, options: ImageOptions, schema: Schema | None, *, classes: Mapping[str, str] | None = None
) -> Opened:
    """Read a folder of images, or one image file.

    Args:
        root: The folder or file.
        options: How to read it.
        schema: That of a model, whose form the pictures get.
        classes: The class of each file by its name, where folders do not say it.

    Raises:
        InputError: There are no images, or one of them cannot be read.
        ShapeError: An image has another size than the model's.
    """
    paths, notes = need_pictures(root)
    return _read(paths, root, options, schema, notes, classes)


def read_files(paths: Sequence[Path], options: ImageOptions, schema: Schema | None) -> Opened:
    """Read image files in the order of a list, one a row.

    Raises:
        InputError: One of them cannot be read.
        ShapeError: An image has another size than the model's.
    """
    if options.skip_bad:
        raise InputError("A list of pictures has one for each row, so that none is skipped. Leave skip_bad out.")
    return _read([Path(os.path.abspath(p)) for p in paths], None, options, schema, [])


def _read(
    paths: Sequence[Path], root: Path | None, options: ImageOptions, schema: Schema | None, notes: list[str],
    classes: Mapping[str, str] | None = None,
) -> Opened:
    paths, probes = probed(paths, options, notes)
    plan = _plan(probes, options, notes) if schema is None else planned(schema, options, probes, notes)
    nbytes = len(paths) * CHANNELS[plan.mode] * plan.height * plan.width * np.dtype(plan.dtype).itemsize
    small = nbytes <= min(IN_MEMORY_BYTES, free_memory() / 4) if options.in_memory is None else options.in_memory
    high = 255
    if small or options.skip_bad or plan.deep:
        paths, kept, high = _load_all(paths, plan, options.skip_bad, notes, keep=small)
    bits = all(p.bits for p in probes) and not plan.resize
    if root is None:
        base, origin = Path(os.path.commonpath(paths)), f"the list of {len(paths)} pictures"
        base = base if base.is_dir() else base.parent
    else:
        base, origin = root if root.is_dir() else root.parent, repr(str(root))
    lazy = Pictures(tuple(paths), plan, prints.of_files(paths, base), bits, high)
    labels: Array | None
    if classes is not None:
        labels = np.array([classes[p.name] for p in paths])
    else:
        labels = None if root is None else trees.labels_of(paths, root, notes)
    return Opened(
        data=np.stack(kept) if small else lazy, n_rows=len(paths), dtype=plan.dtype, form="folder",
        origin=origin, labels=labels, label_name="folder" if classes is None else "label", notes=tuple(notes),
        facts={"layout": "NCHW", "mode": plan.mode, "transparency": plan.alpha, "resize": plan.resize},
    )


def need_pictures(root: Path) -> tuple[list[Path], list[str]]:
    """Return the image files under a folder, and what was left out.

    Raises:
        InputError: There are none.
    """
    paths, said = pictures.find(root)
    if not paths:
        raise _no_images(root)
    return paths, list(said)


def _no_images(root: Path) -> InputError:
    there = Counter(p.suffix.lower() or "no suffix" for p in root.rglob("*") if p.is_file())
    has = ", ".join(f"{n} with {s}" for s, n in there.most_common(3)) or "no files"
    return InputError(
        f"A folder of images holds {', '.join(pictures.SUFFIXES)} files, but {str(root)!r} has {has}. "
        "Name the file itself, or convert the images to png."
    )


def probed(
    paths: Sequence[Path], options: ImageOptions, notes: list[str]
) -> tuple[list[Path], list[PictureHeader]]:
    """Return the files whose headers can be read, and what these say."""
    good, probes, bad = [], [], []
    for path in paths:
        try:
            probes.append(pictures.probe(path))
            good.append(path)
        except InputError:
            if not options.skip_bad:
                raise
            bad.append(path)
    _note_bad(bad, notes)
    _some_left(good, len(paths))
    return good, probes


def _load_all(
    paths: Sequence[Path], plan: PicturePlan, skip_bad: bool, notes: list[str], *, keep: bool
) -> tuple[list[Path], list[Array], int]:
    """Return the files that can be decoded, their pixels if they are to be kept, and the greatest value."""
    good, kept, bad, high = [], [], [], 0
    for path in paths:
        try:
            picture = pictures.load(path, plan)
        except InputError:
            if not skip_bad:
                raise
            bad.append(path)
            continue
        good.append(path)
        kept += [picture] if keep else []
        high = max(high, int(picture.max()))
    _note_bad(bad, notes)
    _some_left(good, len(paths))
    return good, kept, high


def _note_bad(bad: Sequence[Path], notes: list[str]) -> None:
    if bad:
        some = safe(", ".join(p.name for p in bad[:3])) + (" ..." if len(bad) > 3 else "")
        notes.append(f"{len(bad)} {'file' if len(bad) == 1 else 'files'} could not be read and were skipped: {some}.")


def _some_left(good: Sequence[Path], n: int) -> None:
    if not good:
        raise InputError(f"At least one image must be readable, but none of {n} files is. Check how they were copied.")


def _plan(probes: Sequence[PictureHeader], options: ImageOptions, notes: list[str]) -> PicturePlan:
    """Decide size and mode from all headers."""
    height, width, resize = _size(probes, options, notes)
    return plan_of(probes, options, notes, (height, width), resize=resize)


def plan_of(
    probes: Sequence[PictureHeader], options: ImageOptions, notes: list[str], size: tuple[int, int], *, resize: bool
) -> PicturePlan:
    """Decide the mode of pictures of a size from all headers."""
    deep = options.mode is None and all(p.deep and not p.alpha for p in probes)
    plan = PicturePlan(*size, _mode(probes, options, notes), options.transparency, resize, deep)
    return _converting(probes, plan, notes)


def _size(probes: Sequence[PictureHeader], options: ImageOptions, notes: list[str]) -> tuple[int, int, bool]:
    sizes = {(p.height, p.width) for p in probes}
    if options.size is not None:
        height, width = options.size
        if sizes == {(height, width)}:
            return height, width, True
        notes.append(f"Images are cropped in the middle and resized to {height} x {width}, as the option size asks.")
        return height, width, True
    if len(sizes) == 1:
        ((height, width),) = sizes
        if max(height, width) > LARGE:
            notes.append(f"Images of {height} x {width} train slowly; the option size=64 makes them smaller.")
        return height, width, False
    side = min(LARGEST_PROPOSED, int(np.median([min(p.height, p.width) for p in probes])))
    notes.append(
        f"Images have {len(sizes)} different sizes, so they are cropped in the middle and resized to {side} x {side} "
        "(the median, at most 64); the option size=... chooses another."
    )
    return side, side, True


def _converting(probes: Sequence[PictureHeader], plan: PicturePlan, notes: list[str]) -> PicturePlan:
    """Say what pictures of these headers lose, or keep, in the form of a plan; return the plan."""
    deep, cut = sum(p.deep for p in probes), sum(p.cut for p in probes)
    if deep:
        becomes = "are kept; the option mode='L' scales them to 8 bits" if plan.deep else "are scaled to 8 bits"
        notes.append(f"{deep} images have 16 bits, which {becomes}.")
    if cut:
        notes.append(f"{cut} images have 16 bits a colour, of which the upper 8 are read.")
    if plan.mode != "RGBA" and (alpha := sum(p.alpha for p in probes)):
        way = "dropped" if plan.alpha == "drop" else "laid on white"
        notes.append(f"{alpha} images are transparent; the transparency is {way} (option transparency=...).")
    if plan.mode == "L" and (coloured := sum(p.colour for p in probes)):
        notes.append(f"{coloured} of {len(probes)} images have colours, which become greys.")
    return plan


def _mode(probes: Sequence[PictureHeader], options: ImageOptions, notes: list[str]) -> Mode:
    coloured = sum(p.colour for p in probes)
    if options.mode is not None:
        notes.append(f"The option mode={options.mode!r} was given.")
        return options.mode
    if options.transparency == "keep" and any(p.alpha for p in probes):
        return "RGBA"
    if 0 < coloured < len(probes):
        notes.append(f"{coloured} of {len(probes)} images have colours, so all are taken as RGB.")
    return "RGB" if coloured else "L"


def planned(
    schema: Schema, options: ImageOptions, probes: Sequence[PictureHeader], notes: list[str]
) -> PicturePlan:
    """Return the form that a model's images have; other sizes are resized where they were when it was fitted."""
    channels, height, width = schema.event_shape
    usual = next((m for m, c in CHANNELS.items() if c == channels), None)
    if usual is None:
        raise InputError(f"Image files have 1, 3 or 4 channels, but the model has {channels}. Give an array.")
    alpha = details_of(schema).transparency or options.transparency
    resize = details_of(schema).resize or options.size is not None
    deep = schema.dtype == "uint16" and usual == "L"
    plan = PicturePlan(height, width, cast(Mode, details_of(schema).mode or usual), alpha, resize, deep)
    return _converting(probes, plan, notes)
