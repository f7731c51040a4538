"""A training whose length follows validation: when it stops, where from, and that a resume changes none of it."""

from __future__ import annotations

import pytest
import torch

from senzai.core.random import forked
from senzai.runs.training.requests import lengthened
from senzai.training.checkpoint import load_checkpoint
from senzai.training.events import Finished, Interrupted, Progressed, Validated
from senzai.training.listeners import Checkpointer, drive
from senzai.training.schedules import Follow
from senzai.training.settings import TrainSettings

OVERFITS = {
    "steps": 300, "schedule": "follow", "lr": 0.1, "n": 12, "n_validation": 60, "validate_every": 3, "log_every": 1,
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Short waits."""
    monkeypatch.setattr(Follow, "WAIT", 24)
    monkeypatch.setattr(Follow, "RISE", 5)


def test_a_run_that_overfits_goes_back_to_its_best_weights_and_ends(make, train, tape):
    training, states = make(**OVERFITS), {}

    def note(event, training):
        if isinstance(event, Validated):
            states[event.step] = {k: v.clone() for k, v in training.model.state_dict().items()}

    seen = train(training, tape(act=note))
    now, (end,) = training.progress, seen.of(Finished)
    assert end.step == now.ends_at < 150
    assert not end.early
    best = min(seen.of(Validated), key=lambda e: e.metrics["loss"])
    assert (now.best_step, now.best_loss) == (best.step, best.metrics["loss"])
    before = [e for e in seen.of(Validated) if e.step <= now.falls_from]
    then = min(before, key=lambda e: e.metrics["loss"]).step
    assert then < now.falls_from
    assert all(torch.equal(v, states[then][k]) for k, v in states[now.falls_from].items())  # the best so far
    assert training.evaluate()["loss"] == pytest.approx(now.best_loss, rel=1e-6)
    rates = {e.step: e.lr for e in seen.of(Progressed)}
    assert rates[now.falls_from] == pytest.approx(0.1)
    fell = [r for step, r in rates.items() if step > now.falls_from]
    assert fell == sorted(fell, reverse=True)
    assert fell[-1] < 0.1


def test_a_run_that_improves_takes_its_budget_and_falls_in_its_last_third(make, train):
    training = make(steps=90, schedule="follow", lr=0.002, log_every=1, validate_every=5, n=400, n_validation=100)
    seen = train(training)
    assert seen.of(Finished)[0].step == 90
    rates = [e.lr for e in seen.of(Progressed)]
    assert rates[10:60] == pytest.approx([0.002] * 50)
    assert rates[60] == pytest.approx(0.002)
    assert rates[-1] < 2e-5


def test_small_gains_do_not_keep_a_run_going():
    course = Follow(1000)
    assert course.over(best=390, gain=100, step=400) is not None  # better still, but by nothing that matters
    assert course.over(best=390, gain=390, step=400) is None


@pytest.mark.parametrize("stop", [9, 31, 40])
def test_a_resumed_run_ends_where_and_as_one_that_never_stopped(make, tmp_path, same, stop):
    class Stop:
        def on(self, event, training):
            if isinstance(event, Progressed) and event.step == stop:
                training.interrupt.signal = 2

    whole, first, second = (make(**OVERFITS) for _ in range(3))
    path = tmp_path / "last.safetensors"
    with forked(0):
        drive(whole, [])
        assert whole.progress.ends_at > stop
        assert isinstance(drive(first, [Checkpointer(path, 0), Stop()]), Interrupted)
        load_checkpoint(second, path)
        drive(second, [])
    facts, others = ({k: v for k, v in t.facts().items() if k != "seconds"} for t in (whole, second))
    assert facts == others
    assert same(whole.state().flat()[1], second.state().flat()[1])
    assert same(whole.model.state_dict(), second.model.state_dict())


def test_without_validation_rows_it_is_one_cycle_over_all_steps(make, train):
    training = make(steps=20, schedule="follow", n_validation=0)
    other = make(steps=20, schedule="one_cycle", n_validation=0)
    assert train(training).of(Finished)[0].step == train(other).of(Finished)[0].step == 20
    assert all(torch.equal(a, b) for a, b in zip(training.model.parameters(), other.model.parameters(), strict=True))


def test_a_length_that_the_user_gave_is_the_length():
    told = {"steps": 2000, "schedule": "follow", "batch_size": 64}
    free = TrainSettings().proposed(told)
    assert (free.steps, free.schedule) == (2000, "follow")
    for given, steps in (({"steps": 30}, 30), ({"epochs": 3}, None)):
        fixed = TrainSettings.parse(given).proposed(told)
        assert (fixed.steps, fixed.schedule) == (steps, "one_cycle")
    asked = TrainSettings.parse({"steps": 30, "schedule": "follow"}).proposed(told)
    assert (asked.steps, asked.schedule) == (30, "follow")
    longer = lengthened(free, {"steps": 700})  # the run had ended by itself, say at 600
    assert (longer.steps, longer.schedule) == (700, "one_cycle")
