"""Traversals and interpolations of a table: the columns that change, in the user's own values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....evaluation.changes import Change, along
from ....models.base import latent_model
from ... import words
from ...blocks import Block, Cell, Section, Way, Ways
from ...findings import PLACES, Findings, Floats, Path, Traversal
from ...numbers import number, own, short

CHANGED = 8
ENDS = (0, PLACES // 2, PLACES - 1)
STEPS = (0, 2, 4, 6, 8)
SHARES = ("from", "25 %", "50 %", "75 %", "to")


def traversals(found: Findings) -> Section:
    """Return what each of the most used latents changes."""
    made = [
        Way(f"z{t.name}", words.rate_of(found, t.name), [number(float(t.values[i]), 2) for i in ENDS],
            rows(changes(found, t), ENDS))
        for t in found.traversals
    ]
    blocks: list[Block] = [Ways(made, 400)]
    return words.traversals(found, [*words.traversal_words(found), what_is_shown("each latent")], blocks)


def interpolations(found: Findings) -> Section:
    """Return what changes from one row to another."""
    made = [
        Way(f"row {p.ends[0]} to row {p.ends[1]}", "", SHARES, rows(changes(found, p), STEPS)) for p in found.paths
    ]
    blocks: list[Block] = [Ways(made, 620)]
    return words.interpolations(found, [*words.interpolation_words(found), what_is_shown("each line")], blocks)


def changes(found: Findings, way: Traversal | Path) -> list[Change]:
    """Return the columns that change most."""
    return along(latent_model(found.model), way.z, way.c, found.schema, most=CHANGED)


def what_is_shown(each: str) -> str:
    """Say what the rows and their colours are."""
    return (
        f"The {CHANGED} columns that change most along {each}, largest change first: the expected value of numbers, "
        "the most probable category with its probability. Tinted cells differ from the first step, the stronger "
        "the more: blue is less, orange is more or another category."
    )


def rows(changes: Sequence[Change], steps: Sequence[int]) -> list[tuple[str, list[Cell]]]:
    """Return the cells of every column at some of the steps."""
    return [(short(change.column), cells(change, steps)) for change in changes]


def cells(change: Change, steps: Sequence[int]) -> list[Cell]:
    """Return the values of one column, tinted by how far they are from the first; fully by one standard deviation.

    Example:
        >>> [cell.moved for cell in cells(Change("age", 1.0, (20, 30, 40)), (0, 1, 2))]
        [0.0, 0.5, 1.0]
        >>> [cell.moved for cell in cells(Change("age", 0.2, (20, 30, 40)), (0, 1, 2))]
        [0.0, 0.1, 0.2]
    """
    values = [change.values[i] for i in steps]
    strength, at = min(1.0, change.size), numbers(change, values)
    span = 0.0 if at is None else float(np.ptp(at))
    made = []
    for k, (i, value) in enumerate(zip(steps, values, strict=True)):
        moved = (at[k] - at[0]) / span if at is not None and span else float(value != values[0])
        note = "" if change.sure is None else f"{100 * change.sure[i]:.0f} %"
        made.append(Cell(short(own(value)), note, round(float(strength * moved), 2)))
    return made


def numbers(change: Change, values: Sequence[Any]) -> Floats | None:
    """Return values as numbers, days as their count; nothing where they are categories.

    Example:
        >>> days = ("2024-01-01T00:00:00", "2024-01-03T00:00:00")
        >>> found = numbers(Change("day", 1.0, days), days)
        >>> float(found[1] - found[0]) / 86400
        2.0
    """
    if change.sure is not None or any(isinstance(v, bool) or v is None for v in values):
        return None
    try:
        days = all(isinstance(v, str) for v in values)
        return np.array(values, dtype="datetime64[s]" if days else float).astype(float)
    except (TypeError, ValueError):
        return None
