"""Backtests beside published tables, closed cases, and their size where forecasts are right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from senzai.core.errors import InputError
from senzai.evaluation import backtests as bt

KUPIEC = {  # non-rejection regions at 5 %: Kupiec (1995), table 3, as hits that are still accepted
    (0.01, 255): (None, 6), (0.01, 510): (2, 10), (0.01, 1000): (5, 16),
    (0.025, 255): (3, 11), (0.025, 510): (7, 20), (0.025, 1000): (16, 35),
    (0.05, 255): (7, 20), (0.05, 510): (17, 35), (0.05, 1000): (38, 64),
}
SEVERAL = [pytest.param(200, id="200"), pytest.param(2000, id="2000", marks=pytest.mark.slow)]


def some(n, x):
    return np.arange(n) < x


@pytest.mark.parametrize(("case", "region"), KUPIEC.items())
def test_as_many_hits_are_accepted_as_in_kupiecs_table(case, region):
    tail, n = case
    accepted = [x for x in range(n // 4) if bt.kupiec(some(n, x), tail).p_value > 0.05]
    assert accepted[-1] == region[1]
    assert region[0] is None or accepted[0] == region[0]


def test_the_zones_are_those_of_basel():
    zones = [bt.traffic_light(some(250, x)).details["zone"] for x in range(12)]
    assert zones == ["green"] * 5 + ["yellow"] * 5 + ["red"] * 2
    late = np.concatenate([np.ones(20, bool), np.zeros(250, bool)])
    assert bt.traffic_light(late).details == {"zone": "green", "days": 250}


def test_the_ratio_of_independence_is_that_of_two_fitted_chains():
    """Against log-likelihoods summed day by day."""
    hits = np.random.default_rng(0).random(400) < 0.08
    hits[50:58] = True
    before, now = hits[:-1], hits[1:]
    pi = {i: now[before == i].mean() for i in (False, True)}
    chain = sum(np.log(pi[b] if h else 1 - pi[b]) for b, h in zip(before, now, strict=True))
    alone = stats.bernoulli.logpmf(now, now.mean()).sum()
    independence, both = bt.christoffersen(hits, 0.08)
    assert independence.statistic == pytest.approx(2 * (chain - alone))
    assert independence.p_value < 0.01
    assert both.statistic == pytest.approx(independence.statistic + bt.kupiec(hits, 0.08).statistic)
    assert independence.details["pairs"] == int((before & now).sum())


def test_the_dynamic_quantile_is_the_explained_sum_of_a_regression():
    """The paper's formula, by the normal equations."""
    rng = np.random.default_rng(1)
    hits, var = rng.random(300) < 0.05, -1 - rng.random(300)
    h = hits - 0.05
    design = np.column_stack([np.ones(296), var[4:], *(h[4 - i : 300 - i] for i in range(1, 5))])
    right = design.T @ h[4:]
    explained = right @ np.linalg.solve(design.T @ design, right) / (0.05 * 0.95)
    found = bt.dynamic_quantile(hits, var, 0.05)
    assert found.statistic == pytest.approx(explained)
    assert found.p_value == pytest.approx(stats.chi2.sf(explained, 6))
    assert bt.dynamic_quantile(hits, np.full(300, -1.0), 0.05).p_value > 0  # a constant is counted once


def test_hits_that_follow_each_other_or_the_forecast_are_noticed():
    hits = np.zeros(500, bool)
    hits[[100, 101, 103, 104, 300, 301, 303, 304]] = True
    assert bt.dynamic_quantile(hits, np.full(500, -1.0), 0.02).p_value < 1e-4
    var = np.where(np.arange(500) % 2, -1.0, -3.0)
    odd = (np.arange(500) % 2 == 1) & (np.random.default_rng(0).random(500) < 0.08)
    assert bt.dynamic_quantile(odd, var, 0.04).p_value < 0.01


