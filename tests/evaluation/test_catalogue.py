"""The catalogue: every measure runs or says why not, in time, with the numbers of its own estimator."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.errors import SettingError, UnknownNameError
from senzai.evaluation import (
    MEASURES,
    Case,
    Extras,
    Features,
    Figure,
    Pace,
    chosen,
    estimated,
    evaluate,
    frechet_distance,
    make_features,
    pca_features,
    probe,
    total_correlation,
)
from senzai.evaluation import measures as room
from senzai.evaluation.annealing import Annealing
from senzai.evaluation.results import bootstrap, spread


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Every budget so small that the whole catalogue takes seconds."""
    sizes = {"SLOW_ROWS": 3, "SIMULATED": 3, "SAMPLES": 60, "TRAIN_ROWS": 80, "HIDDEN_ROWS": 20, "HIDDEN_K": 10}
    for name, value in {**sizes, "STRANGE_ROWS": 40, "STRANGE_K": 5, "CURVE_ROWS": 10, "VOTES": 40}.items():
        monkeypatch.setattr(room, name, value)
    monkeypatch.setattr(room, "Annealing", lambda seed=0: Annealing(4, 2, 2, seed=seed))


ALONG = {name for name, found in MEASURES.items() if "steps" in found.needs}
"""Measures of rows that are windows of series, which these are not."""
OF_KINDS = {
    "symbols", "users", "figures", "numbers", "distance", "topics", "codes", "pairs", "returns", "batches", "strangers",
    "modalities",
}
OTHERS = ALONG | {n for n, found in MEASURES.items() if OF_KINDS & set(found.needs)}
"""Those, and measures of kinds that have figures of their own: symbols, topics, returns, histories of users ..."""


@pytest.fixture
def labelled():
    y = torch.arange(60) % 3
    x = (torch.rand(60, 6) < 0.2 + 0.3 * torch.nn.functional.one_hot(y, 3).repeat(1, 2)).float()
    return Batch(x, y=y)


@pytest.fixture
def extras(labelled):
    other = Batch((torch.rand(40, 6) < 0.9).float())
    return Extras(labelled, other, np.c_[np.arange(60) % 3, np.arange(60) % 2], 1)


def test_the_whole_catalogue_runs_where_everything_is_known(made, labelled, extras):
    found = evaluate(made(), labelled, k=16, measures=tuple(MEASURES), extras=extras)
    assert set(found["measured"]) == set(MEASURES) - OTHERS
    assert set(found["not_measured"]) == OTHERS
    assert set(found["timing"]["measures"]) == set(MEASURES) - OTHERS
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_what_is_missing_is_said_and_not_skipped(made, labelled):
    found = evaluate(made(), Batch(labelled.x[:20]), k=5, measures=tuple(MEASURES))
    missed = found["not_measured"]
    assert set(missed) | set(found["measured"]) == set(MEASURES)
    assert "labels" in missed["probes"]
    assert "factors" in missed["disentanglement"]
    assert "30 rows" in missed["convergence"]
    assert "training rows" in missed["generation"]
    assert "another data set" in missed["paradox"]


def test_nothing_is_measured_besides_unless_asked_for(made, labelled, extras):
    found = evaluate(made(), labelled, k=5, extras=extras)
    assert found["measured"] == {}
    assert all("not asked for: add it with --also" in found["not_measured"][n] for n in set(MEASURES) - OTHERS)
    assert all("rows along time" in found["not_measured"][n] for n in ALONG)
    only = evaluate(made(), labelled, k=5, base=False, measures=["probes"])
    assert list(only["measured"]) == ["probes"]
    assert "elbo" not in only


def test_numbers_are_those_of_the_estimators(made, labelled, extras):
    model = made()
    found = evaluate(model, labelled, k=5, measures=("probes", "dependence", "generation"), extras=extras, seed=2)
    case = Case(model, labelled, k=5, seed=2, extras=extras)
    rows = np.random.default_rng(2).permutation(60)
    codes, y = case.codes[rows], labelled.y.numpy()[rows]
    assert found["measured"]["probes"]["linear"] == probe(codes, y, seed=2).document()
    correlation = found["measured"]["dependence"]["total_correlation"]
    assert correlation["value"] == pytest.approx(total_correlation(model, labelled, seed=2).value)
    features = pca_features(labelled.tensor)
    made_, held = features(case.samples(60)), features(labelled.tensor)
    entry = found["measured"]["generation"][f"frechet[{features.name}]"]
    assert entry["value"] == pytest.approx(frechet_distance(made_, held).value)
    floor = found["measured"]["generation"]["floor"][f"frechet[{features.name}]"]
    assert floor["value"] == pytest.approx(0, abs=1e-6), "training and held-out rows are the same here"


