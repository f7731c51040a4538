"""Objectives with an adversary: whose gradient goes where, what a critic at its best says, when it plays."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch.distributions import MultivariateNormal
from torch.nn import functional as F

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import Noise, using
from senzai.distributions import BernoulliFamily, CategoricalFamily, NormalFamily
from senzai.distributions.ops import expected
from senzai.models import Flat
from senzai.nn import ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder
from senzai.nn.critics import RowCritic
from senzai.objectives import ELBO, VAEGAN, AdversarialCodes, Aggressive, Factor, Sharpened
from senzai.objectives.code_critics import permuted, telling_apart
from senzai.parts import Likelihood, PixelCNN, Posterior, StandardNormal

SMALL = {"critic_width": 8, "critic_depth": 2}
CODES = [Factor(**SMALL), AdversarialCodes(**SMALL)]
ROWS = [VAEGAN(**SMALL), VAEGAN(**SMALL, distortion_weight=0.5)]


@pytest.fixture
def equipped(model_of):
    def make(objective):
        model = model_of()
        objective.check(model)
        objective.equip(model)
        return model.double()

    return make


@pytest.fixture
def images():
    """A model of small images and two rows."""
    posterior = Posterior(ConvEncoder((1, 9, 8), width=4, n_features=8), NormalFamily(), 2)
    likelihood = Likelihood(ConvDecoder(2, (2, 1, 9, 8), width=4), NormalFamily(), (1, 9, 8))
    model = Flat(StandardNormal(2), posterior, likelihood)
    model.initialise(Batch(3 + 2 * torch.randn(20, 1, 9, 8)))
    return model.double(), Batch(3 + 2 * torch.randn(4, 1, 9, 8).double())


def touched(module):
    return any(p.grad is not None and bool((p.grad != 0).any()) for p in module.parameters())


# --- who moves whom -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("objective", [*CODES, *ROWS])
def test_the_critics_step_reaches_nothing_but_the_critic(equipped, batch, objective, terms):
    model = equipped(objective)
    critic = objective.players(model)[-1]
    assert critic.name == "critic"
    assert {id(p) for p in critic.parameters} == {id(p) for p in model.aux.parameters()}
    terms(critic.loss, model, batch).loss.sum().backward()
    assert touched(model.aux["critic"])
    assert not touched(model.posterior)
    assert not touched(model.likelihood)


@pytest.mark.parametrize("objective", [*CODES, *ROWS])
def test_no_parameter_belongs_to_two_players(equipped, objective):
    model = equipped(objective)
    owners = [id(p) for player in objective.players(model) for p in player.parameters]
    assert sorted(owners) == sorted(id(p) for p in model.parameters())


@pytest.mark.parametrize("objective", CODES)
def test_the_encoder_feels_the_critic(equipped, batch, objective, terms):
    model = equipped(objective)
    found = terms(objective, model, batch)
    (name,) = set(found.parts) - {"distortion", "rate"}
    found.parts[name].sum().backward()
    assert touched(model.posterior)
    assert not touched(model.likelihood)
    torch.testing.assert_close(sum(found.parts.values()), found.loss)


@pytest.mark.parametrize("objective", [*CODES, *ROWS])
def test_without_a_critic_it_says_what_is_missing(model_of, batch, objective, terms):
    with pytest.raises(CombinationError, match="equip"):
        terms(objective, model_of(), batch)


# --- codes ----------------------------------------------------------------------------------------------------------
def test_permuting_keeps_every_dimension_and_breaks_their_ties():
    z = torch.arange(500.0).unsqueeze(1) * torch.tensor([1.0, 1.0, -1.0])
    with using(Noise.seeded(1)):
        p = permuted(z)
    assert torch.equal(p.sort(0).values, z.sort(0).values)
    correlation = torch.corrcoef(p.T)
    assert (correlation[~torch.eye(3, dtype=torch.bool)].abs() < 5 / 500**0.5).all()


def test_a_trained_critic_knows_the_total_correlation_of_a_normal(model_of):
    """Quadratic features contain the exact log-odds between a correlated normal and its permuted codes."""
    S = torch.tensor([[1.0, 0.7], [0.7, 1.0]]).double()
    exact = -0.5 * log(1 - 0.7**2)
    weight = torch.zeros(6, dtype=torch.double, requires_grad=True)

    def odds(z):
        a, b = z.unbind(-1)
        return torch.stack([torch.ones_like(a), a, b, a * a, b * b, a * b], -1) @ weight

    z = MultivariateNormal(torch.zeros(2).double(), S).sample((20_000,))
    optimiser = torch.optim.LBFGS([weight], max_iter=50)

    def closure():
        optimiser.zero_grad()
        with using(Noise.seeded(1)):
            loss = telling_apart(odds, z, permuted(z)).loss.mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    assert float(odds(z).mean().detach()) == pytest.approx(exact, abs=0.03)


def test_the_weighted_log_odds_are_the_term(equipped, batch, terms):
    objective = Factor(**SMALL, tc_weight=3.0)
    model = equipped(objective)
    with using(Noise.seeded(1)):
        z = model.infer(batch).groups[0].z[0]
    found = terms(objective, model, batch)
    torch.testing.assert_close(found.parts["total_correlation"], 3 * model.aux["critic"](z))
    torch.testing.assert_close(found.loss - found.parts["total_correlation"], terms(ELBO(), model, batch).loss)


def test_codes_taken_for_the_prior_cost_little(equipped, batch, terms):
    objective = AdversarialCodes(**SMALL, match_weight=2.0)
    model = equipped(objective)
    for odds in (-30.0, 0.0, 30.0):
        model.aux["critic"].forward = lambda z, odds=odds: torch.full(z.shape[:-1], odds).to(z)
        found = terms(objective, model, batch)
        torch.testing.assert_close(found.parts["match"], 2 * F.softplus(torch.full((6,), -odds).double()))
        assert (found.parts["rate"] == 0).all()


def test_the_critic_calls_the_prior_yes_and_codes_no(equipped, batch):
    objective = AdversarialCodes(**SMALL)
    model = equipped(objective)
    with torch.no_grad():
        model.posterior.head.bias[:3] = 50.0  # codes far from the prior
    model.aux["critic"].forward = lambda z: 25 - z.sum(-1)
    with using(Noise.seeded(1)):
        loss = objective.players(model)[1].loss(model, batch, 0).loss
    assert (loss < 1e-3).all()


def test_factor_mixes_rows_in_the_critic_only(equipped):
    objective = Factor(**SMALL)
    model = equipped(objective)
    assert [p.mixes_rows for p in objective.players(model)] == [False, True]
    assert objective.mixes_rows(model)
    assert not AdversarialCodes(**SMALL).mixes_rows(model)


# --- rows -----------------------------------------------------------------------------------------------------------
def test_the_terms_of_all_three_players_by_hand(equipped, batch, terms):
    objective = VAEGAN(**SMALL, beta=0.5, feature_weight=3.0, distortion_weight=0.2)
    model = equipped(objective)
    encoder, decoder, _ = objective.players(model)
    with using(Noise.seeded(1)):
        seen = model.infer(batch)
    fake, critic = expected(seen.likelihood)[0], model.aux["critic"]
    features = 0.5 * (critic(batch.tensor)[1] - critic(fake)[1]).square().sum(-1)
    distortion, rate = -seen.log_lik[0], seen.groups[0].rate()[0]
    found = terms(encoder.loss, model, batch)
    torch.testing.assert_close(found.loss, features + 0.2 * distortion + 0.5 * rate)
    torch.testing.assert_close(found.watch, {"distortion": distortion.detach(), "rate": rate.detach()})
    found = terms(decoder.loss, model, batch)
    torch.testing.assert_close(found.parts["features"], 3 * features)
    fooling = F.softplus(-critic(fake)[0].mean(-1))
    assert (found.parts["fooling"] > fooling).all()  # and imagined rows
    assert not {id(p) for p in encoder.parameters} & {id(p) for p in decoder.parameters}


def test_what_was_not_observed_does_not_count(equipped, batch, terms):
    objective = VAEGAN(**SMALL)
    model = equipped(objective)
    mask = torch.rand(6, 4) < 0.6
    losses = []
    for hole in (0.0, float("nan")):
        x = torch.where(mask, batch.tensor, torch.full((), hole).double())
        losses.append([terms(p.loss, model, Batch(x, mask=mask)).loss for p in objective.players(model)])
    torch.testing.assert_close(losses[0], losses[1])
    assert all(torch.isfinite(v).all() for v in losses[1])


def test_before_its_start_the_critic_neither_plays_nor_counts(images, terms):
    model, batch = images
    objective = Sharpened(**SMALL, start=0.5).over(20)
    assert objective.start == 10
    assert objective.settled_after == 10
    objective.check(model)
    objective.equip(model)
    model.double()
    first, critic = objective.players(model)
    assert [critic.plays_at(s) for s in (0, 9, 10, 99)] == [False, False, True, True]
    assert all(first.plays_at(s) for s in (0, 9, 10))
    torch.testing.assert_close(terms(objective, model, batch, 9).loss, terms(ELBO(), model, batch).loss)
    found = terms(objective, model, batch, 10)
    assert (found.parts["sharp"] != 0).all()
    assert not objective.comparable
    with pytest.raises(SettingError, match="length"):
        Sharpened(**SMALL, start=0.5)(model, batch, 0)


def test_the_critic_pulls_as_hard_as_it_may(images, terms):
    """At each row's own raw numbers, as a share of the pull of the data; with a gradient or without."""
    model, batch = images
    objective = Sharpened(**SMALL, start=0, sharp_weight=0.3)
    objective.equip(model)
    model.double()
    found = terms(objective, model, batch)
    raws, told = [], type(model.likelihood).raw

    def spied(self, z, c=None):
        raws.append(told(self, z, c))
        return raws[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model.likelihood), "raw", spied)
        terms_with_graph = terms(objective, model, batch)
    raw = next(r for r in raws if r.grad_fn is not None)
    for part, share in (("distortion", 1.0), ("sharp", 0.3)):
        (slope,) = torch.autograd.grad(terms_with_graph.parts[part].sum(), raw, retain_graph=True)
        size = slope[0].flatten(1).norm(dim=-1)
        if part == "distortion":
            data = size
        torch.testing.assert_close(size / data, torch.full_like(size, share), rtol=0.02, atol=0)
    with torch.no_grad():
        torch.testing.assert_close(terms(objective, model, batch).loss, found.loss.detach())


