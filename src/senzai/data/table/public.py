"""Tables described without their values: the public schema a user writes, and columns made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from senzai.core.errors import InputError, SettingError
from senzai.core.files import user_path
from senzai.core.registry import suggestion
from senzai.runtime.numbers import normal_quantiles

from ..budgeted import Budget, shares
from ..options import TableOptions
from ..rows import Array
from . import codec
from .column import Column, TableDetails
from .deciding import SPIKE

BINS, MOST_LEVELS, LEAST_SHARE = 48, 128, 1e-4
UNKNOWN_DIGITS = "Write what is known without the data: from the questionnaire, the law, the device."


class PublicColumn(BaseModel):
    """A column as it is known without the data.

    Args:
        name: Its name.
        type: What it is; ``dropped`` leaves it out.
        levels: Its values, of a categorical, ordinal or boolean. A categorical without them gets those that many rows
            have, at a share of epsilon.
        low: Least value of a number.
        high: Greatest value.
        decimals: Decimals of a number; whole numbers by default.
        usual: A value that many rows have, such as 0, which gets a probability of its own.
        scale: Whether bins between ``low`` and ``high`` are of equal width, or of equal ratio from the first decimal
            on (``log``), for amounts.
        missing: Whether entries may be missing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    type: Literal["categorical", "ordinal", "boolean", "number", "dropped"]
    levels: tuple[bool | int | float | str, ...] | None = None
    low: float | None = None
    high: float | None = None
    decimals: int = 0
    usual: float | None = None
    scale: Literal["linear", "log"] = "linear"
    missing: bool = False

    @model_validator(mode="after")
    def _whole(self) -> PublicColumn:
        if self.type == "number":
            if self.low is None or self.high is None or not self.low < self.high:
                raise ValueError(f"the number {self.name!r} needs `low < high`")
        elif self.type == "ordinal" and not self.levels:
            raise ValueError(f"the ordinal {self.name!r} needs its levels in their order")
        if self.levels is not None and (len(self.levels) < 2 or len(set(map(str, self.levels))) < len(self.levels)):
            raise ValueError(f"the levels of {self.name!r} must be two or more, each once")
        return self


