"""An order by blocks: every row once in an epoch, a function of (seed, step), each process with its own blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from senzai.training.feed import FeedPlan, shares
from senzai.training.lanes import LANES, Lanes


def cuts_of(sizes):
    return np.concatenate([[0], np.cumsum(np.array(sizes, dtype=np.int64))])


@given(
    sizes=some.lists(some.integers(0, 40), min_size=1, max_size=30), batch=some.integers(1, 70),
    seed=some.integers(0, 9), epoch=some.integers(0, 3),
)
def test_every_row_is_taken_once_in_an_epoch(sizes, batch, seed, epoch):
    n = sum(sizes)
    if n == 0:
        return
    plan = FeedPlan(n, batch, seed, blocks=cuts_of(sizes))
    order = plan.order(epoch)
    steps = [plan.rows(order, i) for i in range(plan.steps_per_epoch)]
    assert sorted(torch.cat(steps).tolist()) == list(range(n))
    assert all(len(s) == batch for s in steps[:-1])


def test_the_rows_of_a_step_follow_from_seed_and_step():
    plan, other = (FeedPlan(1000, 32, 7, blocks=cuts_of([10] * 100)) for _ in range(2))
    order = plan.order(3)
    there = [plan.rows(order, i).tolist() for i in range(plan.steps_per_epoch)]
    late = other.order(3)  # resumed in the middle, and asked in another order
    for i in (20, 21, 5, 31, 0):
        assert other.rows(late, i).tolist() == there[i]
    assert plan.rows(plan.order(4), 0).tolist() != there[0]
    seeded = FeedPlan(1000, 32, 8, blocks=cuts_of([10] * 100))
    assert seeded.rows(seeded.order(3), 0).tolist() != there[0]


@pytest.mark.parametrize("world", [1, 2, 4, 8])
def test_processes_have_blocks_of_their_own_in_every_epoch(world):
    blocks = 64
    lanes = Lanes(cuts_of([50] * blocks), 64, seed=1)
    read = [set() for _ in range(world)]
    for epoch in range(3):
        order = lanes.order(epoch)
        for step in range(lanes.full):
            rows = order.rows(step).numpy()
            for rank, (a, b) in enumerate(shares(len(rows), world)):
                read[rank] |= set((rows[a:b] // 50).tolist())
    assert set().union(*read) == set(range(blocks))
    assert sum(map(len, read)) <= blocks + LANES  # a block where two lanes meet is read by both


def test_a_world_that_does_not_divide_the_lanes_sees_the_same_batches():
    lanes = Lanes(cuts_of([50] * 20), 30, seed=1)
    rows = lanes.order(0).rows(4)
    cut = [rows[a:b] for a, b in shares(len(rows), 3)]
    assert torch.equal(torch.cat(cut), rows)
    assert [len(c) for c in cut] == [10, 10, 10]


def test_a_step_has_rows_of_many_blocks():
    lanes = Lanes(cuts_of([1000] * 100), 512, seed=0)
    order = lanes.order(0)
    blocks = [len(set((order.rows(i) // 1000).tolist())) for i in range(0, lanes.full, 10)]
    assert min(blocks) >= 2 * LANES
    assert np.mean(blocks) >= 3 * LANES


def test_another_epoch_is_another_order_within_and_between_windows():
    lanes = Lanes(cuts_of([10] * 160), 16, seed=0)
    a, b = (torch.cat([lanes.order(e).rows(i) for i in range(lanes.full)]) for e in (0, 1))
    same = (a == b).float().mean()
    assert same < 0.02
    near = (a[:-16] + 16 == b[16:]).float().mean()
    assert near < 0.02
