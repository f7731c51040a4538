"""Training with several processes: a request on disk, ``torchrun`` starts workers, the run folder is the answer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from ..core import errors
from ..core.errors import SenzaiError, SettingError
from .parcel import pack

if TYPE_CHECKING:
    from .run import Run


def launch(
    data: object, *, recipe: str, out: str | Path | None, kind: str | None, settings: Mapping[str, Any],
    overwrite: bool, devices: int,
) -> Run:
    """Train with ``devices`` processes and return the run.

    Raises:
        SettingError: There is no ``out`` folder for the processes to share.
        SenzaiError: What a worker raised.
    """
    if out is None:
        raise SettingError(f"Training on {devices} devices needs a folder that they share; give out=... (--out).")
    from .run import load

    with tempfile.TemporaryDirectory() as tmp:
        request = Path(tmp) / "request.json"
        facts = {
            "data": pack(data, Path(tmp)), "recipe": recipe, "out": str(out), "kind": kind,
            "settings": dict(settings), "overwrite": overwrite,
        }
        request.write_text(json.dumps(facts), encoding="utf-8")
        code = _torchrun(request, devices)
        _raise_what_they_raised(request.with_suffix(".error"), code)
    return load(out)


def _torchrun(request: Path, devices: int) -> int:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(devices),
        "-m", "senzai.face.worker", str(request),
    ]
    # In a session of its own, so that Ctrl-C reaches it once, through us, and not a second time from the terminal.
    process = subprocess.Popen(command, stdout=_stderr(), start_new_session=True)
    with _passing_signals_to(process):
        return process.wait()


@contextmanager
def _passing_signals_to(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Hand Ctrl-C and SIGTERM on to ``process``, which lets its workers save, and keep waiting for it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def pass_on(number: int, frame: FrameType | None) -> None:
        process.send_signal(number)

    before = {s: signal.signal(s, pass_on) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if process.poll() is None:
            process.terminate()


def _stderr() -> int | None:
    try:
        return sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        return None


def _raise_what_they_raised(path: Path, code: int) -> None:
    if path.is_file():
        told = json.loads(path.read_text(encoding="utf-8"))
        error: SenzaiError = getattr(errors, told["type"], SenzaiError)(told["message"])
        error.exit_code = told["exit_code"]
        raise error
    if code != 0:
        raise SenzaiError(f"Training on several devices ended with code {code}; what the workers said is above.")
