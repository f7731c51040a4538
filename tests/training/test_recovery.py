"""A loss that is not finite is never stepped on; it is explained, undone, and given up after a few tries."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from senzai.core.errors import InputError, TrainingError
from senzai.core.random import forked
from senzai.data.rows import MemoryRows
from senzai.distributions import NormalFamily
from senzai.models.flat import Flat
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.objectives import ELBO, Objective, Terms
from senzai.parts.likelihoods.decoded import Likelihood
from senzai.parts.posteriors.amortised import Posterior
from senzai.parts.priors.normal import StandardNormal
from senzai.training.checkpoint import load_checkpoint, peek
from senzai.training.events import Failed, Finished, Progressed, Recovered, Started, Validated
from senzai.training.listeners import Checkpointer, History, drive, read_history


@dataclass(frozen=True)
class Planted(Objective):
    """The bound, but one term is not finite at chosen steps, while the run has been rescued less than ``times``."""

    steps: tuple[int, ...] = ()
    term: str = "rate"
    value: float = math.inf
    times: int = 10**6
    run: list[Any] = field(default_factory=list)

    def __call__(self, model, batch, step):
        terms = ELBO()(model, batch, step)
        rescued = self.run[0].progress.recoveries if self.run else 0
        if step not in self.steps or rescued >= self.times or not model.training:
            return terms
        parts = dict(terms.parts)
        wrong = torch.zeros(len(batch))
        wrong[1] = self.value
        parts[self.term] = parts[self.term] + wrong
        return Terms(terms.loss + wrong, parts, terms.watch)


def after_updates(stepper, then):
    """Call ``then`` with the optimiser after each of its steps."""
    optimiser, step = stepper.optimiser, stepper.optimiser.step

    def stepped(**kwargs):
        step(**kwargs)
        then(optimiser)

    optimiser.step = stepped


def always_finite(training):
    """Let every update check the weights."""

    def check(optimiser):
        assert all(bool(torch.isfinite(p).all()) for p in optimiser.params)

    for stepper in training.steppers:
        after_updates(stepper, check)
    return training


def planted(make, objective, **settings):
    training = always_finite(make(objective=objective, **{"log_every": 5, "validate_every": 6, **settings}))
    objective.run.append(training)
    return training


@pytest.mark.parametrize("term", ["rate", "distortion"])
@pytest.mark.parametrize("value", [math.inf, math.nan, -math.inf])
def test_the_last_good_state_comes_back_and_the_rate_is_halved(make, train, same, tape, term, value):
    training = planted(make, Planted((13,), term, value, times=1), ema=0.9, schedule="constant", accumulate=2)
    states = {}

    def look(event, training):
        if isinstance(event, Validated):
            states[event.step] = training.state().flat()[1]
        if isinstance(event, Recovered):
            assert same(training.state().flat()[1], states[12])  # moments and averages too

    listener = tape(act=look)
    seen = train(training, listener)
    (recovered,) = seen.of(Recovered)
    assert (recovered.step, recovered.back_to, recovered.tries_left, recovered.lr_factor) == (14, 12, 2, 0.5)
    assert f"the term '{term}' is not finite; in 1 of 8 rows of the batch (first: 1)" in recovered.explanation
    assert [(e.step, e.lr) for e in seen.of(Progressed)] == [(5, 0.01), (10, 0.01), (15, 0.005), (20, 0.005)]
    assert seen.of(Finished)[0].step == 20
    assert all(math.isfinite(e.metrics["loss"]) for e in seen.of(Progressed))


def test_after_a_few_tries_it_gives_up_and_the_checkpoint_still_loads(make, tmp_path, tape):
    training = planted(make, Planted((13,)), recoveries=2)
    path, listener = tmp_path / "last.safetensors", tape()
    with forked(0), pytest.raises(TrainingError) as caught:
        drive(training, [Checkpointer(path, 0), History(tmp_path / "history.jsonl"), listener])
    text = str(caught.value)
    assert "at step 14 the term 'rate' is not finite" in text
    assert "halving the learning rate 2 times did not help" in text
    assert "Lower lr" in text
    assert isinstance(listener.events[-1], Failed)
    assert listener.events[-1].error == text
    assert [e.lr_factor for e in listener.of(Recovered)] == [0.5, 0.25]
    assert training.progress.step == training.good.step == 12
    assert all(bool(torch.isfinite(p).all()) for p in training.model.parameters())
    assert peek(path).step == 12
    again = make(objective=ELBO(), log_every=5, validate_every=6)
    load_checkpoint(again, path)
    assert again.progress.step == 12
    assert [x["kind"] for x in read_history(tmp_path / "history.jsonl")].count("recovered") == 2


def test_no_tries_at_all(make, train):
    with pytest.raises(TrainingError, match="at step 1 the term"):
        train(planted(make, Planted((0,)), recoveries=0))


def test_a_rate_of_learning_that_overflows(make, train):
    training = always_finite(make(lr=1e30, schedule="constant"))
    initial = {k: v.clone() for k, v in training.model.state_dict().items()}
    with pytest.raises(TrainingError, match="The loss must stay finite"):
        train(training)
    for name, value in training.model.state_dict().items():
        assert torch.equal(value, initial[name]), name  # nothing better was ever reached


@pytest.mark.parametrize("stops", [(11,), (12,), (14, 1), (15, 3), (1, 1, 1, 20)])
def test_a_recovery_is_the_same_after_a_stop(make, tmp_path, same, stops):
    """Stopped before, between and after: what a run would go back to is in the checkpoint too."""

    def course(stop_after, folder):
        training = planted(make, Planted((13,), times=1), ema=0.9, validate_every=9)
        left = [stop_after]

        def requested(comms):
            left[0] -= 1
            return 2 if left[0] == 0 else 0

        training.interrupt.requested = requested
        folder.mkdir(exist_ok=True)
        if (folder / "last").exists():
            load_checkpoint(training, folder / "last")
        with forked(0):
            drive(training, [History(folder / "history.jsonl"), Checkpointer(folder / "last", 0)])
        return training

    whole = course(-1, tmp_path / "whole")
    assert whole.progress.recoveries == 1
    for steps in (*stops, -1):
        stopped = course(steps, tmp_path / "stopped")
    assert same(whole.state().flat()[1], stopped.state().flat()[1])
    assert same(whole.model.state_dict(), stopped.model.state_dict())
    histories = [
        [{k: v for k, v in x.items() if k not in ("seconds", "samples_per_second")} for x in read_history(p)]
        for p in (tmp_path / "whole" / "history.jsonl", tmp_path / "stopped" / "history.jsonl")
    ]
    assert histories[0] == histories[1]


def real(n=60, dim=4, wild=None):
    with forked(3):
        x = torch.randn(n, dim)
    if wild is not None:
        x[wild] = 1e25
    return MemoryRows(x)


def normal(dim=4):
    with forked(0):
        return Flat(
            StandardNormal(2),
            Posterior(MLPEncoder((dim,), (8,)), NormalFamily(), 2),
            Likelihood(MLPDecoder(2, (2, dim), (8,)), NormalFamily(), (dim,)),
        )


def test_the_column_is_named(make, train):
    training = make(
        model=normal(), rows=real(wild=(17, 2)), n=50, n_validation=10, columns=("age", "height", "income", "rooms"),
        recoveries=0,
    )
    with pytest.raises(TrainingError) as caught:
        train(training)
    assert "the likelihood fails at column 'income' (value 1e+25) of row" in str(caught.value)
    assert "'distortion'" in str(caught.value)


def test_the_entry_is_named_where_columns_have_no_names(make, train):
    training = make(model=normal(), rows=real(wild=(17, 2)), n=50, n_validation=10, recoveries=0, accumulate=4)
    with pytest.raises(TrainingError, match=r"at entry \(2,\) \(value 1e\+25\)"):
        train(training)


def test_the_layer_is_named(make, train):
    training = make(recoveries=0)
    calls = []

    def break_it(module, inputs, output):
        calls.append(1)
        return output * math.nan if len(calls) > 3 else output

    training.model.likelihood.decoder.register_forward_hook(break_it)
    with pytest.raises(TrainingError, match=r"the first layer with such numbers is likelihood\.decoder \(MLPDecoder\)"):
        train(training)


def test_a_parameter_is_named_and_found_before_anything_is_kept(make, train, tape):
    """An update that overflows is noticed at the next look, before a validation calls the state good."""

    def overflow(event, training):
        if isinstance(event, Started):
            stepper, count = training.steppers[0], []

            def after(*_):
                count.append(1)
                if len(count) == 6:
                    with torch.no_grad():
                        training.model.likelihood.bias.fill_(math.inf)

            after_updates(stepper, after)

    training = make(validate_every=6, log_every=100, steps=18)
    seen = train(training, tape(act=overflow))
    (recovered,) = seen.of(Recovered)
    assert (recovered.step, recovered.back_to) == (6, 0)
    assert "the parameter likelihood.bias is not finite itself" in recovered.explanation
    assert seen.of(Finished)[0].step == 18
    assert all(math.isfinite(e.metrics["loss"]) for e in seen.of(Validated))


def test_a_gradient_is_named(make, train):
    @dataclass(frozen=True)
    class Root(Objective):
        def __call__(self, model, batch, step):
            terms = ELBO()(model, batch, step)
            zero = (0 * model.likelihood.bias).sum().sqrt()  # 0, with an infinite slope
            return Terms(terms.loss + zero, terms.parts, terms.watch)

    with pytest.raises(TrainingError, match=r"the loss is finite but the gradient of likelihood\.bias is not"):
        train(make(objective=Root(), recoveries=0))


def test_the_failed_step_is_found_when_only_looks_are_checked(make, train):
    """As on a device that is not asked after every step: nothing moves after the failure, and the step is right."""
    training = planted(make, Planted((7,), times=1), validate_every=20, log_every=20, schedule="constant")
    taken = []
    stepper = training.steppers[0]
    update = stepper._update
    stepper._update = lambda fine: (taken.append(bool(fine)), update(fine))

    class Lazy(type(training.meter)):
        def failed(self):
            return super().failed() if self.rows >= 16 * 12 else False

    training.meter.__class__ = Lazy
    (recovered,) = train(training).of(Recovered)
    assert recovered.step == 8
    first = taken[: taken.index(False) + 1]
    assert len(first) == 8
    assert not any(taken[7 : len(taken) - 20])


def test_what_the_reader_says_about_a_broken_file_is_not_hidden(make, train, make_rows):
    class Broken:
        rows, taken = make_rows(90), 0

        def __len__(self):
            return 90

        def take(self, index):
            self.taken += 1
            if self.taken > 5:
                raise InputError("file 7 is gone")
            return self.rows.take(index)

    with pytest.raises(InputError, match="file 7"):
        train(make(rows=Broken(), in_memory=False))


def test_a_validation_that_is_not_finite_is_never_the_best(make, train, tmp_path):
    rows = real(n=60)
    rows._x[np.arange(50, 60), 1] = 1e25
    training = make(model=normal(), rows=rows, n=50, n_validation=10, validate_every=5)
    seen = train(training, History(tmp_path / "history.jsonl"))
    assert not any(e.best for e in seen.of(Validated))
    assert seen.of(Finished)[0].best_step == 0
    assert all(bool(torch.isfinite(p).all()) for p in training.model.parameters())
    text = (tmp_path / "history.jsonl").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert [x["loss"] for x in read_history(tmp_path / "history.jsonl") if x["kind"] == "validation"] == [None] * 4
