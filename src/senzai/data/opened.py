"""What a kind answers when it looks at a source, and what it hands on: claims, opened sources, writers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .rows import Array
from .schema import Form


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
        groups: Number of the group of each row, where rows are divided by groups.
        order: Time of each row as an ascending number, where they are divided by time.
        notes: What was chosen while reading, one plain sentence each.
        facts: What else the kind found: plain values that go into its details.
        numbers: Numbers that rows are known by, by name.
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
    groups: Array | None = None
    order: Array | None = None
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """How sure a kind is that a source is its own.

    Args:
        confidence: 0 to 1. A name that only this kind has is about 0.9, a form that several could have 0.5.
        why: The reason, as a clause that follows "because".
    """

    confidence: float
    why: str


class Writer(Protocol):
    """A file that rows are written to piece by piece; it appears when the block ends without an error."""

    def __enter__(self) -> Writer: ...

    def __exit__(self, *error: object) -> None: ...

    def write(self, rows: Any) -> None:
        """Write some more rows."""
