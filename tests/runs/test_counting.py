"""Runs on counts: AnnData in and out, normalised expression, differences between groups, genes that are missing."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import senzai
from senzai.core.errors import CombinationError, SettingError, UserError

anndata = pytest.importorskip("anndata")

N, G = 90, 12
QUICK = {"steps": 12, "progress": False, "sampler": "none", "hidden": [16], "n_latent": 3, "batch_size": 32}


def cells():
    """Two types of cells, of which type B has ten times as much of the first three genes, in two batches."""
    rng = np.random.default_rng(0)
    kind, batch = np.arange(N) % 2, np.arange(N) // 2 % 2
    share = np.full((N, G), 1.0 / G)
    share[kind == 1, :3] *= 10
    share[:, 5] *= 1 + batch
    share /= share.sum(1, keepdims=True)
    x = rng.poisson(share * rng.integers(200, 400, (N, 1)))
    obs = pd.DataFrame({"batch": np.where(batch, "b2", "b1"), "type": np.where(kind, "B", "A")}).astype(object)
    obs.index = pd.Index([f"cell-{i}" for i in range(N)], dtype=object)
    var = pd.DataFrame({"long": [f"gene number {i}" for i in range(G)]}, dtype=object)
    var.index = pd.Index([f"g,{i}" for i in range(G)], dtype=object)
    return anndata.AnnData(x.astype(np.float32), obs=obs, var=var)


@pytest.fixture(scope="module")
def data():
    return cells()


@pytest.fixture(scope="module")
def run(data):
    return senzai.fit(data, condition="batch", label="type", **{**QUICK, "steps": 250, "lr": 1e-2})


def test_the_proposal_is_what_counts_need(run):
    assert run.spec.recipe == "count-vae"
    assert run.schema.kind == "counts"
    assert run.spec.training.batch_size == 32
    family = run.model.likelihood.family
    assert family.usual_depth == pytest.approx(np.median(cells().X.sum(1)), rel=1e-6)


def test_codes_stand_beside_the_rows(run, data):
    found = run.encode(data)
    assert found.obsm["X_senzai"].shape == (N, 3)
    assert found.obs_names.tolist() == data.obs_names.tolist()
    assert np.array_equal(found.X, data.X)
    assert "X_senzai" not in data.obsm, "the user's own object is left as it is"


def test_a_file_comes_back_with_its_codes(tmp_path, run, data):
    data.copy().write_h5ad(tmp_path / "x.h5ad")
    run.save(tmp_path / "run")
    from senzai.apps.cli import app

    def cli(*words):
        found = CliRunner().invoke(app, [*map(str, words), "--json"])
        assert found.exit_code == 0, found.output
        return json.loads(found.stdout)

    cli("encode", tmp_path / "run", tmp_path / "x.h5ad", "-o", tmp_path / "z.h5ad")
    back = anndata.read_h5ad(tmp_path / "z.h5ad")
    assert np.allclose(back.obsm["X_senzai"], run.encode(data).obsm["X_senzai"], atol=1e-5)
    assert back.var_names.tolist() == data.var_names.tolist()
    cli("encode", tmp_path / "run", tmp_path / "x.h5ad", "-o", tmp_path / "z.csv")
    assert len(pd.read_csv(tmp_path / "z.csv")) == N


def test_reconstructions_have_the_depth_of_their_row(run, data):
    found = run.reconstruct(data[:20].copy())
    assert np.allclose(np.ravel(found.X.sum(1)), data.X[:20].sum(1), rtol=0.1)


def test_normalised_rows_are_as_deep_as_asked_and_of_the_batch_asked_for(run, data):
    found = run.normalised(data, depth=500).layers["normalised"]
    assert np.allclose(found.sum(1), 500, rtol=1e-4)
    one, other = (run.normalised(data, given={"batch": b}).layers["normalised"] for b in ("b1", "b2"))
    own = run.normalised(data).layers["normalised"]
    first = (data.obs["batch"] == "b1").to_numpy()
    assert np.allclose(own[first], one[first], rtol=1e-5)
    assert np.allclose(own[~first], other[~first], rtol=1e-5)
    assert not np.allclose(one, other, rtol=1e-3)
    with pytest.raises(SettingError, match="classes b1, b2"):
        run.normalised(data, given={"batch": "b9"})


def test_draws_of_a_row_follow_from_the_row(run, data):
    a = run.normalised(data, seed=3).layers["normalised"]
    b = run.normalised(data[10:30].copy(), seed=3).layers["normalised"]
    assert np.allclose(a[10:30], b, rtol=1e-4)
    assert not np.allclose(a, run.normalised(data, seed=4).layers["normalised"])


def test_differences_of_groups_are_found(run, data):
    found = run.differential(data, by="type", first="B", second="A", pairs=400).set_index("gene")
    risen = [f"g,{i}" for i in range(3)]
    assert found.loc[risen, "probability"].min() > 0.9
    assert (found.loc[risen, "log2_change"] > 0.5).all()
    again = run.differential(data, by="type", first="B", second="A", pairs=400).set_index("gene")
    pd.testing.assert_frame_equal(found, again)
    turned = run.differential(data, by="type", first="A", pairs=400).set_index("gene")
    assert (turned.loc[risen, "log2_change"] < 0).all()


def test_groups_that_are_not_there_are_refused(run, data):
    with pytest.raises(SettingError, match="Values of 'type': A, B"):
        run.differential(data, by="type", first="C")


def test_new_rows_have_names_of_genes_and_what_they_were_given(run):
    found = run.sample(40, seed=0, given={"batch": "b2"})
    assert found.var_names.tolist() == [f"g,{i}" for i in range(G)]
    assert set(found.obs["batch"]) == {"b2"}
    depth = np.ravel(found.X.sum(1))
    assert 200 < np.median(depth) < 450


def test_genes_that_were_not_measured_are_imputed(run, data):
    less = data[:, 1:].copy()
    given = run.dataset(less, options={"missing": "keep"})
    found = run.impute(given)
    assert np.array_equal(found.X.toarray()[:, 1:], less.X)
    made = np.ravel(found.X[:, 0].toarray())
    kind = (data.obs["type"] == "B").to_numpy()
    assert made[kind].mean() > 1.5 * made[~kind].mean(), "what is filled in follows from the other genes"


def test_strange_rows_score_high(run, data):
    strange = data[:10].copy()
    strange.X = strange.X[:, ::-1].copy()
    scores = [np.median(np.asarray(run.score(d))) for d in (strange, data[:10].copy())]
    assert scores[0] > scores[1]


def test_mixing_and_conservation_are_measured(run, data):
    found = run.evaluate(data, split="all", k=3, only=["mixing", "conservation"])["measured"]
    assert set(found["mixing"]) >= {"batch_silhouette", "neighbour_batch_entropy"}
    assert found["conservation"]["neighbour_label_share"]["value"] > 0.6


def test_labels_are_predicted_by_the_recipe_that_is_there(data):
    run = senzai.fit(data, recipe="m2", label="type", **QUICK)
    found = run.predict(data[:4].copy())
    assert {"A", "B"} <= set(found.obs.columns)


@pytest.mark.parametrize(
    "settings",
    [
        {"likelihood": "inferred_depth"}, {"likelihood": "zero_inflated_negative_binomial_given_depth"},
        {"likelihood": "poisson_given_depth"}, {"shared_by": "condition"}, {"decoder.hidden": []},
        {"likelihood": "inferred_depth", "counts": "poisson_given_depth"},
    ],
)
def test_variants_are_settings(data, settings):
    run = senzai.fit(data, condition="batch", **QUICK, **settings)
    assert np.isfinite(run.log_likelihood(data[:5].copy(), k=3)).all()


def test_what_cannot_be_is_refused(data):
    with pytest.raises(SettingError, match="shared_by"):
        senzai.fit(data, **QUICK, shared_by="condition")
    with pytest.raises(SettingError, match="n_latent"):
        senzai.fit(data, **{**QUICK, "n_latent": 1}, likelihood="inferred_depth")


def test_rows_of_another_kind_have_no_shares():
    run = senzai.fit(np.random.default_rng(0).normal(size=(40, 3)), steps=2, progress=False, sampler="none")
    with pytest.raises(CombinationError, match="kind=counts"):
        run.normalised(np.zeros((2, 3)))


def test_one_row_is_enough_to_use_a_model_and_too_few_to_fit_one(run, data):
    assert run.encode(data[:1].copy()).obsm["X_senzai"].shape == (1, 3)
    with pytest.raises(UserError):
        senzai.fit(data[:1].copy(), **QUICK)
