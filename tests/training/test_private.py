"""Private steps: gradients of rows, the sum that is clipped and covered by noise, coins, and accountants."""

from __future__ import annotations

import math
import warnings
from functools import cache

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import norm

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import Noise, derive, forked, using
from senzai.core.secret import Secret
from senzai.objectives import ELBO
from senzai.recipes import RECIPES
from senzai.testing.subject import subjects
from senzai.training import private, row_gradients
from senzai.training.comms import Comms
from senzai.training.feed import Feed, Piece
from senzai.training.loop import Training
from senzai.training.privacy import (
    PrivateSettings,
    epsilon_of,
    noise_for,
    refuse_hopeless,
    signal_to_noise,
)
from senzai.training.private import PoissonPlan, PrivateGradients, engine_for
from senzai.training.row_gradients import by_loop, by_vmap, clipped_sum
from senzai.training.settings import TrainSettings
from senzai.training.step import Stepper, gradient_of_mean

REFUSED = {
    "players": {
        "aae", "aggressive-vae", "factor-vae", "fsq-vae", "gan", "latent-flow-matching-vae", "lfq-vae", "m1", "m1-m2",
        "piwae", "recvae", "residual-vq-vae", "sharp-vae", "vae-gan", "vq-vae", "vq-vae-2", "wave-codec",
    },
    "depends on others": {
        "beta-tc-vae", "bn-vae", "dip-vae", "dirichlet-topics", "info-vae", "prodlda", "sigma-vae", "wae",
    },
}
"""Recipes whose rows cannot be told apart, by a word of the reason."""
ONE_BY_ONE = {
    "causal-table", "cvae-structured", "dirichlet-vae", "dmm", "language-model", "ms-ssim-vae", "music-vae", "rae",
    "sa-vae", "text-vae",
}
"""Recipes whose rows go one after the other, because they cannot go at once."""
OTHERWISE = {"embedding-vae"}
"""Recipes whose models also keep statistics of rows, which a trial finds."""
EASY = sorted(set(RECIPES) - OTHERWISE - set().union(*REFUSED.values()))
CPU = torch.device("cpu")


def stepper_of(subject, rule=gradient_of_mean) -> Stepper:
    model, objective = subject.fresh()
    settings = TrainSettings(lr=1e-3)
    return Stepper(model, objective.players(model)[0], settings, device=CPU, comms=Comms(), dtype=None, rule=rule)


@cache
def subject_of(name):
    return subjects(f"recipe/{name}")[0]


def refused(name) -> str:
    with forked(0):
        model, objective = subject_of(name).build()
    with pytest.raises(CombinationError) as err:
        private.refuse_mixing(model, objective)
    return str(err.value)


@pytest.mark.parametrize("name", sorted(set().union(*REFUSED.values())))
def test_what_mixes_rows_is_refused_with_the_reason(name):
    (word,) = [w for w, names in REFUSED.items() if name in names]
    assert word in refused(name)


@pytest.mark.parametrize("name", sorted(OTHERWISE))
def test_a_model_that_keeps_statistics_of_rows_is_refused(name):
    stepper, subject = stepper_of(subject_of(name)), subject_of(name)
    with pytest.raises(CombinationError, match="keeps statistics of rows"):
        engine_for(stepper, subject.batch(3, seed=8))


def loop(stepper, batch: Batch, step: int, seed: int) -> dict[str, torch.Tensor]:
    """Gradients row after row by backward, which knows nothing of functions of rows."""
    numbers = row_gradients.numbers_for(stepper.loss, batch, step, Noise.seeded(seed))
    own = row_gradients.own_parameters(stepper)
    found: dict[str, list[torch.Tensor]] = {n: [] for n in own}
    for i in range(len(batch)):
        for p in own.values():
            p.grad = None
        with using(row_gradients.Taken(left=[n[i] for n in numbers])):
            stepper.loss(batch.take(slice(i, i + 1)), step, 1)[0].backward()
        for n, p in own.items():
            found[n].append(torch.zeros_like(p) if p.grad is None else p.grad.clone())
    return {n: torch.stack(g) for n, g in found.items()}


SLOW = {"riemannian-vae", "vdvae", "nsf-vae", "spherical-vae", "autoencoder-kl", "flow-prior-vae", "hamiltonian-vae"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in EASY]
)
def test_gradients_of_rows_are_those_of_a_loop(name):
    stepper, subject = stepper_of(subject_of(name)), subject_of(name)
    with forked(0), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        engine = engine_for(stepper, subject.batch(3, seed=8))
        assert (engine is by_loop) == (name in ONE_BY_ONE)
        if engine is by_loop:
            return  # it is the loop
        batch = subject.batch(5, seed=3)
        with stepper.playing(), stepper.drawing(Piece(batch, 0, 5), 3):
            fast, slow = by_vmap(stepper, batch, 3, Noise.seeded(4)), loop(stepper, batch, 3, 4)
    assert fast.keys() == slow.keys()
    largest = max(float(g.abs().max()) for g in slow.values())
    for key, g in fast.items():
        torch.testing.assert_close(g, slow[key], rtol=1e-4, atol=1e-5 * largest)


