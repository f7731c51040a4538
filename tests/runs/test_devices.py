"""Two processes train as one: same numbers, same decisions, same errors.

Sums over rows are taken in another order (within a process first, then over processes), so that numbers agree to
single precision and not to the last bit.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from senzai.core.errors import InputError, OutputError, SettingError, TrainingError
from senzai.runs import fit
from senzai.runs.training import launch
from senzai.runs.training.parcel import PREFIX, pack, parcel_folder, unpack
from senzai.training.bundle import CHECKPOINT
from senzai.training.checkpoint import load_tensors, peek
from senzai.training.feed import FeedPlan
from senzai.training.listeners import read_history
from senzai.training.lock import LOCK

ROWS = np.random.default_rng(0).normal(size=(203, 5)).astype(np.float32)
SETTINGS = {
    "steps": 30, "batch_size": 16, "accumulate": 2, "lr": 0.02, "log_every": 4, "validate_every": 7, "hidden": [8],
    "n_latent": 2, "schedule": "constant", "ema": 0.9, "clip": 1.0, "patience": 3,
}


@pytest.fixture
def quiet(monkeypatch):
    """Let workers use one thread, and keep their warnings out of the output."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")


@pytest.mark.parametrize("shard_model", [False, True])
def test_two_devices_give_the_numbers_of_one(tmp_path, quiet, shard_model):
    frame = pd.DataFrame(ROWS, columns=list("abcde"))  # 163 rows train: the last batch of an epoch has three
    one = fit(frame, settings=SETTINGS, out=tmp_path / "one")
    two = fit(frame, settings={**SETTINGS, "shard_model": shard_model}, out=tmp_path / "two", devices=2)
    for (name, a), b in zip(one.model.state_dict().items(), two.model.state_dict().values(), strict=True):
        torch.testing.assert_close(b, a, rtol=1e-5, atol=1e-6, msg=name)
    assert isinstance(two.encode(frame), pd.DataFrame)
    assert two.spec.source == one.spec.source == "a DataFrame in memory"
    first, second = one.metrics["fit"], two.metrics["fit"]
    assert first["best_step"] == second["best_step"]
    assert first["sampler"]["chosen"] == second["sampler"]["chosen"]
    assert first["early_stopped"] == second["early_stopped"]
    assert first["validation_elbo"] == pytest.approx(second["validation_elbo"], rel=1e-6)
    files = [load_tensors(tmp_path / name / CHECKPOINT)[0] for name in ("one", "two")]  # whole ones, whoever trained
    assert {k: v.shape for k, v in files[0].items()} == {k: v.shape for k, v in files[1].items()}
    a, b = (read_history(tmp_path / name / "history.jsonl") for name in ("one", "two"))
    assert [(x["kind"], x["step"], x.get("best")) for x in a] == [(x["kind"], x["step"], x.get("best")) for x in b]
    for x, y in zip(a, b, strict=True):
        for name in ("loss", "rate", "distortion", "grad_norm"):
            assert x.get(name, 0) == pytest.approx(y.get(name, 0), rel=1e-5), (x["step"], name)


def test_the_error_of_a_worker_comes_back_as_its_own_class(tmp_path, quiet):
    with pytest.raises(TrainingError, match="The loss must stay finite") as caught:
        fit(ROWS, settings={**SETTINGS, "lr": 1e30, "recoveries": 0, "clip": None}, out=tmp_path / "run", devices=2)
    assert caught.value.exit_code == 1


LONG = """
import sys, numpy as np
from senzai.runs import RunInterrupted, fit
if __name__ == "__main__":
    x = np.random.default_rng(0).normal(size=(203, 5)).astype(np.float32)
    try:
        fit(x, steps=10**6, hidden=[8], n_latent=2, batch_size=16, log_every=5, checkpoint_seconds=1e6, out=sys.argv[1],
            devices=2)
    except RunInterrupted as err:
        sys.exit(err.exit_code)
"""


def test_a_signal_to_the_parent_lets_all_processes_save(tmp_path):
    script, run = tmp_path / "long.py", tmp_path / "run"
    script.write_text(LONG)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", script, run], env=environment, stderr=subprocess.PIPE, text=True
    ) as parent:
        while not read_history(run / "history.jsonl") and parent.poll() is None:
            time.sleep(0.05)
        parent.send_signal(signal.SIGTERM)
        told = parent.communicate(timeout=1800)
    assert parent.returncode == 143, told
    at = peek(run / CHECKPOINT)
    assert at.step >= read_history(run / "history.jsonl")[-1]["step"] > 0
    assert not at.done


def test_what_can_be_said_at_once_is(tmp_path):
    with pytest.raises(SettingError, match="needs a folder"):
        fit(ROWS, devices=2)
    with pytest.raises(SettingError, match="Did you mean 'batch_size'"):
        fit(ROWS, out=tmp_path / "run", devices=2, batch_sise=3)
    assert not (tmp_path / "run").exists()


