"""A table that lies at several sites: what each says and counts of its columns, and the schema of all of them.

What crosses: names, types, ranges and units of columns, the different values of columns that have few of them (and of
others those that a tenth of the rows share), then counts. Texts with many different values are never sent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.later import torch
from senzai.runtime.numbers import condition_code
from senzai.runtime.numbers import forward as to_model

from ..options import TableOptions
from ..rows import Array, MemoryRows, Rows, Targets
from . import deciding
from .column import Column, TableDetails
from .survey import SAMPLE, WIDER, ColumnFacts

VALUES = 1000
"""Different values of a column that a site sends at most; numbers have fewer where ``max_steps`` says so."""
BINS = 1024
"""Intervals in which the numbers of a column with many values are counted."""
TOLD = ("dtype", "unit", "objects", "zone", "format", "ticks")
"""What columns of all sites have in common."""


# --- at a site ------------------------------------------------------------------------------------------------------
def told_of(facts: ColumnFacts, options: TableOptions, reading: str) -> dict[str, Any]:
    """Return what a site says of a column before anything is counted."""
    facts = deciding.as_dates(facts, options.schema_.get(str(facts.name)))
    number = facts.holds in ("int", "float", "decimal", "date", "duration", "time")
    few = facts.counts is not None and facts.sampled == 1 and len(facts.counts) <= (
        max(16, options.max_steps) if number else VALUES)
    alike = _alike(facts, number=number)
    found: dict[str, Any] = {
        "name": facts.name, "holds": facts.holds if facts.n_seen else None, "why": facts.why, "told": facts.told,
        "reading": reading, "number": number, "alike": alike, "ordered": facts.ordered, "categories": None,
        "values": None, "frequent": None,
    }
    if facts.categories is not None:
        found["categories"] = [list(facts.categories[0]), facts.categories[1]]
    if number and facts.n_seen:
        found |= {
            "low": facts.low, "high": facts.high, "whole": facts.whole, "step": facts.step, "origin": facts.origin,
            "decimals": deciding.decimals_of(facts),
        }
    if few and not alike:
        found["values"] = sorted(facts.counts or {}, key=deciding.order_of)
    elif number and facts.n_seen:
        found["frequent"] = _frequent(facts)
    return found


def _alike(facts: ColumnFacts, *, number: bool) -> str:
    """Return what a column is whose values are not sent because each is of one row: an identifier, or text."""
    if facts.n_seen < deciding.FEW or not facts.n_seen:
        return ""
    if number:
        named = facts.holds == "int" and facts.all_different and deciding.ID_NAME.search(str(facts.name))
        return "identifier" if named else ""
    words = facts.words / max(facts.read, 1)
    if facts.n_distinct > 0.5 * facts.n_seen and words >= deciding.TEXT_WORDS:
        return "text"
    return "identifier" if facts.all_different else ""


def _frequent(facts: ColumnFacts) -> list[Any]:
    """Return numbers that at least a tenth of the rows share: they may get a probability of their own."""
    values, counts = np.unique(facts.values(), return_counts=True)
    kept = values[counts >= deciding.SPIKE * max(len(facts.values()), 1)]
    return [int(v) + (facts.origin or 0) if facts.told["ticks"] else float(v) for v in kept.tolist()]


def counted(facts: ColumnFacts, options: TableOptions, column: Mapping[str, Any]) -> Array:
    """Return the counts of one site: missing entries, each value, and how many numbers lie in each interval."""
    facts = deciding.as_dates(facts, options.schema_.get(str(facts.name)))
    scale = 10 ** (column["scale"] - (facts.told.get("scale") or 0)) if column["scale"] else 1
    found = [float(facts.n_missing)]
    if column["values"] is not None:
        own = {_key(k, scale): n for k, n in (facts.counts or {}).items()}
        found += [float(own.get(_key(v, 1), 0)) for v in column["values"]]
    elif column["edges"] is not None:
        x = facts.values()
        if facts.told["ticks"]:
            x = x * scale + float((facts.origin or 0) * scale - column["origin"])
        weight = facts.n_seen / max(len(x), 1)
        for value in column["frequent"]:
            at = value - column["origin"] if facts.told["ticks"] else value
            found.append(float((x == at).sum()) * weight)
            x = x[x != at]
        found += (np.histogram(x, np.array(column["edges"]))[0] * weight).tolist()
    return np.array(found)


def _key(value: Any, scale: int) -> Any:
    """Return what equal values have in common at all sites: 1 and 1.0, but not 1 and "1"."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return value * scale


