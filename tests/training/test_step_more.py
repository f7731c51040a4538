"""What noise depends on, in a step and in a validation."""

from __future__ import annotations

import pytest
import torch

from senzai.core.random import forked
from senzai.training.events import Progressed


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_step_draws_its_own_noise_and_the_same_when_it_is_repeated(make, dropout):
    training = make(dropout=dropout)
    (piece,) = training.feed.pieces_of(0)

    def loss(step):
        return training.steppers[0].forward(piece, step)[0].item()

    with forked(0):
        losses = [loss(step) for step in range(5)]
        again = [loss(step) for step in reversed(range(5))]
    assert len(set(losses)) == 5
    assert losses == again[::-1]


def test_a_step_drops_other_units_than_the_one_before(make, make_model):
    model = make_model(dropout=0.5)
    with torch.no_grad():
        model.posterior.head.weight.zero_()  # the latents say nothing of what was dropped, and the decoder is left
        model.posterior.head.bias.fill_(-100.0)
    training = make(model=model)
    (piece,) = training.feed.pieces_of(0)
    with forked(0):
        losses = [training.steppers[0].forward(piece, step)[0].item() for step in range(5)]
    assert len(set(losses)) == 5


def test_a_validation_drops_nothing_and_leaves_training_on(make):
    training = make(dropout=0.5)
    training.model.train()
    first, second = training.evaluate(), training.evaluate()
    assert first == second
    assert training.model.training
    training.model.eval()
    assert training.evaluate() == first


def test_averaged_weights_are_left_in_a_model_that_was_never_validated(make, train, tape):
    def stop(event, training):
        training.stop_early |= isinstance(event, Progressed)

    training = make(ema=0.9, log_every=5, validate_every=20)
    train(training, tape(act=stop))
    assert training.best is None
    expected = training.average.state(training.model)
    live = training.good.model
    for name, p in training.model.named_parameters():
        assert torch.equal(p, expected[name]), name
        assert not torch.equal(p, live[name]), name
