"""What is known about one column of a table: its type, the reason, and how to convert it back exactly."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue

ColumnType: TypeAlias = Literal[
    "real", "positive", "bounded", "count", "ordinal", "categorical", "boolean", "date", "identifier", "constant",
    "text", "dropped",
]
"""What a column is. The last four are not modelled."""

MODELLED = ("real", "positive", "bounded", "count", "ordinal", "categorical", "boolean", "date")
TYPES = (*MODELLED, "identifier", "constant", "text", "dropped")

Value: TypeAlias = bool | int | float | str | None


class Column(BaseModel):
    """One column of a table.

    Args:
        name: Its name.
        type: What it is.
        reason: Why, in one sentence.
        dtype: pandas' name for its dtype.
        sort: How it is distributed in the model (see :class:`senzai.distributions.MixedFamily`); empty where it is
            not modelled.
        levels: Its values in their order: categories, ordered values, False and True; or its one value.
        shares: Share of the observed rows that each level has; of a number of a public schema, that of the spike.
        other: Whether the last level stands for values that are too rare, or that were never seen.
        rare: Values that ``other`` stands for, the most frequent ones of them.
        rare_shares: Their shares among themselves.
        transform: How numbers become the model's: by quantiles, as logarithm, as logit, or as they are.
        knots: Quantiles of the data, ascending.
        places: What the model has for each of them.
        spike: The model's number for a value that has a probability of its own; ``None`` where no value has.
        spike_value: That value, where the model's number is not the value itself.
        low: Least value, in steps from ``origin`` where values are counted.
        high: Greatest value, likewise.
        decimals: Decimals that all values are rounded to.
        n_missing: Rows without a value.
        may_lack: Whether rows may be without a value, where this is said and not counted.
        n_distinct: Different values that were counted (a lower bound in very large data).
        ticks: What values are exact counts of: whole numbers, decimals, dates, durations or times of day; empty where
            they are floating-point numbers or no numbers.
        unit: Unit of a date, duration or time as numpy names it (``s``, ``us`` …).
        scale: Digits after the point of decimals; one tick is the last of them.
        step: Values are whole multiples of so many ticks, counted from ``origin``.
        origin: Where the count begins, in ticks.
        objects: What the Python objects of a column are (``datetime``, ``decimal``, ``bytes`` …), if it holds objects.
        zone: Time zone of such objects, or of dates that were written with one.
        categories: All categories of a categorical, in their order.
        category_dtype: pandas' name for the dtype of its categories.
        greatest: The greatest identifier, beyond which new ones are made.
        alphabet: The characters that such identifiers have behind ``begins`` and before ``ends``.
        begins: What all identifiers begin with.
        ends: What all identifiers end with.
        format: How a date or a truth value was written, where it was text or a number.
        missingness: Whether the model also learns which rows lack a value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | int
    type: ColumnType
    reason: str = ""
    dtype: str = "float64"
    sort: str = ""
    levels: tuple[Value, ...] = ()
    shares: tuple[float, ...] = ()
    other: bool = False
    rare: tuple[Value, ...] = ()
    rare_shares: tuple[float, ...] = ()
    transform: Literal["quantile", "log", "logit", "none"] = "none"
    knots: tuple[float, ...] = ()
    places: tuple[float, ...] = ()
    spike: float | None = None
    spike_value: float | None = None
    low: int | float | None = None
    high: int | float | None = None
    decimals: int | None = None
    n_missing: int = 0
    may_lack: bool = False
    n_distinct: int = 0
    ticks: Literal["", "whole", "decimal", "date", "duration", "time"] = ""
    unit: str | None = None
    scale: int = 0
    step: int = 1
    origin: int = 0
    objects: str = ""
    zone: str | None = None
    categories: tuple[Value, ...] | None = None
    category_dtype: str = ""
    greatest: str | None = None
    alphabet: str = ""
    begins: str = ""
    ends: str = ""
    format: str | None = None
    missingness: bool = False

    @property
    def modelled(self) -> bool:
        """Whether it is part of the model."""
        return self.type in MODELLED

    @property
    def size(self) -> int:
        """Number of values of a column with levels, 0 for numbers."""
        return len(self.levels) + self.other if self.sort in ("steps", "category", "binary") else 0


class TableDetails(BaseModel):
    """The columns of a table and the rules that hold for all of them.

    Args:
        columns: Every column, in the order of the table.
        unknown: What becomes of a category that was never seen: an "error", or "missing".
        rare: What becomes of values that share a level: "draw" one of them, or "group" them under one name.
        markers: Texts that mean a missing value, beside the usual ones.
        labels: The columns' own labels, where these are not plain text or numbers, as :mod:`senzai.data.table.labels`
            codes them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[Column, ...]
    labels: dict[str, JsonValue] | None = None
    unknown: Literal["error", "missing"] = "error"
    rare: Literal["draw", "group"] = "draw"
    markers: tuple[str, ...] = ()

    @property
    def modelled(self) -> tuple[Column, ...]:
        """The columns that are part of the model."""
        return tuple(c for c in self.columns if c.modelled)

    def place(self, column: Column) -> int:
        """Return the place of a column in frames that are given back, which lack what was dropped."""
        return [c.name for c in self.columns if c.type != "dropped"].index(column.name)

    @property
    def missingness(self) -> tuple[Column, ...]:
        """The columns whose missingness is part of the model."""
        return tuple(c for c in self.columns if c.modelled and c.missingness)

    @property
    def sorts(self) -> tuple[str, ...]:
        """Sort of each feature: those of the columns, then one for each modelled missingness."""
        return (*(c.sort for c in self.modelled), *("binary" for _ in self.missingness))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of each feature, 0 for numbers."""
        return (*(c.size for c in self.modelled), *(2 for _ in self.missingness))

    @property
    def spikes(self) -> tuple[float | None, ...]:
        """For each feature, the number that has a probability of its own, if one has; nothing where none has."""
        found = (*(c.spike for c in self.modelled), *(None for _ in self.missingness))
        return found if any(s is not None for s in found) else ()

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features."""
        return (*(str(c.name) for c in self.modelled), *(f"{c.name} is missing" for c in self.missingness))
