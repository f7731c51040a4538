"""Models with several groups of latents: the rates of all of them are paid."""

from __future__ import annotations

from dataclasses import replace

import torch

from senzai.models import Group
from senzai.models.base import LatentModel
from senzai.objectives import ELBO


class TwoGroups(LatentModel):
    """The latents of a flat model twice, the second time with another prior."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def infer(self, batch, n_samples=1, *, seen=None, z=None):
        found = self.inner.infer(batch, n_samples)
        (g,) = found.groups
        wide = torch.distributions.Independent(torch.distributions.Normal(torch.zeros(3).double(), 3.0), 1)
        return replace(found, groups=(Group("a", g.z, g.q, g.p), Group("b", g.z, g.q, wide)))

    generate = sample_prior = encoder_parameters = None


def test_the_rates_of_all_groups_are_paid(model_of, batch, terms):
    model = TwoGroups(model_of())
    a, b = (g.closed for g in model.infer(batch).groups)
    found = terms(ELBO(beta=2.0), model, batch)
    torch.testing.assert_close(found.watch["rate"], a + b)
    torch.testing.assert_close(found.loss, found.watch["distortion"] + 2 * (a + b))


def test_free_bits_hold_in_every_group(model_of, batch, terms):
    model = TwoGroups(model_of())
    each = [g.rate_per_dimension().detach() for g in model.infer(batch).groups]
    floor = float(torch.cat(each).median())
    expected = sum(r.clamp_min(floor).sum(-1) for r in each)
    torch.testing.assert_close(terms(ELBO(free_bits=floor), model, batch).parts["rate"], expected)
