"""Scenarios and risk of a run: dated paths, what is given, forecasts of days nobody trained on, and the page."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("arch")

import senzai
from senzai.core.errors import CombinationError, InputError, SettingError
from senzai.evaluation import backtests
from senzai.evaluation.stylised import FACTS, drawdown, facts, hill
from senzai.runs.verbs import risk as module
from senzai.runs.verbs.scenarios import events_of

TINY = {"kind": "series", "steps": 40, "n_latent": 2, "sampler": "none", "schedule": "constant"}


def prices(n=700, seed=0):
    rng = np.random.default_rng(seed)
    scale = 0.01 * np.exp(0.6 * np.sin(np.arange(n) / 40))[:, None]
    steps = scale * (rng.standard_t(5, size=(n, 1)) + rng.standard_t(5, size=(n, 2))) / np.sqrt(10 / 3)
    index = pd.bdate_range("2018-01-01", periods=n, name="day")
    return pd.DataFrame((100 * np.exp(steps.cumsum(0))).round(4), columns=["SPX", "NDQ"], index=index)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "r"
    return senzai.fit(prices(), returns="log", filter="garch", test=0.3, out=out, **TINY)


@pytest.fixture(scope="module")
def plain():
    return senzai.fit(prices(), returns="simple", filter="none", window=8, test=0.3, width=4, **TINY)


# --- scenarios --------------------------------------------------------------------------------------------------------
def test_paths_are_dated_after_the_data_and_join_the_last_price(run):
    made = run.scenarios(prices(), n=200, horizon=10)
    assert made.columns.tolist() == ["path", "day", "SPX", "NDQ"]
    assert len(made) == 2000
    assert made["day"].iloc[:10].tolist() == pd.bdate_range(prices().index[-1], periods=11)[1:].tolist()
    first = made.groupby("path").first()["SPX"] / prices()["SPX"].iloc[-1] - 1
    scale = np.sqrt(run.dataset(prices()).schema.details.coming[0])
    assert 0.6 * scale < first.std() < 1.6 * scale
    assert made.equals(run.scenarios(prices(), n=200, horizon=10))
    assert not made.equals(run.scenarios(prices(), n=200, horizon=10, seed=1))


def test_what_is_given_holds_on_every_path_and_its_share_is_said(run):
    made = run.scenarios(prices(), n=150, horizon=10, given="SPX<-4%, portfolio<0")
    last = made.groupby("path").last()
    total = last[["SPX", "NDQ"]] / prices().iloc[-1] - 1
    assert len(last) == 150
    assert bool((total["SPX"] < -0.04).all())
    assert bool((total.mean(axis=1) < 0).all())
    assert 0 < made.attrs["share"] < 1
    free = run.scenarios(prices(), n=2000, horizon=10)
    share = (free.groupby("path").last()["SPX"] / prices()["SPX"].iloc[-1] - 1 < -0.04).mean()
    only = run.scenarios(prices(), n=400, horizon=10, given="SPX<-4%").attrs["share"]
    assert only == pytest.approx(share, abs=4 * np.sqrt(share / 2000) + 4 * np.sqrt(only / 2000))


def test_steps_of_given_paths_are_returns_if_asked_for(run):
    priced = run.scenarios(prices(), n=3, horizon=4)
    steps = run.scenarios(prices(), n=3, horizon=4, as_returns=True)
    path = np.concatenate([[prices()["SPX"].iloc[-1]], priced["SPX"].iloc[:4]])
    assert np.diff(np.log(path)) == pytest.approx(steps["SPX"].iloc[:4].to_numpy(), abs=1e-4)


def test_windows_without_a_filter_go_on_from_their_past(plain):
    made = plain.scenarios(prices(), n=50, horizon=3)
    assert len(made) == 150
    long = plain.scenarios(prices(), n=20, horizon=20)
    assert long.groupby("path").size().eq(20).all()


@pytest.mark.parametrize(("given", "said"), [
    ("SPX", "written like"), ("DAX<-5%", "DAX"), ("SPX<-5", "per cent"), ("SPX<-99.9%", "too rare"),
])
def test_what_cannot_be_given_is_refused_with_the_way_out(run, given, said, monkeypatch):
    monkeypatch.setattr("senzai.runs.verbs.scenarios.MOST", 2000)
    with pytest.raises(SettingError, match=said):
        run.scenarios(prices(), n=100, horizon=5, given=given)


def test_events_are_read_as_they_are_written():
    found = events_of("A & B >= 1.5%,portfolio < -.01", ("A & B",))
    assert [(e.column, e.below, e.bound) for e in found] == [(0, False, 0.015), (-1, True, -0.01)]


# --- risk -------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def told(run):
    return run.risk(prices(), days=150, draws=2000)


def test_risk_is_of_days_after_training_and_plain_values(run, told):
    json.dumps(told)
    data = run.dataset(prices())
    trained = data.split_indices()
    last = max(trained["train"].max(), trained["validation"].max()) + 5  # windows of five steps, a day after its first
    assert told["days"] == 150
    assert pd.Timestamp(told["first"]) > prices().index[last]
    assert list(told["forecasts"]) == ["portfolio", "SPX", "NDQ"]
    assert pd.Timestamp(told["next"]) == prices().index[-1] + pd.offsets.BDay(1)
    assert told["filters"]["SPX"]["beta"] == run.schema.details.filters[0].beta


def test_a_larger_level_loses_more_and_the_shortfall_more_still(told):
    for levels in told["forecasts"].values():
        var, es = ([v[k] for v in levels.values()] for k in ("var", "es"))
        assert var == sorted(var)
        assert es == sorted(es)
        assert all(a < b for a, b in zip(var, es, strict=True))
        for v in levels.values():
            assert set(v["beside"]) == {"filtered historical simulation", "historical simulation"}
            assert v["hits"] <= 4 * v["expected"] + 6


def test_forecasts_are_quantiles_of_the_day_by_hand(run):
    """Against the filter's own volatility and draws of the residuals."""
    data = run.dataset(prices())
    returns = data.kind.returns(data.schema)
    seen = returns.seen(data.source)
    asked = module.RiskSettings(days=20, draws=5000)
    draw = module.methods(run, data, returns, module.training_returns(run, data, returns), asked)["model"]
    lines = module.days_of(run, data, returns, seen, 20)
    made = next(iter(draw(lines[-1:])))
    at = np.searchsorted(seen.lines, lines[-1])
    scale = np.sqrt(seen.variances[at])
    mean = [law.mean for law in data.schema.details.filters]
    left = (np.log1p(made) - mean) / scale
    assert left.std(0) == pytest.approx([1, 1], abs=0.15)
    assert left.mean(0) == pytest.approx([0, 0], abs=0.1)


