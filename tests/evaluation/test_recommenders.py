"""Simple recommenders: EASE against its normal equations, neighbours and popularity against plain numpy."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from senzai.core.errors import MissingExtraError
from senzai.data.histories import Histories
from senzai.data.sparse import Sparse
from senzai.evaluation.recommenders import EASE, RECOMMENDERS, ItemNeighbours, Popularity
from senzai.evaluation.recommending import beside, best, judged
from senzai.evaluation.users import Users


def users_by_items(n, items, seed=0):
    """Users of two tastes, each with items of one half of the catalogue."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, items)) < np.where((np.arange(n) % 2)[:, None] == (np.arange(items) % 2), 0.5, 0.05)
    x[np.arange(n), np.arange(n) % items] = True
    return x, Sparse.of(*np.nonzero(x), shape=x.shape)


@pytest.mark.parametrize("shape", [(60, 9), (9, 30)])
def test_ease_solves_its_normal_equations(shape):
    x, train = users_by_items(*shape)
    x, ridge = x.astype(float), 7.0
    b = EASE(train, ridge).map
    gram = x.T @ x
    left = (gram + ridge * np.eye(len(gram))) @ b - gram  # zero but for the multipliers of the diagonal
    off = left - np.diag(np.diag(left))
    assert np.abs(np.diag(b)).max() == 0
    assert np.abs(off).max() < 1e-8 * np.abs(gram).max()


def test_ease_is_the_best_map_without_a_diagonal():
    x, train = users_by_items(50, 8)
    x, b, rng = x.astype(float), EASE(train, 3.0).map, np.random.default_rng(0)

    def loss(c):
        return ((x - x @ c) ** 2).sum() + 3.0 * (c**2).sum()

    for _ in range(20):
        step = 1e-3 * rng.normal(size=b.shape)
        np.fill_diagonal(step, 0)
        assert loss(b + step) > loss(b)


def test_scores_of_ease_are_what_users_have_times_the_map():
    x, train = users_by_items(20, 6)
    made = EASE(train, 2.0)
    assert np.allclose(made.scores(train).numpy(), x.astype(float) @ made.map)


def test_neighbours_are_the_nearest_items():
    x, train = users_by_items(40, 10)
    unit = x / np.linalg.norm(x, axis=0)
    alike = unit.T @ unit
    np.fill_diagonal(alike, 0)
    for j in range(10):
        alike[np.argsort(-alike[:, j], kind="stable")[3:], j] = 0
    assert np.allclose(ItemNeighbours(train, 3).scores(train).numpy(), x.astype(float) @ alike)


def test_popularity_is_the_same_for_all():
    x, train = users_by_items(30, 7)
    scores = Popularity(train).scores(train).numpy()
    assert np.array_equal(scores, np.tile(x.sum(0), (30, 1)))


def histories(matrix):
    first = np.zeros(len(matrix.indices), bool)
    first[matrix.indptr[:-1]] = True
    return Histories(matrix.where(~first), matrix.where(first), np.arange(matrix.n_rows), "the first item is hidden")


def test_the_setting_is_chosen_on_validation_users():
    train, held = (users_by_items(80, 20, seed)[1] for seed in (0, 1))
    keep = np.flatnonzero(held.counts > 1)
    users = Users(histories(held.rows_of(keep)), train, histories(held.rows_of(keep)))
    _, setting = best(EASE, users)
    gains = {}
    for s in EASE.settings:
        found = judged(lambda seen, _, s=s: EASE(train, s).scores(seen), users.validation)
        gains[s] = found.per_user["ndcg_at_100"].mean()
    assert gains[setting] == max(gains.values())
    assert best(EASE, Users(users.judged, train))[1] == EASE.usual


def test_every_simple_method_stands_in_the_table():
    train, held = (users_by_items(60, 12, seed)[1] for seed in (0, 1))
    keep = np.flatnonzero(held.counts > 1)
    users = Users(histories(held.rows_of(keep)), train)
    own = judged(lambda seen, _: Popularity(train).scores(seen), users.judged)
    found = beside(users, own, seed=0)
    assert set(found) == set(RECOMMENDERS) >= {"popularity", "item_knn", "ease", "als"}
    assert found["popularity"]["model_is_better_by"]["mrr"] == 0
    assert found["ease"]["ndcg_at_100"] > found["popularity"]["ndcg_at_100"]
    assert found["ease"]["lambda"] == EASE.usual


@pytest.mark.skipif(importlib.util.find_spec("implicit") is not None, reason="implicit is installed")
def test_a_missing_package_is_named():
    train = users_by_items(10, 5)[1]
    with pytest.raises(MissingExtraError, match=r"senzai\[recommend\]"):
        RECOMMENDERS["als"](train, 4)


@pytest.mark.skipif(importlib.util.find_spec("implicit") is None, reason="implicit is not installed")
def test_als_finds_the_tastes():
    _, train = users_by_items(60, 12)
    scores = RECOMMENDERS["als"](train, 4).scores(train).numpy()
    own = np.arange(60)[:, None] % 2 == np.arange(12) % 2
    assert scores[own].mean() > scores[~own].mean() + 0.1
