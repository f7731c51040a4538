"""From what a column holds to what it is: a type, a likelihood, and the reason in one sentence."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from senzai.core.errors import InputError, SettingError
from senzai.core.registry import suggestion
from senzai.runtime.numbers import normal_quantiles

from ..options import TableOptions
from ..rows import Array
from . import dates
from .column import TYPES, Column
from .identifiers import has_room
from .survey import MOST_VALUES, ColumnFacts

KNOTS = 257
REPEATS = 5
"""A number is an ordered value if each value occurs so often on average."""
SPIKE, LEAST_BESIDE = 0.1, 10
"""A value has a probability of its own where so many rows have it, and there are so many values in all."""
FEW = 20
"""Rows from which a column of all different values may be an identifier."""
DECIMALS = 9
TEXT_WORDS, TEXT_LENGTH = 4, 50
ID_NAME = re.compile(r"(^|[_\s])(id|uuid|guid|key)$|Id$|ID$")


def decide(facts: ColumnFacts, options: TableOptions, *, n_columns: int, written: str = "") -> Column:
    """Decide what a column is.

    Args:
        facts: What it holds.
        options: What the user set.
        n_columns: How many columns the table has: of very many, each gets a shorter description.
        written: How its text cells are read, if they are text.

    Raises:
        SettingError: The user set a type that the values do not have.
    """
    asked = options.schema_.get(str(facts.name))
    facts = as_dates(facts, asked)
    column = _column(facts, options, written)
    if facts.why and asked not in ("drop", "dropped"):
        raise InputError(
            f"A column holds numbers, dates, truth values or text, but {str(facts.name)!r} has {facts.why}. Make plain "
            f"values of them, or leave the column out with schema.{facts.name}=drop."
        )
    if asked is not None:
        if asked == "drop":
            asked = "dropped"
        if asked not in TYPES:
            raise SettingError(
                f"A column is one of {', '.join(TYPES)}, but got schema.{facts.name}={asked!r}."
                f"{suggestion(asked, list(TYPES))}"
            )
        return _as_asked(asked, column, facts, options, n_columns)
    if not facts.n_seen:
        return column.model_copy(update={"reason": "Every entry is missing: it is left out, and comes back missing."})
    if facts.n_distinct == 1:
        value = next(iter(facts.counts or {}))
        return column.model_copy(update={"levels": (value,), "reason": f"It has one value only, {value!r}."})
    if facts.holds == "bool" or written.startswith("truth"):
        return _truth(column, facts, "It holds truth values.")
    if facts.holds == "date":
        return _date(column, facts, options, n_columns)
    if facts.holds == "category":
        names = list(column.categories or ())
        why = f"It is a categorical with {len(names)} categories"
        if facts.ordered and len(names) > 1:
            return _ordinal(column, names, facts, f"{why} that have an order.")
        return _categorical(column, facts, options, f"{why}.")
    if facts.holds == "label":
        return _categorical(column, facts, options, f"It holds {facts.n_distinct} values that are no numbers.")
    if facts.holds == "text":
        return _text(column, facts, options)
    return _number(column, facts, options, n_columns)


def _column(facts: ColumnFacts, options: TableOptions, written: str) -> Column:
    told = {k: v for k, v in facts.told.items() if v is not None}
    if written:
        told["format"] = written
    if facts.told["ticks"]:
        told |= {"low": 0, "high": 0}
    if facts.categories is not None:
        told |= {"categories": facts.categories[0], "category_dtype": facts.categories[1]}
    return Column(
        name=facts.name, type="constant", n_missing=facts.n_missing, n_distinct=facts.n_distinct,
        missingness=str(facts.name) in options.missingness, **told,
    )


def as_dates(facts: ColumnFacts, asked: str | None) -> ColumnFacts:
    """Return facts of the column as dates where it holds nothing else: all texts, or enough numbers, are dates."""
    if asked not in (None, "date") or not facts.dates:
        return facts
    found = next(iter(facts.dates.values()))
    many = not dates.is_number(found.form) or found.n_distinct >= dates.ENOUGH
    return found if many or asked == "date" else facts


# --- the user's choice ----------------------------------------------------------------------------------------------
def _as_asked(asked: str, column: Column, facts: ColumnFacts, options: TableOptions, n_columns: int) -> Column:
    why = f"schema.{facts.name}={asked} was set."

    def refuse(needs: str) -> SettingError:
        held = "nothing" if not facts.n_seen else f"{facts.holds} from {facts.low:g} to {facts.high:g}" if (
            facts.low <= facts.high and facts.holds in ("int", "float")) else str(facts.holds)
        return SettingError(f"A column of the type {asked} needs {needs}, but {facts.name!r} holds {held}. "
                            "Set another type, or leave it out.")

    if asked in ("identifier", "text", "dropped", "constant"):
        if asked == "constant" and facts.n_distinct > 1:
            raise refuse("one value")
        return _left_out(column, facts, asked, why)
    if not facts.n_seen or facts.n_distinct < 2:
        raise refuse("two different values")
    number = facts.holds in ("int", "float", "decimal", "duration", "time", "bool")
    if asked == "categorical":
        return _categorical(column, facts, options, why)
    if asked == "boolean":
        if facts.n_distinct != 2:
            raise refuse("two different values")
        return _truth(column, facts, why)
    if asked == "date":
        if facts.holds != "date":
            raise refuse("dates written like 2026-01-31, or a column of dates")
        return _date(column, facts, options, n_columns, why)
    if asked == "ordinal":
        if facts.counts is None or facts.sampled > 1:
            raise refuse(f"at most {MOST_VALUES} different values")
        return _ordinal(column, list(column.categories or sorted(facts.counts, key=order_of)), facts, why)
    if not number:
        raise refuse("numbers")
    if asked == "count":
        if not facts.whole or facts.low < 0 or column.scale:
            raise refuse("whole numbers from 0 up")
        return _count(column, facts, why)
    if asked == "positive":
        if not facts.low > 0:
            raise refuse("numbers above 0")
        return _positive(column, facts, options, why)
    if asked == "bounded":
        return _bounded(column, facts, options, why)
    return _real(column, facts, options, n_columns, why)


# --- types ----------------------------------------------------------------------------------------------------------
def _left_out(column: Column, facts: ColumnFacts, what: str, why: str) -> Column:
    changes: dict[str, Any] = {"type": what, "reason": why}
    if what == "identifier":
        changes |= _of_identifiers(column, facts)
    if what == "constant" and facts.counts:
        changes["levels"] = tuple(facts.counts)
    return column.model_copy(update=changes)


def _of_identifiers(column: Column, facts: ColumnFacts) -> dict[str, Any]:
    if column.ticks == "whole":
        return {"low": int(facts.low), "high": int(facts.high), "step": max(facts.step, 1)}
    return facts.texts.fields() if facts.texts.greatest else {"greatest": f"{facts.name}-", "begins": f"{facts.name}-"}


def _truth(column: Column, facts: ColumnFacts, why: str) -> Column:
    levels = sorted(facts.counts or {False: 1, True: 1}, key=order_of)
    if facts.holds == "bool":
        levels = [False, True]
    shares = _shares(levels, facts)
    return column.model_copy(
        update={"type": "boolean", "sort": "binary", "levels": tuple(levels), "shares": shares, "reason": why}
    )


def _ordinal(column: Column, levels: list[Any], facts: ColumnFacts, why: str) -> Column:
    if len(levels) == 2:
        return _truth(column, facts, why).model_copy(update={"type": "ordinal", "levels": tuple(levels),
                                                             "shares": _shares(levels, facts)})
    return column.model_copy(update={
        "type": "ordinal", "sort": "steps", "levels": tuple(levels), "shares": _shares(levels, facts), "reason": why,
        "spike": _spike_of(_shares(levels, facts)),
    })


def _shares(levels: list[Any], facts: ColumnFacts) -> tuple[float, ...]:
    counts = facts.counts or {}
    total = sum(counts.get(v, 0) for v in levels) or 1
    return tuple(counts.get(v, 0) / total for v in levels)


def _categorical(column: Column, facts: ColumnFacts, options: TableOptions, why: str) -> Column:
    counts = facts.counts
    if counts is None:
        raise SettingError(
            f"A categorical has at most {MOST_VALUES} different values, but {facts.name!r} has more. "
            f"Leave it out with schema.{facts.name}=drop, or group its values before."
        )
    levels = list(column.categories) if column.categories is not None else sorted(counts, key=order_of)
    if len(levels) <= options.max_categories:
        return column.model_copy(update={
            "type": "categorical", "sort": "category" if len(levels) > 1 else "binary", "levels": tuple(levels),
            "shares": _shares(levels, facts), "reason": why,
        })
    frequent = sorted(counts, key=lambda v: (-counts[v], order_of(v)))
    kept, rare = frequent[: options.max_categories - 1], frequent[options.max_categories - 1 :]
    kept = [v for v in levels if v in set(kept)]
    total = facts.n_seen
    left = total - sum(counts[v] for v in kept)
    shares = [counts[v] / total for v in kept]
    told = [counts[v] for v in rare[:1000]]
    return column.model_copy(update={
        "type": "categorical", "sort": "category", "levels": tuple(kept), "other": True,
        "shares": (*shares, left / total), "rare": tuple(rare[:1000]),
        "rare_shares": tuple(n / sum(told) for n in told),
        "reason": f"{why} The {len(kept)} most frequent are kept; the others ({100 * left / total:.1f} % of the rows) "
        "share one level.",
    })


def _text(column: Column, facts: ColumnFacts, options: TableOptions) -> Column:
    words, length = facts.words / max(facts.read, 1), facts.length / max(facts.read, 1)
    many = facts.n_distinct > 0.5 * facts.n_seen
    if many and facts.n_seen >= FEW and (words >= TEXT_WORDS or length >= TEXT_LENGTH):
        why = f"Free text ({words:.0f} words a row): it is left out, and comes back empty."
        return _left_out(column, facts, "text", why)
    if facts.n_seen >= FEW and facts.all_different:
        why = "All values are different: an identifier, left out and made anew."
        return _left_out(column, facts, "identifier", why)
    some = ", ".join(str(v)[:20] for v in list(facts.counts or {})[:3])
    told = f"{some} ..." if facts.n_distinct > 3 else some
    return _categorical(column, facts, options, f"It holds text with {facts.n_distinct} different values: {told}.")


def _number(column: Column, facts: ColumnFacts, options: TableOptions, n_columns: int) -> Column:
    distinct, counts = facts.n_distinct, facts.counts
    whole = facts.holds == "int"
    different = whole and facts.n_seen >= FEW and facts.all_different and has_room(
        column.dtype, facts.low, facts.high, facts.n)
    if different and not facts.n_missing and facts.high - facts.low + 1 == facts.n:
        return _left_out(column, facts, "identifier", "Whole numbers one after the other: a row number, made anew.")
    if different and ID_NAME.search(str(facts.name)):
        return _left_out(column, facts, "identifier", "Named like an identifier and all different: made anew.")
    most = max(16, min(options.max_steps, 400_000 // max(n_columns, 1)))
    if counts is not None and distinct == 2:
        what = "0 and 1" if set(counts) == {0, 1} else " and ".join(f"{v:g}" for v in sorted(counts))
        return _truth(column, facts, f"It holds {what}.")
    if counts is not None and distinct <= most and facts.n_seen >= REPEATS * distinct:
        why = f"Numbers with {distinct} values that repeat: each has its probability."
        return _ordinal(column, sorted(counts), facts, why)
    if whole and facts.low in (0, 1) and facts.sampled == 1:
        return _count(column, facts, "Whole numbers from 0 up.")
    return _real(column, facts, options, n_columns, "Real numbers with many values.")


def _count(column: Column, facts: ColumnFacts, why: str) -> Column:
    return column.model_copy(update={
        "type": "count", "sort": "count", "low": facts.low, "high": facts.high, "decimals": 0, "origin": 0, "step": 1,
        "reason": f"{why} Negative binomial.",
    })


def _positive(column: Column, facts: ColumnFacts, options: TableOptions, why: str) -> Column:
    logs = np.log(_whole_values(facts))
    sd = float(logs.std()) or 1.0
    return column.model_copy(update={
        "type": "positive", "sort": "normal", "transform": "log", "knots": (float(logs.mean()), sd),
        "low": facts.low, "high": facts.high, "decimals": decimals_of(facts), "reason": f"{why} Log-normal.",
    })


def _bounded(column: Column, facts: ColumnFacts, options: TableOptions, why: str) -> Column:
    span = facts.high - facts.low
    margin = span * 0.5 / (facts.n_seen + 1)
    return column.model_copy(update={
        "type": "bounded", "sort": options.numbers, "transform": "logit",
        "knots": (facts.low - margin, facts.high + margin), "low": facts.low, "high": facts.high,
        "decimals": decimals_of(facts), "reason": f"{why} Between {facts.low:g} and {facts.high:g}, as logits.",
    })


def _real(column: Column, facts: ColumnFacts, options: TableOptions, n_columns: int, why: str) -> Column:
    linear = options.numbers_by == "linear"
    how = "In units of their spread" if linear else "By quantiles to a normal scale"
    return column.model_copy(update=(_linear(facts) if linear else _by_quantiles(facts, n_columns)) | {
        "type": "real", "sort": options.numbers,
        "reason": f"{why} {how}, {options.numbers.replace('_', ' ')} with a learned spread.",
    })


def _date(column: Column, facts: ColumnFacts, options: TableOptions, n_columns: int, why: str = "") -> Column:
    form = f" written like {dates.parts(column.format)[0]}" if column.format else ""
    return column.model_copy(update=_by_quantiles(facts, n_columns) | {
        "type": "date", "sort": options.numbers,
        "reason": f"{why or f'It holds dates{form}.'} By quantiles to a normal scale.",
    })


# --- numbers --------------------------------------------------------------------------------------------------------
def _by_quantiles(facts: ColumnFacts, n_columns: int) -> dict[str, Any]:
    """Return the map to a normal scale; what is counted goes in steps from its first value."""
    if not facts.told["ticks"]:
        made = _quantiles_beside_a_spike(facts.values(), n_columns, facts.low, facts.high)
        return made | {"low": facts.low, "high": facts.high, "decimals": decimals_of(facts)}
    step, origin = max(facts.step, 1), facts.origin or 0
    low, high = (facts.low - origin) // step, (facts.high - origin) // step
    made = _quantiles_beside_a_spike(facts.values() / step, n_columns, low, high)
    return made | {"low": low, "high": high, "decimals": 0, "step": step, "origin": origin}


def _linear(facts: ColumnFacts) -> dict[str, Any]:
    """Return the straight map to mean zero and unit spread, which ends at ten times the range of the data."""
    counted = bool(facts.told["ticks"])
    step, origin = (max(facts.step, 1), facts.origin or 0) if counted else (1, 0)
    x = facts.values() / step
    mean, sd = float(x.mean()), float(x.std()) or 1.0
    far = 10 * max(float(np.abs(x - mean).max()), sd)
    low, high = ((facts.low - origin) // step, (facts.high - origin) // step) if counted else (facts.low, facts.high)
    made = {"low": low, "high": high, "step": step, "origin": origin} if counted else {"low": low, "high": high}
    return made | {
        "transform": "quantile", "knots": (mean - far, mean + far), "places": (-far / sd, far / sd),
        "decimals": 0 if counted else decimals_of(facts),
    }


def _quantiles_beside_a_spike(x: Array, n_columns: int, low: float, high: float) -> dict[str, Any]:
    """Return the map of all values, or of all but one that is so frequent that it gets a probability of its own."""
    values, counts = np.unique(x, return_counts=True)
    at = int(counts.argmax())
    if counts[at] < SPIKE * len(x) or len(values) < LEAST_BESIDE:
        knots, places = quantiles(x, n_columns, low, high)
        return {"transform": "quantile", "knots": knots, "places": places}
    rest, value = x[x != values[at]], float(values[at])
    ends = low if low != value else float(rest.min()), high if high != value else float(rest.max())
    knots, places = quantiles(rest, n_columns, *ends)
    below, above = rest[rest < value], rest[rest > value]
    first, last = (float(np.interp(v, knots, places)) for v in (ends[0], ends[1]))
    left = float(np.interp(below.max(), knots, places)) if len(below) else first - 1.0
    right = float(np.interp(above.min(), knots, places)) if len(above) else last + 1.0
    code = (left + right) / 2  # in the middle of the gap, so that no other value has its number
    return {"transform": "quantile", "knots": knots, "places": places, "spike": code, "spike_value": value}


def _spike_of(shares: tuple[float, ...]) -> float | None:
    """Return which of several ordered values is so frequent that it gets a probability of its own."""
    at = int(np.argmax(shares))
    return float(at) if shares[at] >= SPIKE and len(shares) >= LEAST_BESIDE else None


def _whole_values(facts: ColumnFacts) -> Array:
    """Return the sampled numbers; what is counted, from nothing on."""
    return facts.values() + float(facts.origin or 0)


def quantiles(x: Array, n_columns: int, low: float, high: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return quantiles of data, ends included, and the normal quantiles that belong to them.

    Example:
        >>> knots, places = quantiles(np.array([0.0, 1.0, 2.0]), 1, 0.0, 2.0)
        >>> knots, [round(p, 2) for p in places]
        ((0.0, 1.0, 2.0), [-0.97, 0.0, 0.97])
    """
    m = min(KNOTS if n_columns <= 500 else 33, len(x))
    p = np.linspace(0, 1, max(m, 2))
    knots = np.quantile(x, p)
    knots[0], knots[-1] = min(low, knots[0]), max(high, knots[-1])
    least = 0.5 / max(len(x), 1)
    places = normal_quantiles(np.clip(p, least, 1 - least))
    return tuple(knots.tolist()), tuple(places.tolist())


def decimals_of(facts: ColumnFacts) -> int | None:
    """Return the decimals that all sampled numbers are rounded to, if few enough."""
    x = facts.values()
    if facts.told["ticks"] or (facts.whole and max(-facts.low, facts.high) < 2**53):
        return 0
    for d in range(1, DECIMALS + 1):
        if (np.round(x, d) == x).all():
            return d
    return None


def order_of(value: Any) -> tuple[int, Any, str]:
    """Sort numbers before text, each in its own order."""
    number = isinstance(value, int | float)
    return (0, value, "") if number else (1, 0, str(value))
