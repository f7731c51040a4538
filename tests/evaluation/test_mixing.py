"""Mixing of batches and conservation of labels, against slow implementations and codes that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from senzai.core.batch import Batch
from senzai.evaluation.mixing import batches_of, inverse_simpson, neighbours_of, shares_among, silhouette


@pytest.fixture(scope="module")
def codes():
    return np.random.default_rng(0).normal(size=(60, 3))


def test_neighbours_are_the_nearest_others(codes):
    found = neighbours_of(codes, 5)
    for i in range(60):
        distance = np.linalg.norm(codes - codes[i], axis=1)
        distance[i] = np.inf
        assert set(found[i]) == set(np.argsort(distance)[:5])


def test_shares_and_simpson_are_by_hand():
    groups, near = np.array([0, 0, 1, 2]), np.array([[1, 2], [0, 3], [0, 1], [1, 2]])
    shares = shares_among(groups, near)
    assert shares.tolist() == [[0.5, 0.5, 0], [0.5, 0, 0.5], [1, 0, 0], [0.5, 0.5, 0]]
    assert inverse_simpson(shares).tolist() == [2, 2, 1, 2]


def test_silhouettes_are_rousseeuws(codes):
    groups = np.arange(60) % 2
    found = silhouette(codes, groups)
    i = 7
    distance = np.linalg.norm(codes - codes[i], axis=1)
    a = distance[(groups == 1) & (np.arange(60) != i)].mean()
    b = distance[groups == 0].mean()
    assert found[i] == pytest.approx((b - a) / max(a, b))
    assert abs(found.mean()) < 0.05, "groups at random are mixed"


def test_batches_are_conditions_that_several_rows_share():
    c = torch.eye(2)[torch.arange(9) % 2]
    assert batches_of(Batch(torch.zeros(9, 1), c=c)).tolist() == [1, 0, 1, 0, 1, 0, 1, 0, 1]
    assert batches_of(Batch(torch.zeros(9, 1))) is None
    assert batches_of(Batch(torch.zeros(9, 1), c=torch.ones(9, 1))) is None
    assert batches_of(Batch(torch.zeros(9, 1), c=torch.randn(9, 1))) is None, "a number is no batch"
