"""Graphs looked for among orders: the price of an arrow, the best order, features of columns, and runs."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
import torch

import senzai
from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, InputError, SettingError
from senzai.core.order_search import BlockScore, Orders, best_graph
from senzai.core.random import forked
from senzai.distributions import MixedFamily
from senzai.models import Structural
from senzai.models.order_search import features_of, found_by_order, rows_worth
from senzai.objectives import GraphSearch
from senzai.objectives.causal import MechanismLikelihood
from senzai.parts.mechanisms import ColumnMechanisms

SMALL = {"sampler": "none", "progress": False, "steps": 2, "numbers_by": "linear"}


def simulated(seed: int, d: int, n: int, share: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    """Standardised rows of a random linear-Gaussian graph, and the graph, cause first."""
    rng = np.random.default_rng(seed)
    graph = np.triu(rng.random((d, d)) < share, 1)
    weight = graph * rng.uniform(0.5, 1.5, (d, d)) * rng.choice([-1, 1], (d, d))
    x = rng.normal(size=(n, d)) * rng.uniform(0.5, 1.5, d) @ np.linalg.inv(np.eye(d) - weight)
    order = rng.permutation(d)
    x = x[:, order]
    return (x - x.mean(0)) / x.std(0), graph[np.ix_(order, order)]


def alone(x: np.ndarray, price: float = 1.0) -> BlockScore:
    """The score of columns that are one feature each."""
    places = [(i,) for i in range(x.shape[1])]
    return BlockScore(x.T @ x / len(x), len(x), places, places, price)


def skeleton(graph: np.ndarray) -> np.ndarray:
    return graph | graph.T


# --- scores and orders ------------------------------------------------------------------------------------------------
def test_the_score_is_the_criterion_of_a_regression():
    """Minus n/2 log of the residual variance, less half a log n for each slope; and for several effects at once."""
    x, _ = simulated(0, 4, 300)
    for given in ((), (1,), (1, 3), (1, 2, 3)):
        left = x[:, 0]
        if given:
            left = left - x[:, list(given)] @ np.linalg.lstsq(x[:, list(given)], x[:, 0], rcond=None)[0]
        wanted = -150 * np.log(np.mean(left**2)) - len(given) / 2 * np.log(300)
        assert alone(x)(0, frozenset(given)) == pytest.approx(wanted, abs=0.01)
        assert alone(x, 0.0)(0, frozenset(given)) == pytest.approx(wanted + len(given) / 2 * np.log(300), abs=0.01)
    pair = BlockScore(x.T @ x / 300, 300, ((0, 1), (2,)), ((0, 1), (2,)))
    left = x[:, :2] - x[:, 2:3] @ np.linalg.lstsq(x[:, 2:3], x[:, :2], rcond=None)[0]
    wanted = -150 * np.linalg.slogdet(left.T @ left / 300)[1] - 2 / 2 * np.log(300)
    assert pair(0, frozenset({1})) == pytest.approx(wanted, abs=0.01)


def test_graphs_that_say_the_same_have_the_same_score_and_a_collider_another():
    x, _ = simulated(3, 3, 500, share=1.0)
    s = alone(x)

    def total(*causes: set[int]) -> float:
        return sum(s(i, frozenset(c)) for i, c in enumerate(causes))

    chain, back, fork = total(set(), {0}, {1}), total({1}, {2}, set()), total({1}, set(), {1})
    assert chain == pytest.approx(back, abs=0.01)
    assert chain == pytest.approx(fork, abs=0.01)
    assert abs(total(set(), {0, 2}, set()) - chain) > 1


@pytest.mark.parametrize("seed", range(3))
def test_the_best_order_is_that_of_all_orders_and_all_sets_of_causes(seed):
    x, _ = simulated(seed, 5, 400)
    s = alone(x)
    graph = best_graph(s)

    def best(thing: int, before: tuple[int, ...]) -> float:
        return max(s(thing, frozenset(c)) for k in range(len(before) + 1) for c in combinations(before, k))

    wanted = max(sum(best(o[k], o[:k]) for k in range(5)) for o in permutations(range(5)))
    got = sum(s(i, frozenset(np.flatnonzero(graph[:, i]).tolist())) for i in range(5))
    assert got == pytest.approx(wanted, abs=1e-6)
    assert not np.linalg.matrix_power(graph.astype(float), 5).any()  # no circle


def test_a_move_gains_what_it_says():
    x, _ = simulated(5, 6, 300)
    orders = Orders(alone(x))
    start = list(range(6))
    for thing in range(6):
        after, gain = orders.moved(start, thing)
        assert sum(orders.values(after)) - sum(orders.values(start)) == pytest.approx(gain, abs=1e-6)
        assert [i for i in after if i != thing] == [i for i in start if i != thing]


def test_skeletons_of_simulated_graphs_are_found_and_independent_columns_stay_alone():
    scores = []
    for seed in range(5):
        x, graph = simulated(seed, 8, 1000)
        got, true = skeleton(best_graph(alone(x))), skeleton(graph)
        scores.append(2 * (got & true).sum() / (got.sum() + true.sum()))
    assert np.mean(scores) > 0.93
    noise = np.random.default_rng(0).normal(size=(1000, 8))
    assert best_graph(alone(noise / noise.std(0))).sum() <= 1
    assert best_graph(alone(noise / noise.std(0), 0.0)).sum() > 20  # without a price every arrow pays


# --- columns ----------------------------------------------------------------------------------------------------------
def mixed(n: int = 400) -> tuple[MixedFamily, torch.Tensor]:
    """A category that moves a number, a number whose square moves another, and a lonely bit."""
    rng = np.random.default_rng(0)
    c, bit = rng.integers(0, 3, n), rng.integers(0, 2, n)
    a = np.array([-1.0, 1.5, 0.0])[c] + rng.normal(size=n)
    u = rng.normal(size=n)
    v = u**2 + 0.5 * rng.normal(size=n)
    family = MixedFamily(sorts=("category", "normal", "normal", "normal", "binary"), sizes=(3, 0, 0, 0, 2))
    return family, torch.tensor(np.stack([c, a, u, v, bit], 1)).float()


def model_of(family: MixedFamily, **settings: object) -> Structural:
    with forked(0):
        return Structural(family, tuple("cauvb"[: len(family.sorts)]), (), learned=True, **settings)  # type: ignore[arg-type]


def test_features_are_standardised_and_say_whose_they_are():
    family, x = mixed()
    model = model_of(family, hidden=4)
    model.initialise(Batch(x))
    f, causes, effects = features_of(model.mechanisms, x, bent=True)
    assert [len(c) for c in causes] == [2, 3, 3, 3, 1]
    assert [len(e) for e in effects] == [2, 1, 1, 1, 1]
    assert sorted(i for c in causes for i in c) == list(range(f.shape[1]))
    assert np.allclose(f.mean(0), 0, atol=1e-9)
    assert np.allclose(f.std(0), 1)
    assert np.allclose(np.corrcoef(f[:, effects[2][0]], x[:, 2])[0, 1], 1)
    assert np.allclose(abs(np.corrcoef(f[:, effects[4][0]], x[:, 4])[0, 1]), 1)


def test_straight_mechanisms_miss_a_square_that_bent_ones_find():
    family, x = mixed()
    pairs = {}
    for hidden in (0, 4):
        model = model_of(family, hidden=hidden)
        model.initialise(Batch(x))
        assert model.settled
        pairs[hidden] = {frozenset(e) for e in model.graph.edges}
    assert pairs[0] == {frozenset("ca")}
    assert pairs[4] == {frozenset("ca"), frozenset("uv")}


def wild(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Independent columns of which a tenth of the rows is wild in all: variance 11 instead of 1."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * np.where(rng.random((n, 1)) < 0.1, 11.0, 1.0) ** 0.5


def test_wild_rows_are_worth_less_as_their_fourth_moments_say():
    """The variance of a row is 1 or 11: E s^4 / (E s^2)^2 is (0.9 + 0.1 * 121) / 2^2."""
    assert rows_worth(wild(40_000, 6)) == pytest.approx(40_000 / 3.25, rel=0.05)
    x = np.random.default_rng(0).normal(size=(40_000, 6)) @ np.random.default_rng(1).normal(size=(6, 6))
    assert rows_worth(x) == pytest.approx(40_000, rel=0.05)  # normal ones, however they go together
    assert rows_worth(x[:, :1]) == 40_000


def test_an_arrow_pays_half_the_logarithms_of_rows_and_columns(monkeypatch):
    seen = []
    none = np.zeros((3, 3), bool)
    monkeypatch.setattr("senzai.models.order_search.best_graph", lambda score, starts: seen.append(score) or none)
    x = torch.tensor(wild(500, 3)).float()
    family = MixedFamily(sorts=("normal",) * 3, sizes=(0,) * 3)
    model = Structural(family, ("a", "b", "c"), (), learned=True, hidden=0, price=2.0)
    model.initialise(Batch(x))
    (score,) = seen
    m = rows_worth(np.asarray(x, np.float64))
    assert score.rows == pytest.approx(m, rel=1e-3)
    r = np.corrcoef(x.T)[0, 1]
    gain = score(1, frozenset({0})) - score(1, frozenset())
    assert gain == pytest.approx(-m / 2 * np.log(1 - r**2) - 2.0 * (np.log(m) + np.log(3)) / 2, abs=0.01)


def test_independent_columns_with_wild_rows_stay_alone():
    """Columns that know nothing of each other: correlations of wild rows alone must not pay."""
    arrows = {"worth": 0, "counted": 0}
    for seed in range(4):
        x = wild(3000, 10, seed)
        x = x / x.std(0)
        family = MixedFamily(sorts=("normal",) * 10, sizes=(0,) * 10)
        model = Structural(family, tuple(f"c{i}" for i in range(10)), (), learned=True, hidden=0)
        model.initialise(Batch(torch.tensor(x).float()))
        arrows["worth"] += len(model.graph.edges)
        arrows["counted"] += int(best_graph(alone(x)).sum())
    assert arrows["worth"] <= 4
    assert arrows["counted"] > 3 * max(1, arrows["worth"])


def test_rows_with_holes_are_left_out_and_too_few_whole_ones_refused():
    family, x = mixed()
    model = model_of(family, hidden=0, masked=True)
    model.initialise(Batch(x))
    holes = torch.ones_like(x, dtype=torch.bool)
    holes[:200, 1] = False
    spoilt = torch.where(holes, x, torch.full_like(x, 9.0))
    with pytest.warns(UserWarning, match="200 of 400 rows: the others lack an entry"):
        got = found_by_order(model.mechanisms, Batch(spoilt, mask=holes))
    assert torch.equal(got, found_by_order(model.mechanisms, Batch(x[200:])))
    assert got[0, 1] or got[1, 0]
    holes[19:] = False
    with pytest.raises(InputError, match="0 of 400 are whole, fewer than 20"):
        found_by_order(model.mechanisms, Batch(x, mask=holes))


def test_the_strength_of_an_arrow_is_that_of_all_ways_and_no_scale_of_hidden_units_hides_it():
    family = MixedFamily(sorts=("normal", "normal"), sizes=(0, 0))
    with forked(0):
        net = ColumnMechanisms(family, ((1,), (0,)), hidden=3)
    wanted = torch.zeros(2, 2)
    for effect in range(2):
        raws = slice(2 * effect, 2 * effect + 2)
        ways = (net.outer[raws].unsqueeze(-1) * net.inner[effect]).detach()  # raw, hidden, cause
        square = (net.straight[raws].detach() ** 2).sum(0) + (ways**2).sum((0, 1))
        wanted[1 - effect, effect] = square[1 - effect].sqrt()
    assert torch.allclose(net.strengths(), wanted, atol=1e-5)
    before = net.strengths().detach()
    with torch.no_grad():
        net.inner /= 10
        net.outer *= 10
    assert torch.allclose(net.strengths(), before, atol=1e-5)


# --- runs -------------------------------------------------------------------------------------------------------------
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    dose, age = rng.normal(size=(2, 400))
    pressure = dose - age + 0.5 * rng.normal(size=400)
    return pd.DataFrame({"pressure": pressure, "dose": dose, "age": age, "day": rng.normal(size=400)})


def test_a_run_finds_two_causes_of_one_effect_before_its_first_step_and_keeps_them(tmp_path):
    run = senzai.fit(table(), recipe="causal-table", graph="learned", hidden=0, out=tmp_path / "run", **SMALL)
    assert set(run.model.graph.edges) == {("dose", "pressure"), ("age", "pressure")}  # a collider has its directions
    again = senzai.load(tmp_path / "run")
    assert set(again.model.graph.edges) == set(run.model.graph.edges)
    rows = again.do("do", 50, set={"pressure": 1.0}, seed=0)
    assert "learned from observations" in " ".join(rows.attrs["assumptions"])
    assert abs(rows.dose.mean()) < 0.6  # an effect that is set says nothing about its causes
    dear = senzai.fit(table(), recipe="causal-table", graph="learned", hidden=0, price=1000.0, **SMALL)
    assert dear.model.graph.edges == ()


def test_searches_that_do_not_fit_are_refused():
    family, x = mixed()
    first, later = model_of(family), model_of(family, search="gradients")
    with pytest.raises(CombinationError, match="search=gradients"):
        GraphSearch().check(first)
    with pytest.raises(CombinationError, match="search=orders"):
        MechanismLikelihood().check(later)
    GraphSearch().check(later)
    MechanismLikelihood().check(first)
    later.initialise(Batch(x))
    assert not later.settled
    with pytest.raises(SettingError, match=r"orders, gradients, but got 'order'\. Did you mean 'orders'"):
        model_of(family, search="order")
    with pytest.raises(SettingError, match=r"price >= 0.*Use 1"):
        model_of(family, price=-1.0)


def test_too_many_columns_are_refused_before_hours_are_spent():
    n = 201
    wide = Structural(MixedFamily(sorts=("normal",) * n, sizes=(0,) * n), tuple(f"c{i}" for i in range(n)), (),
                      hidden=0, learned=True)
    with pytest.raises(CombinationError, match="up to 200 columns, but there are 201"):
        wide.initialise(Batch(torch.zeros(30, n)))


def test_private_training_looks_at_no_row_first():
    from senzai.training.private import refuse_mixing

    family, _ = mixed()
    with pytest.raises(CombinationError, match="before the first step"):
        refuse_mixing(model_of(family), MechanismLikelihood())
    refuse_mixing(model_of(family, search="gradients"), GraphSearch())