def test_a_loop_of_rows_is_the_gradient_of_their_sum():
    subject = subject_of("dirichlet-vae")
    stepper = stepper_of(subject)
    batch = subject.batch(1, seed=3)
    with forked(0), stepper.playing(), stepper.drawing(Piece(batch, 0, 1), 0):
        found = by_loop(stepper, batch, 0, Noise.seeded(4))
        with using(Noise.seeded(derive(4, "row", 0))):
            stepper.loss(batch, 0, 1)[0].backward()
    for name, p in row_gradients.own_parameters(stepper).items():
        torch.testing.assert_close(found[name][0], torch.zeros_like(p) if p.grad is None else p.grad)


def test_the_sum_of_masked_rows_looks_at_nothing_that_was_not_seen():
    subject = subject_of("vae").other(masked=True)
    stepper, batch = stepper_of(subject), subject.batch(4, seed=3)
    assert batch.mask is not None
    assert not bool(batch.mask.all())
    other = batch.with_x(torch.where(batch.mask, batch.x, 77.0), batch.mask)
    with forked(0), stepper.playing():
        a, b = (clipped_sum(by_vmap(stepper, x, 0, Noise.seeded(4)), 1.0) for x in (batch, other))
        whole = clipped_sum(by_vmap(stepper, batch.with_x(batch.x), 0, Noise.seeded(4)), 1.0)
    for name in a:
        torch.testing.assert_close(a[name], b[name])
    assert any(not torch.allclose(a[n], whole[n], rtol=1e-3) for n in a)


# --- one step -------------------------------------------------------------------------------------------------------
def test_every_row_is_cut_and_none_counts_more_than_the_clip():
    g = {"a": torch.tensor([[3.0, 0.0], [0.1, 0.0], [float("inf"), 0.0]]), "b": torch.tensor([[4.0], [0.0], [1.0]])}
    found = clipped_sum(g, 1.0)
    torch.testing.assert_close(found["a"], torch.tensor([0.7, 0.0]))
    torch.testing.assert_close(found["b"], torch.tensor([0.8]))


def private_training(
    make, *, clip=1e9, noise=0.0, rows=by_vmap, plan=None, memory=private.MEMORY, **settings
) -> Training:
    plain = make(n=40, n_validation=0, batch_size=16, steps=8, **settings)
    rule = PrivateGradients(clip, noise, 16, Secret.seeded(1), rows=rows, memory=memory)
    feed = plain.feed if plan is None else Feed(plain.feed.source, plain.feed.index, plan, device=CPU)
    return Training(plain.model, ELBO(), feed, plain.settings, rule=rule)


