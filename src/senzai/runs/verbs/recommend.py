"""Recommend: the items that users do not have and are likeliest to want."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ...core.errors import InputError, SettingError
from ...core.registry import suggestion
from ...data import Dataset, Schema
from ...data.histories import items_of
from ...data.sparse import Sparse, entries
from ...evaluation.ranking import pieces, recommended
from ...evaluation.reasons import log_shares, reasons
from ...evaluation.recommending import expected_items, with_newcomers
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
    because: int = 0, given: Mapping[str, object] | None = None,
    newcomers: str | Path | None = None,
) -> Any:
    """Name the likeliest items that each user does not have yet, of known users or of new ones.

    Args:
        run: The run.
        data: Users; by default those it was trained on.
        k: Items for each user.
        user: One user of the data, instead of all.
        items: Items of a new user, instead of data.
        because: Name so many items of the user for each recommendation, with what they add to it in nats.
        given: What is known of a new user, by name, of a model that was fitted with such facts.
        newcomers: A table of items with what is known of each: those that nobody had before are ranked as well.
    """
    import pandas as pd

    if k < 1 or because < 0:
        raise SettingError(f"`k >= 1` and `because >= 0` must hold, but got k={k!r}, because={because!r}.")
    if because and newcomers:
        raise SettingError("Reasons are of items that the model knows, but newcomers were asked for. Leave one out.")
    dataset, chosen = asked_users(run, data, user, items)
    if given and items is None:
        raise SettingError("What is given is known of a new user, who has items=..., but there are none. Name some.")
    told_of = condition_of_one(dataset, given) if items is not None else None
    more = None if newcomers is None else dataset.kind.newcomers(newcomers, run.schema)
    names, users = (*names_of(run.schema), *(() if more is None else more.names)), users_of(dataset)
    found: dict[str, list[Any]] = {name: [] for name in ("user", "rank", "item", "share")}
    told: list[str] = []
    for some in pieces(len(chosen)):
        seen = entries(dataset.rows, chosen[some])
        c = told_of if told_of is not None else conditions(dataset, chosen[some])
        shares = log_shares(expected_items(run.model, seen, c)).cpu()
        if more is not None:
            shares = with_newcomers(run.model, seen, shares, more.facts, c)
        order = recommended(shares, seen, k)
        for i, best in enumerate(order):
            best = best[best >= 0]
            found["user"] += [users[chosen[some][i]]] * len(best)
            found["rank"] += range(1, len(best) + 1)
            found["item"] += [names[j] for j in best]
            found["share"] += shares[i, torch.from_numpy(best)].exp().tolist()
            if because:
                told += said(run, seen.rows_of(np.array([i])), best, because, None if c is None else c[i : i + 1])
    made = pd.DataFrame(found | ({"because": told} if because else {}))
    made.attrs |= {"notes": list(more.notes)} if more is not None and more.notes else {}
    return made


def said(run: Trained, user: Sparse, best: Any, most: int, c: Tensor | None = None) -> list[str]:
    """Return for each item what speaks for it most, in words."""
    why, names = reasons(run.model, user, best, c=c), names_of(run.schema)
    lines = []
    for j in range(len(best)):
        top = np.argsort(-why.added[:, j], kind="stable")[:most]
        lines.append(", ".join(f"{names[why.items[i]]} ({why.added[i, j]:+.2f})" for i in top if why.added[i, j] > 0))
    return lines


# --- what is known of users -----------------------------------------------------------------------------------------
def conditions(dataset: Dataset, rows: np.ndarray[Any, Any]) -> Tensor | None:
    """Return what is known of some users, ``(n, width)``; ``None`` where the model is given nothing."""
    c = dataset.rows.targets.c
    return None if c is None else c[torch.from_numpy(rows)]


def condition_of_one(dataset: Dataset, given: Mapping[str, object] | None) -> Tensor | None:
    """Return what is known of a new user, ``(1, width)``: what is given, and nothing of all else.

    Raises:
        SettingError: The model is not given that, or not such a value.
    """
    condition, asked = dataset.schema.condition, dict(given or {})
    names = () if condition is None else condition.names
    if unknown := sorted(set(asked) - set(names)):
        known = f"is given {', '.join(names)}" if names else "was fitted without facts about users"
        raise SettingError(
            f"The model {known}, but got {unknown[0]!r}.{suggestion(unknown[0], list(names))} "
            "Leave it out, or fit with users=..."
        )
    if condition is None:
        return None
    return dataset.kind.encode_condition({name: [asked.get(name)] for name in names}, dataset.schema)


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
