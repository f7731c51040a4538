"""What is known about one column of a table: its type, why, and all that the exact way back needs."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

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
        sort: How it is distributed in the model (see :class:`senzai.dist.MixedFamily`); empty where it is not modelled.
        levels: Its values in their order: categories, ordered values, False and True; or its one value.
        shares: Share of the observed rows that each level has.
        other: Whether the last level stands for values that are too rare, or that were never seen.
        rare: Values that ``other`` stands for, the most frequent ones of them.
        rare_shares: Their shares among themselves.
        transform: How numbers become the model's: by quantiles, as logarithm, as logit, or as they are.
        knots: Quantiles of the data, ascending.
        places: What the model has for each of them.
        low: Least value.
        high: Greatest value.
        decimals: Decimals that all values are rounded to.
        n_missing: Rows without a value.
        n_distinct: Different values that were counted (a lower bound in very large data).
        unit: Unit of a date or duration as numpy names it (``s``, ``us`` …).
        step: Dates and durations are whole multiples of so many units, counted from ``origin``.
        origin: Where the count begins, in units.
        pattern: How identifiers are written: a beginning, and the number of digits after it.
        format: How a date or a truth value was written, where it was text.
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
    low: float | None = None
    high: float | None = None
    decimals: int | None = None
    n_missing: int = 0
    n_distinct: int = 0
    unit: str | None = None
    step: int = 1
    origin: int = 0
    pattern: tuple[str, int] | None = None
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


class Table(BaseModel):
    """The columns of a table and the rules that hold for all of them.

    Args:
        columns: Every column, in the order of the table.
        unknown: What becomes of a category that was never seen: an "error", or "missing".
        rare: What becomes of values that share a level: "draw" one of them, or "group" them under one name.
        markers: Texts that mean a missing value, beside the usual ones.
        seed: Seed of what is regenerated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[Column, ...]
    unknown: Literal["error", "missing"] = "error"
    rare: Literal["draw", "group"] = "draw"
    markers: tuple[str, ...] = ()

    @property
    def modelled(self) -> tuple[Column, ...]:
        """The columns that are part of the model."""
        return tuple(c for c in self.columns if c.modelled)

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
    def features(self) -> tuple[str, ...]:
        """Names of the features."""
        return (*(str(c.name) for c in self.modelled), *(f"{c.name} is missing" for c in self.missingness))
