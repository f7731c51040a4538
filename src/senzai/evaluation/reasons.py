"""Why an item is recommended: what each item that a user has adds to its score, parts that add up to the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.random import derive
from ..data.sparse import Sparse
from ..models.generative import Generative
from .recommending import expected_items

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

LEAST = 1e-30
ROWS = 512


@dataclass(frozen=True)
class Reasons:
    """What the items of one user add to the scores of others, in nats.

    Args:
        items: What the user has, ``(n,)``.
        asked: Items whose scores are explained, ``(m,)``.
        base: Score of each for a user of whom nothing is known, ``(m,)``.
        added: What each item of the user adds, ``(n, m)``.
    """

    items: Ints
    asked: Ints
    base: Floats
    added: Floats

    @property
    def scores(self) -> Floats:
        """The scores, log shares: base and everything that is added."""
        return np.asarray(self.base + self.added.sum(0))


def log_shares(expected: Tensor) -> Tensor:
    """Return the log of the share of each item in what a model expects, ``(n_users, n_items)``."""
    x = expected.double().clamp_min(LEAST)
    return (x / x.sum(1, keepdim=True)).log()


def reasons(
    model: Generative, user: Sparse, asked: Ints, *, draws: int = 8, seed: int = 0, c: Tensor | None = None
) -> Reasons:
    r"""Return what each item of a user adds to the log share of others.

    These are Shapley values, estimated from random orders: the items are given to the model one after the other, and
    what the score gains with each is its own. In every order the gains add up to the score less that of nobody, so
    that their means do as well, exactly, however many orders there are.

    Args:
        model: A trained model.
        user: One row.
        asked: Items whose scores are explained.
        draws: Orders; every one is also gone through backwards.
        seed: Seed of the orders.
        c: Condition of the user, ``(1, n_condition)``.
    """
    items, n = np.asarray(user.indices, np.int64), len(user.indices)
    values = np.ones(n, np.float32) if user.values is None else np.asarray(user.values)
    rng = np.random.default_rng(derive(seed, "orders"))
    orders = [o for _ in range(draws) for o in _both(rng.permutation(n))]
    gains, base = np.zeros((n, len(asked))), np.zeros(len(asked))
    for order in orders:
        row = np.repeat(np.arange(n + 1), np.arange(n + 1))
        first = np.concatenate([order[:k] for k in range(n + 1)]).astype(np.int64)
        given = Sparse.of(row, items[first], values[first], shape=(n + 1, user.n_columns))
        scores = _scores(model, given, asked, c)
        gains[order] += np.diff(scores, axis=0) / len(orders)
        base = scores[0]
    return Reasons(items, np.asarray(asked, np.int64), base, gains)


def _both(order: Ints) -> tuple[Ints, Ints]:
    return order, order[::-1]


def _scores(model: Generative, given: Sparse, asked: Ints, c: Tensor | None) -> Floats:
    found = []
    for start in range(0, given.n_rows, ROWS):
        part = given.rows_of(np.arange(start, min(given.n_rows, start + ROWS)))
        told = None if c is None else c.expand(part.n_rows, -1)
        found.append(log_shares(expected_items(model, part, told))[:, torch.from_numpy(asked)].cpu().numpy())
    return np.concatenate(found)


def item_codes(model: Generative, n_items: int, items: Ints | None = None, *, n_condition: int = 0) -> Floats:
    """Return the code of each item: that of a user who has it alone, and of whom nothing else is known, ``(n, d)``."""
    from ..core.batch import Batch
    from ..models import verbs

    every = np.arange(n_items) if items is None else np.asarray(items, np.int64)
    found = []
    for start in range(0, len(every), ROWS):
        part = every[start : start + ROWS]
        x = torch.zeros(len(part), n_items)
        x[torch.arange(len(part)), torch.from_numpy(part)] = 1
        c = torch.zeros(len(part), n_condition) if n_condition else None
        found.append(torch.cat([g.flatten(1) for g in verbs.encode(model, Batch(x, c=c))], 1).cpu())
    return np.asarray(torch.cat(found).double().numpy())


def cosines(codes: Floats, of: int) -> Floats:
    """Return the cosine between one code and all, from the mean of all."""
    centred = codes - codes.mean(0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    return np.asarray(unit @ unit[of])
