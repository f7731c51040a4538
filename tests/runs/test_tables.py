"""A table from fit to every verb and back: schema, missing cells, scores, conditions, streaming."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from senzai.core.errors import InputError, SettingError
from senzai.core.random import Noise, forked, using
from senzai.data import Dataset, open_data
from senzai.distributions import draw
from senzai.runs import fit, load
from senzai.runs.verbs.given import resample

R = np.random.default_rng(0)
N = 400
A = R.normal(size=N)
WHOLE = pd.DataFrame({
    "id": np.arange(N) + 7,
    "a": A.round(3),
    "b": (2 * A + 0.3 * R.normal(size=N)).round(3),
    "k": np.where(A + 0.2 * R.normal(size=N) > 0.8, "rare", "usual"),
    "n": R.poisson(np.exp(0.5 * A + 1)),
    "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(R.integers(0, 300, N), unit="D"),
    "ok": R.random(N) < 0.4,
}, index=[f"r{i}" for i in range(N)])
GONE = pd.DataFrame(R.random(WHOLE.shape) < 0.15, index=WHOLE.index, columns=WHOLE.columns)
HOLES = WHOLE.mask(GONE.assign(id=False))
HOLES["ok"] = HOLES["ok"].astype("boolean")
SMALL = {"steps": 6, "hidden": [8], "n_latent": 2, "batch_size": 16, "log_every": 2, "validate_every": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on a table with holes, trained well enough to know that b follows a."""
    made = fit(HOLES, hidden=[64], n_latent=3, steps=900, lr=5e-3, batch_size=64, schedule="cosine")
    made.save(tmp_path_factory.mktemp("runs") / "run")
    return made


def test_samples_have_the_form_of_the_data(run):
    new = run.sample(50, seed=0)
    assert list(new.columns) == list(HOLES.columns)
    assert [str(t) for t in new.dtypes] == [str(t) for t in HOLES.dtypes]
    assert new["id"].tolist() == list(range(N + 7, N + 57))
    assert new["a"].between(HOLES["a"].min(), HOLES["a"].max()).all()
    assert set(new["k"]) <= {"rare", "usual"}
    again = open_data(new, schema=run.schema)  # what is made can be read
    assert len(again) == 50
    assert new["b"].corr(new["a"]) > 0.7


def test_encode_and_reconstruct_keep_the_rows_names(run):
    z, back = run.encode(HOLES), run.reconstruct(HOLES)
    assert list(z.index) == list(back.index) == list(HOLES.index)
    assert z.shape == (N, 3)
    assert back["b"].corr(WHOLE["b"]) > 0.8
    assert len(run.interpolate(HOLES.iloc[:1], HOLES.iloc[1:2], steps=4)) == 4
    assert len(run.traverse(HOLES.iloc[:1], dim=0)) == 7
    assert np.isfinite(run.evaluate(HOLES, k=5)["log_likelihood"])


def test_ways_say_what_changes_in_the_users_own_values(run):
    spread = run.encode(HOLES).std()
    dim = int(spread.to_numpy().argmax())
    moved = run.traverse(HOLES.iloc[:1], dim=dim, values=(-3, 0, 3))
    changes = {c["column"]: c for c in moved.attrs["changes"]}
    assert list(changes) == sorted(changes, key=lambda n: -changes[n]["size"])
    strongest = next(iter(changes.values()))
    assert strongest["from"] != strongest["to"]
    for name, change in changes.items():
        column = next(c for c in run.schema.details.modelled if c.name == name)
        first, last = moved[name].iloc[[0, -1]]
        if column.type == "date":
            assert (change["from"], change["to"]) == (first.isoformat(), last.isoformat())
        else:
            assert (change["from"], change["to"]) == (first, last)
        assert ("from_probability" in change) == (column.sort in ("category", "binary"))
    still = run.interpolate(HOLES.iloc[:1], HOLES.iloc[:1], steps=3)
    assert still.attrs["changes"] == []  # from a row to itself nothing changes


