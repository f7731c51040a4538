"""The kind `documents`: a row is a document, its entries how often it has each word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from pydantic import JsonValue

from senzai.core.batch import Data, first
from senzai.core.errors import InputError, SettingError

from .. import conditioning, deciding, sources, texts
from ..bags import WORD
from ..kind import KINDS, Claim, Kind, Opened
from ..labels import encode_labels
from ..options import Options
from ..proposal import Choice, Proposal
from ..rows import Rows
from ..schema import Axis, Field, Schema
from ..sparse import Sparse, SparseRows
from ..split import marked, split_indices
from . import counts, out, reading, words
from .counts import COUNTED
from .options import DocumentDetails, DocumentOptions, Source, details_of
from .reading import Read


@final
class DocumentKind(Kind):
    """Texts, count files, tables and sparse matrices of documents by words.

    Example:
        >>> kind = KINDS["documents"]
        >>> options = kind.options(least=1, most_share=1.0, validation=0, test=0)
        >>> opened = kind.read(["Tea and milk, tea", "Milk!"], options)
        >>> schema = kind.infer(opened, options)
        >>> schema.columns, kind.rows(opened, schema).take(np.array([0, 1])).x.tolist()
        (('milk', 'tea'), [[1, 2], [1, 0]])
    """

    name: ClassVar[str] = "documents"
    title: ClassVar[str] = "documents as counts of words: texts, `label id:count` files, sparse .npz, tables (topics)"
    suffixes: ClassVar[tuple[str, ...]] = COUNTED
    suffix: ClassVar[str] = ".feat"
    options: ClassVar[type[Options]] = DocumentOptions
    details: ClassVar[type[DocumentDetails]] = DocumentDetails
    unit: ClassVar[str] = "word"

    # --- in ---------------------------------------------------------------------------------------------------------
    def claims(self, source: object, options: Mapping[str, Any]) -> Claim | None:
        """Claim count files, and whatever is given together with a vocabulary; all else where this kind is named."""
        if options.get("vocabulary") is not None:
            return Claim(0.97, "a vocabulary was named")
        if isinstance(source, list) and source and all(isinstance(s, Mapping) for s in source):
            numbers = all(isinstance(v, int) and not isinstance(v, bool) for s in source[:20] for v in s.values())
            return Claim(0.4, "mappings from words to counts") if numbers else None
        path = sources.existing(source)
        if path is None or not path.is_file():
            return None
        return Claim(0.95, "its lines are `label id:count ...`") if reading.looks_counted(path) else None

    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        """Read texts, or counts, into memory."""
        set_ = _options(options)
        known = None if schema is None else tuple(map(str, schema.columns or ()))
        found = reading.read(source, set_, known=known, column=None if schema is None else details_of(schema).column)
        origin = str(source)[:80] if isinstance(source, str | Path) else "the data"
        asked = set_.label is not None
        if found.counts is not None:
            made = found.counts
            labels = made.labels if asked or made.source == "table" else None
            notes = made.notes if labels is not None or made.labels is None else (
                *made.notes, "The first cell of a line is not looked at; label=label takes it for the class.",
            )
            return Opened(
                data=found, n_rows=made.matrix.n_rows, dtype="int64", form=made.form, origin=origin, labels=labels,
                label_name=str(set_.label or "label"), label_asked=asked, index=made.index, notes=notes,
            )
        assert found.texts is not None  # one of the two
        one = found.texts
        return Opened(
            data=found, n_rows=len(one.texts), dtype="str", form=one.form, origin=origin, labels=one.labels,
            label_name=one.label_name, label_asked=asked, index=one.index, notes=one.notes,
            **marked(one.marks or {}, options.split, origin, len(one.texts)),
        )

    def infer(self, opened: Opened, options: Options) -> Schema:
        """Learn the words from the training rows of texts; those of counts are given."""
        set_, found = _options(options), _found(opened)
        source: Source
        train = split_indices(opened.n_rows, options.split, opened.groups, opened.order)["train"]
        if found.texts is not None:
            known = words.learn([found.texts.texts[i] for i in train], set_, found.words)
            matrix = words.count(found.texts.texts, known, set_.unit, lower=set_.lower)
            source, base = "texts", 1
        else:
            assert found.counts is not None  # one of the two
            matrix, source, base = found.counts.matrix, found.counts.source, found.counts.first
            known = found.counts.words or tuple(f"w{i + base}" for i in range(matrix.n_columns))
        if len(known) < 2 or not len(matrix.indices):
            raise InputError(
                f"Documents have two different words at least, but {opened.origin} has {len(known):,} and "
                f"{len(matrix.indices):,} entries. Lower least, or check the file."
            )
        length = lengths_of(matrix)
        details = DocumentDetails(
            source=source, column=None if found.texts is None else found.texts.column, unit=set_.unit,
            lower=set_.lower, first=base, usual=max(1, int(np.median(length))),
        )
        label, about_label = deciding.label_of(opened, options)
        condition = conditioning.of_label(
            options.condition, label, encode_labels(opened.labels, label), opened.origin
        )
        field = Field(axes=(Axis(name=WORD, size=len(known)),), support="count")
        return Schema(
            kind=self.name, fields={"x": field}, dtype=opened.dtype, columns=known, form=opened.form, label=label,
            condition=condition, n_rows=opened.n_rows, split=options.split, details=details,
            fingerprint=out.fingerprint(matrix, known),
            reasons=(*opened.notes, *told(matrix, known, found, set_), *about_label),
        )

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        """Take any documents; words that the model does not count are left out, and said."""
        matrix, lost = self._matrix(opened, schema)
        note = (f"{lost:,} words that the model does not count were left out.",) if lost else ()
        return schema.but(
            form=opened.form, n_rows=opened.n_rows, fingerprint=out.fingerprint(matrix, schema.columns or ()),
            reasons=(*opened.notes, *note),
        )

    def rows(self, opened: Opened, schema: Schema) -> Rows:
        """Return documents by words, sparse."""
        matrix, _ = self._matrix(opened, schema)
        top = 1.0 if matrix.values is None or not len(matrix.values) else float(matrix.values.max())
        targets = conditioning.need_label(encode_labels(opened.labels, schema.label), schema, opened.origin)
        return SparseRows(matrix, targets, top=top)

    def _matrix(self, opened: Opened, schema: Schema) -> tuple[Sparse, int]:
        found, known, how = _found(opened), tuple(map(str, schema.columns or ())), details_of(schema)
        if found.texts is not None:
            return words.count(found.texts.texts, known, how.unit, lower=how.lower), 0
        assert found.counts is not None  # one of the two
        return counts.arranged(found.counts, known, opened.origin)

    # --- out --------------------------------------------------------------------------------------------------------
    def decode(
        self, x: Data, schema: Schema, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return bags of words in the form of the data: texts, mappings, a table, a sparse matrix; means as a table."""
        return out.in_form(first(x).detach().cpu().numpy(), schema, soft=soft)

    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        """Write a count file, lines of words (.txt), a sparse matrix (.npz), or a table."""
        out.write(decoded, Path(path), schema)

    def to_json(self, decoded: Any, schema: Schema) -> JsonValue:
        """Return one mapping from words to counts for each document, or its text."""
        return out.plain(decoded, schema)

    def from_json(self, value: JsonValue, schema: Schema) -> object:
        """Return texts, mappings from words to counts, or rows of counts.

        Raises:
            InputError: It is none of them.
        """
        if isinstance(value, Mapping):
            value = [dict(value)]
        if isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            return value
        if isinstance(value, list) and value and all(isinstance(v, list) for v in value):
            return super().from_json(value, schema)
        return texts.need_list(value, 'Documents come as texts, or as mappings from words to counts: [{"tea": 2}]')

    def keeps_rows(self, schema: Schema, *, in_memory: bool) -> bool:
        """Documents that were given in memory: they cannot be read again when somebody asks for topics."""
        return in_memory

    # --- about ------------------------------------------------------------------------------------------------------
    def propose(self, schema: Schema) -> Proposal:
        """Suggest topics: a multinomial over the words, and an encoder of the words that a document has."""
        return Proposal(
            likelihood=Choice("multinomial", {"total": details_of(schema).usual}),
            encoder=Choice("profile", {"log": True, "total": True, "input_dropout": 0.0}), decoder=Choice("topics"),
            recipe="prodlda", training={"batch_size": 200},
            reason="The words of a document share its length: a multinomial given how many there are.",
        )


