"""Published numbers, reproduced: one row each, with its protocol, budget, seed, wall time and what differs, in words.

``python -m benchmarks.run papers`` lists the rows; ``python -m benchmarks.run papers vae vae-vamp`` runs some. Each row
writes ``benchmarks/results/papers/<row>.json``; ``docs/papers.md`` is made from these files.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One published number.

    Args:
        title: One line for the list.
        run: ``(budget, quick) -> result``; budget 1 is the row's default.
    """

    title: str
    run: Callable[[float, bool], dict[str, Any]]


def rows() -> dict[str, Row]:
    """Return the rows that the modules of this folder have, by name."""
    found: dict[str, Row] = {}
    for module in pkgutil.iter_modules(__path__):
        found |= getattr(importlib.import_module(f"{__name__}.{module.name}"), "ROWS", {})
    return found
