from __future__ import annotations

import pytest
import torch

from senzai.core.errors import SettingError
from senzai.core.random import Noise, using
from senzai.core.spec import from_spec, to_spec
from senzai.distributions import FullNormalFamily, NormalFamily
from senzai.objectives import ELBO, Constant, Cyclical, LinearWarmup, Monotone
from senzai.parts import LearnedNormal, MixtureOfNormals

OBJECTIVES = {
    "plain": ELBO(),
    "weighted": ELBO(beta=4.0),
    "autoencoder": ELBO(beta=0.0),
    "free bits": ELBO(free_bits=0.02),
    "warm-up": ELBO(warmup=LinearWarmup(10)),
    "draws": ELBO(n_samples=4),
}


@pytest.fixture(params=OBJECTIVES.values(), ids=OBJECTIVES)
def objective(request):
    return request.param


@pytest.fixture(
    params=[("diagonal", ""), ("full", ""), ("diagonal", "learned"), ("diagonal", "mixture")],
    ids=["diagonal", "full", "learned", "mixture"],
)
def model(request, model_of):
    q, prior = request.param
    q = FullNormalFamily() if q == "full" else NormalFamily()
    return model_of(q, {"learned": LearnedNormal(3), "mixture": MixtureOfNormals(3, n_components=2)}.get(prior))


def test_parts_add_up_to_the_loss(model, objective, batch, terms):
    for step in (0, 3, 10):
        found = terms(objective, model, batch, step)
        assert found.loss.shape == (6,)
        torch.testing.assert_close(sum(found.parts.values()), found.loss)


def test_the_watch_is_raw_whatever_the_weights(model, objective, batch, terms):
    found = terms(objective, model, batch, 3)
    plain = terms(ELBO(n_samples=objective.n_samples), model, batch)
    for name in ("rate", "distortion"):
        torch.testing.assert_close(found.watch[name], plain.parts[name])
        assert not found.watch[name].requires_grad


def test_the_plain_loss_is_minus_the_bound(model, batch, terms):
    with using(Noise.seeded(1)):
        seen = model.infer(batch)
    rate = seen.groups[0].rate()[0]
    torch.testing.assert_close(terms(ELBO(), model, batch).loss, -seen.log_lik[0] + rate)


def test_the_closed_rate_is_the_mean_of_the_sampled_one(model_of, batch):
    for q in (NormalFamily(), FullNormalFamily()):
        with using(Noise.seeded(1)):
            seen = model_of(q).infer(batch, 20_000)
        sampled = seen.groups[0].monte_carlo_rate()
        closed = seen.groups[0].rate()[0]
        assert ((sampled.mean(0) - closed).abs() < 5 * sampled.std(0) / 20_000**0.5).all()
        assert (closed >= 0).all()


def test_the_loss_is_affine_in_beta(model, batch, terms):
    zero, one, four = (terms(ELBO(beta=b), model, batch).loss for b in (0.0, 1.0, 4.0))
    torch.testing.assert_close(four, zero + 4 * (one - zero))
    assert not torch.equal(one, zero)


def test_a_warm_up_is_a_weight(model, batch, terms):
    objective = ELBO(beta=2.0, warmup=LinearWarmup(10))
    for step, beta in ((0, 0.0), (5, 1.0), (10, 2.0), (99, 2.0)):
        torch.testing.assert_close(terms(objective, model, batch, step).loss, terms(ELBO(beta=beta), model, batch).loss)
    assert objective.settled_after == 10
    assert ELBO().settled_after == 0


def test_more_draws_average_the_distortion(model_of, batch):
    model = model_of()
    with using(Noise.seeded(1)):
        many = ELBO(n_samples=4000)(model, batch, 0)
        seen = model.infer(batch, 4000)
    error = 5 * seen.log_lik.std(0) * (2 / 4000) ** 0.5
    assert ((many.parts["distortion"] + seen.log_lik.mean(0)).abs() < error).all()


# --- free bits ------------------------------------------------------------------------------------------------------
def test_every_dimension_of_every_row_costs_at_least_its_free_bits(model_of, batch, terms):
    model = model_of()
    with using(Noise.seeded(1)):
        per_dimension = model.infer(batch).groups[0].rate_per_dimension().detach()
    floor = float(per_dimension.median())
    found = terms(ELBO(free_bits=floor), model, batch)
    torch.testing.assert_close(found.parts["rate"], per_dimension.clamp_min(floor).sum(-1))
    assert (found.parts["rate"] > found.watch["rate"]).any()


