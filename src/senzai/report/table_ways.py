"""Traversals and interpolations of a table: the columns that change, in the user's own values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..evaluation.changes import Change
from .blocks import Block, Cell, Empty, Section, Way, Ways
from .findings import CHANGED, PLACES, Findings
from .numbers import number, own, short
from .sections import NO_AXIS, NO_PAIR, rate_of, traversal_words, way_words

ENDS = (0, PLACES // 2, PLACES - 1)
STEPS = (0, 2, 4, 6, 8)
SHARES = ("from", "25 %", "50 %", "75 %", "to")


def traversals(found: Findings) -> Section:
    """What each of the most used latents stands for."""
    ways = [
        Way(f"z{t.name}", rate_of(found, t.name), [number(float(t.values[i]), 2) for i in ENDS], rows(t.changes, ENDS))
        for t in found.traversals
    ]
    words = [*traversal_words(found), what_is_shown("each latent")]
    return Section("traversals", "Traversals", words, block(ways, 400, NO_AXIS))


def between(found: Findings) -> Section:
    """What changes from one row to another."""
    ways = [Way(f"row {p.ends[0]} to row {p.ends[1]}", "", SHARES, rows(p.changes, STEPS)) for p in found.paths]
    words = [*way_words(), what_is_shown("each way")]
    return Section("between", "Interpolations", words, block(ways, 620, NO_PAIR))


def what_is_shown(each: str) -> str:
    """Say what the rows and their colours are."""
    return (
        f"The {CHANGED} columns that change most along {each}, those that change most first: what is expected of "
        "numbers, and the likeliest category with its probability. Tinted cells differ from the first: blue is less, "
        "orange is more or another category."
    )


def block(ways: list[Way], least: int, why: str) -> list[Block]:
    """Return ways, or the reason why there are none."""
    return [Ways(ways, least)] if ways else [Empty(why)]


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
