"""Estimators as people use them: in pipelines and searches, cloned, pickled, with frames, repeated by a seed."""

from __future__ import annotations

import io
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from senzai.core.batch import Batch
from senzai.core.errors import InputError, SettingError, ShapeError
from senzai.estimators import VAEDensity, VAEDetector, VAEImputer, VAEResampler, VAESynthesizer, VAETransformer, kept

QUICK = {"steps": 50, "n_latent": 2, "settings": {"hidden": [16]}, "random_state": 0}


@pytest.fixture(scope="module")
def two_groups():
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    return rng.normal(size=(120, 6)) + 4.0 * y[:, None], y


def test_a_pipeline_and_a_search_over_its_settings(two_groups):
    x, y = two_groups
    pipe = make_pipeline(StandardScaler(), VAETransformer(**QUICK, lr=1e-2), LogisticRegression())
    search = GridSearchCV(pipe, {"vaetransformer__n_latent": [1, 2]}, cv=2).fit(x, y)
    assert search.best_score_ > 0.95


def test_a_column_transformer_keeps_the_other_columns(two_groups):
    frame = pd.DataFrame(two_groups[0], columns=list("abcdef"))
    both = ColumnTransformer([("code", VAETransformer(**QUICK), list("abcd"))], remainder="passthrough")
    out = both.set_output(transform="pandas").fit_transform(frame)
    assert list(out) == ["code__vaetransformer0", "code__vaetransformer1", "remainder__e", "remainder__f"]
    pd.testing.assert_series_equal(out["remainder__e"], frame["e"], check_names=False)


def test_a_seed_repeats_everything_and_another_does_not(two_groups):
    x = two_groups[0]
    a, b = (clone(VAETransformer(**QUICK)).fit_transform(x) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, VAETransformer(**QUICK | {"random_state": 1}).fit_transform(x))


def test_the_random_state_of_the_caller_is_left_alone(two_groups):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    coder = VAETransformer(**QUICK).fit(two_groups[0])
    coder.transform(two_groups[0])
    VAEDensity(k=3, **QUICK).fit(two_groups[0]).sample(3, random_state=0)
    assert torch.equal(before, torch.random.get_rng_state())


def test_pickle_and_joblib_keep_the_numbers(two_groups):
    x = two_groups[0]
    coder = VAETransformer(**QUICK).fit(x)
    np.testing.assert_array_equal(coder.transform(x), pickle.loads(pickle.dumps(coder)).transform(x))
    file = io.BytesIO()
    joblib.dump(coder, file)
    file.seek(0)
    np.testing.assert_array_equal(coder.transform(x), joblib.load(file).transform(x))


def test_more_steps_go_on_from_where_the_first_ended(two_groups):
    x = two_groups[0]
    coder = VAETransformer(**QUICK).fit(x)
    loss = lambda: np.square(coder.inverse_transform(coder.transform(x)) - x).mean()  # noqa: E731
    first, units = loss(), coder.run_.model.likelihood.shift.clone()
    for _ in range(6):
        coder.partial_fit(x + 100)  # other rows: the units must stay those of the first
    assert (coder.run_.model.likelihood.shift == units).all()
    coder = VAETransformer(**QUICK).fit(x)
    for _ in range(6):
        coder.partial_fit(x)
    assert loss() < 0.9 * first


def test_codes_of_another_width_are_refused(two_groups):
    coder = VAETransformer(**QUICK).fit(two_groups[0])
    with pytest.raises(ShapeError, match="Codes have 2 columns, but got 3"):
        coder.inverse_transform(np.zeros((1, 3)))


def test_the_density_of_a_normal_is_learned():
    mean, cov = np.array([10.0, -3.0]), np.array([[4.0, 1.5], [1.5, 1.0]])
    exact = multivariate_normal(mean, cov)
    x = exact.rvs(1000, random_state=0)
    new = exact.rvs(400, random_state=1)
    density = VAEDensity(
        n_latent=1, steps=800, batch_size=100, lr=2e-2, random_state=0, settings={"hidden": []}
    ).fit(x)
    gap = exact.logpdf(new).mean() - density.score(new) / len(new)
    assert 0 < gap < 0.05
    drawn = density.sample(4000, random_state=0)
    assert np.abs(drawn.mean(0) - mean).max() < 0.25
    assert np.abs(np.cov(drawn.T) - cov).max() < 0.6


