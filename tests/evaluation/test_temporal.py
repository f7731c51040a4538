"""Measures of rows along time: closed forms, the definitions written out again, and known winners."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from senzai.core.errors import InputError
from senzai.evaluation.detection import average_precision
from senzai.evaluation.forecasts import covered, crps, seasonal_naive, spread_factors
from senzai.evaluation.ranges import range_average_precision, segments, sloped, volume_under_pr
from senzai.evaluation.temporal import (
    JudgeSettings,
    autocorrelation,
    autocorrelation_distance,
    discriminative_score,
    predictive_score,
    spectrum,
    spectrum_distance,
)


def autoregressive(phi, n=4000, steps=12, seed=0):
    rng = np.random.default_rng(seed)
    x = np.empty((n, steps, 1))
    x[:, 0, 0] = rng.normal(size=n) / np.sqrt(1 - phi**2)
    for t in range(1, steps):
        x[:, t, 0] = phi * x[:, t - 1, 0] + rng.normal(size=n)
    return x


@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.8])
def test_the_autocorrelation_of_an_autoregressive_process_is_its_power(phi):
    found = autocorrelation(autoregressive(phi), 4)[:, 0]
    assert np.abs(found - phi ** np.arange(5)).max() < 5 / np.sqrt(4000 * 8)


def test_the_spectrum_is_that_of_the_waves_within_a_window():
    t = np.arange(16)
    waves = 3 * np.cos(2 * np.pi * 2 * t / 16) + 4 * np.sin(2 * np.pi * 5 * t / 16) + 100
    share = spectrum(waves[None, :, None])[:, 0]
    assert share[[1, 4]] == pytest.approx([9 / 25, 16 / 25])
    assert share.sum() == pytest.approx(1)
    white = spectrum(np.random.default_rng(0).normal(size=(20000, 16, 1)))[:, 0]
    assert white[:-1] == pytest.approx([2 / 15] * 7, rel=0.05)
    assert white[-1] == pytest.approx(1 / 15, rel=0.05)  # half a frequency


def test_distances_are_zero_for_the_same_and_grow():
    a, b, c = (autoregressive(p, n=500, seed=s) for p, s in ((0.5, 0), (0.6, 1), (0.9, 2)))
    for distance in (lambda x, y: autocorrelation_distance(x, y, 4), spectrum_distance):
        assert distance(a, a) == 0
        assert distance(a, b) < distance(a, c)


def test_what_is_missing_counts_nothing():
    x = autoregressive(0.7, n=3000)
    holed = np.where(np.random.default_rng(0).random(x.shape) < 0.3, np.nan, x)
    assert np.abs(autocorrelation(holed, 3) - autocorrelation(x, 3)).max() < 0.05
    with pytest.raises(InputError, match="within a window"):
        autocorrelation(x, 12)


# --- judge and pupil --------------------------------------------------------------------------------------------------
COURSE = JudgeSettings(steps=150, width=4, lr=2e-2)


def test_a_judge_cannot_tell_windows_from_windows_but_from_noise():
    x = torch.from_numpy(autoregressive(0.95, n=600)).float().repeat(1, 1, 2)
    x = torch.sigmoid(x)
    same = discriminative_score(x[:300], x[300:], COURSE)
    noise = discriminative_score(x[:300], x[300:].flatten()[torch.randperm(7200)].view(300, 12, 2), COURSE)
    assert same.value < 5 * 0.5 / np.sqrt(120)
    assert noise.value > 0.3
    assert same.n == 120


def test_the_score_is_the_distance_of_the_accuracy_from_chance():
    x = torch.from_numpy(autoregressive(0.5, n=200)).float()
    found = discriminative_score(x, x + 100, COURSE)
    assert found.value == pytest.approx(0.5)
    assert (found.details["accuracy_real"], found.details["accuracy_made"]) == (1.0, 1.0)


def test_a_pupil_of_noise_predicts_worse_than_one_of_windows():
    x = torch.sigmoid(torch.from_numpy(autoregressive(0.95, n=400)).float())
    shuffled = x.flatten()[torch.randperm(x.numel())].view_as(x)
    good, bad = predictive_score(x, x, COURSE), predictive_score(x, shuffled, COURSE)
    assert good.value == good.details["learned_from_data"] < 0.8 * bad.value


def test_scores_follow_from_the_seed_and_ask_for_windows():
    x = torch.rand(40, 5, 2)
    quick = JudgeSettings(steps=5, seed=3)
    assert discriminative_score(x, x, quick) == discriminative_score(x, x, quick)
    with pytest.raises(InputError, match="ten at least"):
        predictive_score(x[:5], x, quick)


# --- anomalies that last ----------------------------------------------------------------------------------------------
def written_out(scores, labels, buffer):
    """The definition, threshold by threshold and step by step (every distinct score is a threshold)."""
    height, hits = sloped(labels, buffer), int(labels.sum())
    whole, area, before = segments((height > 0).astype(int)), 0.0, 0.0
    for threshold in np.unique(scores)[::-1]:
        taken = [i for i in range(len(scores)) if scores[i] >= threshold]
        tp = sum(height[i] for i in taken)
        there = sum(any(a <= i <= b for i in taken) for a, b in whole) / len(whole)
        p = (hits + hits + sum(height[i] for i in taken if labels[i] == 0)) / 2
        recall = min(tp / p, 1) * there
        area += (recall - before) * tp / len(taken)
        before = recall
    return area


@pytest.mark.parametrize("buffer", [0, 2, 5, 8])
def test_the_area_for_a_buffer_is_its_definition(buffer):
    rng = np.random.default_rng(buffer)
    labels = np.zeros(60, dtype=int)
    labels[[10, 11, 12, 30, 31, 50]] = 1
    scores = rng.normal(size=60).round(1) + labels  # with ties
    assert range_average_precision(scores, labels, buffer) == pytest.approx(written_out(scores, labels, buffer))


def test_without_a_buffer_one_anomaly_has_the_average_precision():
    rng = np.random.default_rng(0)
    labels = np.zeros(80, dtype=int)
    labels[40:50] = 1
    scores = rng.normal(size=80) + labels
    assert range_average_precision(scores, labels, 0) == pytest.approx(average_precision(scores, labels))


def test_slopes_are_half_a_buffer_on_either_side():
    assert sloped(np.array([0, 0, 0, 1, 0, 0, 0]), 4).tolist() == pytest.approx(
        [0, 0.5**0.5, 0.75**0.5, 1, 0.75**0.5, 0.5**0.5, 0])


def test_a_near_miss_counts_more_with_a_buffer_and_nothing_is_adjusted():
    labels = np.zeros(100, dtype=int)
    labels[50:60] = 1
    near, far = np.zeros(100), np.zeros(100)
    near[48], far[20] = 1.0, 1.0
    assert volume_under_pr(near, labels, 10) > volume_under_pr(far, labels, 10)
    one = np.where(np.arange(100) == 55, 1.0, -np.arange(100.0))  # one step of ten is found, the rest comes last
    assert range_average_precision(one, labels, 0) < 0.3
    assert volume_under_pr(labels.astype(float), labels, 0) == 1.0


def test_scores_without_anomalies_are_refused():
    for labels in (np.zeros(5, dtype=int), np.ones(5, dtype=int)):
        with pytest.raises(InputError, match="some are anomalies and some are not"):
            volume_under_pr(np.arange(5.0), labels)


# --- forecasts --------------------------------------------------------------------------------------------------------
def test_the_ranked_probability_score_of_a_normal_is_its_closed_form():
    rng = np.random.default_rng(0)
    seen = np.array([-1.0, 0.0, 2.0])
    found = crps(rng.normal(size=(40000, 3)), seen)
    closed = seen * (2 * norm.cdf(seen) - 1) + 2 * norm.pdf(seen) - 1 / np.sqrt(np.pi)
    assert np.abs(found - closed).max() < 5 / np.sqrt(40000)


def test_the_score_of_draws_is_unbiased_and_that_of_one_is_the_error():
    rng = np.random.default_rng(1)
    few = crps(rng.normal(size=(3, 50000)), np.zeros(50000))
    assert few.mean() == pytest.approx(2 * norm.pdf(0) - 1 / np.sqrt(np.pi), abs=5 * few.std() / np.sqrt(50000))
    assert crps(np.array([[3.0]]), np.array([1.0])).tolist() == [2.0]


def test_the_naive_forecast_repeats_the_last_season():
    past = np.arange(10.0).reshape(1, 10, 1)
    assert seasonal_naive(past, 5, 3).ravel().tolist() == [7, 8, 9, 7, 8]
    assert seasonal_naive(past, 3, 1).ravel().tolist() == [9, 9, 9]
    assert seasonal_naive(past, 2, 99).ravel().tolist() == [9, 9]
    past[0, [7, 9]] = np.nan
    assert seasonal_naive(past, 3, 3).ravel().tolist() == [8, 8, 8]
    assert seasonal_naive(np.full((1, 4, 1), np.nan), 2, 1).ravel().tolist() == [0, 0]  # nothing was ever seen


def test_coverage_counts_what_came():
    seen = np.array([0.0, 1.0, np.nan, 3.0])
    assert covered(np.zeros(4), np.ones(4), seen) == pytest.approx(2 / 3)


def test_draws_are_spread_until_intervals_hold_what_they_should():
    """Skewed draws that are too narrow by the factors 4 and 1 on both sides of the median."""
    r = np.random.default_rng(0)

    def skewed(*shape):
        x = r.normal(size=shape)
        return np.where(x > 0, 3 * x, x)

    draws, seen = skewed(4000, 1, 1, 2), skewed(40, 60, 2) * [4.0, 1.0]
    seen[0, :5] = np.nan
    draws = np.broadcast_to(draws, (4000, 40, 60, 2))
    found = spread_factors(draws, seen, 0.9)
    np.testing.assert_allclose(found, [4.0, 1.0], rtol=0.1)
    middle = np.median(draws, 0)
    low, high = np.quantile(middle + found * (draws - middle), [0.05, 0.95], axis=0)
    assert covered(low, high, seen) == pytest.approx(0.9, abs=0.01)
    assert spread_factors(draws[:, :1, :19], seen[1:2, :19], 0.9).tolist() == [1.0, 1.0]  # 19 numbers say too little
