"""Every estimator passes scikit-learn's own examination, with no expected failures."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from senzai.estimators import VAEDensity, VAEDetector, VAEImputer, VAEResampler, VAESynthesizer, VAETransformer

SMALL = {"steps": 8, "n_latent": 2, "settings": {"hidden": [8], "log_every": 1000}}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([
    VAETransformer(**SMALL),
    VAEDensity(k=5, **SMALL),
    VAEDetector(k=3, **SMALL),
    VAEImputer(k=5, **SMALL),
    VAESynthesizer(**SMALL),
    VAEResampler(**SMALL),
])
def test_the_examination_of_scikit_learn(estimator, check):
    check(estimator)
