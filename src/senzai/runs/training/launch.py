"""Training with several processes: a request on disk, ``torchrun`` starts workers, the run folder is the answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from ...core import errors
from ...core.errors import RunInterrupted, SenzaiError, SettingError
from ...core.files import user_path
from ...training.places import refuse_existing
from .parcel import pack, parcel_folder

if TYPE_CHECKING:
    from ..run import Run


def launch(
    data: object, *, recipe: str | None, out: str | Path | None, kind: str | None, settings: Mapping[str, Any],
    overwrite: bool, devices: int, restarts: int = 0, track: Sequence[str] = (),
) -> Run:
    """Train with ``devices`` processes and return the run.

    Raises:
        SettingError: There is no ``out`` folder for the processes to share.
        SenzaiError: What a worker raised.
        RunInterrupted: A signal came; what was trained is saved.
    """
    if out is None:
        raise SettingError(f"Training on {devices} devices needs a folder that they share; give out=... (--out).")
    if not overwrite:
        refuse_existing(user_path(out, output=True))  # now, not after the workers have started
    from ..run import load

    with _signals() as passed, parcel_folder() as (tmp, held):
        request = tmp / "request.json"
        facts = {
            "data": pack(data, tmp), "recipe": recipe, "out": str(out), "kind": kind, "settings": dict(settings),
            "overwrite": overwrite, "track": list(track),
        }
        request.write_text(json.dumps(facts), encoding="utf-8")
        code = _torchrun(request, devices, restarts, passed, held)
        _raise_what_they_raised(request.with_suffix(".error"), code, passed)
    return load(out)


def _torchrun(request: Path, devices: int, restarts: int, passed: _Passed, held: int) -> int:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(devices),
        "--max-restarts", str(restarts), "-m", "senzai.runs.worker", str(request),
    ]
    # In a session of its own, so that Ctrl-C reaches it once, through us, and not a second time from the terminal. Its
    # temporary files go the way of the parcel, whose lock it keeps should this process be killed.
    with subprocess.Popen(
        command, stdout=_stderr(), start_new_session=True, pass_fds=(held,),
        env={**os.environ, "TMPDIR": str(request.parent)},
    ) as process:
        try:
            passed.to(process)
            return process.wait()
        finally:
            if process.poll() is None:
                process.terminate()


class _Passed:
    """Signals that were received, and the process that they are passed on to once it has started."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.came: list[int] = []

    def on(self, number: int, frame: FrameType | None) -> None:
        """Pass a signal on, or keep it until the process has started."""
        self.came.append(number)
        if self.process is not None:
            self.process.send_signal(number)

    def to(self, process: subprocess.Popen[bytes]) -> None:
        """Pass on the signals that were received, and all later ones."""
        self.process = process
        for number in self.came:
            process.send_signal(number)


@contextmanager
def _signals() -> Iterator[_Passed]:
    """Pass Ctrl-C and SIGTERM on to the workers, which save, instead of ending before them."""
    passed = _Passed()
    if threading.current_thread() is not threading.main_thread():
        yield passed
        return
    before = {s: signal.signal(s, passed.on) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield passed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stderr() -> int | None:
    try:
        return sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        return None


def _raise_what_they_raised(path: Path, code: int, passed: _Passed) -> None:
    if path.is_file():
        told = json.loads(path.read_text(encoding="utf-8"))
        error: SenzaiError | RunInterrupted = getattr(errors, told["type"], SenzaiError)(told["message"])
        error.exit_code = told["exit_code"]
        raise error
    if code != 0 and passed.came:
        raise RunInterrupted("A signal stopped training before it had begun; nothing was written.", passed.came[0])
    if code != 0:
        raise SenzaiError(f"Training on several devices ended with code {code}; what the workers said is above.")
