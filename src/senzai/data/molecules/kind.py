"""The kind `molecules`: a molecule a row, as SMILES in a file or list, or as structures in SDF."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from pydantic import Field as limited
from pydantic import JsonValue, field_validator

from senzai.core.batch import Data
from senzai.core.errors import InputError, SettingError
from senzai.core.files import write_text

from .. import conditioning, deciding, fingerprint, quantities, sources, texts
from ..kind import KINDS, Claim, Kind, Opened
from ..labels import encode_labels
from ..options import Options, names_in
from ..proposal import Proposal
from ..ranked import fields_of
from ..rows import Array, Rows
from ..schema import Frozen, Schema
from ..split import marked, split_indices
from ..symbols import MOST, NAMES, UNKNOWN, codes_of, length_words, symbol_field, symbol_proposal, symbol_rows
from . import chemistry, sets, structures
from .properties import PROPERTIES, computed

SMILES, STRUCTURES = (".smi", ".smiles"), (".sdf",)
NAMED = 5
"""Bad rows that are named."""


class MoleculeOptions(Options):
    """What the kind `molecules` understands beyond the common options.

    Args:
        column: Column of a table that holds SMILES; by default the one called so.
        max_tokens: SELFIES symbols that a molecule may have; larger molecules are cut, and counted.
        encoding: Encoding of files.
        properties: Numbers that codes are to tell: columns of the table (fields of the SDF file), or what RDKit
            computes: logp, qed, sa, weight, tpsa, donors, acceptors, rotatable, rings, atoms.
    """

    decisions: ClassVar[frozenset[str]] = Options.decisions | {"max_tokens", "properties"}

    column: str | None = None
    max_tokens: int | None = limited(None, ge=1)
    encoding: str | None = None
    properties: tuple[str, ...] = ()

    @field_validator("properties", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return names_in(value)


class MoleculeDetails(Frozen):
    """The alphabet of the molecules.

    Args:
        symbols: SELFIES symbols by their number; the first two stand for the end and for what is unknown.
        column: Column of a table that held the SMILES.
        most: Symbols that a molecule may have.
        columns: Properties that came with the molecules, and are not computed.
    """

    symbols: tuple[str, ...]
    column: str | None = None
    most: int
    columns: tuple[str, ...] = ()


@final
class MoleculeKind(Kind):
    """Molecules.

    Example:
        >>> kind = KINDS["molecules"]
        >>> options = kind.options(validation=0, test=0)
        >>> schema = kind.infer(kind.read(["CCO", "C=O", "c1ccccc1"], options), options)
        >>> kind.decode(kind.rows(kind.read(["OCC"], options), schema).take([0]).x, schema)
        ['CCO']
    """

    name: ClassVar[str] = "molecules"
    title: ClassVar[str] = "molecules: .smi, .sdf, a column of SMILES (column=...), lists with kind=molecules"
    suffixes: ClassVar[tuple[str, ...]] = (*SMILES, *STRUCTURES)
    options: ClassVar[type[Options]] = MoleculeOptions
    details: ClassVar[type[MoleculeDetails]] = MoleculeDetails
    quantities: ClassVar[Mapping[str, str]] = PROPERTIES
    unit: ClassVar[str] = "symbol"
    suffix: ClassVar[str] = ".smi"

    def claims(self, source: object, options: Mapping[str, Any]) -> Claim | None:
        """Claim files of molecules, and tables of which a column of SMILES is named."""
        if "smiles" in str(options.get("column", "")).lower():
            return Claim(0.98, "the option column names SMILES")
        path = sources.existing(source)
        known = path is not None and path.suffix.lower() in self.suffixes
        return Claim(0.95, f"its name ends in {path.suffix.lower()}") if known and path is not None else None

    # --- in ---------------------------------------------------------------------------------------------------------
    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        """Read molecules as canonical SMILES; to fit, what is none is left out and named.

        Raises:
            InputError: There is none; or, with a schema, a row is none.
        """
        set_ = options if isinstance(options, MoleculeOptions) else MoleculeOptions(**options.model_dump())
        names = _names(set_, schema)
        found = _texts(source, set_, schema, names)
        cleaned = [chemistry.clean(text) for text in found.texts]
        symbols = [None if smiles is None else chemistry.symbols_of(smiles) for smiles in cleaned]
        bad = [i for i, one in enumerate(symbols) if one is None]
        origin = str(source)[:80] if isinstance(source, str | Path) else "the data"
        kept = [i for i in range(len(cleaned)) if i not in set(bad)]
        data = [str(cleaned[i]) for i in kept]
        own = schema is not None and schema.fingerprint == fingerprint.of_texts(data)  # read again
        if bad and ((schema is not None and not own) or not kept):
            raise InputError(
                f"Rows must be molecules, but row {bad[0]} (from 0) of {origin} is {found.texts[bad[0]][:60]!r}"
                + (f", and {len(bad) - 1} others are none either" if len(bad) > 1 else "") + ". Correct or remove them."
            )
        if not cleaned:
            raise InputError("Data must have rows, but there is no molecule. Give SMILES.")
        notes = (*found.notes, *_left_out(bad, found.texts))
        marks = {k: v[kept] for k, v in (found.marks or {}).items()}
        return Opened(
            data=data, n_rows=len(kept), dtype="str", form=found.form, origin=origin,
            labels=None if found.labels is None else found.labels[kept], label_name=found.label_name,
            label_asked=set_.label is not None, index=None if found.index is None else found.index[kept], notes=notes,
            facts={
                "column": found.column, "symbols": [symbols[i] for i in kept],
                **_quantities(names, data, found, kept, schema, origin),
            },
            **marked(marks, options.split, origin, len(kept)),
        )

    def infer(self, opened: Opened, options: Options) -> Schema:
        """Take the alphabet from the training rows."""
        train = split_indices(opened.n_rows, options.split, opened.groups, opened.order)["train"]
        symbols: list[list[str]] = opened.facts["symbols"]
        counts = Counter(s for i in train for s in symbols[i])
        alphabet = (*NAMES, *sorted(counts, key=lambda s: (-counts[s], s)))
        coded = _codes(symbols, alphabet)
        set_most = options.max_tokens if isinstance(options, MoleculeOptions) else None
        most = set_most or min(MOST, max(1, *map(len, coded)))
        label, about_label = deciding.label_of(opened, options)
        values: Mapping[str, Array] = opened.facts["values"]
        asked = tuple(options.condition)
        condition = (
            quantities.condition_of(asked, values, train) if asked and set(asked) <= set(values)
            else conditioning.of_label(asked, label, encode_labels(opened.labels, label), opened.origin)
        )
        unknown = sum(code == UNKNOWN for codes in coded for code in codes)
        said = (
            f"A molecule is written in SELFIES, with {len(alphabet) - len(NAMES)} different symbols in the training "
            f"rows, so that whatever is made is valid; {unknown:,} symbols of other rows are unknown.",
            "Of salts the largest part is kept; charges and stereo marks stay.", length_words(coded, most),
        )
        return Schema(
            kind=self.name, fields={"x": symbol_field(len(alphabet), most)}, dtype="str", form=opened.form, label=label,
            condition=condition, n_rows=opened.n_rows, split=options.split,
            fingerprint=fingerprint.of_texts(opened.data), reasons=(*opened.notes, *said, *about_label),
            quantities=quantities.decided(values, train),
            details=MoleculeDetails(
                symbols=alphabet, column=opened.facts.get("column"), most=most, columns=opened.facts["columns"],
            ),
        )

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        """Take any molecules."""
        return schema.but(form=opened.form, n_rows=opened.n_rows, fingerprint=fingerprint.of_texts(opened.data))

    def rows(self, opened: Opened, schema: Schema) -> Rows:
        """Return rows of SELFIES symbols with their end."""
        symbols: list[list[str]] = opened.facts["symbols"]
        known = encode_labels(opened.labels, schema.label)
        if not quantities.is_about(schema.condition, schema.quantities):
            known = conditioning.need_label(known, schema, opened.origin)
        targets = quantities.targets(known, schema, opened.facts["values"], opened.origin)
        return symbol_rows(_codes(symbols, details_of(schema).symbols), schema.event_shape[0] - 1, targets)

    # --- out --------------------------------------------------------------------------------------------------------
    def decode(
        self, x: Data, schema: Schema, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return canonical SMILES, in the form that came."""
        known = details_of(schema).symbols
        made = [
            chemistry.smiles_of([known[c] for c in codes if c != UNKNOWN]) for codes in codes_of(x, len(known))
        ]
        return texts.in_form(made, schema.form, details_of(schema).column or "smiles")

    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        """Write .smi, .sdf, .csv, .tsv or .jsonl."""
        path, smiles = Path(path), texts.as_list(decoded)
        suffix = path.suffix.lower()
        beside: dict[str, Any] = {**self._computed(smiles, schema), **fields_of(decoded)}
        if suffix in SMILES:
            write_text(path, "".join(f"{s}\n" for s in smiles))
        elif suffix in STRUCTURES:
            structures.write(smiles, path, beside)
        else:
            column = details_of(schema).column or "smiles"
            texts.write_cells(
                smiles, path, column, also=(*SMILES, *STRUCTURES), beside=beside,
            )

    def _computed(self, smiles: Sequence[str], schema: Schema) -> dict[str, Array]:
        """Return those properties of molecules that the model was told of and that RDKit computes."""
        own = details_of(schema).columns
        return {q.name: computed(smiles, q.name) for q in schema.quantities if q.name not in own}

    def quantity(self, decoded: Any, name: str, schema: Schema) -> Array:
        """Return logP, QED and the like of molecules; see :data:`PROPERTIES`."""
        return computed(texts.as_list(decoded), name)

    def to_json(self, decoded: Any, schema: Schema) -> JsonValue:
        """Return a list of SMILES."""
        return list(texts.as_list(decoded))

    def from_json(self, value: JsonValue, schema: Schema) -> object:
        """Return the list of SMILES.

        Raises:
            InputError: It is none.
        """
        return texts.need_list(value, "Molecules come as a list of SMILES")

    # --- about ------------------------------------------------------------------------------------------------------
    def keeps_rows(self, schema: Schema, *, in_memory: bool) -> bool:
        """Molecules that were given in memory: they cannot be read again when somebody asks for scores."""
        return in_memory

    def sample_figures(self, made: Any, known: Any, schema: Schema, *, seed: int = 0) -> Mapping[str, float]:
        """Return validity, uniqueness, novelty and the like; see :func:`sets.set_figures`."""
        return sets.set_figures(texts.as_list(made), texts.as_list(known), seed=seed)

    def sample_distance(self, made: Any, known: Any, schema: Schema) -> Mapping[str, float]:
        """Return the Fréchet ChemNet distance; see :func:`sets.frechet_chemnet`."""
        new, old = ([s for s in texts.as_list(rows) if s] for rows in (made, known))
        return {"frechet_chemnet": sets.frechet_chemnet(new, old)} if new and old else {}

    def propose(self, schema: Schema) -> Proposal:
        """Suggest a recurrent encoder and decoder, and a bound that keeps the code in use."""
        return symbol_proposal(len(details_of(schema).symbols), nonempty=True)


