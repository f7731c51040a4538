"""What a user does with a run of series: dated answers in the user's units, forecasts, scores of steps, a report."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

import senzai
from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.evaluation.forecasts import covered, spread_factors
from senzai.models import verbs
from senzai.runs.verbs.forecast import spread
from senzai.runs.verbs.score_steps import scored_as_they_come, step_distortions

N, L = 240, 8


def frame(n=N, seed=0):
    rng, t = np.random.default_rng(seed), np.arange(n)
    when = pd.date_range("2024-01-01", periods=n, freq="h")
    return pd.DataFrame({"when": when, "v": (100 + 10 * np.sin(2 * np.pi * t / 4) + rng.normal(size=n)).round(2)})


@pytest.fixture(scope="module")
def run():
    return senzai.fit(
        frame(), kind="series", window=L, horizon=2, width=4, n_latent=3, sampler="none", lr=1e-2, steps=120,
        batch_size=32, validate_every=120, schedule="constant",
    )


def test_samples_are_dated_draws_in_the_users_units(run):
    made = run.sample(40, seed=0)
    assert made.columns.tolist() == ["window", "when", "v"]
    assert len(made) == 40 * L
    assert made["when"].iloc[0] == frame()["when"].iloc[-1] + pd.Timedelta("1h")
    assert 60 < made["v"].mean() < 140
    assert run.kind.shows == "draws"  # means are smoother than series, and understate what may happen


def test_reconstructions_and_codes_go_with_the_times_of_the_data(run):
    data = frame()
    made = run.reconstruct(data)
    assert made["when"].tolist() == data["when"].tolist()
    assert np.corrcoef(made["v"], data["v"])[0, 1] > 0.5
    codes = run.encode(data)
    assert codes.shape == (N - L + 1, 3)
    assert codes.index.tolist() == data["when"].tolist()[: N - L + 1]


def test_imputed_series_keep_what_was_seen(run):
    data = frame()
    data.loc[[50, 51, N - 1], "v"] = np.nan
    whole = run.impute(data.drop(index=100))
    assert len(whole) == N
    assert not whole["v"].isna().any()
    kept = np.setdiff1d(np.arange(N), [50, 51, 100, N - 1])
    assert whole["v"][kept].tolist() == data["v"][kept].tolist()
    assert np.abs(whole["v"][[50, 51, 100, N - 1]] - frame()["v"][[50, 51, 100, N - 1]]).max() < 25


def test_a_way_between_two_windows_is_dated(run):
    made = run.interpolate(frame().iloc[:L], frame().iloc[2 : 2 + L], steps=3)
    assert made["window"].tolist() == [0] * L + [1] * L + [2] * L


def test_a_strange_stretch_scores_high_step_by_step(run):
    data = frame(seed=1)
    data.loc[120:125, "v"] += 80
    scores = run.score_steps(data)
    assert scores["when"].tolist() == data["when"].tolist()
    assert len(set(np.argsort(scores["score"].to_numpy())[-6:].tolist()) & set(range(120, 126))) >= 5
    windows = run.score(data, method="elbo")
    assert len(windows) == N - L + 1
    assert 112 < int(np.argmax(np.asarray(windows))) <= 125


def test_a_step_may_have_the_scores_of_its_windows(run):
    data = frame(40, seed=3)
    windows = np.asarray(run.score(data, k=4))
    steps = run.score_steps(data, of="windows")["score"].to_numpy()
    held = [windows[max(0, t - L + 1) : t + 1].mean() for t in range(40)]  # those that have the step; stride 1
    assert np.allclose(steps, held, rtol=1e-5)
    assert not np.allclose(steps, run.score_steps(data)["score"], rtol=0.1)
    with pytest.raises(SettingError, match="steps or of windows"):
        run.score_steps(data, of="rows")
    with pytest.raises(SettingError, match="add of=windows"):
        run.score_steps(data, method="elbo")
    assert not np.allclose(steps, run.score_steps(data, of="windows", method="elbo")["score"], rtol=0.1)
    with pytest.raises(SettingError, match="one by one"):
        scored_as_they_come(run, of="windows")


def test_a_step_that_was_not_seen_has_no_score_of_its_windows(run):
    data = frame(40, seed=3)
    data.loc[17, "v"] = np.nan
    steps = run.score_steps(data, of="windows")["score"]
    assert np.flatnonzero(steps.isna()).tolist() == [17]


def test_scores_of_steps_add_up_to_the_distortion(run):
    batch = run.dataset(frame()).batch(np.arange(5))
    steps = step_distortions(run.model, batch, k=1)
    assert steps.shape == (5, L)
    holed = step_distortions(run.model, Batch(batch.x, mask=torch.arange(L).view(1, L, 1).expand(5, L, 1) != 3), k=1)
    assert bool(torch.isnan(holed[:, 3]).all())
    assert not bool(torch.isnan(holed[:, 4]).any())
    sums = [step_distortions(run.model, batch, k=1, seed=s).sum(1) for s in range(64)]
    mean = torch.stack(sums).mean(0)
    made = torch.stack([verbs.encode(run.model, batch, seed=s)[0] for s in range(64)])
    p = run.model.generate((made,), None)
    assert torch.allclose(mean, -p.log_prob(batch.tensor.expand(64, -1, -1, -1)).mean(0), rtol=0.2, atol=1.0)


def test_a_forecast_goes_on_after_the_data_and_says_what_it_is_worth(run):
    found = run.forecast(frame(), horizon=2, n=60, checked=15)
    assert found.columns.tolist() == ["when", "column", "median", "low", "high", "naive"]
    assert found["when"].tolist() == pd.date_range(frame()["when"].iloc[-1], periods=3, freq="h")[1:].tolist()
    assert bool((found["low"] <= found["median"]).all())
    assert bool((found["median"] <= found["high"]).all())
    told = found.attrs
    assert told["windows"] >= 5
    assert 0.4 <= told["coverage"] <= 1
    assert told["crps"] < told["mean_absolute_error"] * 1.2
    json.dumps(told)


def test_the_naive_forecast_and_the_season_are_those_of_the_data(run):
    naive = run.forecast(frame(), horizon=2, n=4, checked=0)["naive"]
    assert run.kind.season(run.schema) in (None, 24)
    assert naive.tolist() == pytest.approx([frame()["v"].iloc[-1]] * 2, abs=1e-4)  # a day is longer than the window


def test_paths_of_a_forecast_are_draws(run):
    paths = run.forecast(frame(), horizon=2, n=5, paths=True, checked=0)
    assert paths["path"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert paths["v"].nunique() > 5
    assert paths.equals(run.forecast(frame(), horizon=2, n=5, paths=True, checked=0))
    assert not paths.equals(run.forecast(frame(), horizon=2, n=5, paths=True, checked=0, seed=1))


def test_the_spread_is_corrected_by_other_windows_than_those_that_judge(run, monkeypatch):
    from senzai.runs.verbs import forecast as module

    taken, real = [], module._forecast_again
    monkeypatch.setattr(module, "_forecast_again", lambda r, d, i, a: taken.append(i.tolist()) or real(r, d, i, a))
    told = run.forecast(frame(), horizon=2, n=40).attrs
    parts = run.dataset(frame()).split_indices()
    assert set(taken[0]) <= set(parts["validation"].tolist())  # both parts are large enough here
    assert set(taken[1]) <= set(parts["test"].tolist())
    dataset = run.dataset(frame())
    before, after = module.held_out(run, dataset, module.ForecastSettings(horizon=2, n=40))
    assert told["spread"] == spread_factors(before.drawn, before.came, 0.9).mean()
    assert told["spread"] != spread_factors(after.drawn, after.came, 0.9).mean()
    assert told["windows"] == len(after.came)
    assert told["mean_absolute_error"] == pytest.approx(np.abs(np.median(after.drawn, 0) - after.came).mean())
    assert told["coverage_before"] == covered(*np.quantile(after.drawn, [0.05, 0.95], axis=0), after.came)
    taken.clear()
    run.forecast(frame().assign(v=frame()["v"] + 1), horizon=2, n=4)  # other data: the earlier half and the later one
    assert max(taken[0]) < min(taken[1])


def test_paths_are_spread_about_their_median_and_what_was_seen_stays(run):
    drawn = torch.randn(41, 3, 4, 2, generator=torch.Generator().manual_seed(0)).exp()
    drawn[:, :, :2] = drawn[0, :, :2]
    wide = spread(drawn, np.array([3.0, 0.5]))
    assert torch.equal(wide[:, :, :2], drawn[:, :, :2])
    torch.testing.assert_close(wide.median(0).values, drawn.median(0).values)
    for j, factor in enumerate((3.0, 0.5)):
        was, now = (x[..., 2:, j].quantile(0.95, 0) - x[..., 2:, j].quantile(0.05, 0) for x in (drawn, wide))
        torch.testing.assert_close(now, factor * was)
    plain = run.forecast(frame(), horizon=2, n=60, calibrate=False)
    made = run.forecast(frame(), horizon=2, n=60)
    assert "spread" not in plain.attrs
    factor = made.attrs["spread"]
    np.testing.assert_allclose(made["median"], plain["median"], rtol=1e-5)
    np.testing.assert_allclose(made["high"] - made["low"], factor * (plain["high"] - plain["low"]), rtol=1e-3)


def test_a_forecast_does_not_see_what_came(run, monkeypatch):
    """The values behind the horizon change nothing but the comparison."""
    from senzai.runs.verbs import forecast as module

    drawn = []
    real = module.paths_of
    monkeypatch.setattr(module, "paths_of", lambda *given: drawn.append(real(*given)) or drawn[-1])
    monkeypatch.setattr(type(run.kind), "unseen", lambda *_: {"test": np.arange(1)})
    changed = frame()
    changed.loc[N - 2 :, "v"] = 500.0
    for data in (frame(), changed):
        dataset = run.dataset(data).take([N - L])
        module.held_out(run, dataset, module.ForecastSettings(horizon=2, n=4, checked=1, calibrate=False))
    assert torch.equal(*drawn)


def test_what_cannot_be_forecast_is_said(run):
    with pytest.raises(SettingError, match="horizon < window"):
        run.forecast(frame(), horizon=L)
    with pytest.raises(SettingError, match="level"):
        run.forecast(frame(), horizon=1, level=1.5)
    other = senzai.fit(np.random.default_rng(0).normal(size=(40, 3)), steps=1)
    for name in ("forecast", "score_steps"):
        with pytest.raises(CombinationError, match=r"dated series|whole rows"):
            other.do(name, np.zeros((2, 3)), **({"horizon": 1} if name == "forecast" else {}))


def test_the_report_shows_dated_curves(run, tmp_path):
    path = run.report(tmp_path / "r.html", data=frame())
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert str(path).endswith("r.html")
    assert "233 windows of 8 steps every hour" in text
    assert "autocorrelation" in text
    assert "2024-01-" in text


def test_a_regime_that_was_conditioned_on_can_be_asked_for():
    data = frame(120)
    data["regime"] = np.where(np.arange(120) % 40 < 20, "calm", "crisis")
    data.loc[data["regime"] == "crisis", "v"] += 50
    made = senzai.fit(data, kind="series", window=4, label="regime", condition="label", width=4, n_latent=2, steps=60,
                      lr=1e-2, sampler="none", schedule="constant", validation=0.2)
    crisis, calm = (made.sample(60, given={"regime": name}, seed=0)["v"].mean() for name in ("crisis", "calm"))
    assert crisis > calm + 20
    with pytest.raises(SettingError, match="calm, crisis"):
        made.sample(2, given={"regime": "boom"})


def test_windows_with_a_label_can_be_made_more():
    data = frame(120)
    data["regime"] = np.where(np.arange(120) % 40 < 20, "calm", "crisis")
    made = senzai.fit(data, kind="series", window=4, label="regime", width=4, n_latent=2, steps=2, sampler="none")
    more = made.augment("regime", "crisis", 7, data=data)
    assert more["window"].nunique() == 7
    assert bool(data["when"].isin(more["when"]).any())
    with pytest.raises(SettingError, match="calm, crisis"):
        made.augment("regime", "boom", 3, data=data)


def test_an_evaluation_measures_time(run):
    found = run.evaluate(frame(), split="all", rows=60, k=5, only=["autocorrelation", "spectrum"])["measured"]
    assert 0 <= found["autocorrelation"]["distance"] < 1
    assert found["autocorrelation"]["floor"] < 0.2
    assert len(found["spectrum"]["real"]) == L // 2


@pytest.mark.parametrize("recipe", ["dmm", "vrnn"])
def test_sequence_recipes_fit_series(recipe):
    made = senzai.fit(frame(60), kind="series", recipe=recipe, window=4, steps=2, width=4, n_latent=2)
    assert len(made.sample(3, seed=0)) == 12
    assert len(made.reconstruct(frame(60))) == 60
