"""How well items are ranked: recall, NDCG and reciprocal rank of what was held out, and what the lists are like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.random import derive
from ..data.sparse import Sparse

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

RECALLS, GAINS, LIST = (20, 50), 100, 20
"""Lengths of the lists: of the recalls, of the discounted gain, and of what is looked at as a list."""
RESAMPLED = 100
AT_ONCE = 256


@dataclass(frozen=True)
class Ranked:
    """Figures of each user, and the lists they were recommended.

    Args:
        per_user: Figures by name, one number for each user.
        lists: Items of the lists, ``(n_users, LIST)``; -1 where a user has seen nearly everything.
    """

    per_user: dict[str, Floats]
    lists: Ints

    @staticmethod
    def together(parts: list[Ranked]) -> Ranked:
        """Return the figures of all users."""
        names = parts[0].per_user
        return Ranked(
            {n: np.concatenate([p.per_user[n] for p in parts]) for n in names}, np.concatenate([p.lists for p in parts])
        )


def unseen(scores: Tensor, seen: Sparse) -> Tensor:
    """Return scores, ``(n_users, n_items)``, below all others where a user has the item already."""
    left = scores.clone()
    left[torch.from_numpy(seen.row), torch.from_numpy(np.asarray(seen.indices, np.int64))] = -torch.inf
    return left


def best_of(scores: Tensor, k: int) -> Ints:
    """Return the k best items of each user, ``(n_users, k)``, from the best on; of equal ones the first goes first.

    Example:
        >>> best_of(torch.tensor([[1.0, 3.0, 1.0, 2.0]]), 3).tolist()
        [[1, 3, 0]]
    """
    k = min(k, scores.shape[1])
    least = scores.topk(k, dim=1).values[:, -1:]
    row, item = (v.numpy() for v in (scores >= least).nonzero(as_tuple=True))
    order = np.lexsort((item, -scores[row, item].numpy(), row))
    starts = np.searchsorted(row, np.arange(len(scores)))
    return np.asarray(item[order][starts[:, None] + np.arange(k)])


def recommended(scores: Tensor, seen: Sparse, k: int) -> Ints:
    """Return the k best items that users do not have, ``(n_users, k)``; -1 where they have nearly everything."""
    lists = best_of(unseen(scores, seen), k)
    lists[np.arange(lists.shape[1]) >= (scores.shape[1] - seen.counts)[:, None]] = -1
    return lists


def ranks_of(scores: Tensor, held: Sparse) -> Ints:
    """Return how many items go before each held-out one: those with a better score, and equal ones that come first."""
    row, item = torch.from_numpy(held.row), torch.from_numpy(np.asarray(held.indices, np.int64))
    own = scores[row, item].unsqueeze(1)
    theirs, number = scores[row], torch.arange(scores.shape[1])
    before = (theirs > own) | ((theirs == own) & (number < item.unsqueeze(1)))
    return np.asarray(before.sum(1).numpy())


def rank(scores: Tensor, seen: Sparse, held: Sparse) -> Ranked:
    r"""Rank the unseen items of some users, and look for what was held out.

    Recall at k has the denominator of Liang et al., min(k, held-out items), so that 1 can be reached; NDCG is
    :math:`\sum_{r \le k} [\text{hit}_r] / \log_2(r + 1)` over its largest possible value; MRR is one over the rank of
    the first hit in the whole ranking.

    Args:
        scores: Score of each item, ``(n_users, n_items)``; higher is better.
        seen: What the users have; never recommended.
        held: What is to be found; every user has something.

    Example:
        >>> empty, held = (Sparse.of(np.array([0] * len(i)), np.array(i, int), shape=(1, 4)) for i in ([], [2]))
        >>> found = rank(torch.tensor([[0.1, 0.9, 0.5, 0.2]]), empty, held).per_user
        >>> float(found["mrr"][0]), float(found["recall_at_20"][0])
        (0.5, 1.0)
    """
    left = unseen(scores, seen)
    row, n, ranks = held.row, held.counts, ranks_of(left, held)
    found = {
        f"recall_at_{k}": np.bincount(row, weights=ranks < k, minlength=len(n)) / np.minimum(k, n) for k in RECALLS
    }
    discount = 1 / np.log2(np.arange(2, GAINS + 2))
    gain = np.where(ranks < GAINS, 1 / np.log2(ranks + 2.0), 0.0)
    ideal = np.cumsum(discount)[np.minimum(n, GAINS) - 1]
    found[f"ndcg_at_{GAINS}"] = np.bincount(row, weights=gain, minlength=len(n)) / ideal
    first = np.full(len(n), left.shape[1], np.int64)
    np.minimum.at(first, row, ranks)
    found["mrr"] = 1 / (first + 1.0)
    return Ranked({k: np.asarray(v, np.float64) for k, v in found.items()}, recommended(scores, seen, LIST))


# --- lists ----------------------------------------------------------------------------------------------------------
def gini(counts: Floats | Ints) -> float:
    """Return how unequal counts are: 0 where all are the same, near 1 where one has everything.

    Example:
        >>> gini(np.array([1, 1, 1])), round(gini(np.array([0, 0, 0, 4])), 2)
        (0.0, 0.75)
    """
    ascending = np.sort(np.asarray(counts, np.float64))
    n, total = len(ascending), ascending.sum()
    return 0.0 if total == 0 else float(2 * (np.arange(1, n + 1) * ascending).sum() / (n * total) - (n + 1) / n)


def novelty(lists: Ints, train: Sparse) -> Floats:
    """Return the mean surprise of each list in bits: minus log2 of the share of training users who have the item."""
    have = np.bincount(np.asarray(train.indices), minlength=train.n_columns)
    surprise = np.append(-np.log2((have + 1) / (train.n_rows + 1)), 0.0)
    there = lists >= 0
    return np.asarray((surprise[lists] * there).sum(1) / np.maximum(1, there.sum(1)))


def diversity(lists: Ints, train: Sparse) -> Floats:
    """Return 1 minus the mean cosine between two items of a list, by the training users who have them."""
    from scipy.sparse import csr_array

    x = train.scipy()
    x.data[:] = 1.0
    length = np.sqrt(np.bincount(np.asarray(train.indices), minlength=train.n_columns))
    x = x.multiply(1 / np.maximum(length, 1.0)[None, :]).tocsr().T
    found = []
    for start in range(0, len(lists), AT_ONCE):
        part = lists[start : start + AT_ONCE]
        row, place = np.nonzero(part >= 0)
        chosen = csr_array((np.ones(len(row)), (row, part[row, place])), (len(part), train.n_columns))
        both = np.asarray((chosen @ x).power(2).sum(1)).ravel() - chosen @ (length > 0).astype(float)
        n = (part >= 0).sum(1)
        found.append(1 - both / np.maximum(1, n * (n - 1)))
    return np.concatenate(found)


def of_lists(lists: Ints, n_items: int) -> dict[str, float]:
    """Return the share of items that anybody is recommended, and how unequally items are recommended."""
    counts = np.bincount(lists[lists >= 0], minlength=n_items)
    return {f"coverage_at_{LIST}": float((counts > 0).mean()), f"gini_at_{LIST}": gini(counts)}


def figures(ranked: Ranked, train: Sparse, *, seed: int) -> dict[str, float]:
    """Return means over users with standard errors (``_se``); those of coverage and Gini are of resampled users."""
    per_user = ranked.per_user | {
        f"novelty_at_{LIST}": novelty(ranked.lists, train), f"diversity_at_{LIST}": diversity(ranked.lists, train)
    }
    found: dict[str, float] = {}
    for name, values in per_user.items():
        found[name], found[f"{name}_se"] = mean_se(values)
    rng = np.random.default_rng(derive(seed, "resampled users"))
    n = len(ranked.lists)
    drawn = [of_lists(ranked.lists[rng.integers(n, size=n)], train.n_columns) for _ in range(RESAMPLED)]
    for name, value in of_lists(ranked.lists, train.n_columns).items():
        found[name], found[f"{name}_se"] = value, float(np.std([d[name] for d in drawn], ddof=1))
    return found


def mean_se(values: Floats) -> tuple[float, float]:
    """Return the mean and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def differences(one: Ranked, other: Ranked) -> dict[str, float]:
    """Return how much better one is than the other, user by user, with standard errors of these differences."""
    found: dict[str, float] = {}
    for name, values in one.per_user.items():
        found[name], found[f"{name}_se"] = mean_se(values - other.per_user[name])
    return found


def pieces(n: int, size: int = AT_ONCE) -> Iterator[Ints]:
    """Yield numbers of rows, so many at a time."""
    for start in range(0, n, size):
        yield np.arange(start, min(n, start + size))