def test_a_patch_critic_needs_a_decoder_of_whole_rows(images):
    likelihood = PixelCNN(ConvDecoder(2, (3, 1, 9, 8), width=4), BernoulliFamily(), (1, 9, 8), width=4)
    with pytest.raises(CombinationError, match="entry by entry"):
        Sharpened().check(Flat(StandardNormal(2), images[0].posterior, likelihood))


def test_the_hinge_and_the_slope_by_hand(images, terms):
    model, batch = images
    objective = Sharpened(**SMALL, start=0, r1=3.0)
    objective.equip(model)
    model.double()
    critic = model.aux["critic"]
    found = terms(objective.players(model)[1].loss, model, batch)
    u = ((batch.tensor - critic.shift) / critic.scale).requires_grad_()
    assert abs(float(u.mean().detach())) < 0.5  # the encoder's units
    torch.testing.assert_close(found.parts["yes"], F.relu(1 - critic.judge(u)[0]).mean(-1))
    for i in range(4):
        (slope,) = torch.autograd.grad(critic.judge(u)[0][i].mean(), u)
        torch.testing.assert_close(found.parts["slope"][i], 1.5 * slope[i].square().sum())
        assert (slope[[j for j in range(4) if j != i]] == 0).all()
    found.parts["slope"].sum().backward()
    assert touched(critic)
    assert not touched(model.posterior)


