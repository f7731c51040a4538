"""Flow matching beside the bound: who moves what, and towards what."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import kl_divergence

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import Noise, using
from senzai.distributions import NormalFamily
from senzai.models import Flat
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.objectives import ELBO, LatentMatching
from senzai.parts import FlowMatchingPrior, Likelihood, Posterior, StandardNormal


def model(prior):
    q = Posterior(MLPEncoder((4,), (8,)), NormalFamily(), 2)
    return Flat(prior, q, Likelihood(MLPDecoder(2, (2, 4), (8,)), NormalFamily(), (4,)))


def shaken():
    prior = FlowMatchingPrior(2, hidden=(8,))
    with torch.no_grad():
        for p in prior.parameters():
            p.add_(0.5 * torch.randn_like(p))
    return prior


def test_the_autoencoder_minimises_the_bound_under_a_standard_normal():
    own, batch = model(shaken()), Batch(torch.randn(6, 4))
    plain = Flat(StandardNormal(2), own.posterior, own.likelihood)
    with using(Noise.seeded(0)):
        found = LatentMatching(beta=2.0)(own, batch, 0)
    with using(Noise.seeded(0)):
        expected = ELBO(beta=2.0)(plain, batch, 0)
    torch.testing.assert_close(found.loss, expected.loss)
    torch.testing.assert_close(found.watch["rate"], kl_divergence(own.posterior(batch), plain.prior()))


def test_the_prior_minimises_its_matching_loss_at_codes_without_gradient():
    own, batch = model(shaken()), Batch(torch.randn(6, 4))
    first, second = LatentMatching().players(own)
    assert {id(p) for p in second.parameters} == {id(p) for p in own.prior.parameters()}
    assert {id(p) for p in first.parameters} == {id(p) for m in (own.posterior, own.likelihood) for p in m.parameters()}
    with using(Noise.seeded(0)):
        terms = second.loss(own, batch, 0)
    with using(Noise.seeded(0)), torch.no_grad():
        z = own.infer(batch, 1).groups[0].z
        expected = own.prior.matching_loss(z)[0]
    torch.testing.assert_close(terms.loss, expected)
    terms.loss.sum().backward()
    assert all(p.grad is not None for p in second.parameters)
    assert all(p.grad is None for p in first.parameters)


def test_another_prior_is_refused():
    with pytest.raises(CombinationError, match="prior=flow_matching"):
        LatentMatching().check(model(StandardNormal(2)))
    with pytest.raises(SettingError):
        LatentMatching(beta=-1)