def test_no_forecast_knows_its_day(run):
    frame = prices()
    changed = frame.copy()
    changed.iloc[-1] *= 0.5
    found = [run.risk(f, days=30, draws=1000)["forecasts"]["SPX"]["99"] for f in (frame, changed)]
    assert found[0]["var"] == pytest.approx(found[1]["var"], rel=1e-9)
    assert found[1]["hits"] == found[0]["hits"] + 1
    assert found[1]["next_var"] > 2 * found[0]["next_var"]


def test_weights_make_the_portfolio(run):
    alone = run.risk(prices(), days=30, draws=1000, weights="SPX=1")["forecasts"]
    assert alone["portfolio"]["99"]["var"] == pytest.approx(alone["SPX"]["99"]["var"])
    with pytest.raises(SettingError, match="DAX"):
        run.risk(prices(), days=30, draws=1000, weights="DAX=1")


def test_windows_without_a_filter_are_forecast_from_their_past(plain):
    found = plain.risk(prices(), days=20, draws=500)
    assert found["filters"] == {}
    assert found["forecasts"]["SPX"]["99"]["next_var"] is None
    assert list(found["forecasts"]["SPX"]["99"]["beside"]) == ["historical simulation"]


def test_days_that_trained_are_no_test(run):
    with pytest.raises(InputError, match="after those that trained"):
        run.risk(prices().iloc[:300], days=100, draws=1000)


def test_the_page_is_whole_and_says_what_was_found(run, tmp_path):
    run.evaluate(prices(), rows=60, k=2, only=["stylised"])
    found = run.risk(prices(), days=40, draws=1000, path=tmp_path / "risk.html")
    text = (tmp_path / "risk.html").read_text(encoding="utf-8")
    at = found["forecasts"]["portfolio"]["99"]
    assert f"on {at['hits']} days" in text
    assert text.count("<circle") == 40
    assert text.count("fill=#c2371a") == at["hits"]
    assert "Acerbi and Szekely Z2" in text
    assert FACTS["leverage"] in text
    assert "<script" not in text


def test_rows_that_are_no_returns_have_no_risk():
    other = senzai.fit(np.random.default_rng(0).normal(size=(40, 3)), steps=1)
    for name in ("scenarios", "risk"):
        with pytest.raises(CombinationError, match="returns=log"):
            other.do(name, np.zeros((2, 3)))


def test_a_forecast_of_prices_is_left_to_scenarios(run):
    with pytest.raises(CombinationError, match="scenarios"):
        run.forecast(prices(), horizon=2)


# --- stylised facts ---------------------------------------------------------------------------------------------------
def test_facts_of_known_laws():
    rng = np.random.default_rng(0)
    r = rng.standard_t(4, size=(50, 2000, 2)) * 0.01
    r[..., 1] = 0.6 * r[..., 0] + 0.8 * r[..., 1]
    found = facts(r)
    assert found["correlation"] == pytest.approx(0.6, abs=0.02)
    assert found["market"] == pytest.approx(0.8, abs=0.01)
    assert abs(found["acf_returns"]) < 0.01
    assert 2.5 < found["tail_index_losses"] < 4  # of the largest 5 %, not yet the limit of 4
    assert hill(rng.pareto(3, size=200_000) + 1) == pytest.approx(3, abs=0.1)
    assert drawdown(np.log(np.array([[0.5, 2.0, 1.1, 0.8]])), 4) == pytest.approx(0.5)
    pooled = np.sort(r.mean(2).ravel())
    assert found["es"] == pytest.approx(pooled[:1000].mean())


def test_an_evaluation_has_one_table(run):
    found = run.evaluate(prices(), rows=60, k=2, only=["stylised"])["measured"]["stylised"]["table"]
    assert list(found) == ["data", "held-out data", "model", "stationary bootstrap", "filtered historical simulation"]
    again = found["filtered historical simulation"]
    assert found["data"]["correlation"] == pytest.approx(again["correlation"], abs=0.2)
    assert found["model"]["correlation"] == pytest.approx(found["data"]["correlation"], abs=0.15)
    assert backtests.need_share(0.01) is None
