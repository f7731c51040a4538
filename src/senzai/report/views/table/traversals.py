"""Traversals and interpolations of a table: the columns that change, in the user's own values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....evaluation.changes import Change, along
from ... import words
from ...blocks import Block, Cell, Section, Way, Ways
from ...findings import PLACES, Findings, Path, Traversal
from ...numbers import number, own, short
from .values import details_of

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
    return along(found.model, way.z, way.c, details_of(found.schema), most=CHANGED)


def what_is_shown(each: str) -> str:
    """Say what the rows and their colours are."""
    return (
        f"The {CHANGED} columns that change most along {each}, largest change first: the expected value of numbers, "
        "the most probable category with its probability. Tinted cells differ from the first step: blue is less, "
        "orange is more or another category."
    )


def rows(changes: Sequence[Change], steps: Sequence[int]) -> list[tuple[str, list[Cell]]]:
    """Return the cells of every column at some of the steps."""
    return [(short(change.column), cells(change, steps)) for change in changes]


def cells(change: Change, steps: Sequence[int]) -> list[Cell]:
    """Return the values of one column, tinted by how far they are from the first of them.

    Example:
        >>> [cell.moved for cell in cells(Change("age", 1.0, (20, 30, 40)), (0, 1, 2))]
        [0.0, 0.5, 1.0]
    """
    made = []
    values = [change.values[i] for i in steps]
    plain = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values) and change.sure is None
    span = float(np.ptp(np.array(values, dtype=float))) if plain else 0.0
    for i, value in zip(steps, values, strict=True):
        moved = (float(value) - float(values[0])) / span if span else float(value != values[0])
        note = "" if change.sure is None else f"{100 * change.sure[i]:.0f} %"
        made.append(Cell(short(own(value)), note, round(moved, 2)))
    return made
