"""The folder of a run: what replaces it and when, who may train in it, and what is left when it is stopped or goes."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from senzai.core.errors import BundleError, OutputError, RunInterrupted, SettingError, TrainingError
from senzai.runs import fit, load, resume
from senzai.training import bundle
from senzai.training.comms import Comms
from senzai.training.events import Progressed, Reached, Started
from senzai.training.listeners import read_history
from senzai.training.lock import LOCK, attempt, take
from senzai.training.places import MOVING, NEW, OWN, settle
from senzai.training.signals import Interrupt

SMALL = {"steps": 6, "hidden": [8], "n_latent": 2, "batch_size": 16, "log_every": 2, "validate_every": 2}
REAL = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)


class At:
    """Does something when an event of a step comes."""

    def __init__(self, step, do, kind=Progressed):
        self.step, self.do, self.kind = step, do, kind

    def on(self, event, training):
        if isinstance(event, self.kind) and event.step == self.step:
            self.do(training)


def stop(training, number=15):
    training.interrupt.signal = number


def bits(path):
    return {k: v.clone() for k, v in load(path).model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def listing(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def timeless(folder):
    clock = ("seconds", "samples_per_second")
    return [{k: v for k, v in line.items() if k not in clock} for line in read_history(folder / bundle.HISTORY)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two finished runs: the old one has a sampler and a report, which the new one has not."""
    top = tmp_path_factory.mktemp("made")
    fit(REAL, settings={**SMALL, "seed": 1, "sampler": "mixture"}, out=top / "old")
    (top / "old" / "report.html").write_text("about the old run")
    fit(REAL, settings=SMALL, out=top / "new")
    return top


@pytest.fixture
def old(made, tmp_path):
    """A copy of the old run, with a file of the user's in its folder."""
    folder = shutil.copytree(made / "old", tmp_path / "run")
    (folder / "notes.txt").write_text("mine")
    (folder / "checkpoints" / "mine.txt").write_text("mine")
    return folder


def assert_replaced(folder, made):
    """The new run is in the folder, whole, with the user's files and nothing else."""
    assert same(bits(folder), bits(made / "new"))
    assert load(folder).spec.settings == load(made / "new").spec.settings
    assert timeless(folder) == timeless(made / "new")
    assert listing(folder) == sorted([*listing(made / "new"), "checkpoints/mine.txt", "notes.txt"])
    assert not [p for p in folder.iterdir() if p.name.startswith(".")]


# --- replacing --------------------------------------------------------------------------------------------------------
def test_the_files_of_a_run_are_known(made):
    for name in ("old", "new"):
        assert set(listing(made / name)) <= set(OWN)


def test_overwriting_replaces_the_run_and_nothing_else(old, made):
    seen = []
    look = At(4, lambda t: seen.append(bits(old)))
    run = fit(REAL, settings=SMALL, out=old, overwrite=True, listeners=[look])
    assert same(seen[0], bits(made / "old"))  # while the new one trains
    assert run.folder == old
    assert run.metrics["fit"]["out"] == str(old)
    assert_replaced(old, made)


def test_data_in_the_run_s_own_folder_are_read_and_kept(tmp_path):
    folder = tmp_path / "run"
    frame = pd.DataFrame(REAL, columns=list("abcd"))
    fit(frame, settings=SMALL, out=folder)
    frame.to_csv(folder / "mine.csv", index=False)
    for more in ({}, {"in_memory": False}):
        run = fit(folder / "mine.csv", settings={**SMALL, **more}, out=folder, overwrite=True)
        assert (folder / "mine.csv").exists()
        assert run.spec.source == str(folder / "mine.csv")


