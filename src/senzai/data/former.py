"""Converts schemas of earlier versions to the current form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def of_before(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema of any version with the current names.

    Version 0.1 kept the columns of a table under ``table`` and everything else that a kind knows under ``options``.

    Example:
        >>> of_before({"kind": "array", "table": None, "options": {"missing": "keep"}})
        {'kind': 'array', 'details': {'missing': 'keep'}}
    """
    found = dict(given)
    table, options = found.pop("table", None), found.pop("options", None)
    if options and "in_memory" in options:
        options = dict(options)
        found["reading"] = {"in_memory": options.pop("in_memory"), **found.get("reading", {})}
    if table is not None or options is not None:
        found["details"] = {**(table or {}), **(options or {})}
    return found