# --- imputation -------------------------------------------------------------------------------------------------------
def test_observed_cells_are_untouched_and_missing_ones_are_filled(run):
    for made in (run.impute(HOLES, k=20), *run.impute(HOLES, draws=2, k=20)):
        assert not made.isna().any().any()
        assert [str(t) for t in made.dtypes] == [str(t) for t in HOLES.dtypes]
        for name in HOLES:
            there = HOLES[name].notna()
            pd.testing.assert_series_equal(made[name][there], HOLES[name][there])


def test_imputed_cells_follow_from_the_others(run):
    gone = HOLES["b"].isna() & HOLES["a"].notna()
    made = run.impute(HOLES, k=50)
    error = (made["b"] - WHOLE["b"])[gone].pow(2).mean() ** 0.5
    assert error < 0.5 * WHOLE["b"].std()
    several = run.impute(HOLES, draws=4, k=50, seed=1)
    assert len(several) == 4
    assert several[0]["b"][gone].tolist() != several[1]["b"][gone].tolist()
    pd.testing.assert_frame_equal(several[0], run.impute(HOLES, draws=4, k=50, seed=1)[0])


def test_a_row_is_filled_in_alike_whatever_whole_rows_stand_beside_it(run):
    whole = WHOLE.iloc[:20].astype({"ok": "boolean"})
    mixed = pd.concat([whole.iloc[:7], HOLES.iloc[20:25], whole.iloc[7:]])
    made = run.impute(mixed, k=10)
    assert not made.isna().any().any()
    pd.testing.assert_frame_equal(made.drop(index=HOLES.index[20:25]), whole, check_dtype=False)
    there = HOLES.iloc[20:25].notna()
    assert (made.iloc[7:12].where(there) == HOLES.iloc[20:25].where(there))[there].notna().to_numpy().sum() > 0
    alone = run.impute(HOLES.iloc[20:25], k=10)
    pd.testing.assert_frame_equal(made.iloc[7:12], alone, check_dtype=False)


def test_arrays_are_imputed_too():
    x = np.stack([A, 2 * A, R.normal(size=N)], 1).astype(np.float32)
    x[R.random(x.shape) < 0.1] = np.nan
    made = fit(x, missing="keep", **SMALL).impute(x, k=10)
    there = ~np.isnan(x)
    assert made.dtype == x.dtype
    assert np.isfinite(made).all()
    assert np.array_equal(made[there], x[there])


# --- scores -----------------------------------------------------------------------------------------------------------
def test_scores_with_reasons_and_flags(run):
    strange = WHOLE.copy()
    strange.loc["r0", "b"] = -6.0 * np.sign(strange.loc["r0", "a"])
    found = run.score(strange, shares=True, false_alarm=0.05)
    assert list(found.index) == list(strange.index)
    np.testing.assert_allclose(found.filter(like="share: ").sum(axis=1), found["score"], atol=1e-5)
    assert found.loc["r0", "p_value"] <= 0.05
    assert bool(found.loc["r0", "anomaly"])
    assert found.filter(like="share: ").loc["r0"].idxmax() in ("share: a", "share: b")  # one of them is wrong
    assert run.score(WHOLE).shape == (N,)
    by_share = run.score(WHOLE, method="knn", contamination=0.2)
    assert 0.05 < by_share["anomaly"].mean() < 0.4


def test_a_saved_run_scores_without_its_training_rows(run):
    again = load(run.folder)
    assert np.array_equal(again.score(WHOLE), run.score(WHOLE))
    with pytest.raises(SettingError, match=r"Leave one"):
        run.score(WHOLE, contamination=0.1, false_alarm=0.1)
    with pytest.raises(SettingError, match="least p-value"):
        run.score(WHOLE, false_alarm=1e-6)
    with pytest.raises(SettingError, match="Did you mean"):
        run.score(WHOLE, method="redisual")


