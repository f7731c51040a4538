"""What a sampler is chosen by, and what it is made of: held-out codes, rows at random, the best weights on the way."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal

from senzai.core.batch import Batch
from senzai.distributions import NormalFamily, NormalFixedFamily
from senzai.distributions.numeric import positive_raw
from senzai.models import Flat
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.parts import Likelihood, MixtureOfNormals, Posterior, StandardNormal
from senzai.training import densities
from senzai.training.samplers import fit_samplers

SPREAD = 0.1


@pytest.fixture
def model():
    """q(z | x) = N(x, 0.1^2): the latents are the data."""
    family = NormalFamily()
    q = Posterior(MLPEncoder((2,), ()), family, 2)
    with torch.no_grad():
        q.head.weight.copy_(torch.cat([torch.eye(2), torch.zeros(2, 2)]))
        q.head.bias.copy_(torch.cat([torch.zeros(2), positive_raw(torch.full((2,), SPREAD), family.floor)]))
    return Flat(StandardNormal(2), q, Likelihood(MLPDecoder(2, (1, 2), ()), NormalFixedFamily(), (2,))).eval()


def test_samplers_are_judged_by_validation_rows(model):
    """Training rows far from the prior, validation rows from it: what was fitted is worse, and its number says so."""
    train, held = Batch(4 + 0.3 * torch.randn(600, 2)), Batch(torch.randn(300, 2))
    found = fit_samplers(model, train, held, sampler="mixture", seed=0)
    facts = found.candidates["mixture"]
    assert facts["gain"] < -5
    assert found.candidates["prior"]["log_density"] == pytest.approx(
        float(Normal(0.0, 1.0).log_prob(held.tensor).sum(-1).mean()) - SPREAD**2, abs=0.05
    )
    z = held.tensor.repeat(50, 1) + SPREAD * torch.randn(15_000, 2)
    assert facts["log_density"] == pytest.approx(found.fitted["mixture"]().log_prob(z).mean().item(), rel=0.05)


def test_the_number_of_components_is_not_chosen_by_the_codes_they_were_fitted_to():
    """Codes of one normal: more components always fit them better, and never others."""
    prior = densities.fitted("mixture", densities.PosteriorDraws(torch.randn(240, 3)), 0)
    assert prior.logits.numel() == 1


class Looked:
    """A loss that pushes a weight up by one step at a time, and likes a place on the way best."""

    def __init__(self, best):
        self.best, self.seen = best, []

    def __call__(self, prior, codes):
        at = prior.loc.sum()
        if prior.training:
            return -at + 0 * codes.z.sum(1)
        off = (at - self.best).abs()
        self.seen.append((off.item(), {k: v.clone() for k, v in prior.state_dict().items()}))
        return off + 0 * codes.z.sum(1)


@pytest.mark.parametrize(("best", "looks"), [(-100.0, 3), (6.0, 5), (100.0, 8)])
def test_a_fit_keeps_the_weights_that_held_out_codes_like_best(best, looks):
    prior, loss = MixtureOfNormals(1, n_components=1), Looked(best)
    torch.nn.init.zeros_(prior.loc)
    densities.descend(prior, loss, densities.PosteriorDraws(torch.zeros(60, 1)), seed=0, steps=40, lr=0.5)
    assert len(loss.seen) == looks, "two looks that bring nothing end it"
    _, liked = min(loss.seen, key=lambda s: s[0])
    assert all(torch.equal(v, liked[k]) for k, v in prior.state_dict().items())
    assert (liked is loss.seen[0][1], liked is loss.seen[-1][1]) == (best == -100, best == 100)


def test_codes_that_decide_are_not_fitted_to():
    codes = densities.PosteriorDraws(torch.arange(600.0).unsqueeze(1))
    fit, held = densities.halves(codes, 3)
    assert sorted(torch.cat([fit.z, held.z]).flatten().tolist()) == codes.z.flatten().tolist()
    assert (len(fit), len(held)) == (500, 100)
    assert float(held.z.mean()) == pytest.approx(300, abs=90), "at random, not one end"


def test_the_aggregate_of_sorted_rows_has_all_kinds(model, monkeypatch):
    centres = torch.tensor([[-8.0, 0.0], [-4.0, 0.0], [0.0, 0.0], [4.0, 0.0], [8.0, 0.0]])
    train = Batch(centres.repeat_interleave(400, 0) + 0.1 * torch.randn(2000, 2))  # sorted by kind
    prior = densities.aggregate(model, train, seed=5)
    assert len(prior.logits) == densities.AGGREGATE
    kinds = (prior.loc[:, 0] / 4 + 2).round().long().bincount(minlength=5) / densities.AGGREGATE
    assert bool(((kinds - 0.2).abs() < 0.06).all())
    again = densities.aggregate(model, train, seed=5)
    assert torch.equal(prior.loc, again.loc)
    few = Batch(train.tensor[::50])
    assert len(densities.aggregate(model, few).logits) == 40
