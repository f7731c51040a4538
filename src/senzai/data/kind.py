"""The contract of a kind, and the registry of all kinds.

A kind is a stateless object. Its methods are called in this order: ``claims``, ``read``, then ``infer`` (to fit) or
``check`` (to use a model), then ``rows``; and on the way back ``decode`` and ``write``. Other code calls the methods of
a kind and never compares its name: they say how rows are shown, which features can be named, how missing cells are
filled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, JsonValue

from senzai.core.batch import Batch, Data
from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import derive
from senzai.core.registry import Registry

from .cells import Celled
from .conditioned import Conditioned
from .features import NamedEntry, RowFeatures
from .histories import FOLD_IN, Histories, Newcomers, folded, histories_of, items_of
from .numbered import Numbered
from .opened import Claim as Claim
from .opened import Opened as Opened
from .opened import Writer as Writer
from .options import Options
from .plain import plain_rows
from .private_kinds import PrivateKinds
from .proposal import Proposal
from .rows import Array, Rows
from .schema import DETAILS, Frozen, Schema
from .sparse import entries
from .summed import Summed
from .timed import Timed


class NoDetails(Frozen):
    """Details of a kind that has none beside the fields."""


class Kind(Numbered, Timed, Conditioned, Celled, PrivateKinds, Summed, ABC):
    """Converts a user's data to model values and exactly back."""

    name: ClassVar[str]
    title: ClassVar[str]
    """One line for ``senzai kinds``."""
    suffixes: ClassVar[tuple[str, ...]]
    """Suffixes of the files it reads."""
    suffix: ClassVar[str] = ".npy"
    """Suffix of new rows where nobody names another."""
    folder: ClassVar[bool] = False
    """Whether many rows are for people a folder of files, written under a name without a suffix."""
    options: ClassVar[type[Options]]
    """What a user may set."""
    details: ClassVar[type[BaseModel]] = NoDetails
    """What only this kind knows about its data; kept in the schema, and so in every run."""
    shows: ClassVar[Literal["draws", "mean"]] = "draws"
    """What new rows are by default: draws from the likelihood, or its expected value (smooth pictures)."""
    unit: ClassVar[str] = "dimension"
    """What figures "per dimension" count: pixel, feature, token, item."""
    beside: ClassVar[tuple[str, ...]] = ()
    """Suffixes of files in which numbers of rows (codes, say) are written together with the rows."""
    forms_beside: ClassVar[tuple[str, ...]] = ()
    """Forms of data whose users get numbers of rows together with the rows; see :meth:`with_numbers`."""
    averages: ClassVar[bool] = False
    """Whether a missing entry is best answered by an average over draws that :meth:`fill` makes, and not by a mean."""

    drawn: ClassVar[bool] = False
    """Whether entries are places of a picture, so that one number for each of them is a picture, too."""

    def __init_subclass__(cls, **more: Any) -> None:
        """Register the type of this kind's details for schemas."""
        super().__init_subclass__(**more)
        if isinstance(vars(cls).get("name"), str):
            DETAILS[cls.name] = cls.details

    # --- in ---------------------------------------------------------------------------------------------------------
    @abstractmethod
    def claims(self, source: object, options: Mapping[str, Any]) -> Claim | None:
        """Return how sure this kind is that the source is its own; ``None`` where it cannot be.

        Looks at names, shapes and headers, reads no values. Of several claims the surest is taken.
        """

    @abstractmethod
    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        """Read a source; with ``schema`` as that schema has it (its columns, its image size)."""

    @abstractmethod
    def infer(self, opened: Opened, options: Options) -> Schema:
        """Decide what the data are, giving each decision a reason."""

    @abstractmethod
    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        """Return the schema for other data: its decisions, with form, dtype and size of what was opened.

        Raises:
            ShapeError: The data do not have the shape or the columns of the schema.
        """

    @abstractmethod
    def rows(self, opened: Opened, schema: Schema) -> Rows:
        """Return the rows in model values.

        Raises:
            InputError: A value is not one that the schema allows.
        """

    # --- out --------------------------------------------------------------------------------------------------------
    @abstractmethod
    def decode(
        self, x: Data, schema: Schema, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Turn model values ``(N, *event)`` into what the user had.

        Args:
            x: Model values.
            schema: What they are.
            soft: Keep means unrounded.
            about: What travels with these rows and is no model value, rows first; see :meth:`Rows.about`.
        """

    def joined(
        self, x: Data, schema: Schema, source: Any, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the rows of a whole data set as what the user had: by default row by row, as :meth:`decode` does.

        Args:
            x: Model values of all rows.
            schema: What they are.
            source: What was read, as the kind keeps it; see :class:`Opened`. ``None`` where it is not kept.
            soft: Keep means unrounded.
            about: What travels with the rows.
        """
        return self.decode(x, schema, soft=soft, about=about)

    @abstractmethod
    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        """Write what :meth:`decode` gave, in the format that the suffix of ``path`` names, atomically."""

    def writer(self, path: Path, schema: Schema) -> Writer | None:
        """Return what writes rows piece by piece; ``None`` where they are gathered and written by :meth:`write`."""
        return None

    def assets(self, schema: Schema) -> dict[str, bytes]:
        """Return files of this kind's own that a run keeps, by name: a vocabulary, a codebook."""
        return {}

    def to_json(self, decoded: Any, schema: Schema) -> JsonValue:
        """Return what :meth:`decode` gave as plain values: nested lists, unless the kind has better."""
        plain: JsonValue = decoded.tolist() if hasattr(decoded, "tolist") else decoded
        return plain

    def from_json(self, value: JsonValue, schema: Schema) -> object:
        """Return a source that this kind reads from what :meth:`to_json` gave; ``null`` is a missing entry.

        Rows of named features may come as records, or as columns by name.

        Raises:
            InputError: These are no rows.
        """
        return plain_rows(value, schema)

    def with_numbers(self, source: Any, schema: Schema, values: Any, *, name: str, columns: list[str] | None) -> Any:
        """Return the user's rows together with numbers of theirs, where data of this kind have a place for them.

        Args:
            source: What was read, as the kind keeps it.
            schema: What the rows are.
            values: The numbers, rows first.
            name: What they are called.
            columns: Names of their columns; ``None`` for codes.
        """
        return None

    def need_small(
        self, source: object, schema: Schema, *, rows: int, pixels: int
    ) -> None:
        """Refuse what a stranger sent where it announces more than is wanted, before it is read.

        Args:
            source: A file or folder, or plain values as of :meth:`to_json`.
            schema: What the data of the model are.
            rows: Rows at most.
            pixels: Pixels of a picture at most, and numbers of a row.

        Raises:
            InputError: It announces more.
        """

    # --- about ------------------------------------------------------------------------------------------------------
    @abstractmethod
    def propose(self, schema: Schema) -> Proposal:
        """Suggest a likelihood and a network."""

    def features(self, schema: Schema) -> RowFeatures | None:
        """Return the entries of a row that can be set and read by name; ``None`` where it has none of that sort."""
        return None

    def processing(self, schema: Schema) -> dict[str, JsonValue]:
        """Return how rows become model values and back, as plain values that ``senzai.runtime`` understands.

        By default rows are given and come back as model values, ``(N, *event)`` in single precision.

        Raises:
            CombinationError: Something about these data needs more than NumPy; the message says what.
        """
        if len(schema.fields) != 1:
            raise CombinationError(
                f"Exported models take rows of one tensor, but these have {', '.join(schema.fields)}. Use the run."
            )
        if any(axis.ragged for axis in schema.field.axes):
            raise CombinationError(
                "Exported models take rows of one length, but these have lengths of their own. Use the run itself."
            )
        return {"form": "array", "shape": list(schema.event_shape), "support": "real", "dtype": "float32"}

    def entries(self, schema: Schema) -> tuple[NamedEntry, ...]:
        """Return the named entries of a row whose types a user may correct; none where they all have one type."""
        return ()

    def originals(self, source: Any, index: Array) -> Any:
        """Return rows as the user gave them, with what the model does not know; ``None`` where :meth:`decode` does.

        Args:
            source: What was read; see :attr:`Dataset.source`.
            index: Numbers of the rows.
        """
        return source[index] if isinstance(source, np.ndarray) else None

    def infers_once(self, source: object) -> bool:
        """Whether of several processes that train together one alone finds out what the data are, and tells the others.

        For data that are too many to be gone through by every process. All must read the same.
        """
        return False

    def keeps_rows(self, schema: Schema, *, in_memory: bool) -> bool:
        """Whether a run keeps some training rows to compare others with.

        Args:
            schema: What the data are.
            in_memory: Whether they were given in memory, and cannot be read again.
        """
        return False

    def newcomers(self, source: str | Path, schema: Schema) -> Newcomers:
        """Return entries of a table that the model does not have.

        Raises:
            CombinationError: The model is not given anything of its entries.
        """
        raise CombinationError(
            f"Entries that are new are scored by what is known of them, but of the kind {self.name!r} nothing is."
        )

    def histories(self, rows: Rows, schema: Schema, index: Array) -> Histories | None:
        """Return what a model that recommends is shown of some rows, and what it is to find.

        By default four fifths of the items of each row are shown; ``None`` where rows are not sets of items.
        """
        if items_of(schema) is None:
            return None
        matrix = entries(rows, index)
        shown = folded(matrix, FOLD_IN, derive(schema.split.seed, "fold in"))
        return histories_of(matrix, shown, f"{FOLD_IN:.0%} of the items of each row are shown")

    # --- rows that are given in part, and missing cells -------------------------------------------------------------
    def evidence(self, given: Mapping[str, object], schema: Schema) -> Batch:
        """Return one row in which only what is given is observed.

        Raises:
            SettingError: Something cannot be given, or not that value.
        """
        features = self.features(schema)
        if features is None:
            raise SettingError(
                f"Rows of the kind {self.name!r} follow from conditions alone, but {', '.join(given)} is none. "
                "Fit with condition=..., or draw without it."
            )
        return features.evidence(given)

    def decode_given(self, x: Data, schema: Schema, given: Mapping[str, list[Any]]) -> Any:
        """Return what :meth:`decode` does, with the values that were given of each row in their places, exactly."""
        return self.decode(x, schema)

    def with_set(self, decoded: Any, schema: Schema, given: Mapping[str, object]) -> Any:
        """Return rows with features that were set at the very values, also where the data never went."""
        return decoded

    def renumbered(self, decoded: Any, schema: Schema, start: int) -> Any:
        """Return rows whose new identifiers go on after ``start`` rows."""
        return decoded

    def holes(self, where: object, schema: Schema, n: int) -> Array:
        """Return which entries of rows a user wants to be filled in though they are there, ``(N or 1, *event)``.

        Args:
            where: What the user said: a place in a picture, another picture that covers it.
            schema: What the rows are.
            n: How many rows.

        Raises:
            SettingError: Rows of the kind have no places, or these are none.
        """
        raise SettingError(f"Rows of the kind {self.name!r} have no places to be named by where=... Leave it out.")

    def parts(self, source: Any, schema: Schema, rows: int) -> Iterator[Any]:
        """Yield the user's data, at most so many rows at a time, to be completed by :meth:`fill`.

        Raises:
            SettingError: The kind has no rows that could lack something.
        """
        raise SettingError(f"Rows of the kind {self.name!r} have no missing entries that could be filled in.")

    def fill(self, part: Any, x: Data, schema: Schema, rows: Array | None = None, *, average: bool = False) -> Any:
        """Return a part of the user's data with its missing entries filled in; observed ones stay what they are.

        Args:
            part: What :meth:`parts` gave.
            x: Model values ``(M, d)`` of its rows, or of some; with ``average``, draws of them, ``(K, M, d)``.
            schema: What the data are.
            rows: Which rows those are, ascending; nothing that the model knows is missing in the others.
            average: Fill in the mean of the draws, and the commonest of categories.
        """
        raise SettingError(f"Rows of the kind {self.name!r} have no missing entries that could be filled in.")

    def gather(self, parts: list[Any], source: Any, schema: Schema, index: Any) -> Any:
        """Return completed parts as one, in the form of the user's data."""
        raise SettingError(f"Rows of the kind {self.name!r} have no missing entries that could be filled in.")

    def fact(self, source: Any, schema: Schema, name: str) -> Array:
        """Return a fact about each row that is no model value, by its name.

        Args:
            source: What was read, as the kind keeps it.
            schema: What the rows are.
            name: A column beside the rows: their type, their treatment.

        Raises:
            SettingError: Rows of the kind come without facts.
        """
        raise SettingError(f"Rows of the kind {self.name!r} come without facts beside their values. Fit kind=counts.")


KINDS: Registry[Kind] = Registry("kind")
