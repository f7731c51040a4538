"""Quality of generated rows: known values for rows that are alike, shuffled, copied or far away."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from senzai.distributions import MixedFamily
from senzai.evaluation import quality

FAMILY = MixedFamily(sorts=("normal", "category", "steps", "binary"), sizes=(0, 3, 4, 2), cuts=((-1.0, 0.0, 1.0),))


def rows(n, seed):
    r = np.random.default_rng(seed)
    a = r.normal(size=n)
    return torch.tensor(np.stack([a, r.integers(3, size=n), np.digitize(a, [-1, 0, 1]), a > 0], 1))


def test_like_rows_are_alike_and_others_are_not():
    a, b = rows(4000, 0), rows(4000, 1)
    assert quality.shapes(a, b, FAMILY).min() > 0.95
    moved = b.clone()
    moved[:, 0] += 10
    moved[:, 1] = 0
    found = quality.shapes(a, moved, FAMILY)
    assert found[0] == pytest.approx(0, abs=1e-3)
    assert found[1] == pytest.approx(1 / 3, abs=0.03)  # 1 - total variation of (1, 0, 0) and thirds
    assert found[2] > 0.95


def test_pairs_notice_columns_that_were_shuffled():
    a, b = rows(4000, 0), rows(4000, 1)
    shuffled = b.clone()
    shuffled[:, 2] = shuffled[torch.randperm(4000, generator=torch.Generator().manual_seed(0)), 2]
    alike, apart = quality.pairs(a, b, FAMILY), quality.pairs(a, shuffled, FAMILY)
    assert alike.alike[0, 2] > 0.9 > 0.75 > apart.alike[0, 2]
    assert apart.alike[0, 1] > 0.9
    assert alike.real[2, 3] > 0.95  # a step says on which side of zero a number is
    assert alike.real[0, 1] < 0.05
    assert apart.made[0, 2] < 0.1
    assert np.array_equal(alike.real, alike.real.T)


def test_pairs_are_compared_where_both_are_known():
    """Holes at random change nothing but the sample; columns hardly ever known together are not compared."""
    a, b = rows(4000, 0), rows(4000, 1)
    mask = torch.rand(a.shape, generator=torch.Generator().manual_seed(2)) < 0.7
    mask[:, 0] = torch.arange(4000) < 2020
    mask[:, 1] = torch.arange(4000) >= 2000
    spoiled = torch.where(mask, a, torch.tensor(0.0, dtype=a.dtype))
    whole, found = quality.pairs(a, b, FAMILY), quality.pairs(spoiled, b, FAMILY, mask=mask)
    assert np.isnan(found.alike[0, 1])
    assert np.isnan(found.real[1, 0])
    there = ~np.isnan(found.alike)
    assert there.sum() == 14
    np.testing.assert_allclose(found.real[there], whole.real[there], atol=0.06)
    np.testing.assert_allclose(found.made[2, 3], whole.made[2, 3], atol=0.02)
    assert np.abs(found.alike - whole.alike)[there].max() < 0.1
    none = quality.pairs(a, b, FAMILY, mask=torch.zeros_like(mask))
    assert np.isnan(none.alike[0, 1])


def test_a_judge_cannot_tell_rows_of_one_source():
    a, b = rows(600, 0), rows(600, 1)
    assert abs(quality.judge(a, b) - 0.5) < 0.08
    assert quality.judge(a, b + torch.tensor([3.0, 0, 0, 0])) > 0.9


def test_rows_are_as_useful_as_what_they_know():
    train, made, held = rows(800, 0), rows(800, 1), rows(400, 2)
    real, generated = quality.useful(train, made, held, 3)
    assert min(real, generated) > 0.99
    noise = made.clone()
    noise[:, 3] = noise[torch.randperm(800, generator=torch.Generator().manual_seed(0)), 3]
    assert quality.useful(train, noise, held, 3)[1] < 0.75
    constant = made.clone()
    constant[:, 3] = 1
    assert quality.useful(train, constant, held, 3) is None


def test_copies_are_at_no_distance():
    train = rows(300, 0).float()
    assert quality.distance_to_training(train[:50], train, FAMILY).max() < 1e-2
    assert np.median(quality.distance_to_training(rows(100, 1).float(), train, FAMILY)) > 0.01


def test_of_very_many_columns_some_are_compared_always_the_same(monkeypatch):
    monkeypatch.setattr(quality, "JUDGED", 3)
    a, b = rows(400, 0), rows(400, 1)
    found = quality.pairs(a, b, FAMILY, quality.some_columns(4, 2))
    whole = quality.pairs(a, b, FAMILY)
    assert found.columns.tolist() == quality.some_columns(4, 2).tolist()
    np.testing.assert_array_equal(found.alike, whole.alike[np.ix_(found.columns, found.columns)])
    assert whole.columns.tolist() == [0, 1, 2, 3]
    assert 0.3 < quality.judge(a, b) < 0.7


def test_the_distance_of_two_samples_is_scipys():
    r = np.random.default_rng(0)
    for n, m in ((5, 9), (200, 31)):
        a, b = r.normal(size=n).round(1), r.normal(0.4, 2, size=m).round(1)
        assert quality.kolmogorov_smirnov(a, b) == pytest.approx(ks_2samp(a, b).statistic, abs=1e-12)
    assert quality.kolmogorov_smirnov(np.array([np.nan]), a) == 0