@pytest.mark.parametrize("how", ["unknown part", "loss", "listener"])
def test_a_fit_that_fails_leaves_the_old_run(old, made, how):
    before = listing(old)

    def fail(training):
        raise ZeroDivisionError

    more, error, told = {
        "unknown part": ({"prior": "no-such-prior"}, Exception, []),
        "loss": ({"lr": 1e30, "recoveries": 0, "clip": None}, TrainingError, []),
        "listener": ({}, ZeroDivisionError, [At(0, fail, Started)]),
    }[how]
    with pytest.raises(error):
        fit(REAL, settings={**SMALL, **more}, out=old, overwrite=True, listeners=told)
    assert same(bits(old), bits(made / "old"))
    assert [n for n in listing(old) if not n.startswith(NEW)] == before
    assert how == "listener" or listing(old) == before


def test_a_stopped_replacement_goes_on_while_the_old_run_stays(old, made):
    with pytest.raises(RunInterrupted, match=r"senzai resume .*Until it is finished, .* that was there before"):
        fit(REAL, settings=SMALL, out=old, overwrite=True, listeners=[At(4, stop)])
    assert same(bits(old), bits(made / "old"))
    assert load(old).samplers.chosen == "mixture"
    resume(old, data=REAL)
    assert_replaced(old, made)


def test_a_stopped_replacement_is_replaced_by_the_next(old, made):
    with pytest.raises(RunInterrupted):
        fit(REAL, settings={**SMALL, "seed": 5}, out=old, overwrite=True, listeners=[At(4, stop)])
    fit(REAL, settings=SMALL, out=old, overwrite=True)
    assert_replaced(old, made)


class Killed(BaseException):
    """What a kill is to a process: nothing that follows touches the disk."""


def kill_at(patch, n):
    """Let the process die before its n-th change to what is in folders; return what counts them."""
    count = [0]

    def dying(real):
        def call(*args, **kwargs):
            count[0] += 1
            if count[0] > n:
                raise Killed
            return real(*args, **kwargs)

        return call

    for name in ("rename", "replace", "unlink", "mkdir", "rmdir"):
        patch.setattr(os, name, dying(getattr(os, name)))
    return count


def test_a_replacement_that_dies_anywhere_is_finished_by_the_next_who_looks(made, old, tmp_path, monkeypatch):
    """A run is loaded whole after a death before any rename or removal, and nothing is left over."""
    shutil.copytree(made / "new", old / NEW)
    for n in range(100):
        folder = shutil.copytree(old, tmp_path / f"copy{n}")
        with monkeypatch.context() as patch:
            kill_at(patch, n)
            try:
                settle(folder)
                died = False
            except Killed:
                died = True
        assert same(bits(folder), bits(made / "new"))
        if not died:
            break
        assert_replaced_or_tidied(folder, made)
    assert n > len(listing(made / "new"))


def assert_replaced_or_tidied(folder, made):
    with pytest.raises(BundleError, match="is finished"):
        resume(folder, data=REAL)  # tidies up
    assert_replaced(folder, made)


def test_the_next_fit_finishes_a_replacement_before_its_own(made, old):
    shutil.copytree(made / "new", old / NEW)
    shutil.copytree(made / "old", old / "copy")
    with pytest.raises(RunInterrupted):
        fit(REAL, settings={**SMALL, "seed": 9}, out=old, overwrite=True, listeners=[At(4, stop)])
    assert same(bits(old), bits(made / "new"))
    assert (old / NEW / bundle.CHECKPOINT).is_file()
    assert not (old / MOVING).exists()


def test_what_a_kill_left_half_written_goes_with_the_next_start(old, made):
    left = [
        old / ".weights.safetensors.0123abcd.tmp", old / "checkpoints" / ".last.safetensors.0123abcd.tmp",
        old / f".{NEW}.0123abcd.tmp" / "spec.json", old / NEW / ".history.jsonl.0123abcd.tmp",
    ]
    others = [old / ".mine.0123abcd.tmp", old / ".metrics.json.0123abcd.tmp"]  # somebody may be evaluating just now
    for file in (*left, *others):
        file.parent.mkdir(exist_ok=True)
        file.write_text("half")
    with pytest.raises(BundleError, match="is finished"):
        resume(old, data=REAL)
    assert [p for p in left if p.exists()] == []
    assert all(p.exists() for p in others)


