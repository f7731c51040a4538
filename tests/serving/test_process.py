"""The server as a process of its own: it says where it is, answers, and ends what it began when it is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import httpx
import numpy as np
import pytest

import senzai


@contextmanager
def started(path):
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "senzai", "serve", str(path), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as found:
        told = ""
        while not told.endswith("}\n"):
            line = found.stdout.readline()
            assert line, found.stderr.read()
            told += line
        yield found, json.loads(told)["address"]
        if found.poll() is None:
            found.kill()


@pytest.fixture
def process(folder):
    with started(folder) as found:
        yield found


def test_it_answers_and_stops_gracefully(process):
    server, address = process
    with senzai.connect(f"{address}/numbers") as run:
        assert run.sample(2, seed=1).shape == (2, 4)
    answers = []
    body = {"data": [[0.0, 1.0, 2.0, 3.0]] * 2000, "k": 200}
    asking = threading.Thread(
        target=lambda: answers.append(httpx.post(f"{address}/v1/numbers/log_likelihood", json=body, timeout=120))
    )
    asking.start()
    while 'path="/v1/{run}/log_likelihood"' not in httpx.get(f"{address}/metrics").text:
        if "senzai_requests_held 2.0" in httpx.get(f"{address}/metrics").text:
            break
    server.send_signal(signal.SIGTERM)
    asking.join()
    assert answers[0].status_code == 200
    assert len(answers[0].json()["scores"]) == 2000
    _, log = server.communicate(timeout=60)
    assert server.returncode in (0, -signal.SIGTERM)
    lines = [json.loads(line) for line in log.splitlines()]
    assert (lines[0]["event"], lines[-1]["event"]) == ("started", "stopped")


def test_a_packed_run_is_served(folder, tmp_path):
    packed = senzai.load(folder / "numbers").pack(tmp_path / "numbers.zip")
    with started(packed) as (_, address), senzai.connect(f"{address}/numbers") as run:
        np.testing.assert_array_equal(run.sample(2, seed=1), senzai.load(folder / "numbers").sample(2, seed=1))


def test_mistakes_end_it_with_a_sentence(folder, tmp_path):
    def fails(*words):
        command = [sys.executable, "-m", "senzai", "serve", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 2, done.stderr
        return done.stderr

    assert "is none" in fails(tmp_path / "nowhere", "--port", "0")
    assert "Without a token" in fails(folder / "numbers", "--host", "0.0.0.0")