def details_of(schema: Schema) -> MoleculeDetails:
    """Return what the kind knows about its data.

    Raises:
        SettingError: The schema is of another kind.
    """
    if not isinstance(schema.details, MoleculeDetails):
        raise SettingError(f"This is about molecules, but the data are of the kind {schema.kind!r}.")
    return schema.details


def _codes(symbols: Iterable[Sequence[str]], alphabet: Sequence[str]) -> list[list[int]]:
    number = {symbol: i for i, symbol in enumerate(alphabet)}
    return [[number.get(s, UNKNOWN) for s in row] for row in symbols]


def _left_out(bad: Sequence[int], given: Sequence[str]) -> tuple[str, ...]:
    if not bad:
        return ()
    named = ", ".join(f"row {i} ({given[i][:40]!r})" for i in bad[:NAMED])
    more = f" and {len(bad) - NAMED:,} more" if len(bad) > NAMED else ""
    return (f"{len(bad):,} of {len(given):,} rows are no molecules and were left out: {named}{more}.",)


def _names(options: MoleculeOptions, schema: Schema | None) -> tuple[str, ...]:
    """Return the numbers of molecules that are wanted: what codes are to tell, and what is conditioned on."""
    if schema is not None:
        return tuple(q.name for q in schema.quantities)
    asked = [name for name in options.condition if name not in (conditioning.LABEL, str(options.label))]
    return tuple(dict.fromkeys((*asked, *options.properties)))


