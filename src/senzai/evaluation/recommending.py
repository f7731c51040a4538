"""The measure of a recommender: what it finds of what was held out, beside simple methods on the same users."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.batch import Batch, only
from ..core.errors import CombinationError
from ..data.histories import Histories
from ..data.sparse import Sparse
from ..models import verbs
from ..models.flat import Flat
from ..models.generative import Generative
from ..models.modes import judging
from ..nn.items import ItemDecoder
from ..parts.likelihoods.decoded import Likelihood
from .catalogue import Case, Pace, measure
from .ranking import GAINS, Ranked, differences, figures, pieces, rank
from .recommenders import RECOMMENDERS, Recommender, unfit
from .users import Users

NO_FACTS = (
    "Items that nobody had are scored from what is known of them, which takes the decoder of items, but this model has "
    "another. Fit it with items=PATH, and leave decoder and network as they are proposed."
)

CRITERION = f"ndcg_at_{GAINS}"
"""What the one number of a simple method is chosen by, on validation users."""


def expected_items(model: Generative, seen: Sparse, c: Tensor | None = None) -> Tensor:
    """Return what a model expects of every item for users who are given as what they have, ``(n, n_items)``."""
    x = torch.from_numpy(seen.dense(np.arange(seen.n_rows)))
    return only(verbs.reconstruct(model, Batch(x, c=c))).flatten(1)


def with_newcomers(model: Generative, seen: Sparse, log_share: Tensor, facts: Tensor, c: Tensor | None) -> Tensor:
    r"""Return log shares of all items and of new ones, ``(n, n_items + m)``, which together add up to one.

    A new item has the share of an item about which the same is known and nothing else: of scores from facts alone,
    its exponential over the sum of those of the items that the model knows.

    Args:
        model: A model whose decoder was told what is known of items.
        seen: What users have.
        log_share: Log shares of the items that the model knows, ``(n, n_items)``.
        facts: What is known of the new ones, ``(m, n_facts)``.
        c: Condition of the users.

    Raises:
        CombinationError: The decoder is told nothing about items.
    """
    if not (isinstance(model, Flat) and isinstance(model.likelihood, Likelihood)):
        raise CombinationError(NO_FACTS)
    decoder = model.likelihood.decoder
    if not isinstance(decoder, ItemDecoder) or decoder.by_facts is None:
        raise CombinationError(NO_FACTS)
    x = torch.from_numpy(seen.dense(np.arange(seen.n_rows)))
    (z,) = verbs.encode(model, Batch(x, c=c))
    with judging(model):
        z = model.posterior.space.as_vector(z)
        known, new = (decoder.alone_for(z, c, f).double() for f in (decoder.facts, facts))
    found = torch.cat([log_share, new.cpu() - known.logsumexp(1, keepdim=True).cpu()], 1)
    return found.log_softmax(1)


def judged(score: Callable[[Sparse, Any], Tensor], users: Histories) -> Ranked:
    """Return the figures of each user, from what scores items: a function of users and their numbers."""
    parts = []
    for index in pieces(users.seen.n_rows):
        seen, held = users.seen.rows_of(index), users.held.rows_of(index)
        parts.append(rank(score(seen, index).double(), seen, held))
    return Ranked.together(parts)


def _ranked(made: Recommender, users: Histories) -> Ranked:
    """Return the figures of each user under a simple method, which knows them by what they have."""
    return judged(lambda seen, _: made.scores(seen), users)


def best(kind: type[Recommender], users: Users) -> tuple[Recommender, float | None]:
    """Return a simple method with the setting that is best on validation users, and that setting."""
    if not kind.settings:
        return kind(users.train, 0.0), None
    if users.validation is None:
        return kind(users.train, kind.usual), kind.usual
    found, top, value = None, -np.inf, kind.usual
    for setting in kind.settings:
        made = kind(users.train, setting)
        gain = float(_ranked(made, users.validation).per_user[CRITERION].mean())
        if gain > top:
            found, top, value = made, gain, setting
    assert found is not None  # a gain is a number
    return found, value


def beside(users: Users, own: Ranked, *, seed: int) -> dict[str, dict[str, Any]]:
    """Return the figures of every simple method, or why there are none, and how much better the model is."""
    found: dict[str, dict[str, Any]] = {}
    for name, kind in RECOMMENDERS.items():
        try:
            made, setting = best(kind, users)
        except Exception as err:
            why = unfit(err)
            if why is None:
                raise
            found[name] = {"not_measured": why}
            continue
        ranked = _ranked(made, users.judged)
        told = {} if setting is None else {kind.setting_name: setting}
        better = differences(own, ranked)
        found[name] = {**figures(ranked, users.train, seed=seed), **told, "model_is_better_by": better}
    return found


def _cost(case: Case, pace: Pace) -> float:
    users = case.extras.users
    assert users is not None  # it is needed
    n = users.train.n_columns
    return pace.row * len(case.rows) + 12 * (2e-11 * n**2 * min(n, users.train.n_rows) + 2e-8 * n**2)


@measure(
    "recommendation", "what is found of items that were held out, beside popularity, item-kNN, EASE and ALS",
    needs=("users",), usual=True, cost=_cost,
)
def recommendation(case: Case) -> Mapping[str, Any]:
    """Recommend to users of whom a part of the items is hidden, and look for that part."""
    users, c = case.extras.users, case.rows.c
    assert users is not None  # it is needed

    def score(seen: Sparse, index: Any) -> Tensor:
        given = None if c is None else c[torch.from_numpy(users.judged.judged[index])]
        return expected_items(case.model, seen, given).cpu()

    own = judged(score, users.judged)
    return {
        "users": len(own.lists), "how": users.judged.how, **figures(own, users.train, seed=case.seed),
        "beside": beside(users, own, seed=case.seed),
    }
