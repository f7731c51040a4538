"""What is known about a user's data, as plain values that are saved with a model."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue, SerializeAsAny, model_validator
from pydantic import Field as limited

from .former import of_before

Form: TypeAlias = str
"""What comes back to the user: "numpy", "torch", "pandas", "polars", "folder", "table" (of a file), or a kind's own."""

Values: TypeAlias = str
"""Support of a field, a word of the likelihoods: binary, unit, levels, real, count, category, mixed ..."""

ClassName: TypeAlias = bool | int | float | str

DETAILS: dict[str, type[BaseModel]] = {}
"""What each kind knows about its data and no other kind does, by the kind's name; kinds enter theirs themselves."""

AXES: dict[int, tuple[str, ...]] = {1: ("feature",), 2: ("step", "feature"), 3: ("channel", "height", "width")}
"""Names of the axes of a row of one tensor, by their number."""


class Frozen(BaseModel):
    """Base of frozen models that accept no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Split(Frozen):
    """How rows are divided: the seed of the permutation, the fractions held out, and what must stay together.

    Args:
        seed: Seed of the permutation.
        validation: Fraction of rows held out for validation.
        test: Fraction of rows held out for the test.
        by: ``rows`` one by one; ``groups`` that stay together; ``time``, the latest rows being the test; ``entries``
            where a part of what is in a row is held out, so that every row trains, and every row is the test.
        column: What says which group or time a row is of.
        gap: With ``by="time"``, rows that are left out between two parts, so that windows do not overlap.
        span: With ``by="time"``, how many units of time each row covers from its own on (the steps of a window): no
            unit is covered by two parts.

    Example:
        >>> Split(validation=0.2).needs
        3
    """

    seed: int = 0
    validation: float = limited(default=0.1, ge=0, lt=1)
    test: float = limited(default=0.1, ge=0, lt=1)
    by: Literal["rows", "groups", "time", "entries"] = "rows"
    column: str | None = None
    gap: int = limited(default=0, ge=0)
    span: int = limited(default=1, ge=1)

    @model_validator(mode="after")
    def _something_is_left(self) -> Split:
        if self.validation + self.test >= 1:
            raise ValueError("validation + test must be below 1, so that something is left to train on")
        if self.gap and self.by != "time":
            raise ValueError("a gap lies between parts of time, so it needs a split by time")
        if self.span > 1 and self.by != "time":
            raise ValueError("rows that cover several units of time are divided by time")
        return self

    @property
    def needs(self) -> int:
        """The least number of rows for which no part is empty."""
        if self.by == "entries":
            return 1
        return 1 + (self.validation > 0) + (self.test > 0)


class Label(Frozen):
    """The name of the label and its classes; class ``i`` is the number ``i`` in a batch."""

    name: str
    classes: tuple[ClassName, ...]


class Quantity(Frozen):
    """A number that rows have, with its mean and deviation in the training rows.

    Args:
        name: What it is called.
        mean: Mean, in the user's unit.
        scale: Standard deviation.
    """

    name: str
    mean: float
    scale: float = limited(gt=0)


class Condition(Frozen):
    """What generation is conditioned on, and what of it was seen, so that rows can be drawn where nothing is given.

    Args:
        names: Columns of a table, or the name of the label.
        width: Width of the condition in a batch.
        values: Combinations that were seen, one value per name each; of very many, a random part.
        shares: Share of the rows that each has.
    """

    names: tuple[str, ...]
    width: int = limited(ge=1)
    values: tuple[tuple[JsonValue, ...], ...]
    shares: tuple[float, ...]


class Axis(Frozen):
    """One axis of a row.

    Args:
        name: What lies along it: feature, step, channel, height, width, depth, token ...
        size: Its length in the model; of a ragged axis, that of the longest row.
        ragged: Whether rows have lengths of their own along it.
        spacing: Distance between neighbours in the user's unit (millimetres, seconds), where it is known.
    """

    name: str
    size: int = limited(ge=0)
    ragged: bool = False
    spacing: float | None = None


class Field(Frozen):
    """One tensor of a row: which values it has, along which axes.

    Args:
        axes: Its axes, outermost first.
        support: What its values are: binary, unit, levels, real, count, category, positive, simplex, mixed.
        n_levels: Number of values of levels and categories (0 .. n_levels - 1), 2 of binary ones.
        scale: The model's value is the user's value times this (255 for 8-bit data stored as k/255).

    Example:
        >>> Field.of((1, 28, 28), "levels", n_levels=256).shape
        (1, 28, 28)
    """

    axes: tuple[Axis, ...]
    support: str
    n_levels: int | None = None
    scale: float = 1.0

    @classmethod
    def of(cls, shape: tuple[int, ...], support: str, *, n_levels: int | None = None, scale: float = 1.0) -> Field:
        """Return a field with the usual names of axes."""
        names = AXES.get(len(shape), tuple(f"axis {i}" for i in range(len(shape))))
        axes = tuple(Axis(name=name, size=n) for name, n in zip(names, shape, strict=True))
        return cls(axes=axes, support=support, n_levels=n_levels, scale=scale)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row in the model."""
        return tuple(axis.size for axis in self.axes)


