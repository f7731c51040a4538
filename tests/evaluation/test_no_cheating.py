"""Nothing is judged on what it was fitted to, counted twice, or left out: oracles with numbers of their own."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from senzai.core.batch import Batch
from senzai.evaluation import (
    Annealing,
    Case,
    Extras,
    FactorTable,
    annealed_log_likelihood,
    beta_vae_score,
    dci,
    detection,
    evaluate,
    factor_vae_score,
    imputation_calibration,
    reconstruction_uncertainty,
    typicality,
    unsupervised_disentanglement_ranking,
)
from senzai.evaluation import measures as room
from senzai.evaluation.annealing import PILOT_CHAINS, AnnealingPath
from senzai.evaluation.disentanglement import _predictability
from senzai.parts import MixtureOfNormals


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# --- disentanglement ------------------------------------------------------------------------------------------------
def test_forests_are_not_asked_about_rows_they_have_seen(rng):
    """Codes that say nothing about a factor of four values: a forest that is asked about its own rows is right."""
    factors = rng.integers(0, 4, (400, 2))
    found = dci(rng.standard_normal((400, 6)), factors)["informativeness"]
    assert found.value == pytest.approx(0.25, abs=5 * found.se)


def test_a_latent_s_accuracy_is_that_on_the_other_half():
    """The judged half has values that the fitted half has not: nobody can be right about them."""
    code = np.repeat([-1.0, 1.0], 20)
    factor = (code > 0).astype(np.int64)
    fit, judge = np.arange(0, 40, 2), np.arange(1, 40, 2)
    assert _predictability(code, factor, fit, judge, False) == 1
    assert _predictability(code, np.where(np.arange(40) % 2, 9, factor), fit, judge, False) == 0
    assert _predictability(code, np.where(np.arange(40) % 2, factor, 1), fit, judge, False) == 0.5  # one value to learn


def factor_vae(codes, factors, *, votes, batch, rows, seed):
    """Kim and Mnih's score written down once more, with the very choices of rows of the table it is compared with."""
    rng, world = np.random.default_rng(seed), FactorTable(codes, factors)
    overall = world.codes(rng, rows).var(0, ddof=1)
    cast = []
    for _ in range(2 * votes):
        held = int(rng.integers(factors.shape[1]))
        cast.append((int(np.argmin(world.codes(rng, batch, held).var(0, ddof=1) / overall)), held))
    learned, judged = cast[:votes], cast[votes:]
    majority = {latent: np.bincount([k for d, k in learned if d == latent], minlength=factors.shape[1]).argmax()
                for latent in range(codes.shape[1])}
    return np.mean([majority[latent] == held for latent, held in judged])


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_the_score_of_held_factors_is_the_published_one_whatever_the_units_of_the_latents(rng, scale):
    factors = rng.integers(0, 4, (600, 3))
    codes = (factors + 0.6 * rng.standard_normal((600, 3))) * [1, scale, 1 / scale if scale < 5 else 0.5]
    found = factor_vae_score(FactorTable(codes, factors), votes=100, batch=32, rows=2000, seed=4)
    assert found.value == factor_vae(codes, factors, votes=100, batch=32, rows=2000, seed=4)
    assert found.value > 0.9


@pytest.mark.parametrize("score", [factor_vae_score, beta_vae_score])
def test_votes_are_judged_on_others_than_they_were_learned_from(rng, score):
    """Twenty latents of noise: twenty votes can be learned by heart, and say nothing about twenty others."""
    table = FactorTable(rng.standard_normal((300, 20)), rng.integers(0, 3, (300, 5)))
    found = [score(table, votes=20, batch=8, seed=s).value for s in range(12)]
    assert np.mean(found) == pytest.approx(1 / 5, abs=5 * sqrt(0.2 * 0.8 / 240))


# --- uncertainty ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [2, 3])
def test_the_variance_between_few_latents_is_without_bias(linear, n):
    x = linear.sample(400)
    found = reconstruction_uncertainty(linear.model(), Batch(x), n_samples=n)
    S = linear.posterior(x).covariance_matrix.reshape(-1, linear.d, linear.d)[0]
    between = (linear.W @ S @ linear.W.T).diagonal()
    se = found.between.std(0) / sqrt(len(x))
    assert bool(((found.between.mean(0) - between).abs() < 5 * se).all())
    assert bool((10 * se < between).all()), "the errors are small enough to tell n - 1 from n"