class PublicSchema(BaseModel):
    """What is known of a table without its values.

    Args:
        columns: Its columns.
        source: Where this is known from, for people.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[PublicColumn, ...]
    source: str = ""


def read_public(given: str | Path | Mapping[str, Any]) -> PublicSchema:
    """Return a public schema from a JSON file or plain values.

    Raises:
        SettingError: It cannot be read, or is none.
    """
    try:
        raw = given if isinstance(given, Mapping) else json.loads(user_path(given).read_text(encoding="utf-8"))
        found = PublicSchema.model_validate(raw)
    except OSError as err:
        raise SettingError(
            f"A public schema is a JSON file, but {str(given)!r} cannot be read: {err.strerror}. Name one that is."
        ) from err
    except (json.JSONDecodeError, UnicodeDecodeError) as err:
        raise SettingError(f"A public schema is a JSON file, but {str(given)!r} is none: {err}. Correct it.") from err
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise SettingError(
            f"A public schema has columns with name, type, and levels or low and high, but {where or 'it'}: "
            f"{first['msg'].removeprefix('Value error, ')}. {UNKNOWN_DIGITS}"
        ) from None
    names = [c.name for c in found.columns]
    if double := [n for n in names if names.count(n) > 1]:
        raise SettingError(f"A public schema has each column once, but {double[0]!r} stands there twice. Drop one.")
    return found


def template(names: Sequence[str]) -> dict[str, Any]:
    """Return a public schema to fill in, from names of columns alone.

    Example:
        >>> template(["age"])["columns"][0]["name"]
        'age'
    """
    line = {"type": "number, categorical, ordinal, boolean or dropped", "levels": None, "low": None, "high": None,
            "decimals": 0, "usual": None, "scale": "linear", "missing": False}
    return {"source": UNKNOWN_DIGITS, "columns": [{"name": str(name), **line} for name in names]}


# --- columns --------------------------------------------------------------------------------------------------------
def columns_of(public: PublicSchema, frame: Any, options: TableOptions, budget: Budget) -> tuple[Column, ...]:
    """Return every column of a frame as the public schema says, with shares from noisy counts where these are paid for.

    Raises:
        SettingError: Schema and table do not have the same columns.
    """
    known = {c.name: c for c in public.columns}
    names = [str(n) for n in frame.columns]
    lacking, foreign = [n for n in names if n not in known], [n for n in known if n not in names]
    if lacking or foreign:
        what = f"it lacks {lacking[0]!r}" if lacking else f"{foreign[0]!r} is no column of the data"
        near = suggestion(lacking[0] if lacking else foreign[0], list(known) if lacking else names)
        raise SettingError(
            f"A public schema describes every column, but {what}.{near} Correct the schema; type `dropped` "
            "leaves one out."
        )
    budget.of(sum(c.type != "dropped" for c in public.columns))
    return tuple(_column(known[name], frame.iloc[:, i], options, budget) for i, name in enumerate(names))


def _column(told: PublicColumn, series: Any, options: TableOptions, budget: Budget) -> Column:
    if told.type == "dropped":
        return Column(name=told.name, type="dropped", dtype="object", reason="The public schema leaves it out.")
    if told.type == "number" and _whole_steps(told) is None:
        return _number(told, series, options, budget)
    return _levels(told, series, budget)


def _whole_steps(told: PublicColumn) -> tuple[int, ...] | None:
    """Return the values of a number that has few enough to give each its probability."""
    assert told.low is not None
    assert told.high is not None
    few = told.decimals == 0 and told.high - told.low < MOST_LEVELS
    return tuple(range(int(told.low), int(told.high) + 1)) if few else None


def _levels(told: PublicColumn, series: Any, budget: Budget) -> Column:
    """Return a column whose values are listed."""
    levels, counts = told.levels, None
    if told.type == "number":
        levels = _whole_steps(told)
    elif told.type == "boolean" and levels is None:
        levels = (False, True)
    if levels is None:
        if not budget.may_look:
            raise SettingError(
                f"A categorical needs its levels where nothing may be looked at, but {told.name!r} has none in the "
                "public schema. List them there. Rows at one place can find them in noisy counts instead: set "
                "private.schema_share above 0."
            )
        there = series.dropna().astype(str).to_numpy(dtype=object)
        named, counts = budget.frequent(told.name, there)
        levels = tuple(named)
        if len(levels) < 2:
            raise InputError(
                f"A categorical has two levels that many rows have, but of {told.name!r} {len(levels)} passed the "
                "noise. List its levels in the public schema, set its type to dropped, or raise "
                "private.schema_share."
            )
    ordered = told.type in ("ordinal", "number") and len(levels) > 2
    sort = "steps" if ordered else "binary" if len(levels) == 2 else "category"
    draft = Column(
        name=told.name, type="ordinal" if ordered else "boolean" if told.type == "boolean" else "categorical",
        dtype=_dtype(told, levels), may_lack=told.missing, sort=sort, levels=levels, decimals=None,
        reason=f"The public schema says {told.type}, with {len(levels)} values.",
    )
    if counts is None and budget.may_look:
        codes, seen = codec.encode(series, draft, TableDetails(columns=(draft,), unknown="missing"))
        counts = budget.histogram(told.name, np.where(seen, codes, -1), len(levels))
    found = _floored(np.full(len(levels), 1 / len(levels)) if counts is None else shares(counts))
    at = int(np.argmax(found))
    spike = float(at) if ordered and found[at] >= SPIKE and len(levels) >= 10 else None
    return draft.model_copy(update={"shares": tuple(found.tolist()), "spike": spike})


def _dtype(told: PublicColumn, levels: Sequence[Any] = ()) -> str:
    if all(isinstance(v, bool) for v in levels) and levels:
        return "object" if told.missing else "bool"
    if levels and any(isinstance(v, str) for v in levels):
        return "object"
    whole = told.decimals == 0 and all(float(v) == int(v) for v in levels)
    return "int64" if whole and not told.missing else "float64"


def _floored(found: Array) -> Array:
    """Give every level some probability, so that one of which the noise left nothing can still be learned."""
    least = np.maximum(found, LEAST_SHARE / len(found))
    return np.asarray(least / least.sum())


# --- numbers --------------------------------------------------------------------------------------------------------
def edges_of(told: PublicColumn) -> Array:
    """Return the edges of the bins between ``low`` and ``high``."""
    assert told.low is not None
    assert told.high is not None
    low, high, unit = told.low, told.high, 10.0**-told.decimals
    if told.scale == "linear":
        return np.linspace(low, high, BINS + 1)
    return low + np.concatenate([[0.0], np.geomspace(unit, high - low, BINS)])


def _number(told: PublicColumn, series: Any, options: TableOptions, budget: Budget) -> Column:
    """Return a number, by quantiles to a normal scale; its bins are public, what lies in them is noisy counts."""
    import pandas as pd

    edges = edges_of(told)
    found = np.full(len(edges) - 1, 1 / (len(edges) - 1))
    usual = 0.5 if told.usual is not None else 0.0
    if budget.may_look:
        x = pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64)
        seen = ~np.isnan(x)
        inside = np.clip(np.nan_to_num(x), edges[0], edges[-1])
        at = np.clip(np.searchsorted(edges, inside, "right") - 1, 0, len(found) - 1)
        at = np.where(x == told.usual, len(found), at) if told.usual is not None else at
        counts = budget.histogram(told.name, np.where(seen, at, -1), len(found) + (told.usual is not None))
        every = _floored(shares(counts))
        usual = float(every[-1]) if told.usual is not None else 0.0
        found = every[: len(found)] / every[: len(found)].sum()
    below = np.concatenate([[0.0], np.cumsum(found)])
    places = normal_quantiles(np.clip(below / below[-1], 1e-3, 1 - 1e-3)) + 1e-9 * np.arange(len(below))
    column = Column(
        name=told.name, type="real", dtype=_dtype(told), may_lack=told.missing, sort=options.numbers,
        transform="quantile",
        knots=tuple(edges.tolist()), places=tuple(places.tolist()), low=told.low, high=told.high,
        decimals=told.decimals, reason=f"The public schema says a number from {told.low:g} to {told.high:g}.",
    )
    if told.usual is None:
        return column
    return column.model_copy(update={
        "spike": _gap(edges, places, told.usual), "spike_value": told.usual, "shares": (usual,),
    })


def _gap(edges: Array, places: Array, value: float) -> float:
    """Return a number of the model for a value of its own: between two places, or beyond an end."""
    if value <= edges[0]:
        return float(places[0] - 1.0)
    if value >= edges[-1]:
        return float(places[-1] + 1.0)
    at = int(np.searchsorted(edges, value))
    return float((places[at - 1] + places[at]) / 2)


# --- rows that are nobody's -----------------------------------------------------------------------------------------
def made_up(table: TableDetails, n: int, seed: int) -> tuple[Array, Array]:
    """Return rows in the model's numbers, each column by itself as the schema has it, and where they have a value.

    They are nobody's: the schema alone is looked at.
    """
    rng = np.random.default_rng(seed)
    x, seen = np.zeros((n, len(table.sorts))), np.ones((n, len(table.sorts)), dtype=bool)
    for j, column in enumerate(table.modelled):
        if column.size:
            x[:, j] = rng.choice(column.size, size=n, p=np.array(column.shares) / sum(column.shares))
        else:
            x[:, j] = np.clip(rng.standard_normal(n), column.places[0], column.places[-1])
        if column.spike is not None and not column.size:
            x[:, j] = np.where(rng.random(n) < column.shares[0], column.spike, x[:, j])
        if column.may_lack:
            seen[:, j] = rng.random(n) < 0.9
    return np.where(seen, x, 0.0), seen
