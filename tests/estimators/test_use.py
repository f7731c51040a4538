"""Estimators as people use them: in pipelines and searches, cloned, pickled, with frames, repeated by a seed."""

from __future__ import annotations

import io
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from senzai.core.errors import ShapeError
from senzai.estimators import VAEDensity, VAETransformer

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
    import torch

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
