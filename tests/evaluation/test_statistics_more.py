"""Standard errors against repetition, and means over draws that have weights of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from senzai.evaluation import elbo, mean_se, ratio_of_means
from senzai.models.base import LatentModel


def test_the_error_of_a_mean_is_what_repetition_shows():
    x = 3.0 * torch.randn(4000, 25).double() + 7
    assert float(x.mean(1).std()) == pytest.approx(sum(mean_se(row) for row in x) / 4000, rel=0.05)


@pytest.mark.parametrize("slope", [0.0, 2.0])
def test_the_error_of_a_ratio_is_what_repetition_shows(slope):
    """Numerators that follow their denominators, as nats follow the number of entries, tell much more than others."""
    bottom = torch.randint(1, 9, (4000, 60)).double()
    top = slope * bottom + torch.randn(4000, 60).double() + 5
    found = [ratio_of_means(a, b) for a, b in zip(top, bottom, strict=True)]
    ratios, errors = torch.tensor(found).T
    assert float(ratios.mean()) == pytest.approx(slope + 5 / 4.5, rel=0.02)
    assert float(ratios.std()) == pytest.approx(float(errors.mean()), rel=0.06)


class Weighted(LatentModel):
    """A model whose three draws have the weights that are given."""

    def __init__(self, inner, log_mix):
        super().__init__()
        self.inner, self.log_mix = inner, log_mix

    def infer(self, batch, n_samples=1, *, seen=None, z=None):
        return replace(self.inner.infer(batch, n_samples, seen=seen, z=z), log_mix=self.log_mix)

    generate = sample_prior = encoder_parameters = None


def test_weights_of_the_draws_reach_every_part_of_the_bound(made, binary):
    weight = torch.tensor([0.05, 0.25, 0.7]).double()
    model = made().double()
    batch = binary.map(lambda t: t.double())
    plain, found = (elbo(m, batch, n_samples=3) for m in (model, Weighted(model, weight.log().unsqueeze(1))))
    assert not torch.allclose(found.distortion, plain.distortion)
    assert found.means["distortion"] == pytest.approx(float(found.distortion_per_feature.sum()), rel=1e-9)
    torch.testing.assert_close(found.rate, plain.rate)  # closed: one number for all draws
