"""Runs that recommend: known users and new ones, reasons that add up, similar items, the table of an evaluation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import senzai
from senzai.core.errors import CombinationError, InputError, SettingError
from senzai.data.sparse import entries
from senzai.evaluation.reasons import item_codes, reasons
from senzai.evaluation.recommending import expected_items

ITEMS = [f"{kind}{i}" for i in range(8) for kind in ("book,", "film ")]


@pytest.fixture(scope="module")
def log():
    """Readers and viewers: users of two tastes, each with items of one."""
    rng = np.random.default_rng(0)
    lines = [
        (f"u{u:03}", ITEMS[i]) for u in range(120)
        for i in rng.permutation(np.arange(u % 2, 16, 2))[: rng.integers(3, 8)]
    ]
    return pd.DataFrame(lines, columns=["user", "item"])


@pytest.fixture(scope="module")
def run(log):
    small = {"n_latent": 4, "hidden": (16,), "batch_size": 32, "lr": 1e-2}
    return senzai.fit(log, steps=120, sampler="none", progress=False, beta=0.1, **small)


def test_the_proposed_recipe_is_mult_vae_with_a_multinomial(run):
    assert run.spec.recipe == "mult-vae"
    assert run.model.likelihood.family.total == 5
    assert run.spec.training.batch_size == 32


def test_what_a_user_has_is_never_recommended(run, log):
    found = run.recommend(log, k=16)
    both = found.merge(log, on=["user", "item"])
    assert len(both) == 0
    have = log.groupby("user").size()
    assert (found.groupby("user").size() + have == 16).all(), "and everything else is"
    assert (found.groupby("user").share.apply(lambda s: s.is_monotonic_decreasing)).all()


def test_users_of_a_taste_are_recommended_its_items(run, log):
    best = run.recommend(log, k=1)
    kind = best.item.str[:4]
    taste = best.user.str[1:].astype(int).mod(2).map({0: "book", 1: "film"})
    assert (kind == taste).mean() > 0.95


def test_a_new_user_is_a_list_of_items(run):
    assert run.recommend(items=["film 3", "film 0"], k=3).item.str.startswith("film").all()
    several = run.recommend([["film 3", "film 0"], ["book,1"]], k=2)
    assert several.user.tolist() == [0, 0, 1, 1]
    assert several.item[:2].tolist() == run.recommend(items=["film 3", "film 0"], k=2).item.tolist()


def test_one_user_of_the_data_is_asked_for_by_name(run, log):
    whole = run.recommend(log, k=3)
    assert run.recommend(log, user="u007", k=3).item.tolist() == whole[whole.user == "u007"].item.tolist()
    with pytest.raises(SettingError, match="one of the data, but got 'u07'"):
        run.recommend(log, user="u07")
    with pytest.raises(SettingError, match="k >= 1"):
        run.recommend(log, k=0)
    with pytest.raises(InputError, match="none of those"):
        run.recommend(items=["vinyl 3"])


def test_contributions_add_up_to_the_score(run, log):
    found = run.reasons(log, user="u010", item="film 3", draws=2)
    total = found["log_share_of_nobody"] + sum(b["adds"] for b in found["because"])
    assert total == pytest.approx(found["log_share"], abs=1e-9)
    data = run.dataset(log)
    row = data.rows.about(np.arange(len(data)))["user"].tolist().index("u010")
    expected = expected_items(run.model, entries(data.rows, np.array([row])))[0].double()
    at = run.schema.columns.index("film 3")
    assert found["log_share"] == pytest.approx(float((expected[at] / expected.sum()).log()), abs=1e-5)
    assert sorted(b["item"] for b in found["because"]) == sorted(log[log.user == "u010"].item)


def test_contributions_are_shapley_values_of_two_items(run):
    """With two items there are two orders, and a pair of them is the whole mean."""
    data = run.dataset([["film 3", "book,2"]])
    at = np.arange(16)
    why = reasons(run.model, entries(data.rows, np.array([0])), at, draws=1)
    sets = {n: run.dataset([list(n)]) for n in ((), ("film 3",), ("book,2",), ("film 3", "book,2"))}

    def score(*names):
        x = expected_items(run.model, entries(sets[names].rows, np.array([0])))[0].double()
        return (x / x.sum()).log().numpy()

    names = [run.schema.columns[i] for i in why.items]
    first = names.index("film 3")
    truth = 0.5 * (score("film 3") - score() + score("film 3", "book,2") - score("book,2"))
    assert np.allclose(why.added[first], truth, atol=1e-4)


def test_reasons_are_named_beside_recommendations(run, log):
    found = run.recommend(log, user="u001", k=2, because=2)
    own = set(log[log.user == "u001"].item)
    assert all(line.partition(" (")[0] in own for line in found.because if line)


def test_similar_items_are_of_the_same_taste(run):
    found = run.similar(item="film 2", k=5)["similar"]
    assert [f["item"][:4] for f in found] == ["film"] * 5
    assert "film 2" not in [f["item"] for f in found]
    codes = item_codes(run.model, 16)
    assert codes.shape == (16, 4)
    with pytest.raises(InputError, match="film 2"):
        run.similar(item="film2")


def test_the_evaluation_has_the_simple_methods_in_its_table(run, log):
    found = run.evaluate(log, only=["recommendation"])["measured"]["recommendation"]
    assert found["users"] == len(run.part(log))
    assert {"popularity", "item_knn", "ease", "als"} == set(found["beside"])
    assert found["ndcg_at_100"] > found["beside"]["popularity"]["ndcg_at_100"]
    better = found["beside"]["popularity"]["model_is_better_by"]
    gap = found["ndcg_at_100"] - found["beside"]["popularity"]["ndcg_at_100"]
    assert better["ndcg_at_100"] == pytest.approx(gap)


def test_training_users_of_the_measure_are_those_of_training(run, log):
    from senzai.runs.verbs.evaluate import users_of

    data = run.dataset(log)
    parts = data.split_indices()
    users = users_of(run.schema, data, parts["test"], lambda: data)
    assert users.train.n_rows == len(parts["train"])
    assert users.validation.seen.n_rows == len(parts["validation"])


def test_a_saved_run_recommends_the_same(run, log, tmp_path):
    before = run.recommend(log, k=4)
    run.save(tmp_path / "run")
    again = senzai.load(tmp_path / "run")
    assert again.recommend(log, k=4).equals(before)
    run.folder = None


def test_codes_have_the_names_of_users_and_samples_are_a_log(run, log):
    assert run.encode(log).index.tolist() == list(dict.fromkeys(log.user))
    made = run.sample(5, seed=0)
    assert list(made.columns) == ["user", "item"]
    assert set(made.item) <= set(ITEMS)


def test_the_command_line_recommends(run, log, tmp_path):
    from typer.testing import CliRunner

    from senzai.apps.cli import app

    log.to_csv(tmp_path / "log.csv", index=False)
    run.save(tmp_path / "run")
    run.folder = None
    at = {w: str(tmp_path / w) for w in ("run", "log.csv", "out.csv")}
    shown = CliRunner().invoke(app, ["recommend", at["run"], at["log.csv"], "--user", "u003", "-k", "2"])
    assert shown.exit_code == 0
    assert shown.stdout.count("film") == 2
    told = CliRunner().invoke(app, ["recommend", at["run"], at["log.csv"], "-k", "2", "-o", at["out.csv"]])
    assert told.exit_code == 0
    assert len(pd.read_csv(tmp_path / "out.csv")) == 240
    wrong = CliRunner().invoke(app, ["similar", at["run"], "--item", "vinyl"])
    assert wrong.exit_code == 2


def test_other_runs_are_refused_with_the_way_out():
    other = senzai.fit(torch.randn(40, 3), steps=1, n_latent=2, progress=False, sampler="none")
    with pytest.raises(CombinationError, match="kind=interactions"):
        other.recommend(torch.randn(4, 3))


@pytest.mark.parametrize("recipe", ["mult-dae", "recvae"])
def test_other_recipes_recommend_as_well(log, recipe):
    made = senzai.fit(log, recipe=recipe, steps=120, sampler="none", progress=False, n_latent=4,
                      hidden=(16, 16) if recipe == "recvae" else (16,), batch_size=32, lr=1e-2)
    best = made.recommend(log, k=1)
    taste = best.user.str[1:].astype(int).mod(2).map({0: "book", 1: "film"})
    assert (best.item.str[:4] == taste).mean() > 0.8


def test_the_report_shows_the_table_and_the_items(run, log):
    run.evaluate(log, only=["recommendation"])
    from senzai.report.page import build_report
    from senzai.report.views import view_of

    page = build_report(run, run.dataset(log))
    for words in ("Popularity", "120 users and 16 items", "Items"):
        assert words in page
    (section,) = view_of(run.schema).judged(run.metrics["evaluate"])
    assert [name for name, _ in section.blocks[0].ways[0].rows][:3] == ["this model", "popularity", "item knn"]


def test_one_user_cannot_be_divided_and_is_enough_without_division():
    log = pd.DataFrame({"user": ["a", "a"], "item": ["x", "y"]})
    small = {"steps": 2, "n_latent": 2, "hidden": (4,), "sampler": "none", "progress": False}
    with pytest.raises(InputError, match="validation=0 and test=0"):
        senzai.fit(log, **small)
    run = senzai.fit(log, validation=0, test=0, **small)
    assert run.recommend(items=["x"], k=5).item.tolist() == ["y"]


def test_of_users_with_one_item_nothing_is_to_be_found_and_that_is_said():
    log = pd.DataFrame({"user": range(30), "item": [i % 5 for i in range(30)]})
    run = senzai.fit(log, steps=2, n_latent=2, hidden=(4,), sampler="none", progress=False)
    told = run.evaluate(log, only=["recommendation"])
    assert "some are held out" in told["not_measured"]["recommendation"]
    assert len(run.recommend(log, user="3", k=9)) == 4


def test_rows_that_stay_sparse_train_the_same_model():
    rng = np.random.default_rng(0)
    log = pd.DataFrame({"user": np.repeat(np.arange(60), 4), "item": rng.integers(500, size=240)})
    log = pd.concat([log, pd.DataFrame({"user": [0] * 500, "item": range(500)})])  # every item is there
    small = {"steps": 6, "n_latent": 2, "hidden": (4,), "batch_size": 16, "sampler": "none", "progress": False}
    held, sparse = (senzai.fit(log, **small, **own) for own in ({"in_memory": True}, {}))
    assert not sparse.dataset(log).rows.better_dense
    for a, b in zip(held.model.parameters(), sparse.model.parameters(), strict=True):
        assert torch.equal(a, b)
