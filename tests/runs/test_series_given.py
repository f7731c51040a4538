"""Series given their calendar and further columns: processes whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import senzai
from senzai.core.errors import CombinationError, SettingError

FIT = {
    "kind": "series", "width": 8, "n_latent": 2, "sampler": "none", "lr": 1e-2, "batch_size": 32,
    "schedule": "one_cycle",
}


def hours(n=24 * 14, noise=0.3):
    t = np.arange(n)
    v = 10 * np.sin(2 * np.pi * t / 24) + noise * np.random.default_rng(0).normal(size=n)
    return pd.DataFrame({"when": pd.date_range("2024-03-01", periods=n, freq="h"), "v": v.round(2)})


@pytest.fixture(scope="module")
def daily():
    return senzai.fit(hours(), window=8, condition="hour", steps=150, seed=0, **FIT)


@pytest.mark.parametrize("hour", [0, 6, 17])
def test_samples_have_the_phase_of_the_hour_that_they_begin_at(daily, hour):
    made = daily.sample(30, given={"hour": hour}, seed=0)
    assert (made["when"].dt.hour.to_numpy().reshape(30, 8) == (hour + np.arange(8)) % 24).all()
    true = 10 * np.sin(2 * np.pi * (hour + np.arange(8)) / 24)
    assert np.abs(made["v"].to_numpy().reshape(30, 8).mean(0) - true).max() < 2.5


def test_samples_are_dated_by_what_was_drawn_for_them(daily):
    made = daily.sample(60, seed=1)
    assert made["when"].min() >= hours()["when"].iloc[-1]
    assert made.groupby("window")["when"].first().dt.hour.nunique() > 8
    true = 10 * np.sin(2 * np.pi * made["when"].dt.hour / 24)
    assert np.sqrt(np.mean((made["v"] - true) ** 2)) < 4.0


def test_a_start_dates_a_sample(daily):
    made = daily.sample(2, given={"start": "2030-01-05 06:00"}, seed=0)
    assert made["when"].tolist() == [*pd.date_range("2030-01-05 06:00", periods=8, freq="h")] * 2


def test_a_forecast_is_of_its_own_hours(daily):
    for end in (200, 206):
        found = daily.forecast(hours().iloc[:end], horizon=4, n=40, checked=0)
        true = 10 * np.sin(2 * np.pi * np.arange(end, end + 4) / 24)
        assert np.abs(found["median"] - true).max() < 3.0


def driven(n=400, noise=0.2):
    """Values that are three times a column that nobody could foresee."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    v = 3 * x + noise * rng.normal(size=n)
    return pd.DataFrame({"when": pd.date_range("2020-01-01", periods=n, freq="D"), "v": v, "x": x})


@pytest.fixture(scope="module")
def pulled():
    data = driven().iloc[:380]
    return senzai.fit(data, window=6, columns="v", exogenous="x", horizon=2, steps=160, seed=0, **FIT)


def test_a_forecast_follows_the_column_that_drives_it(pulled):
    data, errors = driven(), []
    for end in (382, 388, 395):
        known = data.iloc[: end + 3].copy()
        known.loc[end:, "v"] = np.nan
        found = pulled.forecast(known, horizon=3, n=60, checked=0)
        assert found["when"].tolist() == data["when"][end : end + 3].tolist()
        errors += (found["median"].to_numpy() - 3 * data["x"][end : end + 3].to_numpy()).tolist()
    assert np.sqrt(np.mean(np.square(errors))) < 1.0  # without the column it is 3


def test_steps_ahead_without_the_column_are_refused_or_held(pulled):
    data = driven().iloc[:390]
    with pytest.raises(SettingError, match="hold=true"):
        pulled.forecast(data, horizon=3, checked=0)
    held = pulled.forecast(data, horizon=3, n=60, hold=True, checked=0)
    assert np.abs(held["median"] - 3 * data["x"].iloc[-1]).max() < 2.0
    assert "last values" in held.attrs["held"]


def test_held_out_forecasts_are_told_the_column_too(pulled):
    data = driven()
    data.loc[397:, "v"] = np.nan
    told = pulled.forecast(data, horizon=3, n=60, checked=30).attrs
    assert told["crps"] < 0.25  # of a standard normal without the column 0.56


def test_a_forecast_of_data_that_went_on_is_not_judged_by_windows_that_trained(pulled):
    own = pulled.dataset(driven().iloc[:380]).split_indices()
    more = driven().iloc[:395].copy()
    more.loc[390:, "v"] = np.nan
    parts = pulled.kind.unseen(pulled.dataset(more).source, pulled.schema)
    assert parts["validation"].tolist() == own["validation"].tolist()
    since = [i for i in range(len(more) - 5) if i >= 380 - 5]
    assert parts["test"].tolist() == [*own["test"].tolist(), *since]
    told = pulled.forecast(more, horizon=3, n=4, hold=True, checked=50).attrs
    assert told["windows"] <= len(parts["test"]) / 3 + 1
    assert pulled.forecast(more.iloc[50:300], horizon=3, n=4, hold=True).attrs["windows"] == 0  # all were seen


def test_samples_follow_the_column_that_is_given(pulled):
    high, low = (pulled.sample(30, given={"x": v}, seed=0)["v"].mean() for v in (1.5, -1.5))
    assert high > 2.0
    assert low < -2.0
    path = pulled.sample(30, given={"x": "0,0,0,2,0,0"}, seed=0)["v"].to_numpy().reshape(30, 6).mean(0)
    assert int(path.argmax()) == 3


def test_a_regime_goes_on_in_a_forecast():
    data = hours(120)
    data["regime"] = np.where(np.arange(120) % 40 < 20, "calm", "crisis")
    run = senzai.fit(data, window=4, label="regime", condition="label", steps=2, **FIT)
    with pytest.raises(CombinationError, match="conditioned on regime"):
        run.kind.processing(run.schema)
    assert len(run.forecast(data, horizon=2, n=4, checked=3)) == 2
