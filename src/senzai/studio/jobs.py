"""Jobs: what trains or judges, in a process of its own that the studio starts, watches and stops.

A job is a folder: what was asked, what the process says on its way, and how it ended. Whether it still works is told by
a lock that the process holds, so that a studio that was started again finds it. Training itself is known from the run's
folder alone.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import SettingError
from ..core.files import write_json
from ..serving.problems import RequestError
from ..training.lock import LOCK, attempt
from .workspace import Workspace, checked

REQUEST, PROGRESS, OUTCOME, LOG = "request.json", "progress.json", "outcome.json", "log.txt"
STOP = "stop"
"""Left in the folder of a job that is to stop: a signal that comes while libraries are imported may be swallowed."""
AT_ONCE = 2
"""Jobs that work at the same time."""
KEPT = 50
GRACE = 20.0
"""Seconds that processes have to save what they did when the studio is closed."""


class Jobs:
    """The jobs of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def folder(self, name: str) -> Path:
        """Return the folder of a job.

        Raises:
            RequestError: There is no such job.
        """
        path = self.workspace.own("jobs", name)
        if not (path / REQUEST).is_file():
            raise RequestError(f"There is no job {name!r} here. Look at the list of jobs again.", 404)
        return path

    def start(self, what: str, run: str, **asked: Any) -> str:
        """Begin a job in a process of its own and return its name.

        Raises:
            SettingError: As many as may work at once do so, or this run is being worked on.
        """
        with self._lock:
            busy = [j for j in self.every() if j["state"] == "working"]
            if any(run in (j["run"], j.get("makes")) for j in busy):
                raise SettingError(
                    f"One job at a time works on a run, but {run!r} is being worked on. Wait, or stop it."
                )
            if len(busy) >= AT_ONCE:
                raise SettingError(f"{AT_ONCE} jobs work at the same time, and so many do. Wait for one, or stop one.")
            self._tidy()
            name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
            folder = self.workspace.own("jobs", name)
            folder.mkdir()
            request = {"what": what, "run": run, "root": str(self.workspace.root), "began": time.time(), **asked}
            write_json(folder / REQUEST, request)
            self._processes[name] = _spawn(folder)
        return name

    def _tidy(self) -> None:
        """Remove the oldest jobs that have ended."""
        from shutil import rmtree

        names = sorted(p.name for p in (self.workspace.root / ".studio" / "jobs").iterdir())
        for name in names[: max(0, len(names) - KEPT)]:
            if not self.working(name):
                rmtree(self.workspace.own("jobs", name), ignore_errors=True)

    def every(self) -> list[dict[str, Any]]:
        """Return all jobs, the newest first."""
        names = sorted((p.name for p in (self.workspace.root / ".studio" / "jobs").iterdir()), reverse=True)
        found = []
        for name in names:
            try:
                found.append(self.about(name))
            except (RequestError, SettingError):  # half made, or not ours
                continue
        return found

    def working(self, name: str) -> bool:
        """Whether a job's process is there: one that was begun here, or one that holds the job's lock."""
        process = self._processes.get(name)
        if process is not None:
            return process.poll() is None
        folder = self.workspace.own("jobs", checked(name))
        if (folder / OUTCOME).is_file():
            return False
        lock = attempt(folder)
        if lock is None:
            return True
        lock.release()
        return False

    def about(self, name: str) -> dict[str, Any]:
        """Return what a job is, how far it is and how it ended: working, done, failed, stopped or lost."""
        folder = self.folder(name)
        working = self.working(name)  # asked first: what it wrote at its end is there when it has gone
        request, outcome = read(folder / REQUEST), read(folder / OUTCOME)
        state = "working" if working else outcome.get("state", "lost")
        found = {k: v for k, v in request.items() if k != "root"}
        return {"name": name, **found, "state": state, "progress": read(folder / PROGRESS),
                **{k: v for k, v in outcome.items() if k != "state"}}

    def stop(self, name: str) -> None:
        """Ask a job to stop after its current step; what it did is kept, and training can go on later."""
        folder = self.folder(name)
        process = self._processes.get(name)
        if process is not None:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                (folder / STOP).touch()
            return
        if self.working(name) and (number := _holder(folder)):
            os.kill(number, signal.SIGINT)
            (folder / STOP).touch()

    def close(self) -> None:
        """Stop what was begun here, and give it time to save."""
        going = [p for p in self._processes.values() if p.poll() is None]
        for process in going:
            process.send_signal(signal.SIGINT)
        until = time.monotonic() + GRACE
        for process in going:
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def read(path: Path) -> dict[str, Any]:
    """Return what a file says, nothing where it is not there."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(found) if isinstance(found, Mapping) else {}


def _spawn(folder: Path) -> subprocess.Popen[bytes]:
    """Start the process in a session of its own: Ctrl-C in the terminal reaches it once, through the studio."""
    with (folder / LOG).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "senzai.studio.child", str(folder)], stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, start_new_session=True,
        )


def _holder(folder: Path) -> int | None:
    """Return the process that a lock names."""
    try:
        return int((folder / LOCK).read_text(encoding="utf-8").split()[0])
    except (OSError, ValueError, IndexError):
        return None
