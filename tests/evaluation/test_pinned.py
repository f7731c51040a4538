"""Small things of judging, each pinned to its value: a change of any went unnoticed once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from senzai.core.batch import Batch
from senzai.distributions import MixedFamily
from senzai.evaluation import Case, quality
from senzai.evaluation.diagnosis import Facts, sampling
from senzai.evaluation.diagnosis.data_checks import gap_of


def test_numbers_are_cut_at_deciles():
    x = torch.arange(200.0).unsqueeze(1)
    bins, made = quality.binned(x, x.flip(0), MixedFamily(sorts=("normal",), sizes=(0,), cuts=()), np.array([0]))
    assert np.bincount(bins[:, 0]).tolist() == [20] * 10
    assert np.array_equal(made, bins[::-1])


@pytest.mark.parametrize(("spread", "gap", "beyond"), [(0.25, 2.0, True), (4.0, 0.125, False)])
def test_a_gap_is_counted_in_deviations_of_the_bound(spread, gap, beyond):
    se = 0.5 / (5 if beyond else 3)
    found = gap_of(Facts(generalisation=0.5, generalisation_se=se, spread=spread))
    assert found == (pytest.approx(gap), beyond)


def test_the_distance_of_samples_has_an_error_from_four_rows_on(made):
    x = (torch.rand(4, 6) < 0.4).float()
    found = sampling.compared(Case(made(), Batch(x)))
    assert found["samples_frechet_se"] > 0
