"""The kind `multimodal`: each modality is read, shown and written by a kind of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from pydantic import JsonValue

from senzai.core.batch import Data
from senzai.core.errors import InputError

from .. import conditioning, deciding, fingerprint, sources
from ..kind import KINDS, Claim, Kind, Opened
from ..labels import encode_labels
from ..options import Options, parse
from ..proposal import Modality, Proposal, several
from ..rows import Array, Rows
from ..schema import Schema
from ..split import marked, split_indices
from . import filling, out
from .details import ModalityDetails, MultimodalDetails, details_of
from .options import MultimodalOptions
from .peeking import names_files
from .pieces import ModalPiece, Pieces, of_table, of_views, taken_out, told
from .rows import Together

FEW = 4
"""Modalities up to which all their combinations are cheap to go through: 15 of them."""


@final
class MultimodalKind(Kind):
    """Tables whose columns are pictures, sentences, sounds, numbers and categories; dictionaries of views.

    Example:
        >>> kind = KINDS["multimodal"]
        >>> views = {"a": np.array([[0, 1], [1, 0], [1, 1]]), "b": np.array([[0.5, 2.0], [np.nan, np.nan], [1.0, 3.5]])}
        >>> opened = kind.read(views, kind.options())
        >>> schema = kind.infer(opened, kind.options())
        >>> {name: field.support for name, field in schema.fields.items()}
        {'a': 'binary', 'b': 'real'}
        >>> kind.rows(opened, schema).take(np.arange(3)).present["b"].tolist()
        [True, False, True]
    """

    name: ClassVar[str] = "multimodal"
    title: ClassVar[str] = "pictures, sentences, sounds and columns side by side: tables with paths, dictionaries"
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".npz")
    suffix: ClassVar[str] = ".csv"
    options: ClassVar[type[Options]] = MultimodalOptions
    details: ClassVar[type[MultimodalDetails]] = MultimodalDetails
    unit: ClassVar[str] = "entry"

    def claims(self, source: object, options: Mapping[str, Any]) -> Claim | None:
        """Claim dictionaries, and tables of which columns are named or hold paths of files that are there."""
        if isinstance(source, Mapping):
            several = type(source) is dict and len(source) > 1  # classes of its own are for others to claim
            fits = several and all(isinstance(k, str) and hasattr(v, "__len__") for k, v in source.items())
            return Claim(0.9, "it is a dictionary of views") if fits else None
        if not (sources.is_frame(source) or isinstance(source, str | Path)):
            return None
        if told(options):
            return Claim(1.0, "columns are named as modalities")
        found = names_files(source)
        return Claim(0.95, f"its column {found!r} names files that are there") if found else None

    # --- in ---------------------------------------------------------------------------------------------------------
    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        """Read each modality by its kind, the rows that have it."""
        set_, known = options_of(options), None if schema is None else details_of(schema)
        source, y = source if isinstance(source, tuple) and len(source) == 2 else (source, None)
        path = sources.existing(source) if isinstance(source, str | Path) else None
        if path is not None and path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as file:
                source = {name: file[name] for name in file.files}
        found = (
            of_views(source, set_, self.name, known) if isinstance(source, Mapping)
            else of_table(source, set_, self.name, known)
        )
        found = found if path is None else replace(found, origin=repr(str(path)))
        _refuse_nothing(found)
        aside, label = found.aside or {}, None if set_.label is None else str(set_.label)
        wanted = label if schema is None or schema.label is None else schema.label.name
        labels = np.asarray(y, dtype=object) if y is not None else aside.get(str(wanted))
        if labels is None and wanted is not None and schema is None:
            raise InputError(f"The label is one of the columns or entries of {found.origin}, but {wanted!r} is none.")
        split = set_.split if schema is None else schema.split
        return Opened(
            data=found, n_rows=found.n_rows, dtype="mixed", form=found.form, origin=found.origin, labels=labels,
            label_name=str(wanted or "label"), label_asked=labels is not None, index=found.index,
            facts={"key": set_.key_column}, **marked(aside, split, found.origin, found.n_rows),
        )

    def infer(self, opened: Opened, options: Options) -> Schema:
        """Let the kind of each modality decide; what follows from content, from training rows alone."""
        set_, found = options_of(options), opened.data
        train = split_indices(opened.n_rows, options.split, opened.groups, opened.order)["train"]
        decided, reasons, beside = [], [], []
        for piece in found.pieces:
            try:
                schema = self._decided(piece, set_, train)
            except InputError as err:
                if piece.columns == (piece.name,) or not piece.columns:
                    raise InputError(f"{piece.name}: {err}") from err
                beside += piece.columns
                reasons.append(f"Nothing is learned from {', '.join(piece.columns)}: {err}")
                continue
            lacking = int((~piece.there).sum())
            decided.append(
                ModalityDetails(name=piece.name, columns=piece.columns, schema_=schema, lacking=lacking)
            )
            reasons += _told(piece, schema, lacking)
        if not decided:
            raise InputError(f"Rows have a modality to learn from, but {opened.origin} has none. {' '.join(reasons)}")
        details = MultimodalDetails(
            modalities=tuple(decided), columns=tuple(c for c in found.columns if c not in taken_out(set_)),
            beside=tuple(beside), table=found.table, key=opened.facts["key"],
        )
        label, about_label = deciding.label_of(opened, options)
        targets = encode_labels(opened.labels, label)
        return Schema(
            kind=self.name, fields={m.name: m.schema_.field for m in decided}, dtype="mixed", form=opened.form,
            label=label, condition=conditioning.of_label(options.condition, label, targets, opened.origin),
            details=details, n_rows=opened.n_rows, split=options.split, fingerprint=_fingerprint(found, decided),
            reasons=(*reasons, *about_label),
        )

    def _decided(self, piece: ModalPiece, options: MultimodalOptions, train: Array) -> Schema:
        """Return the schema of one modality."""
        kind = KINDS[piece.kind]
        own = own_options(kind, options, piece)
        if not kind.learns:
            opened = kind.read(piece.source, own)
            return kind.infer(opened, own)
        of_train = np.isin(np.flatnonzero(piece.there), train)
        source = [cell for cell, seen in zip(piece.source, of_train, strict=True) if seen]
        if not source:
            raise InputError("No training row has it. Give more rows, or leave it out.")
        schema = kind.infer(kind.read(source, own), own)
        return kind.check(kind.read(piece.source, own, schema), schema, own)

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        """Let the kind of each modality check; a modality that is not there at all is missing in every row."""
        set_, details, pieces = options_of(options), details_of(schema), _by_name(opened.data)
        checked = []
        for m in details.modalities:
            piece = pieces.get(m.name)
            if piece is None or not piece.there.any():
                checked.append(m)
                continue
            kind, own = KINDS[m.schema_.kind], own_options(KINDS[m.schema_.kind], set_, piece)
            new = kind.check(kind.read(piece.source, own, m.schema_), m.schema_, own)
            checked.append(m.model_copy(update={"schema_": new}))
        form = opened.form if (opened.form == "views") == (schema.form == "views") else schema.form
        return schema.but(
            n_rows=opened.n_rows, form=form, fingerprint=_fingerprint(opened.data, checked),
            details=details.model_copy(update={"modalities": tuple(checked)}),
        )

    def rows(self, opened: Opened, schema: Schema) -> Rows:
        """Return the rows of all modalities side by side."""
        details, pieces = details_of(schema), _by_name(opened.data)
        rows: dict[str, Rows | None] = {}
        there: dict[str, Array] = {}
        for m in details.modalities:
            piece = pieces.get(m.name)
            there[m.name] = np.zeros(opened.n_rows, bool) if piece is None else piece.there
            rows[m.name] = None
            if piece is not None and piece.there.any():
                kind = KINDS[m.schema_.kind]
                own = own_options(kind, MultimodalOptions.model_validate({}), piece)
                rows[m.name] = kind.rows(kind.read(piece.source, own, m.schema_), m.schema_)
        blank = ~np.any(list(there.values()), axis=0)
        if blank.any():
            raise InputError(
                f"A row has one of {', '.join(details.names)} at least, but row {int(np.argmax(blank))} (from 0) has "
                "none of them. Drop such rows."
            )
        targets = conditioning.need_label(encode_labels(opened.labels, schema.label), schema, opened.origin)
        return Together(rows, there, {m.name: m.schema_.field for m in details.modalities}, targets)

    # --- out --------------------------------------------------------------------------------------------------------
    def decode(
        self, x: Data, schema: Schema, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return a frame whose cells are what the kind of each column gives, or a dictionary of that.

        All modalities come back: what a row lacked is what the model says of it.
        """
        return out.decoded(x, schema, soft=soft, about=about)

    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        """Write a table, with the files that its cells name in folders beside it; of views an .npz."""
        out.write(decoded, Path(path), schema)

    def to_json(self, decoded: Any, schema: Schema) -> JsonValue:
        """Return rows by modality, each as its kind does."""
        return out.to_json(decoded, schema)

    def from_json(self, value: JsonValue, schema: Schema) -> object:
        """Return the views of rows by modality; ``null`` for a modality that a row lacks.

        Raises:
            InputError: They come otherwise.
        """
        return out.from_json(value, schema)

    def need_small(self, source: object, schema: Schema, *, rows: int, pixels: int) -> None:
        """Refuse tables of a stranger whose cells name files here; rows come as they are instead."""
        out.need_own_files(source, schema)

    # --- about ------------------------------------------------------------------------------------------------------
    def propose(self, schema: Schema) -> Proposal:
        """Suggest what the kind of each modality suggests, joined by a posterior with an expert for each."""
        found = {m.name: Modality(m.schema_.event_shape, KINDS[m.schema_.kind].propose(m.schema_))
                 for m in details_of(schema).modalities}
        training = {"batch_size": 64, "lr": 1e-3, "schedule": "one_cycle"}
        few = len(found) <= FEW
        why = "all their combinations are gone through" if few else f"more than {FEW} have too many combinations"
        return several(
            found, recipe="mopoe" if few else "mvtcae", training=training,
            reason=f"{len(found)} modalities share latents; {why}. Each weighs by one over its entries in training.",
        )

    def keeps_rows(self, schema: Schema, *, in_memory: bool) -> bool:
        """No: rows of several modalities are compared with each other, not with training rows."""
        return False

    # --- missing modalities and cells -------------------------------------------------------------------------------
    def parts(self, source: Any, schema: Schema, rows: int) -> Iterator[Any]:
        """Yield some rows after the others, with what is there of them."""
        yield from filling.parts(source, rows)

    def fill(self, part: Any, x: Data, schema: Schema, rows: Array | None = None, *, average: bool = False) -> Any:
        """Return rows with the modalities, and the cells of a table, that they lack."""
        return filling.fill(part, x, schema, rows)

    def gather(self, parts: list[Any], source: Any, schema: Schema, index: Any) -> Any:
        """Return all rows as one table, or as one dictionary."""
        return filling.gather(parts, source, schema, index)


