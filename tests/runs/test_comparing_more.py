"""Which run is better: how often equal runs are told apart, and which rows are looked at."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from senzai.runs.verbs.compare import below_best


def drawn(rng, runs, n, *, skewed):
    """Log-likelihoods of runs that are equally good: rows differ much, runs little."""
    rows = 30 * rng.standard_normal((1, n))
    noise = rng.exponential(size=(runs, n)) - 1 if skewed else rng.standard_normal((runs, n))
    return {str(i): torch.from_numpy(x) for i, x in enumerate(rows + noise)}


def worse(log_p):
    best, _, intervals = below_best(log_p)
    return [name for name, (low, _) in intervals.items() if name != best and low > 0]


@pytest.mark.parametrize(("runs", "n", "skewed"), [(10, 200, False), (10, 400, True), (2, 50, False), (3, 8, False)])
def test_equal_runs_are_told_apart_in_one_comparison_of_twenty_at_most(runs, n, skewed):
    rng, times = np.random.default_rng(runs), 600
    wrong = sum(bool(worse(drawn(rng, runs, n, skewed=skewed))) for _ in range(times))
    assert wrong / times < 0.05 + 3 * (0.05 * 0.95 / times) ** 0.5


def test_a_run_that_is_worse_is_found_worse():
    rng, found = np.random.default_rng(0), 0
    for _ in range(100):
        log_p = drawn(rng, 10, 400, skewed=False)
        log_p["3"] = log_p["3"] - 0.5
        found += worse(log_p) == ["3"]
    assert found > 90


def test_the_interval_of_two_runs_is_that_of_the_paired_test():
    log_p = drawn(np.random.default_rng(5), 2, 12, skewed=False)
    best, differences, intervals = below_best(log_p, seed=9)
    (other,) = set(log_p) - {best}
    exact = stats.ttest_rel(log_p[best].numpy(), log_p[other].numpy())
    low, high = exact.confidence_interval(0.95)
    assert intervals[other] == pytest.approx((low, high))
    assert differences[other].value / differences[other].se == pytest.approx(exact.statistic)
    assert (differences[best].value, differences[best].se, intervals[best]) == (0, 0, (0, 0))
    assert differences[other].seed == 9