def test_a_rows_density_does_not_depend_on_its_place(two_groups):
    x = two_groups[0]
    density = VAEDensity(k=7, **QUICK).fit(x)
    whole = density.score_samples(x)
    np.testing.assert_allclose(density.score_samples(x[::-1])[::-1], whole, rtol=1e-10)
    np.testing.assert_allclose(density.score_samples(x[5:6]), whole[5:6], rtol=1e-10)


def test_a_planted_outlier_is_found_and_explained():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 1)) @ np.array([[1.0, -1.0, 2.0, 0.5]]) + 0.1 * rng.normal(size=(300, 4))
    x[7, 2] += 5  # the value itself is usual, but not beside the others
    found = VAEDetector(n_latent=1, steps=400, lr=5e-3, contamination=0.01, random_state=0).fit(x)
    assert found.decision_scores_.argmax() == 7
    assert found.predict(x)[7] == -1
    assert found.labels_.sum() == 3
    assert found.explain(x[7:8])[0, :4].argmax() == 2
    np.testing.assert_allclose(found.explain(x).sum(1), found.decision_scores_, atol=1e-9)
    np.testing.assert_allclose(-found.score_samples(x), found.decision_scores_, atol=1e-9)
    with pytest.raises(SettingError, match="contamination"):
        VAEDetector(contamination=0.9).fit(x)


def test_holes_are_filled_from_what_the_other_columns_say():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(400, 1))
    x = z @ np.array([[1.0, -1.0, 2.0]]) + 0.1 * rng.normal(size=(400, 3))
    holes = rng.random(x.shape) < 0.15
    holes[holes.all(1)] = False
    given = np.where(holes, np.nan, x)
    small = {"n_latent": 1, "steps": 1000, "lr": 1e-2, "random_state": 0, "settings": {"hidden": [16]}}
    imputer = VAEImputer(**small)
    filled = imputer.fit_transform(given)
    assert (filled[~holes] == x[~holes]).all()
    error = np.sqrt(np.square(filled - x)[holes].mean())
    assert error < 0.35 * np.sqrt(np.square(np.nanmean(given, 0) - x)[holes].mean())
    np.testing.assert_array_equal(filled, imputer.transform(given))
    drawn = VAEImputer(**small, draw=True).fit_transform(given)
    assert not np.allclose(drawn, filled)


def test_tables_go_through_with_their_types():
    rng = np.random.default_rng(0)
    n = 200
    frame = pd.DataFrame({
        "age": rng.integers(18, 90, n), "plan": rng.choice(["basic", "plus"], n), "since": pd.Timestamp("2024-01-01"),
        "paid": rng.gamma(2.0, 30.0, n),
    })
    made = VAESynthesizer(steps=60, random_state=0).fit(frame).sample(50, random_state=1, given={"plan": "plus"})
    assert made.dtypes.to_dict() == frame.dtypes.to_dict()
    assert set(made["plan"]) == {"plus"}
    assert made["age"].between(18, 89).all()
    holed = frame.mask(rng.random(frame.shape) < 0.1)
    whole = VAEImputer(steps=60, random_state=0).fit(holed).transform(holed)
    assert not whole.isna().any().any()
    assert VAEDetector(steps=60, random_state=0).fit(frame).predict(frame).shape == (n,)
    assert VAETransformer(steps=60, n_latent=3, random_state=0).fit_transform(frame).shape == (n, 3)


def test_a_rare_class_gets_rows_of_its_own_kind():
    rng = np.random.default_rng(0)
    y = np.array(["often"] * 180 + ["rare"] * 20)
    x = rng.normal(size=(200, 5)) + 6.0 * (y == "rare")[:, None]
    resampler = VAEResampler(n_latent=2, steps=400, lr=5e-3, random_state=0)
    more, labels = resampler.fit_resample(x, y)
    assert (more[:200] == x).all()
    assert pd.Series(labels).value_counts().to_dict() == {"often": 180, "rare": 180}
    assert np.abs(more[200:].mean(0) - 6).max() < 2
    assert resampler.sampling_strategy_ == {"rare": 160}
    some, _ = VAEResampler(steps=30, random_state=0, sampling_strategy={"rare": 25}).fit_resample(x, y)
    assert len(some) == 205
    with pytest.raises(SettingError, match="sampling_strategy"):
        VAEResampler(steps=30, sampling_strategy={"never": 5}).fit(x, y)