# --- for all sites --------------------------------------------------------------------------------------------------
def planned(name: str | int, told: Mapping[str, Mapping[str, Any]], options: TableOptions) -> dict[str, Any]:
    """Return what is counted of a column, from what all sites say of it.

    Raises:
        InputError: It holds one thing at one site and another at another.
    """
    _same(name, told)
    seen = [t for t in told.values() if t["holds"] is not None] or list(told.values())
    scale = max(int(t["told"].get("scale") or 0) for t in seen)
    found: dict[str, Any] = {"name": name, "scale": scale, "values": None, "frequent": [], "edges": None, "origin": 0}
    if any(t["alike"] for t in seen):
        return found
    number = all(t["number"] for t in seen)
    if all(t["values"] is not None for t in seen):
        values = {_key(v, _factor(t, scale)): None for t in seen for v in t["values"]}
        return found | {"values": sorted(values, key=deciding.order_of)}
    if not number or "low" not in seen[0]:
        return found
    low, high = min(t["low"] * _factor(t, scale) for t in seen), max(t["high"] * _factor(t, scale) for t in seen)
    ticks = bool(seen[0]["told"]["ticks"])
    origin = (seen[0]["origin"] or 0) * _factor(seen[0], scale) if ticks else 0
    common = {v * _factor(t, scale) for t in seen for v in (t["frequent"] or t["values"] or [])[:VALUES]}
    edges = np.linspace(float(low - origin), float(high - origin), BINS + 1)
    return found | {"frequent": sorted(common), "edges": _distinct(edges), "origin": origin}


def _factor(told: Mapping[str, Any], scale: int) -> int:
    return int(10 ** (scale - int(told["told"].get("scale") or 0))) if scale else 1


def _distinct(edges: Array) -> list[float]:
    found: list[float] = np.unique(edges).tolist()
    return found if len(found) > 1 else [found[0], math.nextafter(found[0], math.inf)]


def _same(name: str | int, told: Mapping[str, Mapping[str, Any]]) -> None:
    known: tuple[str, Mapping[str, Any]] | None = None
    for site, t in told.items():
        if t["holds"] is None:
            continue
        if known is None:
            known = site, t
            continue
        first, other = known
        a, b = other["holds"], t["holds"]
        alike = a == b or frozenset((a, b)) in WIDER
        differs = [k for k in ("unit", "zone", "format", "reading") if (other["told"] | other).get(k) != (
            t["told"] | t).get(k)] if a == b else []
        if not alike or differs:
            what = f"{a} and {b}" if not alike else f"another {differs[0]} in each"
            raise InputError(
                f"Sites must agree on what a column holds, but {str(name)!r} holds {what} at {first!r} and {site!r}. "
                f"Write it in one way at all sites, or leave it out everywhere: --set schema.{name}=drop."
            )


def refined(column: Mapping[str, Any], sums: Array) -> dict[str, Any]:
    """Return the plan of a column with as many intervals, each of which has about as many numbers."""
    if column["edges"] is None:
        return dict(column)
    edges, counts = np.array(column["edges"]), sums[1 + len(column["frequent"]) :]
    total = np.concatenate([[0.0], np.cumsum(counts)])
    if total[-1] <= 0:
        return dict(column)
    found = np.interp(np.linspace(0, total[-1], BINS + 1), total, edges)
    return dict(column) | {"edges": _distinct(np.concatenate([[edges[0]], found, [edges[-1]]]))}


def width(column: Mapping[str, Any]) -> int:
    """Return how many counts a column has."""
    edges = 0 if column["edges"] is None else len(column["edges"]) - 1
    return 1 + len(column["values"] or []) + (len(column["frequent"]) + edges if edges else 0)


@dataclass
class MergedColumn:
    """What all sites together know of a column.

    Args:
        facts: As if one had seen all rows.
        asked: The type of a column whose values were not sent.
    """

    facts: ColumnFacts
    asked: str = ""


def merged(n: int, told: list[Mapping[str, Any]], column: Mapping[str, Any], sums: Array) -> MergedColumn:
    """Return the facts of a column over all sites."""
    seen = [t for t in told if t["holds"] is not None] or told
    scale = column["scale"]
    facts = ColumnFacts(column["name"], n=n, n_missing=round(float(sums[0])))
    facts.holds = _widest([t["holds"] for t in seen])
    same = next((t for t in seen if t["holds"] == facts.holds), seen[0])
    facts.told = dict(same["told"]) | ({"scale": scale} if scale else {})
    facts.why = next((t["why"] for t in told if t["why"]), "")
    facts.ordered = any(t["ordered"] for t in seen)
    cats = next((t["categories"] for t in seen if t["categories"] is not None), None)
    if cats is not None:
        names = dict.fromkeys(v for t in seen if t["categories"] is not None for v in t["categories"][0])
        facts.categories = tuple(names), cats[1]
    if "low" in seen[0]:
        _range(facts, seen, scale)
    facts.counts = None
    if column["values"] is not None:
        ns = [round(float(c)) for c in sums[1:]]
        facts.counts = {v: c for v, c in zip(column["values"], ns, strict=True) if c > 0}
        if "low" in seen[0]:
            facts.sample = [_repeated(facts, np.array(list(facts.counts), dtype=float), list(facts.counts.values()))]
    elif column["edges"] is not None:
        facts.sample = [_sampled(facts, column, sums[1:], seen)]
    asked = next((t["alike"] for t in seen if t["alike"]), "")
    many = facts.counts is None and column["edges"] is None and facts.n_seen > 0
    return MergedColumn(facts, asked or ("dropped" if many else ""))


