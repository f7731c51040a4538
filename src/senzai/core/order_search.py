"""Looking for a graph of causes among orders of things: each takes its causes from those before it, where they pay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Causes = frozenset[int]
RIDGE = 1e-6
"""Added to the variance of each feature, so that things that say the same do not make it infinite."""
LEAST_GAIN = 1e-9
"""Nats below which two graphs are equally good."""


@dataclass(frozen=True, eq=False)
class BlockScore:
    r"""How well some things explain another by linear regressions of blocks of features, in nats, less a price.

    .. math:: s(i, S) = -\tfrac n2 \log\det \Sigma_{i \mid S} - \tfrac c2\, k_i\, k_S \log n

    with :math:`\Sigma_{i \mid S}` the covariance of the features of i that is left given those of S, and k numbers of
    features. With one feature each and c = 1 it is the Bayesian information criterion of linear regression, with
    indicators of categories the degenerate Gaussian score.

    Reference:
        Estimating the Dimension of a Model (Schwarz, 1978). https://doi.org/10.1214/aos/1176344136
        Learning High-dimensional Directed Acyclic Graphs with Mixed Data-types (Andrews et al., 2019).
        https://proceedings.mlr.press/v104/andrews19a.html

    Args:
        second: Covariances of all features, ``(F, F)``; features of variance one.
        rows: Number of rows they are from, or that these are worth.
        causes: Places of the features by which each thing explains others.
        effects: Places of the features of each thing that are explained.
        price: Factor c on the price of a parameter.

    Example:
        >>> score = BlockScore(np.array([[1.0, 0.8], [0.8, 1.0]]), 100, ((0,), (1,)), ((0,), (1,)))
        >>> round(score(1, frozenset({0})) - score(1, frozenset()), 2)  # -50 log(1 - 0.64) - log(100) / 2
        48.78
    """

    second: Array
    rows: float
    causes: Sequence[Sequence[int]]
    effects: Sequence[Sequence[int]]
    price: float = 1.0
    _known: dict[tuple[int, Causes], float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.causes)

    def __call__(self, thing: int, given: Causes) -> float:
        """Return the score of one thing given others."""
        key = (thing, given)
        if key not in self._known:
            self._known[key] = self._of(thing, given)
        return self._known[key]

    def _of(self, thing: int, given: Causes) -> float:
        own = list(self.effects[thing])
        of = [place for cause in sorted(given) for place in self.causes[cause]]
        at = of + own
        root = np.linalg.cholesky(self.second[np.ix_(at, at)] + RIDGE * np.eye(len(at)))
        left = 2 * float(np.log(np.diagonal(root)[len(of) :]).sum())
        return -self.rows / 2 * left - self.price / 2 * len(own) * len(of) * log(self.rows)


@dataclass(frozen=True, eq=False)
class Orders:
    """The best causes of each thing among those before it, found by adding and leaving out one by one.

    Args:
        score: How well some things explain another.
    """

    score: BlockScore
    _known: dict[tuple[int, Causes], tuple[Causes, float]] = field(default_factory=dict)

    def best(self, thing: int, before: Causes) -> tuple[Causes, float]:
        """Return the causes of a thing among some others, and their score."""
        key = (thing, before)
        if key not in self._known:
            self._known[key] = self._chosen(thing, before)
        return self._known[key]

    def _chosen(self, thing: int, before: Causes) -> tuple[Causes, float]:
        found: Causes = frozenset()
        worth = self.score(thing, found)
        while before:
            more, other = max((self.score(thing, found ^ {other}), -other) for other in before)
            if more <= worth + LEAST_GAIN:
                break
            found, worth = found ^ {-other}, more
        return found, worth

    def values(self, order: Sequence[int]) -> list[float]:
        """Return the score of each thing in an order."""
        return [self.best(thing, frozenset(order[:k]))[1] for k, thing in enumerate(order)]

    def moved(self, order: list[int], thing: int) -> tuple[list[int], float]:
        """Return an order in which one thing is where it is best, and what that gains."""
        start, values = order.index(thing), self.values(order)
        best, total = order, sum(values)
        gain = 0.0
        for step in (1, -1):
            now, each, at = list(order), list(values), start
            while 0 <= at + step < len(order):
                low = min(at, at + step)
                now[low], now[low + 1] = now[low + 1], now[low]
                for k in (low, low + 1):  # what stands elsewhere has the same things before it
                    each[k] = self.best(now[k], frozenset(now[:k]))[1]
                at += step
                if sum(each) - total > gain + LEAST_GAIN:
                    best, gain = list(now), sum(each) - total
        return best, gain

    def climbed(self, order: list[int]) -> tuple[list[int], float]:
        """Move things one by one until no move helps; return the order and its score."""
        while True:
            before = order
            for thing in range(len(order)):
                order, _ = self.moved(order, thing)
            if order == before:
                return order, sum(self.values(order))


def best_graph(score: BlockScore, *, starts: int = 4, seed: int = 0) -> Array:
    """Return the graph of the best order that is found, as ``(d, d)`` bool, cause first.

    Reference:
        Ordering-Based Search (Teyssier and Koller, 2005). https://arxiv.org/abs/1207.1429
        Fast Scalable and Accurate Discovery of DAGs Using the Best Order Score Search (Andrews et al., 2023), whose
        moves these are. https://arxiv.org/abs/2310.17679

    Args:
        score: How well some things explain another.
        starts: Orders to start from, by chance.
        seed: Seed of these.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> a, b = rng.normal(size=(2, 500))
        >>> x = np.stack([a, b, a + b + rng.normal(size=500)], 1)  # two causes of one effect
        >>> alone = ((0,), (1,), (2,))
        >>> best_graph(BlockScore(np.corrcoef(x.T), 500, alone, alone)).astype(int).tolist()
        [[0, 0, 1], [0, 0, 1], [0, 0, 0]]
    """
    rng, orders, d = np.random.default_rng(seed), Orders(score), len(score)
    found = [orders.climbed(rng.permutation(d).tolist()) for _ in range(max(1, starts))]
    order, _ = max(found, key=lambda one: one[1])
    graph = np.zeros((d, d), bool)
    for k, thing in enumerate(order):
        graph[list(orders.best(thing, frozenset(order[:k]))[0]), thing] = True
    return graph
