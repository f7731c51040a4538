"""What codes tell of numbers: against scikit-learn, and where there is nothing to tell."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from senzai.core.errors import InputError
from senzai.evaluation.numbers import explained


def test_a_linear_number_is_told_exactly_and_noise_not_at_all():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(600, 4))
    assert explained(z, z @ [1.0, -2.0, 0.0, 0.5] + 3).value > 0.9999
    assert explained(z, rng.normal(size=600)).value < 0.1


def test_it_is_r2_of_the_half_that_was_not_fitted():
    rng = np.random.default_rng(1)
    z, noise = rng.normal(size=(1000, 100)), rng.normal(size=1000)
    y = z[:, 0] + noise
    order = np.random.default_rng(0).permutation(1000)
    fit, judge = order[:500], order[500:]
    expected = r2_score(y[judge], LinearRegression().fit(z[fit], y[fit]).predict(z[judge]))
    found = explained(z, y)
    assert found.value == pytest.approx(expected, abs=0.03)
    assert found.n == 500
    assert 0 < found.se < 0.1


def test_too_few_rows_and_equal_numbers_are_refused():
    with pytest.raises(InputError, match="R² needs"):
        explained(np.zeros((4, 2)), np.arange(4.0))
    with pytest.raises(InputError, match="R² needs"):
        explained(np.random.default_rng(0).normal(size=(40, 2)), np.ones(40))