def test_a_group_without_independent_dimensions_gets_one_floor(model_of, batch, terms):
    found = terms(ELBO(free_bits=2.0), model_of(FullNormalFamily()), batch)
    torch.testing.assert_close(found.parts["rate"], found.watch["rate"].clamp_min(6.0))


def test_below_the_floor_there_is_no_pull(model_of, batch, terms):
    model = model_of()
    terms(ELBO(free_bits=100.0), model, batch).parts["rate"].sum().backward()
    assert all(p.grad is None or (p.grad == 0).all() for p in model.parameters())


# --- rows -----------------------------------------------------------------------------------------------------------
def mixes(objective, model, batch, terms):
    J = torch.autograd.functional.jacobian(lambda x: terms(objective, model, batch.with_x(x)).loss, batch.tensor)
    return bool((J.abs().sum(-1)[~torch.eye(len(batch), dtype=torch.bool)] > 0).any())


def test_a_row_depends_on_itself_alone(model, objective, batch, terms):
    assert not mixes(objective, model, batch, terms)
    assert not objective.mixes_rows(model)


def test_the_tester_notices_rows_that_mix(model_of, batch, terms):
    def floored_on_the_mean(model, batch, step):
        found = ELBO()(model, batch, step)
        rate = found.parts["rate"].mean().clamp_min(0.01)
        return type(found)(found.parts["distortion"] + rate, {}, {})

    assert mixes(floored_on_the_mean, model_of(), batch, terms)


def test_the_loss_does_not_depend_on_the_batch_size(model, objective, batch, terms):
    whole = terms(objective, model, batch, 3, total=6).loss
    pieces = [
        terms(objective, model, batch.take(slice(a, b)), 3, offset=a, total=6).loss for a, b in ((0, 1), (1, 4), (4, 6))
    ]
    torch.testing.assert_close(torch.cat(pieces), whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(sum(p.sum() for p in pieces) / 6, whole.mean())


# --- gradients ------------------------------------------------------------------------------------------------------
def test_gradients_agree_with_finite_differences_through_both_networks(model, batch, terms):
    objective = ELBO(beta=1.7, n_samples=2)

    def loss():
        return terms(objective, model, batch).loss.mean()

    loss().backward()
    for name, parameter in model.named_parameters():
        direction, values = torch.randn_like(parameter), []
        with torch.no_grad():
            for step in (1e-5, -2e-5):  # one way, then back past the start
                parameter.add_(step * direction)
                values.append(float(loss()))
            parameter.add_(1e-5 * direction)
        expected, found = (values[0] - values[1]) / 2e-5, float((parameter.grad * direction).sum())
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-8), name


def test_the_rate_pulls_the_encoder_and_the_distortion_both(model_of, batch, terms):
    model = model_of()
    terms(ELBO(), model, batch).parts["rate"].sum().backward()
    assert all(p.grad is None for p in model.likelihood.parameters())
    assert all(p.grad.abs().sum() > 0 for p in model.posterior.parameters())
    model.zero_grad()
    terms(ELBO(), model, batch).parts["distortion"].sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


# --- settings -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "wrong",
    [{"beta": -1.0}, {"free_bits": -0.1}, {"n_samples": 0}, {"beta": float("nan")}, {"free_bits": float("nan")}],
)
def test_settings_check_themselves(wrong):
    with pytest.raises(SettingError):
        ELBO(**wrong)


@pytest.mark.parametrize("warmup", [Constant(), LinearWarmup(7), Monotone(7), Cyclical(8, cycles=2, ramp=0.25)])
def test_an_objective_survives_its_spec(warmup):
    objective = ELBO(beta=3.0, warmup=warmup, free_bits=0.5, n_samples=2)
    assert from_spec(to_spec(objective)) == objective


def test_one_player_moves_every_parameter_once(model_of):
    model = model_of()
    (player,) = ELBO().players(model)
    assert {id(p) for p in player.parameters} == {id(p) for p in model.parameters()}
    assert len(player.parameters) == len(list(model.parameters()))
    model.prior.shared = model.posterior  # a prior that holds the posterior
    (player,) = ELBO().players(model)
    assert len({id(p) for p in player.parameters}) == len(player.parameters)
