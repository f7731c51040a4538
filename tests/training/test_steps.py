"""What a step looks at on a CPU: plain numbers, and the same as tensors would say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from senzai.core.random import forked
from senzai.training.feed import Feed, FeedPlan
from senzai.training.meter import Meter
from senzai.training.step import plain_norm, total_norm


def test_the_norm_is_that_of_all_gradients_together():
    g = torch.Generator().manual_seed(0)
    some = [torch.randn(3, 5, generator=g).t(), torch.randn((), generator=g), torch.randn(7, generator=g)[::2],
            torch.randn(2, 3, 4, generator=g), torch.zeros(0)]
    assert plain_norm(some) == pytest.approx(float(total_norm(some)), rel=1e-6)
    assert plain_norm([g.double() for g in some]) == pytest.approx(float(total_norm(some)), rel=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_number_that_is_not_finite_is_enough(bad):
    assert not math.isfinite(plain_norm([torch.ones(4), torch.tensor([1.0, bad])]))


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("where", ["loss", "gradient", "nowhere"])
def test_a_step_is_taken_where_loss_and_gradients_are_finite(make, where, clip):
    training = make(clip=clip)
    stepper, (piece, *_) = training.steppers[0], training.feed.pieces_of(0)
    honest = stepper.forward

    def forward(piece, step):
        loss, sums = honest(piece, step)
        if where == "gradient":  # the square root of zero: finite, with an infinite slope
            first = stepper.player.parameters[0]
            loss = loss + (first - first.detach()).abs().sum().sqrt()
        return loss, torch.where(torch.arange(len(sums)) == 0, math.nan, sums) if where == "loss" else sums

    stepper.forward = forward
    before = [p.detach().clone() for p in stepper.player.parameters]
    with forked(0):
        _, _, fine = stepper([piece], 0, True)
        _, _, later = stepper([piece], 1, False)
    same = all(torch.equal(a, b) for a, b in zip(before, stepper.player.parameters, strict=True))
    assert fine is (where == "nowhere")
    assert later is False
    assert same is (where != "nowhere")


def test_the_first_step_that_was_not_finite_is_known():
    meter = Meter()
    meter.reset(7)
    for fine in (True, True, False, False):
        meter.stepped(1.0, fine, rows=4)
    assert meter.failed()
    assert meter.failed_step() == 9
    meter.reset(20)
    assert not meter.failed()
    assert meter.failed_step() == 20


@pytest.mark.parametrize(("n", "pieces"), [(11, [4, 1]), (13, [4, 2]), (16, [4, 4])])
def test_every_process_has_as_many_pieces(make_rows, n, pieces):
    """Where processes divide the model, each piece gathers it: one that has a row more must not have a piece more."""
    feeds = [
        Feed(make_rows(n), np.arange(n), FeedPlan(n, 8, 0, 2), device=torch.device("cpu"), rank=rank, world=2,
             accumulate=4)
        for rank in range(2)
    ]
    for step, expected in enumerate(pieces):
        both = [feed.pieces_of(step) for feed in feeds]
        assert [len(found) for found in both] == [expected, expected]
        assert sum(len(p.batch) for found in both for p in found) == both[0][0].total
