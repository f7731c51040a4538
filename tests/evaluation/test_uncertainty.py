"""Coverage, imputation and maps of uncertainty where the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.errors import InputError
from senzai.evaluation import (
    hide,
    imputation_calibration,
    impute,
    interval_calibration,
    probability_calibration,
    reconstruction_uncertainty,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# --- intervals ------------------------------------------------------------------------------------------------------
def test_draws_of_the_same_distribution_cover_what_they_should(rng):
    draws, truth = rng.exponential(size=(99, 2000, 3)), rng.exponential(size=(2000, 3))
    found = interval_calibration(draws, truth)
    for level in (0.5, 0.8, 0.9, 0.95):
        assert abs(found[f"{level:g}"].value - level) < 5 * found[f"{level:g}"].se + 0.01
    assert found["error"].value < 0.02
    assert found["0.5"].details["entries"] == 6000


def test_a_model_too_sure_of_itself_covers_too_little_by_a_known_share(rng):
    from scipy.stats import norm

    found = interval_calibration(0.5 * rng.standard_normal((199, 3000)), rng.standard_normal(3000))
    exact = 2 * norm.cdf(0.5 * norm.ppf(0.95)) - 1
    assert found["0.9"].value == pytest.approx(exact, abs=0.03)
    assert found["error"].value > 0.2


def test_only_judged_entries_count_and_errors_know_that_rows_hang_together(rng):
    truth = np.repeat(rng.standard_normal((500, 1)), 10, 1)
    draws = np.repeat(rng.standard_normal((99, 500, 1)), 10, 2)
    found = interval_calibration(draws, truth)["0.5"]
    assert found.se == pytest.approx(np.sqrt(0.25 / 500), rel=0.1)
    judged = np.zeros_like(truth, bool)
    judged[:, 0] = True
    truth[:, 1:] = 99
    assert abs(interval_calibration(draws, truth, judged=judged)["0.5"].value - 0.5) < 0.12
    with pytest.raises(InputError, match="No entry"):
        interval_calibration(draws, truth, judged=~judged & judged)
    with pytest.raises(InputError, match="Draws are"):
        interval_calibration(draws[:, :3], truth)


def test_calibration_of_probabilities_by_hand(rng):
    found = probability_calibration(np.array([0.05, 0.05, 0.95, 0.95]), np.array([0, 1, 1, 1]))
    assert found.value == pytest.approx(0.5 * 0.45 + 0.5 * 0.05)
    assert found.details["bins"] == [[0.05, 0.5, 2], [0.95, 1.0, 2]]
    p = rng.random(50_000)
    perfect = probability_calibration(p, rng.random(50_000) < p)
    assert perfect.value == pytest.approx(perfect.details["floor"], rel=0.9)
    assert probability_calibration(p, rng.random(50_000) < p**2).value > 0.1


# --- imputation -----------------------------------------------------------------------------------------------------
def test_what_is_hidden_is_a_share_of_what_was_seen_and_not_in_the_batch():
    x = torch.rand(200, 10)
    mask = torch.rand(200, 10) < 0.7
    batch, hidden = hide(Batch(x, mask=mask), 0.3, seed=1)
    assert bool((batch.mask == (mask & ~hidden)).all())
    assert not bool((hidden & ~mask).any())
    assert float(hidden[mask].float().mean()) == pytest.approx(0.3, abs=0.05)
    assert not bool((batch.tensor == x)[hidden].any())
    assert bool((batch.tensor == x)[~hidden].all())
    with pytest.raises(InputError, match="share"):
        hide(Batch(x), 1.5)


def test_imputed_draws_have_the_exact_conditional_moments(linear):
    """Under the true model the missing entries given the others are normal with known mean and variance."""
    x = linear.sample(1).expand(40, -1)
    mask = torch.ones_like(x, dtype=torch.bool)
    mask[:, 3:] = False
    draws, mean, ess = impute(linear.model(stretch=4.0), Batch(x, mask=mask), n_draws=100, k=4000, seed=2)
    p = linear.marginal()
    S, a, b = p.covariance_matrix, [0, 1, 2], [3, 4]
    gain = S[b][:, a] @ torch.linalg.inv(S[a][:, a])
    exact = p.loc[b] + gain @ (x[0, a] - p.loc[a])
    spread = (S[b][:, b] - gain @ S[a][:, b]).diagonal().sqrt()
    assert float(ess.median()) > 50
    for found in (mean[:, b].mean(0), draws[..., b].flatten(0, 1).mean(0)):
        assert bool(((found - exact).abs() < 0.15 * spread + 0.03).all())
    assert torch.allclose(draws[..., b].flatten(0, 1).std(0), spread, rtol=0.15)


def test_a_true_model_is_calibrated_about_what_is_hidden(linear):
    x = linear.sample(300)
    found = imputation_calibration(linear.model(stretch=2.5), Batch(x), share=0.3, n_draws=60, k=400)
    for level in ("0.5", "0.9"):
        assert abs(found[level].value - float(level)) < 5 * found[level].se + 0.01
    assert found["rmse"].value < found["rmse"].details["of_column_means"]


def test_bits_are_judged_by_the_calibration_of_their_probabilities(made, binary):
    found = imputation_calibration(made(), binary, n_draws=5, k=20)
    assert set(found) == {"rmse", "calibration_error"}
    assert 0 <= found["calibration_error"].value <= 1


# --- maps -----------------------------------------------------------------------------------------------------------
def test_both_parts_of_the_variance_are_known_for_a_linear_model(linear):
    x = linear.sample(3)
    found = reconstruction_uncertainty(linear.model(), Batch(x), n_samples=4000)
    S = linear.posterior(x).covariance_matrix.reshape(-1, linear.d, linear.d)[0]
    between = (linear.W @ S @ linear.W.T).diagonal()
    torch.testing.assert_close(found.between, between.expand(3, -1), rtol=0.15, atol=0.003)
    torch.testing.assert_close(found.within, linear.sigma.square().expand(3, -1))
    torch.testing.assert_close(found.stddev.square(), found.between + found.within)
    with pytest.raises(InputError, match="two latents"):
        reconstruction_uncertainty(linear.model(), Batch(x), n_samples=1)
