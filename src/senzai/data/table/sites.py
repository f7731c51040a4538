"""A table at several sites, as :class:`senzai.data.summed.Summed` has it: what is said and counted of each column."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from senzai.core.errors import InputError, SettingError

from ..kind import Opened
from ..options import TableOptions
from ..rows import Array, Rows
from ..schema import Schema
from . import deciding, summaries
from .inference import combinations, condition_columns, condition_from, reasons_of, surveyed, table_from
from .source import Source


def outline(opened: Opened, options: TableOptions) -> dict[str, Any]:
    """Return what a site says of its table.

    Raises:
        SettingError: A label is asked for, which sites cannot agree on.
        InputError: There are no rows.
    """
    if opened.n_rows < 1:
        raise InputError(f"A site needs rows to train on, but {opened.origin} has none. Leave the site out.")
    if options.label is not None or opened.labels is not None:
        raise SettingError(
            "Sites agree on columns, and a label is none of them. Leave label=... out and generate by the column: "
            "--condition NAME."
        )
    source: Source = opened.data
    facts, kept = surveyed(source, options)
    readings = source.readings or {}
    told = [summaries.told_of(f, options, str(readings.get(f.name, ""))) for f in facts]
    kinds = {str(f.name): str(f.told.get("objects") or "") for f in facts}
    combos = [] if kept is None else [list(k) for k in combinations(kept, {n: kinds[n] for n in options.condition})]
    return {"rows": opened.n_rows, "form": opened.form, "columns": told, "combinations": combos}


def plan(outlines: Mapping[str, Mapping[str, Any]], options: TableOptions) -> dict[str, Any]:
    """Return what is counted.

    Raises:
        InputError: The sites do not have the same columns.
        SettingError: An option names a column that is not there.
    """
    names = _same_names(outlines)
    told = {site: {str(c["name"]): c for c in o["columns"]} for site, o in outlines.items()}
    columns = [summaries.planned(n, {s: t[str(n)] for s, t in told.items()}, options) for n in names]
    known = [str(n) for n in names]
    for name in (*options.schema_, *options.condition, *options.missingness):
        if name not in known:
            raise SettingError(f"The tables of the sites have no column {name!r}; they have {', '.join(known)}.")
    combos = {json.dumps(k): None for o in outlines.values() for k in o["combinations"]}
    return {"columns": columns, "combinations": [json.loads(k) for k in combos]}


def _same_names(outlines: Mapping[str, Mapping[str, Any]]) -> list[str | int]:
    first, *others = outlines
    names = [c["name"] for c in outlines[first]["columns"]]
    for site in others:
        own = [c["name"] for c in outlines[site]["columns"]]
        if set(map(str, own)) != set(map(str, names)):
            more = sorted(map(str, set(own) - set(names))) or ["none"]
            less = sorted(map(str, set(names) - set(own))) or ["none"]
            raise InputError(
                f"All sites need the same columns, but {site!r} lacks {', '.join(less)} and has {', '.join(more)} "
                f"beside those of {first!r}. Give the columns the same names everywhere, or leave them out."
            )
    return names


def tally(opened: Opened, options: TableOptions, plan: Mapping[str, Any]) -> Array:
    """Return the counts of one site, columns in the order of the plan, combinations of the condition last."""
    facts, kept = surveyed(opened.data, options)
    named = {str(f.name): f for f in facts}
    parts = [summaries.counted(named[str(c["name"])], options, c) for c in plan["columns"]]
    if plan["combinations"] and kept is not None:
        kinds = {n: str(named[n].told.get("objects") or "") for n in options.condition}
        own = {json.dumps(list(k)): n for k, n in combinations(kept, kinds).items()}
        share = opened.n_rows / max(len(kept), 1)
        parts.append(np.array([own.get(json.dumps(k), 0) * share for k in plan["combinations"]]))
    return np.concatenate(parts)


def _cut(plan: Mapping[str, Any], sums: Array) -> tuple[list[Array], Array]:
    """Return the sums of each column, and those of the combinations."""
    ends = np.cumsum([summaries.width(c) for c in plan["columns"]])
    parts = np.split(sums, ends)
    return parts[:-1], parts[-1]


def refined(plan: Mapping[str, Any], sums: Array) -> dict[str, Any]:
    """Return a plan whose intervals have about as many numbers each."""
    parts, _ = _cut(plan, sums)
    return {**plan, "columns": [summaries.refined(c, s) for c, s in zip(plan["columns"], parts, strict=True)]}


def agreed(
    kind: str, outlines: Mapping[str, Mapping[str, Any]], plan: Mapping[str, Any], sums: Array, options: TableOptions,
    *, rows: int, seed: int,
) -> tuple[Schema, Rows]:
    """Return the schema of all sites, and rows that stand in for theirs."""
    n = sum(int(o["rows"]) for o in outlines.values())
    parts, combos = _cut(plan, sums)
    told = [{str(c["name"]): c for c in o["columns"]} for o in outlines.values()]
    facts, found = {}, []
    for column, own in zip(plan["columns"], parts, strict=True):
        name = str(column["name"])
        made = summaries.merged(n, [t[name] for t in told], column, own)
        asked = options.schema_ if name in options.schema_ or not made.asked else {**options.schema_, name: made.asked}
        facts[name] = made.facts
        decided = deciding.decide(
            made.facts, options.model_copy(update={"schema_": asked}), n_columns=len(parts),
            written=told[0][name]["reading"],
        )
        found.append(_explained(decided, made.asked if name not in options.schema_ else ""))
    table = table_from(found, options, "the table of all sites")
    condition = None
    if options.condition:
        ns = {tuple(k): round(float(c)) for k, c in zip(plan["combinations"], combos, strict=True) if round(float(c))}
        ns = dict(sorted(ns.items(), key=lambda item: -item[1]))
        condition = condition_from(options.condition, condition_columns(options.condition, table), ns)
    first = next(iter(outlines.values()))
    seen = hashlib.sha256(json.dumps([plan, np.round(sums, 3).tolist()], sort_keys=True).encode()).hexdigest()
    schema = Schema(
        kind=kind, event_shape=(len(table.sorts),), dtype="mixed", values="mixed", columns=table.features,
        form=first["form"], details=table, condition=condition, n_rows=n, split=options.split,
        fingerprint=f"sha256:{seen}",
        reasons=(f"Decided from sums over {len(outlines)} sites, whose rows were not seen together.",
                 *reasons_of(table, Opened(data=None, n_rows=n, dtype="mixed", origin="the table of all sites"))),
    )
    rng = np.random.default_rng(seed)
    return schema, summaries.StandIns(table, facts, rng).rows(rows, options.condition)


def _explained(column: Any, asked: str) -> Any:
    why = {
        "identifier": "At a site all values are different: they were not sent, and are made anew.",
        "text": "Free text at a site: it was not sent, and comes back empty.",
        "dropped": "It has so many different values at a site that they were not sent: it is left out.",
    }
    return column.model_copy(update={"reason": why[asked]}) if asked in why else column


def marked(opened: Opened, name: str, value: str) -> Any:
    """Return the table as a frame with a column that says which site a row is of.

    Raises:
        InputError: It has a column of this name.
    """
    import pandas as pd

    source: Source = opened.data
    whole = pd.concat(list(source.pieces(1 << 16))) if source.whole is None else source.whole
    if name in [str(c) for c in whole.columns]:
        raise InputError(
            f"The column {name!r} is to say which site a row is of, but {opened.origin} has one already. "
            "Choose another name: --site-column NAME."
        )
    return whole.assign(**{name: value})
