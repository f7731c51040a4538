"""Sizes of networks for remedies, chosen so that they differ from the present ones."""

from __future__ import annotations

from typing import Any

WIDE = (256, 256)


def wider(hidden: tuple[int, ...] | None) -> dict[str, Any]:
    """Return wider hidden layers; nothing for networks that have none (convolutions).

    Example:
        >>> wider((8,)), wider((256, 256)), wider(())
        ({'hidden': (256, 256)}, {'hidden': (512, 512)}, {})
    """
    if hidden is not None and not hidden:
        return {}
    small = hidden is None or max(hidden) < min(WIDE)
    return {"hidden": WIDE if small or hidden is None else tuple(2 * h for h in hidden)}


def narrower(hidden: tuple[int, ...] | None, to: int) -> dict[str, Any]:
    """Return one hidden layer of width ``to``, or of half the width there is, where that is less.

    Example:
        >>> narrower((256, 256), 32), narrower((16,), 32), narrower((), 32)
        ({'hidden': (32,)}, {'hidden': (8,)}, {})
    """
    if hidden is not None and not hidden:
        return {}
    return {"hidden": (to if hidden is None or max(hidden) > to else max(2, max(hidden) // 2),)}
