"""Rankings against scikit-learn and by hand; the likelihood paradox where it is known to appear."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from senzai.core.errors import InputError
from senzai.evaluation import (
    area_under_roc,
    average_precision,
    compressed_nats,
    detection,
    false_positives_at_recall,
    likelihood_paradox,
    likelihood_ratio,
    precision_at,
    typicality,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(params=[None, 1], ids=["distinct", "tied"])
def ranked(rng, request):
    y = (rng.random(300) < 0.2).astype(int)
    s = rng.standard_normal(300) + y
    return (s if request.param is None else s.round(request.param - 1)), y


def test_rankings_are_those_of_scikit_learn(ranked):
    s, y = ranked
    assert area_under_roc(s, y) == pytest.approx(roc_auc_score(y, s))
    assert average_precision(s, y) == pytest.approx(average_precision_score(y, s))
    fpr, tpr, _ = roc_curve(y, s, drop_intermediate=False)
    assert false_positives_at_recall(s, y) == pytest.approx(fpr[np.argmax(tpr >= 0.95)])


def test_precision_among_the_highest_by_hand():
    s, y = np.array([5.0, 4, 3, 3, 1]), np.array([1, 0, 1, 0, 1])
    assert [precision_at(s, y, k) for k in (1, 2, 3, 4, 5)] == pytest.approx([1, 1 / 2, 1.5 / 3, 2 / 4, 3 / 5])


def test_errors_are_the_spread_over_data_sets(rng):
    def draw():
        y = np.repeat([0, 1], [150, 50])
        return rng.standard_normal(200) + y, y

    found = [area_under_roc(*draw()) for _ in range(300)]
    one = detection(*draw())["auroc"]
    assert one.se == pytest.approx(np.std(found), rel=0.35)
    assert one.details["low"] < one.value < one.details["high"]
    assert one.details["high"] - one.details["low"] == pytest.approx(3.9 * one.se, rel=0.2)


def test_everything_is_reported_once(ranked):
    found = detection(*ranked, repeats=20)
    assert set(found) == {"auroc", "average_precision", "precision_at_k", "fpr_at_95_recall"}
    assert found["precision_at_k"].details["k"] == found["auroc"].details["anomalies"] == ranked[1].sum()
    assert detection(*ranked, k=5, repeats=2)["precision_at_k"].details["k"] == 5
    perfect = detection(ranked[1].astype(float), ranked[1], repeats=5)
    assert [f.value for f in perfect.values()] == [1, 1, 1, 0]


@pytest.mark.parametrize("y", [np.zeros(5, int), np.array([0, 1, 2, 1, 0]), np.zeros(4, int)])
def test_labels_that_are_none_are_refused(y):
    with pytest.raises(InputError, match="Detection needs"):
        detection(np.arange(5.0), y)


# --- the paradox ----------------------------------------------------------------------------------------------------
def test_in_many_dimensions_narrow_data_are_more_likely_and_not_typical(rng):
    """Under a standard normal in 100 dimensions rows of half the spread are more likely than its own."""
    own, reference, other = (s * rng.standard_normal((400, 100)) for s in (1, 1, 0.5))
    log_p = [-0.5 * (x**2).sum(1) for x in (own, other, reference)]
    background = [-0.5 * 4 * (x**2).sum(1) for x in (own, other)]
    found = likelihood_paradox(*log_p, own_background=background[0], other_background=background[1])
    assert found["likelihood"].value < 0.01
    assert found["typicality"].value > 0.99
    assert found["likelihood_ratio"].value > 0.99
    assert set(likelihood_paradox(*log_p)) == {"likelihood", "typicality"}


def test_scores_by_hand():
    assert typicality(np.array([-1.0, -5.0]), np.array([-2.0, -4.0])).tolist() == [2, 2]
    assert likelihood_ratio(np.array([-1.0, -5.0]), np.array([-4.0, -4.0])).tolist() == [-3, 1]


def test_a_compressor_knows_simple_pictures(rng):
    noisy = rng.integers(0, 256, (2, 3, 16, 16)).astype(np.uint8)
    for x in (noisy, noisy[:, :1], noisy.reshape(2, -1)):
        found = compressed_nats(x)
        assert (found > 0.9 * x[0].size * np.log(256)).all()
        assert (compressed_nats(np.zeros_like(x)) < 0.25 * found).all() or x[0].size == 256


def test_the_error_of_typicality_holds_that_of_the_usual_value(rng):
    """Twenty training rows: where the usual value is decides more than which rows are ranked."""
    def draw():
        own, other = rng.standard_normal(300), rng.standard_normal(300) + 0.8
        return likelihood_paradox(own, other, rng.standard_normal(20))["typicality"]

    found = [draw() for _ in range(60)]
    spread = np.std([f.value for f in found], ddof=1)
    assert np.mean([f.se for f in found]) == pytest.approx(spread, rel=0.35)
    assert spread > 2 * likelihood_paradox(*rng.standard_normal((2, 300)), np.zeros(20))["typicality"].se
