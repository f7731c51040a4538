"""Prices as returns, filters that take volatility out, and the exact way back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from senzai.core.errors import InputError, SettingError
from senzai.data import open_data
from senzai.data.series.filters import Garch, fitted, mixing_of, unmixed, walked

arch = pytest.importorskip("arch")

LAW = Garch(mean=0.02, omega=0.05, alpha=0.05, gamma=0.1, beta=0.85, freedom=6.0, start=0.8)


def prices(n=400, seed=0, columns=("A", "B")):
    rng, d = np.random.default_rng(seed), len(columns)
    left = (rng.standard_t(6, size=(1, n, d)) + rng.standard_t(6, size=(1, n, 1))) / np.sqrt(3)
    steps = 0.01 * walked(left, (LAW,) * d, tuple(map(tuple, np.eye(d))), np.ones(d))[0]
    index = pd.bdate_range("2020-01-01", periods=n, name="day")
    return pd.DataFrame((100 * np.exp(steps.cumsum(0))).round(2), columns=list(columns), index=index)


def opened(frame, **options):
    return open_data(frame, kind="series", options={"returns": "log", **options})


# --- returns ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("how", "law"), [("log", "none"), ("simple", "none"), ("log", "gjr"), ("simple", "garch")])
def test_windows_of_returns_become_the_prices_again(how, law):
    frame = prices()
    data = opened(frame, returns=how, filter=law, window=5)
    every = np.arange(len(data))
    whole = data.kind.joined(data.batch(every).x, data.schema, data.source, about=data.rows.about(every))
    again = frame.iloc[1:]  # the first price has no return
    pd.testing.assert_frame_equal(whole, again, check_freq=False, check_index_type=False)
    back = data.kind.decode(data.batch(np.array([7])).x, data.schema, about=data.rows.about(np.array([7])))
    assert back["A"].tolist() == frame["A"].iloc[8:13].tolist()


def test_model_values_are_the_returns_by_hand():
    frame = prices()
    data = opened(frame, filter="none", window=4)
    told = data.schema.details
    x = data.batch(np.array([10])).tensor[0].double().numpy() * np.array(told.scale) + np.array(told.shift)
    assert x == pytest.approx(np.log(frame).diff().to_numpy()[11:15], abs=1e-8)
    train = data.split_indices()["train"]
    known = np.log(frame).diff().to_numpy()[1 : train.max() + 4 + 1]
    assert told.shift == pytest.approx(known.mean(0))  # of training days alone
    assert told.scale == pytest.approx(known.std(0))


def test_a_missing_day_has_no_return_and_the_next_joins_the_last_price():
    frame = prices()
    frame.iloc[200, 0] = np.nan
    data = opened(frame, filter="none", window=5)
    returns = data.source.panel.values
    assert np.isnan(returns[200, 0])
    assert returns[201, 0] == pytest.approx(np.log(frame["A"].iloc[201] / frame["A"].iloc[199]))
    assert any("1 prices are missing" in said for said in data.schema.reasons)
    batch = data.batch(np.array([197]))
    assert batch.mask is not None
    assert not bool(batch.mask[0, 2, 0])


def test_long_prices_become_wide_and_bars_give_their_close():
    frame = prices(120)
    long = frame.reset_index().melt("day", var_name="asset", value_name="price")
    data = opened(long, filter="none", window=5)
    assert data.schema.columns == ("A", "B")
    again = open_data(long, schema=data.schema)
    assert again.batch(np.arange(3)).tensor.equal(data.batch(np.arange(3)).tensor)
    wide = open_data(frame.reset_index(), schema=data.schema)
    assert wide.batch(np.arange(3)).tensor.equal(data.batch(np.arange(3)).tensor)
    bars = pd.DataFrame({"Date": frame.index, **{c: frame["A"].to_numpy() for c in ("Open", "High", "Low", "Close")},
                         "Adj Close": frame["A"].to_numpy() / 2, "Volume": 0.0})
    assert opened(bars, filter="none", window=5).schema.columns == ("Adj Close",)


def test_what_looks_like_a_split_is_said():
    frame = prices()
    frame.iloc[100:, 1] = (frame.iloc[100:, 1] / 2).round(2)
    said = " ".join(opened(frame, filter="none").schema.reasons)
    assert "like a split of shares: B (1)" in said
    assert "split" not in " ".join(opened(prices(), filter="none").schema.reasons)


@pytest.mark.parametrize(("change", "options", "said"), [
    (lambda f: f.iloc.__setitem__((5, 1), 0.0), {}, r"prices above 0, but 'B' .* has 0 in line 5"),
    (lambda f: f.iloc.__setitem__((5, 0), -3.0), {"returns": "simple"}, "prices above 0"),
    (lambda f: f.__setitem__("A", 100.0), {"filter": "gjr"}, "all alike"),
    (lambda f: f.iloc.__setitem__((slice(60, None), 1), np.nan), {"filter": "gjr"}, "100 returns"),
    (lambda f: f.__setitem__("A", np.nan), {"filter": "none"}, "missing"),
])
def test_prices_without_returns_are_refused_with_the_way_out(change, options, said):
    frame = prices()
    change(frame)
    with pytest.raises(InputError, match=said):
        opened(frame, **options)


@pytest.mark.parametrize(("options", "said"), [
    ({"returns": "none", "filter": "gjr"}, "filter is of returns"),
    ({"returns": "log", "level": "log"}, "counted from no level"),
])
def test_settings_that_do_not_go_together_are_refused(options, said):
    with pytest.raises(SettingError, match=said):
        opened(prices(), **options)


# --- filters ----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def simulated():
    rng = np.random.default_rng(0)
    left = rng.standard_t(6, size=(1, 3000, 1)) / np.sqrt(1.5)
    return walked(left, (LAW,), ((1.0,),), np.array([1.0]))[0, :, 0], left[0, :, 0]


def test_variances_and_log_likelihood_are_those_of_arch(simulated):
    returns, _ = simulated
    law = fitted(returns, "gjr", "a")
    model = arch.arch_model(returns, mean="Constant", vol="GARCH", p=1, o=1, q=1, dist="t", rescale=False)
    params = [law.mean, law.omega, law.alpha, law.gamma, law.beta, law.freedom]
    fixed = model.fix(params)
    assert np.sqrt(law.variances(returns)[:-1]) == pytest.approx(np.asarray(fixed.conditional_volatility), rel=1e-6)
    assert law.log_likelihood(returns) == pytest.approx(fixed.loglikelihood, rel=1e-8)
    ahead = fixed.forecast(horizon=1, reindex=False).variance.to_numpy()[-1, 0]
    assert law.variances(returns)[-1] == pytest.approx(ahead, rel=1e-6)
    best = model.fit(disp="off")
    assert law.log_likelihood(returns) == pytest.approx(best.loglikelihood, abs=0.5)


def test_paths_have_the_moments_of_archs_simulation():
    rng = np.random.default_rng(1)
    n, steps = 20_000, 5
    left = rng.standard_t(6, size=(n, steps, 1)) / np.sqrt(1.5)
    ours = walked(left, (LAW,), ((1.0,),), np.array([2.0]))[..., 0]
    model = arch.arch_model(np.zeros(10), mean="Constant", vol="GARCH", p=1, o=1, q=1, dist="t", rescale=False)
    model.distribution = arch.univariate.StudentsT(seed=np.random.RandomState(3))
    variance = 2.0
    expected = []
    for _ in range(steps):
        expected.append(variance)
        variance = LAW.omega + (LAW.alpha + LAW.gamma / 2 + LAW.beta) * variance
    spread = ours.var(0)
    assert spread == pytest.approx(expected, rel=0.06)
    made = model.simulate([0.02, 0.05, 0.05, 0.1, 0.85, 6.0], 40_000, burn=500)["data"].to_numpy()
    long = walked(rng.standard_t(6, size=(40, 1000, 1)) / np.sqrt(1.5), (LAW,), ((1.0,),), np.array([1.0]))[..., 0]
    size = [np.corrcoef(np.abs(v[:-1]), np.abs(v[1:]))[0, 1] for v in (made, long.ravel())]
    assert size[0] == pytest.approx(size[1], abs=0.05)
    assert np.quantile(made, 0.01) == pytest.approx(np.quantile(long, 0.01), rel=0.1)


def test_what_is_walked_is_filtered_again(simulated):
    returns, left = simulated
    variances = LAW.model_copy(update={"start": (1.0 - LAW.omega) / (LAW.alpha + LAW.gamma / 2 + LAW.beta)}).variances(
        returns)[:-1]
    assert (returns - LAW.mean) / np.sqrt(variances) == pytest.approx(left, rel=1e-9, abs=1e-9)


def test_residuals_lose_their_correlation_and_get_it_back():
    rng = np.random.default_rng(0)
    tril = np.array([[1, 0, 0], [0.6, 0.8, 0], [0.3, 0.4, np.sqrt(0.75)]])
    residuals = rng.normal(size=(20_000, 3)) @ tril.T
    mixing = mixing_of(residuals)
    assert np.array(mixing) == pytest.approx(tril, abs=0.02)
    left = unmixed(residuals, mixing)
    assert np.abs(np.corrcoef(left.T) - np.eye(3)).max() < 0.01
    assert left @ np.array(mixing).T == pytest.approx(residuals)
    holed = residuals[:50].copy()
    holed[3, 1] = np.nan
    again = unmixed(holed, mixing)
    assert np.isnan(again[3, 1])
    assert (np.nan_to_num(again) @ np.array(mixing).T)[3, [0, 2]] == pytest.approx(residuals[3, [0, 2]])


def test_filters_know_the_training_days_alone():
    frame = prices(600)
    changed = frame.copy()
    data = opened(frame, filter="gjr", window=5)
    first = int(data.split_indices()["test"][0]) + 1  # lines begin a day before windows
    changed.iloc[first + 1 :] *= np.linspace(1, 40, len(frame) - first - 1)[:, None]
    other = opened(changed, filter="gjr", window=5)
    assert other.schema.details.filters == data.schema.details.filters
    assert other.schema.details.mixing == data.schema.details.mixing
    assert other.schema.details.coming != data.schema.details.coming


def test_residuals_of_a_day_follow_from_days_before_it():
    frame = prices(500)
    data = opened(frame, filter="gjr", window=5)
    later = frame.copy()
    later.iloc[-1] *= 1.5
    other = open_data(later, schema=data.schema)
    a, b = (d.batch(np.array([len(d) - 1])).tensor[0] for d in (data, other))
    assert a[:-1].equal(b[:-1])
    assert not a[-1].equal(b[-1])


def test_new_windows_go_on_from_the_last_price_and_the_last_volatility():
    frame = prices(500)
    wild = frame.copy()
    wild.iloc[-1, 0] *= 0.7
    data = opened(frame, filter="garch", window=5)
    calm_next, wild_next = (d.schema.details.coming[0] for d in (data, open_data(wild, schema=data.schema)))
    assert wild_next > 3 * calm_next
    x = data.batch(np.arange(40)).x
    spread = []
    for source in (frame, wild):
        schema = open_data(source, schema=data.schema).schema
        made = data.kind.decode(x, schema)
        assert made["day"].iloc[0] == frame.index[-1] + pd.offsets.BDay(1)
        steps = np.log(made["A"].to_numpy().reshape(40, 5)[:, 0] / source["A"].iloc[-1])
        spread.append(steps.std())
    assert spread[1] > 1.7 * spread[0]


def test_holes_of_prices_are_filled_and_what_was_seen_stays():
    frame = prices(300)
    frame.iloc[[50, 51], 0] = np.nan
    data = opened(frame, filter="none", window=5)
    schema, parts = data.schema, list(data.kind.parts(data.source, data.schema, 1000))
    x = data.batch(np.arange(len(data))).x
    whole = data.kind.gather([data.kind.fill(p, x, schema) for p in parts], data.source, schema, None)
    assert not whole["A"].isna().any()
    kept = np.setdiff1d(np.arange(300), [50, 51])
    assert whole["A"].to_numpy()[kept].tolist() == frame["A"].to_numpy()[kept].tolist()