# --- models that differ by their seed --------------------------------------------------------------------------------
def test_a_model_is_no_witness_for_itself(rng):
    """One model agrees with the other, by a number; with itself it would agree by 1."""
    a, b = rng.standard_normal((2, 300, 2))
    b = np.c_[a[:, 0] + b[:, 0], b[:, 1]]
    first, second = unsupervised_disentanglement_ranking([a, b], [np.ones(2)] * 2)
    r = np.abs([[spearmanr(x, y).statistic for y in b.T] for x in a.T])
    exact = ((r.max(1) ** 2 / r.sum(1)).sum() + (r.max(0) ** 2 / r.sum(0)).sum()) / 4
    assert first.value == pytest.approx(exact)
    assert second.value == pytest.approx(exact)
    assert exact < 0.6


# --- samples --------------------------------------------------------------------------------------------------------
def test_samples_are_those_that_people_get(made):
    """From the sampler that was chosen, and as they are shown: draws, or expected values."""
    model, x = made(), Batch(torch.zeros(40, 6))
    far = MixtureOfNormals(2, n_components=1)
    with torch.no_grad():
        far.loc.fill_(50.0)
    sampler = model.with_prior(far)
    case = Case(model, x, extras=Extras(noise=False, sampler=sampler), seed=1)
    same = model.likelihood(torch.full((1, 2), 50.0)).mean
    torch.testing.assert_close(case.samples(30), same.expand(30, -1).detach(), atol=1e-3, rtol=0)
    assert not bool(((case.samples(30) == 0) | (case.samples(30) == 1)).all())
    drawn = Case(model, x, extras=Extras(noise=True, sampler=sampler), seed=1).samples(30)
    assert bool(((drawn == 0) | (drawn == 1)).all())
    plain = Case(model, x, extras=Extras(noise=False), seed=1).samples(30)
    assert float(plain.std(0).max()) > 0.001, "its own prior is one of many places"


# --- annealing ------------------------------------------------------------------------------------------------------
@pytest.fixture
def starts(monkeypatch):
    """Every set of places at which densities are asked for, and what was drawn for chains to begin at."""
    begun, asked = [], []
    begin, densities = AnnealingPath.begin, AnnealingPath.densities
    monkeypatch.setattr(AnnealingPath, "begin", lambda self, *a: begun.append(begin(self, *a)) or begun[-1])
    monkeypatch.setattr(AnnealingPath, "densities", lambda self, z: asked.append((z[0], torch.is_grad_enabled())) or
                        densities(self, z))
    return begun, asked


def test_counted_chains_start_at_draws_of_their_own(linear, starts):
    """Not where the chains have come to that step sizes were found with, and not at the middle of the posterior."""
    begun, asked = starts
    x = linear.sample(60)
    annealed_log_likelihood(linear.model(), Batch(x), Annealing(3, PILOT_CHAINS, 1), rows_at_once=60)
    assert not torch.isin(begun[1][0], begun[0][0]).any(), "as many chains as the pilot has, and others"
    begun.clear()
    asked.clear()
    annealed_log_likelihood(linear.model(shift=0.3, stretch=1.2), Batch(x), Annealing(3, 40, 1), rows_at_once=60)
    pilot, counted = (z for (z,) in begun)
    first = next(z for z, gradient in asked if not gradient)
    assert first is counted, "the first weights are those of the draws"
    assert pilot.shape[0] == PILOT_CHAINS
    posterior = linear.posterior(x)
    exact_scale = 1.2 * posterior.covariance_matrix.diagonal(dim1=-2, dim2=-1).sqrt().reshape(60, linear.d)
    centred = (counted - counted.mean(0)) / exact_scale
    variance = centred.square().sum((0, 1)) / (60 * 39)
    assert bool(((variance - 1).abs() < 5 * sqrt(2 / (60 * 39))).all())
    assert bool((centred.flatten(0, 1).quantile(0.975, 0) - 1.96).abs().max() < 0.2), "normal, not at two places"


# --- labels, factors, parts -----------------------------------------------------------------------------------------
class Known(Case):
    """A case whose codes are the rows themselves."""

    @property
    def codes(self):
        return self.rows.tensor.double().numpy()


