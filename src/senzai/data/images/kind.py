"""The kind `images`: pictures from files or arrays, channels first in the model."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import numpy as np
from pydantic import JsonValue

from senzai.core.batch import Data
from senzai.core.errors import InputError, SettingError

from .. import arrays_as_data, conditioning, deciding, dicom, quantities, sources, values, writers
from ..details import NumberDetails
from ..facts import ValueFacts, bytes_facts
from ..kind import KINDS, Claim, Kind, Opened
from ..labels import encode_labels
from ..options import ImageOptions, Options, parse
from ..plain import plain_rows
from ..private_kinds import is_public
from ..proposal import Choice, Proposal
from ..rows import Array, MemoryRows, Rows, StreamedRows
from ..schema import Schema
from ..split import split_indices
from ..values import user_dtype
from . import coding, holes, layout, pictures, sheets, unfolding
from .details import ImageDetails, details_of
from .folder import Pictures, read_files, read_folder
from .privately import PrivatePictures, private_fingerprint
from .scans import FORM as DICOM
from .scans import Frames, Scans, read_scans, write_scans
from .tiles import Tiled, Whole, read_tiles, write_whole

CONVOLUTIONS = {"batch_size": 32, "lr": 2e-3, "schedule": "one_cycle"}
"""Training of convolutions: a row costs far more than a step, so that more steps of few rows get further in the same
time; and the rate rises, for at full rate from the start Adam moves codes to where gradients are small."""


@final
class ImageKind(PrivatePictures, Kind):
    """Folders, lists and archives of png, jpeg, webp, bmp and tiff, stacks, films, Parquet with pictures; arrays; idx.

    Arrays are ``(N, H, W)``, ``(N, H, W, C)`` or ``(N, C, H, W)``.

    Example:
        >>> kind = KINDS["images"]
        >>> opened = kind.read(np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8), kind.options())
        >>> schema = kind.infer(opened, kind.options())
        >>> schema.event_shape, schema.n_levels, kind.propose(schema).encoder.name
        ((1, 8, 8), 256, 'mlp')
    """

    name: ClassVar[str] = "images"
    title: ClassVar[str] = "pictures: folders, zip and tar of png, jpeg, webp, bmp, tiff; image arrays; idx files"
    suffixes: ClassVar[tuple[str, ...]] = (*pictures.SUFFIXES, ".npy", ".npz")
    options: ClassVar[type[Options]] = ImageOptions
    details: ClassVar[type[NumberDetails]] = ImageDetails
    shows: ClassVar[Literal["draws", "mean"]] = "mean"
    suffix: ClassVar[str] = ".png"
    folder: ClassVar[bool] = True
    unit: ClassVar[str] = "pixel"
    drawn: ClassVar[bool] = True
    cells: ClassVar[Literal["", "files", "values"]] = "files"
    cells_called: ClassVar[str] = "pictures"

    def claims(self, source: object, options: Mapping[str, Any]) -> Claim | None:
        """Claim image files, lists of them, folders that hold any, and arrays that look like images."""
        if pictures.files_of(source) is not None:
            return Claim(1.0, "it lists picture files")
        header = sources.header(source, options)
        if header is not None:
            like = layout.is_image_like(header.shape, header.dtype, header.sequences)
            return Claim(0.9, f"the shape {header.shape} is that of pictures") if like else None
        path = sources.existing(source)
        if path is not None and (dicom.holds(path) if path.is_dir() else dicom.is_dicom(path)):
            return Claim(0.9, "it holds DICOM" if path.is_dir() else "it is DICOM")
        several = None if path is None else unfolding.what(path)
        if several is not None:
            return Claim(0.95, f"it is {several}")
        if path is None or not (pictures.holds_images(path) if path.is_dir() else pictures.is_image_file(path)):
            return None
        return Claim(0.9, "it holds pictures" if path.is_dir() else "it is a picture")

    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        """Read files or an array; an array is kept as it came, its layout noted."""
        set_ = _image_options(options)
        if (listed := pictures.files_of(source)) is not None:
            return read_files(listed, set_, schema)
        path = sources.existing(source)
        if path is not None and sources.header(path, {"key": options.key}) is None:
            scans = dicom.find(path)
            if scans and (not path.is_dir() or not pictures.holds_images(path)):
                return read_scans(path, scans, set_, schema)
            if scans:
                raise InputError(
                    f"A folder holds pictures or DICOM, but {str(path)!r} has both. Divide them into folders."
                )
            if unfolding.what(path) is not None:
                return _unfolded(path, set_, schema)
            if not path.is_dir() and not pictures.is_image_file(path):
                raise InputError(
                    f"Images are {', '.join(self.suffixes)} files or a folder, but got {path.name!r}. Convert it."
                )
            patch = set_.patch or (details_of(schema).patch if schema else None)
            return read_folder(path, set_, schema) if patch is None else read_tiles(path, set_, schema, patch)
        opened = sources.read_arrays(source, options, schema)
        if set_.size is not None:
            raise SettingError("The option size is for image files, but an array came. Resize the array before.")
        return _arranged(opened, set_, schema)

    def infer(self, opened: Opened, options: Options) -> Schema:
        """Decide from all pixels in memory, or from the headers of files that are read when asked."""
        facts = _facts(opened, options)
        event = _event(opened)
        storing = {"storing": opened.data.storing[0]} if isinstance(opened.data, Scans) else {}
        schema = deciding.decide(
            self, opened, options, event_shape=event, facts=facts, levels=True,
            conv_from=_image_options(options).conv_from, **storing,
        )
        schema = _with_concepts(schema, opened, _image_options(options))
        if isinstance(opened.data, Tiled):
            return _of_tiles(schema, opened.data)
        several = opened.groups is not None and len(np.unique(opened.groups)) > 1
        if isinstance(opened.data, Scans) and schema.split.by == "rows" and several:
            together = schema.split.model_copy(update={"by": "groups", "column": "patient"})
            return schema.but(split=together, reasons=(*schema.reasons, "All pictures of a patient are in one part."))
        if opened.order is not None and schema.split.by == "rows":
            later = schema.split.model_copy(update={"by": "time", "column": "frame"})
            why = "Neighbouring frames are alike, so parts follow each other in time."
            return schema.but(split=later, reasons=(*schema.reasons, why))
        if schema.values == "real" and facts.low >= -1 and facts.low < 0 and facts.high <= 1:
            hint = "Pixels from -1 to 1 look rescaled; 8-bit pixels, or pixels from 0 to 1, have a better likelihood."
            return schema.but(reasons=(*schema.reasons, hint))
        return schema

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        """Refuse pictures of another size or number of channels."""
        hint = "Shapes are (channels, height, width); convert the images."
        deciding.need_shape(_event(opened), opened, schema, hint=hint)
        adapted = deciding.adapt(opened, schema, options)
        if is_public(schema.fingerprint):
            adapted = adapted.but(fingerprint=private_fingerprint(adapted))
        bytes_to_one = opened.form == "folder" and opened.dtype == "uint8" and schema.values in ("binary", "unit")
        return adapted.but(value_scale=1 / 255) if bytes_to_one else adapted

    def rows(self, opened: Opened, schema: Schema) -> Rows:
        """Return rows ``(C, H, W)``."""
        if not isinstance(opened.data, Pictures | Tiled):
            order = details_of(schema).layout
            if not isinstance(opened.data, Scans):
                return deciding.rows_of(opened, schema, lambda x: layout.to_model(x, order))
            x, mask = values.encode(opened.data.values, schema)
            seen = None if mask is None else layout.to_model(mask, order)
            about = opened.data.about(np.arange(opened.n_rows))
            return MemoryRows(layout.to_model(x, order), mask=seen, about=about)
        targets = conditioning.need_label(encode_labels(opened.labels, schema.label), schema, opened.origin)
        nbytes = opened.n_rows * int(np.prod(schema.event_shape)) * values.model_dtype(schema).itemsize
        return StreamedRows(
            opened.n_rows, opened.data.fetch, lambda x: values.encode(x, schema), targets=targets, nbytes=nbytes
        )

    def decode(
        self, x: Data, schema: Schema, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return image arrays in the user's layout and dtype; bytes ``(N, H, W[, C])`` where files came."""
        back = values.decode(deciding.to_numpy(x), schema, soft=soft)
        back = layout.from_model(back, _outer_layout(schema))
        if schema.form == DICOM:
            return Frames.of(back, about)
        return deciding.to_torch(back, schema.dtype, soft=soft) if schema.form == "torch" else back

    def joined(
        self, x: Data, schema: Schema, source: Any, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return whole pictures where tiles came, blended where these overlap."""
        made = self.decode(x, schema, soft=soft, about=about)
        return Whole(source.whole(np.asarray(made)), source.paths) if isinstance(source, Tiled) else made

    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        """Write a folder of png (no suffix), one contact sheet (png, jpg, webp), npy or npz."""
        path = Path(path)
        if isinstance(decoded, Whole):
            write_whole(decoded, path, top=_white(schema))
            return
        if schema.form == DICOM and path.suffix.lower() in ("", *dicom.SUFFIXES):
            write_scans(decoded, getattr(decoded, "about", None), path, schema)
            return
        if path.suffix.lower() in sheets.SHEETS:
            with tempfile.TemporaryDirectory() as tmp:
                self.write(decoded, Path(tmp, "pictures"), schema)
                sheets.write_sheet(Path(tmp, "pictures"), path, (schema.n_levels or 256) - 1)
            return
        if path.suffix:
            writers.write_array(decoded, path)
            return
        if schema.values in ("real", "count"):
            raise InputError(
                f"Pictures have a white, but values that are {schema.values} have none. Write them as .npz."
            )
        array = writers.plain_array(decoded)
        if _outer_layout(schema) == "NCHW":
            array = array.transpose(0, 2, 3, 1)
        writers.write_images(array, path, top=_white(schema))

    def to_json(self, decoded: Any, schema: Schema) -> JsonValue:
        """Return PNG files as base64, or nested lists of values that have no white."""
        if schema.values in ("real", "count"):
            return super().to_json(decoded, schema)
        with tempfile.TemporaryDirectory() as tmp:
            self.write(decoded, Path(tmp, "pictures"), schema)
            return list(sheets.texts_of(Path(tmp, "pictures")))

    def from_json(self, value: JsonValue, schema: Schema) -> object:
        """Return the pixels of image files that came as base64, or an array of nested lists."""
        first = value[0] if isinstance(value, list) and value else value
        if not isinstance(first, str):
            return _in_dtype(plain_rows(value, schema), user_dtype(schema.dtype))
        with tempfile.TemporaryDirectory() as tmp:
            sheets.write_texts(value, Path(tmp))
            found = self.read(Path(tmp), parse(self.name, ImageOptions, {"in_memory": True}), schema).data
        return found if schema.form == "folder" else _as_given(found, schema)

    def need_small(self, source: object, schema: Schema, *, rows: int, pixels: int) -> None:
        """Refuse pictures whose headers announce more pixels."""
        sheets.need_few_pixels(source, pixels)

    def processing(self, schema: Schema) -> dict[str, JsonValue]:
        """Return how pixels are arranged, scaled and stored."""
        order: dict[str, list[JsonValue]] = {"NHWC": [2, 0, 1]}
        outer = _outer_layout(schema)
        return arrays_as_data.described(
            schema, order=order.get(outer), one_channel=outer == "NHW", picture=schema.values not in ("real", "count"),
        )

    def holes(self, where: object, schema: Schema, n: int) -> Array:
        """Return where pixels are to be filled in: a box, all but a grid, or the white of pictures or arrays."""
        return holes.of(where, schema, n)

    def coder(self, schema: Schema) -> Callable[[Array], Array] | None:
        """Return how long pictures are as PNG."""
        return coding.coder(schema)

    def propose(self, schema: Schema) -> Proposal:
        """Suggest a convolutional network, or an MLP for tiny images."""
        sides, least = schema.event_shape[1:], details_of(schema).conv_from
        conv = min(sides) >= least
        plain = deciding.propose(schema)
        why = f"Images of {sides[0]} x {sides[1]} are {'large enough' if conv else 'too small'} for convolutions."
        encoder, training = Choice("conv" if conv else "mlp"), CONVOLUTIONS if conv else {}
        return replace(plain, encoder=encoder, training=training, reason=f"{plain.reason} {why}")


def _of_tiles(schema: Schema, cut: Tiled) -> Schema:
    """Say that rows are tiles; those of a picture stay together, and are wholes again when they come back."""
    if schema.split.by != "rows" or len(cut.paths) == 1:
        return schema
    split = schema.split.model_copy(update={"by": "groups", "column": "picture"})
    return schema.but(split=split, reasons=(*schema.reasons, "Tiles of a picture are in one part."))


def _unfolded(path: Path, options: ImageOptions, schema: Schema | None) -> Opened:
    """Read a file with several pictures; frames of a film are in the order of time."""
    found = unfolding.unfold(path, every=options.every)
    opened = read_folder(found.folder, options, schema, classes=found.classes)
    order = np.arange(opened.n_rows) if found.film else None
    return replace(opened, origin=repr(str(path)), notes=(*found.notes, *opened.notes), order=order)


def _image_options(options: Options) -> ImageOptions:
    return options if isinstance(options, ImageOptions) else ImageOptions(**options.model_dump())


def _in_dtype(pixels: Array, dtype: np.dtype[Any]) -> Array:
    """Return pixels in the dtype of the data; whole numbers that it cannot hold stay what they are, to be refused."""
    if dtype.kind == "f":
        return pixels.astype(dtype)
    with np.errstate(invalid="ignore"):
        same = pixels.astype(dtype)
    return same if np.array_equal(same, pixels) else pixels


def _as_given(pixels: Array, schema: Schema) -> Array:
    """Return pixels of files ``(N, C, H, W)`` as the user had the data in memory: their layout, units and dtype."""
    top, dtype = _white(schema), user_dtype(schema.dtype)
    scaled = pixels if top > 255 else pixels * (top / 255)
    back = layout.from_model(np.rint(scaled) if dtype.kind in "iub" else scaled, details_of(schema).layout)
    return back.astype(dtype)


def _arranged(opened: Opened, options: ImageOptions, schema: Schema | None) -> Opened:
    """Decide the layout of an array; of a model's layouts the one that gives its event shape."""
    shape = tuple(opened.data.shape)
    if options.layout is not None:
        order, note = str(options.layout), f"The option layout={options.layout!r} was given."
        layout.event_of(shape, order)
    elif schema is not None and (fits := _fitting(shape, schema)):
        order, note = fits, ""
    else:
        order, note = layout.find_layout(shape, channels_first=opened.form == "torch", origin=opened.origin)
    form = "numpy" if opened.form == "pandas" else opened.form
    notes = (*opened.notes, *([note] if note else []))
    return replace(opened, form=form, columns=None, facts={**opened.facts, "layout": order}, notes=notes)


def _fitting(shape: tuple[int, ...], schema: Schema) -> str | None:
    order = [details_of(schema).layout, *layout.LAYOUTS]
    fits = (o for o in order if layout.LAYOUTS[o] == len(shape) and layout.event_of(shape, o) == schema.event_shape)
    return next(fits, None)


def _with_concepts(schema: Schema, opened: Opened, options: ImageOptions) -> Schema:
    """Return the schema with mean and deviation of the numbers that latents are to stand for, in the training rows."""
    values = opened.numbers
    if options.concepts and not values:
        raise SettingError(
            f"Concepts are arrays beside the pictures in an .npz file, but {opened.origin} has none. Save the pictures "
            f"and {', '.join(options.concepts)} with numpy.savez."
        )
    if not values:
        return schema
    train = split_indices(opened.n_rows, schema.split, opened.groups, opened.order)["train"]
    return schema.but(quantities=quantities.decided(values, train))


def _facts(opened: Opened, options: Options) -> ValueFacts:
    if isinstance(opened.data, Tiled):
        return replace(bytes_facts(), high=65535 if opened.data.plan.deep else 255)
    if isinstance(opened.data, Pictures):
        return replace(bytes_facts(), high=opened.data.high, zero_full=opened.data.bits)
    plain = replace(opened, data=opened.data.values) if isinstance(opened.data, Scans) else opened
    return deciding.look(plain, options)


def _event(opened: Opened) -> tuple[int, int, int]:
    if isinstance(opened.data, Pictures | Tiled):
        plan = opened.data.plan
        return pictures.CHANNELS[plan.mode], plan.height, plan.width
    shape = opened.data.values.shape if isinstance(opened.data, Scans) else opened.data.shape
    return layout.event_of(tuple(shape), str(opened.facts.get("layout", "NCHW")))


def _outer_layout(schema: Schema) -> str:
    """Return the layout that the user sees."""
    if schema.form != "folder":
        return details_of(schema).layout
    return "NHW" if schema.event_shape[0] == 1 else "NHWC"


def _white(schema: Schema) -> float:
    top = 1.0 if schema.values in ("binary", "unit") else float((schema.n_levels or 256) - 1)
    return top / schema.value_scale


KINDS.add("images")(ImageKind())