def test_arrays_in_memory_are_scored_by_rows_that_the_run_kept(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    x[:, 2] = x[:, 0]
    settings = {"steps": 150, "hidden": [16], "n_latent": 2, "validation": 0.3, "progress": False}
    fit(x, out=tmp_path / "run", **settings)
    again = load(tmp_path / "run")
    strange = np.array([[9.0, -9.0, -9.0]], dtype=np.float32)
    assert again.score(strange)[0] > again.score(x).max()
    np.save(tmp_path / "x.npy", x)
    file = fit(tmp_path / "x.npy", out=tmp_path / "file", **settings)
    assert file.reference is None  # the rows of a file are read again when they are needed
    assert file.score(strange)[0] > file.score(x).max()


# --- given ------------------------------------------------------------------------------------------------------------
def test_resampling_gives_the_exact_posterior_of_a_small_case(run):
    """Against brute force: latents from the prior, weighted by hand."""
    row = run.kind.evidence({"k": "rare"}, run.schema)
    x, ess, made = resample(run.model, 4000, row, None, seed=0, noise=True, temperature=1.0)
    with forked(1), torch.no_grad(), using(Noise.seeded(5)):
        (z,) = run.model.sample_prior(60_000)
        p = run.model.generate((z,))
        i = [c.name for c in run.schema.details.modelled].index("k")
        rows = draw(p, grad=False)
    kept = rows[rows[:, i] == row.tensor[0, i]]  # rejection: exact
    assert len(kept) > 1000
    for j in (0, 1):
        error = 5 * float(kept[:, j].std()) * (1 / len(kept) + 1 / min(ess, 4000)) ** 0.5
        assert abs(float(x[:, j].mean() - kept[:, j].mean())) < error
        assert abs(float(x[:, j].std() / kept[:, j].std()) - 1) < 0.15
    assert ess <= made


def test_given_columns_have_their_value_and_move_the_others(run):
    new = run.sample(200, seed=0, given={"k": "rare"})
    assert set(new["k"]) == {"rare"}
    assert new["a"].mean() > run.sample(200, seed=0)["a"].mean() + 0.4
    assert new.attrs["ess"] >= 10
    both = run.sample(20, seed=0, given={"k": "rare", "ok": "True"})
    assert both["ok"].all()
    for wrong, why in (({"k": "never"}, "never seen"), ({"q": 1}, "no column"), ({"id": 3}, "not modelled")):
        with pytest.raises(SettingError, match=why):
            run.sample(5, given=wrong)


def test_a_hopeless_condition_is_refused(run, monkeypatch):
    monkeypatch.setattr("senzai.runs.verbs.given.MOST", 2**13)
    monkeypatch.setattr("senzai.runs.verbs.given.HOPELESS", 8000.0)  # of 8,192 draws: out of reach however the fit went
    with pytest.raises(SettingError, match=r"effective sample size of 8000, but 8,192 draws.*condition=COLUMN"):
        run.sample(5, seed=0, given={"a": float(WHOLE["a"].max()), "b": float(WHOLE["b"].min()), "n": 0, "k": "rare"})


def test_fitted_conditions(tmp_path):
    made = fit(WHOLE, condition="k,ok", hidden=[32], n_latent=2, steps=300, lr=5e-3)
    new = made.sample(300, seed=0, given={"k": "rare"})
    assert set(new["k"]) == {"rare"}
    assert new["a"].mean() > 0.5
    free = made.sample(300, seed=0)
    assert (free["k"] == "rare").mean() == pytest.approx((WHOLE["k"] == "rare").mean(), abs=0.12)
    with pytest.raises(SettingError, match="never seen"):
        made.sample(5, given={"k": "x"})
    with pytest.raises((SettingError, InputError), match="no column"):
        fit(WHOLE, condition="kk", **SMALL)


def test_more_rows_of_a_rare_class_come_from_training_rows_only(run):
    new = run.augment("k", "rare", 30, data=HOLES, seed=1)
    assert set(new["k"]) == {"rare"}
    assert len(new) == 30
    train = HOLES.iloc[run.part(HOLES, "train")]
    assert new.attrs["seeds"] == (train["k"] == "rare").sum()
    changed = HOLES.copy()
    changed.iloc[run.part(HOLES, "test"), 2] = 1e3  # what is not in the training fold plays no part
    data = run.dataset(HOLES)
    other = Dataset(data.schema, run.dataset(changed).rows, data.kind, data.index, data.source)
    pd.testing.assert_frame_equal(run.augment("k", "rare", 30, data=other, seed=1), new)
    with pytest.raises(InputError, match="no training row"):
        run.augment("k", "rare", 3, data=HOLES[HOLES["k"] == "usual"])


def test_missing_not_at_random_is_learned():
    frame = pd.DataFrame({"a": A, "b": np.where(A > 0.3, np.nan, A + 0.1 * R.normal(size=N))})
    made = fit(frame, missingness="b", hidden=[32], n_latent=2, steps=500, lr=5e-3)
    assert made.schema.columns == ("a", "b", "b is missing")
    new = made.sample(400, seed=0)
    assert new["b"].isna().mean() == pytest.approx((A > 0.3).mean(), abs=0.12)
    assert new["a"][new["b"].isna()].mean() > new["a"][new["b"].notna()].mean() + 0.5
    assert not made.impute(frame, k=10).isna().any().any()


# --- any table --------------------------------------------------------------------------------------------------------
CELLS = {
    "number": st.floats(-1e5, 1e5).map(lambda v: round(v, 2)),
    "text": st.sampled_from(["a", "b", "=1+1", "ü", "", "NA"]),
    "whole": st.integers(-5, 5),
    "flag": st.booleans(),
}


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_any_table_goes_through_fit_and_sample(data):
    n = data.draw(st.integers(12, 40))
    sorts = data.draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4))
    frame = pd.DataFrame({
        f"{s} {i}": data.draw(st.lists(st.one_of(st.none(), CELLS[s]), min_size=n, max_size=n))
        for i, s in enumerate(sorts)
    })
    if not any(0 < frame[c].nunique() > 1 and frame[c].nunique() < frame[c].notna().sum() for c in frame):
        return
    made = fit(frame, **{**SMALL, "steps": 2})
    new = made.sample(9, seed=0)
    assert list(new.columns) == list(frame.columns)
    for name in frame:
        values = set(frame[name].dropna())
        column = next(c for c in made.schema.details.columns if c.name == name)
        if column.sort in ("category", "binary", "steps"):
            assert set(new[name].dropna()) <= values
        assert new[name].isna().all() or column.modelled or column.type in ("constant", "identifier")
    assert len(open_data(new[[c for c in new]], schema=made.schema)) == 9
    assert [c.name for c in made.schema.details.columns] == list(frame.columns)
    filled = made.impute(frame, k=4)
    for column in made.schema.details.modelled:
        assert not filled[column.name].isna().any()


