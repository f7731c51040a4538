"""Run by ``test_stopping.py``: train in children of one warm process, and stop them the hard way.

A child is forked when everything is imported already, so that ten kills take seconds. Prints one JSON document.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import UserError
from senzai.runs import RunInterrupted, fit, load, resume
from senzai.training.events import Progressed

FINISHED = "weights.safetensors"
SETTINGS = {
    "steps": 120, "batch_size": 64, "accumulate": 2, "lr": 0.5, "lr_warmup": 10, "schedule": "plateau", "ema": 0.5,
    "clip": 5.0, "dropout": 0.1, "hidden": [16], "network": "mlp", "n_latent": 2, "warmup": "linear",
    "warmup.steps": 20, "memory_gb": 1e-9, "log_every": 7, "validate_every": 3, "checkpoint_seconds": 0,
}


class Wait:
    """Holds training up after a few lines of history until a signal has come, however long that takes."""

    def on(self, event: Any, training: Any) -> None:
        if isinstance(event, Progressed) and event.step >= 21:
            while not training.interrupt.signal:
                time.sleep(0.005)


def start(folder: Path, *, after: float = 0.0, listeners: Any = ()) -> int:
    """Fork a child that trains, or goes on training; return its process number.

    It dies after so many seconds of its own computing, wherever it is then: the system kills it, nothing is caught.
    These seconds do not depend on what else the machine does.
    """
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, after)
        resume(folder) if folder.exists() else fit("digits", out=folder, listeners=listeners, **SETTINGS)
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
        code = end(start(folder, after=delay))
        if code == 0:
            break
        assert code == -signal.SIGVTALRM, code
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
        few = [rng.uniform(0.001, 0.1 * whole) for _ in range(2)]
        many = [rng.uniform(0.2 * whole, 0.6 * whole) for _ in range(n - sum(counts))]
        counts.append(killed(top / names[-1], (few + many)[: n - sum(counts)]))
    return counts, names


def signalled(folder: Path, number: int) -> tuple[int, bool]:
    """Send a signal once the run has a few lines of history, then resume; return its exit code."""
    child = start(folder, listeners=[Wait()])
    history = folder / "history.jsonl"
    while not history.exists() or len(history.read_text().splitlines()) < 5:
        assert os.waitpid(child, os.WNOHANG)[0] == 0, "it ended before the signal"
        time.sleep(0.005)
    os.kill(child, number)
    code, unfinished = end(child), not (folder / FINISHED).exists()
    assert end(start(folder)) == 0
    return code, unfinished


# --- a run that replaces another --------------------------------------------------------------------------------------
ROWS = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
OLD = {
    "steps": 6, "hidden": [8], "n_latent": 2, "batch_size": 16, "log_every": 2, "validate_every": 2, "seed": 1,
}
NEW = {**OLD, "seed": 0}
STATES = ("old", "new")


def die_before(n: int) -> None:
    """Kill this process before its n-th renaming of a file or folder, wherever that is."""
    count = [0]

    def dying(real: Callable[..., None]) -> Callable[..., None]:
        def call(*args: Any, **kwargs: Any) -> None:
            count[0] += 1
            if count[0] > n:
                os.kill(os.getpid(), signal.SIGKILL)
            real(*args, **kwargs)

        return call

    for name in ("rename", "replace"):
        setattr(os, name, dying(getattr(os, name)))


def child_of(do: Callable[[], Any]) -> int:
    """Do something in a forked child; return its exit code."""
    child = os.fork()
    if child:
        return end(child)
    code = 1
    try:
        code = do() or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def which(folder: Path, runs: dict[str, Path]) -> int:
    """Return 10 and more: which of the runs is in the folder, to the last bit, with its own spec and history."""

    def facts(path: Path) -> tuple[Any, ...]:
        run = load(path)
        state = {k: v.tolist() for k, v in run.model.state_dict().items()}
        return state, run.spec.settings, [(h["kind"], h["step"], h.get("loss")) for h in run.history]

    found = facts(folder)
    return next(10 + i for i, name in enumerate(STATES) if facts(runs[name]) == found)


def go_on(folder: Path) -> None:
    """Do what a person would: resume what was begun, or begin again."""
    try:
        resume(folder, data=ROWS)
    except UserError:  # the new run is there already, or nothing of it was begun
        fit(ROWS, out=folder, overwrite=True, settings=NEW)


def replaced(top: Path) -> list[tuple[str, list[str]]]:
    """Kill a fit that replaces a run before each of its renamings; say what is there then, and after going on."""
    runs = {name: top / f"whole_{name}" for name in STATES}
    for i, name in enumerate(STATES):
        assert child_of(lambda i=i, name=name: fit(ROWS, out=runs[name], settings=(OLD, NEW)[i]) and 0) == 0
    found = []
    for n in range(100):
        folder = shutil.copytree(runs["old"], top / f"replaced{n}")
        (folder / "notes.txt").write_text("mine")
        code = child_of(lambda n=n, folder=folder: (
            die_before(n), fit(ROWS, out=folder, overwrite=True, settings=NEW) and None)[1])
        if code == 0:
            return found
        assert code == -signal.SIGKILL
        then = STATES[child_of(lambda folder=folder: which(folder, runs)) - 10]
        assert child_of(lambda folder=folder: go_on(folder)) == 0
        assert child_of(lambda folder=folder: which(folder, runs)) == 10 + STATES.index("new")
        found.append((then, sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())))
    raise AssertionError("it renamed without end")


def main(top: Path) -> None:
    """Run every scenario in folders under ``top``."""
    _, status, used = os.wait4(start(top / "whole"), 0)
    assert os.waitstatus_to_exitcode(status) == 0
    whole = used.ru_utime
    counts, names = kill_many(top, 10, whole)
    signals = {n: signalled(top / f"signal{n}", n) for n in (signal.SIGINT, signal.SIGTERM)}
    print(json.dumps({"kills": counts, "killed": names, "signals": signals, "replaced": replaced(top)}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
