"""Figures of rankings: by hand, and against a slow implementation that looks at one user after the other."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest
import torch

from senzai.data.sparse import Sparse
from senzai.evaluation.ranking import (
    GAINS,
    LIST,
    best_of,
    differences,
    diversity,
    figures,
    gini,
    novelty,
    of_lists,
    rank,
    ranks_of,
    unseen,
)


def users(*items, n_items):
    row = np.repeat(np.arange(len(items)), [len(i) for i in items])
    return Sparse.of(row, np.array([j for i in items for j in i], int), shape=(len(items), n_items))


def slow(scores, seen, held, k_recall, k_gain):
    """One user, in plain Python: recall with Liang's denominator, NDCG, reciprocal rank, and the list."""
    order = sorted((i for i in range(len(scores)) if i not in seen), key=lambda i: (-scores[i], i))
    hits = [i in held for i in order]
    recall = sum(hits[:k_recall]) / min(k_recall, len(held))
    gain = sum(h / log2(r + 2) for r, h in enumerate(hits[:k_gain]))
    ideal = sum(1 / log2(r + 2) for r in range(min(k_gain, len(held))))
    return recall, gain / ideal, 1 / (hits.index(True) + 1), order


@pytest.mark.parametrize("batch", range(4))
def test_figures_are_those_of_a_slow_implementation(batch):
    rng = np.random.default_rng(batch)
    for _ in range(50):  # two hundred cases in all
        n_items = int(rng.integers(3, 160))
        scores = rng.normal(size=n_items) if rng.random() < 0.5 else rng.integers(4, size=n_items).astype(float)
        order = rng.permutation(n_items)
        n_held = int(rng.integers(1, max(2, n_items // 2)))
        held, seen = set(order[:n_held].tolist()), set(order[n_held : n_held + int(rng.integers(0, n_items // 3 + 1))])
        found = rank(torch.from_numpy(scores)[None], users(sorted(seen), n_items=n_items),
                     users(sorted(held), n_items=n_items))
        truth = slow(scores, seen, held, 20, GAINS)
        assert found.per_user["recall_at_20"][0] == pytest.approx(truth[0])
        assert found.per_user["recall_at_50"][0] == pytest.approx(slow(scores, seen, held, 50, GAINS)[0])
        assert found.per_user["ndcg_at_100"][0] == pytest.approx(truth[1])
        assert found.per_user["mrr"][0] == pytest.approx(truth[2])
        assert [i for i in found.lists[0] if i >= 0] == truth[3][:LIST]


def test_by_hand():
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.6, 0.5]])
    found = rank(scores, users([0], n_items=5), users([2, 4], n_items=5)).per_user
    assert found["mrr"][0] == 0.5, "item 1 goes before item 2; item 0 is seen and counts for nothing"
    assert found["recall_at_20"][0] == 1.0
    assert found["ndcg_at_100"][0] == pytest.approx((1 / log2(3) + 1 / log2(5)) / (1 + 1 / log2(3)))


def test_the_denominator_of_recall_is_what_can_be_found():
    scores = torch.arange(60.0).flip(0)[None]
    found = rank(scores, users([], n_items=60), users(range(30), n_items=60)).per_user
    assert found["recall_at_20"][0] == 1.0, "of thirty items twenty can be among the first twenty"
    assert found["recall_at_50"][0] == 1.0


def test_seen_items_are_in_no_list():
    scores = torch.rand(4, 30).double()
    seen = users(range(10), range(5, 25), [], range(29), n_items=30)
    lists = rank(scores, seen, users([29], [29], [29], [29], n_items=30)).lists
    for row in range(4):
        have = set(seen.rows_of(np.array([row])).indices.tolist())
        assert not have & set(lists[row].tolist())
    assert (lists[3] >= 0).sum() == 1, "who has nearly everything is recommended the rest"


def test_ranks_count_what_goes_before():
    assert ranks_of(torch.tensor([[1.0, 3.0, 1.0, 2.0]]), users([0, 2, 3], n_items=4)).tolist() == [2, 3, 1]
    assert best_of(torch.tensor([[1.0, 3.0, 1.0, 1.0]]), 3).tolist() == [[1, 0, 2]]
    assert unseen(torch.ones(1, 2), users([1], n_items=2)).tolist() == [[1.0, -np.inf]]


def test_coverage_and_gini_by_hand():
    found = of_lists(np.array([[0, 1], [0, -1]]), 4)
    assert found[f"coverage_at_{LIST}"] == 0.5
    assert found[f"gini_at_{LIST}"] == pytest.approx(gini(np.array([2, 1, 0, 0])))
    pairs = np.abs(np.subtract.outer([2, 1, 0, 0], [2, 1, 0, 0])).sum() / (2 * 4 * 3)
    assert gini(np.array([2, 1, 0, 0])) == pytest.approx(pairs), "half the relative mean difference"


def test_novelty_is_the_surprise_of_an_item():
    train = users([0], [0], [0, 1], n_items=3)
    assert novelty(np.array([[0, 1], [2, -1]]), train).tolist() == pytest.approx([(0 + 1) / 2, 2.0])


def test_diversity_is_one_less_the_mean_cosine():
    rng = np.random.default_rng(0)
    x = rng.random((40, 12)) < 0.3
    train = Sparse.of(*np.nonzero(x), shape=x.shape)
    lists = np.array([[0, 4, 7, 2], [1, 3, 5, -1]])
    unit = x / np.maximum(np.linalg.norm(x, axis=0), 1)
    cosine = unit.T @ unit
    truth = [1 - np.mean([cosine[i, j] for i in r for j in r if i != j]) for r in ([0, 4, 7, 2], [1, 3, 5])]
    assert diversity(lists, train) == pytest.approx(truth)


def test_figures_are_means_with_errors_over_users():
    rng = np.random.default_rng(0)
    held = users(*[[int(i)] for i in rng.integers(300, size=50)], n_items=300)
    found = rank(torch.from_numpy(rng.normal(size=(50, 300))), users(*[[]] * 50, n_items=300), held)
    told = figures(found, held, seed=0)
    mrr = found.per_user["mrr"]
    assert told["mrr"] == pytest.approx(mrr.mean())
    assert told["mrr_se"] == pytest.approx(mrr.std(ddof=1) / 50**0.5)
    assert 0 < told[f"coverage_at_{LIST}_se"] < 0.2
    assert differences(found, found)["mrr"] == 0