def options_of(options: Options) -> MultimodalOptions:
    """Return options of this kind."""
    return options if isinstance(options, MultimodalOptions) else MultimodalOptions(**options.model_dump())


def own_options(kind: Kind, options: MultimodalOptions, piece: ModalPiece) -> Options:
    """Return the options of the kind of one modality: those set for it, and that nothing is held out by itself."""
    given: dict[str, Any] = {"validation": 0, "test": 0, **options.of(piece.name)}
    if isinstance(piece.source, np.ndarray):
        given.setdefault("missing", options.missing)
    return parse(kind.name, kind.options, given)


def _by_name(found: Pieces) -> dict[str, ModalPiece]:
    return {piece.name: piece for piece in found.pieces}


def _refuse_nothing(found: Pieces) -> None:
    if not found.n_rows:
        raise InputError(f"Data must have rows, but {found.origin} has none.")


def _told(piece: ModalPiece, schema: Schema, lacking: int) -> list[str]:
    kind = KINDS[piece.kind]
    less = f"; {lacking} rows lack it" if lacking else ""
    return [f"{piece.name} is read as {kind.name}{less}.", *(f"{piece.name}: {reason}" for reason in schema.reasons)]


def _fingerprint(found: Pieces, decided: list[ModalityDetails]) -> str:
    marks = [f"{p.name} {np.packbits(p.there).tobytes().hex()}" for p in found.pieces]
    return fingerprint.of_texts([*(m.schema_.fingerprint for m in decided), *marks])



KINDS.add("multimodal")(MultimodalKind())
