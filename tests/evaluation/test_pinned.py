"""Small things of judging, each pinned to its value: a change of any went unnoticed once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import Normal

from senzai.core.batch import Batch
from senzai.distributions import MixedFamily
from senzai.evaluation import Annealing, Case, bidirectional, quality
from senzai.evaluation.dependence import marginal_log_prob
from senzai.evaluation.diagnosis import DiagnosisFacts, Told, gather, latent_checks, sampling
from senzai.evaluation.diagnosis.data_checks import gap_of
from senzai.evaluation.interventions import agreement, similarity
from senzai.evaluation.latents import two_means
from senzai.models import Group


def test_numbers_are_cut_at_deciles():
    x = torch.arange(200.0).unsqueeze(1)
    bins, made = quality.binned(x, x.flip(0), MixedFamily(sorts=("normal",), sizes=(0,), cuts=()), np.array([0]))
    assert np.bincount(bins[:, 0]).tolist() == [20] * 10
    assert np.array_equal(made, bins[::-1])


@pytest.mark.parametrize(("spread", "gap", "beyond"), [(0.25, 2.0, True), (4.0, 0.125, False)])
def test_a_gap_is_counted_in_deviations_of_the_bound(spread, gap, beyond):
    se = 0.5 / (5 if beyond else 3)
    found = gap_of(DiagnosisFacts(generalisation=0.5, generalisation_se=se, spread=spread))
    assert found == (pytest.approx(gap), beyond)


def test_the_distance_of_samples_has_an_error_from_four_rows_on(made):
    x = (torch.rand(4, 6) < 0.4).float()
    found = sampling.compared(Case(made(), Batch(x)))
    assert found["samples_frechet_se"] > 0


def bergsma(counts):
    """Bergsma (2013), equations 3 and 4, on SciPy's chi-square."""
    counts, n = counts[counts.sum(1) > 0][:, counts.sum(0) > 0], counts.sum()
    phi = stats.chi2_contingency(counts, correction=False).statistic / n
    r, c = counts.shape
    phi = max(0.0, phi - (r - 1) * (c - 1) / (n - 1))
    r, c = (k - (k - 1) ** 2 / (n - 1) for k in (r, c))
    return np.sqrt(phi / (min(r, c) - 1))


def test_association_is_bergsmas():
    rng = np.random.default_rng(0)
    for shape in ((2, 2), (3, 5), (6, 4)):
        counts = rng.integers(1, 30, shape)
        counts[0, 0] += 60
        found = quality.cramers_v(counts / counts.sum(), int(counts.sum()))
        assert found == pytest.approx(bergsma(counts), rel=1e-12)


# --- latents ----------------------------------------------------------------------------------------------------------
def test_two_means_of_an_enumeration_weigh_its_draws():
    """Two draws of three classes: each half of the draws, weighed, is one value of the mean."""
    z, log_mix = torch.randn(6, 4, 3), torch.randn(6, 4).log_softmax(0)
    found = two_means(Group("z", z, None, None), log_mix).numpy()
    for i in range(2):
        expect = sum(2 * np.exp(log_mix[k].numpy())[:, None] * z[k].numpy() for k in (i, i + 2, i + 4))
        np.testing.assert_allclose(found[i], expect, rtol=1e-5, atol=1e-6)


def test_agreement_of_latents_up_to_order():
    """Three of three in another order agree fully; one that the other lacks is one of five; none is none."""
    table, all_ = np.eye(3)[[1, 2, 0]], np.ones(3)
    assert agreement(table, all_, all_) == 1
    assert agreement(table, all_, np.array([1.0, 1.0, 0.0])) == pytest.approx(4 / 5)
    assert agreement(table, 0 * all_, 0 * all_) == 0


class Seen(Normal):
    """A normal distribution that keeps how many values it was asked for at once."""

    def log_prob(self, value):
        self.blocks.append(len(value))
        return super().log_prob(value)


def test_marginals_are_taken_in_blocks_that_fit_the_memory():
    q, z = Seen(torch.randn(5, 3), 1.0), torch.randn(2, 4, 3)
    whole = None
    for memory, blocks in ((0.5, [8]), (3 * 32 * 15 / 2**30, [3, 3, 2]), (1e-9, [1] * 8)):
        q.blocks = []
        found = marginal_log_prob([q], z, memory)
        whole = found if whole is None else whole
        assert q.blocks == blocks
        torch.testing.assert_close(found, whole)


# --- checks -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("end", "share"), [(0, None), (100, None), (480, 0.04), (900, 0.0)])
def test_a_warm_up_is_too_long_by_what_it_leaves(end, share):
    found = latent_checks.unfinished(DiagnosisFacts(told=Told(settled_after=end, total_steps=500)))
    assert (found.value if found else None) == (None if share is None else pytest.approx(share))


def test_the_usual_bracket_is_of_fifty_rows_and_five_hundred_draws(made):
    model, settings = made(), Annealing(2, 1, 1)
    usual, told = (bidirectional(model, settings=settings, **given) for given in ({}, {"n": 50, "k": 500}))
    assert torch.equal(usual.importance, told.importance)
    assert torch.equal(usual.lower, told.lower)


def test_a_history_is_missed_where_there_is_none(made):
    case = Case(made(), Batch((torch.rand(20, 6) < 0.4).float()))
    assert "history" in gather(case).missing
    assert "history" not in gather(case, Told(history=({"kind": "train", "step": 1, "loss": 1.0},))).missing


def test_a_latent_that_does_not_move_is_like_none():
    a = np.c_[np.arange(5.0), np.ones(5)]
    np.testing.assert_allclose(similarity(a, -a[:, :1] ** 3), [[1], [0]], atol=1e-12)


@pytest.mark.parametrize(("low", "vanished"), [(5, False), (6, True), (20, True)])
def test_a_rate_has_vanished_when_all_of_the_last_fifth_is_low(low, vanished):
    rates = [4.0] * (30 - low) + [0.01] * low
    lines = tuple({"kind": "train", "step": 10 * i, "rate": r} for i, r in enumerate(rates))
    found = latent_checks.vanishing(DiagnosisFacts(told=Told(history=lines, settled_after=20, total_steps=300)))
    assert (found is not None) == vanished
    assert found is None or found.value == pytest.approx(0.01 / 4)
