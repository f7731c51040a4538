"""Numbers in any unit, and far from zero, make the same model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import senzai
from senzai.core.batch import Batch
from senzai.data import open_data
from senzai.evaluation.marginals import Marginals
from senzai.nn import Standardise, Statistics
from senzai.training.autopsy import strangeness

WAYS = [(1e-9, 0.0), (1e-15, 0.0), (1e12, 0.0), (1.0, 1e9), (1e-3, -1e9), (1e-9, 1e-3), (1e-7, 1e-6)]


@pytest.fixture(scope="module")
def normal():
    return np.random.default_rng(0).multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], 600)


@pytest.fixture(scope="module")
def plain(normal):
    return senzai.fit(normal, steps=40, n_latent=2, sampler="none", seed=1)


@pytest.mark.parametrize(("unit", "offset"), WAYS)
def test_samples_densities_and_scores_do_not_depend_on_the_unit(normal, plain, unit, offset):
    run = senzai.fit(normal * unit + offset, steps=40, n_latent=2, sampler="none", seed=1)
    assert run.schema.values == "real"
    made, told = (run.sample(500, seed=0) - offset) / unit, plain.sample(500, seed=0)
    np.testing.assert_allclose(made, told, atol=0.1)
    rows, same = normal[:30] * unit + offset, normal[:30]
    density = run.log_likelihood(rows, k=20) + 2 * np.log(unit)
    np.testing.assert_allclose(density, plain.log_likelihood(same, k=20), atol=0.1)
    np.testing.assert_allclose(run.score(rows), plain.score(same), atol=0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_varies_is_a_matter_of_precision_and_not_of_units(dtype):
    steps = torch.arange(8, dtype=dtype).unsqueeze(1)
    for unit in (1e-30, 1e-9, 1.0, 1e12):
        spread = Statistics.of(unit * steps).moments(per_element=True)[1]
        torch.testing.assert_close(spread / unit, torch.full((1,), 5.25**0.5, dtype=dtype))
    for constant in (0.0, 0.1, 1e9, 1e-20):
        assert Statistics.of(torch.full((8, 1), constant, dtype=dtype)).moments()[1] == 1
    about = 1000 + torch.finfo(dtype).eps * 250 * (steps % 2)  # a spread below the rounding of its numbers
    assert Statistics.of(about).moments(per_element=True)[1] == 1


def test_one_spread_for_all_pixels_does_not_depend_on_a_constant_one():
    x = 1e-9 * torch.randn(50, 1, 3, 3)
    x[:, :, 0, 0] = 1e-9
    s = Standardise((1, 3, 3))
    s.initialise(Batch(x))
    assert 0.5 < float(s(x).std()) < 1.5


def test_far_numbers_come_back_to_the_last_digit_they_vary_in():
    x = 1.7e9 + np.random.default_rng(0).normal(size=(50, 2))
    data = open_data(x)
    np.testing.assert_allclose(data.decode(data.batch().x), x, atol=1e-6)
    far, near = data.batch().x, open_data(x - 1.7e9).batch().x
    torch.testing.assert_close(far - far[0], near - near[0], atol=1e-5, rtol=0)
    whole = x.astype(np.float32)
    assert np.array_equal(open_data(whole).decode(open_data(whole).batch().x), whole)


def test_numbers_that_fill_the_unit_interval_are_shares_and_narrow_ones_are_not():
    u = np.random.default_rng(0).uniform(size=(60, 3))
    assert open_data(u).schema.values == "unit"
    assert open_data(1e-4 * u).schema.values == open_data(0.5 + 1e-3 * u).schema.values == "real"
    assert open_data(np.c_[u, 1e-9 * u[:, 0]]).schema.values == "real"


def test_a_column_in_a_small_unit_is_scored_like_one_in_a_large_unit(normal):
    mixed = normal * [1.0, 1e-9]
    run = senzai.fit(mixed, steps=40, n_latent=2, sampler="none")
    strange = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9e-9]])
    for method in ("middle", "knn", "input_knn", "marginal"):
        usual, first, second = run.score(strange, method=method)
        assert min(first, second) > usual, method
        assert abs(first - second) < 0.5 * (first - usual), method


def test_rarity_and_strangeness_have_no_unit():
    x = torch.randn(200, 2)
    owner = torch.arange(2)
    for unit in (1e-12, 1e12):
        torch.testing.assert_close(
            Marginals.of(unit * x, owner)(unit * x), Marginals.of(x, owner)(x), rtol=1e-2, atol=1e-2
        )
        torch.testing.assert_close(strangeness(unit * x), strangeness(x), rtol=1e-3, atol=1e-3)
