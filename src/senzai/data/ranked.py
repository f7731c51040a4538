"""Rows in an order, with what is known of each: what a search returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np


@final
class RankedRows(list[Any]):
    """A list of rows, the best first, with a column of values for each name.

    Kinds write the columns where a format has room for them (fields of SDF, columns of a table).

    Args:
        rows: Rows in the user's form.
        fields: Values of all rows, by name; ``score`` is among them.

    Example:
        >>> found = RankedRows(["CCO"], {"score": [0.4]})
        >>> found[0], found.scores.tolist(), found.table()
        ('CCO', [0.4], [{'row': 'CCO', 'score': 0.4}])
    """

    def __init__(self, rows: Sequence[Any], fields: Mapping[str, Sequence[Any]]) -> None:
        super().__init__(rows)
        self.fields = dict(fields)

    @property
    def scores(self) -> np.ndarray[Any, Any]:
        """Score of each row."""
        return np.asarray(self.fields["score"], dtype=float)

    def table(self) -> list[dict[str, Any]]:
        """Return rows with their values, a record each."""
        return [{"row": row, **{k: v[i] for k, v in self.fields.items()}} for i, row in enumerate(self)]


def fields_of(decoded: object) -> Mapping[str, Sequence[Any]]:
    """Return what is known of rows besides themselves; nothing of rows that were not ranked."""
    return decoded.fields if isinstance(decoded, RankedRows) else {}
