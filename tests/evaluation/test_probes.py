"""Readers of codes against scikit-learn, closed forms and hand-made codes."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest
import torch
from sklearn.manifold import trustworthiness

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, InputError
from senzai.distributions import FullNormalFamily, NormalFamily
from senzai.evaluation import (
    clustering,
    codebook_use,
    gaussian_total_correlation,
    map_quality,
    probe,
    total_correlation,
)
from senzai.evaluation.probes import halves


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# --- total correlation ----------------------------------------------------------------------------------------------
def test_of_one_normal_posterior_the_total_correlation_is_known(linear):
    x = linear.sample(1).expand(300, -1)
    model = linear.model()
    covariance = linear.posterior(x[:1]).covariance_matrix.reshape(linear.d, linear.d)
    exact = 0.5 * float(covariance.diagonal().log().sum() - torch.logdet(covariance))
    found = total_correlation(model, Batch(x), n_samples=8)
    assert exact > 0.1
    assert abs(found.value - exact) < 5 * found.se / sqrt(8) + 0.01
    assert found.n == 300


def test_a_diagonal_posterior_of_one_row_has_none(made):
    model = made(q=NormalFamily(), family=NormalFamily())
    found = total_correlation(model, Batch(torch.zeros(50, 6)))
    assert found.value == pytest.approx(0, abs=1e-5)


def test_the_total_correlation_of_a_mixture_by_numbers(made):
    """Two rows, two dimensions: the integral over a grid is the oracle."""
    model = made(D=2, family=NormalFamily()).double()
    with torch.no_grad():
        model.posterior.head.weight.zero_()
        model.posterior.head.bias.zero_()
        model.posterior.head.weight[:2] = 2.0
    x = torch.tensor([[-3.0, -3.0], [3.0, 3.0]]).double()
    q = model.posterior(Batch(x)).base_dist
    axis = torch.linspace(-12, 12, 1201).double()
    one = torch.stack([q.log_prob(a.expand(2, 2)) for a in axis])
    density = (one[:, None, :, 0] + one[None, :, :, 1]).exp().mean(-1)
    alone = one.exp().mean(1)
    inside = torch.where(density > 0, density * (density.log() - alone[:, 0].log()[:, None] - alone[:, 1].log()), 0)
    exact = float(inside.sum().detach()) * 0.02**2
    found = total_correlation(model, Batch(x), n_samples=4000, seed=3)
    assert exact > 0.05
    assert found.value == pytest.approx(exact, abs=0.03)


def test_the_total_correlation_does_not_depend_on_memory(made, binary):
    model = made(q=FullNormalFamily())
    a, b = (total_correlation(model, binary, memory_gb=m).value for m in (0.5, 1e-5))
    assert a == pytest.approx(b, abs=1e-6)


def test_of_normal_codes_it_is_minus_half_the_log_of_what_correlation_leaves(rng):
    z = rng.standard_normal((200_000, 2)) @ np.linalg.cholesky([[1, 0.8], [0.8, 1]]).T
    assert gaussian_total_correlation(z) == pytest.approx(-0.5 * log(1 - 0.64), abs=0.01)


def test_posteriors_without_marginals_are_refused(made, binary):
    model = made()
    with pytest.raises(CombinationError, match="nothing"):
        total_correlation(model, binary, group="nothing")


# --- probes ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["linear", "knn"])
def test_probes_find_labels_that_are_there_and_none_that_are_not(rng, kind):
    y = rng.integers(0, 4, 600)
    there, nothing = np.eye(4)[y] + 0.05 * rng.standard_normal((600, 4)), rng.standard_normal((600, 4))
    good, bad = probe(there, y, kind=kind), probe(nothing, y, kind=kind)
    assert good.value == 1
    assert abs(bad.value - 0.25) < 5 * bad.se
    assert bad.se == pytest.approx(sqrt(bad.value * (1 - bad.value) / bad.n))
    assert good.details["baseline"] == pytest.approx(0.25, abs=0.06)
    assert good.n + good.details["fitted_on"] == 600


def test_probes_are_judged_on_other_rows_than_they_were_fitted_to(rng):
    """Many dimensions of noise can be learned by heart, but not predicted."""
    y = rng.integers(0, 2, 100)
    assert probe(rng.standard_normal((100, 300)), y).value < 0.8


def test_halves_hold_all_rows_once_and_the_same_labels():
    y = np.repeat([0, 1, 2], [50, 30, 21])
    a, b = halves(y, seed=3)
    assert sorted(np.concatenate([a, b])) == list(range(101))
    assert np.abs(np.bincount(y[a]) - np.bincount(y[b])).max() <= 1
    assert not np.array_equal(a, halves(y, seed=4)[0])


def test_a_probe_needs_two_classes(rng):
    with pytest.raises(InputError, match="two classes"):
        probe(rng.standard_normal((9, 2)), np.zeros(9, int))
    with pytest.raises(InputError, match="one label a row"):
        probe(rng.standard_normal((9, 2)), np.zeros(8, int))


def test_clusters_agree_with_labels_or_not(rng):
    y = rng.integers(0, 3, 300)
    found = clustering(10 * np.eye(3)[y] + rng.standard_normal((300, 3)), y)
    assert found["ari"].value == 1
    assert found["nmi"].value == pytest.approx(1)
    nothing = clustering(rng.standard_normal((300, 3)), y)
    assert abs(nothing["ari"].value) < 0.05
    assert 0 < nothing["ari"].se < 0.05


# --- maps -----------------------------------------------------------------------------------------------------------
def test_trustworthiness_is_that_of_scikit_learn_and_continuity_the_other_way_round(rng):
    z = rng.standard_normal((80, 6))
    found = map_quality(z, z[:, :2], neighbours=7)
    assert found["trustworthiness"].value == pytest.approx(trustworthiness(z, z[:, :2], n_neighbors=7))
    assert found["continuity"].value == pytest.approx(trustworthiness(z[:, :2], z, n_neighbors=7))
    assert found["trustworthiness"].value < found["continuity"].value
    assert map_quality(z, 3 * z, neighbours=7)["continuity"].value == 1


def test_neighbourhoods_must_be_small(rng):
    with pytest.raises(InputError, match="half the 10 rows"):
        map_quality(rng.standard_normal((10, 2)), rng.standard_normal((10, 2)), neighbours=5)


# --- codebooks ------------------------------------------------------------------------------------------------------
def test_use_of_a_codebook_by_hand():
    found = codebook_use(np.array([[0, 0], [0, 1]]), 8)
    assert found.value == pytest.approx(np.exp(-(0.75 * log(0.75) + 0.25 * log(0.25))))
    assert (found.details["used"], found.details["usage"], found.details["largest_share"]) == (2, 0.25, 0.75)
    assert codebook_use(np.arange(8), 8).value == pytest.approx(8)
    assert codebook_use(np.zeros(5, int), 8).value == 1


def test_the_error_of_the_perplexity_is_its_spread_over_repeats(rng):
    p = [0.5, 0.3, 0.1, 0.1]
    found = [codebook_use(rng.choice(4, 500, p=p), 4) for _ in range(400)]
    assert np.std([f.value for f in found]) == pytest.approx(np.mean([f.se for f in found]), rel=0.2)


@pytest.mark.parametrize("wrong", [[], [8], [-1]])
def test_indices_outside_the_codebook_are_refused(wrong):
    with pytest.raises(InputError, match="below 8"):
        codebook_use(np.array(wrong, dtype=int), 8)