def test_slopes_that_are_looked_at_now_and_then_count_as_often(images):
    model, batch = images
    always, lazy = (Sharpened(**SMALL, start=0, r1=3.0, r1_every=n) for n in (1, 4))
    always.equip(model)
    model.double()

    def slope(objective, step):
        with using(Noise.seeded(0)):
            return objective.critic_loss(model, batch, step).parts["slope"]

    each = [slope(lazy, step) for step in range(8)]
    assert [bool((one > 0).all()) for one in each] == [True, False, False, False] * 2
    assert all((one == 0).all() for i, one in enumerate(each) if i % 4)
    torch.testing.assert_close(sum(each[:4]) / 4, slope(always, 0))


def test_a_patch_sees_a_patch():
    critic = RowCritic((1, 32, 32), torch.zeros(()), torch.ones(()), width=4, depth=2)
    x = torch.zeros(1, 1, 32, 32, requires_grad=True)
    scores = critic(x)[0]
    assert scores.shape == (1, 64)
    (g,) = torch.autograd.grad(scores[0, 0], x)
    assert (g[0, 0, 8:] == 0).all()
    assert (g != 0).any()


# --- aggressive -----------------------------------------------------------------------------------------------------
def test_the_decoder_sits_out_all_but_every_few_steps_at_first(model_of, batch, terms):
    model = model_of()
    objective = Aggressive(inner=3, until=0.5).over(12)
    encoder, decoder = objective.players(model)
    assert [s for s in range(10) if decoder.plays_at(s)] == [2, 5, 6, 7, 8, 9]
    assert all(encoder.plays_at(s) for s in range(10))
    assert {id(p) for p in encoder.parameters} == {id(p) for p in model.posterior.parameters()}
    assert {id(p) for p in decoder.parameters} == {id(p) for p in model.likelihood.parameters()}
    torch.testing.assert_close(terms(objective, model, batch).loss, terms(ELBO(), model, batch).loss)
    assert objective.settled_after == 6
    with pytest.raises(SettingError, match="length"):
        Aggressive(until=0.5).decoder_plays(0)


# --- what cannot work -----------------------------------------------------------------------------------------------
def test_a_patch_critic_needs_images(model_of):
    with pytest.raises(CombinationError, match="images"):
        Sharpened().check(model_of())


def test_categories_have_no_mean_to_look_at():
    family = CategoricalFamily(n=3)
    likelihood = Likelihood(MLPDecoder(2, family.raw_shape((4,)), ()), family, (4,))
    model = Flat(StandardNormal(2), Posterior(MLPEncoder((4,), ()), NormalFamily(), 2), likelihood)
    with pytest.raises(CombinationError, match="category"):
        VAEGAN().check(model)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Factor(tc_weight=-1.0), lambda: Factor(critic_width=0), lambda: Factor(beta=-1.0),
        lambda: AdversarialCodes(match_weight=float("nan")), lambda: AdversarialCodes(critic_depth=0),
        lambda: VAEGAN(feature_weight=-1.0), lambda: VAEGAN(critic_lr=-1.0), lambda: Sharpened(start=-0.1),
        lambda: Sharpened(r1=-1.0), lambda: Sharpened(r1_every=0), lambda: Sharpened(sharp_weight=-1.0),
        lambda: Aggressive(inner=0), lambda: Aggressive(until=-1.0),
    ],
)
def test_settings_check_themselves(make):
    with pytest.raises(SettingError):
        make()
