"""Several players: each moves its own parameters with its own optimiser, everything else stands still."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
import torch

from senzai.core.random import forked
from senzai.models.base import LatentModel
from senzai.objectives import ELBO, Objective, Player, Terms
from senzai.training.bundle import save_weights
from senzai.training.checkpoint import load_checkpoint, load_tensors
from senzai.training.events import Interrupted, Progressed
from senzai.training.listeners import Checkpointer, drive
from senzai.training.schedules import learning_rate_factor


@dataclass(frozen=True)
class TwoSides(Objective):
    """The encoder minimises a bound with a small rate, then the decoder the bound."""

    def __call__(self, model, batch, step):
        return ELBO()(model, batch, step)

    def players(self, model: LatentModel):
        return (
            Player("encoder", tuple(model.posterior.parameters()), ELBO(beta=0.5)),
            Player("decoder", tuple(model.likelihood.parameters()), ELBO()),
        )


def test_each_player_moves_its_own_parameters_in_its_turn(make):
    training = make(objective=TwoSides(), schedule="constant")
    model, moved = training.model, []
    mine = [{id(p) for p in s.player.parameters} for s in training.steppers]
    assert not mine[0] & mine[1]
    for i, stepper in enumerate(training.steppers):

        def watch(*_, i=i):
            free = {id(p) for p in model.parameters() if p.requires_grad}
            assert free == mine[i]
            moved.append(i)

        stepper.module.register_forward_pre_hook(watch)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    with forked(0):
        training._step(0, training.feed.pieces_of(0))
    assert moved == [0, 1]
    assert all(not torch.equal(p.detach(), before[n]) for n, p in model.named_parameters())
    assert all(p.requires_grad for p in model.parameters())


def test_the_second_player_sees_what_the_first_did(make):
    """One step by hand, with two optimisers of torch's own."""
    training, other = make(objective=TwoSides()), make(objective=TwoSides())
    with forked(0):
        training._step(0, training.feed.pieces_of(0))
        for stepper in other.steppers:
            optimiser = torch.optim.Adam(stepper.player.parameters, lr=0.01)
            loss, _ = stepper.forward(other.feed.pieces_of(0)[0], 0)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    for (name, a), b in zip(training.model.named_parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8, msg=name)


def test_metrics_of_the_players_stay_apart(make, train):
    event = train(make(objective=TwoSides(), log_every=20)).of(Progressed)[-1]
    m = event.metrics
    assert set(m) == {f"{who}{what}" for who in ("", "decoder.") for what in ("loss", "distortion", "rate")} | {
        k for k in m if "weighted" in k
    }
    assert m["decoder.loss"] == pytest.approx(m["decoder.distortion"] + m["decoder.rate"], rel=1e-5)
    assert m["loss"] == pytest.approx(m["distortion"] + 0.5 * m["rate"], rel=1e-5)


def test_optimisers_of_all_players_survive_a_stop(make, tmp_path, same):
    class Stop:
        def on(self, event, training):
            if isinstance(event, Progressed) and event.step == 9:
                training.interrupt.signal = 2

    settings = {"objective": TwoSides(), "log_every": 3, "ema": 0.9}
    whole, first, second = (make(**settings) for _ in range(3))
    path = tmp_path / "last.safetensors"
    with forked(0):
        drive(whole, [])
        assert isinstance(drive(first, [Checkpointer(path, 0), Stop()]), Interrupted)
        load_checkpoint(second, path)
        drive(second, [])
    state = whole.state().flat()[1]
    assert {k.split("/")[0] for k in state} == {"model", "average", "optimiser0", "optimiser1"}
    assert same(state, second.state().flat()[1])
    assert same(whole.model.state_dict(), second.model.state_dict())


def test_a_shared_parameter_is_trained_once(make, make_model, train):
    model = make_model()
    model.posterior.twin = model.likelihood.decoder  # the encoder holds the decoder, as a VampPrior the posterior
    training = make(model=model, weight_decay=0.1, ema=0.9)
    (player,) = ELBO().players(model)
    assert len({id(p) for p in player.parameters}) == len(player.parameters)
    placed = [id(p) for g in training.steppers[0].optimiser.groups for p in g.params]
    assert len(placed) == len(set(placed)) == len(player.parameters)
    train(training)


