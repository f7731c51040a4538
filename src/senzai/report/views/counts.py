"""Counts of many names: no picture of single rows, but a table of what is counted most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np

from ...core.batch import Data, first
from ...data import Schema
from ..blocks import Block, Listing
from .base import VIEWS, View

MOST = 12
"""Names that are shown of a row."""


@final
class CountsView(View):
    """Rows of counts as the names that are counted most in them."""

    def picture(self, row: Data, schema: Schema, *, about: Mapping[str, Any] | None = None) -> Block | None:
        """Return the names with the largest counts of a row."""
        counts = np.asarray(first(row).cpu(), dtype=float).ravel()
        names = [str(c) for c in schema.columns or range(len(counts))]
        largest = np.argsort(-counts, kind="stable")[:MOST]
        return Listing([f"{names[i]}: {counts[i]:,.4g}" for i in largest if counts[i] > 0])


VIEWS.add("counts")(CountsView())
