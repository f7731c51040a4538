"""Data that are sorted: a part of the rows is a part at random, never one end."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from senzai.core.batch import Batch
from senzai.distributions import NormalFamily
from senzai.evaluation import Case, Extras, FactorTable, Rendered, classifier_two_sample_test, diversity, quality
from senzai.evaluation import measures as room
from senzai.evaluation.diagnosis import fitting, sampling
from senzai.evaluation.measures import at_random, compared
from senzai.evaluation.samples import drawn
from senzai.parts import StandardNormal


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def kinds(rng, n, k=5, d=3):
    """Rows of ``k`` kinds far apart, all rows of a kind together."""
    return np.sort(rng.integers(0, k, n))[:, None] * 10 + rng.standard_normal((n, d))


def shares(x):
    return np.bincount(np.rint(np.asarray(x)[:, 0] / 10).astype(int).clip(0, 4), minlength=5) / len(x)


# --- parts of rows --------------------------------------------------------------------------------------------------
def test_rows_that_are_drawn_are_of_all_kinds(rng):
    x = kinds(rng, 5000)
    some = drawn(x, 500, seed=1)
    assert len(np.unique(some[:, 0])) == 500
    np.testing.assert_allclose(shares(some), 0.2, atol=0.07)
    assert drawn(x, 5000, seed=1) is x
    assert not np.array_equal(some, drawn(x, 500, seed=2))
    batch = Batch(torch.from_numpy(x), y=torch.from_numpy(np.rint(x[:, 0] / 10)))
    found = at_random(batch, 500, seed=3)
    np.testing.assert_allclose(shares(found.tensor), 0.2, atol=0.07)
    assert bool((found.y == (found.tensor[:, 0] / 10).round()).all()), "what is known of a row stays with it"


def test_the_floor_of_sorted_rows_is_as_low_as_that_of_shuffled_ones(rng):
    held, made, train = kinds(rng, 300), kinds(rng, 300), kinds(rng, 3000)
    found = compared(held, made, train, name="x", seed=0)
    for name, near in {"frechet[x]": 60, "spread[x]": 0.4, "vendi[x]": 1, "recall[x]": 0.1}.items():
        assert found["floor"][name].value == pytest.approx(found[name].value, abs=near), name
    assert found["floor"]["c2st[x]"].value < 0.6
    assert found["floor"]["recall[x]"].value > 0.9


def test_sets_of_different_sizes_are_cut_at_random(rng):
    long, short = kinds(rng, 4000), kinds(rng, 400)
    assert classifier_two_sample_test(long, short).value < 0.6
    assert classifier_two_sample_test(short, long).value < 0.6
    found = diversity(kinds(rng, 3000), kinds(rng, 3000))["vendi"]
    assert found.value == pytest.approx(found.details["of_data"], rel=0.2)
    assert found.value > 3, "five kinds far apart, of a kernel as wide as their median distance"
    real, made = (torch.from_numpy(kinds(rng, n)) for n in (4000, 400))
    assert quality.judge(real, made) < 0.6


def test_distances_to_training_rows_are_those_of_all_kinds(rng):
    from senzai.distributions import MixedFamily

    family = MixedFamily(sorts=("normal",) * 3, sizes=(0,) * 3)
    rows, train = torch.from_numpy(kinds(rng, 4000)).float(), torch.from_numpy(kinds(rng, 800)).float()
    train = train[train[:, 0] < 25]  # two of five kinds are not there
    far = quality.distance_to_training(rows, train, family)
    assert len(far) == quality.NEAR_ROWS
    assert np.mean(far > 0.5) == pytest.approx(0.4, abs=0.06)


# --- measures of a case ---------------------------------------------------------------------------------------------
def test_conditions_of_samples_are_those_of_the_data():
    c = torch.eye(5).repeat_interleave(2000, 0)  # sorted by class
    case = Case(None, Batch(torch.zeros(10_000, 1), c=c), seed=4)
    np.testing.assert_allclose(case.conditions(500).mean(0), 0.2, atol=0.06)
    assert case.conditions(20_000).sum(0).tolist() == [4000] * 5, "every row's once before any again"
    assert Case(None, Batch(torch.zeros(3, 1))).conditions(5) is None


def test_half_the_rows_are_a_half_at_random(made, monkeypatch):
    """Two kinds of codes: a half of one kind only would have a total correlation of its own."""
    seen = []
    whole = room.total_correlation
    monkeypatch.setattr(room, "total_correlation", lambda model, batch, **k: seen.append(batch) or whole(model, batch))
    x = torch.randn(200, 6) + 10 * (torch.arange(200) >= 100).float().unsqueeze(1)
    room.dependence(Case(made(family=NormalFamily()), Batch(x)))
    assert [len(b) for b in seen] == [200, 100]
    assert 30 < int((seen[1].tensor[:, 0] > 5).sum()) < 70


def test_a_diagnosis_looks_at_rows_of_all_kinds(made, rng, monkeypatch):
    rows, train = (Batch(torch.from_numpy(kinds(rng, n, d=6)).float()) for n in (1500, 5000))
    case = Case(made(family=NormalFamily(), prior=StandardNormal(2)), rows, extras=Extras(train))
    asked = []
    whole = sampling.memorisation
    monkeypatch.setattr(sampling, "memorisation", lambda *sets, **k: asked.extend(sets) or whole(*sets, **k))
    sampling.copies(case)
    for x, n in zip(asked[1:], (500, 2000), strict=True):
        assert len(x) == n
        at = np.unique(np.rint((x[:, 0] - x[:, 0].min()) / np.ptp(x[:, 0]) * 4), return_counts=True)[1] / n
        np.testing.assert_allclose(at, 0.2, atol=0.08)
    taken = []

    monkeypatch.setattr(type(case.model), "infer", lambda self, b, n=1, **k: taken.append(b) or _Stop.now())
    with pytest.raises(_Stop):
        fitting.predictive(case, train)
    np.testing.assert_allclose(shares(taken[-1].tensor), 0.2, atol=0.1)


class _Stop(Exception):
    @classmethod
    def now(cls):
        raise cls


# --- held factors ---------------------------------------------------------------------------------------------------
def test_a_table_in_order_is_the_world_it_was_made_from(rng):
    """Rows sorted by the first factor: what is chosen with the second one held has all values of the first."""
    sizes = (4, 3)
    factors = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), -1).reshape(-1, 2).repeat(50, 0)
    table, world = FactorTable(factors.astype(float), factors), Rendered(sizes, lambda f: f.astype(float))
    for one in (table, world):
        found = one.codes(np.random.default_rng(1), 600, held=1)
        np.testing.assert_allclose(np.bincount(found[:, 0].astype(int)) / 600, 0.25, atol=0.07)
        a, b = one.pairs(np.random.default_rng(1), 600, held=1)
        assert (a[:, 1] == b[:, 1]).all()
        assert abs(np.corrcoef(a[:, 0], b[:, 0])[0, 1]) < 0.15
