"""Shadow runs: models of the same spec, trained on halves of the rows, that say how losses would be either way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.batch import Batch
from ..core.random import derive
from ..models.generative import Generative
from .auditing import at_rates, likelihood_ratios
from .membership import Floats

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
MOST_ROWS = 2000
"""Rows of a sort that are attacked, at most; shadow runs train on halves of all of them."""


@dataclass(frozen=True)
class Shadows:
    """How runs like the judged one are trained on other rows.

    Args:
        members: Numbers of the rows that the judged model was trained on.
        strangers: Numbers of the judged rows, which it was not trained on.
        take: Gives rows by their numbers.
        fit: Trains a model as the judged one was trained, on rows by their numbers, with a seed.
        n: How many to train: an even number.
        seconds: What one is expected to take.
    """

    members: Ints
    strangers: Ints
    take: Callable[[Ints], Batch]
    fit: Callable[[Ints, int], Generative]
    n: int
    seconds: float


def halves(n_rows: int, n: int, seed: int) -> Bools:
    """Return which rows each of ``n`` shadow runs is trained on, ``(n, n_rows)``: halves, and the rest of each.

    So every row is in half of them, and out of as many.

    Example:
        >>> halves(5, 4, 0).sum(0).tolist(), halves(5, 4, 0).sum(1).tolist()
        ([2, 2, 2, 2, 2], [2, 3, 2, 3])
    """
    rng = np.random.default_rng(seed)
    found = np.zeros((n, n_rows), dtype=bool)
    for pair in range(0, n, 2):
        found[pair, rng.permutation(n_rows)[: n_rows // 2]] = True
        found[pair + 1] = ~found[pair]
    return found


def attacked(
    shadows: Shadows, model: Generative, loss: Callable[[Generative, Batch], Floats], *, seed: int
) -> dict[str, Any]:
    """Return how well members are told from strangers by likelihood ratios of their losses under shadow runs.

    Beside the ratio of both distributions (online) stands how far a loss is below those of runs that did not have the
    row (offline: an attacker who trains before rows are named), and the loss itself, of the same rows.

    Args:
        shadows: How runs like the judged one are trained.
        model: The judged one.
        loss: Loss of each row under a model.
        seed: Seed of halves, rows and trainings.
    """
    rng = np.random.default_rng(derive(seed, "attacked"))
    inside, outside = (rng.permutation(rows)[:MOST_ROWS] for rows in (shadows.members, shadows.strangers))
    pool = np.concatenate([shadows.members, shadows.strangers])
    which = halves(len(pool), shadows.n, derive(seed, "halves"))
    chosen = np.concatenate([inside, outside])
    rows, order = shadows.take(chosen), np.argsort(pool)
    places = order[np.searchsorted(pool, chosen, sorter=order)]
    losses = np.stack([
        loss(shadows.fit(pool[had], derive(seed, "shadow", i)), rows) for i, had in enumerate(which)
    ])
    target, there, n = loss(model, rows), which[:, places], len(inside)
    found: dict[str, Any] = {"by_loss": at_rates(-target[:n], -target[n:])}
    for name, offline in (("online", False), ("offline", True)):
        score = likelihood_ratios(target, losses, there, offline=offline)
        found[name] = at_rates(score[:n], score[n:])
    return {**found, "shadows": shadows.n, "rows_of_a_shadow": len(pool) // 2}
