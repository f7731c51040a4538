"""Small things of families, each pinned to its value: a change of any went unnoticed once."""

from __future__ import annotations

import math

import pytest
import torch

from senzai.core.spec import make
from senzai.distributions import point


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
