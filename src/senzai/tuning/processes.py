"""Several processes on one study: a request on disk, workers that ask the study for trials, and one that waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core import errors
from ..core.errors import SenzaiError
from ..runs.training.parcel import pack, parcel_folder
from .trials import Job

LOOK = 0.2
"""Seconds between two looks at what the workers have finished."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def several(
    job: Job, study: Any, processes: int, known: set[int], tell: Callable[[int, str, float | None], None]
) -> None:
    """Let several processes work on a study until it is done.

    Raises:
        SettingError: The data cannot be sent to other processes.
        SenzaiError: What a worker raised.
    """
    with parcel_folder() as (tmp, held):
        note, workers = pack(job.data, tmp), []
        try:
            for number in range(processes):
                request = tmp / f"request{number}.json"
                facts = {
                    "data": note, "folder": str(job.folder), "trials": job.trials, "until": job.until,
                    "worker": number, "processes": processes, "told": len(known),
                }
                request.write_text(json.dumps(facts), encoding="utf-8")
                workers.append(_started(request, processes, held))
            _follow(study, workers, set(known), tell)
            codes = [worker.wait() for worker in workers]
        finally:
            for worker in workers:
                if worker.poll() is None:
                    worker.terminate()
            for worker in workers:
                worker.wait()
        _raise_what_they_raised(tmp, codes)


def _started(request: Path, processes: int, held: int) -> subprocess.Popen[bytes]:
    threads = str(max(1, processors() // processes))
    env = {**os.environ, **dict.fromkeys(THREADS, threads)}
    return subprocess.Popen(
        [sys.executable, "-m", "senzai.tuning.worker", str(request)], stdout=subprocess.DEVNULL, env=env,
        pass_fds=(held,),
    )


def _follow(
    study: Any, workers: list[subprocess.Popen[bytes]], known: set[int], tell: Callable[[int, str, float | None], None]
) -> None:
    """Tell of trials as they are finished, until no worker is left."""
    while True:
        alive = any(worker.poll() is None for worker in workers)
        for trial in study.get_trials(deepcopy=False):
            if trial.state.is_finished() and trial.number not in known:
                known.add(trial.number)
                state = trial.state.name.lower()
                tell(trial.number, "failed" if state == "fail" else state, trial.value if state == "complete" else None)
        if not alive:
            return
        time.sleep(LOOK)


def _raise_what_they_raised(folder: Path, codes: list[int]) -> None:
    for path in sorted(folder.glob("*.error")):
        found = json.loads(path.read_text(encoding="utf-8"))
        error: SenzaiError = getattr(errors, found["type"], SenzaiError)(found["message"])
        error.exit_code = found["exit_code"]
        raise error
    if any(codes):
        code = next(c for c in codes if c)
        raise SenzaiError(f"A process of the study ended with code {code}; what it said is above.")


def processors() -> int:
    """Return how many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