def test_value_at_risk_and_shortfall_of_a_student_t_are_its_closed_form():
    draws = stats.t.rvs(5, size=(400_000, 2), random_state=0)
    for tail in (0.05, 0.025, 0.01):
        v, e = bt.var_es(draws, tail)
        q = stats.t.ppf(tail, 5)
        closed = -stats.t.pdf(q, 5) / tail * (5 + q**2) / 4
        assert v == pytest.approx(q, rel=0.02)
        assert e == pytest.approx(closed, rel=0.03)


def test_a_tail_counts_the_last_draw_in_part():
    v, e = bt.var_es(np.arange(10.0), 0.25)
    assert (float(v), float(e)) == (2.0, (0 + 1 + 0.5 * 2) / 2.5)


def test_acerbi_and_szekely_have_the_published_critical_value():
    """Section 4 of the paper: for a year at 2.5 %, Z2 has its 5 % quantile at -0.70 for a normal, -0.82 for t(3)."""
    rng = np.random.default_rng(0)
    for law, critical in ((stats.norm(), -0.70), (stats.t(3), -0.82)):
        y = law.rvs(size=(6000, 250), random_state=rng)
        v = law.ppf(0.025)
        e = law.expect(lambda x: x, lb=-np.inf, ub=v) / 0.025
        first, second = bt.shortfall_statistics(y, np.full(250, v), np.full(250, e), 0.025)
        assert np.quantile(second, 0.05) == pytest.approx(critical, abs=0.035)
        assert abs(np.nanmean(second)) < 5 * second.std() / np.sqrt(6000)
        assert abs(np.nanmean(first)) < 0.03


def test_the_loss_is_least_at_the_true_pair():
    y, tail = stats.norm.rvs(size=1_000_000, random_state=0), 0.025
    v, e = stats.norm.ppf(tail), -stats.norm.pdf(stats.norm.ppf(tail)) / tail
    best = bt.fissler_ziegel(y, np.float64(v), np.float64(e), tail).mean()
    for dv, de in ((0.1, 0), (-0.1, 0), (0, 0.1), (0, -0.1), (0.1, 0.1), (-0.1, -0.1)):
        assert bt.fissler_ziegel(y, np.float64(v + dv), np.float64(e + de), tail).mean() > best
    # at the truth the other terms are 0 on average
    assert best == pytest.approx(np.log(-e), abs=0.01)


def test_shortfalls_that_are_too_small_are_noticed():
    rng = np.random.default_rng(0)
    n, base = 5000, stats.norm.ppf(0.025)
    y, v = stats.t.rvs(3, size=n, random_state=rng), np.full(n, stats.t.ppf(0.025, 3))
    mild = v * -stats.norm.pdf(base) / 0.025 / base  # of a normal with that quantile
    assert bt.mcneil_frey(y, v, mild).p_value < 0.01
    draws = stats.norm.rvs(size=(500, n), random_state=rng) * v[0] / base
    assert all(test.p_value < 0.01 for test in bt.acerbi_szekely(y, v, mild, 0.025, draws))


def rejections(n, rounds, tail, seed=0):
    """Return how often each test rejects right forecasts at 5 %; forecasts follow a volatility that moves."""
    rng = np.random.default_rng(seed)
    base = stats.norm.ppf(tail)
    count = dict.fromkeys(("kupiec", "independence", "conditional_coverage", "acerbi_szekely_2", "mcneil_frey"), 0)
    for r in range(rounds):
        scale = np.exp(0.3 * np.sin(np.arange(n) / 20 + rng.random()))
        y, v, e = rng.normal(size=n) * scale, base * scale, -stats.norm.pdf(base) / tail * scale
        hits = y < v
        p = exact_p(hits, tail, rng)
        draws = rng.normal(size=(99, n)) * scale
        p["acerbi_szekely_2"] = bt.acerbi_szekely(y, v, e, tail, draws)[1].p_value
        p["mcneil_frey"] = bt.mcneil_frey(y, v, e, scale, draws=99, seed=r).p_value
        for name in count:
            count[name] += p[name] <= 0.05
    return count


def exact_p(hits, tail, rng):
    made = bt.simulated_p(hits, np.full(len(hits), -1.0), tail, draws=99, seed=int(rng.integers(2**31)))
    return {k: made[k] for k in ("kupiec", "independence", "conditional_coverage")}


