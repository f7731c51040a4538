"""Reasons: why an item is recommended to a user, in parts that add up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import InputError, SettingError
from ...data.sparse import entries
from ...evaluation.reasons import reasons as reasons_of
from .recommend import asked_users, conditions, item_number, names_of, needs_items
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained


@verb("reasons", group="Look", takes="own rows", answers="document", unfit=needs_items, steered=False)
def reasons(
    run: Trained, data: object = None, *, item: str, user: str | None = None, items: Sequence[str] | None = None,
    draws: int = 8, seed: int = 0,
) -> dict[str, Any]:
    """Say why an item is recommended to a user: what each item that the user has adds to its score, in nats.

    Args:
        run: The run.
        data: Users; by default those it was trained on.
        item: The item whose score is explained.
        user: A user of the data.
        items: Items of a new user, instead.
        draws: Orders in which the items are given to the model; the parts add up with any number of them.
        seed: Seed of the orders.
    """
    dataset, rows = asked_users(run, data, user, items)
    if len(rows) != 1:
        raise SettingError(f"Reasons are those of one user, but the data have {len(rows):,}. Name one with user=...")
    history = entries(dataset.rows, rows)
    if not history.counts[0]:
        raise InputError("Reasons are items that a user has, but this one has none that the model knows. Name some.")
    c = conditions(dataset, rows)
    at = item_number(run.schema, item)
    why, names = reasons_of(run.model, history, np.array([at]), draws=draws, seed=seed, c=c), names_of(run.schema)
    order = np.argsort(-why.added[:, 0], kind="stable")
    return {
        "item": names[at], "log_share": float(why.scores[0]), "log_share_of_nobody": float(why.base[0]),
        "because": [{"item": names[why.items[i]], "adds": float(why.added[i, 0])} for i in order],
    }