def _quantities(
    names: Sequence[str], data: Sequence[str], found: texts.Texts, kept: Sequence[int], schema: Schema | None,
    origin: str,
) -> dict[str, Any]:
    """Return the numbers of all rows by name, and which of them came with the data.

    Raises:
        SettingError: Nobody has one of them.
    """
    given = found.marks or {}
    own = tuple(n for n in names if n in given) if schema is None else details_of(schema).columns
    if schema is None:
        quantities.need_known(names, (*given, *PROPERTIES), origin)
    values = {}
    for name in names:
        if name not in own:
            values[name] = computed(data, name)
        elif name in given:
            values[name] = quantities.numbers_of([given[name][i] for i in kept], name, origin)
        else:
            values[name] = np.full(len(data), np.nan)
    return {"values": values, "columns": own}


def _texts(
    source: object, options: MoleculeOptions, schema: Schema | None, names: Sequence[str]
) -> texts.Texts:
    path = sources.existing(source) if isinstance(source, str | Path) else None
    if path is not None and path.suffix.lower() in STRUCTURES:
        return structures.read(path, names)
    column = options.column or (None if schema is None else details_of(schema).column)
    marks = [] if options.split.column is None else [options.split.column]
    label = None if options.label is None else str(options.label)
    found = texts.read(
        source, column=column, usual="smiles", label=label, marks=marks, encoding=options.encoding, beside=names
    )
    if path is not None and path.suffix.lower() in SMILES:  # what follows the molecule is its name
        return texts.replaced(found, [text.split()[0] if text.split() else text for text in found.texts])
    return found


KINDS.add("molecules")(MoleculeKind())