def gradients(training, step=0) -> dict[str, torch.Tensor]:
    stepper = training.steppers[0]
    with forked(0), stepper.playing():
        stepper.optimiser.zero_grad()
        stepper.rule(stepper, training.feed.pieces_of(step), step)
    return {n: p.grad.clone() for n, p in training.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("engine", [by_vmap, by_loop])
@pytest.mark.parametrize("memory", [private.MEMORY, 5000])
def test_without_noise_and_clip_it_is_the_plain_step(make, engine, memory):
    found = gradients(private_training(make, rows=engine, memory=memory))
    plain = make(n=40, n_validation=0, batch_size=16, steps=8)
    wanted = gradients(plain)
    if memory == private.MEMORY:  # the same numbers of the model's own noise, too
        for name, g in wanted.items():
            torch.testing.assert_close(found[name], g, rtol=1e-4, atol=1e-6)
    assert found.keys() == wanted.keys()


def test_every_row_counts_however_the_batch_is_cut(make):
    training = private_training(make, clip=0.5)
    stepper = training.steppers[0]
    (piece,) = training.feed.pieces_of(0)
    numbers = iter(range(1000))

    def constant(stepper, batch, step, noise):  # gradients that do not depend on how rows were cut
        next(numbers)
        own = row_gradients.own_parameters(stepper)
        return {n: batch.tensor.sum(1).view(-1, *[1] * p.ndim).expand(-1, *p.shape).clone() for n, p in own.items()}

    stepper.rule.rows = constant
    whole = gradients(training)
    assert next(numbers) == 1
    stepper.rule.memory = 8 * sum(p.numel() for p in training.model.parameters()) * 3
    cut = gradients(training)
    assert next(numbers) == 2 + math.ceil(len(piece.batch) / 3)
    for name, g in whole.items():
        torch.testing.assert_close(g, cut[name])


def test_the_noise_is_added_once_and_has_the_spread_it_should(make):
    sigma, clip = 2.0, 0.3
    noisy, free = (private_training(make, clip=clip, noise=s) for s in (sigma, 0.0))
    got = []
    for step in range(12):
        a, b = gradients(noisy, step), gradients(free, step)
        got.append(torch.cat([(a[n] - b[n]).flatten() for n in a]))
    z = torch.stack(got) * 16 / (sigma * clip)
    n = z.numel()
    assert abs(float(z.mean())) < 5 / math.sqrt(n)
    assert abs(float(z.var()) - 1) < 5 * math.sqrt(2 / n)
    assert abs(float((z[0] * z[1]).mean())) < 5 / math.sqrt(z.shape[1])  # other steps, other noise


def test_it_is_divided_by_the_expected_number_of_rows(make):
    plan = PoissonPlan(40, 16, 0, secret=Secret.seeded(5))
    training = private_training(make, plan=plan)
    pieces = training.feed.pieces_of(0)
    real = sum(len(p.batch) for p in pieces)
    assert real != 16
    assert pieces[0].total == 16
    stepper = training.steppers[0]
    with forked(0), stepper.playing(), stepper.drawing(Piece(pieces[0].batch, 0, real), 0):
        seed = derive(0, "step", "model", 0)
        rows = by_vmap(stepper, pieces[0].batch, 0, Noise.seeded(seed))
    found = gradients(training)
    for name, p in row_gradients.own_parameters(stepper).items():
        key = name.removeprefix("model.")
        torch.testing.assert_close(found[key], rows[name].sum(0) / 16, rtol=1e-4, atol=1e-6)
        assert p.shape == found[key].shape


def test_a_step_without_rows_is_noise_alone(make):
    class Nobody(PoissonPlan):
        def rows(self, order, position):
            return torch.zeros(0, dtype=torch.long)

    for in_memory in (True, False):
        training = private_training(make, noise=1.0, clip=1.0, plan=Nobody(40, 16, 0, secret=Secret.seeded(5)))
        training.feed = Feed(training.feed.source, training.feed.index, training.feed.plan, device=CPU,
                             in_memory=in_memory)
        (piece,) = training.feed.pieces_of(0)
        assert len(piece.batch) == 0
        found = gradients(training)
        size = sum(g.numel() for g in found.values())
        wanted = Secret.seeded(1).normal(size, private.NOISE, "model", 0) / 16
        torch.testing.assert_close(torch.cat([g.flatten() for g in found.values()]).double(),
                                   torch.from_numpy(wanted), rtol=1e-5, atol=1e-7)


def test_history_says_nothing_of_training_rows(make, train):
    plan = PoissonPlan(40, 16, 0, secret=Secret.seeded(5))
    training = private_training(make, noise=1.0, clip=1.0, plan=plan, log_every=2)
    tape = train(training)
    from senzai.training.events import Progressed

    assert {name for e in tape.of(Progressed) for name in e.metrics} == {"noise"}


# --- coins ----------------------------------------------------------------------------------------------------------
def test_coins_are_fair_independent_and_come_again():
    plan = PoissonPlan(500, 50, 0, secret=Secret.seeded(3))
    steps = [set(plan.rows(plan.order(e), i).tolist()) for e in range(20) for i in range(plan.steps_per_epoch)]
    sizes = np.array([len(s) for s in steps])
    assert abs(sizes.mean() - 50) < 5 * math.sqrt(45 / len(steps))
    assert abs(sizes.var() - 45) < 5 * 45 * math.sqrt(2 / len(steps))
    often = np.bincount([r for s in steps for r in s], minlength=500)
    assert often.min() > 0
    assert often.max() < 60
    again = PoissonPlan(500, 50, 99, secret=Secret.seeded(3))
    assert set(again.rows(again.order(2), 4).tolist()) == steps[24]
    other = PoissonPlan(500, 50, 0, secret=Secret.seeded(4))
    assert set(other.rows(other.order(2), 4).tolist()) != steps[24]


def test_a_run_that_is_resumed_sees_the_same_rows_and_the_same_noise(make, train, tmp_path, same):
    from senzai.training.checkpoint import load_checkpoint, save_checkpoint
    from senzai.training.events import Reached

    def one(seed=5):
        plan = PoissonPlan(40, 16, 0, secret=Secret.seeded(seed))
        return private_training(make, noise=1.0, clip=1.0, plan=plan, validate_every=3)

    whole = one()
    train(whole)
    first = one()
    with forked(first.settings.seed):
        for event in first.events():
            if isinstance(event, Reached) and event.step >= 3:
                save_checkpoint(first, tmp_path / "a.safetensors")
                break
    second = one()
    load_checkpoint(second, tmp_path / "a.safetensors")
    train(second)
    assert same(whole.model.state_dict(), second.model.state_dict())


def test_batch_norms_of_one_s_own_are_refused(make):
    model = make(n=40, n_validation=0).model
    model.extra = torch.nn.BatchNorm1d(2)
    with pytest.raises(CombinationError, match="normalises over the batch"):
        private.refuse_mixing(model, ELBO())


# --- a model that keeps statistics -----------------------------------------------------------------------------------
def test_statistics_of_rows_that_no_noise_covers_are_refused(make):
    training = private_training(make)
    model = training.model
    model.register_buffer("met", torch.zeros(()))
    forward = model.infer

    def infer(batch, *args, **kwargs):
        model.met += 1
        return forward(batch, *args, **kwargs)

    model.infer = infer
    with forked(0), pytest.raises(CombinationError, match="statistics of rows"):
        engine_for(training.steppers[0], training.feed.pieces_of(0)[0].batch)
    assert float(model.met) == 0


# --- accountants ----------------------------------------------------------------------------------------------------
def gaussian_delta(epsilon: float, sigma: float) -> float:
    """Delta of one Gaussian mechanism of sensitivity 1 (Balle and Wang, 2018, theorem 8)."""
    a, b = 1 / (2 * sigma), epsilon * sigma
    return float(norm.cdf(a - b) - math.exp(epsilon) * norm.cdf(-a - b))


@pytest.mark.parametrize("sigma", [0.8, 2.0])
def test_one_step_of_all_rows_is_the_gaussian_mechanism(sigma):
    exact = brentq(lambda e: gaussian_delta(e, sigma) - 1e-5, 1e-3, 60)
    tight = epsilon_of(sigma, 1.0, 1, 1e-5)
    assert exact <= tight * 1.0001
    assert tight < exact * 1.03 + 0.02
    assert epsilon_of(sigma, 1.0, 1, 1e-5, accountant="rdp") > exact


def test_steps_add_up_as_opacus_says():
    from opacus.accountants import PRVAccountant, RDPAccountant

    for make, name in ((PRVAccountant, "prv"), (RDPAccountant, "rdp")):
        accountant = make()
        for _ in range(50):
            accountant.step(noise_multiplier=1.1, sample_rate=0.02)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = accountant.get_epsilon(delta=1e-5)
        assert epsilon_of(1.1, 0.02, 50, 1e-5, accountant=name) == pytest.approx(wanted, rel=1e-6)


def test_the_noise_keeps_the_budget_and_wastes_little_of_it():
    noise = noise_for(2.0, 1e-5, 0.02, 50)
    assert 1.9 < epsilon_of(noise, 0.02, 50, 1e-5) <= 2.0


def test_a_budget_that_cannot_train_is_refused_before_the_first_step():
    assert signal_to_noise(2.0, 100, 25, 2500) == pytest.approx(5 * 100 / (2 * 50))
    refuse_hopeless(1.0, batch_size=100, steps=100, n_parameters=1000, epsilon=1.0)
    with pytest.raises(SettingError, match=r"epsilon=0.01 the noise"):
        refuse_hopeless(900.0, batch_size=20, steps=10, n_parameters=30_000, epsilon=0.01)


def test_delta_follows_the_number_of_rows_unless_it_is_set():
    assert PrivateSettings(epsilon=1).delta_for(1_000_000) == pytest.approx(1e-7)
    assert PrivateSettings(epsilon=1).delta_for(100) == 1e-5
    assert PrivateSettings(epsilon=1, delta=1e-3).delta_for(100) == 1e-3


@pytest.mark.parametrize("given", [{"epsilon": 0}, {"epsilon": 1, "delta": 1}, {"epsilon": 1, "clip": 0}, {},
                                   {"epsilon": 1, "accountant": "gdp"}, {"epsilon": 1, "schema_share": 1}])
def test_settings_that_make_no_sense_are_refused(given):
    with pytest.raises(SettingError, match="private"):
        TrainSettings.parse({"private": given})


# --- secrets --------------------------------------------------------------------------------------------------------
def test_numbers_of_a_key_are_normal_and_uniform():
    from scipy.stats import kstest

    secret = Secret.seeded(7)
    assert kstest(secret.normal(20_001, "a"), "norm").pvalue > 1e-4
    assert kstest(secret.uniform(20_000, "b"), "uniform").pvalue > 1e-4
    assert Secret.fresh().key != Secret.fresh().key
    assert "key" not in repr(secret)
    assert not np.array_equal(secret.uniform(4, "a", "bc"), secret.uniform(4, "ab", "c"))
