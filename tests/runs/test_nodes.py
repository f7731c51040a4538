"""Two machines train as one, and a job whose worker was killed goes on: launchers on loopback stand for machines."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch

from senzai.runs import fit, load
from senzai.training.bundle import CHECKPOINT
from senzai.training.checkpoint import peek
from senzai.training.listeners import read_history

SETTINGS = {
    "steps": 24, "batch_size": 16, "lr": 0.02, "log_every": 4, "validate_every": 6, "hidden": [8], "n_latent": 2,
    "schedule": "constant", "clip": 1.0, "sampler": "none",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("nodes") / "rows.parquet"
    x = np.random.default_rng(0).normal(size=(203, 5)).astype(np.float32)
    pd.DataFrame(x, columns=list("abcde")).to_parquet(path)
    return path


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def launcher(data, out, *, nodes=1, each=1, restarts=0, port=0, **more):
    settings = [f"--set={k}={json.dumps(v) if isinstance(v, list) else v}" for k, v in {**SETTINGS, **more}.items()]
    command = [
        sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--nnodes", str(nodes), "--nproc-per-node",
        str(each), "--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port or free_port()}", "--rdzv-id",
        "job", "--local-addr", "127.0.0.1", "--max-restarts", str(restarts), "-m", "senzai", "fit", str(data),
        "--out", str(out), "--quiet", "--no-report", *settings,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def assert_same(a, b, **tolerance):
    for (name, x), y in zip(a.model.state_dict().items(), b.model.state_dict().values(), strict=True):
        torch.testing.assert_close(y, x, msg=name, **tolerance)


@pytest.mark.slow
def test_two_launchers_give_the_numbers_of_one_process(data, tmp_path):
    one, port, out = fit(data, settings=SETTINGS, out=tmp_path / "one"), free_port(), tmp_path / "two"
    both = [launcher(data, out, nodes=2, port=port) for _ in range(2)]
    said = [p.communicate(timeout=1800)[0] for p in both]
    assert [p.returncode for p in both] == [0, 0], said
    two = load(out)
    assert_same(one, two, rtol=1e-5, atol=1e-6)
    assert two.metrics["fit"]["best_step"] == one.metrics["fit"]["best_step"]
    assert two.metrics["fit"]["validation_elbo"] == pytest.approx(one.metrics["fit"]["validation_elbo"], rel=1e-5)


def children(pid):
    """Return the processes of a launcher that train, by the number of each."""
    found = {}
    told = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    for line in told.splitlines():
        own, parent, args = line.split(None, 2)
        if int(parent) == pid and "senzai" in args and "fit" in args:
            found[len(found)] = int(own)
    return found


@pytest.mark.slow
def test_a_job_goes_on_from_its_checkpoint_after_a_kill(data, tmp_path):
    longer = {"steps": 200, "log_every": 10, "validate_every": 50, "checkpoint_seconds": 0}
    fit(data, settings={**SETTINGS, **longer}, out=tmp_path / "whole")
    out = tmp_path / "killed"
    job = launcher(data, out, each=2, restarts=4, **longer)
    deadline = time.monotonic() + 600
    at = 0
    while at < 20 and job.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
        at = peek(out / CHECKPOINT).step if (out / CHECKPOINT).is_file() else 0
    os.kill(children(job.pid)[1], signal.SIGKILL)
    said = job.communicate(timeout=1800)[0]
    assert job.returncode == 0, said
    assert 0 < at < longer["steps"], "it was killed on the way"
    steps = [x["step"] for x in read_history(out / "history.jsonl") if x["kind"] == "progress"]
    assert steps == sorted(set(steps)), "what was trained again is told once"
    assert_same(load(tmp_path / "whole"), load(out), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_another_job_does_not_take_over_a_run(data, tmp_path):
    (tmp_path / "run").mkdir()
    job = launcher(data, tmp_path / "run", each=2)
    said = job.communicate(timeout=1800)[0]
    assert job.returncode != 0
    assert "A new run needs a folder that does not exist yet" in said
