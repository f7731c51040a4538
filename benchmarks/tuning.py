"""Tuning by two processes beside tuning by one: whole commands, the same trials, one after the other in turn."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from .common import HERE, alternate

TRIALS, STEPS = 20, 2000


def command(folder: Path, processes: int, trials: int, steps: int) -> list[str]:
    """Return a command whose trials cost the same: only the learning rate is searched, and nothing is given up."""
    settings = [f"steps={steps}", f"validate_every={steps}", "network=mlp", "hidden=128,128", "n_latent=8"]
    return [
        sys.executable, "-m", "senzai", "tune", "digits", "--out", str(folder / "study"), "--trials", str(trials),
        "--processes", str(processes), "--space", "lr=1e-4..1e-2:log", "--quiet",
        *(word for setting in settings for word in ("--set", setting)),
    ]


def measure(rounds: int, *, quick: bool = False) -> dict[str, Any]:
    """Compare seconds of the whole command, with the start of its processes."""
    trials, steps = (4, 20) if quick else (TRIALS, STEPS)

    def run(processes: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            began = perf_counter()
            subprocess.run(command(Path(folder), processes, trials, steps), cwd=HERE.parent, check=True,
                           stdout=subprocess.DEVNULL)
            return perf_counter() - began

    before = os.getloadavg()
    seen = alternate(rounds, one=lambda: run(1), two=lambda: run(2))
    return {
        "task": f"{trials} trials of {steps} steps on digits, whole command", "unit": "seconds", **seen,
        "load_before": before[0], "ratio": seen["one"]["median"] / seen["two"]["median"], "target": 1.7,
    }
