"""The contract of a kind, and the registry of all kinds.

A kind is a stateless object. Its methods are called in this order: ``accepts``, ``read``, then ``infer`` (to fit) or
``check`` (to use a model), then ``rows``; and on the way back ``decode`` and ``write``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from senzai.core.batch import Data
from senzai.core.later import Tensor
from senzai.core.registry import Registry

from . import conditioning
from .options import Options
from .rows import Array, Rows
from .schema import Form, Proposal, Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A source that was read, before or after anything was decided about it.

    Args:
        data: What the kind keeps its rows in: an array (in memory or mapped), or a description of files.
        n_rows: Number of rows.
        dtype: The user's dtype, numpy's name for it.
        form: What comes back to the user.
        origin: What the source is called in messages.
        labels: Label of each row as the user gave it.
        label_name: What the label is called.
        label_asked: Whether the user named the label, so that an unusable one is an error.
        columns: Names of the features, where they have names.
        index: Row names of a DataFrame, given back with results for the same rows.
        lengths: Number of steps of each row, for sequences in one array.
        notes: What was chosen while reading, one plain sentence each.
        facts: What else the kind found: plain values that go into ``Schema.options``.
    """

    data: Any
    n_rows: int
    dtype: str
    form: Form = "numpy"
    origin: str = "the data"
    labels: Array | None = None
    label_name: str = "label"
    label_asked: bool = False
    columns: tuple[str | int, ...] | None = None
    index: Any = None
    lengths: Any = None
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


class Kind(ABC):
    """What a user's file becomes, and the exact way back."""

    name: ClassVar[str]
    title: ClassVar[str]
    """One line for ``senzai kinds``."""
    suffixes: ClassVar[tuple[str, ...]]
    """Suffixes of the files it reads."""
    options: ClassVar[type[Options]]
    """What a user may set."""

    @abstractmethod
    def accepts(self, source: object, options: Mapping[str, Any]) -> bool:
        """Whether the source is of this kind; looks at names, shapes and headers, reads no values.

        At most one kind may accept a source, so that the choice never depends on an order.
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

    @abstractmethod
    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        """Write what :meth:`decode` gave, in the format that the suffix of ``path`` names, atomically."""

    @abstractmethod
    def propose(self, schema: Schema) -> Proposal:
        """Suggest a likelihood and a network."""

    def condition(self, given: Mapping[str, object], n: int, schema: Schema, *, seed: int = 0) -> Tensor | None:
        """Return the condition of ``n`` new rows, ``(n, width)``; ``None`` for a model without one.

        Args:
            given: What is wanted, by name: one value for all rows, or ``n`` values. What is not given is drawn from
                what was seen together with it in the data.
            n: How many rows.
            schema: Schema of the model.
            seed: Seed of what is drawn.

        Raises:
            SettingError: The model is not conditioned on a name, or has not seen a value.
        """
        values = conditioning.fill(given, n, schema, seed=seed)
        return None if values is None else self.encode_condition(values, schema)

    def encode_condition(self, values: Mapping[str, list[Any]], schema: Schema) -> Tensor:
        """Return the codes ``(n, width)`` of the user's values of what is conditioned on; by default of the label."""
        return conditioning.encode_label(values, schema)


KINDS: Registry[Kind] = Registry("kind")