def test_what_a_kill_left_of_a_new_folder_goes_with_the_next_start(tmp_path):
    dead, alive = tmp_path / ".run.00000000.tmp", tmp_path / ".run.11111111.tmp"
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "spec.json").touch()
    lock = take(alive)
    fit(REAL, settings=SMALL, out=tmp_path / "run")
    lock.release()
    assert not dead.exists()
    assert alive.exists()


# --- locks ------------------------------------------------------------------------------------------------------------
def test_one_at_a_time_trains_in_a_folder(old, made, tmp_path):
    told = []

    def second(training):
        for do in (
            lambda: fit(REAL, settings=SMALL, out=old, overwrite=True),
            lambda: resume(old, data=REAL),
        ):
            with pytest.raises(OutputError, match=f"process {os.getpid()} on .* is training") as caught:
                do()
            told.append(caught.value.exit_code)

    fit(REAL, settings=SMALL, out=old, overwrite=True, listeners=[At(4, second)])
    assert told == [2, 2]
    assert_replaced(old, made)
    fresh = tmp_path / "fresh"
    old = fresh
    fit(REAL, settings=SMALL, out=fresh, listeners=[At(4, second)])
    assert told == [2, 2, 2, 2]
    assert timeless(fresh) == timeless(made / "new")


HOLD = """
import sys
from pathlib import Path
from senzai.training.lock import take
lock = take(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_ends_with_its_process_even_if_that_is_killed(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match=f"process {process.pid} on"):
            take(tmp_path)
        process.kill()
    assert (tmp_path / LOCK).exists()
    lock = take(tmp_path)
    assert lock.held()
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_was_taken_away_is_not_held_twice(tmp_path):
    first = take(tmp_path)
    (tmp_path / LOCK).unlink()
    assert not first.held()
    second = take(tmp_path)
    assert second.held()
    first.release()
    assert second.held()  # what is another's stays
    assert attempt(tmp_path) is None
    second.release()


@pytest.mark.parametrize("mask", [0o000, 0o022])
def test_a_lock_file_can_be_opened_by_all_whom_the_umask_lets(tmp_path, mask):
    before = os.umask(mask)
    try:
        lock = take(tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / LOCK).stat().st_mode & 0o777 == 0o666 & ~mask
    lock.release()


# --- a folder that goes -----------------------------------------------------------------------------------------------
def test_a_folder_that_is_removed_ends_the_run_and_its_state_is_kept_beside(tmp_path, made):
    run = tmp_path / "run"
    with pytest.raises(TrainingError, match="removed or renamed") as caught:
        fit(REAL, settings=SMALL, out=run, listeners=[At(2, lambda t: shutil.rmtree(run), Reached)])
    assert caught.value.exit_code == 1
    assert "senzai resume" in str(caught.value)
    assert not run.exists()
    resume(tmp_path / "run-rescued", data=REAL)
    assert same(bits(tmp_path / "run-rescued"), bits(made / "new"))


def test_a_run_does_not_write_into_another_that_took_its_place(tmp_path, made):
    run = tmp_path / "run"

    def swap(training):
        run.rename(tmp_path / "away")
        shutil.copytree(made / "old", run)

    with pytest.raises(TrainingError, match="removed or renamed"):
        fit(REAL, settings=SMALL, out=run, listeners=[At(2, swap, Progressed)])
    assert listing(run) == listing(made / "old")
    for name in listing(run):
        assert (run / name).read_bytes() == (made / "old" / name).read_bytes()
    assert not (run / LOCK).exists()
    assert resume(tmp_path / "away", data=REAL).metrics["fit"]["steps"] == 6


def test_a_folder_that_goes_when_all_is_trained_loses_nothing(tmp_path, made, monkeypatch):
    from senzai.runs.training import train

    run, real = tmp_path / "run", train.after_fit

    def gone(*args):
        shutil.rmtree(run)
        return real(*args)

    monkeypatch.setattr(train, "after_fit", gone)
    with pytest.raises(TrainingError, match="removed or renamed"):
        fit(REAL, settings=SMALL, out=run)
    monkeypatch.undo()
    resume(tmp_path / "run-rescued", data=REAL)
    assert same(bits(tmp_path / "run-rescued"), bits(made / "new"))


def test_a_state_that_cannot_be_rescued_is_said_to_be_lost(tmp_path):
    top = tmp_path / "top"

    def replace(training):
        shutil.rmtree(top)
        top.touch()  # nothing can be written there

    top.mkdir()
    with pytest.raises(TrainingError, match="is lost, because"):
        fit(REAL, settings=SMALL, out=top / "run", listeners=[At(2, replace, Reached)])


def test_a_fit_that_fails_at_once_leaves_no_folder(tmp_path):
    with pytest.raises(SettingError, match="must finish during training"):
        fit(REAL, settings={**SMALL, "warmup": "linear", "warmup.steps": 7}, out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_last_good_state(tmp_path, made):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(training):
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, hard))  # a write beyond this fails as on a full disk

    settings = {**SMALL, "checkpoint_seconds": 0}
    try:
        with pytest.raises(OutputError, match="Free some space"):
            fit(REAL, settings=settings, out=tmp_path / "run", listeners=[At(2, fill, Reached)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    resume(tmp_path / "run", data=REAL)
    assert same(bits(tmp_path / "run"), bits(made / "new"))


# --- signals ----------------------------------------------------------------------------------------------------------
def test_a_loop_that_catches_errors_ends_with_a_signal():
    begun = []
    with pytest.raises(KeyboardInterrupt) as caught:  # noqa: PT012  # the loop is what is tested
        for i in range(3):
            begun.append(i)
            try:
                fit(REAL, settings=SMALL, listeners=[At(2, stop)])
            except Exception:
                continue
    assert begun == [0]
    assert isinstance(caught.value, RunInterrupted)
    assert caught.value.exit_code == 143


def test_a_signal_that_came_too_late_to_stop_training_acts_afterwards():
    came = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        late = At(6, lambda t: signal.raise_signal(signal.SIGTERM), Reached)
        fit(REAL, settings={**SMALL, "patience": 1}, listeners=[late, At(6, lambda t: setattr(t, "stop_early", True))])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert came == [15]


def test_a_second_signal_ends_at_once_with_its_own_code():
    with pytest.raises(RunInterrupted) as caught, Interrupt().installed() as interrupt:  # noqa: PT012  # both signals
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.requested(Comms()) == 15
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.exit_code == 143


def test_a_run_saved_from_memory_says_that_it_cannot_be_resumed(tmp_path):
    fit(REAL, settings=SMALL).save(tmp_path / "run")
    before = bits(tmp_path / "run")
    with pytest.raises(BundleError, match="saved from memory"):
        resume(tmp_path / "run", data=REAL, steps=12)
    assert same(bits(tmp_path / "run"), before)
    assert json.loads((tmp_path / "run" / "spec.json").read_text())["training"]["steps"] == 6


def test_a_database_is_found_again(tmp_path):
    import sqlite3

    with sqlite3.connect(tmp_path / "shop.db") as base:
        pd.DataFrame(REAL, columns=list("abcd")).to_sql("sales", base, index=False)
    base.close()
    for i, source in enumerate((str(tmp_path / "shop.db"), f"sqlite:///{tmp_path / 'shop.db'}")):
        with pytest.raises(RunInterrupted):
            fit(source, settings={**SMALL, "table": "sales"}, out=tmp_path / f"run{i}", listeners=[At(2, stop)])
        assert resume(tmp_path / f"run{i}").metrics["fit"]["steps"] == 6
    assert Path(load(tmp_path / "run0").spec.source).exists()