def test_a_frozen_parameter_stays(make, make_model, train):
    model = make_model()
    model.likelihood.bias.requires_grad_(False)
    before = model.likelihood.bias.clone()
    train(make(model=model, ema=0.9))
    assert torch.equal(model.likelihood.bias, before)
    assert not model.likelihood.bias.requires_grad


@dataclass(frozen=True)
class WithCritic(TwoSides):
    """The decoder plays every third step; a critic that only training has learns to guess z from nothing."""

    def equip(self, model):
        model.aux["critic"] = torch.nn.Linear(2, 1)

    def players(self, model: LatentModel):
        def guess(model, batch, step):
            loss = model.aux["critic"](torch.ones(len(batch), 2)).squeeze(-1).square()
            return Terms(loss, {"guess": loss}, {})

        encoder, decoder = super().players(model)
        slow = Player(decoder.name, decoder.parameters, decoder.loss, when=lambda step: step % 3 == 0)
        return (encoder, slow, Player("critic", tuple(model.aux["critic"].parameters()), guess, lr=0.5))


def test_a_player_may_sit_out_and_its_means_are_over_its_own_steps(make, train):
    event = train(make(objective=WithCritic(), log_every=20, schedule="constant")).of(Progressed)[0]
    assert {"critic.loss", "decoder.loss", "loss"} <= set(event.metrics)
    assert 0.5 < event.metrics["decoder.distortion"] / event.metrics["distortion"] < 2  # not a third


def test_only_the_first_of_three_steps_moves_the_decoder(make):
    training = make(objective=WithCritic(), schedule="constant")
    weight = training.model.likelihood.bias
    seen = [weight.detach().clone()]
    with forked(0):
        for step in range(4):
            training._step(step, training.feed.pieces_of(step))
            seen.append(weight.detach().clone())
    assert [not torch.equal(a, b) for a, b in pairwise(seen)] == [True, False, False, True]
    rates = [s.optimiser.groups[0].lr for s in training.steppers]
    assert rates[2] == 0.5


def test_what_only_training_has_is_checkpointed_and_not_shipped(make, tmp_path, same):
    first, second = make(objective=WithCritic()), make(objective=WithCritic())
    assert not {id(p) for p in first.model.own_parameters()} & {id(p) for p in first.model.aux.parameters()}
    with forked(0):
        drive(first, [Checkpointer(tmp_path / "last.safetensors", 0)])
        load_checkpoint(second, tmp_path / "last.safetensors")
    assert same(first.model.aux.state_dict(), second.model.aux.state_dict())
    save_weights(tmp_path, first.model)
    kept = load_tensors(tmp_path / "weights.safetensors")[0]
    assert kept
    assert not any(k.startswith("aux") for k in kept)


@dataclass(frozen=True)
class Incomparable(TwoSides):
    """A loss that only rises: nothing was ever better than the first step."""

    comparison: bool = True

    @property
    def comparable(self):
        return self.comparison

    def players(self, model: LatentModel):
        def rising(model, batch, step):
            found = ELBO()(model, batch, step)
            return Terms(found.loss + 100.0 * step, found.parts, found.watch)

        return (Player("model", model.own_parameters(), rising),)


def test_where_losses_cannot_be_compared_the_last_weights_are_the_best(make, train, same):
    for comparison, best in ((True, 5), (False, 20)):
        training = make(objective=Incomparable(comparison), steps=20, validate_every=5)
        train(training)
        assert training.progress.best_step == best
        assert same(training.model.state_dict(), training.state().model) == (not comparison)


class OneAfterTheOther(TwoSides):
    """The encoder alone, then the decoder alone."""

    def players(self, model: LatentModel):
        encoder, decoder = super().players(model)
        return (
            replace(encoder, when=lambda step: step < 4, span=(0, 4)),
            replace(decoder, when=lambda step: step >= 4, span=(4, None)),
        )


def test_the_rate_takes_its_course_over_the_steps_of_each_player(make, train):
    training = make(objective=OneAfterTheOther(), steps=10, schedule="cosine", lr_warmup=2, log_every=1, lr=0.02)
    rates = [e.lr for e in train(training).of(Progressed)]
    course = [learning_rate_factor("cosine", s, n, 2) for n in (4, 6) for s in range(n)]
    assert rates == [0.02 * factor for factor in course]
