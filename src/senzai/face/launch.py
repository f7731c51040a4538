"""Training with several processes: a request on disk, ``torchrun`` starts workers, the run folder is the answer."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import errors
from ..core.errors import SenzaiError, SettingError

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
            "data": _on_disk(data, Path(tmp)), "recipe": recipe, "out": str(out), "kind": kind,
            "settings": dict(settings), "overwrite": overwrite,
        }
        request.write_text(json.dumps(facts), encoding="utf-8")
        code = _torchrun(request, devices)
        _raise_what_they_raised(request.with_suffix(".error"), code)
    return load(out)


def _on_disk(data: object, folder: Path) -> str:
    """Return a path that workers can read."""
    if isinstance(data, str | Path):
        return str(data)
    path = folder / "data.npy"
    np.save(path, np.asarray(data), allow_pickle=False)
    return str(path)


def _torchrun(request: Path, devices: int) -> int:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(devices),
        "-m", "senzai.face.worker", str(request),
    ]
    process = subprocess.Popen(command, stdout=sys.stderr.fileno() if _has_fileno() else None)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the workers got the same signal: let them save
            continue


def _has_fileno() -> bool:
    try:
        sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        return False
    return True


def _raise_what_they_raised(path: Path, code: int) -> None:
    if path.is_file():
        told = json.loads(path.read_text(encoding="utf-8"))
        kind = getattr(errors, told["type"], SenzaiError)
        error: SenzaiError = kind(told["message"])
        error.exit_code = told["exit_code"]
        raise error
    if code != 0:
        raise SenzaiError(f"Training on several devices ended with code {code}; what the workers said is above.")
