"""Descriptions of data sets and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .output import plain, table

if TYPE_CHECKING:
    from ...data import Dataset
    from ...training.bundle import Spec

VALUES = {
    "binary": "0 or 1", "unit": "between 0 and 1", "levels": "{} levels", "real": "real numbers", "count": "counts",
    "mixed": "each column its own type",
}


def recognised(data: Dataset, spec: Spec | None = None) -> list[str]:
    """Return what was recognised in the data, what will be trained on them, and why."""
    schema, proposal = data.schema, data.propose()
    facts: dict[str, object] = {
        "data": f"{len(data):,} rows of the kind {schema.kind}, each of shape {schema.shape_words}",
        "values": "; ".join(VALUES.get(f.support, f.support).format(f.n_levels) for f in schema.fields.values()),
        "likelihood": proposal.likelihood.name if spec is None else likelihood(spec),
    }
    if spec is not None:
        facts["split"] = ", ".join(f"{len(rows):,} rows for {name}" for name, rows in data.split_indices().items())
        facts["recipe"] = spec.recipe
        facts["settings"] = ", ".join(f"{k}={v}" for k, v in spec.settings.items()) or "all defaults"
    reasons = [*schema.reasons, *([proposal.reason] if facts["likelihood"] == proposal.likelihood.name else [])]
    return ["[bold]Recognised[/]", table(facts), "[bold]Because[/]", *(f"  {plain(r)}" for r in reasons)]


def likelihood(spec: Spec) -> str:
    """Return the name of the likelihood's family in a spec.

    The tree names it ``family/NAME`` under the key ``family`` of the likelihood.
    """
    family = _find(spec.model, "likelihood")
    inner = _find(family, "family") if isinstance(family, dict) else None
    name = inner.get("part") if isinstance(inner, dict) else None
    return str(name).partition("/")[2] if name else "of the recipe"


def _find(tree: Any, key: str) -> Any:
    """Return the first value under ``key`` in nested dictionaries and lists, nearest first."""
    level = [tree]
    while level:
        for node in level:
            if isinstance(node, dict) and key in node:
                return node[key]
        level = [v for n in level for v in (n.values() if isinstance(n, dict) else n if isinstance(n, list) else ())]
    return None


def number(value: Any, digits: int = 4) -> str:
    """Return a measured number as text.

    Example:
        >>> number(-12.34567), number(None), number(3)
        ('-12.35', 'not known', '3')
    """
    if value is None:
        return "not known"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def changed(rows: Any, most: int = 8) -> tuple[dict[str, Any], list[str]]:
    """Return what changes along rows of a table, for a document and as lines, the largest changes first.

    Example:
        >>> import pandas as pd
        >>> way = pd.DataFrame({"age": [20, 31]})
        >>> way.attrs["changes"] = [{"column": "age", "size": 1.2, "from": 20, "to": 31}]
        >>> print(changed(way)[1][1])
        [dim]  age  [/]20 → 31
    """
    found = getattr(rows, "attrs", {}).get("changes")
    if found is None:
        return {}, []
    ends = [[_end(change, end) for end in ("from", "to")] for change in found[:most]]
    lines = {str(change["column"]): " → ".join(end) for change, end in zip(found, ends, strict=False)}
    rest = f" [dim](the {most} largest changes of {len(found)})[/]" if len(found) > most else ""
    told = [f"[bold]What changes[/]{rest}", table(lines)] if found else ["[dim]No column changes on this way.[/]"]
    return {"changes": found}, told


def _end(change: dict[str, Any], end: str) -> str:
    value, sure = change[end], change.get(f"{end}_probability")
    told = "missing" if value is None or value != value else number(value, 5)
    return told if sure is None else f"{told} ({100 * sure:.0f} %)"
