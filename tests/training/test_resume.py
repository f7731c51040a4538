"""A run that was stopped and resumed ends with the very weights and history of one that never was."""

from __future__ import annotations

import itertools
import os
import shutil
import signal

import pytest
import torch

from senzai.core.errors import BundleError, OutputError
from senzai.core.files import replacing, replacing_folder, write_json
from senzai.core.random import forked
from senzai.objectives import ELBO, LinearWarmup
from senzai.training.checkpoint import load_checkpoint, load_tensors, peek, save_checkpoint, save_tensors
from senzai.training.events import Finished, Interrupted, Progressed, Started, Validated
from senzai.training.listeners import Checkpointer, EarlyStopping, History, drive, keep_until, read_history
from senzai.training.signals import Interrupt

EVERYTHING = {
    "steps": 45, "ema": 0.9, "schedule": "plateau", "accumulate": 2, "lr_warmup": 5, "dropout": 0.2, "clip": 1.0,
    "weight_decay": 0.01, "log_every": 7, "validate_every": 4, "in_memory": False, "lr": 0.3,
    "objective": ELBO(warmup=LinearWarmup(6)),
}
CLOCK = ("seconds", "samples_per_second")


def timeless(lines):
    return [{k: v for k, v in line.items() if k not in CLOCK} for line in lines]


def course(training, folder, *listeners):
    """Train with a history and a checkpoint in ``folder``; go on where that one stands."""
    path = folder / "last.safetensors"
    if path.is_file():
        load_checkpoint(training, path)
    with forked(training.settings.seed), training.interrupt.installed():
        return drive(training, [History(folder / "history.jsonl"), Checkpointer(path, 0), *listeners])


def outcome(training, folder):
    now = training.state()
    facts = {k: v for k, v in training.facts().items() if k not in CLOCK}
    tensors = {f"final/{k}": v for k, v in training.model.state_dict().items()} | now.flat()[1]
    return tensors, facts, timeless(read_history(folder / "history.jsonl"))


def assert_same(a, b):
    assert a[2] == b[2]
    assert a[1] == b[1]
    assert a[0].keys() == b[0].keys()
    assert not [k for k in a[0] if not torch.equal(a[0][k], b[0][k])]