def _widest(holds: list[Any]) -> Any:
    found = holds[0]
    for other in holds[1:]:
        if other is not None and other != found:
            found = WIDER.get(frozenset((found, other)), found)
    return found


def _range(facts: ColumnFacts, seen: list[Mapping[str, Any]], scale: int) -> None:
    factors = [_factor(t, scale) for t in seen]
    facts.low = min(t["low"] * f for t, f in zip(seen, factors, strict=True))
    facts.high = max(t["high"] * f for t, f in zip(seen, factors, strict=True))
    facts.whole = all(t["whole"] for t in seen)
    if facts.told["ticks"]:
        origins = [int(t["origin"] or 0) * f for t, f in zip(seen, factors, strict=True)]
        steps = [int(t["step"]) * f for t, f in zip(seen, factors, strict=True)]
        facts.origin = origins[0]
        facts.step = math.gcd(*steps, *(o - origins[0] for o in origins))


def _repeated(facts: ColumnFacts, values: Array, counts: list[int]) -> Array:
    """Return numbers as often as they were counted, fewer in proportion where there are very many."""
    total = sum(counts)
    share = min(1.0, 2 * SAMPLE / max(total, 1))
    ns = np.maximum(1, np.rint(np.array(counts) * share)).astype(int)
    return np.repeat(values - float(facts.origin or 0), ns)


def _sampled(facts: ColumnFacts, column: Mapping[str, Any], sums: Array, seen: list[Mapping[str, Any]]) -> Array:
    """Return numbers spread over the intervals in which they were counted, rounded as the numbers of the sites are."""
    k, edges = len(column["frequent"]), np.array(column["edges"])
    share = min(1.0, 2 * SAMPLE / max(float(sums.sum()), 1.0))
    ns = np.maximum(np.rint(sums * share), 0).astype(int)
    parts = [np.full(n, v - (column["origin"] if facts.told["ticks"] else 0.0))
             for v, n in zip(column["frequent"], ns[:k], strict=True)]
    for low, high, n in zip(edges[:-1], edges[1:], ns[k:], strict=True):
        if n:
            parts.append(low + (high - low) * (np.arange(n) + 0.5) / n)
    found = np.concatenate(parts) if parts else np.zeros(0)
    if facts.told["ticks"]:
        step = max(facts.step, 1)
        return np.rint(found / step) * step
    places = [t["decimals"] for t in seen]
    return found if None in places else np.round(found, max(places))


# --- rows that stand in ---------------------------------------------------------------------------------------------
@dataclass
class StandIns:
    """Rows drawn from the sums, each column by itself: what a model looks at before it is trained."""

    table: TableDetails
    facts: Mapping[str, ColumnFacts]
    rng: np.random.Generator
    parts: list[Array] = field(default_factory=list)

    def rows(self, n: int, condition: tuple[str, ...]) -> Rows:
        """Return ``n`` rows in model values."""
        found = [self._drawn(c, n) for c in self.table.modelled]
        x, seen = np.stack([f[0] for f in found], 1), np.stack([f[1] for f in found], 1)
        places = {str(c.name): i for i, c in enumerate(self.table.modelled)}
        unknown = [~seen[:, places[str(c.name)]] for c in self.table.missingness]
        given = [condition_code(x[:, places[n]], seen[:, places[n]], self.table.modelled[places[n]])
                 for n in condition]
        x = np.concatenate([x, *(u[:, None].astype(float) for u in unknown)], 1)
        seen = np.concatenate([seen, *(np.ones((n, 1), bool) for _ in unknown)], 1)
        c = torch.from_numpy(np.concatenate(given, 1)) if given else None
        return MemoryRows(x, Targets(c=c), None if seen.all() else seen)

    def _drawn(self, column: Column, n: int) -> tuple[Array, Array]:
        facts = self.facts[str(column.name)]
        seen = self.rng.random(n) >= facts.n_missing / max(facts.n, 1)
        if column.sort in ("category", "binary", "steps"):
            shares = np.array(column.shares)
            total = shares.sum()
            p = shares / total if total > 0 else np.full(len(shares), 1 / len(shares))
            codes = self.rng.choice(len(p), n, p=p).astype(float)
        else:
            raw = self.rng.choice(facts.values(), n)
            if column.ticks:
                raw = (raw + float((facts.origin or 0) - column.origin)) / column.step
            codes = to_model(raw, column)
        return np.where(seen, codes, 0.0), seen
