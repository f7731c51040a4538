"""Small things of families, each pinned to its value: a change of any went unnoticed once."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import stats

from senzai.core.random import Noise
from senzai.core.spec import from_spec, make, registry, to_spec
from senzai.distributions import point
from senzai.distributions.gamma_poisson import poisson_variate


@pytest.mark.parametrize("curvature", [1.0, 4.0])
def test_centres_stay_within_six_radii_of_curvature(curvature):
    """Far out a raw centre tends to distance 6 / sqrt(curvature); a small one is where it says."""
    family = make("family/wrapped_normal", curvature=curvature)
    most = 6 / math.sqrt(curvature)
    for size, far in ((1e9, most), (most, most / 2), (1e-6, 1e-6)):
        raw = torch.zeros(1, 4, dtype=torch.float64)
        raw[0, 0] = size
        centre = point(family.distribution(raw, (2,)))
        distance = 2 * torch.atanh(math.sqrt(curvature) * centre.norm()) / math.sqrt(curvature)
        assert float(distance) == pytest.approx(far, rel=1e-5)


def test_steps_on_the_sphere_go_from_pole_to_pole():
    assert make("family/von_mises_fisher").space((3,)).steps(3) == pytest.approx((-0.95, 0, 0.95), abs=1e-6)


@pytest.mark.parametrize("mean", [10.0, 14.5, 40.0])
def test_large_poisson_draws_follow_their_probabilities(mean):
    n = 400_000
    drawn = poisson_variate(torch.full((n,), mean, dtype=torch.float64), Noise.seeded(0), 0).numpy()
    low, high = stats.poisson(mean).ppf([1e-4, 1 - 1e-4]).astype(int)
    counts = np.bincount(np.clip(drawn, low, high).astype(int), minlength=high + 1)[low:]
    shares = stats.poisson(mean).pmf(np.arange(low, high + 1))
    shares[0], shares[-1] = stats.poisson(mean).cdf(low), stats.poisson(mean).sf(high - 1)
    assert stats.chisquare(counts, n * shares).pvalue > 1e-4


def test_settings_of_families_stay_as_they_were_made():
    families = [cls for cls in registry("family").values() if cls.__module__.startswith("senzai.")]
    made = [cls() for cls in families if not any(f.default is dataclasses.MISSING for f in dataclasses.fields(cls))]
    assert len(made) > 20
    for family in made:
        assert from_spec(to_spec(family)) == family
        with pytest.raises(dataclasses.FrozenInstanceError):
            family.floor = 2.0


def test_steps_of_a_normal_latent_go_three_deviations_each_way():
    assert make("family/normal").space((2,)).steps(3) == (-3, 0, 3)
