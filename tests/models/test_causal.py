"""Causes: graphs, noise and values, interventions and counterfactuals against closed forms."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Normal

import senzai
from senzai.core.batch import Batch
from senzai.core.causal_graph import CausalGraph, as_text, parsed
from senzai.core.errors import CombinationError, InputError, SettingError
from senzai.distributions import MixedFamily
from senzai.distributions.counts import NegativeBinomial
from senzai.distributions.exogenous import explain, fresh_noise, realise
from senzai.distributions.inflated import Inflated
from senzai.distributions.location import StudentT
from senzai.distributions.numeric import positive_raw
from senzai.distributions.steps import Steps
from senzai.models import Structural

NAMES = ("bp", "age", "bmi", "noise")
EDGES = (("age", "bmi"), ("age", "bp"), ("bmi", "bp"))
WEIGHT = {("age", "bmi"): 0.8, ("age", "bp"): -0.5, ("bmi", "bp"): 1.5}
SPREAD = {"bp": 0.7, "age": 1.0, "bmi": 0.6, "noise": 1.3}
SHIFT = {"bp": 0.3, "age": -0.2, "bmi": 0.1, "noise": 0.0}
N = 10_000


def linear_model() -> Structural:
    """A linear-Gaussian model whose weights are known."""
    family = MixedFamily(sorts=("normal",) * 4, sizes=(0,) * 4)
    model = Structural(family, NAMES, EDGES, hidden=0).eval()
    net = model.mechanisms
    with torch.no_grad():
        net.straight.zero_()
        for i, name in enumerate(NAMES):
            net.bias[2 * i] = SHIFT[name]
            net.bias[2 * i + 1] = positive_raw(torch.tensor(SPREAD[name]), family.floor)
        for (cause, effect), w in WEIGHT.items():
            net.straight[2 * NAMES.index(effect), NAMES.index(cause)] = w
    return model


def closed_form(values: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of x = shift + B x + e with the rows of what is set emptied: (I - B)^-1."""
    b, shift, var = np.zeros((4, 4)), np.zeros(4), np.zeros(4)
    for i, name in enumerate(NAMES):
        shift[i] = values.get(name, SHIFT[name])
        var[i] = 0.0 if name in values else SPREAD[name] ** 2
    for (cause, effect), w in WEIGHT.items():
        if effect not in values:
            b[NAMES.index(effect), NAMES.index(cause)] = w
    a = np.linalg.inv(np.eye(4) - b)
    return a @ shift, a @ np.diag(var) @ a.T


# --- graphs -----------------------------------------------------------------------------------------------------------
def test_a_graph_knows_order_parents_and_what_follows():
    graph = CausalGraph(NAMES, EDGES)
    assert graph.order.index("age") < graph.order.index("bmi") < graph.order.index("bp")
    assert graph.parents("bp") == ("age", "bmi")
    assert graph.below(["bmi"]) == {"bp"}
    assert graph.below(["age"]) == {"bmi", "bp"}
    assert graph.cut(["bp"]).edges == (("age", "bmi"),)


def test_a_circle_and_an_unknown_name_are_refused_by_name():
    with pytest.raises(SettingError, match=r"no circle, but got (a > b > c > a|b > c > a > b|c > a > b > c)"):
        CausalGraph(("x", "a", "b", "c"), (("a", "b"), ("b", "c"), ("c", "a"), ("a", "x")))
    with pytest.raises(SettingError, match=r"to 'bpp'\. Did you mean 'bp'"):
        CausalGraph(NAMES, (("age", "bpp"),))
    with pytest.raises(SettingError, match="no circle, but got a > a"):
        CausalGraph(("a",), (("a", "a"),))


def test_a_graph_comes_as_text_file_pairs_or_object(tmp_path):
    networkx = pytest.importorskip("networkx")
    digraph = networkx.DiGraph([("age", "bmi"), ("bmi", "bp")])
    networkx.write_gml(digraph, tmp_path / "g.gml")
    wanted = (("age", "bmi"), ("bmi", "bp"))
    for given in ("age>bmi; bmi -> bp", "age>bmi>bp", digraph, tmp_path / "g.gml", str(tmp_path / "g.gml"), wanted):
        assert parsed(as_text(given)) == wanted
    with pytest.raises(SettingError, match="no directions"):
        as_text(digraph.to_undirected())
    with pytest.raises(SettingError, match="cannot be"):
        as_text("nowhere.gml")
    with pytest.raises(SettingError, match="cause>effect"):
        parsed("a>")


# --- noise ------------------------------------------------------------------------------------------------------------
def uniform_of(seed: int):
    generator = torch.Generator().manual_seed(seed)
    return lambda shape: torch.rand(shape, generator=generator, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)