@pytest.fixture(scope="module")
def three_clusters():
    rng = np.random.default_rng(0)
    return rng.normal(size=(700, 4)) * 0.3 + 3.0 * rng.integers(-1, 2, 700)[:, None]


@pytest.mark.parametrize("kind", [VAESynthesizer, VAEDensity])
def test_rows_are_drawn_also_by_a_sampler_that_was_fitted_to_the_latents(three_clusters, kind):
    small = {"hidden": [8], "sampler": "mixture"}
    made = kind(steps=30, n_latent=2, random_state=0, settings=small).fit(three_clusters)
    assert made.run_.samplers.chosen == "mixture"
    new = np.asarray(made.sample(40, random_state=0))
    assert new.shape == (40, 4)
    assert np.isfinite(new).all()
    np.testing.assert_array_equal(new, np.asarray(made.sample(40, random_state=0)))
    made.partial_fit(three_clusters[:50])
    assert np.isfinite(np.asarray(made.sample(2, random_state=0))).all()


def test_a_detector_goes_on_with_the_threshold_of_the_new_model():
    x = np.random.default_rng(0).normal(size=(300, 4))
    det = VAEDetector(steps=30, n_latent=2, random_state=0, contamination=0.2).fit(x[:200])
    before = det.threshold_
    det.partial_fit(x[200:])
    assert set(det.predict(x[:50])) <= {-1, 1}
    assert det.decision_scores_.shape == det.labels_.shape == (100,)
    assert det.threshold_ != before
    assert (-det.score_samples(x) > det.threshold_).mean() == pytest.approx(0.2, abs=0.01)  # of all rows ever given
    np.testing.assert_allclose(-det.score_samples(x[200:]), det.decision_scores_, atol=1e-9)
    np.testing.assert_allclose(det.explain(x[:9]).sum(1), -det.score_samples(x[:9]), atol=1e-9)
    first = VAEDetector(steps=30, n_latent=2, random_state=0).partial_fit(x[:100])  # the first call fits
    assert first.decision_scores_.shape == (100,)


def test_a_sample_of_all_calls_gives_each_row_the_same_chance(monkeypatch):
    monkeypatch.setattr(kept, "MOST", 100)
    rng = np.random.default_rng(0)
    share = []
    for _ in range(60):
        some = None
        for i in range(4):  # 300, 100, 100 and 100 rows
            rows = Batch(torch.full((300 if i == 0 else 100, 1), float(i)))
            some = kept.Kept.of(rows, rng).joined(some)
        share.append([float((some.rows.tensor == i).double().mean()) for i in range(4)])
    found = np.array(share)
    assert np.abs(found.mean(0) - [0.5, 1 / 6, 1 / 6, 1 / 6]).max() < 5 * found.std() / 60**0.5 / 2


def test_what_cannot_be_learned_leaves_the_model_as_exact_as_it_was(two_groups):
    coder = VAETransformer(**QUICK).fit(two_groups[0])
    codes = coder.transform(two_groups[0])
    with pytest.raises(SettingError):
        coder.set_params(steps=-5).partial_fit(two_groups[0])
    np.testing.assert_array_equal(coder.transform(two_groups[0]), codes)


@pytest.fixture(scope="module")
def mixed_frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(size=80), "k": rng.choice(["u", "v"], 80), "on": rng.random(80) < 0.5})


@pytest.mark.parametrize("kind", [VAETransformer, VAEDensity, VAEDetector, VAEImputer])
def test_a_row_of_nothing_but_holes_is_a_row_like_the_average(mixed_frame, kind):
    """A row alone may look like numbers, to pandas all holes are; it is read as the table it was fitted on."""
    made = kind(steps=20, n_latent=2, random_state=0).fit(mixed_frame)
    empty = pd.DataFrame([[np.nan] * 3], columns=list(mixed_frame))
    verb = next(v for v in ("transform", "score_samples") if hasattr(made, v))
    found = pd.DataFrame(getattr(made, verb)(empty))
    assert found.notna().all().all()
    if kind is VAEDetector:
        assert made.predict(empty).tolist() == [1]


@pytest.mark.parametrize("kind", [VAETransformer, VAEDensity, VAEDetector, VAESynthesizer, VAEResampler])
def test_holes_in_an_array_are_refused_with_a_way_out(kind):
    x = np.random.default_rng(0).normal(size=(50, 3))
    x[7] = np.nan
    with pytest.raises(InputError, match="NaN"):
        kind(steps=2).fit(x, np.arange(50) % 2)
