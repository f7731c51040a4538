"""Codebooks in the loop: pieces, stops, averaged weights and recoveries leave them as they should be."""

from __future__ import annotations

import pytest
import torch

from senzai.core.random import forked
from senzai.distributions import BernoulliFamily
from senzai.models import Quantised
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.objectives import CodeBound
from senzai.parts import VQ, Likelihood, ResidualVQ, SetCoder, TransformerCodes
from senzai.training.checkpoint import load_checkpoint
from senzai.training.events import Interrupted, Progressed
from senzai.training.listeners import Checkpointer, drive

DIM = 6


def model_of(make_rows, quantiser=None):
    with forked(0):
        made = quantiser or VQ(2, n_codes=5, revive=0.3)
        model = Quantised(
            SetCoder(MLPEncoder((DIM,), (8,)), 2, n_places=3), (made,),
            Likelihood(MLPDecoder(6, (1, DIM), (8,)), BernoulliFamily(), (DIM,)),
            TransformerCodes(5, 3 * made.depth, width=8, n_heads=2, n_layers=1),
        )
        model.initialise(make_rows(90).take(range(70)))
    return model


@pytest.fixture
def training(make, make_rows):
    def build(quantiser=None, **settings):
        options = {"steps": 12, "log_every": 4, "schedule": "constant", **settings}
        return make(model=model_of(make_rows, quantiser), objective=CodeBound(), **options)

    return build


def books(training):
    return {k: v.clone() for k, v in training.model.quantisers.state_dict().items()}


def test_accumulation_gives_the_codebook_of_the_whole_batch(training, train):
    whole, pieces = training(), training(accumulate=3)
    before = books(whole)
    train(whole)
    train(pieces)
    after = books(whole)
    assert not torch.equal(before["0.book.vectors"], after["0.book.vectors"])
    for name, value in books(pieces).items():
        torch.testing.assert_close(value, after[name], rtol=1e-4, atol=1e-4, msg=name)


def test_a_codebook_moves_once_a_step_by_the_rows_of_the_step(training):
    """By hand: the codes of the batch under the weights before the step, averaged in at the end of it."""
    run = training(VQ(2, n_codes=5, revive=0.0))
    model = run.model.train()
    (piece,) = run.feed.pieces_of(0)
    book = model.quantisers[0].book
    counts, sums = book.usage.counts.clone(), book.sums.clone()
    with torch.no_grad():
        vectors = []
        model.coder(piece.batch, lambda level, v: vectors.append(v.flatten(0, 1)) or v)
        codes = book.nearest(vectors[0])
    one_hot = torch.nn.functional.one_hot(codes, 5).float()
    with forked(0):
        run._step(0, [piece])
    torch.testing.assert_close(book.usage.counts, 0.99 * counts + 0.01 * one_hot.sum(0))
    torch.testing.assert_close(book.sums, 0.99 * sums + 0.01 * one_hot.T @ vectors[0])


@pytest.mark.parametrize("quantiser", [None, "residual by gradients"])
def test_a_stopped_run_goes_on_to_the_same_codebook(training, tmp_path, same, quantiser):
    def made():
        return None if quantiser is None else ResidualVQ(2, depth=2, n_codes=5, ema=False, revive=0.3)

    class Stop:
        def on(self, event, training):
            if isinstance(event, Progressed) and event.step == 8:
                training.interrupt.signal = 2

    settings = {"ema": 0.9, "accumulate": 2}
    whole, first, second = (training(made(), **settings) for _ in range(3))
    path = tmp_path / "last.safetensors"
    with forked(0):
        drive(whole, [])
        assert isinstance(drive(first, [Checkpointer(path, 0), Stop()]), Interrupted)
        load_checkpoint(second, path)
        drive(second, [])
    assert same(whole.state().flat()[1], second.state().flat()[1])
    assert same(whole.model.state_dict(), second.model.state_dict())


def test_validation_and_explanations_leave_no_trace(training):
    run = training()
    before = books(run)
    with forked(0):
        run.evaluate()
        assert all(torch.equal(before[k], v) for k, v in books(run).items())
        run._explain(0)  # the losses are computed again, in training mode
        run.restore(run.good)
    assert all(torch.equal(before[k], v) for k, v in books(run).items())


def test_what_is_watched(training, train):
    event = train(training()).of(Progressed)[-1]
    m = event.metrics
    assert {"distortion", "rate", "commitment", "code_bits", "perplexity", "codes_used", "prior.loss"} <= set(m)
    assert 1 <= m["perplexity"] <= 5
    assert 0 < m["codes_used"] <= 1
    assert m["loss"] == pytest.approx(m["distortion"] + m["rate"] + m["commitment"], rel=1e-5)


def test_a_short_training_makes_the_prior_learn_and_the_codes_tell_rows_apart(training, train):
    run = training(steps=150, lr=0.02)
    first = train(run).of(Progressed)
    assert first[-1].metrics["rate"] < first[0].metrics["rate"] - 0.5
    assert first[-1].metrics["distortion"] < first[0].metrics["distortion"] - 0.5