@pytest.fixture(scope="module")
def never_stopped(make, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    training = make(**EVERYTHING)
    course(training, folder)
    found = outcome(training, folder)
    assert found[1]["plateau"] < 1  # the schedule did act
    assert 0 < found[1]["best_step"] < 45
    return found


class Counting(Interrupt):
    """Interrupts after a number of steps."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def requested(self, comms):
        self.left -= 1
        return signal.SIGTERM if self.left == 0 else 0


@pytest.mark.parametrize("stops", [(1,), (7, 4, 1), (45,), (5, 5, 5, 5, 5, 5, 5, 5, 5), (28, 16)])
def test_stopped_anywhere(make, tmp_path, never_stopped, stops):
    """A sum of what is measured since the last look, the validations without improvement, … all survive."""
    for steps in stops:
        training = make(**EVERYTHING, interrupt=Counting(steps))
        last = course(training, tmp_path)
        assert isinstance(last, Interrupted)
        assert last.signal == signal.SIGTERM
    training = make(**EVERYTHING)
    assert isinstance(course(training, tmp_path), Finished)
    assert_same(outcome(training, tmp_path), never_stopped)


@pytest.mark.parametrize("kind", [Started, Progressed, Validated])
def test_an_error_in_the_middle_of_a_step_s_events_loses_nothing(make, tmp_path, never_stopped, kind):
    """As a kill between two events of one step: what was not saved is done again, in the file too."""
    for at in (0, 28) if kind is not Started else (0,):

        class Crash:
            def __init__(self, at):
                self.at = at

            def on(self, event, training):
                if isinstance(event, kind) and event.step >= self.at:
                    raise RuntimeError("power cut")

        with pytest.raises(RuntimeError, match="power cut"):
            course(make(**EVERYTHING), tmp_path, Crash(at))
    training = make(**EVERYTHING)
    course(training, tmp_path)
    assert_same(outcome(training, tmp_path), never_stopped)


def test_every_checkpoint_of_a_run_leads_to_the_same_end(make, tmp_path, never_stopped):
    copies = itertools.count()

    class Copy:
        def on(self, event, training):
            if (tmp_path / "last.safetensors").is_file():
                folder = tmp_path / str(next(copies))
                folder.mkdir()
                for name in ("last.safetensors", "history.jsonl"):
                    if (tmp_path / name).is_file():
                        shutil.copy(tmp_path / name, folder)

    course(make(**EVERYTHING), tmp_path, Copy())
    for i in range(0, next(copies), 7):
        training = make(**EVERYTHING)
        course(training, tmp_path / str(i))
        assert_same(outcome(training, tmp_path / str(i)), never_stopped)


def test_a_run_that_stopped_early_goes_on_from_its_last_weights_not_its_best(make, tmp_path):
    settings = {**EVERYTHING, "schedule": "constant", "steps": 60}
    (tmp_path / "whole").mkdir()
    whole = make(**settings)
    course(whole, tmp_path / "whole")
    training = make(**settings)
    last = course(training, tmp_path, EarlyStopping(2))
    assert last.early
    assert last.best_step < last.step < 60
    assert peek(tmp_path / "last.safetensors").done
    again = make(**settings)
    assert course(again, tmp_path).step == 60
    assert_same(outcome(again, tmp_path), outcome(whole, tmp_path / "whole"))


def test_a_finished_run_that_is_resumed_is_finished_again(make, tmp_path, never_stopped):
    course(make(**EVERYTHING), tmp_path)
    training = make(**EVERYTHING)
    course(training, tmp_path)
    assert_same(outcome(training, tmp_path), never_stopped)


def test_time_adds_up_over_a_stop(make, tmp_path):
    course(make(interrupt=Counting(5)), tmp_path)
    spent = peek(tmp_path / "last.safetensors").seconds
    assert spent > 0
    assert course(make(), tmp_path).seconds > spent


# --- signals ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_step(make, tmp_path, number):
    before = signal.getsignal(number)

    class Kill:
        def on(self, event, training):
            if isinstance(event, Progressed) and event.step == 7:
                os.kill(os.getpid(), number)

    training = make(log_every=7)
    last = course(training, tmp_path, Kill())
    assert last == Interrupted(7, number)
    assert peek(tmp_path / "last.safetensors").step == 7
    assert signal.getsignal(number) is before
    whole, resumed = make(log_every=7), make(log_every=7)
    (tmp_path / "whole").mkdir()
    course(whole, tmp_path / "whole")
    course(resumed, tmp_path)
    assert_same(outcome(resumed, tmp_path), outcome(whole, tmp_path / "whole"))


def test_a_second_signal_acts_at_once(make):
    training = make()

    class Twice:
        def on(self, event, training):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), training.interrupt.installed():
        drive(training, [Twice()])


# --- files ------------------------------------------------------------------------------------------------------------
def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "a.json"
    write_json(target, {"old": 1})

    def crash(place):
        with replacing(place) as tmp:
            tmp.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crash(target)
    assert target.read_text() == '{\n  "old": 1\n}\n'
    assert list(tmp_path.iterdir()) == [target]
    monkeypatch.setattr(type(target), "replace", lambda *a: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OutputError, match="No space left"):
        write_json(target, {"new": 2})
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(target, {"new": float("nan")})
    assert "old" in target.read_text()


def test_a_crash_while_writing_a_folder_leaves_none(tmp_path):
    def crash(place):
        with replacing_folder(place) as tmp:
            (tmp / "spec.json").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crash(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").touch()
    with pytest.raises(OutputError), replacing_folder(tmp_path / "run"):
        pass
    assert (tmp_path / "run" / "mine").is_file()


def test_leftovers_of_a_kill_are_ignored(make, tmp_path):
    course(make(interrupt=Counting(5)), tmp_path)
    (tmp_path / ".last.safetensors.0badcafe.tmp").write_bytes(b"half a checkpoint")
    (tmp_path / ".history.jsonl.0badcafe.tmp").write_text('{"kind": "tra')
    training = make()
    assert course(training, tmp_path).step == 20


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_a_damaged_checkpoint_is_named(make, tmp_path, keep):
    path = tmp_path / "last.safetensors"
    course(make(interrupt=Counting(5)), tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BundleError, match=r"last\.safetensors"):
        load_checkpoint(make(), path)
    with pytest.raises(BundleError, match=r"last\.safetensors"):
        peek(path) if keep != -1 else load_tensors(path)


def test_a_checkpoint_of_something_else_is_refused(make, make_model, tmp_path):
    path = tmp_path / "last.safetensors"
    save_checkpoint(make(), path)
    with pytest.raises(BundleError, match="must belong to the model"):
        load_checkpoint(make(model=make_model(dim=5), rows=None), path)
    save_tensors(path, {"a": torch.zeros(1)}, {"format": "senzai-checkpoint-99"})
    with pytest.raises(BundleError, match="senzai-checkpoint-99"):
        load_checkpoint(make(), path)
    with pytest.raises(BundleError, match="there is none"):
        load_checkpoint(make(), tmp_path / "nothing.safetensors")


def test_a_history_is_cut_where_a_resume_begins(tmp_path):
    path = tmp_path / "history.jsonl"
    lines = ['{"kind": "train", "step": 5}', '{"kind": "train", "step": 10}', '{"kind": "train", "st']
    path.write_text("\n".join(lines))
    assert [x["step"] for x in read_history(path)] == [5, 10]
    keep_until(path, 7)
    assert path.read_text() == lines[0] + "\n"
    keep_until(tmp_path / "none.jsonl", 3)
    assert not (tmp_path / "none.jsonl").exists()


def test_a_history_is_cut_by_recoveries_too(tmp_path):
    path = tmp_path / "history.jsonl"
    lines = [
        '{"kind": "train", "step": 10}', '{"kind": "train", "step": 20}', '{"kind": "train", "step": 30}',
        '{"kind": "recovered", "step": 33, "back_to": 20}', '{"kind": "train", "step": 30}',
    ]
    path.write_text("\n".join(lines) + "\n")
    assert [(x["kind"], x["step"]) for x in read_history(path)] == [
        ("train", 10), ("train", 20), ("recovered", 33), ("train", 30),
    ]
    keep_until(path, 25, recoveries=1)  # a checkpoint made after the recovery, before step 30 came again
    assert path.read_text().splitlines() == lines[:4]
    keep_until(path, 25, recoveries=0)  # one made before
    assert path.read_text().splitlines() == lines[:2]