def test_a_budget_leaves_out_what_does_not_fit_and_says_so(made, labelled, extras):
    found = evaluate(made(), labelled, k=5, measures=("ais", "probes"), extras=extras, budget=0.0)
    assert found["measured"] == {}
    assert "budget" in found["not_measured"]["ais"]
    whole = evaluate(made(), labelled, k=5, measures=("probes",), budget=1e6)
    assert "probes" in whole["measured"]


def test_the_cost_is_told_before_it_is_spent(made, labelled, extras):
    told = []
    found = evaluate(made(), labelled, k=8, measures=("probes", "ais", "disentanglement"), announce=told.append)
    assert len(told) == 1
    assert set(told[0]) == {"base", "probes", "ais"}, "what cannot be taken costs nothing"
    assert all(s > 0 for s in told[0].values())
    assert found["timing"]["estimated"] == pytest.approx(sum(told[0].values()))


def test_a_longer_work_has_a_higher_estimate(made, labelled):
    model = made()
    case, pace = Case(model, labelled, k=10), Pace(draw=1.0, row=2.0)
    more = Case(model, labelled, k=100)
    assert estimated(more, pace, ())["base"] - estimated(case, pace, ())["base"] == pytest.approx(90 * 60)
    assert estimated(case, pace, ("ais",))["ais"] == pytest.approx(3 * Annealing(4, 2, 2).passes * 3)
    measured = Pace.of(case)
    assert measured.draw > 0 < measured.row


def test_measures_are_chosen_by_name_in_one_order():
    usual = chosen(None, ())
    assert "ais" not in usual
    assert set(chosen(None, ("ais",))) == {*usual, "ais"}
    assert chosen(("probes", "ais"), ()) == ("ais", "probes")
    with pytest.raises(UnknownNameError, match="Did you mean 'probes'"):
        chosen(None, ("prboes",))


def test_features_come_by_name_and_say_what_they_lack(labelled):
    for name in ("pca", "entries", "random"):
        assert make_features(name, labelled, (6,), seed=0)(labelled.tensor).shape[0] == 60
    with pytest.raises(SettingError, match="'fid'"):
        make_features("fid", labelled, (6,), seed=0)
    with pytest.raises(SettingError, match="training rows"):
        make_features("pca", None, (6,), seed=0)
    with pytest.raises(SettingError, match="labels"):
        make_features("classifier", Batch(labelled.x), (6,), seed=0)
    own = Features("mine", lambda x: x)
    assert Case(None, labelled).feature(own) is own


def test_features_of_ones_own_name_the_numbers(made, labelled):
    extras = Extras(labelled, features=(Features("mine", lambda x: x), "entries"))
    found = evaluate(made(), labelled, k=5, base=False, measures=("generation",), extras=extras)
    names = set(found["measured"]["generation"])
    assert {"frechet[mine]", "frechet[entries]", "memorisation[mine]"} <= names
    assert not any("fid" in n.lower() for n in names)


def test_labels_that_are_not_known_do_not_count(made, labelled):
    known = torch.arange(60) < 40
    case = Case(made(), Batch(labelled.x, y=labelled.y, y_known=known))
    rows, y = case.labelled
    assert rows.tolist() == list(range(40))
    assert y.tolist() == labelled.y[:40].tolist()


def test_figures_are_plain_values():
    figure = Figure(1.0, float("nan"), 3, 0, "x", {"bins": np.array([1.0, np.inf])})
    assert figure.document() == {"value": 1.0, "se": None, "n": 3, "seed": 0, "bins": [1.0, None]}


def test_the_bootstrap_finds_the_error_of_a_mean():
    x = np.random.default_rng(0).standard_normal(400)
    se, low, high = spread(bootstrap(400, lambda i: x[i].mean(), seed=1, repeats=500))
    assert se == pytest.approx(x.std() / 20, rel=0.1)
    assert (low, high) == pytest.approx((x.mean() - 1.96 * se, x.mean() + 1.96 * se), abs=0.02)
