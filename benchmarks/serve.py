"""The server beside a naive one, and what one row costs a run: a table model of twenty columns, on loopback.

Both servers, each a process, are asked in turn by 32 connections of a third process. Requests per second depend on
whatever else the machine does; the processor time of a server for a request does much less, so that the ratio of the
two is told too. Memory is that of the server after warming up and at the end of some minutes at a steady rate.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import senzai

from .common import HERE

CONNECTIONS = 32
RATE = 200.0
TICK = os.sysconf("SC_CLK_TCK")


def table(n: int = 4000) -> pd.DataFrame:
    """Return rows of twenty columns: numbers, counts, categories and a truth value, some numbers missing."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, 3))
    made: dict[str, Any] = {f"x{i}": (z @ rng.normal(size=3) + 0.3 * rng.normal(size=n)).round(4) for i in range(10)}
    made |= {f"p{i}": np.exp(z @ rng.normal(size=3) / 2).round(3) for i in range(3)}
    made |= {f"n{i}": rng.poisson(np.exp(z[:, i] / 2 + 1)) for i in range(2)}
    names = np.array(["red", "green", "blue", "white"])
    made |= {f"c{i}": names[np.clip(z[:, i % 3] + 2, 0, 3).astype(int)] for i in range(4)}
    frame = pd.DataFrame({**made, "b": z[:, 0] > 0})
    return frame.mask(pd.DataFrame({c: (rng.random(n) < 0.05) & (c == "x3") for c in frame}))


def one_row(run: Any, rows: pd.DataFrame, calls: int) -> dict[str, Any]:
    """Return the processor milliseconds of one row: the median of calls, and the least."""
    found: dict[str, Any] = {}
    for name, verb in (("encode", run.encode), ("score", run.score)):
        some: list[float] = []
        for i in range(calls):
            row = rows.iloc[[i % len(rows)]]
            before = time.process_time()
            verb(row)
            some.append(1000 * (time.process_time() - before))
        found[name] = {"median_ms": statistics.median(some[5:]), "least_ms": min(some)}
        print(f"run.{name} of one row: {found[name]['median_ms']:.2f} ms (least {found[name]['least_ms']:.2f})")
    return found


@contextmanager
def server(command: Callable[[int], list[str]], path: str) -> Iterator[tuple[int, int]]:
    """Start a server, wait until it answers, and stop it; yields its port and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, *command(port)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            time.sleep(0.2)
            try:
                with urllib.request.urlopen(f"http://localhost:{port}{path}") as answer:
                    answer.read()
                break
            except OSError:
                if process.poll() is not None:
                    sys.exit(f"The server ended with {process.returncode}.")
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def processor_seconds(pid: int) -> float:
    """Return the processor seconds of a process so far."""
    told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / TICK


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process, in MiB."""
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def loaded(port: int, pid: int, path: str, rows: Path, seconds: float, rate: float = 0.0) -> dict[str, Any]:
    """Ask a server for some seconds, and return what came back and what it took the server."""
    before = processor_seconds(pid)
    command = ["-m", "benchmarks.load", str(port), path, str(rows), str(CONNECTIONS), str(seconds), str(rate)]
    done = subprocess.run([sys.executable, *command], cwd=HERE.parent, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    used = processor_seconds(pid) - before
    return {**found, "server_processor_ms_per_request": 1000 * used / max(1, found["requests"])}


def steadily(port: int, pid: int, rows: Path, minutes: float) -> dict[str, Any]:
    """Ask a server at a steady rate, and return its memory and errors minute by minute."""
    loaded(port, pid, "/v1/run/encode", rows, 10, RATE)
    memory, asked, failed, wrong = [resident_mib(pid)], 0, 0, 0
    for _ in range(max(1, round(minutes))):
        found = loaded(port, pid, "/v1/run/encode", rows, 60 if minutes >= 1 else 60 * minutes, RATE)
        memory.append(resident_mib(pid))
        asked, failed, wrong = asked + found["requests"], failed + found["failed"], wrong + found["wrong"]
        print(f"  {asked:,} requests, {memory[-1]:.1f} MiB, p99 {found['p99_ms']:.1f} ms", flush=True)
    change = memory[-1] / memory[0] - 1
    return {"minutes": minutes, "per_second": RATE, "requests": asked, "failed": failed, "wrong": wrong,
            "resident_mib": memory, "change": change}


def measure(rounds: int, *, minutes: float, quick: bool = False) -> dict[str, Any]:
    """Return the latency of one row, requests per second beside a naive server, and memory over some minutes."""
    torch.set_num_threads(1)
    seconds = 2.0 if quick else 8.0
    with tempfile.TemporaryDirectory() as top:
        frame, folder = table(), Path(top, "run")
        run = senzai.fit(frame, out=folder, steps=20 if quick else 300)
        latency = one_row(run, frame, 30 if quick else 300)
        rows = Path(top, "rows.json")
        some = json.loads(frame.head(CONNECTIONS).to_json(orient="records"))
        codes = [run.encode(frame.iloc[[i]]).to_numpy()[0].tolist() for i in range(CONNECTIONS)]
        rows.write_text(json.dumps([{"row": r, "codes": c} for r, c in zip(some, codes, strict=True)]))
        found: dict[str, list[dict[str, Any]]] = {"senzai": [], "naive": []}
        ours = server(lambda p: ["-m", "senzai", "serve", str(folder), "--port", str(p)], "/v1/run")
        theirs = server(lambda p: ["-m", "benchmarks.naive", str(folder), str(p)], "/openapi.json")
        with ours as (port, pid), theirs as (other, naive):
            loaded(port, pid, "/v1/run/encode", rows, 1)
            loaded(other, naive, "/encode", rows, 1)
            for i in range(1 if quick else rounds):
                found["senzai"].append(loaded(port, pid, "/v1/run/encode", rows, seconds))
                found["naive"].append(loaded(other, naive, "/encode", rows, seconds))
                for name, told in found.items():
                    print(f"  round {i + 1}: {name} {told[-1]['per_second']:.0f}/s, p99 {told[-1]['p99_ms']:.1f} ms, "
                          f"{told[-1]['server_processor_ms_per_request']:.2f} ms of the server a request", flush=True)
            memory = steadily(port, pid, rows, 0.05 if quick else minutes)
    each = {n: {k: statistics.median(t[k] for t in told) for k in told[0]} for n, told in found.items()}
    ratios = {
        "requests": each["senzai"]["per_second"] / each["naive"]["per_second"],
        "processor": each["naive"]["server_processor_ms_per_request"]
        / each["senzai"]["server_processor_ms_per_request"],
    }
    print(f"senzai / naive: {ratios['requests']:.2f} requests, {ratios['processor']:.2f} by processor time")
    return {"rounds": rounds, "connections": CONNECTIONS, "one_row": latency, "servers": each, "ratios": ratios,
            "all_rounds": found, "steady": memory}