PAIR = """
import json, os, sys
import numpy as np, torch
from senzai.core.random import forked
from senzai.runs.fit import make
from senzai.data import open_data
from senzai.training.comms import process_group
from senzai.training.events import Progressed
from senzai.training.listeners import drive
from senzai.training.loop import Training
from senzai.training.settings import TrainSettings
from senzai.runs.training.feeds import feeds

x = np.random.default_rng(0).normal(size=(203, 5)).astype(np.float32)
found = {}
with process_group() as comms:
    data = open_data(x)
    def training(**more):
        model, objective = make("vae", data, {"hidden": [8], "n_latent": 2}, 0)
        s = TrainSettings.parse({"steps": 12, "batch_size": 16, "lr": 0.01, "log_every": 5, **more})
        train, held = feeds(data, s, torch.device("cpu"), comms)
        return Training(model, objective, train, s, validation=held, comms=comms, columns=list("abcde"))
    t = training(recoveries=1)
    if comms.rank == 1:  # one process alone sees it
        calls = []
        broken = lambda module, inputs, output: output * float("nan") if calls.append(1) or len(calls) > 3 else output
        t.model.likelihood.decoder.register_forward_hook(broken)
    try:
        with forked(0):
            drive(t, [])
    except Exception as err:
        found["error"] = [type(err).__name__, str(err)]
    t = training(validate_every=3)
    class Stop:
        def on(self, event, training):
            if isinstance(event, Progressed) and event.step == 5 and comms.rank == 1:
                training.interrupt.signal = 15  # one process alone hears of it
    with forked(0):
        last = drive(t, [Stop()])
    found["last"] = [type(last).__name__, last.step, last.signal]
    found["meter"] = [t.meter.rows, len(t.meter.seen)]
    found["weights"] = sum(float(p.double().sum()) for p in t.model.parameters())
    found["best"] = [t.progress.best_step, t.progress.best_loss]
print(json.dumps(found))
"""


def run_pair(script):
    """Run two processes that find each other at a free port; return their exit codes and what they wrote."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {
        **os.environ, "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
    }
    both = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", script], env={**shared, "RANK": str(rank)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    out = [p.communicate(timeout=1800) for p in both]
    return [p.returncode for p in both], out


def test_two_processes_agree_on_everything(tmp_path):
    script = tmp_path / "pair.py"
    script.write_text(PAIR)
    codes, out = run_pair(script)
    if any("EADDRINUSE" in err or "in use" in err for _, err in out):  # somebody else took the port in between
        codes, out = run_pair(script)
    assert codes == [0, 0], out
    first, second = (json.loads(o[0]) for o in out)
    kind, text = first["error"]  # it happened in one process's share, and both know
    assert kind == "TrainingError"
    assert "the first layer with such numbers is likelihood.decoder (MLPDecoder)" in text
    assert second["error"] == first["error"]
    assert first["last"] == second["last"] == ["Interrupted", 5, 15]
    assert first["weights"] == second["weights"]
    assert first["best"] == second["best"]
    assert first["best"][0] == 3
    assert first["meter"] == second["meter"] == [0, 0]  # a look came with the last step


@pytest.mark.parametrize(
    "data",
    [
        ROWS, torch.from_numpy(ROWS), pd.DataFrame(ROWS, columns=list("abcde"), index=range(7, 210)),
        ROWS[:3].tolist(), (ROWS, np.arange(203)), (ROWS, [str(i) for i in range(203)]), "digits", Path("a.csv"), None,
    ],
    ids=["array", "tensor", "frame", "list", "pair", "strings", "name", "path", "nothing"],
)
def test_data_in_memory_reach_other_processes(tmp_path, data):
    note = json.loads(json.dumps(pack(data, tmp_path)))
    back = unpack(note)

    def assert_equal(a, b):
        if isinstance(a, Path):
            a = str(a)
        assert type(a) is type(b)
        if isinstance(a, tuple):
            for x, y in zip(a, b, strict=True):
                assert_equal(x, y)
        elif isinstance(a, pd.DataFrame):
            pd.testing.assert_frame_equal(a, b)
        else:
            assert np.array_equal(a, b)

    assert_equal(data, back)


def test_what_cannot_be_sent_is_refused(tmp_path):
    with pytest.raises(SettingError, match="Give an array, a tensor, a DataFrame or the path"):
        pack(object(), tmp_path)
    with pytest.raises(SettingError, match="but got a list"):
        pack([{"a": 1}], tmp_path)


def test_a_batch_smaller_than_the_devices_is_refused():
    with pytest.raises(SettingError, match="use fewer devices"):
        FeedPlan(100, 1, 0, least=2)
    with pytest.raises(InputError):
        FeedPlan(1, 1, 0, least=2)


def test_parcels_that_a_kill_left_go_with_the_next_start(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with parcel_folder() as (alive, _):
        pack(ROWS, alive)
        dead = tmp_path / f"{PREFIX}dead"
        dead.mkdir()
        (dead / LOCK).touch()
        pack(ROWS, dead)
        mine = tmp_path / f"{PREFIX}mine"  # somebody else's idea of a name
        mine.mkdir()
        with parcel_folder() as (own, _):
            assert own.is_dir()
        assert not own.exists()
        assert not dead.exists()
        assert alive.is_dir()
        assert mine.is_dir()
    assert not alive.exists()


KILLED = """
import os, signal, sys, numpy as np
from senzai.runs import RunInterrupted, fit
from senzai.runs.training import launch
def dying(request, devices, restarts, passed, held):
    os.kill(os.getpid(), int(sys.argv[2]))
    return -15
launch._torchrun = dying
try:
    fit(np.zeros((203, 5), dtype=np.float32), out=sys.argv[1], devices=2)
except RunInterrupted as err:
    sys.exit(err.exit_code)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_nothing_stays_in_the_temporary_folder_after_a_signal(tmp_path, monkeypatch, number, code):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path / "run"), str(int(number))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == code, done.stderr
    assert bool(list(tmp_path.glob(f"{PREFIX}*"))) == (number == signal.SIGKILL)  # nobody can clean up after that ...
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with parcel_folder():
        pass
    assert list(tmp_path.glob(f"{PREFIX}*")) == []  # ... but the next one does


def test_a_run_that_exists_is_refused_before_any_process_starts(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(launch, "_torchrun", None)
    with pytest.raises(OutputError, match="does not exist yet"):
        fit(ROWS, out=tmp_path / "run", devices=2)
