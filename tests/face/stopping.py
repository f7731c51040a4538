"""Run by ``test_stopping.py``: train in children of one warm process, and stop them the hard way.

A child is forked when everything is imported already, so that ten kills take seconds. Prints one JSON document.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

from senzai.face import RunInterrupted, fit, resume

FINISHED = "weights.safetensors"
SETTINGS = {
    "steps": 120, "batch_size": 64, "accumulate": 2, "lr": 0.5, "lr_warmup": 10, "schedule": "plateau", "ema": 0.5,
    "clip": 5.0, "dropout": 0.1, "hidden": [16], "network": "mlp", "n_latent": 2, "warmup": "linear",
    "warmup.steps": 20, "memory_gb": 1e-9, "log_every": 7, "validate_every": 3, "checkpoint_seconds": 0,
}


def start(folder: Path) -> int:
    """Fork a child that trains, or goes on training; return its process number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        resume(folder) if folder.exists() else fit("digits", out=folder, **SETTINGS)
        code = 0
    except RunInterrupted as err:
        code = err.exit_code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def end(child: int) -> int:
    """Wait for a child; return its exit code, negative for the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed(folder: Path, delays: list[float]) -> int:
    """Kill a run after each delay and start it again, then let it finish; return how often it was killed."""
    kills = 0
    for delay in delays:
        child = start(folder)
        time.sleep(delay)
        if os.waitpid(child, os.WNOHANG)[0]:
            break
        os.kill(child, signal.SIGKILL)
        assert end(child) == -signal.SIGKILL
        kills += 1
        if (folder / FINISHED).exists():
            break
    if not (folder / FINISHED).exists():
        assert end(start(folder)) == 0
    return kills


def kill_many(top: Path, n: int, whole: float) -> tuple[list[int], list[str]]:
    """Kill runs ``n`` times in all, at random moments, some of them before the first checkpoint."""
    rng, counts, names = random.Random(7), [], []
    while sum(counts) < n:
        names.append(f"killed{len(names)}")
        few = [rng.uniform(0, 0.1 * whole) for _ in range(2)]
        many = [rng.uniform(0.2 * whole, 0.6 * whole) for _ in range(n - sum(counts))]
        counts.append(killed(top / names[-1], (few + many)[: n - sum(counts)]))
    return counts, names


def signalled(folder: Path, number: int) -> tuple[int, bool]:
    """Send a signal once the run has a few lines of history, then resume; return its exit code."""
    child = start(folder)
    history = folder / "history.jsonl"
    while not history.exists() or len(history.read_text().splitlines()) < 5:
        time.sleep(0.005)
    os.kill(child, number)
    code, unfinished = end(child), not (folder / FINISHED).exists()
    assert end(start(folder)) == 0
    return code, unfinished


def main(top: Path) -> None:
    """Run every scenario in folders under ``top``."""
    began = time.monotonic()
    assert end(start(top / "whole")) == 0
    whole = time.monotonic() - began
    counts, names = kill_many(top, 10, whole)
    signals = {n: signalled(top / f"signal{n}", n) for n in (signal.SIGINT, signal.SIGTERM)}
    print(json.dumps({"kills": counts, "killed": names, "signals": signals, "seconds": whole}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
