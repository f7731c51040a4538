"""The kind `text`: a text a row, read from lines, a column, a folder of documents or a list."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, final

from pydantic import Field as limited
from pydantic import JsonValue

from senzai.core.batch import Data
from senzai.core.errors import InputError, SettingError
from senzai.core.files import write_text
from senzai.core.later import torch

from .. import conditioning, deciding, sources
from ..kind import KINDS, Claim, Kind, Opened
from ..labels import encode_labels
from ..options import Options
from ..proposal import Choice, Proposal
from ..rows import MemoryRows, Rows
from ..schema import Axis, Field, Schema
from ..split import marked, split_indices
from . import reading, vocabulary
from .vocabulary import NAMES, UNKNOWN, TextDetails, Vocabulary

MOST = 256
"""Symbols of a text beyond which it is cut, unless the user says how many there may be."""


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
        >>> schema = kind.infer(kind.read(texts, kind.options()), kind.options(least=1))
        >>> schema.event_shape, schema.n_levels, kind.propose(schema).likelihood.name
        ((4,), 7, 'recurrent_tokens')
    """

    name: ClassVar[str] = "text"
    title: ClassVar[str] = "texts: lines of .txt, a column of a table (column=...), folders of documents, lists of text"
    suffixes: ClassVar[tuple[str, ...]] = (*reading.LINES, ".md")
    options: ClassVar[type[Options]] = TextOptions
    details: ClassVar[type[TextDetails]] = TextDetails
    unit: ClassVar[str] = "symbol"
    suffix: ClassVar[str] = ".txt"

    def claims(self, source: object, options: Mapping[str, Any]) -> Claim | None:
        """Claim files and folders of text, lists of text, and tables of which a column is named."""
        if reading.is_texts(source):
            return Claim(0.9, "it is a list of text")
        if sources.is_series(source):
            values: Any = source
            return Claim(0.9, "it is a series of text") if all(isinstance(v, str) for v in values.head(20)) else None
        if options.get("column") is not None and (sources.is_frame(source) or isinstance(source, str | Path)):
            return Claim(0.97, "the option column names a column of text")
        path = sources.existing(source)
        if path is None:
            return None
        if path.is_dir():
            held = any(p.suffix.lower() in reading.DOCUMENTS and p.is_file() for p in path.rglob("*"))
            return Claim(0.85, "it holds documents") if held else None
        return Claim(0.85, f"its name ends in {path.suffix.lower()}") if path.suffix.lower() in self.suffixes else None

    # --- in ---------------------------------------------------------------------------------------------------------
    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        """Read all texts into memory."""
        set_ = _options(options)
        column = set_.column or (None if schema is None else details_of(schema).column)
        marks = [] if options.split.column is None else [options.split.column]
        label = None if set_.label is None else str(set_.label)
        found = reading.read(source, column=column, label=label, marks=marks, encoding=set_.encoding)
        if not found.texts:
            raise InputError("Data must have rows, but there is no text. Give lines of text.")
        origin = str(source)[:80] if isinstance(source, str | Path) else "the data"
        return Opened(
            data=found.texts, n_rows=len(found.texts), dtype="str", form=found.form, origin=origin,
            labels=found.labels, label_name=found.label_name, label_asked=label is not None, index=found.index,
            notes=found.notes, facts={"column": column},
            **marked(found.marks or {}, options.split, origin, len(found.texts)),
        )

    def infer(self, opened: Opened, options: Options) -> Schema:
        """Learn the symbols from the training rows, and how long texts are from all of them."""
        set_ = _options(options)
        train = split_indices(opened.n_rows, options.split, opened.groups, opened.order)["train"]
        texts = [opened.data[i] for i in train]
        unit = vocabulary.unit_for(texts, set_.max_symbols) if set_.unit == "auto" else set_.unit
        details = vocabulary.learn(
            texts, unit=unit, lower=set_.lower, most_symbols=set_.max_symbols, least=set_.least, most=1,
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
        field = Field(
            axes=(Axis(name="symbol", size=most + 1, ragged=True),), support="category", n_levels=len(details.symbols)
        )
        return Schema(
            kind=self.name, fields={"x": field}, dtype="str", form=opened.form, label=label, condition=condition,
            n_rows=opened.n_rows, split=options.split, fingerprint=fingerprint(opened.data), reasons=reasons,
            details=details.model_copy(update={"most": most}),
        )

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        """Take any texts; symbols that were never seen are unknown, and counted."""
        notes = [note for note in opened.notes if note not in schema.reasons]
        return schema.but(
            form=opened.form, n_rows=opened.n_rows, fingerprint=fingerprint(opened.data),
            reasons=(*schema.reasons, *notes),
        )

    def rows(self, opened: Opened, schema: Schema) -> Rows:
        """Return rows ``(T,)`` of symbols with the end, and behind it nothing that counts."""
        words, most = Vocabulary(details_of(schema)), schema.event_shape[0]
        coded = [words.codes(text)[: most - 1] for text in opened.data]
        x = torch.zeros(len(coded), most)
        for i, codes in enumerate(coded):
            x[i, : len(codes)] = torch.tensor(codes, dtype=x.dtype)
        lengths = torch.tensor([len(codes) + 1 for codes in coded])
        targets = conditioning.need_label(encode_labels(opened.labels, schema.label), schema, opened.origin)
        return MemoryRows(x, targets, lengths=lengths)

    # --- out --------------------------------------------------------------------------------------------------------
    def decode(
        self, x: Data, schema: Schema, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return a list of text; a Series or a frame where one came."""
        words = Vocabulary(details_of(schema))
        codes = deciding.one_tensor(x).detach().cpu().round().long().clamp(0, len(details_of(schema).symbols) - 1)
        texts = [words.text(row) for row in codes.tolist()]
        if schema.form not in ("pandas", "series"):
            return texts
        import pandas as pd

        column = details_of(schema).column or "text"
        return pd.DataFrame({column: texts}) if schema.form == "pandas" else pd.Series(texts, name=column)

    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        """Write lines of .txt, or a table of one column: .csv, .tsv, .jsonl."""
        path, texts = Path(path), _texts(decoded)
        suffix, column = path.suffix.lower(), details_of(schema).column or "text"
        if suffix in reading.LINES:
            if any(len(text.splitlines()) > 1 for text in texts):
                raise InputError("A text a line has no line breaks in it, but one has. Write them as .jsonl or .csv.")
            write_text(path, "".join(f"{text}\n" for text in texts))
        elif suffix in (".jsonl", ".ndjson"):
            write_text(path, "".join(json.dumps({column: text}, ensure_ascii=False) + "\n" for text in texts))
        elif suffix in (".csv", ".tsv"):
            out = io.StringIO()
            made = csv.writer(out, delimiter="\t" if suffix == ".tsv" else ",", lineterminator="\n")
            made.writerows([[column], *([text] for text in texts)])
            write_text(path, out.getvalue())
        else:
            raise InputError(f"Texts are written as .txt, .jsonl, .csv or .tsv, but got {path.name!r}. Choose one.")

    def to_json(self, decoded: Any, schema: Schema) -> JsonValue:
        """Return a list of text."""
        return list(_texts(decoded))

    def from_json(self, value: JsonValue, schema: Schema) -> object:
        """Return the list of text.

        Raises:
            InputError: It is none.
        """
        texts = [value] if isinstance(value, str) else value
        if not reading.is_texts(texts):
            raise InputError("Texts come as a list of text. Give [\"one\", \"two\"].")
        return texts

    def keeps_rows(self, schema: Schema, *, in_memory: bool) -> bool:
        """Texts that were given in memory: they cannot be read again when somebody asks for scores."""
        return in_memory

    # --- about ------------------------------------------------------------------------------------------------------
    def propose(self, schema: Schema) -> Proposal:
        """Suggest a recurrent encoder and decoder, and a bound that keeps the code in use."""
        n = len(details_of(schema).symbols)
        return Proposal(
            likelihood=Choice("recurrent_tokens", {"n": n}), encoder=Choice("recurrent_tokens", {"n": n}),
            recipe="text-vae", reason="Symbols follow one another, and a code is told to each of them.",
        )


def details_of(schema: Schema) -> TextDetails:
    """Return what the kind knows about its data.

    Raises:
        SettingError: The schema is of another kind.
    """
    if not isinstance(schema.details, TextDetails):
        raise SettingError(f"This is about texts, but the data are of the kind {schema.kind!r}.")
    return schema.details


def fingerprint(texts: Iterable[str]) -> str:
    """Return a fingerprint of some texts in their order."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{len(text)}\0{text}".encode(errors="surrogatepass"))
    return f"sha256:{digest.hexdigest()}"


def _options(options: Options) -> TextOptions:
    return options if isinstance(options, TextOptions) else TextOptions(**options.model_dump())


def _texts(decoded: Any) -> list[str]:
    if hasattr(decoded, "columns"):
        decoded = decoded.iloc[:, 0]
    return [str(text) for text in decoded]


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
    lengths = sorted(map(len, coded))
    cut = sum(n > most for n in lengths)
    yield f"Texts have {lengths[0]} to {lengths[-1]} symbols, {lengths[len(lengths) // 2]} in the middle." + (
        f" {cut:,} of them are cut after {most} (max_tokens=... sets another number)." if cut else ""
    )


KINDS.add("text")(TextKind())
