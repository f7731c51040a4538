"""Comparison of samples with data against closed forms and hand-made sets."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
import torch

from senzai.core.errors import InputError
from senzai.evaluation import (
    Features,
    classifier_features,
    classifier_two_sample_test,
    denoising_features,
    diversity,
    frechet_distance,
    frechet_of_normals,
    kernel_distance,
    memorisation,
    nearest_of,
    pca_features,
    precision_recall_density_coverage,
    random_features,
    raw_features,
    sharpness,
)
from senzai.evaluation.samples import effective_number, moments


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# --- distances ------------------------------------------------------------------------------------------------------
def test_the_frechet_distance_of_two_normals_is_known(rng):
    """For covariances that commute it is the squared distance of means plus that of standard deviations."""
    q, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    a, b = np.array([4.0, 1.0, 0.25]), np.array([1.0, 9.0, 0.25])
    mean = np.array([1.0, 2.0, 0.0])
    exact = (mean**2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert frechet_of_normals(mean, (q * a) @ q.T, 0 * mean, (q * b) @ q.T) == pytest.approx(exact)


def test_covariances_that_do_not_commute_agree_with_the_matrix_root(rng):
    from scipy.linalg import sqrtm

    (a, b) = (m @ m.T for m in rng.standard_normal((2, 4, 4)))
    exact = np.trace(a + b - 2 * np.real(sqrtm(a @ b)))
    assert frechet_of_normals(np.zeros(4), a, np.zeros(4), b) == pytest.approx(exact)


def test_of_drawn_sets_the_distance_comes_near_with_an_error(rng):
    a, b = rng.standard_normal((20_000, 2)), 2 * rng.standard_normal((20_000, 2)) + [1, 0]
    found = frechet_distance(a, b, features="two")
    assert found.value == pytest.approx(1 + 2, abs=5 * found.se)
    assert 0.01 < found.se < 0.1
    assert found.name == "frechet[two]"
    assert frechet_distance(a, a, repeats=0).value == pytest.approx(0, abs=1e-9)


def test_moments_of_one_feature_are_a_matrix(rng):
    mean, covariance = moments(rng.standard_normal((10, 1)))
    assert (mean.shape, covariance.shape) == ((1,), (1, 1))


def test_the_kernel_distance_is_the_mean_of_kernels_by_hand(rng):
    """E k(x, x') for the cubic kernel of independent standard normals in one dimension is 1 + 3 E[(x x')^2] = 4."""
    from senzai.evaluation.samples import _mmd

    x, y = rng.standard_normal((5, 2)), rng.standard_normal((7, 2))
    k = lambda u, v: (u @ v / 2 + 1) ** 3  # noqa: E731
    exact = (
        np.mean([k(x[i], x[j]) for i in range(5) for j in range(5) if i != j])
        + np.mean([k(y[i], y[j]) for i in range(7) for j in range(7) if i != j])
        - 2 * np.mean([k(u, v) for u in x for v in y])
    )
    assert _mmd(x, y) == pytest.approx(exact)


def test_the_kernel_distance_of_equal_distributions_is_zero_within_its_error(rng):
    same = kernel_distance(rng.standard_normal((3000, 3)), rng.standard_normal((3000, 3)))
    other = kernel_distance(rng.standard_normal((3000, 3)), 0.5 + rng.standard_normal((3000, 3)))
    assert abs(same.value) < 5 * same.se
    assert other.value > 10 * other.se


# --- fidelity and coverage ------------------------------------------------------------------------------------------
def test_precision_and_recall_by_hand():
    """Data at 0, 1, 2, 3 (k = 1, balls of radius 1); samples at 0.5 (in two balls) and 10, 10.2."""
    real = np.array([[0.0], [1.0], [2.0], [3.0]])
    made = np.array([[0.5], [10.0], [10.2]])
    found = precision_recall_density_coverage(real, made, k=1)
    assert found["precision"].value == pytest.approx(1 / 3)
    assert found["density"].value == pytest.approx(2 / 3)
    assert found["coverage"].value == pytest.approx(2 / 4)
    assert found["recall"].value == 1, "the ball of 0.5 reaches 10"


def test_lost_modes_cost_recall_and_strange_samples_precision(rng):
    real = np.concatenate([rng.standard_normal((300, 2)), rng.standard_normal((300, 2)) + 20])
    lost = precision_recall_density_coverage(real, rng.standard_normal((600, 2)))
    assert lost["precision"].value > 0.9
    assert lost["recall"].value < 0.6
    assert lost["coverage"].value < 0.6
    strange = precision_recall_density_coverage(real, np.concatenate([real + 0.1, 50 + 9 * rng.random((600, 2))]))
    assert strange["precision"].value == pytest.approx(0.5, abs=0.05)
    assert strange["coverage"].value > 0.9


def test_a_classifier_tells_sets_apart_only_if_they_differ(rng):
    a = rng.standard_normal((500, 4))
    same = classifier_two_sample_test(a, rng.standard_normal((400, 4)), features="four")
    other = classifier_two_sample_test(a, rng.standard_normal((500, 4)) * [1, 1, 1, 4])
    assert abs(same.value - 0.5) < 5 * same.se
    assert same.n == 400
    assert other.value > 0.7
    assert same.name == "c2st[four]"


# --- copies and variety ---------------------------------------------------------------------------------------------
def test_nearest_rows_are_found_whatever_the_memory(rng):
    from sklearn.neighbors import NearestNeighbors

    x, y = rng.standard_normal((50, 3)), rng.standard_normal((40, 3))
    distance, number = nearest_of(x, y)
    exact, which = NearestNeighbors(n_neighbors=1).fit(y).kneighbors(x)
    np.testing.assert_allclose(distance, exact[:, 0])
    assert (number == which[:, 0]).all()


def test_copies_are_noticed_and_new_rows_are_not(rng):
    train, held_out = rng.standard_normal((500, 5)), rng.standard_normal((300, 5))
    honest = memorisation(rng.standard_normal((300, 5)), held_out, train)
    copied = memorisation(train[:300] + 1e-3, held_out, train)
    assert abs(honest.value - 0.5) < 5 * honest.se
    assert copied.value > 0.99
    sample, row, distance = copied.details["nearest"][0]
    assert sample == row
    assert distance < 0.01


def test_variety_is_measured_against_the_data(rng):
    real = rng.standard_normal((400, 3))
    found = diversity(real, 0.5 * rng.standard_normal((400, 3)))
    assert found["spread"].value == pytest.approx(0.25, abs=5 * found["spread"].se)
    assert found["vendi"].value < found["vendi"].details["of_data"]
    same = diversity(real, np.repeat(real[:1], 400, 0))
    assert same["spread"].value == pytest.approx(0)
    assert same["vendi"].value == pytest.approx(1)
    assert effective_number(1e3 * np.eye(7), 1.0) == pytest.approx(7)


def test_sharpness_is_the_ratio_of_laplacian_energies(rng):
    real = rng.standard_normal((50, 1, 12, 12))
    assert sharpness(2 * real, real).value == pytest.approx(4)
    blurred = (real + np.roll(real, 1, 2) + np.roll(real, 1, 3) + np.roll(real, (1, 1), (2, 3))) / 4
    found = sharpness(blurred, real)
    assert found.value < 0.4
    assert found.value + 5 * found.se < 1
    ramp = np.broadcast_to(np.arange(12.0), (3, 1, 12, 12))
    assert np.isnan(sharpness(real, ramp).value), "a ramp has no high frequencies"


# --- features -------------------------------------------------------------------------------------------------------
def test_principal_components_are_those_of_scikit_learn(rng):
    from sklearn.decomposition import PCA

    x = torch.from_numpy(rng.standard_normal((60, 2, 3)) * np.arange(1, 4))
    for rows in (60, 5):
        found = pca_features(x[:rows], 3)
        exact = PCA(3).fit(x[:rows].flatten(1).numpy()).transform(x.flatten(1).numpy())
        np.testing.assert_allclose(np.abs(found(x)), np.abs(exact), atol=1e-6)
        assert found.name == "pca-3"
    assert pca_features(x, 64).name == "pca-6"


def test_features_of_networks_are_seeded_and_named():
    x = torch.rand(40, 1, 8, 8)
    made = (lambda s: random_features((1, 8, 8), 16, seed=s), lambda s: denoising_features(x, 16, seed=s, steps=3))
    for make in made:
        a, b, c = make(0), make(0), make(1)
        np.testing.assert_array_equal(a(x), b(x))
        assert not np.array_equal(a(x), c(x))
        assert a(x).shape == (40, 16)
        assert a.name.endswith("-16")


def test_a_classifier_of_the_domain_learns_what_tells_classes_apart(rng):
    y = torch.from_numpy(rng.integers(0, 2, 200))
    x = torch.from_numpy(rng.standard_normal((200, 10))).float()
    x[:, 0] += 4 * y
    found = classifier_features(x, y, 8, steps=100)
    z = found(x)
    apart = np.abs(z[y == 1].mean(0) - z[y == 0].mean(0)).max() / z.std()
    assert apart > 1
    assert found.name == "classifier-8"
    with pytest.raises(InputError, match="two classes"):
        classifier_features(x, 0 * y)


def test_a_denoiser_keeps_what_rows_are_made_of(rng):
    """Rows on a line in twenty dimensions: features that can restore them know the place on the line."""
    t = rng.standard_normal(300)
    x = torch.from_numpy(np.outer(t, np.ones(20))).float()
    z = denoising_features(x, 4, steps=200)(x)
    r2 = 1 - np.linalg.lstsq(np.c_[z, np.ones(300)], t, rcond=None)[1][0] / ((t - t.mean()) ** 2).sum()
    assert r2 > 0.95


def test_a_network_of_the_users_is_taken_as_it_is():
    found = Features("mine", lambda x: x.flatten(1)[:, :2])(torch.arange(12.0).reshape(3, 4))
    assert found.tolist() == [[0, 1], [4, 5], [8, 9]]
    assert raw_features()(torch.zeros(2, 3, 4)).shape == (2, 12)


def test_too_few_rows_are_refused():
    with pytest.raises(InputError, match="At least 6 rows"):
        precision_recall_density_coverage(np.zeros((3, 2)), np.zeros((9, 2)))


def test_errors_of_shares_know_that_balls_are_drawn_too(rng):
    """Many samples lie in one ball, so that their share varies more than that of independent ones."""
    made = lambda: precision_recall_density_coverage(  # noqa: E731
        rng.standard_normal((200, 2)), 2 * rng.standard_normal((200, 2))
    )["precision"]
    found = [made() for _ in range(60)]
    p, spread = np.mean([f.value for f in found]), np.std([f.value for f in found], ddof=1)
    assert spread > 1.3 * sqrt(p * (1 - p) / 200)
    assert np.mean([f.se for f in found]) == pytest.approx(spread, rel=0.3)
    few = precision_recall_density_coverage(rng.standard_normal((8, 2)), rng.standard_normal((8, 2)))
    assert np.isnan(few["precision"].se), "halves hold no ball"