def several(d: int = 3):
    cuts = torch.tensor([[-1.0, 0.2, 1.0]]).repeat(d, 1)
    loc, scale = torch.linspace(-1, 1, d).expand(N, d), torch.linspace(0.5, 2, d).expand(N, d)
    counts = NegativeBinomial(loc, scale)
    return {
        "normal": Normal(loc, scale), "student": StudentT(loc, scale, torch.full((N, d), 3.0)),
        "binary": Bernoulli(logits=loc), "steps": Steps(loc, scale, cuts), "count": counts,
        "category": Categorical(logits=torch.tensor([[0.0, 1.0, -1.0], [2.0, 0.0, 0.0]]).expand(N, 2, 3)),
        "spike": Inflated(Normal(loc, scale), loc, torch.full((d,), -4.0), discrete=False),
        "zeros": Inflated(counts, loc, torch.zeros(d), discrete=True),
    }


@pytest.mark.parametrize("name", list(several(1)))
def test_noise_of_a_value_makes_it_again_and_fresh_noise_makes_the_distribution(name):
    p = several()[name]
    uniform = uniform_of(1)
    drawn = realise(p, fresh_noise(p, uniform))
    torch.manual_seed(0)
    known = p.sample()
    for k in torch.unique(known)[:6].tolist() if name not in ("normal", "student") else (-1.0, 0.0, 1.5):
        got, wanted = ((v <= k).double().mean(0) for v in (drawn, known))
        assert (got - wanted).abs().max() < 5 * (2 * 0.25 / N) ** 0.5
    again = realise(p, explain(p, known, uniform))
    assert torch.allclose(again.double(), known.double(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["binary", "steps", "category", "count", "zeros", "spike"])
def test_noise_that_values_leave_open_is_distributed_as_noise_is(name):
    """Abduction of rows that were drawn gives noise of the prior's distribution: nothing is put in."""
    p = several()[name]
    e = explain(p, realise(p, fresh_noise(p, uniform_of(3))), uniform_of(4)).double()
    wanted = fresh_noise(p, uniform_of(5)).double()
    for q in (0.1, 0.5, 0.9):
        assert torch.allclose(e.quantile(q, 0), wanted.quantile(q, 0), atol=0.06)


# --- linear-Gaussian models -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("values", [{}, {"bmi": 2.0}, {"age": -1.0}, {"age": 0.5, "bmi": -1.0}, {"bp": 3.0}])
def test_interventions_have_the_means_and_covariances_of_the_closed_form(values):
    mean, covariance = closed_form(values)
    x = linear_model().intervene(N, values, seed=5).double().numpy()
    sd = np.sqrt(np.diag(covariance))
    assert (np.abs(x.mean(0) - mean) <= 3.5 * sd / N**0.5 + 1e-6).all()
    got = np.cov(x.T)
    error = np.sqrt((np.outer(sd**2, sd**2) + covariance**2) / N)
    assert (np.abs(got - covariance) <= 4 * error + 1e-9).all()


def test_the_density_is_that_of_the_normal_with_the_covariance_of_the_graph():
    mean, covariance = closed_form({})
    x = torch.randn(50, 4, dtype=torch.float64)
    wanted = torch.distributions.MultivariateNormal(torch.tensor(mean), torch.tensor(covariance)).log_prob(x)
    assert torch.allclose(linear_model().log_prob(Batch(x)).double(), wanted, atol=1e-4)


def test_counterfactuals_are_the_closed_form():
    model, torch_x = linear_model(), torch.randn(64, 4, dtype=torch.float64)
    got = model.counterfactual(Batch(torch_x), {"age": 1.0}, seed=0).numpy()
    x = torch_x.numpy()
    age = np.full(64, 1.0)
    bmi = x[:, 2] + 0.8 * (age - x[:, 1])
    bp = x[:, 0] - 0.5 * (age - x[:, 1]) + 1.5 * (bmi - x[:, 2])
    assert np.allclose(got, np.stack([bp, age, bmi, x[:, 3]], 1), atol=1e-5)


def test_setting_what_was_already_so_changes_nothing():
    """Composition."""
    model, x = linear_model(), torch.randn(5, 4, dtype=torch.float64)
    for row in x:
        got = model.counterfactual(Batch(row[None]), {"bmi": float(row[2]), "age": float(row[1])}, seed=0)
        assert torch.allclose(got[0], row, atol=1e-6)


def test_what_is_set_has_the_value_and_a_set_effect_leaves_its_causes():
    """Effectiveness, and nothing flows against an arrow."""
    model, x = linear_model(), torch.randn(20, 4, dtype=torch.float64)
    got = model.counterfactual(Batch(x), {"bp": 9.0}, seed=0)
    assert (got[:, 0] == 9.0).all()
    assert torch.equal(got[:, 1:], x[:, 1:])


def test_without_arrows_columns_are_independent_and_setting_one_moves_no_other():
    family = MixedFamily(sorts=("normal",) * 4, sizes=(0,) * 4)
    model = Structural(family, NAMES, (), hidden=8).eval()
    free, fixed = (model.intervene(100, values, seed=1) for values in ({}, {"age": 4.0}))
    assert torch.equal(free[:, [0, 2, 3]], fixed[:, [0, 2, 3]])
    x = torch.randn(7, 4)
    one = model.columns(x).log_prob(x)
    changed = x.clone()
    changed[:, 1] += 3.0
    assert torch.allclose(model.columns(changed).log_prob(changed)[:, [0, 2, 3]], one[:, [0, 2, 3]])


def test_a_row_with_a_hole_has_no_counterfactual_and_its_column_no_score():
    model, x = linear_model(), torch.randn(3, 4)
    mask = torch.ones(3, 4, dtype=torch.bool)
    mask[1, 1] = False
    with pytest.raises(InputError, match="row 1"):
        model.counterfactual(Batch(x, mask=mask), {"bmi": 0.0}, seed=0)
    each = model.columns(x).log_prob(x)
    scored = model.score(Batch(x, mask=mask))
    assert torch.allclose(scored[[0, 2]], each.sum(-1)[[0, 2]])
    assert torch.allclose(scored[1], each[1, 3])  # bp and bmi have the missing age as a cause
    assert model.log_prob(Batch(x, mask=mask)) is None


# --- runs -------------------------------------------------------------------------------------------------------------
def observed(n: int = 3000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    age = rng.normal(50, 10, n)
    bmi = 20 + 0.1 * age + rng.normal(0, 2, n)
    return pd.DataFrame({"age": age, "bmi": bmi, "bp": 60 + 1.5 * bmi - 0.3 * age + rng.normal(0, 5, n)})


@pytest.fixture(scope="module")
def frame():
    return observed()


@pytest.fixture(scope="module")
def run(frame):
    return senzai.fit(
        frame, recipe="causal-table", graph="age>bmi;bmi>bp;age>bp", hidden=0, numbers_by="linear", steps=500,
        batch_size=256, lr=0.01, seed=0,
    )


def test_do_in_a_fitted_run_is_the_truth_within_its_errors(run, frame):
    """do(bmi=30): bp has the mean 60 + 45 - 0.3 * 50, not that of people whose bmi is 30."""
    rows = run.do("do", 20_000, set={"bmi": 30.0}, seed=1)
    truth, sd = 60 + 45 - 15, (25 + 9) ** 0.5
    design = np.stack([np.ones(len(frame)), frame.bmi, frame.age], 1)[: int(0.8 * len(frame))]
    at = np.array([1.0, 30.0, 50.0])
    fitted = 5 * float(at @ np.linalg.inv(design.T @ design) @ at) ** 0.5 + 0.3 * 10 / len(design) ** 0.5
    assert abs(rows.bp.mean() - truth) < 3 * (fitted + sd / 20_000**0.5)
    assert abs(rows.bp.std() - sd) < 3 * sd * (1 / (2 * len(design)) ** 0.5 + 1 / 40_000**0.5)
    assert (rows.bmi == 30.0).all()
    assert abs(rows.age.mean() - 50) < 3 * 10 * (1 / len(design) ** 0.5 + 1 / 20_000**0.5)


def test_counterfactuals_of_a_fitted_run_follow_the_regression(run, frame):
    rows = run.counterfactual(frame[:200], set={"bmi": 25.0})
    moved = (rows.bp - frame.bp[:200]) / (25.0 - frame.bmi[:200])
    assert np.allclose(moved, 1.5, atol=0.25)
    assert np.allclose(rows.age, frame.age[:200], atol=1e-4)


def test_every_answer_says_what_it_assumes_and_what_is_out_of_range(run):
    rows = run.do("do", 3, set={"bmi": 60}, seed=0)
    said = " ".join(rows.attrs["assumptions"])
    assert "given, not learned" in said
    assert "No hidden common cause" in said
    assert "bmi=60 is out of the range of the data" in said
    assert (rows.bmi == 60).all()
    inside = run.do("do", 3, set={"bmi": 25}, seed=0)
    assert "out of the range" not in " ".join(inside.attrs["assumptions"])


def test_a_saved_run_answers_alike(run, tmp_path):
    run.save(tmp_path / "run")
    again = senzai.load(tmp_path / "run")
    one, two = (r.do("do", 5, set={"bmi": 25}, seed=3) for r in (run, again))
    pd.testing.assert_frame_equal(one, two)


def test_a_run_without_a_graph_calls_no_correlation_a_cause(frame):
    plain = senzai.fit(frame[:100], recipe="vae", steps=1, n_latent=2)
    with pytest.raises(CombinationError, match="what goes together, not what causes what"):
        plain.do("do", 3, set={"bmi": 25})
    with pytest.raises(CombinationError, match="data alone do not say what causes what"):
        senzai.fit(frame[:100], recipe="causal-table", steps=1)
    for graph, said in (("Learned", "got 'Learned'. Did you mean 'learned'"), ("age>bp; bmy", "Did you mean 'bmi'")):
        with pytest.raises(SettingError, match=re.escape(said)):
            senzai.fit(frame[:100], recipe="causal-table", graph=graph, steps=1)


def test_what_cannot_be_set_is_named(run):
    with pytest.raises(SettingError, match="Did you mean 'bmi'"):
        run.do("do", 3, set={"bmy": 25})
    with pytest.raises(SettingError, match="Something must be set"):
        run.do("do", 3)
