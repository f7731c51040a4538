"""Users that a recommender is judged by."""

from __future__ import annotations

from dataclasses import dataclass

from ..data.histories import Histories
from ..data.sparse import Sparse


@dataclass(frozen=True)
class Users:
    """Users that a recommender is judged by, and those that it and the simple methods learn from.

    Args:
        judged: What they are shown and what is to be found.
        train: Training users by items.
        validation: Users that settings of the simple methods are chosen on, where there are any.
    """

    judged: Histories
    train: Sparse
    validation: Histories | None = None
