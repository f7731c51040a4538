"""What is known about a user's data, as plain values that are saved with a model."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from .column import Table

Form: TypeAlias = Literal["numpy", "torch", "pandas", "folder", "table", "polars"]
"""What comes back to the user: an array, a tensor, a DataFrame (of a file: "table"), or image arrays for a folder."""

Values: TypeAlias = Literal["binary", "unit", "levels", "real", "count", "mixed"]
"""What the model's values are: 0 or 1; in [0, 1]; 0 .. n-1; any number; 0, 1, 2, ...; or each column its own."""

ClassName: TypeAlias = bool | int | float | str


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Split(_Frozen):
    """How rows are divided: the seed of the permutation and the fractions held out.

    Example:
        >>> Split(validation=0.2).needs
        3
    """

    seed: int = 0
    validation: float = Field(default=0.1, ge=0, lt=1)
    test: float = Field(default=0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _something_is_left(self) -> Split:
        if self.validation + self.test >= 1:
            raise ValueError("validation + test must be below 1, so that something is left to train on")
        return self

    @property
    def needs(self) -> int:
        """The least number of rows for which no part is empty."""
        return 1 + (self.validation > 0) + (self.test > 0)


class Label(_Frozen):
    """The name of the label and its classes; class ``i`` is the number ``i`` in a batch."""

    name: str
    classes: tuple[ClassName, ...]


class Condition(_Frozen):
    """What generation is conditioned on, and what of it was seen, so that rows can be drawn where nothing is given.

    Args:
        names: Columns of a table, or the name of the label.
        width: Width of the condition in a batch.
        values: Combinations that were seen, one value per name each; of very many, a random part.
        shares: Share of the rows that each has.
    """

    names: tuple[str, ...]
    width: int = Field(ge=1)
    values: tuple[tuple[JsonValue, ...], ...]
    shares: tuple[float, ...]


class Schema(_Frozen):
    """What a user's data are and how they become model values and back. JSON in both directions.

    Args:
        kind: Name of the kind that read the data.
        event_shape: Shape of one row in the model; images are ``(channels, height, width)``.
        dtype: The user's dtype, numpy's name for it.
        values: What the model's values are.
        n_levels: Number of levels where ``values`` is "levels" (0 .. n_levels - 1), 2 where it is "binary".
        value_scale: The model's value is the user's value times this (255 for 8-bit data stored as k/255).
        columns: Names of DataFrame columns, in the order of the features.
        form: What comes back to the user.
        label: Name and classes of the label, if there is one.
        condition: What generation is conditioned on, if on anything.
        table: Columns of a table.
        n_rows: Rows of the data.
        split: How the rows are divided.
        fingerprint: ``sha256:...`` over the content, or ``sha256-sample:...`` over a sample of very large data.
        reasons: What was decided and why, one plain sentence each.
        options: What else reading and inverting need: image size, layout, column dtypes, rounding.
        reading: What the user set about reading, by name: later data are read the same way, unless said otherwise.

    Example:
        >>> s = Schema(kind="array", event_shape=(3,), dtype="float32", values="real", n_rows=10)
        >>> Schema.model_validate_json(s.model_dump_json()) == s
        True
    """

    kind: str
    event_shape: tuple[int, ...]
    dtype: str
    values: Values
    n_levels: int | None = None
    value_scale: float = 1.0
    columns: tuple[str | int, ...] | None = None
    form: Form = "numpy"
    label: Label | None = None
    condition: Condition | None = None
    table: Table | None = None
    n_rows: int
    split: Split = Field(default_factory=lambda: Split())
    fingerprint: str = ""
    reasons: tuple[str, ...] = ()
    options: dict[str, JsonValue] = Field(default_factory=dict)
    reading: dict[str, JsonValue] = Field(default_factory=dict)

    def but(self, **changes: Any) -> Schema:
        """Return a copy with some fields replaced, checked like a new one."""
        return Schema.model_validate({**self.model_dump(), **changes})
