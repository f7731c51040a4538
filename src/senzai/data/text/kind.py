"""The kind `text`: a text a row, read from lines, a column, a folder of documents or a list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import numpy as np
from pydantic import Field as limited
from pydantic import JsonValue

from senzai.core.batch import Data
from senzai.core.errors import InputError, SettingError
from senzai.core.files import write_text

from .. import conditioning, deciding, fingerprint, sources, texts
from ..kind import KINDS, Claim, Kind, Opened
from ..labels import encode_labels
from ..options import Options
from ..proposal import Proposal
from ..rows import Rows
from ..schema import Schema
from ..split import marked, split_indices
from ..symbols import MOST, NAMES, UNKNOWN, codes_of, length_words, symbol_field, symbol_proposal, symbol_rows
from . import vocabulary
from .vocabulary import TextDetails, Vocabulary


class TextOptions(Options):
    """What the kind `text` understands beyond the common options.

    Args:
        column: Column of a table that holds the texts.
        unit: What a symbol is: "words", "characters", or "bpe" (pieces of words, with the extra `text`).
        max_symbols: How many different symbols there are at most.
        least: How often a word or character must occur to have a symbol of its own.
        max_tokens: Symbols that a text may have; longer texts are cut, and counted.
        lower: Write everything in small letters.
        encoding: Encoding of files.
    """

    decisions: ClassVar[frozenset[str]] = Options.decisions | {"unit", "max_symbols", "least", "max_tokens", "lower"}

    column: str | None = None
    unit: Literal["auto", "words", "characters", "bpe"] = "auto"
    max_symbols: int = limited(8000, ge=1)
    least: int = limited(2, ge=1)
    max_tokens: int | None = limited(None, ge=1)
    lower: bool = False
    encoding: str | None = None


@final
class TextKind(Kind):
    """Sentences, documents, lines.

    Example:
        >>> kind = KINDS["text"]
        >>> texts = ["a dog barks", "a cat sleeps", "a dog sleeps", "a cat barks"]
        >>> options = kind.options(least=1, validation=0, test=0)
        >>> schema = kind.infer(kind.read(texts, options), options)
        >>> schema.event_shape, schema.n_levels, kind.propose(schema).likelihood.name
        ((4,), 7, 'recurrent_tokens')
    """

    name: ClassVar[str] = "text"
    title: ClassVar[str] = "texts: lines of .txt, a column of a table (column=...), folders of documents, lists of text"
    suffixes: ClassVar[tuple[str, ...]] = (*texts.LINES, ".md")
    options: ClassVar[type[Options]] = TextOptions
    details: ClassVar[type[TextDetails]] = TextDetails
    unit: ClassVar[str] = "symbol"
    suffix: ClassVar[str] = ".txt"
    cells: ClassVar[Literal["", "files", "values"]] = "values"
    cells_called: ClassVar[str] = "sentences"
    learns: ClassVar[bool] = True

    def claims(self, source: object, options: Mapping[str, Any]) -> Claim | None:
        """Claim files and folders of text, lists of text, and tables of which a column is named."""
        if texts.is_texts(source):
            return Claim(0.9, "it is a list of text")
        if sources.is_series(source):
            values: Any = source
            return Claim(0.9, "it is a series of text") if all(isinstance(v, str) for v in values.head(20)) else None
        if options.get("column") is not None and (sources.is_frame(source) or isinstance(source, str | Path)):
            return Claim(0.9, "the option column names a column")
        path = sources.existing(source)
        if path is None:
            return None
        if path.is_dir():
            held = any(p.suffix.lower() in texts.DOCUMENTS and p.is_file() for p in path.rglob("*"))
            return Claim(0.85, "it holds documents") if held else None
        return Claim(0.85, f"its name ends in {path.suffix.lower()}") if path.suffix.lower() in self.suffixes else None

    # --- in ---------------------------------------------------------------------------------------------------------
    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        """Read all texts into memory."""
        set_ = _options(options)
        column = set_.column or (None if schema is None else details_of(schema).column)
        marks = [] if options.split.column is None else [options.split.column]
        label = None if set_.label is None else str(set_.label)
        found = texts.read(source, column=column, label=label, marks=marks, encoding=set_.encoding)
        if not found.texts:
            raise InputError("Data must have rows, but there is no text. Give lines of text.")
        origin = str(source)[:80] if isinstance(source, str | Path) else "the data"
        return Opened(
            data=found.texts, n_rows=len(found.texts), dtype="str", form=found.form, origin=origin,
            labels=found.labels, label_name=found.label_name, label_asked=label is not None, index=found.index,
            notes=found.notes, facts={"column": found.column},
            **marked(found.marks or {}, options.split, origin, len(found.texts)),
        )

    def infer(self, opened: Opened, options: Options) -> Schema:
        """Learn the symbols from the training rows, and how long texts are from all of them."""
        set_ = _options(options)
        train = split_indices(opened.n_rows, options.split, opened.groups, opened.order)["train"]
        known = [opened.data[i] for i in train]
        unit = vocabulary.unit_for(known, set_.max_symbols) if set_.unit == "auto" else set_.unit
        details = vocabulary.learn(
            known, unit=unit, lower=set_.lower, most_symbols=set_.max_symbols, least=set_.least, most=1,
            column=opened.facts.get("column"),
        )
        if len(details.symbols) == len(NAMES):
            raise InputError(
                f"Texts must have symbols that repeat, but none occurs {set_.least} times. Set least=1, or give more."
            )
        coded = [Vocabulary(details).codes(text) for text in opened.data]
        most = set_.max_tokens or min(MOST, max(1, *map(len, coded)))
        label, about_label = deciding.label_of(opened, options)
        condition = conditioning.of_label(
            options.condition, label, encode_labels(opened.labels, label), opened.origin
        )
        reasons = (*opened.notes, *_told(details, coded, most, auto=set_.unit == "auto"), *about_label)
        field = symbol_field(len(details.symbols), most)
        return Schema(
            kind=self.name, fields={"x": field}, dtype="str", form=opened.form, label=label, condition=condition,
            n_rows=opened.n_rows, split=options.split, fingerprint=fingerprint.of_texts(opened.data), reasons=reasons,
            details=details.model_copy(update={"most": most}),
        )

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        """Take any texts; symbols that were never seen are unknown, and counted."""
        notes = [note for note in opened.notes if note not in schema.reasons]
        return schema.but(
            form=opened.form, n_rows=opened.n_rows, fingerprint=fingerprint.of_texts(opened.data),
            reasons=(*schema.reasons, *notes),
        )

    def rows(self, opened: Opened, schema: Schema) -> Rows:
        """Return rows ``(T,)`` of symbols with the end, and behind it nothing that counts."""
        words = Vocabulary(details_of(schema))
        targets = conditioning.need_label(encode_labels(opened.labels, schema.label), schema, opened.origin)
        coded, about = [words.codes(text) for text in opened.data], dict[str, Any]()
        if details_of(schema).merges is None:  # pieces of BPE are no text by themselves
            about["unknown"] = np.array([words.unknown(text) for text in opened.data], object)
        return symbol_rows(coded, schema.event_shape[0] - 1, targets, about)

    # --- out --------------------------------------------------------------------------------------------------------
    def decode(
        self, x: Data, schema: Schema, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return a list of text; a Series or a frame where one came.

        ``about["own"]`` has words of rows that were kept in part, by their places: they stand for the unknown symbol.
        """
        words, coded = Vocabulary(details_of(schema)), codes_of(x, len(details_of(schema).symbols))
        own = (about or {}).get("own", [None] * len(coded))
        made = [words.text(codes, there) for codes, there in zip(coded, own, strict=True)]
        return texts.in_form(made, schema.form, details_of(schema).column or "text")

    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        """Write lines of .txt, or a table of one column: .csv, .tsv, .jsonl."""
        path, made = Path(path), texts.as_list(decoded)
        if path.suffix.lower() not in texts.LINES:
            texts.write_cells(made, path, details_of(schema).column or "text", also=texts.LINES)
            return
        if any(len(text.splitlines()) > 1 for text in made):
            raise InputError("A text a line has no line breaks in it, but one has. Write them as .jsonl or .csv.")
        write_text(path, "".join(f"{text}\n" for text in made))

    def to_json(self, decoded: Any, schema: Schema) -> JsonValue:
        """Return a list of text."""
        return list(texts.as_list(decoded))

    def from_json(self, value: JsonValue, schema: Schema) -> object:
        """Return the list of text.

        Raises:
            InputError: It is none.
        """
        return texts.need_list(value, "Texts come as a list of text")

    def keeps_rows(self, schema: Schema, *, in_memory: bool) -> bool:
        """Texts that were given in memory: they cannot be read again when somebody asks for scores."""
        return in_memory

    # --- about ------------------------------------------------------------------------------------------------------
    def propose(self, schema: Schema) -> Proposal:
        """Suggest a recurrent encoder and decoder, and a bound that keeps the code in use."""
        return symbol_proposal(len(details_of(schema).symbols))


def details_of(schema: Schema) -> TextDetails:
    """Return what the kind knows about its data.

    Raises:
        SettingError: The schema is of another kind.
    """
    if not isinstance(schema.details, TextDetails):
        raise SettingError(f"This is about texts, but the data are of the kind {schema.kind!r}.")
    return schema.details


def _options(options: Options) -> TextOptions:
    return options if isinstance(options, TextOptions) else TextOptions(**options.model_dump())


def _told(details: TextDetails, coded: list[list[int]], most: int, *, auto: bool) -> Iterable[str]:
    """Say which symbols there are, how many are unknown, and which texts are cut."""
    found = sum(map(len, coded))
    unknown = sum(code == UNKNOWN for codes in coded for code in codes)
    chosen = ", which suits these texts" if auto else ""
    case = "Case is dropped" if details.lower else "Case is kept"
    yield (
        f"A symbol is one of the {details.unit}{chosen}: {len(details.symbols) - len(NAMES):,} of them, learned from "
        f"the training rows. {case}; {unknown / max(found, 1):.1%} of all {found:,} symbols are unknown."
    )
    yield length_words(coded, most)


KINDS.add("text")(TextKind())
