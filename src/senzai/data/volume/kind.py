"""The kind `volume`: NIfTI, NRRD, MHA and DICOM series; patches in the model, whole volumes outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import numpy as np
from pydantic import JsonValue

from senzai.core.batch import Data
from senzai.core.errors import InputError, ShapeError
from senzai.core.files import replacing_folder

from .. import conditioning, deciding, dicom, sources, values, writers
from ..details import NumberDetails
from ..facts import ValueFacts
from ..kind import KINDS, Claim, Kind, Opened
from ..labels import encode_labels
from ..options import Options
from ..proposal import Choice, Proposal
from ..rows import Rows, StreamedRows
from ..schema import Axis, Field, Schema
from . import files, reading
from .options import VolumeDetails, VolumeOptions, details_of
from .patches import Patched, Size
from .volume import Volume, Volumes, resampled, upright

SIDE = 32
ALIKE = 0.01
"""Spacings that differ by less than this share are the same."""
TRAINING = {"batch_size": 8, "lr": 2e-3, "schedule": "one_cycle"}
RESEARCH = "What is made of medical volumes is for research, not for diagnosis or treatment."


@final
class VolumeKind(Kind):
    """Volumes with their place in space; a row is a patch, and whole volumes are blended from patches.

    Example:
        >>> kind = KINDS["volume"]
        >>> opened = kind.read([Volume(np.random.rand(6, 5, 4)) for _ in range(3)], kind.options(patch=4))
        >>> schema = kind.infer(opened, kind.options())
        >>> schema.event_shape, schema.values, len(kind.rows(opened, schema)), schema.split.by
        ((1, 4, 4, 4), 'real', 12, 'groups')
    """

    name: ClassVar[str] = "volume"
    title: ClassVar[str] = "volumes: NIfTI, NRRD, MHA, DICOM series; arrays (N, X, Y, Z)"
    suffixes: ClassVar[tuple[str, ...]] = (*files.SUFFIXES, ".npy", ".npz")
    suffix: ClassVar[str] = ".nii.gz"
    folder: ClassVar[bool] = True
    options: ClassVar[type[Options]] = VolumeOptions
    details: ClassVar[type[NumberDetails]] = VolumeDetails
    shows: ClassVar[Literal["draws", "mean"]] = "mean"
    unit: ClassVar[str] = "voxel"
    drawn: ClassVar[bool] = True

    def claims(self, source: object, options: Mapping[str, Any]) -> Claim | None:
        """Claim files of volumes and folders that hold any; DICOM, less surely than pictures do."""
        if reading.are_volumes(source):
            return Claim(0.9, "they are volumes")
        path = sources.existing(source)
        if path is None:
            return None
        if reading.holds_volumes(path) if path.is_dir() else files.suffix_of(path):
            return Claim(0.9, "it holds volumes" if path.is_dir() else "it is a volume")
        return Claim(0.65, "slices of a series make a volume") if path.is_dir() and dicom.holds(path) else None

    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        """Read volumes, turn them upright, bring them to the model's spacing, and cut them."""
        asked = _asked(options)
        given = reading.read(source, asked)
        grid = [upright(v) for v in given.volumes]
        spacing, said = _spacing(grid, asked, schema)
        grid = [v if _alike(v.spacing, spacing) else resampled(v, spacing) for v in grid]
        patch = _patch(grid, asked) if schema is None else _size(schema)
        stride = tuple(max(1, round(n * (1 - asked.overlap))) for n in patch)
        cut = Patched(
            given.volumes, tuple(grid), patch, (stride[0], stride[1], stride[2]), given.patients, given.fingerprint
        )
        notes = (*given.notes, *said, *_smaller(grid, patch))
        labels = None if given.labels is None else given.labels[cut.places[:, 0]]
        return Opened(
            data=cut, n_rows=len(cut), dtype="float32", form=given.form, origin=given.origin, groups=cut.groups,
            labels=labels, label_name=given.label_name, label_asked=options.label is not None, notes=notes,
            facts={"spacing": spacing, "overlap": asked.overlap, "by": given.by},
        )

    def infer(self, opened: Opened, options: Options) -> Schema:
        """Take values as real numbers in their units; rows of one patient stay together."""
        cut: Patched = opened.data
        by = opened.facts["by"]
        whole = all(v.values.shape == cut.patch for v in cut.grid)
        details = VolumeDetails(
            missing=options.missing, spacing=opened.facts["spacing"], overlap=opened.facts["overlap"], whole=whole,
            affine=_home(cut, opened.facts["spacing"]),
        )
        split = options.split.model_copy(update={"by": "groups", "column": options.groups or by})
        facts = _facts(cut)
        decision = values.recognise(facts, "float32", image=False, wanted=options.values or "real")
        axes = (Axis(name="channel", size=1), *(
            Axis(name=n, size=s, spacing=d) for n, s, d in zip("xyz", cut.patch, details.spacing, strict=True)
        ))
        label, about_label = deciding.label_of(opened, options)
        targets = encode_labels(opened.labels, label)
        field = Field(axes=axes, support=decision.values, n_levels=decision.n_levels, scale=decision.value_scale)
        return Schema(
            kind=self.name, fields={"x": field}, dtype="float32", form=opened.form, details=details, n_rows=len(cut),
            split=split, fingerprint=cut.fingerprint, label=label,
            condition=conditioning.of_label(options.condition, label, targets, opened.origin), reasons=(
                *opened.notes, _said(cut, by), f"Values go from {facts.low:g} to {facts.high:g}.", *about_label,
                RESEARCH,
            ),
        )

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        """Take the model's grid and patch for other volumes."""
        cut: Patched = opened.data
        missing = "keep" if "keep" in (options.missing, details_of(schema).missing) else "error"
        kept = details_of(schema).model_copy(update={"missing": missing, "overlap": opened.facts["overlap"]})
        new = [note for note in opened.notes if note not in schema.reasons]
        return schema.model_copy(update={
            "form": opened.form, "n_rows": len(cut), "fingerprint": cut.fingerprint, "details": kept,
            "reasons": (*schema.reasons, *new),
        })

    def rows(self, opened: Opened, schema: Schema) -> Rows:
        """Return patches, cut when they are asked for."""
        cut: Patched = opened.data
        targets = conditioning.need_label(encode_labels(opened.labels, schema.label), schema, opened.origin)
        return StreamedRows(
            len(cut), cut.fetch, lambda x: values.encode(x, schema), targets=targets,
            nbytes=4 * len(cut) * int(np.prod(cut.patch)), about=cut.about,
        )

    # --- out --------------------------------------------------------------------------------------------------------
    def decode(self, x: Data, schema: Schema, *, soft: bool = False, about: Mapping[str, Any] | None = None) -> Any:
        """Return patches as volumes, each in its place; new ones lie where the first patch of the data did."""
        made = values.decode(deciding.to_numpy(x), schema, soft=soft)[:, 0].astype(np.float32)
        if schema.form == "numpy":
            return made
        home = np.asarray(details_of(schema).affine)
        places = [home] * len(made) if about is None or "affine" not in about else about["affine"]
        return Volumes([Volume(v, np.asarray(a)) for v, a in zip(made, places, strict=True)])

    def joined(
        self, x: Data, schema: Schema, source: Any, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return whole volumes, blended where patches overlap, with the grids, affines and headers they came with."""
        if not isinstance(source, Patched):
            return self.decode(x, schema, soft=soft, about=about)
        whole = Volumes(source.whole(values.decode(deciding.to_numpy(x), schema, soft=soft)))
        return files.as_array(whole) if schema.form == "numpy" else whole

    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        """Write one volume as .nii, .nii.gz, .nrrd or .mha, several into a folder of .nii.gz, or an array."""
        path = Path(path)
        if path.suffix.lower() in (".npy", ".npz"):
            writers.write_array(files.as_array(decoded), path)
            return
        found = [v if isinstance(v, Volume) else Volume(v) for v in decoded]
        if files.suffix_of(path) and len(found) == 1:
            files.write(found[0], path)
            return
        if path.suffix:
            raise InputError(
                f"A file {path.name!r} holds one volume, but these are {len(found)}. Write a folder of them: a name "
                f"without a suffix; or one of {', '.join(self.suffixes)}."
            )
        with replacing_folder(path) as tmp:
            for i, volume in enumerate(found):
                files.write(volume, tmp / f"{i:06d}.nii.gz")

    def to_json(self, decoded: Any, schema: Schema) -> JsonValue:
        """Return values and affine of each volume."""
        if isinstance(decoded, np.ndarray):
            return super().to_json(decoded, schema)
        return [{"values": v.values.tolist(), "affine": v.affine.tolist()} for v in decoded]

    def from_json(self, value: JsonValue, schema: Schema) -> object:
        """Return volumes of what :meth:`to_json` gave, or an array of nested lists."""
        given: list[Any] = value if isinstance(value, list) else [value]
        try:
            if given and isinstance(given[0], dict):
                made = [Volume(np.array(v["values"], np.float32), np.array(v.get("affine", np.eye(4)))) for v in given]
                return Volumes(made)
            return np.array(given, dtype=np.float32)
        except (TypeError, ValueError, KeyError, AttributeError) as err:
            raise InputError(f'Volumes come as {{"values": ..., "affine": ...}}, but these do not: {err}.') from err

    def keeps_rows(self, schema: Schema, *, in_memory: bool) -> bool:
        """Not: patches of patients stay where they are."""
        return False

    def originals(self, source: Any, index: Any) -> Any:
        """Return nothing: rows are patches, which :meth:`decode` has."""
        return None

    def propose(self, schema: Schema) -> Proposal:
        """Suggest convolutions in three dimensions, or a plain network for tiny patches."""
        small = min(schema.event_shape[1:]) < 8
        plain = deciding.propose(schema)
        network = Choice("mlp" if small else "volume")
        why = f"Patches of {schema.shape_words.partition(' x ')[2]} are {'too small' if small else 'large enough'}."
        return replace(plain, encoder=network, training=TRAINING, reason=f"{plain.reason} {why}")


def _asked(options: Options) -> VolumeOptions:
    return options if isinstance(options, VolumeOptions) else VolumeOptions(**options.model_dump())


def _alike(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return bool(np.allclose(a, b, rtol=ALIKE, atol=0))


def _spacing(
    grid: list[Volume], asked: VolumeOptions, schema: Schema | None
) -> tuple[tuple[float, float, float], list[str]]:
    """Return the spacing of the model's grid: as asked, as the model's, or that of all volumes."""
    wanted = asked.spacing if schema is None else details_of(schema).spacing
    every = [v.spacing for v in grid]
    if wanted is None:
        other = next((s for s in every if not _alike(s, every[0])), None)
        if other is not None:
            raise InputError(
                f"Volumes of one model have one spacing, but these have {_mm(every[0])} and {_mm(other)}. Have them "
                f"resampled (linear between neighbours) with --set spacing={_mm(_median(every))}."
            )
        return every[0], []
    moved = sum(not _alike(s, wanted) for s in every)
    said = f"{moved} of {len(every)} volumes are resampled to {_mm(wanted)} mm, linear between neighbours; what is "
    return wanted, [f"{said}made of them comes back on their own grids."] if moved else []


def _mm(spacing: tuple[float, ...]) -> str:
    return "x".join(f"{s:.4g}" for s in spacing)


def _median(every: list[tuple[float, float, float]]) -> tuple[float, ...]:
    return tuple(np.median(np.asarray(every), axis=0).tolist())


def _patch(grid: list[Volume], asked: VolumeOptions) -> Size:
    least = np.min([v.values.shape for v in grid], axis=0).tolist()
    if asked.patch is None:
        a, b, c = (min(SIDE, n) for n in least)
        return a, b, c
    if any(p > n for p, n in zip(asked.patch, least, strict=True)):
        raise InputError(
            f"A patch lies within every volume, but patch={_mm(asked.patch)} is larger than one of "
            f"{' x '.join(map(str, least))}. Give a smaller one."
        )
    return asked.patch


def _size(schema: Schema) -> Size:
    if len(schema.event_shape) != 4:
        raise ShapeError(f"Patches have the shape (1, X, Y, Z), but the model's have {schema.event_shape}.")
    return schema.event_shape[1], schema.event_shape[2], schema.event_shape[3]


def _smaller(grid: list[Volume], patch: Size) -> list[str]:
    small = sum(any(n < p for n, p in zip(v.values.shape, patch, strict=True)) for v in grid)
    return [f"{small} volumes are smaller than a patch; their edges go on beyond them."] if small else []


def _home(cut: Patched, spacing: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    first = cut.grid[0].affine
    shared = all(np.array_equal(v.affine, first) for v in cut.grid)
    found = first if shared else np.diag([*spacing, 1.0])
    return tuple(tuple(row) for row in found.tolist())


def _facts(cut: Patched) -> ValueFacts:
    low, high, whole = np.inf, -np.inf, True
    for volume in cut.grid:
        seen = volume.values[np.isfinite(volume.values)]
        if seen.size:
            low, high = min(low, float(seen.min())), max(high, float(seen.max()))
            whole = whole and bool((seen == np.rint(seen)).all())
    if low > high:
        raise InputError("Volumes have finite values, but these have none. Check how they were saved.")
    zero_one = whole and low >= 0 and high <= 1
    return ValueFacts(low=low, high=high, whole=whole, zero_one=zero_one)


def _said(cut: Patched, by: str) -> str:
    n = len(np.unique(cut.patients))
    size = " x ".join(map(str, cut.patch))
    return (
        f"{len(cut.given)} volumes of {n} {by}s are read as {len(cut)} patches of {size} voxels; all patches of one "
        f"{by} are in one part."
    )


KINDS.add("volume")(VolumeKind())