@pytest.mark.parametrize("rounds", SEVERAL)
def test_right_forecasts_are_rejected_as_often_as_said(rounds, monkeypatch):
    """Simulated p-values: 5 % within the binomial error (the bootstrap of few hits within 3 points more)."""
    monkeypatch.setattr(bt, "LAGS", 10**6)  # the regression is tested by itself
    found = rejections(250, rounds, 0.05)
    allowed = stats.binom.ppf([0.0005, 0.9995], rounds, 0.05)
    for name, count in found.items():
        low, high = allowed if name != "mcneil_frey" else (0, allowed[1] + 0.03 * rounds)
        assert low <= count <= high, (name, count, allowed)


@pytest.mark.parametrize("rounds", SEVERAL)
def test_the_chi_squared_size_is_that_of_the_binomial(rounds):
    """Exact: the chance that a binomial number of hits is rejected."""
    n, tail = 500, 0.05
    x = np.arange(n + 1)
    rejected = np.array([bt.kupiec(some(n, int(k)), tail).p_value < 0.05 for k in x])
    exact = float(stats.binom.pmf(x, n, tail)[rejected].sum())
    hits = np.random.default_rng(0).random((rounds, n)) < tail
    count = int((stats.chi2.sf(bt.unconditional_ratio(hits, tail), 1) < 0.05).sum())
    low, high = stats.binom.ppf([0.0005, 0.9995], rounds, exact)
    assert low <= count <= high


@pytest.mark.parametrize("rounds", SEVERAL)
def test_the_dynamic_quantile_rejects_as_often_as_said(rounds):
    rng, n, tail = np.random.default_rng(3), 1000, 0.05
    var = -np.exp(0.3 * np.sin(np.arange(n) / 20))
    count = sum(bt.dynamic_quantile(h, var, tail).p_value < 0.05 for h in rng.random((rounds, n)) < tail)
    low, high = stats.binom.ppf([0.0005, 0.9995], rounds, 0.05)
    assert low <= count <= high + 0.02 * rounds  # the law of the statistic holds for many hits


def test_all_tests_of_a_right_forecast_and_what_is_refused():
    rng, n = np.random.default_rng(1), 600
    y, v = rng.normal(size=n), np.full(n, stats.norm.ppf(0.025))
    e = np.full(n, -stats.norm.pdf(v[0]) / 0.025)
    y[7] = np.nan
    found = {t.name: t for t in bt.backtests(y, v, e, 0.025, draws=rng.normal(size=(200, n)))}
    assert list(found) == [
        "kupiec", "independence", "conditional_coverage", "dynamic_quantile", "traffic_light", "mcneil_frey",
        "acerbi_szekely_1", "acerbi_szekely_2", "fissler_ziegel",
    ]
    assert {n: t.p_value for n, t in found.items() if t.p_value < 0.01} == {}
    assert found["kupiec"].details["expected"] == pytest.approx(599 * 0.025)  # the day without a return is left out
    with pytest.raises(InputError, match="finite forecasts"):
        bt.backtests(y, v[:-1], e, 0.025)
    with pytest.raises(InputError, match="below 0"):
        bt.acerbi_szekely(y[8:], v[8:], -e[8:], 0.025)
    with pytest.raises(InputError, match="tail"):
        bt.var_es(y, 0.7)
    with pytest.raises(InputError, match="Draw more"):
        bt.var_es(np.arange(20.0), 0.01)
    with pytest.raises(InputError, match="ten days"):
        bt.checked(np.full(20, np.nan), v[:20])


def test_without_hits_nothing_is_said_about_their_size():
    none = np.zeros(100, bool)
    assert bt.kupiec(none, 0.01).p_value == pytest.approx(stats.chi2.sf(-200 * np.log(0.99), 1))
    assert bt.christoffersen(none, 0.01)[0].statistic == 0
    y, v, e = np.zeros(100), np.full(100, -1.0), np.full(100, -2.0)
    assert np.isnan(bt.mcneil_frey(y, v, e).p_value)
    assert np.isnan(bt.acerbi_szekely(y, v, e, 0.01)[0].statistic)