def test_streamed_verbs_give_what_whole_ones_give(tmp_path):
    path = tmp_path / "t.csv"
    WHOLE.to_csv(path, index=False)
    made = fit(path, **SMALL, in_memory=False)
    whole = fit(path, **SMALL)
    np.testing.assert_allclose(made.encode(path), whole.encode(path), atol=1e-5)
    assert made.schema.fingerprint == whole.schema.fingerprint


@pytest.mark.parametrize("d", [1200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_very_many_mixed_columns(tmp_path, d):
    n = 48
    z = R.normal(size=n)
    made = {
        f"c{j}": (z + R.normal(size=n)).round(4) if j % 4 == 0 else R.poisson(40, n) if j % 4 == 1
        else R.choice(["a", "b", "=c"], n) if j % 4 == 2 else R.random(n) < 0.5
        for j in range(d)
    }
    frame = pd.DataFrame(made)
    frame.iloc[::9, ::4] = np.nan
    wide = fit(frame, **{**SMALL, "steps": 2, "hidden": [4]})
    wide.save(tmp_path / "run")
    again = load(tmp_path / "run")
    new = again.sample(3, seed=0)
    assert list(new.columns) == list(frame.columns)
    assert [str(t) for t in new.dtypes] == [str(t) for t in frame.dtypes]
    assert np.isfinite(again.score(frame.iloc[:5])).all()
    np.testing.assert_array_equal(new["c0"], wide.sample(3, seed=0)["c0"])
    assert not again.impute(frame.iloc[:10], k=3).isna().any().any()
