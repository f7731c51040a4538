"""What was diagnosed: findings in their order, each with its number, its threshold and the setting to change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .blocks import Block, Empty, Listing, Section, TableBlock
from .numbers import number, plural

WHY = "The root cause comes first. The page “Diagnosing” of the documentation explains each check and its threshold."


def section(metrics: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section: what ``diagnose`` found, and what was warned of in training.

    Args:
        metrics: Numbers measured so far; ``diagnosis`` is what was kept of one.
        history: Lines of the history.
    """
    warned = [f"Step {h['step']}: {h['sentence']}" for h in history if h.get("kind") == "warning"]
    blocks: list[Block] = [Listing(warned)] if warned else []
    found = metrics.get("diagnosis")
    if found is None:
        words = "This run was not diagnosed. senzai diagnose RUN looks for faults and names the setting to change."
        return Section("diagnosis", "Diagnosis", ["Warnings in training:"] if warned else [], [*blocks, Empty(words)])
    tables: list[Block] = [TableBlock(title(f), rows(f)) for f in found["findings"]]
    if not tables:
        tables = [Empty(f"{plural(len(found['well']), 'check')} passed; nothing was found.")]
    unjudged = [f"Not checked: {name.replace('_', ' ')}: {why}" for name, why in found["not_judged"].items()]
    return Section("diagnosis", "Diagnosis", [WHY], [*tables, *blocks, *([Listing(unjudged)] if unjudged else [])])


def title(found: Mapping[str, Any]) -> str:
    """Return the name of a finding as a heading.

    Example:
        >>> title({"name": "dead_codes", "grade": "illness"})
        'Dead codes (illness)'
    """
    return f"{str(found['name']).replace('_', ' ').capitalize()} ({found['grade']})"


def rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is told of a finding, line by line."""
    settings = ", ".join(f"{k}={v}" for k, v in found["remedy"]["settings"].items())
    measured = f"{number(found['value'], 3)}; wrong {found['wrong']} {number(found['threshold'], 3)}"
    told = [
        ("what", str(found["sentence"])), (str(found["quantity"]), measured), ("threshold from", str(found["source"])),
        ("remedy", str(found["remedy"]["words"])),
    ]
    return [*told, ("settings", settings)] if settings else told
