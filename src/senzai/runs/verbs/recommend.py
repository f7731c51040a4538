"""Recommend: the items that users do not have and are likeliest to want."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ...core.errors import InputError, SettingError
from ...core.registry import suggestion
from ...data import Dataset, Schema
from ...data.histories import items_of
from ...data.sparse import Sparse, entries
from ...evaluation.ranking import pieces, recommended
from ...evaluation.reasons import log_shares, reasons
from ...evaluation.recommending import expected_items
from .fitness import needs_latents
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained

NOBODY = "A user is one of the data, but got {user!r}.{near} Give an identifier as the data have it, or items=..."


def needs_items(schema: Schema, model: nn.Module) -> str | None:
    """Ask for rows that are sets of named items, and for a model that infers."""
    if items_of(schema) is None:
        return (
            "Items are recommended where rows are users and columns are items, but the rows of this run are something "
            "else. Fit a log of users and items (kind=interactions)."
        )
    return needs_latents(schema, model)


@verb("recommend", group="Use", takes="own rows", answers="scores", unfit=needs_items, steered=False)
def recommend(
    run: Trained, data: object = None, *, k: int = 10, user: str | None = None, items: Sequence[str] | None = None,
    because: int = 0,
) -> Any:
    """Name the likeliest items that each user does not have yet, of known users or of new ones.

    Args:
        run: The run.
        data: Users; by default those it was trained on.
        k: Items for each user.
        user: One user of the data, instead of all.
        items: Items of a new user, instead of data.
        because: Name so many items of the user for each recommendation, with what they add to it in nats.
    """
    import pandas as pd

    if k < 1 or because < 0:
        raise SettingError(f"`k >= 1` and `because >= 0` must hold, but got k={k!r}, because={because!r}.")
    dataset, chosen = asked_users(run, data, user, items)
    names, users = names_of(run.schema), users_of(dataset)
    found: dict[str, list[Any]] = {name: [] for name in ("user", "rank", "item", "share")}
    told: list[str] = []
    for some in pieces(len(chosen)):
        seen = entries(dataset.rows, chosen[some])
        c = dataset.batch(chosen[some]).c if dataset.rows.targets.c is not None else None
        shares = log_shares(expected_items(run.model, seen, c)).cpu()
        order = recommended(shares, seen, k)
        for i, best in enumerate(order):
            best = best[best >= 0]
            found["user"] += [users[chosen[some][i]]] * len(best)
            found["rank"] += range(1, len(best) + 1)
            found["item"] += [names[j] for j in best]
            found["share"] += shares[i, torch.from_numpy(best)].exp().tolist()
            if because:
                told += said(run, seen.rows_of(np.array([i])), best, because)
    return pd.DataFrame(found | ({"because": told} if because else {}))


def said(run: Trained, user: Sparse, best: Any, most: int) -> list[str]:
    """Return for each item what speaks for it most, in words."""
    why, names = reasons(run.model, user, best), names_of(run.schema)
    lines = []
    for j in range(len(best)):
        top = np.argsort(-why.added[:, j], kind="stable")[:most]
        lines.append(", ".join(f"{names[why.items[i]]} ({why.added[i, j]:+.2f})" for i in top if why.added[i, j] > 0))
    return lines


# --- who ------------------------------------------------------------------------------------------------------------
def asked_users(
    run: Trained, data: object, user: str | None, items: Sequence[str] | None
) -> tuple[Dataset, np.ndarray[Any, Any]]:
    """Return the data set of the users who are asked for, and their rows in it.

    Raises:
        SettingError: There is no such user, or a user and items are named.
        InputError: The model knows none of the items.
    """
    if items is not None:
        if user is not None or data is not None:
            raise SettingError("A new user is given by items alone, but data or a user were given too. Leave one out.")
        return run.dataset([list(items)]), np.arange(1)
    dataset = run.dataset(run.source(data))
    if user is None:
        return dataset, np.arange(len(dataset))
    known = [str(name) for name in users_of(dataset)]
    if str(user) not in known:
        raise SettingError(NOBODY.format(user=user, near=suggestion(str(user), known)))
    return dataset, np.array([known.index(str(user))])


def users_of(dataset: Dataset) -> list[Any]:
    """Return what the rows are called: users by their identifiers, else their numbers."""
    about = dataset.rows.about(np.arange(len(dataset)))
    return list(about["user"]) if "user" in about else list(range(len(dataset)))


def names_of(schema: Schema) -> tuple[str | int, ...]:
    """Return the names of the items."""
    names = items_of(schema)
    assert names is not None  # the verb fits the run
    return names


def item_number(schema: Schema, item: object) -> int:
    """Return the number of an item by its name.

    Raises:
        InputError: The model does not know it.
    """
    known = [str(name) for name in names_of(schema)]
    if str(item) not in known:
        raise InputError(
            f"An item is one that the model was trained on, but got {item!r}.{suggestion(str(item), known)} "
            f"It knows {len(known):,}, such as {known[0]!r}."
        )
    return known.index(str(item))
