"""Effects of a treatment, graphs that are looked for, and identifiable latents."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch.distributions import Normal

import senzai
from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, InputError, SettingError
from senzai.core.random import forked
from senzai.distributions import MixedFamily
from senzai.distributions.within import within
from senzai.evaluation.identifiability import mean_correlation
from senzai.models import Structural
from senzai.models.structural import without_circles
from senzai.objectives import GraphSearch
from senzai.objectives.acyclic import log_determinant, trace_exponential
from senzai.parts.likelihoods.treated import TreatedLikelihood
from senzai.runs.verbs.effect import table

SMALL = {"sampler": "none", "progress": False, "hidden": [16]}


# --- the likelihood ---------------------------------------------------------------------------------------------------
@pytest.fixture
def likelihood():
    family = MixedFamily(sorts=("normal", "binary", "normal"), sizes=(0, 2, 0))
    with forked(0):
        return TreatedLikelihood(2, (3,), family, treatment=1, outcome=2, hidden=(4,)).eval()


def test_the_outcome_is_scored_by_the_network_of_its_treatment(likelihood):
    z, x = torch.randn(4, 2), torch.tensor([[0.3, 0.0, 1.0], [0.3, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, 1.0, -1.0]])
    p = likelihood(z)
    by_hand = []
    for i in range(4):
        arm = p.arms[int(x[i, 1])]
        by_hand.append(arm.log_prob(x)[i].sum())
    assert torch.allclose(p.log_prob(x), torch.stack(by_hand))
    assert not torch.allclose(p.arms[0].log_prob(x)[:, 2], p.arms[1].log_prob(x)[:, 2])


def test_an_outcome_without_its_treatment_is_scored_by_the_mixture_of_both(likelihood):
    z, x = torch.randn(3, 2), torch.randn(3, 3)
    x[:, 1] = 1.0
    mask = torch.tensor([[True, False, True]]).expand(3, 3)
    got = within(likelihood(z), Batch(x, mask=mask)).log_prob(x)
    each = []
    for t in (0.0, 1.0):
        row = x.clone()
        row[:, 1] = t
        each.append(likelihood(z).log_prob(row))
    assert torch.allclose(got, torch.logsumexp(torch.stack(each), 0), atol=1e-5)


def test_draws_have_the_outcome_of_their_own_treatment(likelihood):
    with torch.no_grad():
        likelihood.bias[likelihood.place.start] = 0.0
        likelihood.arms[0][-1].bias[0], likelihood.arms[1][-1].bias[0] = -50.0, 50.0
    x = likelihood(torch.zeros(200, 2)).sample()
    assert ((x[:, 2] > 0) == (x[:, 1] > 0.5)).all()
    assert 0 < x[:, 1].mean() < 1


def test_the_mean_effect_and_its_interval_are_those_of_the_draws():
    rng = np.random.default_rng(0)
    without = rng.normal(size=(200, 50))
    made = table(without, without + 2.0, 0.9, 0)
    assert np.allclose(made[["effect", "low", "high"]], 2.0)
    assert made.attrs["average_effect"] == pytest.approx(2.0)
    wide = table(without, without + rng.normal(2.0, 1.0, size=(200, 50)), 0.9, 0)
    assert np.allclose(wide["high"] - wide["low"], 2 * 1.645, atol=1.2)


# --- runs -------------------------------------------------------------------------------------------------------------
def confounded(n: int = 1500) -> pd.DataFrame:
    """The sicker are treated more often; treatment takes 2 away. The plain difference of groups is far off."""
    rng = np.random.default_rng(0)
    sick = rng.normal(size=n)
    marks = sick[:, None] + 0.3 * rng.normal(size=(n, 3))
    treated = rng.random(n) < 1 / (1 + np.exp(-1.5 * sick))
    days = 10 + 2 * sick - 2.0 * treated + 0.5 * rng.normal(size=n)
    frame = pd.DataFrame(marks, columns=["fever", "pain", "age"])
    return frame.assign(treated=treated.astype(int), days=days)


@pytest.fixture(scope="module")
def frame():
    return confounded()


@pytest.fixture(scope="module")
def run(frame):
    return senzai.fit(
        frame, recipe="cevae", treatment="treated", outcome="days", n_latent=4, numbers_by="linear", steps=400,
        batch_size=256, lr=0.01, seed=0, **SMALL,
    )


@pytest.mark.parametrize("seen", ["all", "covariates"])
def test_a_confounded_effect_is_less_than_half_as_wrong_as_the_difference_of_groups(run, frame, seen):
    naive = frame.days[frame.treated == 1].mean() - frame.days[frame.treated == 0].mean()
    found = run.effect(frame[:400], draws=20, seen=seen)
    assert abs(found.attrs["average_effect"] + 2.0) < abs(naive + 2.0) / 2
    assert (found.low <= found.effect).all()
    assert (found.effect <= found.high).all()
    assert "hidden common cause" in " ".join(found.attrs["assumptions"])


def test_covariates_alone_hide_treatment_and_outcome(run, frame):
    """An effect for rows that are still to be treated cannot depend on what is not known yet."""
    rows = frame[:20]
    other = rows.assign(treated=1 - rows.treated, days=rows.days + 5)
    one, two = (run.effect(f, draws=5, seen="covariates", seed=1) for f in (rows, other))
    assert np.allclose(one.effect, two.effect)
    assert not np.allclose(run.effect(rows, draws=5, seed=1).effect, run.effect(other, draws=5, seed=1).effect)


def test_a_difference_between_groups_is_not_called_an_effect(frame):
    plain = senzai.fit(frame[:100], recipe="vae", steps=1, n_latent=2, **SMALL)
    with pytest.raises(CombinationError, match="not called an effect"):
        plain.effect(frame[:10])


def test_treatments_and_outcomes_that_are_not_there_are_named(frame):
    with pytest.raises(SettingError, match="Did you mean 'treated'"):
        senzai.fit(frame[:100], recipe="cevae", treatment="treatd", outcome="days", steps=1)
    with pytest.raises(SettingError, match="outcome is a column"):
        senzai.fit(frame[:100], recipe="cevae", treatment="treated", steps=1)
    with pytest.raises(CombinationError, match="two values"):
        senzai.fit(frame[:100], recipe="cevae", treatment="age", outcome="days", steps=1)


# --- graphs that are looked for ---------------------------------------------------------------------------------------
def test_penalties_are_the_closed_forms_and_vanish_without_circles():
    w = torch.randn(5, 5, dtype=torch.float64) * 0.3
    eigenvalues = torch.linalg.eigvals(w * w)
    assert torch.allclose(trace_exponential(w), eigenvalues.exp().sum().real - 5)
    assert torch.allclose(log_determinant(w), -(1 - eigenvalues).log().sum().real)
    upper = torch.triu(w, 1) * 10
    assert trace_exponential(upper).abs() < 1e-9
    assert log_determinant(upper).abs() < 1e-9


def test_the_penalty_is_that_of_scipys_matrix_exponential():
    import scipy.linalg

    w = np.random.default_rng(0).normal(size=(4, 4)) * 0.4
    assert float(trace_exponential(torch.tensor(w))) == pytest.approx(np.trace(scipy.linalg.expm(w * w)) - 4)


def test_arrows_are_kept_from_the_strongest_down_without_a_circle():
    strength = torch.tensor([[0.0, 3.0, 0.5], [1.0, 0.0, 2.0], [2.5, 0.01, 0.0]])
    assert without_circles(strength, 0.1).int().tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]
    assert without_circles(strength, 2.7).int().tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_a_search_finds_the_arrows_and_then_stays():
    rng = np.random.default_rng(0)
    a, d = rng.normal(size=(2, 1000))
    b = a + 0.5 * rng.normal(size=1000)
    x = np.stack([a, b, b + 0.5 * rng.normal(size=1000), d], 1)
    x = torch.tensor((x - x.mean(0)) / x.std(0)).float()
    with forked(0):
        family = MixedFamily(sorts=("normal",) * 4, sizes=(0,) * 4)
        model = Structural(family, tuple("abcd"), (), hidden=0, learned=True, search="gradients")
        model.initialise(Batch(x))
        objective, steps = GraphSearch().over(300), torch.optim.Adam(model.parameters(), lr=0.03)
        assert objective.settle_step == 180
        for step in range(300):
            if step == 100:
                model.eval()
                objective(model, Batch(x), 10_000)  # validation looks ahead and settles nothing
                assert not model.settled
                model.train()
            loss = objective(model, Batch(x), step).loss.mean()
            steps.zero_grad()
            loss.backward()
            steps.step()
    found = {frozenset(e) for e in model.graph.edges}
    assert found >= {frozenset("ab"), frozenset("bc")}
    assert not any("d" in pair for pair in found)
    assert "learned from observations" in " ".join(model.assumptions())
    changed = x.clone()
    changed[:, 3] += 1.0  # nothing sees d
    assert torch.equal(model.columns(changed).log_prob(x)[:, :3], model.columns(x).log_prob(x)[:, :3])


# --- identifiable latents ---------------------------------------------------------------------------------------------
def test_the_score_pairs_codes_and_sources_as_the_best_permutation_does():
    rng = np.random.default_rng(0)
    s = rng.normal(size=(300, 3))
    z = s @ rng.normal(size=(3, 3))
    from itertools import permutations

    c = np.abs(np.corrcoef(z.T, s.T)[:3, 3:])
    assert mean_correlation(z, s) == pytest.approx(max(np.mean([c[p[j], j] for j in range(3)])
                                                       for p in permutations(range(3))))
    assert mean_correlation(np.exp(3 * s[:, ::-1]), s, by="rank") == pytest.approx(1.0)
    assert mean_correlation(s[:, :1], s) == pytest.approx(1 / 3, abs=0.01)
    with pytest.raises(InputError, match="same rows"):
        mean_correlation(z[:5], s)


def test_the_decoder_of_ivae_does_not_see_the_condition_and_the_prior_does():
    x = np.random.default_rng(0).normal(size=(120, 4)).astype("float32")
    u = np.arange(120) % 3
    run = senzai.fit((x, u), recipe="ivae", condition="label", n_latent=2, steps=3, **SMALL)
    model, c, z = run.model, torch.eye(3), torch.randn(3, 2)
    told, other = model.generate((z,), c), model.generate((z,), c.roll(1, 0))
    assert torch.equal(told.log_prob(torch.zeros(3, 4)), other.log_prob(torch.zeros(3, 4)))
    p = model.prior(c)
    by_hand = Normal(p.base_dist.loc, p.base_dist.scale).log_prob(z).sum(-1)
    assert torch.allclose(p.log_prob(z), by_hand)
    assert not torch.allclose(p.base_dist.loc[0], p.base_dist.loc[1])
    batch = run.dataset((x, u)).batch(np.arange(4))
    found = model.infer(batch, z=(torch.zeros(1, 4, 2),))
    q = model.posterior(batch)
    elbo = model.generate((torch.zeros(4, 2),)).log_prob(batch.x) + model.prior(batch.c).log_prob(
        torch.zeros(4, 2)) - q.log_prob(torch.zeros(4, 2))
    assert torch.allclose(found.log_w[0], elbo, atol=1e-5)
    with pytest.raises(CombinationError, match="identified by something"):
        senzai.fit(x, recipe="ivae", steps=1)
