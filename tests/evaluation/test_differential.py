"""Differences between groups: Bayes factors and false discoveries as defined, against what can be worked out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from senzai.evaluation.differential import bayes_factor, compare, differs

ROWS = np.arange(40)


def drawing(change, sd=0.0):
    """Shares of two genes: rows from 20 on have 2**change as much of the first; the log2 has a normal error."""

    def draw(rows, seed):
        noise = np.random.default_rng(seed).normal(0, sd / np.sqrt(2), len(rows)) if sd else 0.0
        first = 2.0 ** (change * (rows >= 20) + noise)
        return np.stack([first, np.ones(len(rows))], 1)

    return draw


def compared(change, *, sd=0.0, of="cells", mode="change", pairs=4000, delta=0.25):
    return compare(
        drawing(change, sd), ROWS[20:], ROWS[:20], delta=delta, pairs=pairs, of=of, mode=mode, offset=0.0,
        rng=np.random.default_rng(0),
    )


def test_the_probability_is_that_of_the_ratio_beyond_delta():
    found = compared(0.5, sd=1.0)
    truth = 1 - stats.norm.cdf(0.25, 0.5, 1.0)
    assert found.probability[0] == pytest.approx(truth, abs=5 * np.sqrt(0.25 / 4000))
    assert found.change[0] == pytest.approx(0.5, abs=5 / np.sqrt(4000))
    assert found.change_sd[0] == pytest.approx(1.0, rel=0.06)


def test_the_larger_of_both_sides_counts_and_not_their_sum():
    found = compared(0.0, sd=1.0)
    assert found.probability[0] == pytest.approx(stats.norm.cdf(-0.25), abs=0.03)
    assert compared(-1.0).probability[0] == 1.0


def test_vanilla_asks_which_is_larger():
    found = compared(0.5, sd=1.0, mode="vanilla")
    assert found.probability[0] == pytest.approx(stats.norm.cdf(0.5), abs=0.04)


def test_means_of_groups_are_surer_than_cells():
    cells, means = (compared(0.5, sd=1.0, of=of, pairs=n) for of, n in (("cells", 2000), ("means", 100)))
    assert means.probability[0] > cells.probability[0]
    assert means.change_sd[0] < 0.5 * cells.change_sd[0]


def test_bayes_factors_are_log_odds():
    assert bayes_factor(np.array([0.8]))[0] == pytest.approx(np.log(4), rel=1e-6)


def test_genes_are_called_as_long_as_the_mean_of_what_is_wrong_stays_below():
    p = np.array([0.5, 0.99, 0.9, 0.98, 0.97])
    slow = []
    order = sorted(range(5), key=lambda i: -p[i])
    for n in range(1, 6):
        if np.mean([1 - p[i] for i in order[:n]]) <= 0.05:
            slow = order[:n]
    assert np.flatnonzero(differs(p, 0.05)).tolist() == sorted(slow) == [1, 2, 3, 4]
    assert not differs(np.array([0.5, 0.6]), 0.05).any()


def test_calls_are_calibrated_where_probabilities_are():
    rng = np.random.default_rng(3)
    p = rng.beta(0.3, 0.3, 20_000)
    true = rng.random(20_000) < p
    called = differs(p, 0.05)
    assert 0.04 < 1 - true[called].mean() < 0.06
