"""Attacks on membership against cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from senzai.core.errors import InputError
from senzai.evaluation.membership import attack, membership, nearest_distances

RNG = np.random.default_rng(0)


def test_the_area_is_that_of_scikit_learn_and_the_interval_that_of_scipy():
    inside, outside = RNG.normal(0.4, 1, 300), np.round(RNG.normal(0, 1, 1500), 1)
    inside = np.round(inside, 1)  # ties
    found = attack(inside, outside, 0.001)
    y = np.r_[np.ones(300), np.zeros(1500)]
    assert found["auroc"] == pytest.approx(roc_auc_score(y, np.r_[inside, outside]))
    assert (outside > np.sort(outside)[::-1][1]).mean() <= 0.001
    assert found["resolved"]
    hits = round(found["found"] * 300)
    known = binomtest(hits, 300).proportion_ci(0.95, "exact")
    assert found["interval"] == pytest.approx([known.low, known.high])


def test_few_strangers_say_that_they_cannot_tell():
    found = attack(np.array([5.0, 1.0]), np.arange(10.0))
    assert not found["resolved"]
    assert found["found"] == 0.0
    assert found["interval"][0] == 0.0


def test_a_model_that_copies_is_found_and_one_that_does_not_is_not():
    train, held = RNG.normal(size=(200, 5)), RNG.normal(size=(200, 5))
    zero = np.zeros(200)
    copies = membership(members=zero, strangers=zero, samples=train[:100], training=train, held_out=held)
    assert copies["samples"]["copies"] == 100
    assert copies["samples"]["nearer_to_training"] == 1.0
    assert copies["by_samples"]["auroc"] > 0.7
    assert copies["by_likelihood"]["auroc"] == 0.5
    fresh = membership(
        members=zero, strangers=zero, samples=RNG.normal(size=(2000, 5)), training=train, held_out=held
    )
    assert fresh["samples"]["copies"] == 0
    assert abs(fresh["samples"]["nearer_to_training"] - 0.5) < 0.1
    assert abs(fresh["by_samples"]["auroc"] - 0.5) < 0.1


def test_nearest_is_exact():
    a, b = RNG.normal(size=(300, 4)) + 1e3, RNG.normal(size=(50, 4)) + 1e3
    wanted = np.linalg.norm(a[:, None] - b, axis=2).min(1)
    assert np.allclose(nearest_distances(a, b), wanted, rtol=1e-6)


def test_too_few_rows_are_refused():
    with pytest.raises(InputError, match="two rows"):
        membership(members=[1.0], strangers=[1.0, 2.0])


# --- as a measure of the catalogue ------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def fitted():
    import senzai

    x = np.random.default_rng(0).standard_normal((300, 4))
    return senzai.fit(x, steps=20, n_latent=2, hidden=(8,), network="mlp", progress=False), x


def test_evaluate_attacks_where_it_knows_members_and_strangers(fitted):
    run, x = fitted
    found = run.evaluate(x, k=4, only=["membership"])["measured"]["membership"]
    for attacked in (found["by_loss"], found["by_samples"]):
        assert 0.3 < attacked["auroc"] < 0.7
        assert set(attacked) == {"auroc", "members", "strangers", "at_0.001", "at_0.01"}
        assert attacked["at_0.01"]["interval"][0] <= attacked["at_0.01"]["found"] <= attacked["at_0.01"]["interval"][1]
    assert found["by_loss"]["members"] == 240
    assert found["by_loss"]["strangers"] == 30


def test_rows_that_were_trained_on_are_no_strangers(fitted):
    run, x = fitted
    assert "held-out" in run.evaluate(x, k=4, only=["membership"], split="train")["not_measured"]["membership"]
    other = run.evaluate(x[:50] + 1.0, k=4, only=["membership"])["not_measured"]["membership"]
    assert "held-out" in other


def test_rows_learned_by_heart_are_found():
    from senzai.core.batch import Batch
    from senzai.evaluation import Case, Extras
    from senzai.evaluation.membership_measure import membership as measured
    from senzai.testing import LinearGaussian

    toy = LinearGaussian.random(4, 2, seed=0)
    mine, others = toy.sample(200, seed=1).float(), toy.sample(200, seed=2).float() * 4
    case = Case(toy.model().float(), Batch(others), k=4, extras=Extras(train=Batch(mine), held_out=True))
    found = measured(case)
    assert found["by_loss"]["auroc"] > 0.8
    assert found["by_samples"]["auroc"] > 0.7
