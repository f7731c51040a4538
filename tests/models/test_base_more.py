"""Draws with weights of their own: every mean over draws heeds them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from senzai.models.base import LatentModel
from senzai.objectives import ELBO


class Weighted(LatentModel):
    """A model whose draws have the weights that are given, as one that enumerates classes would."""

    def __init__(self, inner, log_mix):
        super().__init__()
        self.inner, self.log_mix = inner, log_mix

    def infer(self, batch, n_samples=1, *, seen=None, z=None):
        return replace(self.inner.infer(batch, n_samples, seen=seen, z=z), log_mix=self.log_mix)

    generate = sample_prior = encoder_parameters = None


@pytest.fixture(params=[1, 5], ids=["one for all rows", "one for each row"])
def weight(request):
    return torch.rand(3, request.param).double().log_softmax(0)


def test_means_and_bounds_heed_the_weights_of_the_draws(flat_of, batch, weight):
    found = Weighted(flat_of(), weight).infer(batch, 3)
    mean = sum(weight[k].exp() * found.log_lik[k] for k in range(3))
    torch.testing.assert_close(found.average(found.log_lik), mean)
    torch.testing.assert_close(found.bound(), sum(weight[k].exp() * found.log_w[k].exp() for k in range(3)).log())
    torch.testing.assert_close(found.average(found.groups[0].rate()), found.groups[0].closed)  # one for all draws


@pytest.mark.parametrize("prior", ["standard", "mixture"])
def test_the_objective_heeds_them_too(flat_of, batch, weight, with_noise, prior):
    model = Weighted(flat_of(prior), weight)
    terms = with_noise(ELBO(n_samples=3), model, batch, 0)
    found = with_noise(model.infer, batch, 3)
    rate = found.groups[0].rate().expand(3, 5)
    expected = (weight.exp() * (rate - found.log_lik)).sum(0)
    torch.testing.assert_close(terms.loss, expected)
