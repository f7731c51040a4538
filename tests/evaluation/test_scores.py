"""Scores: shares that add up, p-values that keep their promise, rows that do not know of each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from senzai.core.batch import Batch
from senzai.core.errors import SettingError
from senzai.core.random import forked, using
from senzai.distributions import MixedFamily, NormalFamily, elementwise
from senzai.evaluation import evidence
from senzai.evaluation.evidence import SameForAll
from senzai.evaluation.neighbours import NeighbourIndex, nearest_rows
from senzai.evaluation.rarity import crossed, joined_among, p_values, threshold
from senzai.evaluation.scores import METHODS, Reference, make_reference, score
from senzai.models import Flat
from senzai.nn import MLPDecoder, MLPEncoder, TableEncoder
from senzai.parts import Likelihood, Posterior, StandardNormal

SORTS, SIZES, CUTS = ("normal", "category", "steps", "binary", "count"), (0, 3, 4, 2, 0), ((-1.0, 0.0, 1.0),)


def rows(n, seed=0):
    r = np.random.default_rng(seed)
    x = np.stack([r.normal(size=n), r.integers(3, size=n), r.integers(4, size=n), r.integers(2, size=n),
                  r.poisson(3, size=n)], 1)
    return Batch(torch.tensor(x, dtype=torch.float32), mask=torch.from_numpy(r.random(x.shape) < 0.8))


@pytest.fixture(scope="module")
def mixed():
    with forked(0):
        family = MixedFamily(sorts=SORTS, sizes=SIZES, cuts=CUTS)
        encoder = TableEncoder((5,), SORTS, SIZES, CUTS, (8,), masked=True)
        model = Flat(
            StandardNormal(2), Posterior(encoder, NormalFamily(), 2),
            Likelihood(MLPDecoder(2, family.raw_shape((5,)), (8,)), family, (5,)),
        )
        model.initialise(rows(200))
    return model.eval()


@pytest.fixture(scope="module")
def plain():
    with forked(1):
        model = Flat(
            StandardNormal(2), Posterior(MLPEncoder((4,), (8,)), NormalFamily(), 2),
            Likelihood(MLPDecoder(2, (2, 4), (8,)), NormalFamily(), (4,)),
        )
    return model.eval()


@pytest.mark.parametrize("method", METHODS)
def test_shares_add_up_to_the_score(mixed, method):
    reference = make_reference(mixed, rows(60, 1), rows(40, 2), k=4)
    found = score(mixed, rows(30, 3), method, reference=reference, k=4)
    assert found.shares.shape == (30, 6)
    torch.testing.assert_close(found.shares.sum(1), found.values, rtol=1e-4, atol=1e-4)
    if method in ("reconstruction", "knn", "input_knn", "residual"):
        torch.testing.assert_close(found.shares[:, -1], torch.zeros(30), rtol=0, atol=1e-4)
        assert (found.shares[:, :-1][~rows(30, 3).mask] == 0).all()  # what was not seen is not to blame


@pytest.mark.parametrize("method", METHODS)
def test_a_row_is_scored_alone(mixed, method):
    reference = make_reference(mixed, rows(60, 1), rows(40, 2), k=4)
    whole = score(mixed, rows(30, 3), method, reference=reference, k=4).values
    alone = torch.cat([score(mixed, rows(30, 3).take(torch.tensor([i])), method, reference=reference, k=4).values
                       for i in (0, 7, 29)])
    torch.testing.assert_close(whole[[0, 7, 29]], alone, rtol=1e-4, atol=1e-5)


def test_scores_are_what_their_formulas_say(plain):
    batch = Batch(torch.randn(9, 4, generator=torch.Generator().manual_seed(0)))
    many = 4000
    with torch.no_grad():
        q = plain.posterior(batch)
        z = q.rsample((many,))
        p = plain.likelihood(z)
        log_lik, rate = p.log_prob(batch.x), torch.distributions.kl_divergence(q, plain.prior())
        log_w = log_lik + plain.prior().log_prob(z) - q.log_prob(z)
        evidence = torch.logsumexp(log_w, 0) - np.log(many)
    tolerance = {"rtol": 0, "atol": 6 * float(log_lik.std(0).max()) / many**0.5}
    torch.testing.assert_close(score(plain, batch, "reconstruction", k=many).values, -log_lik.mean(0), **tolerance)
    torch.testing.assert_close(score(plain, batch, "elbo", k=many).values, rate - log_lik.mean(0), **tolerance)
    with torch.no_grad(), using(SameForAll.seeded(0)):
        same = plain.infer(batch, many)
    torch.testing.assert_close(score(plain, batch, "nll", k=many).values, -same.bound())
    assert (evidence + score(plain, batch, "nll", k=many).values).median().abs() < 0.5
    per = -elementwise(same.likelihood, batch.x).mean(0)
    torch.testing.assert_close(score(plain, batch, "reconstruction", k=many).shares[:, :-1], per)


def test_neighbours_are_the_nearest_ones(plain):
    train = Batch(torch.randn(50, 4, generator=torch.Generator().manual_seed(1)))
    reference = make_reference(plain, train, train, k=2)
    batch = Batch(torch.randn(7, 4, generator=torch.Generator().manual_seed(2)))
    spread = train.x.std(0, unbiased=False)
    distance = (batch.x[:, None] - train.x).div(spread).abs().sum(-1).sort(1).values[:, 4]
    torch.testing.assert_close(score(plain, batch, "input_knn", reference=reference, k=2).values, distance)
    back = train.x - reference.residuals  # what the model makes of the rows
    with torch.no_grad():
        middle = plain.likelihood(plain.posterior(batch).mean).mean
        torch.testing.assert_close(back, plain.likelihood(plain.posterior(train).mean).mean, atol=1e-5, rtol=1e-5)
    apart = ((batch.x - middle)[:, None] - reference.residuals).div(reference.spread[1]).abs().sum(-1)
    five = apart.sort(1).values[:, :5].mean(1)
    torch.testing.assert_close(score(plain, batch, "knn", reference=reference, k=2).values, five)
    missed = (batch.x - middle).div(train.x.std(0, unbiased=False)).square().sum(1)  # as shares of what columns vary
    torch.testing.assert_close(score(plain, batch, "residual", reference=reference, k=2).values, missed)


def test_p_values_of_held_out_rows_are_uniform():
    """P(p <= alpha) <= alpha for every alpha, whatever the score; and nearly equal to it."""
    r = np.random.default_rng(0)
    hits = []
    for _ in range(400):
        scores = torch.tensor(np.exp(2 * r.normal(size=60)))
        hits.append(p_values(scores[50:], scores[:50].sort().values))
    p = torch.cat(hits).numpy()
    for alpha in (0.02, 0.1, 0.3, 0.7):
        error = 5 * np.sqrt(alpha * (1 - alpha) / 400)
        assert (p <= alpha).mean() <= alpha + error
        assert (p <= alpha).mean() >= np.floor(alpha * 51) / 51 - error
    assert stats.kstest(p, "uniform").statistic < 0.06
    assert p.min() >= 1 / 51


def test_equal_scores_are_not_stranger():
    assert p_values(torch.tensor([2.0]), torch.tensor([1.0, 2.0, 3.0])).item() == 0.75


def test_a_threshold_is_a_quantile_of_held_out_scores():
    held = torch.arange(1.0, 101.0)
    assert threshold(held, 0.1) == pytest.approx(90.1)
    with pytest.raises(SettingError, match="contamination"):
        threshold(held, 5)


def test_a_training_row_is_no_neighbour_of_its_own(plain):
    train = Batch(torch.randn(60, 4, generator=torch.Generator().manual_seed(1)))
    reference = make_reference(plain, train, train.take(slice(0, 30)), k=4)
    for method in ("knn", "input_knn"):
        found = score(plain, train.take(slice(0, 7)), method, reference=reference, k=4)
        assert (found.values > 0.05).all()
        moved = Batch(train.tensor[:7] + 1e-4)  # nearly the same rows do have these neighbours
        assert (score(plain, moved, method, reference=reference, k=4).values < found.values).all()
        torch.testing.assert_close(found.shares.sum(1), found.values)


def test_strange_rows_score_high(plain):
    train = Batch(torch.randn(200, 4, generator=torch.Generator().manual_seed(1)))
    held = Batch(torch.randn(100, 4, generator=torch.Generator().manual_seed(3)))
    reference = make_reference(plain, train, held, k=8)
    strange = Batch(torch.full((1, 4), 6.0))
    for method in METHODS:
        assert score(plain, strange, method, reference=reference, k=8).values > reference.held[method][-1]


def test_what_cannot_be_scored_is_refused(plain):
    with pytest.raises(SettingError, match="Did you mean 'elbo'"):
        score(plain, rows(3), "elbow")
    with pytest.raises(SettingError, match="reference"):
        score(plain, rows(3), "knn")


def test_a_row_that_is_known_is_found_among_the_known_rows():
    known = NeighbourIndex(torch.tensor([[0.0, 1.0], [torch.nan, 2.0], [0.0, 1.0], [3.0, 4.0]]))
    asked = torch.tensor([[-0.0, 1.0], [torch.nan, 2.0], [3.0, 4.1], [3.0, 4.0]])
    assert known.first.tolist() == [0, 1, 3]
    assert known.find(asked).tolist() == [0, 1, -1, 2]


def test_scores_do_not_depend_on_the_size_of_the_pieces(mixed, monkeypatch):
    reference = make_reference(mixed, rows(60), rows(40, 1))
    whole = score(mixed, rows(30, 2), reference=reference)
    monkeypatch.setattr(evidence, "NUMBERS", 300)
    pieces = score(mixed, rows(30, 2), reference=make_reference(mixed, rows(60), rows(40, 1)))
    torch.testing.assert_close(pieces.values, whole.values)
    torch.testing.assert_close(pieces.shares, whole.shares)


# --- calibration ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", METHODS)
def test_held_out_rows_are_scored_as_others_are_whatever_the_draws(mixed, method):
    """The very rows that were held out get the very scores they are compared with, for every k and seed."""
    held = rows(40, 2)
    reference = make_reference(mixed, rows(60, 1), held, k=4)
    for k, seed in ((4, 0), (1, 0), (2, 7)):
        own = reference.held_scores(mixed, method, k=k, seed=seed)
        if method == "auto":  # joined among the others, so a little different; see below
            members = [reference.held_scores(mixed, m, k=k, seed=seed)
                       for m in ("elbo", "knn", "input_knn", "marginal", "middle")]
            torch.testing.assert_close(own, crossed(torch.stack(members)))
        else:
            torch.testing.assert_close(own, score(mixed, held, method, reference=reference, k=k, seed=seed).values)


def test_a_reference_that_was_saved_scores_held_out_rows_with_other_draws(mixed):
    reference = make_reference(mixed, rows(60, 1), rows(40, 2), k=4)
    again = Reference.of({n: t.clone() for n, t in reference.tensors().items()})
    assert again.draws == (4, 0)
    for method in ("nll", "auto"):
        a, b = (r.held_scores(mixed, method, k=3, seed=5) for r in (reference, again))
        torch.testing.assert_close(a, b)


def test_of_new_rows_no_more_are_flagged_than_was_asked_also_by_scores_that_are_joined():
    """Five scores of independent kinds, joined among held-out rows."""
    r = torch.Generator().manual_seed(0)
    n, new, repeats = 20, 100, 150
    shares = []
    for _ in range(repeats):
        every = torch.randn(5, n + new, generator=r)
        every[1], every[2] = every[1].exp(), every[2].square()  # heavy tails, and ties below
        every[3] = every[3].clamp_min(0).mul(4).round()
        held = every[:, :n]
        p = p_values(joined_among(every[:, n:], held), crossed(held))
        shares.append(torch.stack([(p <= a).double().mean() for a in (0.05, 0.1, 0.2)]))
    found = torch.stack(shares)
    error = 5 * found.std(0) / repeats**0.5
    assert (found.mean(0) <= torch.tensor([0.05, 0.1, 0.2]) + error).all()
    assert (found.mean(0) >= torch.tensor([0.05, 0.1, 0.2]) - 1 / (n + 1) - error).all()


# --- copies -----------------------------------------------------------------------------------------------------------
def test_copies_of_an_anomaly_do_not_vouch_for_each_other(plain):
    """Eight copies of one row, more than the five neighbours, among two hundred: as far as one of them would be."""
    rest = torch.randn(200, 4, generator=torch.Generator().manual_seed(1))
    odd = torch.tensor([[4.0, -4.0, 4.0, -4.0]])
    held = Batch(torch.randn(100, 4, generator=torch.Generator().manual_seed(2)))
    reference = make_reference(plain, Batch(torch.cat([rest, odd.repeat(8, 1)])), held, k=4)
    for method in ("knn", "input_knn", "auto"):
        found = score(plain, Batch(odd), method, reference=reference, k=4).values
        assert found > reference.held[method].max(), method


def test_a_distance_to_one_of_the_nearest_is_that_of_all_of_them_sorted():
    r = torch.Generator().manual_seed(0)
    x, known = torch.randn(40, 3, generator=r), torch.randn(90, 3, generator=r)
    x[3, 1] = torch.nan
    own, spread = torch.full((40,), -1), torch.tensor([1.0, 2.0, 3.0])
    apart = (x[:, None] - known).div(spread).abs().nan_to_num()
    place = (x.nan_to_num()[:, None] - known).div(spread).abs().sum(-1).argsort(1)
    for ranks in (range(5), range(10, 11), range(2, 9)):
        value, share = nearest_rows(x, known, spread, own, ranks)
        expected = torch.stack([apart[i, place[i, ranks.start : ranks.stop]].mean(0) for i in range(40)])
        torch.testing.assert_close(share, expected)
        torch.testing.assert_close(value, expected.sum(1))
    few, _ = nearest_rows(x, known[:3], spread, own, range(10, 11))  # fewer rows than ranks: the last but one at most
    assert few.isfinite().all()


def test_known_rows_are_read_once(plain, monkeypatch):
    train = Batch(torch.randn(60, 4, generator=torch.Generator().manual_seed(1)))
    reference = make_reference(plain, train, train.take(slice(0, 20)), k=2)
    read = []
    monkeypatch.setattr(NeighbourIndex, "__init__", lambda self, rows: read.append(len(rows)))
    for i in range(3):
        score(plain, train.take(slice(i, i + 1)), reference=reference, k=2)
    assert read == []