class Schema(Frozen):
    """What a user's data are and how they become model values and back. JSON in both directions.

    Data of one tensor have one field, and can be described by ``event_shape``, ``values``, ``n_levels`` and
    ``value_scale``, which :meth:`but` takes as well.

    Args:
        kind: Name of the kind that read the data.
        fields: The tensors of a row by name; one, ``x``, where a row is one tensor.
        dtype: The user's dtype, numpy's name for it.
        columns: Names of the features, in their order.
        form: What comes back to the user.
        label: Name and classes of the label, if there is one.
        condition: What generation is conditioned on, if on anything.
        quantities: Numbers of rows that the model is to know: what it is conditioned on, what its codes are to tell.
        details: What only the kind knows: its ``Kind.details``.
        n_rows: Rows of the data.
        split: How the rows are divided.
        fingerprint: ``sha256:...`` over the content, or ``sha256-sample:...`` over a sample of very large data.
        reasons: What was decided and why, one plain sentence each.
        reading: What the user set about reading, by name: later data are read the same way, unless said otherwise.

    Example:
        >>> s = Schema(kind="array", event_shape=(3,), dtype="float32", values="real", n_rows=10)
        >>> Schema.model_validate_json(s.model_dump_json()) == s
        True
        >>> s.fields["x"].axes[0].name, s.event_shape, s.but(event_shape=(4,)).event_shape
        ('feature', (3,), (4,))
    """

    kind: str
    fields: dict[str, Field]
    dtype: str
    columns: tuple[str | int, ...] | None = None
    form: Form = "numpy"
    label: Label | None = None
    condition: Condition | None = None
    quantities: tuple[Quantity, ...] = ()
    details: SerializeAsAny[BaseModel] | None = None
    n_rows: int
    split: Split = limited(default_factory=lambda: Split())
    fingerprint: str = ""
    reasons: tuple[str, ...] = ()
    reading: dict[str, JsonValue] = limited(default_factory=dict)

    def __init__(self, **given: Any) -> None:  # so that type checkers take the description of a single tensor, too
        super().__init__(**given)

    @model_validator(mode="before")
    @classmethod
    def _one_tensor(cls, given: Any) -> Any:
        """Take the description of a single tensor, and schemas of earlier versions."""
        if not isinstance(given, Mapping):
            return given
        found = of_before(given)
        one = {str(k): found.pop(k) for k in ("event_shape", "values", "n_levels", "value_scale") if k in found}
        if one:
            found["fields"] = _changed(found.get("fields"), one)
        known, details = DETAILS.get(str(found.get("kind"))), found.get("details")
        if known is not None and isinstance(details, Mapping):
            found["details"] = known.model_validate(details)
        return found

    def but(self, **changes: Any) -> Schema:
        """Return a copy with some fields replaced, checked like a new one."""
        kept = {name: getattr(self, name) for name in type(self).model_fields}
        return Schema.model_validate({**kept, **changes})

    # --- data of one tensor -----------------------------------------------------------------------------------------
    @property
    def field(self) -> Field:
        """The only field.

        Raises:
            TypeError: Rows have several tensors.
        """
        if len(self.fields) != 1:
            raise TypeError(f"A row has one tensor here, but these have {', '.join(self.fields)}; read `fields`.")
        return next(iter(self.fields.values()))

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one row in the model; images are ``(channels, height, width)``."""
        return self.field.shape

    @property
    def values(self) -> Values:
        """What the model's values are."""
        return self.field.support

    @property
    def n_levels(self) -> int | None:
        """Number of levels where ``values`` is "levels" (0 .. n_levels - 1), 2 where it is "binary"."""
        return self.field.n_levels

    @property
    def value_scale(self) -> float:
        """The model's value is the user's value times this."""
        return self.field.scale

    @property
    def flat_shape(self) -> tuple[int, ...]:
        """Shape of one row as parts take it: that of its tensor; of several, as many numbers as they have together."""
        return self.event_shape if len(self.fields) == 1 else (self.size,)

    @property
    def shape_words(self) -> str:
        """Shape of one row in words, field by field where there are several.

        Example:
            >>> Schema(kind="array", event_shape=(3, 2), dtype="float32", values="real", n_rows=1).shape_words
            '3 x 2'
        """
        each = {name: " x ".join(map(str, field.shape)) for name, field in self.fields.items()}
        return ", ".join(each.values() if len(each) == 1 else (f"{name} {words}" for name, words in each.items()))

    @property
    def size(self) -> int:
        """Numbers in a row, all fields together."""
        return sum(prod(field.shape) for field in self.fields.values())


def _changed(fields: Any, one: dict[str, Any]) -> dict[str, Field]:
    """Return the only field with some of its properties replaced; axes of another shape have their usual names."""
    name, given = next(iter((fields or {"x": None}).items()))
    was = Field.of((), "") if given is None else Field.model_validate(given)
    made = Field.of(
        tuple(one.get("event_shape", was.shape)), one.get("values", was.support),
        n_levels=one.get("n_levels", was.n_levels), scale=one.get("value_scale", was.scale),
    )
    return {name: made.model_copy(update={"axes": was.axes}) if made.shape == was.shape else made}
