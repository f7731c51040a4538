"""Audits: bounds against their own arithmetic, canaries of sound and of broken training, attacks with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from senzai.core.errors import CombinationError, InputError
from senzai.core.secret import Secret
from senzai.evaluation.auditing import at_rates, audited, epsilon_at_least, guesses_p_value, likelihood_ratios
from senzai.training import private
from senzai.training.canaries import Perch, sing
from senzai.training.privacy import epsilon_of
from senzai.training.private import PrivateGradients

RATE, STEPS, NOISE, DELTA = 0.25, 30, 2.4, 1e-5


def flock(noise=NOISE, canaries=500, seed=0, batch_size=125):
    rule = PrivateGradients(1.0, noise, batch_size, Secret.seeded(seed))
    return sing(rule, sample_rate=RATE, steps=STEPS, canaries=canaries, seed=seed)


def test_the_p_value_is_that_of_coins_that_randomised_response_makes_unfair():
    for epsilon, correct in ((0.0, 60), (1.0, 80), (2.0, 95)):
        wanted = binom.sf(correct - 1, 100, math.exp(epsilon) / (1 + math.exp(epsilon)))
        assert guesses_p_value(500, 100, correct, epsilon, 0.0) == pytest.approx(wanted)
        assert guesses_p_value(500, 100, correct, epsilon, 1e-3) > wanted
    assert guesses_p_value(10, 5, 5, 0.0, 1.0) == 1.0


def test_the_bound_holds_for_randomised_response_as_often_as_it_says():
    epsilon, rng = 1.5, np.random.default_rng(0)
    q = math.exp(epsilon) / (1 + math.exp(epsilon))
    bounds = [epsilon_at_least(400, 400, int(rng.binomial(400, q))) for _ in range(100)]
    too_high = np.mean([b > epsilon for b in bounds])
    assert too_high <= 0.05 + 5 * math.sqrt(0.05 * 0.95 / 100)
    assert np.median(bounds) > 1.0  # and it says something


def test_canaries_of_a_sound_training_stay_below_epsilon_and_say_something():
    epsilon = epsilon_of(NOISE, RATE, STEPS, DELTA, accountant="rdp")
    found = [audited(f.scores, f.there, delta=DELTA)["epsilon_at_least"] for f in (flock(seed=s) for s in range(2))]
    assert max(found) < epsilon
    assert max(found) > 0.1


def test_a_clip_that_does_not_hold_is_found_out(monkeypatch):
    epsilon = epsilon_of(NOISE, RATE, STEPS, DELTA, accountant="rdp")
    # every gradient as it is, however large
    monkeypatch.setattr(private, "clipped_sum", lambda found, clip: {n: g.sum(0) for n, g in found.items()})
    sung = flock()
    assert audited(sung.scores, sung.there, delta=DELTA)["epsilon_at_least"] > epsilon


def test_more_noise_hides_canaries_better():
    loud, soft = (audited(f.scores, f.there)["epsilon_at_least"] for f in (flock(0.7), flock(6.0)))
    assert loud > soft


def test_a_perch_draws_nothing():
    with pytest.raises(CombinationError):
        Perch(2, 1.0).simulate(1)


@pytest.mark.parametrize("given", [(10, 5, 6), (4, 5, 1), (10, 5, -1)])
def test_counts_that_cannot_be_are_refused(given):
    with pytest.raises(InputError):
        epsilon_at_least(*given)


def test_few_rows_are_refused():
    with pytest.raises(InputError, match="ten rows"):
        audited(np.zeros(3), np.zeros(3, bool))


# --- membership -----------------------------------------------------------------------------------------------------
def test_the_likelihood_ratio_beats_the_threshold_where_rows_differ_in_difficulty():
    rng = np.random.default_rng(1)
    n, shadows = 2000, 24
    hard = rng.normal(0, 5, n)
    there = rng.random((shadows, n)) < 0.5
    losses = hard + rng.normal(0, 0.5, (shadows, n)) - 1.0 * there
    mine = rng.random(n) < 0.5
    target = hard + rng.normal(0, 0.5, n) - 1.0 * mine
    ratio = likelihood_ratios(target, losses, there)
    by_ratio, by_loss = at_rates(ratio[mine], ratio[~mine]), at_rates(-target[mine], -target[~mine])
    assert by_loss["auroc"] < 0.6
    assert by_ratio["auroc"] > 0.85
    assert by_ratio["at_0.01"]["found"] > 3 * by_loss["at_0.01"]["found"]
    low, high = by_ratio["at_0.01"]["interval"]
    assert low <= by_ratio["at_0.01"]["found"] <= high


def test_a_ratio_of_rows_alike_everywhere_says_nothing():
    there = np.array([[True, False], [False, True], [True, False], [False, True]])
    found = likelihood_ratios(np.array([1.0, 1.0]), np.array([[1.0, 1.2], [1.2, 1.0], [1.2, 1.0], [1.0, 1.2]]), there)
    assert found == pytest.approx([0.0, 0.0], abs=1e-6)


def test_rows_that_no_shadow_had_are_refused():
    with pytest.raises(InputError, match="shadow"):
        likelihood_ratios(np.zeros(1), np.zeros((3, 1)), np.array([[True], [True], [False]]))