def test_labels_and_factors_stay_with_their_rows(rng):
    """Codes that are the labels: every reader is right, unless it is given the labels of other rows."""
    y = rng.integers(0, 3, 300)
    x = np.eye(3)[y] + 0.01 * rng.standard_normal((300, 3))
    known = torch.from_numpy(rng.random(300) < 0.7)
    case = Known(None, Batch(torch.from_numpy(x), y=torch.from_numpy(y), y_known=known))
    assert {k: v.value for k, v in room.probes(case).items()} == pytest.approx(
        {"linear": 1, "knn": 1, "ari": 1, "nmi": 1}
    )
    factors = np.c_[y, rng.integers(0, 4, 300)]
    codes = torch.from_numpy(factors + 0.01 * rng.standard_normal((300, 2)))
    found = room.disentangled(Known(None, Batch(codes), extras=Extras(factors=factors)))
    assert found["mig"].value > 0.9
    assert found["dci"]["informativeness"].value > 0.95
    assert found["factor_vae"].value == 1


def test_factors_stay_with_their_rows_where_only_some_are_judged(made):
    factors = np.arange(60)[:, None] // 20
    x = torch.nn.functional.one_hot(torch.from_numpy(factors[:, 0]), 3).repeat(1, 2).float()
    extras = Extras(factors=factors)
    found = evaluate(made(), Batch(x), rows=45, base=False, measures=["disentanglement"], extras=extras)
    assert found["n"] == 45
    assert found["measured"]["disentanglement"]["dci"]["informativeness"]["value"] == 1


# --- anomalies ------------------------------------------------------------------------------------------------------
@pytest.fixture
def draws(monkeypatch):
    """The number of draws and rows of every log-likelihood that a measure asks for."""
    asked, whole = [], room.log_likelihood

    def heard(model, batch, *, k, **options):
        asked.append((k, batch))
        return whole(model, batch, k=k, **options)

    monkeypatch.setattr(room, "log_likelihood", heard)
    return asked


def test_the_usual_value_is_of_as_many_draws_as_what_is_compared_with_it(made, draws):
    y = torch.arange(60) % 3
    x, train, other = ((torch.rand(n, 6) < 0.4).float() for n in (60, 50, 40))
    case = Case(made(), Batch(x, y=y), k=37, extras=Extras(Batch(train), Batch(other), anomaly=1))
    found = room.detected(case)
    assert [k for k, _ in draws] == [37]
    assert {tuple(r) for r in draws[0][1].tensor.tolist()} <= {tuple(r) for r in train.tolist()}
    usual = room.log_likelihood(case.model, draws[0][1], k=37, seed=0).per_row
    exact = detection(typicality(case.estimate.per_row.numpy(), usual.numpy()), (y == 1).numpy().astype(int))
    assert found["typicality"]["auroc"].value == exact["auroc"].value
    rank = detection(-case.estimate.per_row.numpy(), (y == 1).numpy().astype(int))
    assert found["likelihood"]["auroc"].value == rank["auroc"].value
    draws.clear()
    room.paradox(case)
    assert len({k for k, _ in draws}) == 1
    assert [len(b) for _, b in draws] == [60, 40, 50], "own rows, strange rows, training rows"
    assert torch.equal(draws[0][1].tensor, x)


def test_a_bound_that_rises_with_its_draws_does_not_make_rows_strange(linear):
    """An encoder so poor that 500 draws find nats that 50 do not: normal rows are not strange for that."""
    x, train = linear.sample(300), linear.sample(300)
    model = linear.model(shift=1.5, stretch=0.7)
    y = torch.arange(300) % 2
    extras = Extras(Batch(train), anomaly=1)
    found = room.detected(Case(model, Batch(x, y=y), k=200, extras=extras))["typicality"]["auroc"]
    assert found.value == pytest.approx(0.5, abs=4 * found.se), "both classes are of one kind"


# --- imputation -----------------------------------------------------------------------------------------------------
def test_only_hidden_entries_are_judged(linear):
    """Entries that were seen are no imputation: the error is that of the exact conditional mean of what was hidden."""
    from senzai.evaluation import hide

    x = linear.sample(200)
    _, hidden = hide(Batch(x), 0.5, seed=0)
    p = linear.marginal()
    exact = []
    for row, gone in zip(x, hidden, strict=True):
        seen = ~gone
        if gone.any():
            gain = torch.linalg.solve(p.covariance_matrix[seen][:, seen], p.covariance_matrix[seen][:, gone])
            exact.append(row[gone] - p.loc[gone] - (row[seen] - p.loc[seen]) @ gain)
    best = float(torch.cat(exact).square().mean().sqrt())
    found = imputation_calibration(linear.model(stretch=4.0), Batch(x), share=0.5, n_draws=4, k=2000)["rmse"]
    assert found.value == pytest.approx(best, rel=0.05)
    assert found.details["of_column_means"] > 1.1 * best
