"""New identifiers: they follow the greatest one of the data, and are written as those are."""

from __future__ import annotations

import string
from math import prod
from typing import Any

CLASSES = (string.digits, string.ascii_uppercase, string.ascii_lowercase)


def new_texts(column: Any, n: int, start: int = 0) -> list[str]:
    """Return the ``n`` texts behind ``start`` new ones: they follow the greatest one in length and alphabet.

    Each letter or digit counts up among those of its sort that the data have; what all begin or end with stays.

    Args:
        column: Has ``greatest``, ``begins``, ``ends`` and ``alphabet``.
        n: How many.
        start: How many were made before.
    """
    greatest, begins, ends = column.greatest or "", column.begins, column.ends
    middle = greatest[len(begins) : len(greatest) - len(ends)]
    wheels = [_wheel(c, column.alphabet) for c in middle]
    moving = [i for i, w in enumerate(wheels) if w]
    if not moving:
        return [f"{begins}{middle}{start + i}{ends}" for i in range(1, n + 1)]
    place = 0
    for i in moving:
        place = place * len(wheels[i]) + wheels[i].index(middle[i])
    return [f"{begins}{_turned(middle, wheels, moving, place + start + i)}{ends}" for i in range(1, n + 1)]


def _wheel(letter: str, alphabet: str) -> str:
    for known in CLASSES:
        if letter in known:
            return known if known == string.digits else "".join(c for c in known if c in alphabet)
    return ""


def _turned(middle: str, wheels: list[str], moving: list[int], place: int) -> str:
    """Return the text at a place; beyond the last of its length, a longer one."""
    letters = list(middle)
    room = prod(len(wheels[i]) for i in moving)
    place, beyond = place % room, place // room
    for i in reversed(moving):
        place, at = divmod(place, len(wheels[i]))
        letters[i] = wheels[i][at]
    return (str(beyond) if beyond else "") + "".join(letters)
