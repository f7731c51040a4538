"""What a command costs before it does anything: processor seconds of whole processes on a small table.

Each verb runs as a user runs it, beside ``python -c "import torch"``, in alternating rounds; ``--against PATH`` takes
another checkout's ``src`` along in the same rounds. Processor time is counted, not the clock, on one thread.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .common import HERE

SOURCE = HERE.parent / "src"


def seconds(command: list[str], source: Path) -> float:
    """Return the processor seconds of one process that imports senzai from ``source``."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(source)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def small_table(path: Path) -> None:
    """Write 400 rows of five mixed columns."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 400))
    lines = [
        f"{x:.4f},{3 * y + 10:.4f},{'xy'[int(x > 0)]},{rng.integers(5)},{x + y:.4f}" for x, y in zip(a, b, strict=True)
    ]
    path.write_text("\n".join(["a,b,c,d,e", *lines]) + "\n")


def commands(folder: Path) -> dict[str, list[str]]:
    """Return each verb's command line, in an order in which they can run."""
    data, run = str(folder / "small.csv"), str(folder / "run")
    verbs = {
        "--help": ["--help"],
        "info": ["info", data],
        "fit, 2 steps": ["fit", data, "--out", run, "--overwrite", "--set", "steps=2"],
        "encode": ["encode", run, data, "-o", str(folder / "codes.csv"), "--overwrite"],
        "sample": ["sample", run, "-o", str(folder / "new.csv"), "--overwrite"],
        "score": ["score", run, data, "-o", str(folder / "scores.csv"), "--overwrite"],
    }
    return {"import torch": ["-c", "import torch"], **{k: ["-m", "senzai", *v] for k, v in verbs.items()}}


def measure(rounds: int, *, against: Path | None = None, quick: bool = False) -> dict[str, Any]:
    """Return medians over rounds of the processor seconds of each verb, here and in another checkout."""
    sources = {"here": SOURCE} | ({} if against is None else {"against": against / "src"})
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as top:
        for name in sources:
            (Path(top) / name).mkdir()
            small_table(Path(top) / name / "small.csv")
        for _ in range(1 if quick else rounds):
            for verb in commands(Path(top)):
                for name, source in sources.items():
                    took = seconds(commands(Path(top) / name)[verb], source)
                    found.setdefault(verb, {}).setdefault(name, []).append(took)
    rows = {verb: {name: statistics.median(values) for name, values in took.items()} for verb, took in found.items()}
    for verb, took in rows.items():
        print(f"{verb:14}", "  ".join(f"{name} {value:5.2f} s" for name, value in took.items()))
    return {"rounds": rounds, "processor_seconds": rows}