def lengths_of(matrix: Sparse) -> Any:
    """Return how many words each document has."""
    values = np.ones(len(matrix.indices)) if matrix.values is None else np.asarray(matrix.values, np.float64)
    return np.bincount(matrix.row, weights=values, minlength=matrix.n_rows)


def told(matrix: Sparse, known: Sequence[str], found: Read, set_: DocumentOptions) -> Iterator[str]:
    """Say how many documents and words there are, how words were chosen, and what is empty."""
    length, n = lengths_of(matrix), matrix.n_rows
    yield (
        f"{n:,} documents have {int(length.sum()):,} words, {int(np.median(length)):,} in the middle, "
        f"{len(known):,} different ones."
    )
    if found.texts is not None and found.words is None:
        yield (
            f"Words count that are in {set_.least} training documents at least and in {set_.most_share:.0%} of them at "
            f"most, the commonest {set_.max_words:,}; stop words: {set_.stop_words}."
        )
        if set_.unit == "words" and words.without_spaces(found.texts.texts):
            yield "These texts seem to have no spaces between words; unit=pairs counts pairs of characters."
    empty = int((length == 0).sum())
    if empty:
        yield f"{empty:,} documents have none of these words; nothing is known about them."


def _options(options: Options) -> DocumentOptions:
    made = options if isinstance(options, DocumentOptions) else DocumentOptions(**options.model_dump())
    if made.values not in (None, "count"):
        raise SettingError(f"Documents are counts of words, but got values={made.values}. Leave it out.")
    return made


def _found(opened: Opened) -> Read:
    assert isinstance(opened.data, Read)  # what this kind's `read` gave
    return opened.data


KINDS.add("documents")(DocumentKind())
